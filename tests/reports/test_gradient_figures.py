"""Gradients through time as tables, sentences and a picture."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from rnnprobe.inspection.gradients import GradientFlow
from rnnprobe.reports._figures import save_figures
from rnnprobe.reports._gradient_figures import gradients_figure
from rnnprobe.reports._gradients import (
    FlowsByModel,
    gradients_findings,
    gradients_note,
    gradients_tables,
)
from rnnprobe.table import Report, to_csv, to_json, to_markdown


def flow(
    factor: float,
    num_steps: int = 28,
    num_examples: int = 30,
    *,
    path: str = "lstm",
    state: str = "hidden state",
    backwards: bool = False,
    lengths: np.ndarray | None = None,
) -> GradientFlow:
    """Return gradients that change by about a factor a step back."""
    rng = np.random.default_rng(num_steps)
    noise = np.exp(rng.normal(size=(num_examples, num_steps)) / 10)
    distances = np.arange(num_steps) if backwards else np.arange(num_steps)[::-1]
    with np.errstate(over="ignore"):
        norms = (noise * float(factor) ** distances).astype(np.float32)
    longest = np.full(num_examples, num_steps) if lengths is None else lengths
    counted = np.arange(num_steps) < longest[:, np.newaxis]
    return GradientFlow(path, "LSTM", state, backwards, norms, np.ones(num_examples), counted)


def report_of(flows: FlowsByModel) -> Report:
    tables = gradients_tables(flows)
    findings = gradients_findings(flows)
    rest = {key: table for key, table in tables.items() if key != "gradients"}
    return Report("inspect", "x", tables["gradients"], findings=findings, tables=rest)


def sentences(flows: FlowsByModel) -> str:
    note = gradients_note([flow for own in flows.values() for flow in own])
    return " ".join([*(finding.sentence for finding in gradients_findings(flows)), note])


def test_tables_hold_the_numbers_in_full_and_no_more_names_than_needed() -> None:
    own = flow(0.9)
    document = json.loads(to_json(report_of({"m": [own]})))
    (row,) = document["rows"]
    summary = own.summary
    assert summary.ratio.interval is not None and summary.decay.value is not None
    assert [row[key] for key in ("ratio", "ratio_low", "ratio_high")] == [
        summary.ratio.value,
        *summary.ratio.interval,
    ]
    assert (row["layer"], row["state"], row["n"]) == ("lstm", "hidden state", 30)
    assert (row["decay"], row["verdict"]) == (summary.decay.value, "healthy")
    assert row["half_life"] == pytest.approx(np.log(2) / -np.log(summary.decay.value))
    assert "model" not in row and "reads" not in row
    steps = document["tables"]["gradients_by_step"]
    assert [row["steps_back"] for row in steps] == [0, 1, 2, 3, 5, 10, 20, "first"]
    assert steps[4]["ratio"] == summary.course.median[5] and steps[4]["n"] == 30
    assert (steps[-1]["ratio"], steps[-1]["ratio_low"]) == (row["ratio"], row["ratio_low"])
    assert "gradients_beside" not in document["tables"]


def test_a_long_sequence_has_rows_at_1_2_5_and_their_tens() -> None:
    tables = gradients_tables({"m": [flow(0.999, 784, 7)]})
    assert [row[2] for row in tables["gradients_by_step"].rows] == [
        *(0, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, "first")
    ]


def test_states_of_several_models_stand_beside_each_other_with_their_intervals() -> None:
    lengths = np.arange(30) % 12 + 1
    flows = {
        "a|b": [flow(0.7, 12, lengths=lengths, path="rnn")],
        "l": [flow(0.8, 12), flow(0.95, 12, state="cell state")],
        "bi": [flow(0.9, 12, path="backward", backwards=True)],
    }
    report = report_of(flows)
    beside = report.tables["gradients_beside"]
    titles = [c.title for c in beside.columns if not c.bracketed]
    assert titles[1:3] == [r"a\|b, rnn, hidden state, from the start", "n"]
    assert titles[3:] == [
        "l, lstm, hidden state, from the start",
        "l, lstm, cell state, from the start",
        "bi, backward, hidden state, from the end",
    ]
    summary = flows["a|b"][0].summary
    by_step = {row["steps_back"]: row for row in beside.records()}
    keys = ("state_1", "state_1_low", "state_1_high", "n_1")
    assert [by_step[5][key] for key in keys] == [part[5] for part in summary.course]
    assert by_step["first"]["state_1"] == summary.ratio.value
    assert by_step[10]["state_4"] == flows["bi"][0].summary.course.median[10]
    rows = report.main.records()
    assert [row["model"] for row in rows] == ["a|b", "l", "l", "bi"]
    assert [row["reads"] for row in rows] == ["from the start"] * 3 + ["from the end"]
    assert to_csv(report).count("\n") == 5 and r"a\|b" in to_markdown(report)


def test_each_verdict_names_its_threshold_and_what_it_is_over() -> None:
    text = sentences({"m": [flow(0.5)]})
    assert "lstm, hidden state: **vanishing**: the gradient at the step read first" in text
    assert "28 steps (n = 30)" in text and "all of the interval is below 0.01" in text
    assert "the gradient's half-life 1" in text and "a convention of this report" in text
    assert "not that with respect to the layer's output" in text
    assert "memory of an LSTM" not in text
    grown = sentences({"m": [flow(1.3, state="cell state")]})
    assert "**exploding**" in grown and "above 100" in grown and "it grows" in grown
    assert "memory of an LSTM is its cell state" in grown
    healthy = sentences({"m": [flow(0.97)]})
    assert "**healthy**" in healthy and "the gradient's half-life 22.8" in healthy
    held = flow(0.5, 8, 30)
    norms = held.log_odds_norms.copy()
    norms[::2] = 1
    assert "**undecided**" in sentences({"m": [flow(0.5, 8, 5)]})
    mixed = dataclasses.replace(held, log_odds_norms=norms)
    assert "the interval holds 0.01" in sentences({"m": [mixed]})
    flat = dataclasses.replace(held, log_odds_norms=np.ones_like(norms))
    assert "× 1 [1, 1] a step back, neither fading nor growing measurably" in sentences(
        {"m": [flat]}
    )


def test_zeros_overflow_and_examples_without_a_part_are_counted_in_words() -> None:
    whole = flow(0.9, 6, 12)
    norms, counted = whole.log_odds_norms.copy(), whole.counted.copy()
    norms[:3, 0], norms[3:5, 0], norms[5, -1], counted[6] = 0, np.inf, 0, False
    odd = GradientFlow("g", "GRU", "hidden state", False, norms, whole.doubt, counted)
    text = sentences({"m": [odd]})
    assert "in 3 of the 10 it is exactly 0 at the step read first" in text
    assert "in 2 of the 10 it is too large for the model's numbers" in text
    assert (
        "1 example took no part, with a gradient of 0 at the step read last, as where the model's "
        "own probabilities are rounded to 0 or 1, or no finite one" in text
    )
    assert "1 example took no part, without a step that counts" in text


def test_padding_that_a_layer_reads_is_told() -> None:
    read = dataclasses.replace(flow(0.9), padding_read=12)
    (finding,) = gradients_findings({"m": [read]})
    assert finding.sentence.endswith(
        "no mask tells it to skip the steps at which the input is padding, which 12 examples "
        "have: they are in the distances"
    )
    assert finding.value["padding_read"] == 12
    one = dataclasses.replace(read, padding_read=1)
    assert "which 1 example has: they are" in sentences({"m": [one]})
    assert "padding" not in sentences({"m": [flow(0.9)]})


def test_models_are_compared_by_the_state_that_carries_the_memory() -> None:
    flows: FlowsByModel = {
        "rnn": [flow(0.8)],
        "lstm": [flow(0.5), flow(0.99, state="cell state")],
        "cnn": [],
    }
    *_, finding = gradients_findings(flows)
    assert finding.value["largest"] == "lstm"
    assert "lstm (cell state)" in finding.sentence
    assert "it is largest in lstm, whose interval is above all others" in finding.sentence
    assert "another run of the same kind may come out elsewhere" in finding.sentence
    assert "no recurrent layer whose states could be followed in cnn" in sentences(flows)
    *_, equal = gradients_findings({"a": [flow(0.8)], "b": [flow(0.8)]})
    assert equal.value["largest"] is None and "is not told" in equal.sentence
    *_, other = gradients_findings({"a": [flow(0.8)], "b": [flow(0.5, 9)]})
    assert other.value["largest"] is None
    assert "different numbers of steps, so the ratios are not compared" in other.sentence


def test_findings_have_keys_of_their_own() -> None:
    flows = {name: [flow(0.8), flow(0.9, state="cell state")] for name in "ab"}
    keys = [finding.key for finding in gradients_findings(flows)]
    assert len(set(keys)) == len(keys) == 5


CASES: dict[str, FlowsByModel] = {
    "three models": {
        "rnn": [flow(0.8, path="simple_rnn")],
        "lstm": [flow(0.9), flow(0.99, state="cell state")],
        "gru $": [flow(0.95, path="gru", lengths=np.arange(30) % 28 + 1)],
    },
    "many layers": {
        name: [flow(0.9, 9, path=f"a_layer_with_quite_a_long_name_{i}") for i in range(3)]
        for name in ("one", "a model with a name that is very long indeed")
    },
    "underflow and overflow": {"m": [flow(0.5, 784, 6), flow(1.3, 784, 6, path="gru")]},
    "one example": {"m": [flow(0.9, 9, 1)]},
    "one step": {"m": [flow(0.9, 1)]},
    "no gradient": {"m": [flow(0.0, 1, lengths=np.zeros(30))]},
    "nothing": {"m": []},
}


@pytest.mark.parametrize("case", CASES)
def test_every_case_is_drawn_and_reported(case: str, tmp_path: Path) -> None:
    text = to_markdown(report_of(CASES[case]))
    assert "nan" not in text
    figure = gradients_figure(CASES[case], case)
    (path,) = save_figures(tmp_path, {"gradients.png": figure})
    assert path.stat().st_size > 4_000
    texts = figure.findobj(lambda artist: hasattr(artist, "get_fontsize"))
    assert min(one.get_fontsize() for one in texts if one.get_text()) >= 8


def test_the_lines_are_the_medians_and_time_runs_to_the_right() -> None:
    flows = {"a": [flow(0.8)], "b": [flow(0.9), flow(0.95, state="cell state")]}
    (axes,) = gradients_figure(flows, "x").axes
    drawn = [line for line in axes.lines if len(line.get_xdata()) == 28]
    for own, line in zip([flow for two in flows.values() for flow in two], drawn, strict=True):
        assert np.asarray(line.get_ydata()) == pytest.approx(own.summary.course.median)
    assert [line.get_linestyle() for line in drawn] == ["-", "-", "--"]
    assert drawn[0].get_color() != drawn[1].get_color() == drawn[2].get_color()
    left, right = axes.get_xlim()
    assert left > 27 and right < 0 and axes.get_yscale() == "log"


def test_layers_that_hand_on_every_step_are_not_judged() -> None:
    direct = dataclasses.replace(flow(1.3), every_step=True)
    text = sentences({"m": [direct]})
    assert "not judged, since later layers read every step directly" in text
    assert "**exploding**" not in text and "half-life" not in text
    (row,) = report_of({"m": [direct]}).main.records()
    assert (row["verdict"], row["half_life"]) == ("not judged", None)


def test_different_lengths_are_told_beside_the_fit() -> None:
    lengths = np.arange(30) % 12 + 2
    assert "sequences of all lengths together" in sentences({"m": [flow(0.9, 13, lengths=lengths)]})
    assert "sequences of all lengths together" not in sentences({"m": [flow(0.9)]})
