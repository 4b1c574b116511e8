"""Gradients through time, against brute force, closed forms and scipy."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from rnnprobe.classifier import KerasClassifier
from rnnprobe.errors import DataError, ModelError
from rnnprobe.inspection._gradient_statistics import GradientSummary, summarize
from rnnprobe.inspection.decisions import median_of
from rnnprobe.inspection.gradients import GradientFlow, gradients_through_time

STEPS, FEATURES, CLASSES = 6, 2, 3
Weights = Sequence[np.ndarray]
Nudges = dict[tuple[int, int], np.ndarray]


def sequential(*given: keras.layers.Layer, steps: int | None = STEPS) -> KerasClassifier:
    """Return a model with weights that no symmetry hides."""
    model = keras.Sequential([keras.Input((steps, FEATURES)), *given, layers.Dense(CLASSES)])
    rng = np.random.default_rng(len(model.weights))
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape) * 0.7)
    return KerasClassifier(model)


def examples(number: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(number, STEPS, FEATURES)).astype(np.float32)
    return x, rng.integers(0, CLASSES, number).astype(np.int32)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def step(kind: str, weights: Weights, x: np.ndarray, states: Weights, nudges: Weights) -> Weights:
    """Return the new states of one cell in plain NumPy, with what is added to them."""
    kernel, recurrent, bias = weights
    h = states[0]
    if kind == "rnn":
        return [np.tanh(x @ kernel + h @ recurrent + bias) + nudges[0]]
    if kind == "lstm":
        i, f, c, o = np.split(x @ kernel + h @ recurrent + bias, 4)
        memory = sigmoid(f) * states[1] + sigmoid(i) * np.tanh(c) + nudges[1]
        return [sigmoid(o) * np.tanh(memory) + nudges[0], memory]
    z, r, c = np.split(kernel, 3, axis=1)
    uz, ur, uc = np.split(recurrent, 3, axis=1)
    given, again = (bias, 0 * bias) if bias.ndim == 1 else bias
    bz, br, bc = np.split(given, 3)
    az, ar, ac = np.split(again, 3)
    update, reset = sigmoid(x @ z + bz + h @ uz + az), sigmoid(x @ r + br + h @ ur + ar)
    past = reset * (h @ uc + ac) if kind == "gru after" else (reset * h) @ uc
    return [update * h + (1 - update) * np.tanh(x @ c + bc + past) + nudges[0]]


def scan(
    kind: str,
    weights: Weights,
    x: np.ndarray,
    keep: np.ndarray,
    nudges: Sequence[np.ndarray],
    *,
    backwards: bool = False,
) -> np.ndarray:
    """Return the hidden state after every step of one example, the state read last at -1."""
    units = weights[1].shape[0]
    states: Weights = [np.zeros(units)] * len(nudges)
    order = range(len(x))[::-1] if backwards else range(len(x))
    found = []
    for index in order:
        if keep[index]:
            added = [nudge[index] for nudge in nudges]
            states = step(kind, weights, x[index], states, added)
        found.append(states[0])
    return np.array(found)


def grouped(model: keras.Model) -> list[Weights]:
    """Return the weights as float64, three a cell, then the head's two."""
    own = [np.asarray(weight, np.float64) for weight in model.get_weights()]
    return [own[i : i + 3] for i in range(0, len(own) - 2, 3)] + [own[-2:]]


def alone(cells: list[Weights], x: np.ndarray, keep: np.ndarray, nudge: Nudges) -> np.ndarray:
    return scan("lstm", cells[0], x, keep, [nudge[0, 0], nudge[0, 1]])[-1]


def stacked(cells: list[Weights], x: np.ndarray, keep: np.ndarray, nudge: Nudges) -> np.ndarray:
    lower = scan("gru after", cells[0], x, keep, [nudge[0, 0]])
    return scan("gru before", cells[1], lower, keep, [nudge[1, 0]])[-1]


def both_ways(cells: list[Weights], x: np.ndarray, keep: np.ndarray, nudge: Nudges) -> np.ndarray:
    forward = scan("lstm", cells[0], x, keep, [nudge[0, 0], nudge[0, 1]])
    backward = scan("lstm", cells[1], x, keep, [nudge[1, 0], nudge[1, 1]], backwards=True)
    return np.concatenate([forward[-1], backward[-1]])


def pooled(cells: list[Weights], x: np.ndarray, keep: np.ndarray, nudge: Nudges) -> np.ndarray:
    forward = scan("rnn", cells[0], x, keep, [nudge[0, 0]])
    backward = scan("rnn", cells[1], x, keep, [nudge[1, 0]], backwards=True)
    return np.concatenate([forward, backward], axis=1).mean(axis=0)


MODELS: dict[str, Any] = {
    "lstm": (lambda: sequential(layers.LSTM(3)), alone, [(0, 0), (0, 1)]),
    "stacked masked": (
        lambda: sequential(
            layers.Masking(),
            layers.GRU(3, return_sequences=True),
            layers.GRU(4, reset_after=False),
            steps=None,
        ),
        stacked,
        [(0, 0), (1, 0)],
    ),
    "both ways": (
        lambda: sequential(layers.Bidirectional(layers.LSTM(3))),
        both_ways,
        [(0, 0), (0, 1), (1, 0), (1, 1)],
    ),
    "pooled": (
        lambda: sequential(
            layers.Bidirectional(layers.SimpleRNN(3, return_sequences=True)),
            layers.GlobalAveragePooling1D(),
        ),
        pooled,
        [(0, 0), (1, 0)],
    ),
}  # fmt: skip


def padded() -> tuple[np.ndarray, np.ndarray]:
    """Return examples with steps to leave out at the end, in front and between."""
    x, y = examples()
    x[0, 4:], x[1, :2], x[2, 3] = 0, 0, 0
    return x, y


class Found(NamedTuple):
    classifier: KerasClassifier
    x: np.ndarray
    y: np.ndarray
    flows: tuple[GradientFlow, ...]


@functools.cache
def found_in(name: str) -> Found:
    classifier = MODELS[name][0]()
    x, y = padded() if "masked" in name else examples()
    return Found(classifier, x, y, gradients_through_time(classifier, x, y).flows)


def brute_norms(
    features: Any,
    cells: list[Weights],
    x: np.ndarray,
    label: int,
    key: tuple[int, int],
    keys: Sequence[tuple[int, int]],
) -> np.ndarray:
    """Return the norms of an example's gradient by central differences of a NumPy model."""
    x, keep = x.astype(np.float64), (x != 0).any(axis=1)
    shapes = {one: (len(x), cells[one[0]][1].shape[0]) for one in keys}

    def loss(at: tuple[int, int], size: float) -> float:
        nudge = {one: np.zeros(shape) for one, shape in shapes.items()}
        nudge[key][at] = size
        logits = features(cells, x, keep, nudge) @ cells[-1][0] + cells[-1][1]
        return float(np.log(np.exp(logits).sum()) - logits[label])

    found = np.zeros(shapes[key])
    for at in np.ndindex(*shapes[key]):
        found[at] = (loss(at, 1e-5) - loss(at, -1e-5)) / 2e-5
    return np.linalg.norm(found, axis=1)


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_those_of_nudging_the_states_of_a_numpy_model(name: str) -> None:
    classifier, x, y, flows = found_in(name)
    _, features, keys = MODELS[name]
    cells = grouped(classifier.model)
    assert len(flows) == len(keys)
    for key, flow in zip(keys, flows, strict=True):
        expected = [
            brute_norms(features, cells, one, label, key, keys)
            for one, label in zip(x, y, strict=True)
        ]
        assert flow.norms == pytest.approx(np.array(expected), rel=1e-3, abs=1e-7)
        assert flow.norms[flow.counted].min() > 0
        assert np.array_equal(flow.counted, (x != 0).any(axis=2))


@pytest.mark.parametrize("name", MODELS)
def test_states_are_named_with_their_layers_and_directions(name: str) -> None:
    flows, keys = found_in(name).flows, MODELS[name][2]
    assert [flow.state for flow in flows] == [("hidden state", "cell state")[s] for _, s in keys]
    assert len({flow.path for flow in flows}) == len({layer for layer, _ in keys})
    assert [flow.backwards for flow in flows] == ["backward" in flow.path for flow in flows]


def test_the_last_hidden_state_has_the_heads_own_gradient() -> None:
    classifier, x, y, (hidden, memory) = found_in("lstm")
    z = classifier.logits(x).astype(np.float64)
    slope = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) - np.eye(CLASSES)[y]
    head = np.asarray(classifier.model.layers[-1].kernel)
    assert hidden.norms[:, -1] == pytest.approx(np.linalg.norm(slope @ head.T, axis=1), rel=1e-5)
    assert (memory.norms[:, -1] > 0).all()  # by way of the hidden state of the same step


def test_they_are_not_those_of_the_layers_output_which_are_0_before_the_last_step() -> None:
    classifier, x, y, (hidden, _) = found_in("lstm")
    recurrent, head = classifier.model.layers
    every = layers.LSTM(3, return_sequences=True)
    every.build(x.shape)
    every.set_weights(recurrent.get_weights())
    with tf.GradientTape() as tape:
        outputs = every(x)
        tape.watch(outputs)
        loss = keras.losses.sparse_categorical_crossentropy(y, head(outputs[:, -1]), True)
    pitfall = np.linalg.norm(tape.gradient(loss, outputs), axis=2)
    assert (pitfall[:, :-1] == 0).all()
    assert pitfall[:, -1] == pytest.approx(hidden.norms[:, -1], rel=1e-5)
    assert (hidden.norms[:, :-1] > 1e-6).all()


def test_masked_examples_have_the_gradients_of_the_unpadded_ones() -> None:
    classifier, x, y, together = found_in("stacked masked")
    short = np.stack([x[row][(x[row] != 0).any(axis=1)] for row in (0, 1)])
    unpadded = gradients_through_time(classifier, short, y[:2]).flows
    for flow, own in zip(together, unpadded, strict=True):
        for row in (0, 1):
            keep = flow.counted[row]
            assert keep.sum() == 4
            assert flow.norms[row, keep] == pytest.approx(own.norms[row], rel=1e-4)
            assert (flow.norms[row, ~keep] == 0).all()


@pytest.fixture(scope="module")
def linear() -> KerasClassifier:
    """A linear network whose gradient is multiplied by the same factor at every step."""
    return sequential(layers.SimpleRNN(4, activation=None), steps=None)


def turned(classifier: KerasClassifier, factor: float, num_steps: int) -> GradientFlow:
    kernel, recurrent, bias, *_ = classifier.model.weights
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(4, 4)))[0]
    recurrent.assign(factor * turn)
    kernel.assign(0 * kernel)
    bias.assign(0 * bias)
    x = np.ones((8, num_steps, FEATURES), np.float32)
    y = np.arange(8, dtype=np.int32) % CLASSES
    (flow,) = gradients_through_time(classifier, x, y).flows
    return flow


def test_half_an_orthogonal_kernel_halves_the_gradient_at_every_step(
    linear: KerasClassifier,
) -> None:
    flow = turned(linear, 0.5, 300)
    found = flow.summary
    assert found.course.median[:60] == pytest.approx(0.5 ** np.arange(60.0), rel=1e-4)
    assert found.decay.value == pytest.approx(0.5, rel=1e-5)
    assert found.half_life.value == pytest.approx(1, rel=1e-5)
    assert found.spread.value == pytest.approx(1, abs=1e-4)
    assert (found.vanished, found.ratio.value, found.verdict) == (8, 0, "vanishing")  # underflow
    short = dataclasses.replace(
        flow, log_odds_norms=flow.log_odds_norms[:, -9:], counted=flow.counted[:, -9:]
    ).summary
    assert short.ratio.value == pytest.approx(2.0**-8, rel=1e-5)
    assert (short.vanished, short.lengths, short.verdict) == (0, (9, 9), "vanishing")


def test_a_kernel_above_1_makes_the_gradient_grow_until_it_overflows(
    linear: KerasClassifier,
) -> None:
    found = turned(linear, 1.2, 600).summary
    assert found.course.median[:27] == pytest.approx(1.2 ** np.arange(27), rel=1e-4)
    assert found.decay.value == pytest.approx(1.2, rel=1e-4)
    assert (found.overflown, found.ratio.value, found.verdict) == (8, np.inf, "exploding")
    assert found.half_life.value == np.inf


def test_a_model_that_is_sure_still_tells_how_its_gradient_fades() -> None:
    lstm, x, *_ = found_in("lstm")
    head = lstm.model.layers[-1]
    before = head.get_weights()
    y = lstm.logits(x).argmax(axis=1).astype(np.int32)
    try:
        head.set_weights([300 * weight for weight in before])
        flow = gradients_through_time(lstm, x, y).flows[0]
    finally:
        head.set_weights(before)
    assert flow.doubt.min() < 1e-40  # nothing of which is left in float32
    assert flow.summary.without_gradient == 0 and flow.norms.min() > 0


def brute_summary(norms: np.ndarray, counted: np.ndarray, *, backwards: bool) -> dict[str, Any]:
    ratios, decays, spreads, lengths = [], [], [], []
    by_distance: dict[int, list[float]] = {}
    for row, own in zip(norms, counted, strict=True):
        read = row[own] if backwards else row[own][::-1]
        if not len(read) or not 0 < read[0] < np.inf:
            continue
        relative = np.where(np.isfinite(read), read, np.inf) / read[0]
        for distance, value in enumerate(relative):
            by_distance.setdefault(distance, []).append(value)
        if len(read) > 1:
            ratios.append(relative[-1])
            lengths.append(len(read))
        used = np.flatnonzero((read > 0) & np.isfinite(read))
        if len(used) > 1:
            line, (rest,) = np.polyfit(used, np.log(read[used]), 1), [0.0]
            rest = float(np.square(np.log(read[used]) - np.polyval(line, used)).sum())
            decays.append(np.exp(line[0]))
            if len(used) > 2:
                spreads.append(np.exp(np.sqrt(rest / (len(used) - 2))))
    return {
        "ratio": median_of(np.array(ratios)),
        "decay": median_of(np.array(decays)),
        "spread": median_of(np.array(spreads)),
        "lengths": (min(lengths), max(lengths)),
        "course": [median_of(np.array(values)) for _, values in sorted(by_distance.items())],
    }


def same(one: Any, other: Any) -> bool:
    values = [(m.number, m.value, *(m.interval or (-1, -1))) for m in (one, other)]
    return values[0] == pytest.approx(values[1], rel=1e-9)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("number", [3, 80])
def test_the_statistics_are_those_of_going_through_the_examples(
    backwards: bool, number: int
) -> None:
    rng = np.random.default_rng(number)
    norms = np.exp(rng.normal(size=(number, 7)).cumsum(axis=1))
    norms[rng.random(norms.shape) < 0.08] = 0
    norms[-1, 2], norms[-1, 4] = np.inf, np.nan
    counted = rng.random(norms.shape) < 0.8
    counted[0], counted[1] = False, np.arange(7) == 3
    found = summarize(norms, counted, backwards=backwards)
    expected = brute_summary(norms, counted, backwards=backwards)
    assert same(found.ratio, expected["ratio"])
    assert same(found.decay, expected["decay"]) and same(found.spread, expected["spread"])
    assert found.lengths == expected["lengths"]
    for distance, median in enumerate(expected["course"]):
        numbers = [part[distance] for part in found.course]
        assert numbers[3] == median.number and numbers[0] == pytest.approx(median.value)
        interval = (np.nan, np.nan) if median.interval is None else median.interval
        assert numbers[1:3] == pytest.approx(list(interval), nan_ok=True)
    taken = found.course.number[0]
    assert found.without_steps == (counted.sum(axis=1) == 0).sum() >= 1
    assert taken + found.without_gradient + found.without_steps == number


def verdict(*ratios: float) -> str:
    norms = np.array([[ratio, 1.0] for ratio in ratios])
    return summarize(norms, np.ones(norms.shape, bool), backwards=False).verdict


def test_a_verdict_needs_the_whole_interval() -> None:
    assert verdict(*[0.009] * 6) == "vanishing" and verdict(*[101] * 6) == "exploding"
    assert verdict(*[0.01] * 6) == verdict(*[100.0] * 6) == "healthy"
    assert verdict(*[0.001] * 5, 0.02) == "undecided"  # of six the interval is all of them
    assert verdict(*[0.001] * 5) == "undecided"  # of five there is none
    assert verdict(*[0.0] * 8) == "vanishing" and verdict(*[np.inf] * 8) == "exploding"


def nothing(found: GradientSummary) -> bool:
    return found.ratio.value is None and found.decay.value is None and found.lengths is None


def test_one_step_no_step_and_no_gradient_at_the_last_give_no_ratio() -> None:
    one = summarize(np.ones((7, 1)), np.ones((7, 1), bool), backwards=False)
    assert nothing(one) and one.course.median.tolist() == [1] and one.verdict == "undecided"
    none = summarize(np.ones((7, 3)), np.zeros((7, 3), bool), backwards=False)
    assert nothing(none) and none.without_steps == 7
    dead = summarize(np.zeros((7, 3)), np.ones((7, 3), bool), backwards=True)
    assert nothing(dead) and dead.without_gradient == 7 and not dead.course.number.any()


def test_padding_that_is_not_masked_counts_as_the_steps_that_the_layer_reads() -> None:
    classifier, (x, y) = sequential(layers.GRU(3)), padded()
    keep = (x != 0).any(axis=2)
    model = keras.Sequential(
        [keras.Input((STEPS,)), layers.Embedding(9, 2), *classifier.model.layers]
    )
    rng = np.random.default_rng(4)
    tokens = np.where(keep, rng.integers(1, 9, keep.shape), 0).astype(np.int32)
    (flow,), _ = gradients_through_time(KerasClassifier(model), tokens, y)
    assert flow.counted.all() and flow.norms.min() > 0
    assert flow.padding_read == (~keep).any(axis=1).sum() == 3
    assert flow.summary.lengths == (STEPS, STEPS) and flow.summary.course.number[0] == len(x)
    embedded = np.asarray(model.layers[0](tokens))
    (same_steps,), _ = gradients_through_time(classifier, embedded, y)
    assert flow.norms == pytest.approx(same_steps.norms, rel=1e-5)
    assert same_steps.padding_read == 0


def test_a_decoder_reads_all_its_steps_however_long_the_input_is() -> None:
    inputs, mask = keras.Input((STEPS, FEATURES)), keras.Input((STEPS,), dtype="bool")
    read = layers.GRU(3, name="encoder")(inputs, mask=mask)
    told = layers.GRU(3, name="decoder")(layers.RepeatVector(STEPS)(read))
    model = keras.Model([inputs, mask], layers.Dense(CLASSES)(told))
    x, y = padded()
    keep = (x != 0).any(axis=2)
    (encoder, decoder), _ = gradients_through_time(KerasClassifier(model), x, y, keep)
    assert np.array_equal(encoder.counted, keep) and encoder.padding_read == 0
    assert encoder.summary.lengths == (4, STEPS)
    assert decoder.counted.all() and decoder.norms.min() > 0
    assert decoder.summary.lengths == (STEPS, STEPS)


class Own(layers.SimpleRNN):
    def call(self, sequences, initial_state=None, mask=None, training=False):
        return super().call(sequences, initial_state=initial_state, mask=mask)


def test_layers_called_twice_read_in_part_or_stepped_by_themselves_are_told() -> None:
    inputs = keras.Input((STEPS, FEATURES))
    shared, own = layers.SimpleRNN(3, name="shared"), Own(2, name="own")
    both = layers.Bidirectional(layers.SimpleRNN(3, return_sequences=True), name="both")(inputs)
    parts = [shared(inputs), shared(inputs[:, ::-1]), own(inputs), both[:, -1]]
    model = keras.Model(inputs, layers.Dense(CLASSES)(layers.Concatenate()(parts)))
    x, y = examples()
    found = gradients_through_time(KerasClassifier(model, batch_size=3), x, y)
    shared_ones = [flow for flow in found.flows if flow.path.startswith("shared")]
    assert [flow.path for flow in shared_ones] == ["shared", "shared (call 2)"]
    assert not np.allclose(shared_ones[0].norms, shared_ones[1].norms)
    assert len(found.flows) == 4
    ((path, reason),) = found.left_out
    assert path == "own" and "not that of Keras" in reason
    (backward,) = (flow for flow in found.flows if flow.backwards)  # nobody reads where it ends
    assert (backward.norms[:, :-1] == 0).all() and (backward.norms[:, -1] > 0).all()
    assert nothing(backward.summary) and backward.summary.without_gradient == len(x)


def test_a_model_without_a_recurrent_layer_has_nothing_to_tell() -> None:
    assert gradients_through_time(sequential(layers.Flatten()), *examples()) == ((), ())


def test_what_does_not_fit_is_refused(linear: KerasClassifier) -> None:
    x, y = examples()
    with pytest.raises(ValueError, match=r"`y.shape == x.shape\[:1\]` must hold, but got"):
        gradients_through_time(linear, x, y[1:])
    with pytest.raises(DataError, match="at least one example"):
        gradients_through_time(linear, x[:0], y[:0])
    with pytest.raises(DataError, match="tells 3 classes apart, but the labels run from 0 to 3"):
        gradients_through_time(linear, x, np.arange(4))


class Odd(layers.LSTMCell):
    """A cell that computes its memory in its own way, which the formula does not know."""

    def _compute_carry_and_output_fused(self, z, c_tm1):
        carry, output = super()._compute_carry_and_output_fused(z, c_tm1)
        return 0.9 * carry, output


def test_a_replay_that_is_not_the_model_is_refused() -> None:
    classifier = sequential(layers.RNN(Odd(3), name="odd"))
    with pytest.raises(ModelError, match=r"'odd'.*by 0\.\d+, at most 1e-05 is expected"):
        gradients_through_time(classifier, *examples())


def test_half_precision_is_followed_too() -> None:
    full, x, y, flows = found_in("lstm")
    classifier = sequential(layers.LSTM(3, dtype="mixed_bfloat16"))
    classifier.model.set_weights(full.model.get_weights())
    halves = gradients_through_time(classifier, x, y).flows
    for half, flow in zip(halves, flows, strict=True):
        assert half.log_odds_norms.dtype == np.float32
        assert half.norms == pytest.approx(flow.norms, rel=0.1, abs=0.01)
