"""Attributions, against closed forms, sums by brute force and scipy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
import scipy.stats

from rnnprobe import KerasClassifier
from rnnprobe.errors import DataError, ModelError, UnknownNameError
from rnnprobe.inspection._step_means import concentration, step_means, step_shares
from rnnprobe.inspection.attribution import Attribution, AttributionSettings, attribute
from rnnprobe.inspection.explanation import (
    MOST_MISTAKES,
    explain_example,
    explain_pair,
    find_class,
)
from rnnprobe.records import Split

layers = keras.layers
FEW = AttributionSettings(samples=3)
SHAPE = (6, 3)
VOCABULARY, CHANNELS = 9, 4


@dataclass(frozen=True)
class Margin:
    """The difference of two logits, as a loss."""

    targets: np.ndarray
    others: np.ndarray

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        return self.targets.astype(np.int32), self.others.astype(np.int32)

    def logit_gradient(self, ops: Any, logits: Any, targets: Any, others: Any) -> Any:
        return ops.one_hot(targets, 4) - ops.one_hot(others, 4)


def randomised(model: keras.Model, scale: float = 0.7, seed: int = 1) -> keras.Model:
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape) * scale)
    return model


def of_values(*between: Any, head: Any = None, shape: tuple[int, ...] = SHAPE) -> KerasClassifier:
    stack = [keras.Input(shape), *between, head or layers.Dense(4)]
    return KerasClassifier(randomised(keras.Sequential(stack)))


def of_tokens(*between: Any, mask_zero: bool) -> KerasClassifier:
    embedding = layers.Embedding(VOCABULARY, CHANNELS, mask_zero=mask_zero)
    stack = [keras.Input((None,), dtype="int32"), embedding, *between, layers.Dense(4)]
    return KerasClassifier(randomised(keras.Sequential(stack)))


X = np.random.default_rng(0).normal(size=(5, *SHAPE)).astype(np.float32)
TOKENS = np.random.default_rng(2).integers(1, VOCABULARY, size=(5, 6)).astype(np.int32)
TOKENS[1, 4:] = TOKENS[3, 2:] = 0
PADDED = np.where((TOKENS != 0)[..., np.newaxis], X, 0).astype(np.float32)
TARGETS, OTHERS = np.array([0, 1, 2, 3, 0]), np.array([3, 2, 0, 1, 1])


def looked(
    classifier: KerasClassifier,
    x: np.ndarray,
    mask: np.ndarray | None = None,
    settings: AttributionSettings = FEW,
    seed: int = 0,
) -> Attribution:
    return attribute(classifier, x, mask, TARGETS, OTHERS, settings=settings, seed=seed)


class Wrapped(keras.Model):
    """A model that Keras keeps no graph of."""

    def __init__(self) -> None:
        super().__init__()
        self.masking = layers.Masking()
        self.recurrent = layers.GRU(5)
        self.head = layers.Dense(4)

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.head(self.recurrent(self.masking(inputs)))


@pytest.fixture(scope="module")
def gru() -> KerasClassifier:
    return of_values(layers.GRU(5))


@pytest.fixture(scope="module")
def curved() -> KerasClassifier:
    """Not linear, and quick to trace."""
    return of_values(layers.Flatten(), layers.Dense(5, activation="tanh"))


@pytest.fixture(scope="module")
def read(reader: KerasClassifier) -> Attribution:
    return looked(reader, TOKENS)


@pytest.fixture(scope="module")
def reader() -> KerasClassifier:
    return of_tokens(layers.LSTM(5), mask_zero=True)


@pytest.fixture(scope="module")
def reference(gru: KerasClassifier) -> Attribution:
    """Of a model that is told which steps count."""
    return looked(gru, PADDED, TOKENS != 0)


def brute_force(classifier: KerasClassifier, x: np.ndarray, points: int = 100) -> np.ndarray:
    """Return the gradient's mean over even points between 0 and x, times x."""
    total = np.zeros(x.shape)
    for alpha in (np.arange(points) + 0.5) / points:
        faded = (alpha * x).astype(np.float32)
        total += classifier.loss_gradient(faded, Margin(TARGETS, OTHERS))[1]
    return total / points * x


def adds_up(found: Attribution, classifier: KerasClassifier, x: np.ndarray) -> None:
    rows = np.arange(len(x))
    logits = classifier.logits(x)
    assert found.value == pytest.approx(logits[rows, TARGETS] - logits[rows, OTHERS], abs=1e-5)
    assert found.converged.all() and (found.nodes == 32).all()
    sums = found.steps.sum(axis=1) + found.padding
    assert sums == pytest.approx(found.value - found.baseline_value, abs=0.001)
    assert found.error == pytest.approx(np.abs(sums - found.difference), abs=1e-6)


def test_integrated_gradients_are_the_sum_by_brute_force(gru: KerasClassifier) -> None:
    found = looked(gru, X)
    assert found.integrated.dtype == np.float32
    assert found.integrated == pytest.approx(brute_force(gru, X), abs=2e-4)
    adds_up(found, gru, X)
    zeros = gru.logits(np.zeros_like(X))
    rows = np.arange(len(X))
    assert found.baseline_value == pytest.approx(zeros[rows, TARGETS] - zeros[rows, OTHERS])


@pytest.mark.parametrize(
    "between",
    [
        lambda: [layers.SimpleRNN(5)],
        lambda: [layers.Conv1D(4, 2), layers.Bidirectional(layers.LSTM(3))],
    ],
    ids=["rnn", "convolution, both directions"],
)
def test_attributions_add_up(between: Callable[[], list[Any]]) -> None:
    classifier = of_values(*between())
    adds_up(looked(classifier, X), classifier, X)


@pytest.mark.parametrize("kind", ["sequential", "nested", "subclassed"])
def test_what_masking_leaves_out_stays_out_on_the_way(
    kind: str, gru: KerasClassifier, reference: Attribution
) -> None:
    """The reference is told which steps count; Masking finds it from what it reads."""
    if kind == "subclassed":
        model = Wrapped()
        model(X)
    elif kind == "nested":
        inner = keras.Sequential([keras.Input(SHAPE), layers.Masking(), layers.GRU(5)])
        model = keras.Sequential([keras.Input(SHAPE), inner, layers.Dense(4)])
    else:
        stack = [keras.Input(SHAPE), layers.Masking(), layers.Dropout(0.5), layers.GRU(5)]
        model = keras.Sequential([*stack, layers.Dense(4)])
    classifier = KerasClassifier(model)
    for weight, given in zip(model.weights, gru.model.weights, strict=True):
        weight.assign(given)
    found = looked(classifier, PADDED)
    assert (found.counted == (TOKENS != 0)).all()
    assert found.value == pytest.approx(reference.value, abs=1e-5)
    assert found.baseline_value == pytest.approx(reference.baseline_value, abs=1e-5)
    assert found.integrated == pytest.approx(reference.integrated, abs=1e-5)
    assert found.smooth == pytest.approx(reference.smooth, abs=1e-5)
    assert not found.steps[~found.counted].any() and not found.padding.any()
    adds_up(found, classifier, PADDED)


def test_masked_steps_get_nothing_whatever_is_in_them(
    gru: KerasClassifier, reference: Attribution
) -> None:
    mask = TOKENS != 0
    nonsense = np.where(mask[..., np.newaxis], X, 99).astype(np.float32)
    found = looked(gru, nonsense, mask)
    assert not found.integrated[~mask].any() and not found.smooth[~mask].any()
    assert not found.padding.any()
    assert found.integrated == pytest.approx(reference.integrated, abs=1e-6)
    assert found.sigma == pytest.approx([0.15 * np.ptp(X[i][mask[i]]) for i in range(5)])


def test_tokens_are_those_of_a_sum_by_brute_force(
    reader: KerasClassifier, read: Attribution
) -> None:
    embeddings = reader.model.layers[0].embeddings
    table, points = reader.embedding_matrix().copy(), 60
    total = np.zeros((*TOKENS.shape, CHANNELS))
    for alpha in (np.arange(points) + 0.5) / points:
        embeddings.assign(alpha * table)
        total += reader.loss_gradient(TOKENS, Margin(TARGETS, OTHERS))[1]
    embeddings.assign(0 * table)
    zeros = reader.logits(TOKENS)
    embeddings.assign(table)
    assert read.integrated == pytest.approx((total / points * table[TOKENS]).sum(axis=2), abs=2e-4)
    rows = np.arange(5)
    assert read.baseline_value == pytest.approx(zeros[rows, TARGETS] - zeros[rows, OTHERS])
    assert not read.integrated[TOKENS == 0].any() and not read.padding.any()
    adds_up(read, reader, TOKENS)


@pytest.mark.parametrize("mask_zero", [True, False])
def test_a_bag_of_embeddings_has_its_closed_form(mask_zero: bool) -> None:
    classifier = of_tokens(layers.GlobalAveragePooling1D(), mask_zero=mask_zero)
    found = looked(classifier, TOKENS)
    table, kernel, _ = (np.asarray(weight) for weight in classifier.model.weights)
    number = (TOKENS != 0).sum(axis=1, keepdims=True) if mask_zero else 6
    speaks = np.einsum("nte,en->nt", table[TOKENS], kernel[:, TARGETS] - kernel[:, OTHERS]) / number
    inside = TOKENS != 0
    assert found.integrated == pytest.approx(np.where(inside, speaks, 0), abs=1e-5)
    assert found.smooth == pytest.approx(np.where(inside, speaks, 0), abs=1e-5)
    outside = np.where(inside | mask_zero, 0, speaks).sum(axis=1)
    assert found.padding == pytest.approx(outside, abs=1e-5)
    assert found.padding.any() != mask_zero
    assert found.converged.all()
    plain = looked(classifier, TOKENS, settings=AttributionSettings(samples=2, noise=0))
    assert plain.smooth_steps == pytest.approx(found.smooth, abs=1e-5)


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_a_linear_model_has_its_closed_form_with_any_nodes(activation: str | None) -> None:
    head = layers.Dense(4, activation=activation)
    classifier = of_values(layers.Flatten(), head=head)
    kernel = np.asarray(head.kernel)
    weights = (kernel[:, TARGETS] - kernel[:, OTHERS]).T.reshape(X.shape)
    settings = AttributionSettings(first_nodes=1, samples=5, noise=2.0)
    found = looked(classifier, X, settings=settings)
    assert (found.nodes == 1).all() and found.converged.all()
    assert found.integrated == pytest.approx(X * weights, abs=1e-5)
    assert found.smooth == pytest.approx(weights, abs=1e-5)
    assert found.smooth_steps == pytest.approx(found.steps, abs=1e-5)
    assert found.smooth_error == pytest.approx(np.zeros(found.steps.shape), abs=1e-6)


def test_padding_that_a_model_reads_is_set_apart() -> None:
    classifier = of_values(layers.Flatten())
    found = looked(classifier, X, TOKENS != 0)
    whole = looked(classifier, X)
    outside = TOKENS == 0
    assert not found.integrated[outside].any()
    assert found.padding == pytest.approx(np.where(outside, whole.steps, 0).sum(axis=1))
    assert found.padding[1] != 0 and found.padding[0] == 0
    assert found.converged.all()


def test_without_noise_smoothgrad_is_the_gradient(curved: KerasClassifier) -> None:
    found = looked(curved, X, settings=AttributionSettings(samples=2, noise=0))
    gradient = curved.loss_gradient(X, Margin(TARGETS, OTHERS))[1]
    assert found.smooth == pytest.approx(gradient, abs=1e-5)
    assert found.smooth_steps == pytest.approx((gradient * X).sum(axis=2), abs=1e-5)
    assert not found.sigma.any()
    assert found.smooth_error == pytest.approx(np.zeros((5, 6)), abs=1e-6)


def test_smoothgrad_is_the_mean_over_its_copies(curved: KerasClassifier) -> None:
    found = looked(curved, X, settings=AttributionSettings(samples=40), seed=3)
    rng = np.random.default_rng(3)
    for row in range(2):
        sigma = 0.15 * np.ptp(X[row])
        noise = rng.standard_normal((40, *SHAPE), np.float32) * sigma
        classes = Margin(np.full(40, TARGETS[row]), np.full(40, OTHERS[row]))
        gradient = curved.loss_gradient((X[row] + noise).astype(np.float32), classes)[1]
        assert found.smooth[row] == pytest.approx(gradient.mean(axis=0), abs=1e-5)
        steps = (gradient * X[row]).sum(axis=2)
        assert found.smooth_steps[row] == pytest.approx(steps.mean(axis=0), abs=1e-5)
        assert found.smooth_error[row] == pytest.approx(scipy.stats.sem(steps), abs=1e-5)


def test_the_seed_alone_decides_the_noise(curved: KerasClassifier) -> None:
    first, again, other = (looked(curved, X, seed=seed) for seed in (1, 1, 2))
    small = looked(KerasClassifier(curved.model, batch_size=2), X, seed=1)
    assert (first.smooth == again.smooth).all() and (first.integrated == again.integrated).all()
    assert small.smooth == pytest.approx(first.smooth, abs=1e-6)
    assert small.integrated == pytest.approx(first.integrated, abs=1e-6)
    assert np.abs(first.smooth - other.smooth).max() > 1e-3
    assert (first.integrated == other.integrated).all()


def test_a_model_that_keeps_its_state_starts_afresh_at_every_point(gru: KerasClassifier) -> None:
    stack = [keras.Input(batch_shape=(4, *SHAPE)), layers.GRU(5, stateful=True), layers.Dense(4)]
    model = keras.Sequential(stack)
    settings = AttributionSettings(first_nodes=8, most_nodes=8, samples=2)
    kept = model.trainable_weights
    for weight, given in zip(kept, gru.model.weights, strict=True):
        weight.assign(given)
    found = looked(KerasClassifier(model), X, settings=settings)
    reference = looked(gru, X, settings=settings)
    assert found.integrated == pytest.approx(reference.integrated, abs=1e-5)
    assert found.smooth == pytest.approx(reference.smooth, abs=1e-5)


class PlainLstm(layers.LSTM):
    """A user's name for what is Keras's own, mask and all."""


class PlainEmbedding(layers.Embedding):
    """Likewise."""


class PlainBidirectional(layers.Bidirectional):
    """Likewise."""


class HandingOn(layers.Layer):
    """A user's layer that has no mask of its own, but one that it is given."""

    supports_masking = True

    def call(self, inputs: Any) -> Any:
        return 2 * inputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask


@pytest.mark.parametrize(
    "between",
    [
        lambda: [PlainLstm(4)],
        lambda: [PlainBidirectional(layers.GRU(3))],
        lambda: [HandingOn(), layers.GRU(4)],
        lambda: [layers.Masking(), HandingOn(), PlainLstm(4)],
        lambda: [HandingOn(), layers.Masking(), HandingOn(), layers.GRU(4)],
    ],
)
def test_layers_that_make_no_mask_of_their_own_are_no_matter(
    between: Callable[[], list[Any]],
) -> None:
    classifier = of_values(*between())
    adds_up(looked(classifier, PADDED), classifier, PADDED)


def test_a_users_embedding_is_read_as_keras_own(reader: KerasClassifier) -> None:
    embedding = PlainEmbedding(VOCABULARY, CHANNELS, mask_zero=True)
    stack = [keras.Input((None,), dtype="int32"), embedding, layers.LSTM(5), layers.Dense(4)]
    own = KerasClassifier(randomised(keras.Sequential(stack)))
    assert own.logits(TOKENS) == pytest.approx(reader.logits(TOKENS), abs=1e-6)
    assert looked(own, TOKENS).integrated == pytest.approx(
        looked(reader, TOKENS).integrated, abs=1e-5
    )


def test_tokens_that_are_looked_up_twice_are_refused_in_one_line() -> None:
    inputs = keras.Input((6,), dtype="int32")
    embedding = layers.Embedding(VOCABULARY, CHANNELS)
    both = [layers.GRU(3)(embedding(inputs)), layers.LSTM(2)(embedding(inputs))]
    twice = keras.Model(inputs, layers.Dense(4)(layers.Concatenate()(both)))
    with pytest.raises(ModelError, match=r"^The model looks its tokens up more than once; no grad"):
        looked(KerasClassifier(twice), TOKENS)


class Rounded(layers.Layer):
    """Has no gradient."""

    def call(self, inputs: Any) -> Any:
        return keras.ops.round(inputs * 3)


def test_a_model_without_gradient_is_not_said_to_add_up() -> None:
    classifier = of_values(Rounded(), layers.Flatten())
    found = looked(classifier, X, settings=AttributionSettings(most_nodes=64))
    assert not found.integrated.any() and not found.smooth.any()
    assert found.error == pytest.approx(np.abs(found.difference))
    assert found.without_gradient.all() and not found.converged.any()
    assert (found.nodes == 64).all()


class Unbounded(layers.Layer):
    """Is infinite at 0."""

    def call(self, inputs: Any) -> Any:
        return 1 / inputs


def test_what_is_no_number_and_what_is_no_class_is_refused(curved: KerasClassifier) -> None:
    with pytest.raises(ModelError, match="no finite number somewhere"):
        looked(of_values(Unbounded(), layers.Flatten()), X)
    with pytest.raises(ValueError, match=r"must hold 5 classes in \[0, 4\)"):
        attribute(curved, X, None, TARGETS + 1, OTHERS)
    with pytest.raises(ValueError, match="explains nothing"):
        attribute(curved, X, None, TARGETS, TARGETS)
    with pytest.raises(ValueError, match=r"samples >= 2.* must hold, but got"):
        AttributionSettings(samples=1)


def test_means_over_examples_have_the_interval_of_scipy(read: Attribution) -> None:
    means = step_means(read)
    assert means.number.tolist() == [5, 5, 4, 4, 3, 3]
    shares = np.abs(read.steps) / np.abs(read.steps).sum(axis=1, keepdims=True)
    assert step_shares(read) == pytest.approx(shares)
    for step in range(6):
        there = read.counted[:, step]
        columns = (
            (read.steps, means.integrated, means.integrated_reach),
            (read.smooth_steps, means.smooth, means.smooth_reach),
            (shares, means.share, means.share_reach),
        )
        for values, mean, reach in columns:
            own = values[there, step]
            low, high = scipy.stats.t.interval(0.95, len(own) - 1, own.mean(), scipy.stats.sem(own))
            assert (mean[step] - reach[step], mean[step] + reach[step]) == pytest.approx(
                (low, high)
            )
        errors = read.smooth_error[there, step]
        assert means.smooth_error[step] == pytest.approx(np.sqrt((errors**2).sum()) / len(errors))


def test_steps_are_counted_from_the_first_that_counts_and_stretches_summed() -> None:
    classifier = of_values(layers.Flatten())
    mask = np.ones((5, 6), bool)
    mask[1, :2] = mask[2, :1] = mask[4, 3:] = False
    found = looked(classifier, X, mask)
    own = [steps[inside] for steps, inside in zip(found.steps, mask, strict=True)]
    means = step_means(found)
    assert means.integrated[0] == pytest.approx(np.mean([steps[0] for steps in own]))
    assert means.integrated[5] == pytest.approx(
        np.mean([steps[5] for steps in own if len(steps) > 5])
    )
    wide = step_means(found, 4)
    assert (wide.first.tolist(), wide.last.tolist()) == ([1, 5], [4, 6])
    assert wide.number.tolist() == [5, 3]
    assert wide.integrated[0] == pytest.approx(np.mean([steps[:4].sum() for steps in own]))
    late = [steps[4:].sum() for steps in own if len(steps) > 4]
    assert wide.integrated[1] == pytest.approx(np.mean(late))


def test_a_stretch_of_copies_is_summed_before_its_error(curved: KerasClassifier) -> None:
    found = looked(curved, X[:1].repeat(5, axis=0), settings=AttributionSettings(samples=6))
    means = step_means(found, 3)
    copies = found.smooth_samples.reshape(5, 6, 2, 3).sum(axis=3)
    errors = scipy.stats.sem(copies, axis=1)
    assert means.smooth_error == pytest.approx(np.sqrt((errors**2).sum(axis=0)) / 5, rel=1e-4)


def test_concentration_is_that_of_trying_all_sets_of_steps(read: Attribution) -> None:
    where = concentration(read)
    for row, sizes in enumerate(np.abs(read.steps)):
        inside = sizes[read.counted[row]]
        best = next(
            size
            for size in range(1, len(inside) + 1)
            if np.sort(inside)[-size:].sum() >= inside.sum() / 2
        )
        assert where.half[row] == best
        steps = np.arange(1, len(inside) + 1)
        assert where.centre[row] == pytest.approx(np.average(steps, weights=inside))
        assert where.lengths[row] == len(inside)


def test_one_example_is_explained_by_its_two_highest_logits(curved: KerasClassifier) -> None:
    split = Split(X, np.zeros(5, np.int32))
    explained = explain_example(curved, split, 3, settings=FEW)
    order = np.argsort(-curved.logits(X)[3])
    assert (explained.first, explained.second) == tuple(order[:2])
    assert explained.total is None and explained.indices.tolist() == [3]
    assert explained.found.value[0] > 0
    pair = explain_example(curved, split, 3, (2, 1), settings=FEW)
    logits = curved.logits(X)[3]
    assert pair.found.value == pytest.approx([logits[2] - logits[1]], abs=1e-5)
    assert np.isnan(step_means(pair.found).integrated_reach).all()
    for index in (5, -1):
        with pytest.raises(DataError, match=f"no example {index}: this part has 5, numbered from"):
            explain_example(curved, split, index)


def test_one_example_is_not_explained_by_one_class_twice(curved: KerasClassifier) -> None:
    split = Split(X, np.array([0, 1, 2, 3, 0]))
    with pytest.raises(
        DataError, match=r"Expected a pair of two classes, but got one twice \(index 2\)"
    ):
        explain_example(curved, split, 0, (2, 2), settings=FEW)


def test_a_pair_is_explained_by_its_mistakes(reader: KerasClassifier) -> None:
    tokens = TOKENS.copy()
    tokens[2] = 0
    split = Split(tokens, np.array([0, 1, 0, 0, 0], np.int32))
    predicted = np.array([1, 0, 1, 0, 1])
    names = ("a", "b", "c", "d")
    explained = explain_pair(reader, split, predicted, (0, 1), class_names=names, settings=FEW)
    assert explained.indices.tolist() == [0, 4] and explained.total == 2
    logits = reader.logits(tokens)[[0, 4]]
    assert explained.found.value == pytest.approx(logits[:, 0] - logits[:, 1], abs=1e-5)
    with pytest.raises(DataError, match=r"No example of 'b' .* 'd'; .* 'a' for 'b' \(3\), 'b' for"):
        explain_pair(reader, split, predicted, (1, 3), class_names=names)
    with pytest.raises(DataError, match="there are no mistakes at all"):
        explain_pair(reader, split, np.array(split.y), (1, 3), class_names=names)
    empty = Split(tokens[2:3], np.zeros(1, np.int32))
    with pytest.raises(DataError, match="None of the pair's mistakes has a step"):
        explain_pair(reader, empty, np.ones(1, np.int64), (0, 1), class_names=names)
    with pytest.raises(DataError, match="Example 0 has no step that counts"):
        explain_example(reader, empty, 0)


def test_of_many_mistakes_some_are_drawn_by_the_seed() -> None:
    classifier = of_values(layers.Flatten())
    x = np.random.default_rng(4).normal(size=(260, *SHAPE)).astype(np.float32)
    split, ones = Split(x, np.zeros(260, np.int32)), np.ones(260, np.int64)
    drawn = [
        explain_pair(
            classifier, split, ones, (0, 1), class_names="abcd", seed=seed,
            settings=AttributionSettings(samples=2),
        ).indices
        for seed in (1, 1, 2)
    ]  # fmt: skip
    assert len(set(drawn[0])) == MOST_MISTAKES and (np.diff(drawn[0]) > 0).all()
    assert (drawn[0] == drawn[1]).all() and (drawn[0] != drawn[2]).any()


def test_an_unknown_class_names_the_nearest() -> None:
    assert find_class("Scottish", ("English", "Scottish")) == 1
    with pytest.raises(
        UnknownNameError, match=r"Unknown class 'Scotish'\. Did you mean 'Scottish'"
    ):
        find_class("Scotish", ("English", "Scottish"))
