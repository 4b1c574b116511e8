"""Weights by gate, against NumPy on what was put there."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from rnnprobe.datasets._layout import lay_out, to_picture
from rnnprobe.inspection.input_weights import InputWeights, NoInputWeights, input_rows
from rnnprobe.inspection.weights import LARGEST_SPECTRUM, WeightBlock, read_weights
from rnnprobe.records import SequenceDataset
from rnnprobe.reports._weights import weights_findings, weights_tables
from rnnprobe.table import Report, markdown_table, to_json

L = keras.layers
LSTM = ("input", "forget", "candidate", "output")
GRU = ("update", "reset", "candidate")


def filled(*layers: Any, seed: int = 0) -> keras.Sequential:
    """Build a model and give each weight a random value of its own."""
    model = keras.Sequential(list(layers))
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        variable.assign(rng.normal(size=variable.shape))
    return model


def block(blocks: tuple[WeightBlock, ...], **wanted: object) -> WeightBlock:
    (found,) = [b for b in blocks if all(getattr(b, k) == v for k, v in wanted.items())]
    return found


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def steps(num_features: int = 3) -> np.ndarray:
    return np.random.default_rng(9).normal(size=(2, 4, num_features)).astype(np.float32)


def by_name(blocks: tuple[WeightBlock, ...]) -> dict[tuple[str, str | None], np.ndarray]:
    return {(b.part, b.gate): b.values for b in blocks}


@pytest.mark.parametrize("use_bias", [True, False])
def test_a_lstm_written_with_the_named_gates_is_keras_s(use_bias: bool) -> None:
    model = filled(keras.Input((4, 3)), L.LSTM(5, use_bias=use_bias))
    w = by_name(read_weights(model))
    h = c = np.zeros((2, 5))
    for x in steps().swapaxes(0, 1):
        z = {
            gate: x @ w["kernel", gate] + h @ w["recurrent kernel", gate]
            + (w["bias", gate] if use_bias else 0)
            for gate in LSTM
        }  # fmt: skip
        c = sigmoid(z["forget"]) * c + sigmoid(z["input"]) * np.tanh(z["candidate"])
        h = sigmoid(z["output"]) * np.tanh(c)
    np.testing.assert_allclose(h, model(steps()), atol=1e-5)
    assert len(w) == (12 if use_bias else 8)


@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("use_bias", [True, False])
def test_a_gru_written_with_the_named_gates_is_keras_s(reset_after: bool, use_bias: bool) -> None:
    model = filled(keras.Input((4, 3)), L.GRU(5, reset_after=reset_after, use_bias=use_bias))
    w = by_name(read_weights(model))
    h = np.zeros((2, 5))
    for x in steps().swapaxes(0, 1):
        own = "input bias" if reset_after else "bias"
        a = {g: x @ w["kernel", g] + w.get((own, g), 0) for g in GRU}
        u = {g: w["recurrent kernel", g] for g in GRU}
        b = {g: w.get(("recurrent bias", g), 0) for g in GRU}
        z = sigmoid(a["update"] + h @ u["update"] + b["update"])
        r = sigmoid(a["reset"] + h @ u["reset"] + b["reset"])
        if reset_after:
            new = np.tanh(a["candidate"] + r * (h @ u["candidate"] + b["candidate"]))
        else:
            new = np.tanh(a["candidate"] + (r * h) @ u["candidate"])
        h = z * h + (1 - z) * new
    np.testing.assert_allclose(h, model(steps()), atol=1e-5)
    assert len(w) == 6 + use_bias * (6 if reset_after else 3)


def test_numbers_are_those_of_numpy_on_columns_cut_by_hand() -> None:
    model = filled(keras.Input((4, 3)), L.LSTM(5))
    kernel, recurrent, bias = model.get_weights()
    blocks = read_weights(model)
    for index, gate in enumerate(LSTM):
        for part, whole in (("kernel", kernel), ("recurrent kernel", recurrent), ("bias", bias)):
            cut = np.stack([whole[..., 5 * index + j] for j in range(5)], axis=-1)
            found = block(blocks, part=part, gate=gate)
            np.testing.assert_array_equal(found.values, cut)
            assert found.shape == cut.shape and found.kind == "LSTM" and found.layer
            assert found.norm == pytest.approx(math.sqrt((cut.astype(float) ** 2).sum()))
            assert found.mean == pytest.approx(cut.astype(float).mean())
            assert found.deviation == pytest.approx(cut.astype(float).std())
            assert found.largest == pytest.approx(np.abs(cut).max())
            assert found.started_at_one == (part == "bias" and gate == "forget")
            if part == "recurrent kernel":
                eigenvalues = np.roots(np.poly(cut.astype(float)))
                assert found.spectral_radius == pytest.approx(np.abs(eigenvalues).max(), rel=1e-4)
            else:
                assert found.spectral_radius is None
            with pytest.raises(ValueError, match="read-only"):
                found.values[...] = 0


def test_the_spectral_radius_of_a_shrunk_rotation_is_its_shrinkage() -> None:
    model = filled(keras.Input((4, 3)), L.SimpleRNN(4))
    turn = np.array([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]])
    kernel, _, bias = model.get_weights()
    model.set_weights([kernel, 0.9 * turn, bias])
    found = block(read_weights(model), part="recurrent kernel")
    assert found.gate is None and found.kind == "SimpleRNN"
    assert found.spectral_radius == pytest.approx(0.9)
    (finding,) = weights_findings(read_weights(model))
    assert "0.900 (its powers fade in the end), largest singular value 0.900" in finding.sentence
    model.set_weights([kernel, turn, bias])
    assert "1 but for rounding" in weights_findings(read_weights(model))[0].sentence
    shear = np.triu(np.full((4, 4), 3.0), 1)
    model.set_weights([kernel, shear, bias])
    (finding,) = weights_findings(read_weights(model))
    value = finding.value[model.layers[0].name]
    assert value["spectral_radius"] == 0
    singular = math.sqrt(max(np.linalg.eigvalsh(shear @ shear.T)))
    assert value["largest_singular_value"] == pytest.approx(singular)


def test_the_forget_bias_is_marked_only_where_keras_put_one_there() -> None:
    for unit_forget_bias in (True, False):
        layers = L.LSTM(5, unit_forget_bias=unit_forget_bias, name="a|b")
        model = keras.Sequential([keras.Input((4, 3)), layers])
        forget = block(read_weights(model), part="bias", gate="forget")
        assert forget.started_at_one == unit_forget_bias
        assert (forget.mean == 1) == unit_forget_bias
        findings = {finding.key: finding for finding in weights_findings(read_weights(model))}
        assert ("forget_bias" in findings) == unit_forget_bias
        if unit_forget_bias:
            assert findings["forget_bias"].value == {"a|b": {"mean": 1.0, "sd": 0.0}}
            assert "a\\|b 1.000 (sd 0.000 over 5 units, +0.000" in findings["forget_bias"].sentence


@keras.saving.register_keras_serializable("tests")
class OwnCell(L.Layer):
    def __init__(self, units: int = 3, **options: Any) -> None:
        super().__init__(**options)
        self.state_size = self.output_size = units

    def build(self, shape: tuple[int, ...]) -> None:
        self.kernel = self.add_weight((shape[-1], 4 * self.state_size), name="kernel")
        self.pull = self.add_weight((), name="pull")

    def call(self, x: Any, states: Any) -> tuple[Any, Any]:
        h = self.pull * states[0] + (x @ self.kernel)[:, : self.state_size]
        return h, [h]


class OtherOrder(L.LSTMCell):
    def call(self, x: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        return super().call(x, states[::-1], training)


class OwnLayer(L.Layer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.first, self.second = L.Dense(2, name="dense"), L.Dense(3, name="dense")
        self.scale = self.add_weight((2,), name="scale")

    def call(self, x: Any) -> Any:
        return self.second(self.scale * self.first(x))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.cell_layer = L.RNN(OtherOrder(3))
        self.own = OwnLayer()

    def call(self, x: Any) -> Any:
        return self.own(self.cell_layer(x))


@pytest.fixture(scope="module")
def zoo() -> keras.Model:
    """Nested, shared, stacked, custom and wrapped layers in one model."""
    shared = L.Dense(4, name="shared")
    inner = keras.Sequential(
        [
            keras.Input((4, 3)),
            L.Bidirectional(L.LSTM(2, return_sequences=True, name="r"), name="both"),
        ],
        name="inner",
    )
    x = keras.Input((4, 3))
    h = L.BatchNormalization()(inner(x))
    h = shared(L.TimeDistributed(shared)(h))
    cells = [L.LSTMCell(3), L.GRUCell(2, reset_after=False), L.SimpleRNNCell(5), OwnCell(3)]
    h = L.RNN(cells, return_sequences=True, name="stack")(h)
    h = L.RNN(OwnCell(3), return_sequences=True, name="own")(h)
    h = L.MultiHeadAttention(2, 3, name="attention")(h, h)
    h = L.RNN(L.LSTMCell(3), return_sequences=True, name="plain")(h)
    picture = L.Reshape((4, 3, 1, 1))(h)
    h = L.ConvLSTM2D(2, (2, 1), name="film")(picture)
    return keras.Model(x, L.Dense(2)(L.Flatten()(h)))


def test_no_weight_is_left_out_and_none_comes_twice(zoo: keras.Model) -> None:
    subclassed = Subclassed()
    subclassed(steps())
    for model in (zoo, subclassed):
        blocks = read_weights(model)
        assert sum(b.values.size for b in blocks) == model.count_params()
        names = [(b.layer, b.part, b.gate) for b in blocks]
        assert len(set(names)) == len(names)
        stored = np.sort(np.concatenate([np.ravel(w) for w in model.get_weights()]))
        found = np.sort(np.concatenate([b.values.ravel() for b in blocks]))
        np.testing.assert_array_equal(found, stored)


def test_gates_are_told_in_every_place_and_guessed_in_none(zoo: keras.Model) -> None:
    blocks = read_weights(zoo)
    gates: dict[str, list[str | None]] = {}
    for b in blocks:
        if b.part == "kernel":
            gates.setdefault(b.layer, []).append(b.gate)
    assert gates["inner/both/forward_r"] == list(LSTM)
    assert gates["inner/both/backward_r"] == list(LSTM)
    stacked = [name for name in gates if name.startswith("stack/")]
    assert [gates[name] for name in stacked] == [list(LSTM), list(GRU), [None], [None]]
    assert gates["own"] == [None]
    assert block(blocks, layer="own", part="pull").shape == ()
    assert gates["plain"] == gates["film"] == list(LSTM)
    assert block(blocks, layer="plain", part="bias", gate="forget").kind == "LSTMCell"
    film = block(blocks, layer="film", part="recurrent kernel", gate="forget")
    assert film.shape == (2, 1, 2, 2) and film.spectral_radius is None
    assert {b.part for b in blocks if b.layer == "attention"} >= {"query/kernel", "key/bias"}


def test_a_cell_that_steps_in_its_own_way_has_no_gates() -> None:
    model = Subclassed()
    model(steps())
    kinds = {(b.kind, b.part, b.gate) for b in read_weights(model) if b.kind == "OtherOrder"}
    parts = ("kernel", "recurrent_kernel", "bias")
    assert kinds == {("OtherOrder", part, None) for part in parts}


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have:UserWarning")
def test_odd_weights_are_told_of_and_crash_nothing() -> None:
    model = filled(keras.Input((4, 3)), L.LSTM(5, name="r"), L.Dense(3, name="d"), L.Dense(1))
    kernel, recurrent, bias, *dense = model.get_weights()
    kernel[1, 6], recurrent[2, 2], recurrent[0, 17] = np.nan, np.inf, np.nan
    model.set_weights([kernel, recurrent, 0 * bias, *dense])
    model.get_layer("d").quantize("int8")
    blocks = read_weights(model)
    bad = block(blocks, layer="r", part="recurrent kernel", gate="input")
    assert (bad.norm, bad.mean, bad.deviation, bad.largest, bad.spectral_radius) == (None,) * 5
    assert bad.notes == ("1 of 25 are no finite numbers",)
    good = block(blocks, layer="r", part="recurrent kernel", gate="forget")
    assert good.spectral_radius is not None
    assert block(blocks, layer="d", part="kernel").notes == ("stored as int8",)
    findings = {finding.key: finding for finding in weights_findings(blocks)}
    assert findings["weights_not_finite"].value == [
        "r kernel forget", "r recurrent kernel input", "r recurrent kernel output"
    ]  # fmt: skip
    assert set(findings["weights_all_zero"].value) == {f"r bias {gate}" for gate in LSTM}
    assert "weights_by_gate" not in findings
    table = weights_tables(blocks)["weights"]
    assert "no finite numbers" in markdown_table(table)
    assert "NaN" not in to_json(Report("inspect", "", table, tuple(findings.values())))


def test_huge_and_tiny_weights_keep_their_norm() -> None:
    model = filled(keras.Input((3,)), L.Dense(2, dtype="float64"))
    model.set_weights([np.full((3, 2), 1e200), np.array([3e-200, 4e-200])])
    kernel, bias = read_weights(model)
    assert kernel.norm == pytest.approx(1e200 * math.sqrt(6)) and kernel.deviation == 0
    assert bias.norm == pytest.approx(5e-200) and bias.mean == pytest.approx(3.5e-200)


def test_eigenvalues_above_the_limit_are_left_out_and_said_to_be() -> None:
    units = LARGEST_SPECTRUM + 1
    layer = L.SimpleRNN(units, recurrent_initializer="glorot_uniform", name="wide")
    blocks = read_weights(keras.Sequential([keras.Input((2, 1)), layer]))
    wide = block(blocks, part="recurrent kernel")
    assert wide.spectral_radius is None and "1,024 units" in wide.notes[0]
    keys = {finding.key: finding.value for finding in weights_findings(blocks)}
    assert keys["spectral_radius_left_out"] == {"wide": units} and "spectral_radius" not in keys


def test_half_precision_is_read() -> None:
    model = filled(keras.Input((3,)), L.Dense(2, dtype="bfloat16"))
    kernel = np.asarray(model.layers[0].kernel, np.float32)
    found = block(read_weights(model), part="kernel")
    np.testing.assert_array_equal(found.values, kernel)
    assert found.mean == pytest.approx(kernel.astype(float).mean()) and found.notes == ()


def test_shares_of_the_gates_sum_to_one_and_are_those_of_the_squares() -> None:
    model = filled(keras.Input((4, 3)), L.GRU(2, name="g"))
    blocks = read_weights(model)
    (finding,) = [f for f in weights_findings(blocks) if f.key == "weights_by_gate"]
    squares = (model.get_weights()[1] ** 2).sum(axis=0).reshape(3, 2).sum(axis=1)
    np.testing.assert_allclose([*finding.value["g"].values()], squares / squares.sum(), rtol=1e-5)
    assert list(finding.value["g"]) == list(GRU)


def shown(model: keras.Model, dataset: SequenceDataset) -> InputWeights:
    found = input_rows(model, dataset)
    assert isinstance(found, InputWeights)
    return found


def test_the_first_recurrent_layer_shows_its_kernel(values: SequenceDataset) -> None:
    model = filled(
        keras.Input((6, 3)), L.Masking(), L.BatchNormalization(), L.Bidirectional(L.GRU(4))
    )
    found = shown(model, values)
    (both,) = [layer for layer in model.layers if isinstance(layer, L.Bidirectional)]
    kernels = [both.forward_layer.cell.kernel, both.backward_layer.cell.kernel]
    assert [panel.gate for panel in found.panels] == [*GRU, *GRU]
    whole = np.hstack([panel.values for panel in found.panels])
    np.testing.assert_array_equal(whole, np.hstack([np.asarray(k) for k in kernels]))
    assert "/forward_" in found.note and " and " in found.note
    assert (found.rows, found.labels, found.num_rows) == ("input", (), 3)


def test_tokens_show_what_they_add_to_each_gate(names: SequenceDataset) -> None:
    size = names.num_tokens
    model = filled(
        keras.Input((None,)), L.Embedding(size, 4), L.SpatialDropout1D(0.1), L.LSTM(3), L.Dense(2)
    )
    table, kernel = model.get_weights()[:2]
    found = shown(model, names)
    for index, panel in enumerate(found.panels):
        product = [[sum(row * kernel[:, 3 * index + u]) for u in range(3)] for row in table]
        np.testing.assert_allclose(panel.values, product, atol=1e-5)
    assert names.vocabulary is not None
    assert found.labels == ("padding", "unknown", *names.vocabulary[2:])
    assert (found.rows, found.columns) == ("token", "unit")


def test_an_embedding_that_something_else_reads_is_shown_itself(names: SequenceDataset) -> None:
    size = names.num_tokens
    model = filled(keras.Input((9,)), L.Embedding(size, 4), L.Conv1D(4, 2), L.LSTM(3), L.Dense(2))
    found = shown(model, names)
    np.testing.assert_array_equal(found.panels[0].values, model.get_weights()[0])
    assert (found.columns, found.panels[0].gate, found.labels[0]) == ("dimension", None, "padding")


def test_of_many_tokens_the_largest_are_kept_in_order(names: SequenceDataset) -> None:
    model = filled(keras.Input((9,)), L.Embedding(300, 4), L.GRU(3))
    table, kernel = model.get_weights()[:2]
    table[7] = np.nan
    norms = np.linalg.norm(np.delete(table, 7, axis=0) @ kernel, axis=1)
    found = shown(model, names)
    assert found.num_rows == 300 and len(found.labels) == 100
    kept = np.hstack([panel.values for panel in found.panels])
    assert np.linalg.norm(kept, axis=1).min() >= np.sort(norms)[-101]
    model.layers[0].set_weights([table])
    kept = np.hstack([panel.values for panel in shown(model, names).panels])
    expected = [row for row in table @ kernel if np.linalg.norm(row) >= np.sort(norms)[-100]]
    np.testing.assert_allclose(kept, expected, atol=1e-5)


@pytest.mark.parametrize("layout", ["rows", "columns", "permuted-pixels"])
def test_a_dense_layer_on_pictures_shows_pictures(pictures: SequenceDataset, layout: str) -> None:
    rng = np.random.default_rng(3)
    templates = rng.normal(size=(5, 12, 12, 1)).astype(np.float32)
    sequences = lay_out(templates, layout)
    np.testing.assert_array_equal(to_picture(sequences[2], (12, 12, 1), layout), templates[2])
    split = replace(pictures.test, x=sequences[:1], y=np.zeros(1, np.int32))
    dataset = replace(pictures, test=split, layout=layout)
    model = filled(keras.Input(sequences.shape[1:]), L.Flatten(), L.Dense(5))
    model.set_weights([sequences.reshape(5, -1).T, np.zeros(5)])
    found = shown(model, dataset)
    assert (found.kind, found.columns) == ("pictures", "unit")
    np.testing.assert_array_equal(np.moveaxis(found.panels[0].values, -1, 0), templates)


def test_pictures_turned_round_on_the_way_are_shown_as_rows(pictures: SequenceDataset) -> None:
    model = filled(keras.Input((12, 12)), L.Permute((2, 1)), L.Flatten(), L.Dense(2))
    assert shown(model, pictures).kind == "rows"


def test_filters_are_shown_as_they_are(pictures: SequenceDataset) -> None:
    for layers in (
        (L.Reshape((12, 12, 1)), L.Conv2D(3, (2, 4))),
        (L.Conv1D(3, 4),),
    ):
        model = filled(keras.Input((12, 12)), *layers, L.Flatten(), L.Dense(2))
        found = shown(model, pictures)
        assert (found.kind, found.columns) == ("filters", "filter")
        np.testing.assert_array_equal(found.panels[0].values, model.get_weights()[0])


def test_a_kernel_with_an_adapter_is_shown_with_it_and_listed_in_parts(
    pictures: SequenceDataset,
) -> None:
    model = filled(keras.Input((12, 12)), L.Flatten(), L.Dense(5, name="d"))
    model.get_layer("d").enable_lora(2)
    a, b = (model.get_layer("d").weights[i] for i in (-2, -1))
    b.assign(np.ones(b.shape))
    kernel = {w.name: np.asarray(w) for w in model.weights}["kernel"]
    whole = kernel + np.asarray(a) @ np.asarray(b)
    drawn = shown(model, pictures).panels[0].values
    np.testing.assert_allclose(drawn.reshape(144, 5), whole, atol=1e-5)
    assert {"kernel", "bias", a.name, b.name} == {block.part for block in read_weights(model)}


def test_what_cannot_be_shown_says_why(values: SequenceDataset) -> None:
    own = filled(keras.Input((6, 3)), L.RNN(OwnCell(3), name="mine"))
    found = input_rows(own, values)
    assert isinstance(found, NoInputWeights) and "mine, is a RNN" in found.reason
    empty = keras.Sequential([keras.Input((6, 3)), L.GlobalAveragePooling1D()])
    found = input_rows(empty, values)
    assert isinstance(found, NoInputWeights) and "no layer has weights" in found.reason
