"""Gates, states and activations against plain NumPy, one unpadded sequence at a time."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

from rnnprobe.classifier import KerasClassifier
from rnnprobe.errors import ModelError
from rnnprobe.inspection._layers import walk
from rnnprobe.inspection._replay_check import check_replay
from rnnprobe.inspection.reading import Reading, read_signals, record_cells
from rnnprobe.inspection.signals import half_life

LENGTHS = np.array([7, 4, 0, 1, 6, 7, 3, 5, 2, 7])
MASK = np.arange(7) < LENGTHS[:, None]


@keras.saving.register_keras_serializable("test_reading")
class OwnCell(layers.Layer):
    """A cell that rnnprobe knows nothing of; its output is not its state."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = self.state_size = units

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")
        self.recurrent = self.add_weight(shape=(self.units, self.units), name="recurrent")

    def call(self, inputs: object, states: list[object]) -> tuple[object, list[object]]:
        after = keras.ops.sin(inputs @ self.kernel + states[0] @ self.recurrent)
        return 2 * after, [after]


def redrawn(*parts: layers.Layer, seed: int = 0, shape: tuple[int, ...] = (7, 3)) -> keras.Model:
    """Return a model with weights of no symmetry."""
    model = keras.Sequential([keras.Input(shape), *parts, layers.Dense(3)])
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape) * 0.7)
    return model


def values(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(10, 7, 3)).astype(np.float32)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def lstm_by_hand(x: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray):
    """Return every signal of one sequence, (num_steps, units) each."""
    units = len(recurrent)
    h = c = np.zeros(units)
    rows = []
    for step in x:
        parts = [
            step @ kernel[:, units * k : units * (k + 1)]
            + h @ recurrent[:, units * k : units * (k + 1)]
            + bias[units * k : units * (k + 1)]
            for k in range(4)
        ]
        i, f, g, o = sigmoid(parts[0]), sigmoid(parts[1]), np.tanh(parts[2]), sigmoid(parts[3])
        c = f * c + i * g
        h = o * np.tanh(c)
        rows.append((i, f, g, o, h, c))
    names = "input gate", "forget gate", "candidate", "output gate", "hidden state", "cell state"
    return dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))


def gru_by_hand(
    x: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray, *, after: bool
):
    units = len(recurrent)
    own, inner = (bias[0], bias[1]) if after else (bias, np.zeros(3 * units))
    columns = [slice(units * k, units * (k + 1)) for k in range(3)]
    h = np.zeros(units)
    rows = []
    for step in x:
        z, r = (
            sigmoid(step @ kernel[:, k] + own[k] + h @ recurrent[:, k] + inner[k])
            for k in columns[:2]
        )
        k = columns[2]
        if after:
            g = np.tanh(step @ kernel[:, k] + own[k] + r * (h @ recurrent[:, k] + inner[k]))
        else:
            g = np.tanh(step @ kernel[:, k] + own[k] + (r * h) @ recurrent[:, k])
        h = z * h + (1 - z) * g
        rows.append((z, r, g, h))
    names = "update gate", "reset gate", "candidate", "hidden state"
    return dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))


def rnn_by_hand(x: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray):
    h = np.zeros(len(recurrent))
    rows = []
    for step in x:
        h = np.tanh(step @ kernel + h @ recurrent + bias)
        rows.append(h)
    return {"hidden state": np.array(rows)}


def check_by_hand(
    model: keras.Model, path: str, by_hand: Callable[[np.ndarray], dict[str, np.ndarray]]
) -> None:
    """Compare the recorded signals of every sequence with those of the sequence by itself."""
    x = np.where(MASK[..., None], values(), 0)
    recorded = record_cells(KerasClassifier(model), x, MASK)[path]
    for row, length in enumerate(LENGTHS):
        if not length:
            continue
        for name, expected in by_hand(x[row, :length].astype(np.float64)).items():
            assert recorded[name][row, :length] == pytest.approx(expected, abs=1e-5), name
    assert all(np.isnan(array[~MASK]).all() for array in recorded.values())


def weights_of(layer: layers.RNN) -> list[np.ndarray]:
    return [np.asarray(weight, np.float64) for weight in layer.get_weights()]


def test_gates_of_an_lstm_are_those_of_plain_numpy() -> None:
    model = redrawn(layers.Masking(), layers.LSTM(5))
    kernel, recurrent, bias = weights_of(model.layers[1])
    check_by_hand(model, model.layers[1].name, lambda x: lstm_by_hand(x, kernel, recurrent, bias))


@pytest.mark.parametrize("after", [True, False])
def test_gates_of_a_gru_are_those_of_plain_numpy(after: bool) -> None:
    model = redrawn(layers.Masking(), layers.GRU(5, reset_after=after))
    kernel, recurrent, bias = weights_of(model.layers[1])
    check_by_hand(
        model,
        model.layers[1].name,
        lambda x: gru_by_hand(x, kernel, recurrent, bias, after=after),
    )


def test_states_of_a_simple_rnn_are_those_of_plain_numpy() -> None:
    model = redrawn(layers.Masking(), layers.SimpleRNN(5))
    kernel, recurrent, bias = weights_of(model.layers[1])
    check_by_hand(model, model.layers[1].name, lambda x: rnn_by_hand(x, kernel, recurrent, bias))


def test_a_backward_layer_is_told_in_the_order_of_the_input() -> None:
    model = redrawn(layers.Masking(), layers.Bidirectional(layers.LSTM(4)))
    backward = model.layers[1].backward_layer
    kernel, recurrent, bias = weights_of(backward)

    def by_hand(x: np.ndarray) -> dict[str, np.ndarray]:
        found = lstm_by_hand(x[::-1], kernel, recurrent, bias)
        return {name: array[::-1] for name, array in found.items()}

    check_by_hand(model, f"{model.layers[1].name}/{backward.name}", by_hand)


OPTIONS: dict[str, Callable[[], list[layers.Layer]]] = {
    "lstm without bias": lambda: [layers.LSTM(4, use_bias=False)],
    "gru without bias": lambda: [layers.GRU(4, use_bias=False)],
    "rnn without bias": lambda: [layers.SimpleRNN(4, use_bias=False)],
    "relu": lambda: [layers.SimpleRNN(4, activation="relu")],
    "other activations": lambda: [
        layers.LSTM(4, activation="softsign", recurrent_activation="hard_sigmoid")
    ],
    "implementation 1": lambda: [layers.GRU(4, recurrent_dropout=0.2, dropout=0.1)],
    "unrolled": lambda: [layers.LSTM(4, unroll=True)],
    "backwards": lambda: [layers.GRU(4, go_backwards=True)],
    "stacked": lambda: [layers.GRU(4, return_sequences=True), layers.LSTM(3)],
    "stacked cells": lambda: [layers.RNN([layers.LSTMCell(4), layers.GRUCell(3), OwnCell(2)])],
    "own cell": lambda: [layers.RNN(OwnCell(4))],
    "bidirectional": lambda: [
        layers.Bidirectional(layers.GRU(4, return_sequences=True)),
        layers.GlobalAveragePooling1D(),
    ],
    "zeros at masked steps": lambda: [
        layers.RNN(layers.LSTMCell(4), return_sequences=True, zero_output_for_mask=True),
        layers.GRU(3),
    ],
    "convolution first": lambda: [layers.Conv1D(4, 3, strides=2), layers.LSTM(4)],
}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_replay_is_the_model_for_every_cell_and_option(name: str) -> None:
    masked = [] if name == "convolution first" else [layers.Masking()]
    model = redrawn(*masked, *OPTIONS[name]())
    x = np.where((MASK | ~MASK.any(axis=1, keepdims=True))[..., None], values(), 0)
    classifier = KerasClassifier(model)
    reading = read_signals(classifier, x)
    assert reading.deviation <= 1e-6
    hidden = [gate for gate in reading.gates if gate.name.endswith("state")]
    assert hidden
    last = next(place for place in walk(model)[::-1] if isinstance(place.layer, layers.RNN))
    assert any(gate.path.startswith(last.path) for gate in hidden)
    assert classifier.logits(x) == pytest.approx(model.predict(x, verbose=0), abs=1e-6)


def test_a_stateful_model_of_one_batch_size_is_read_without_its_filling() -> None:
    model = keras.Sequential(
        [keras.Input(batch_shape=(4, 7, 3)), layers.LSTM(5, stateful=True), layers.Dense(3)]
    )
    free = keras.Sequential([keras.Input((7, 3)), layers.LSTM(5), layers.Dense(3)])
    free.set_weights(model.get_weights())
    mine, theirs = (read_signals(KerasClassifier(one), values()) for one in (model, free))
    for gate, other in zip(mine.gates, theirs.gates, strict=True):
        assert gate.mean == pytest.approx(other.mean, abs=1e-6)
        interval, expected = gate.estimate("mean").interval, other.estimate("mean").interval
        assert interval == pytest.approx(expected, abs=1e-6)
        assert gate.num_examples == 10


def test_statistics_are_those_of_the_unpadded_sequences_one_by_one() -> None:
    model = redrawn(layers.Masking(), layers.LSTM(5), seed=3, shape=(None, 3))
    x = np.where(MASK[..., None], 2 * values(), 0)
    classifier = KerasClassifier(model, batch_size=3)  # so that batches of several masks are joined
    gate = next(g for g in read_signals(classifier, x).gates if g.name == "forget gate")
    alone = KerasClassifier(model)
    pieces = [
        record_cells(alone, x[row : row + 1, :length])[model.layers[1].name]["forget gate"][0]
        for row, length in enumerate(LENGTHS)
        if length
    ]
    steps = np.concatenate(pieces).astype(np.float64)
    units = gate.units()
    assert units.mean == pytest.approx(steps.mean(axis=0), abs=1e-6)
    assert units.variance == pytest.approx(steps.var(axis=0), abs=1e-6)
    assert units.left == pytest.approx((steps < 0.1).mean(axis=0))
    assert units.right == pytest.approx((steps > 0.9).mean(axis=0))
    assert units.lowest == pytest.approx(steps.min(axis=0), abs=1e-6)
    assert units.highest == pytest.approx(steps.max(axis=0), abs=1e-6)
    assert gate.estimate("mean").value == pytest.approx(steps.mean(), abs=1e-6)
    assert gate.estimate("variance").value == pytest.approx(steps.var(), abs=1e-6)
    assert gate.count.tolist() == [(step < LENGTHS).sum() for step in range(7)]
    at_third = np.array([piece[2] for piece in pieces if len(piece) > 2], np.float64)
    assert gate.mean[2] == pytest.approx(at_third.mean(axis=0), abs=1e-6)
    assert gate.steps().variance[2] == pytest.approx(at_third.var(), abs=1e-6)
    assert gate.num_examples == len(pieces) == 9


def test_the_interval_of_a_mean_is_that_of_a_ratio_over_the_examples() -> None:
    model = redrawn(layers.Masking(), layers.LSTM(5), seed=3)
    x = np.where(MASK[..., None], values(), 0)
    gate = read_signals(KerasClassifier(model, batch_size=4), x).gates[1]
    raw = record_cells(KerasClassifier(model), x)[gate.path][gate.name].astype(np.float64)
    there = LENGTHS > 0
    for what, found in (("layer", raw.sum(axis=2) / 5), ("unit", raw[:, :, 2])):
        sums = np.nansum(found, axis=1)[there]
        mean = sums.sum() / LENGTHS.sum()
        linear = sums - mean * LENGTHS[there]
        error = np.sqrt((linear**2).sum() / 8 / 9) / LENGTHS[there].mean()
        half = 2.306004 * error  # t, 8 degrees of freedom
        if what == "layer":
            interval = gate.estimate("mean").interval
            assert interval is not None
            assert interval == pytest.approx((mean - half, mean + half), abs=1e-5)
        else:
            assert gate.units().half_width[2] == pytest.approx(half, rel=1e-4)


def test_outputs_of_every_layer_are_read_in_the_order_of_their_calls() -> None:
    inputs = keras.Input((8, 8, 1))
    hidden = layers.Conv2D(3, 3, activation="relu", name="conv")(inputs)
    hidden = layers.MaxPooling2D(name="pool")(hidden)
    hidden = layers.Dropout(0.5, name="drop")(layers.Flatten(name="flat")(hidden))
    hidden = layers.Dense(4, activation="tanh", name="dense")(hidden)
    model = keras.Model(inputs, layers.Dense(2, activation="softmax", name="head")(hidden))
    x = np.random.default_rng(0).normal(size=(20, 8, 8)).astype(np.float32)
    reading = read_signals(KerasClassifier(model), x)
    assert [(one.path, one.name, one.axis) for one in reading.outputs] == [
        ("conv", "output", "positions"),
        ("pool", "output", "positions"),
        ("dense", "output", None),
        ("head", "output before softmax", None),
    ]
    conv = np.asarray(keras.Model(inputs, model.get_layer("conv").output)(x[..., None]), np.float64)
    assert reading.outputs[0].units().mean == pytest.approx(conv.mean(axis=(0, 1, 2)), abs=1e-6)
    assert reading.outputs[0].estimate("zeros").value == pytest.approx((conv == 0).mean())
    assert reading.outputs[0].limits is None
    dense = np.asarray(keras.Model(inputs, model.get_layer("dense").output)(x[..., None]))
    assert reading.outputs[2].estimate("right").value == pytest.approx((dense > 0.9).mean())
    assert [(one.path, one.reason) for one in reading.left_out] == [
        ("flat", "it hands on what it is given"),
        ("drop", "it hands on what it is given"),
    ]


def read_one(*parts: layers.Layer, x: np.ndarray | None = None) -> Reading:
    return read_signals(KerasClassifier(redrawn(*parts)), values() if x is None else x)


def test_dead_and_always_open_units_are_found() -> None:
    model = redrawn(layers.LSTM(4))
    kernel, recurrent, bias = model.layers[0].get_weights()
    kernel[:, [1, 6, 13]] = recurrent[:, [1, 6, 13]] = 0  # of i, f and o
    bias[[1, 6, 13]] = -9, 9, -200
    model.layers[0].set_weights([kernel, recurrent, bias])
    gates = {gate.name: gate for gate in read_signals(KerasClassifier(model), values()).gates}
    assert gates["forget gate"].always_right == (2,)
    assert gates["input gate"].always_left == (1,)
    assert gates["hidden state"].dead == (1,)
    assert 1 in gates["output gate"].dead


def test_a_layer_that_is_called_twice_is_told_twice() -> None:
    inputs = keras.Input((7, 3))
    shared = layers.GRU(3, return_sequences=True, name="shared")
    model = keras.Model(inputs, layers.Dense(2)(shared(shared(inputs))[:, -1]))
    reading = read_signals(KerasClassifier(model), values())
    assert [one.path for one in reading.outputs[:2]] == ["shared", "shared (call 2)"]
    assert {one.path for one in reading.gates} == {"shared", "shared (call 2)"}


def test_what_cannot_be_stepped_is_named() -> None:
    class Own(layers.LSTM):
        def call(
            self,
            sequences: object,
            initial_state: object = None,
            mask: object = None,
            training: bool = False,
        ) -> object:
            return 2 * super().call(sequences, initial_state, mask, training)

    inner = layers.TimeDistributed(layers.GRU(2), name="each")
    reading = read_one(layers.Reshape((7, 3, 1)), inner, Own(3, name="own"), layers.Dense(2))
    assert reading.gates == ()
    reasons = {one.path: one.reason for one in reading.left_out}
    assert "TimeDistributed" in reasons["each"]
    assert "its own" in reasons["own"]
    model = redrawn(layers.Flatten())
    with pytest.raises(ModelError, match="no recurrent layer whose cell can be stepped"):
        record_cells(KerasClassifier(model), values())


def test_a_replay_that_is_not_the_model_is_refused() -> None:
    class Doubled(layers.LSTMCell):
        """Steps as an LSTM does, but looks as if it had other weights."""

        @property
        def recurrent_activation(self) -> Callable[[object], object]:
            calls.append(1)
            return keras.activations.sigmoid if len(calls) % 2 else keras.activations.hard_sigmoid

        @recurrent_activation.setter
        def recurrent_activation(self, value: object) -> None:
            del value

    calls: list[int] = []
    model = redrawn(layers.RNN(Doubled(4), name="odd"))
    with pytest.raises(ModelError, match=r"layer 'odd'.*other outputs than the model"):
        read_signals(KerasClassifier(model), values())


def test_the_tolerance_is_that_of_the_layers_precision() -> None:
    places = walk(redrawn(layers.LSTM(3, name="full")))
    check_replay([("full", 9e-6)], places)
    with pytest.raises(ModelError, match="by 2e-05, at most 1e-05"):
        check_replay([("full", 9e-6), ("full", 2e-5)], places)
    with pytest.raises(ModelError, match="by nan"):
        check_replay([("full", float("nan"))], places)
    half = walk(redrawn(layers.LSTM(3, name="half", dtype="mixed_float16")))
    check_replay([("half", 2e-3)], half)


def test_a_single_example_has_no_intervals() -> None:
    reading = read_one(layers.LSTM(3), x=values()[:1])
    assert all(one.estimate("mean").interval is None for one in reading.gates)
    assert np.isnan(reading.gates[0].units().half_width).all()


def test_a_share_that_is_0_in_all_examples_has_an_interval_all_the_same() -> None:
    output = read_one(layers.GRU(3)).outputs[0]
    zeros = output.estimate("zeros")
    assert zeros.value == 0
    assert zeros.interval == pytest.approx((0, 0.2775), abs=1e-4)  # Wilson of 0 in 10


def test_half_lives_are_those_of_powers() -> None:
    shares = np.array([0.3, 0.9, 0.999])
    assert shares ** half_life(shares) == pytest.approx(np.full(3, 0.5))


def test_a_layer_inside_of_a_loop_is_named_and_not_told_by_its_first_step() -> None:
    class Looped(layers.Layer):
        """Calls a layer step by step, in a graph of its own."""

        def __init__(self) -> None:
            super().__init__(name="looped")
            self.inner = layers.Dense(4, name="inner")

        def build(self, shape: tuple[int | None, ...]) -> None:
            self.inner.build((None, shape[-1]))

        def call(self, inputs: object) -> object:
            steps = keras.ops.transpose(inputs, (1, 0, 2))
            return keras.ops.transpose(keras.ops.map(self.inner, steps), (1, 0, 2))

    reading = read_one(Looped(), layers.GRU(3, name="gru"))
    assert [one.path for one in reading.outputs[:2]] == ["looped", "gru"]
    assert [one.path for one in reading.left_out] == ["looped/inner"]
    assert "inside of a loop" in reading.left_out[0].reason


def masked_reading(*parts: layers.Layer, shape: tuple[int, ...] = (7, 3)) -> Reading:
    """Read a model that is told by `Masking` which steps count."""
    x = np.where(MASK[..., None], values(), 0)
    return read_signals(KerasClassifier(redrawn(layers.Masking(), *parts, shape=shape)), x)


@pytest.mark.filterwarnings("ignore:.*passed an input with a mask")
def test_steps_that_are_not_those_of_the_input_are_counted_and_named() -> None:
    valid = masked_reading(layers.Conv1D(4, 3, name="conv"), layers.LSTM(3, name="lstm"))
    assert valid.outputs[0].count.tolist() == [10] * 5
    assert valid.all_counted == ("conv", "lstm")
    same = masked_reading(layers.Conv1D(4, 3, padding="same", name="conv"), layers.LSTM(3))
    assert same.outputs[0].count.tolist() == [(step < LENGTHS).sum() for step in range(7)]
    assert same.all_counted == ()


def test_a_decoder_reads_all_its_steps_whatever_the_inputs_padding() -> None:
    inputs = keras.Input((7, 3))
    state = layers.LSTM(4, name="encoder")(layers.Masking()(inputs))
    decoded = layers.GRU(3, return_sequences=True, name="decoder")(layers.RepeatVector(7)(state))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(decoded)))
    reading = read_signals(KerasClassifier(model), np.where(MASK[..., None], values(), 0))
    counts = {one.path: one.count.tolist() for one in reading.gates}
    assert counts["encoder"] == [(step < LENGTHS).sum() for step in range(7)]
    assert counts["decoder"] == [10] * 7
    assert reading.all_counted == ("decoder",)


@pytest.mark.filterwarnings("ignore:.*passed an input with a mask")
def test_positions_within_a_step_count_with_the_step() -> None:
    apart = layers.TimeDistributed(layers.Reshape((3, 2)), name="apart")
    each = layers.TimeDistributed(layers.Conv1D(4, 2), name="each")
    together = layers.TimeDistributed(layers.Flatten(), name="together")
    model = redrawn(layers.Masking(), apart, each, together, layers.LSTM(3), shape=(7, 6))
    x = np.where(MASK[..., None], np.random.default_rng(0).normal(size=(10, 7, 6)), 0)
    reading = read_signals(KerasClassifier(model), x.astype(np.float32))
    found = {one.path: one for one in reading.outputs}
    counts = [(step < LENGTHS).sum() for step in range(7)]
    assert found["each"].axis == "positions"
    assert found["each"].count.tolist() == np.repeat(counts, 2).tolist()
    assert found["together"].count.tolist() == counts
    assert reading.all_counted == ()


def test_states_handed_on_are_saturated_as_their_kind_allows() -> None:
    inputs = keras.Input((7, 3))
    _, hidden, memory = layers.LSTM(4, return_state=True, name="lstm")(inputs)
    decoded = layers.LSTM(4, name="second")(inputs, initial_state=[hidden, memory])
    model = keras.Model(inputs, layers.Softmax(name="softmax")(layers.Dense(2)(decoded)))
    reading = read_signals(KerasClassifier(model), values())
    limits = {one.name: one.limits for one in reading.outputs if one.path == "lstm"}
    assert limits == {"output": (-0.9, 0.9), "output 2": (-0.9, 0.9), "output 3": None}
    (left_out,) = reading.left_out
    assert (left_out.path, left_out.reason.split(",")[0]) == ("softmax", "what it is given")


@pytest.mark.filterwarnings("ignore:.*passed an input with a mask", "ignore:`build")
def test_attention_and_layers_that_return_more_than_tensors_are_read() -> None:
    class WithNothing(layers.Layer):
        def call(self, inputs: object) -> tuple[object, None]:
            return inputs, None

    class Attending(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.mask_ = layers.Masking()
            self.gru = layers.GRU(4, return_sequences=True, name="gru")
            self.attention = layers.Attention(name="attention")
            self.odd = WithNothing(name="odd")
            self.unused = layers.GRU(4, name="gru_1")
            self.head_ = layers.Dense(2, name="head")

        def call(self, inputs: object) -> object:
            states = self.gru(self.mask_(inputs))
            attended, _ = self.odd(self.attention([states, states]))
            return self.head_(keras.ops.mean(attended, axis=1))

    model = Attending()
    x = values()
    model(x)
    reading = read_signals(KerasClassifier(model), x)
    assert [one.path for one in reading.outputs] == ["gru", "attention", "odd", "head"]
    assert "gru_1" in {one.path for one in reading.left_out}
    assert "gru_1" in {
        one.path for one in read_signals(KerasClassifier(model), x, outputs=False)[2]
    }
