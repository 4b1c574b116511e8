"""Tables and sentences of activations and gates, against NumPy on every value of every cell."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import scipy.stats
from keras import layers

from rnnprobe.classifier import KerasClassifier
from rnnprobe.inspection._moments import Moments, reduced
from rnnprobe.inspection.reading import LeftOut, Reading, read_signals, record_cells
from rnnprobe.inspection.signals import Signal, half_life, memory_gates, memory_of
from rnnprobe.reports import _activations, _gates
from rnnprobe.reports._signals import left_out_findings, percent, units_text
from rnnprobe.table import Finding, Report, Section, Table, to_json, to_markdown


class Case(NamedTuple):
    """What a model's cells hold, as the pass sums it up and value by value."""

    classifier: KerasClassifier
    x: np.ndarray
    reading: Reading
    raw: dict[str, dict[str, np.ndarray]]


def make_model(*body: Any, shape: tuple[int | None, ...] = (6, 3)) -> keras.Model:
    model = keras.Sequential([keras.Input(shape), *body, layers.Dense(3, name="head")])
    rng = np.random.default_rng(8)
    for variable in model.weights:
        variable.assign(rng.normal(size=variable.shape))
    return model


def case_of(model: keras.Model, x: np.ndarray) -> Case:
    classifier = KerasClassifier(model)
    return Case(classifier, x, read_signals(classifier, x), record_cells(classifier, x))


def padded(num_examples: int = 23) -> np.ndarray:
    """Return sequences of 1 to 6 steps, zeros behind them."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(num_examples, 6, 3)).astype(np.float32)
    lengths = 1 + np.arange(num_examples) % 6
    return np.where(np.arange(6)[:, np.newaxis] < lengths[:, np.newaxis, np.newaxis], x, 0)


@pytest.fixture(scope="module")
def masked() -> Case:
    """A GRU below a LSTM, over sequences of several lengths."""
    model = make_model(
        layers.Masking(name="mask"),
        layers.GRU(4, return_sequences=True, name="gru"),
        layers.Dropout(0.2, name="drop"),
        layers.LSTM(5, name="lstm"),
        layers.Dense(7, activation="relu", name="relu"),
    )
    return case_of(model, padded())


@pytest.fixture(scope="module")
def odd() -> Case:
    """A LSTM, all sequences of one length, with gates that stand still or are stuck."""
    model = make_model(layers.LSTM(14, name="lstm"))
    cell = model.layers[0].cell
    bias = keras.ops.convert_to_numpy(cell.bias).copy()
    bias[14:28] += 3 * np.arange(14) - 20
    bias[28:40] = 0  # candidates of units 0 to 11 are always 0
    bias[14] = 200  # unit 0 forgets nothing
    cell.bias.assign(bias)
    for kernel in (cell.kernel, cell.recurrent_kernel):
        values = keras.ops.convert_to_numpy(kernel).copy()
        values[:, 28:40] = 0
        kernel.assign(values)
    return case_of(model, np.random.default_rng(4).normal(size=(19, 6, 3)).astype(np.float32))


@pytest.fixture(scope="module")
def simple() -> Case:
    x = np.random.default_rng(4).normal(size=(9, 6, 3)).astype(np.float32)
    return case_of(make_model(layers.SimpleRNN(4, name="srnn")), x)


def documents(reading: Reading) -> tuple[str, dict[str, Any]]:
    """Return both sections as Markdown and as JSON."""
    tables = _activations.activations_tables(reading) | _gates.gates_tables(reading)
    findings = (
        *_activations.activations_findings(reading),
        *_gates.gates_findings(reading),
        *left_out_findings(reading),
    )
    note = _activations.activations_note([reading]) + _gates.gates_note([reading])
    report = Report(
        "inspect", "x", Table((), ()), sections=(Section("Both", tables, findings, note),),
        left_out=_activations.LEFT_OUT | _gates.LEFT_OUT,
    )  # fmt: skip
    return to_markdown(report), json.loads(to_json(report))


def by_key(rows: list[dict[str, Any]], *keys: str) -> dict[Any, dict[str, Any]]:
    return {tuple(row[key] for key in keys): row for row in rows}


def sentence(findings: tuple[Finding, ...], key: str) -> str:
    return next(finding.sentence for finding in findings if finding.key == key)


LIMITS = {" gate": (0.1, 0.9), "candidate": (-0.9, 0.9), "hidden state": (-0.9, 0.9)}


def limits_of(name: str) -> tuple[float, float] | None:
    return next((limits for end, limits in LIMITS.items() if name.endswith(end)), None)


@pytest.mark.parametrize("case", ["masked", "odd", "simple"])
def test_gates_are_those_of_every_value_one_by_one(
    case: str, request: pytest.FixtureRequest
) -> None:
    found: Case = request.getfixturevalue(case)
    tables = _gates.gates_tables(found.reading)
    rows = by_key(tables["gates"].records(), "layer", "signal")
    by_unit = by_key(tables["gates_by_unit"].records(), "layer", "signal", "unit")
    assert len(rows) == sum(map(len, found.raw.values()))
    for path, signals in found.raw.items():
        for name, recorded in signals.items():
            values = np.concatenate([one[~np.isnan(one[:, 0])] for one in recorded]).astype(float)
            row = rows[path, name]
            assert row["units"] == values.shape[1]
            assert row["mean"] == pytest.approx(values.mean(), abs=1e-6)
            assert row["variance"] == pytest.approx(values.var(), abs=1e-5)
            limits = limits_of(name)
            shares = (values < limits[0], values > limits[1]) if limits else (None, None)
            for side, share in zip(("left", "right"), shares, strict=True):
                assert row[side] == (None if share is None else pytest.approx(share.mean()))
            assert row["dead"] == (np.ptp(values, axis=0) <= 1e-6).sum()
            always = [None if share is None else share.mean(axis=0) >= 0.99 for share in shares]
            for word, units in zip(("closed", "open"), always, strict=True):
                assert row[word] == (units.sum() if name.endswith(" gate") else None)
            check_units(by_unit, path, name, values)


def check_units(
    by_unit: Mapping[Any, Mapping[str, Any]], path: str, name: str, values: np.ndarray
) -> None:
    for unit, own in enumerate(values.T):
        row = by_unit[path, name, unit]
        assert row["mean"] == pytest.approx(own.mean(), abs=1e-6)
        assert row["variance"] == pytest.approx(own.var(), abs=1e-5)
        assert (row["lowest"], row["highest"]) == (own.min(), own.max())
        assert row["zeros"] == pytest.approx((own == 0).mean())
        if name in ("forget gate", "update gate") and own.mean() < 0.999:
            life = -np.log(2) / np.log(own.mean())
            assert row["half_life"] == pytest.approx(life, rel=5e-3)
            assert row["half_life_low"] < life < row["half_life_high"]
        elif name not in ("forget gate", "update gate"):
            assert row["half_life"] is None


def test_intervals_of_sequences_of_one_length_are_those_of_the_examples_means(odd: Case) -> None:
    tables = _gates.gates_tables(odd.reading)
    rows = by_key(tables["gates"].records(), "layer", "signal")
    for name, values in odd.raw["lstm"].items():
        columns = {"mean": values.astype(float)}
        limits = limits_of(name)
        if limits:
            columns |= {"left": values < limits[0], "right": values > limits[1]}
        for column, one in columns.items():
            means = one.mean(axis=(1, 2))
            row = rows["lstm", name]
            low, high = scipy.stats.t.interval(0.95, 18, means.mean(), scipy.stats.sem(means))
            if column == "mean":
                assert row["mean_low"] == pytest.approx(low, abs=1e-5)
                assert row["mean_high"] == pytest.approx(high, abs=1e-5)
            elif 0 < row[column] < 1:  # Wilson's: as far off as its own ends would let it be
                spread = (high - low) / 2 / np.sqrt(means.mean() * (1 - means.mean()))
                for end in (row[f"{column}_low"], row[f"{column}_high"]):
                    reach = spread * np.sqrt(end * (1 - end))
                    assert abs(end - means.mean()) == pytest.approx(reach, abs=1e-5)


@pytest.mark.parametrize("case", ["masked", "simple"])
def test_steps_are_those_of_every_value_one_by_one(
    case: str, request: pytest.FixtureRequest
) -> None:
    found: Case = request.getfixturevalue(case)
    tables = _gates.gates_tables(found.reading)
    rows = by_key(tables["gates_by_step_all"].records(), "layer", "signal", "step")
    wide = by_key(tables["gates_by_step"].records(), "layer", "step")
    for path, signals in found.raw.items():
        for name, recorded in signals.items():
            for index in range(6):
                values = recorded[~np.isnan(recorded[:, index, 0]), index].astype(float)
                row = rows[path, name, index + 1]
                assert row["examples"] == len(values)
                assert row["mean"] == pytest.approx(values.mean(), abs=1e-6)
                assert row["variance"] == pytest.approx(values.var(), abs=1e-5)
                limits = limits_of(name)
                share = None if limits is None else pytest.approx((values > limits[1]).mean())
                assert row["right"] == share
                error = scipy.stats.sem(values.mean(axis=1))
                half = scipy.stats.t.ppf(0.975, len(values) - 1) * error
                assert row["mean_high"] - row["mean"] >= half - 1e-6
                is_gate = name.endswith(" gate")
                key = name.replace(" ", "_") + ("" if is_gate else "_rms")
                shown = values.mean() if is_gate else np.sqrt((values**2).mean())
                assert wide[path, index + 1][key] == pytest.approx(shown, abs=1e-5)
                if is_gate:
                    width = row["mean_high"] - row["mean"]
                    assert wide[path, index + 1]["half_width"] >= width - 1e-12


def signal_of(name: str, values: np.ndarray) -> Signal:
    """Return a signal of float32 (num_examples, num_steps, num_units), all of which count."""
    moments = Moments.of(reduced(values, np.ones(values.shape[:2], bool), (0.1, 0.9)), len(values))
    return Signal.of("gru", "GRU", name, (0.1, 0.9), "steps", moments)


def test_an_interval_by_step_of_one_unit_is_students() -> None:
    values = np.random.default_rng(4).random(size=(9, 6, 1)).astype(np.float32)
    steps = signal_of("update gate", values).steps()
    for index, own in enumerate(values[..., 0].T.astype(float)):
        low, high = scipy.stats.t.interval(0.95, 8, own.mean(), scipy.stats.sem(own))
        assert steps.half_width[index] == pytest.approx((high - low) / 2, rel=1e-4)


@pytest.mark.parametrize("case", ["masked", "odd"])
def test_memory_is_the_half_life_of_each_units_mean_gate(
    case: str, request: pytest.FixtureRequest
) -> None:
    found: Case = request.getfixturevalue(case)
    tables = _gates.gates_tables(found.reading)
    rows = by_key(tables["memory"].records(), "layer", "gate")
    gates = by_key(tables["gates"].records(), "layer", "signal")
    assert set(rows) == {(gate.path, gate.name) for gate in memory_gates(found.reading.gates)}
    for (path, name), row in rows.items():
        recorded = found.raw[path][name].astype(float)
        means = np.nanmean(recorded, axis=(0, 1))
        with np.errstate(divide="ignore"):
            lives = np.where(means > 1 - 1e-9, np.inf, np.log(2) / np.abs(np.log(means)))
        assert row["longest"] == pytest.approx(lives.max(), rel=5e-3)
        assert row["shortest"] == pytest.approx(lives.min(), rel=5e-3)
        assert (row["longest_unit"], row["shortest_unit"]) == (lives.argmax(), lives.argmin())
        ordered = np.sort(lives)
        for share, key in ((0.25, "lower_quartile"), (0.5, "median"), (0.75, "upper_quartile")):
            rank = int(np.ceil(share * len(lives))) - 1
            assert row[key] == pytest.approx(ordered[rank], rel=5e-3)
        for end in ("", "_low", "_high"):
            kept = gates[path, name][f"mean{end}"]
            assert row[f"at_mean{end}"] == pytest.approx(-np.log(2) / np.log(kept), rel=1e-6)
        counted = (~np.isnan(recorded[..., 0])).sum(axis=1)
        assert row["steps"] == pytest.approx(counted.mean())


def test_a_gate_at_one_keeps_for_ever_and_one_at_zero_nothing() -> None:
    assert half_life(np.array([0.5, 0.25, 1.0, 0.0])).tolist() == [1.0, 0.5, np.inf, 0.0]


def test_activations_are_those_of_each_layers_own_output(masked: Case) -> None:
    tables = _activations.activations_tables(masked.reading)
    rows = by_key(tables["activations"].records(), "layer")
    assert set(rows) == {("gru",), ("lstm",), ("relu",), ("head",)}
    hidden = masked.raw["lstm"]["hidden state"]
    lengths = (~np.isnan(hidden[..., 0])).sum(axis=1)
    last = hidden[np.arange(len(hidden)), lengths - 1]
    kernel, bias = masked.classifier.model.get_layer("relu").get_weights()
    values = np.maximum(last @ kernel + bias, 0).astype(float)
    row = rows["relu",]
    assert row["mean"] == pytest.approx(values.mean(), rel=1e-5)
    assert row["variance"] == pytest.approx(values.var(), rel=1e-5)
    assert 0 < row["zeros"] == pytest.approx((values == 0).mean())
    assert row["left"] is row["right_high"] is None
    assert row["dead"] == (np.ptp(values, axis=0) <= 1e-6).sum()
    means = values.mean(axis=1)
    low, high = scipy.stats.t.interval(0.95, 22, means.mean(), scipy.stats.sem(means))
    assert (row["mean_low"], row["mean_high"]) == pytest.approx((low, high), rel=1e-5)
    states = masked.raw["gru"]["hidden state"]
    assert rows["gru",]["mean"] == pytest.approx(np.nanmean(states), abs=1e-6)
    assert rows["lstm",]["right"] == pytest.approx((last > 0.9).mean())
    by_unit = by_key(tables["activations_by_unit"].records(), "layer", "unit")
    for unit, own in enumerate(values.T):
        assert by_unit["relu", unit]["mean"] == pytest.approx(own.mean(), rel=1e-5)
        assert by_unit["relu", unit]["zeros"] == pytest.approx((own == 0).mean())


def test_stuck_gates_and_dead_units_are_named(odd: Case) -> None:
    found = _gates.gates_findings(odd.reading)
    always = sentence(found, "gates_always")
    forget = odd.raw["lstm"]["forget gate"]
    closed = np.flatnonzero((forget < 0.1).mean(axis=(0, 1)) >= 0.99).tolist()
    opened = np.flatnonzero((forget > 0.9).mean(axis=(0, 1)) >= 0.99).tolist()
    assert closed and opened[0] == 0
    assert f"forget gate always closed in {units_text(closed, 14)}" in always
    assert f"forget gate always open in {units_text(opened, 14)}" in always
    dead = sentence(found, "gates_dead")
    assert "candidate 12 of 14 units (0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more)" in dead
    memory = sentence(found, "memory")
    assert "endless in the longest (unit 0), of 6" in memory


def test_the_report_says_what_it_is_over_and_what_it_left_out(masked: Case) -> None:
    text, document = documents(masked.reading)
    over = "Over the steps of 23 examples that count; intervals are over the examples"
    assert text.count(over) == 2
    assert text.count("Keras starts the forget bias of an LSTM at 1") == 1
    assert "Not looked into: mask (Masking), drop (Dropout): it hands on what it is given" in text
    assert "**Gates by step" in text and "by unit" not in text
    assert "the first and the last step that half of the examples have" in text
    assert "stepped with the saved weights, give the model's own outputs" in text
    assert len(document["tables"]["gates_by_unit"]) == 6 * 5 + 4 * 4
    assert document["findings"]["gates_replay"]["deviation"] <= 1e-5
    steps = document["tables"]["gates_by_step"]
    assert next(row for row in steps if row["layer"] == "gru")["forget_gate"] is None


def test_many_steps_are_shown_at_ten_and_kept_in_full() -> None:
    values = np.random.default_rng(0).random(size=(5, 40, 2)).astype(np.float32)
    gates = signal_of("update gate", values), signal_of("reset gate", values**2)
    tables = _gates.gates_tables(Reading((), gates, (), (), 0.0))
    steps = [row["step"] for row in tables["gates_by_step"].records()]
    assert len(steps) == 10 and (steps[0], steps[-1]) == (1, 40)
    assert set(np.diff(steps)) <= {4, 5}
    assert tables["gates_by_step"].title.endswith("10 of 40 steps, evenly chosen")
    assert len(tables["gates_by_step_all"].rows) == 2 * 40


def test_a_simple_layer_has_no_memory_gate_and_says_so(simple: Case) -> None:
    text, document = documents(simple.reading)
    assert "No memory half-life of srnn: SimpleRNN has no gate" in text
    assert document["tables"]["memory"] == [] and "**Memory" not in text
    assert "±" not in text.split("**Gates by step")[1]


def test_a_model_without_recurrent_layers_says_so() -> None:
    model = make_model(layers.Flatten(), layers.Dense(4, activation="tanh", name="tanh"))
    x = np.random.default_rng(0).normal(size=(5, 6, 3)).astype(np.float32)
    text, document = documents(read_signals(KerasClassifier(model), x))
    assert "the model has no recurrent layer whose cell can be stepped" in text
    assert document["tables"]["gates"] == []
    assert "a tanh below −0.9" in text and "a sigmoid" not in text


@pytest.mark.parametrize("num_steps", [1, 6])
def test_one_example_has_no_interval(num_steps: int) -> None:
    model = make_model(layers.LSTM(3, name="lstm"), shape=(num_steps, 3))
    x = np.random.default_rng(0).normal(size=(1, num_steps, 3)).astype(np.float32)
    text, document = documents(read_signals(KerasClassifier(model), x))
    assert (
        "Over the steps of 1 example that count" in text and "one example has no interval" in text
    )
    for table in ("gates", "activations", "memory"):
        for row in document["tables"][table]:
            assert not any(
                value is not None for key, value in row.items() if key.endswith(("_low", "_high"))
            )
    assert "±" not in text.split("**")[0]
    (first, *_) = document["tables"]["gates"]
    assert first["dead"] == (None if num_steps == 1 else 0)
    assert ("Dead units" in text.split("**")[0]) == (num_steps > 1)


def test_no_counted_step_and_gates_beyond_one_have_no_numbers() -> None:
    model = make_model(layers.Masking(), layers.LSTM(3, recurrent_activation="relu", name="lstm"))
    x = padded()
    reading = read_signals(KerasClassifier(model), x)
    assert memory_of(memory_gates(reading.gates)[0]) is None
    text, document = documents(reading)
    assert "No memory half-life of lstm: its gate has values outside of [0, 1]" in text
    assert document["tables"]["gates"][1]["closed"] is None
    text, document = documents(read_signals(KerasClassifier(model), np.zeros_like(x)))
    assert [row["mean"] for row in document["tables"]["gates"]] == [None] * 6
    assert document["tables"]["gates_by_unit"] == document["tables"]["gates_by_step"] == []
    assert "no step" in text


def test_layers_left_out_are_grouped_by_reason() -> None:
    layers_out = (LeftOut("a", "X", "r1"), LeftOut("b*", "Y", "r2"), LeftOut("c", "X", "r1"))
    (finding,) = left_out_findings(Reading((), (), layers_out, (), 0.0))
    assert finding.sentence == r"Not looked into: a (X), c (X): r1; b\* (Y): r2"
    assert finding.value[1] == {"path": "b*", "kind": "Y", "reason": "r2"}
    assert left_out_findings(Reading((), (), (), (), 0.0)) == ()
    assert _activations.activations_findings(Reading((), (), (), (), 0.0))[0].value == 0


def test_names_are_escaped(simple: Case) -> None:
    renamed = [dataclasses.replace(one, path="a|b") for one in simple.reading.gates]
    text, _ = documents(simple.reading._replace(outputs=(), gates=tuple(renamed)))
    assert r": a\|b hidden state" in text and r"of a\|b: SimpleRNN" in text
    assert "a|b" not in text


def test_small_shares_keep_their_digits() -> None:
    shares = (0.1234, 0.00012, 0.0, 1.0, 0.9999)
    assert [percent(share) for share in shares] == ["12.3", "0.012", "0", "100", "100.0"]
