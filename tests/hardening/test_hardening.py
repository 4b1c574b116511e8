"""Adversarial training beside a control: the threshold, the update, the arms, the judgement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers
from scipy.stats import binomtest, ttest_rel

from rnnprobe import Bounds, Budget, KerasClassifier, SequenceDataset, Split, load_dataset
from rnnprobe.attacks.apgd import APGD
from rnnprobe.attacks.pgd import PGD
from rnnprobe.attacks.square import Square
from rnnprobe.errors import DataError, ModelError, TrainingError, UnknownNameError
from rnnprobe.hardening.arms import fgsm_source, pgd_source
from rnnprobe.hardening.evaluation import Attacks, Judge, correct
from rnnprobe.hardening.experiment import budget_for, harden, num_lines
from rnnprobe.hardening.threshold import Thresholded
from rnnprobe.hardening.trainer import Schedule, Trainer, ordinary
from rnnprobe.losses import CrossEntropy, Loss
from rnnprobe.paired import compare_paired
from rnnprobe.protocols import Classifier
from rnnprobe.reports.harden import harden_report
from rnnprobe.table import to_markdown

UNIT = Bounds(0.0, 1.0)
NO_BUDGET = Budget(0.0, "linf", UNIT)
WEAK = Attacks(PGD(3, stop_early=False), PGD(3), APGD(3), Square(3))


class Linear:
    """Logits that are linear in the values, of NumPy; steps below 0 are padding."""

    num_classes = 2

    def __init__(self, weights: np.ndarray, bias: float = 0.0) -> None:
        self.weights, self.bias = weights.astype(np.float32), bias

    def logits(self, x: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        counted = self.counted_steps(x, mask)[..., None]
        score = (x * self.weights * counted).sum(axis=(1, 2)) + self.bias
        return np.stack([-score, score], axis=1).astype(np.float32)

    def loss_gradient(
        self, x: np.ndarray, loss: Loss, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        logits = self.logits(x, mask)
        slope = loss.logit_gradient(np, logits, *loss.arrays)
        gradient = (slope[:, 1] - slope[:, 0])[:, None, None] * self.weights
        return logits, (gradient * self.counted_steps(x, mask)[..., None]).astype(np.float32)

    def counted_steps(self, x: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        counted = (x >= 0).all(axis=2)
        return counted if mask is None else counted & mask


def near_the_middle(num_examples: int = 30) -> Split:
    """Return values close to the threshold on both sides; the sum of features tells the class."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.42, 0.58, size=(num_examples, 5, 3)).astype(np.float32)
    return Split(x, np.zeros(num_examples, np.int32))


def right_split(model: Classifier) -> Split:
    split = near_the_middle()
    return Split(split.x, model.logits(split.x).argmax(axis=1).astype(np.int32))


def test_the_threshold_is_that_of_numpy_and_leaves_padding() -> None:
    model = Thresholded(Linear(np.ones((5, 3))), Bounds(-2.0, 4.0))
    x = np.random.default_rng(0).uniform(0, 2, size=(4, 5, 3)).astype(np.float32)
    x[1, 3:] = -1
    mask = np.ones((4, 5), bool)
    mask[2, 2:] = False
    expected = np.where(x > 1, 4, -2).astype(np.float32)
    expected[1, 3:] = -1
    expected[2, 2:] = x[2, 2:]
    assert (model.threshold(x, mask) == expected).all()
    assert (model.logits(x, mask) == Linear(np.ones((5, 3))).logits(expected, mask)).all()
    assert not model.counted_steps(x, mask)[1, 3:].any()
    assert model.num_classes == 2


def test_the_true_gradient_is_zero_and_the_straight_one_is_the_inner_models() -> None:
    inner = Linear(np.random.default_rng(1).normal(size=(5, 3)))
    split = near_the_middle(6)
    loss = CrossEntropy(split.y)
    true = Thresholded(inner, UNIT)
    through = Thresholded(inner, UNIT, straight_through=True)
    logits, gradient = true.loss_gradient(split.x, loss)
    assert not gradient.any()
    # Central differences of the true pipeline agree: no value crosses the threshold by 1e-6.
    shifted = [CrossEntropy(split.y).values(true.logits(split.x + d)) for d in (1e-6, -1e-6)]
    assert (shifted[0] == shifted[1]).all()
    same, straight = through.loss_gradient(split.x, loss)
    assert (same == logits).all()
    assert (straight == inner.loss_gradient(true.threshold(split.x), loss)[1]).all()


def test_only_the_adaptive_attack_sees_through_the_threshold() -> None:
    # The class hangs on three values: random starts seldom move all of them across.
    weights = np.zeros((5, 3))
    weights[0] = 1
    model = Thresholded(Linear(weights, bias=-1.5), UNIT)
    through = Thresholded(Linear(weights, bias=-1.5), UNIT, straight_through=True)
    x = np.full((40, 5, 3), 0.5, np.float32)
    x[:20, 0], x[20:, 0] = 0.59, 0.41
    split = Split(x, np.repeat([1, 0], 20).astype(np.int32))
    budget = Budget(0.1, "linf", UNIT)
    judge = Judge(model, split, budget, Attacks.seeded(0))
    found = judge.measure("threshold", model, gradient_from=through)
    assert found.share("clean") == 1
    assert found.share("fresh") > 0.8
    assert found.share("adaptive") == 0
    assert found.broken_by["apgd"] > 0


def test_the_adaptive_column_is_the_worst_case_of_the_others() -> None:
    weights = np.random.default_rng(2).normal(size=(5, 3))
    model, other = Linear(weights, -0.3), Linear(weights + 0.5, -0.3)
    split = right_split(model)
    budget = Budget(0.02, "l2", UNIT)
    attacks = Attacks.seeded(3)
    found = Judge(other, split, budget, attacks).measure("row", model, own=PGD(steps=1))
    stale = attacks.stale(other, split.x, split.y, budget)
    assert (found.stale == (found.clean & correct(model, stale, split))).all()
    assert (found.adaptive <= (found.stale & found.fresh)).all()
    apgd = APGD(steps=100, seed=3)(model, split.x, split.y, budget)
    assert (found.adaptive <= correct(model, apgd, split)).all()
    assert found.clean.sum() - sum(found.broken_by.values()) == found.adaptive.sum()
    assert found.own is not None and found.own >= found.share("adaptive")


def test_examples_that_are_wrong_are_neither_attacked_nor_robust() -> None:
    model = Linear(np.ones((5, 3)))
    split = right_split(model)
    wrong = Split(split.x, 1 - split.y)
    found = Judge(model, wrong, Budget(0.1, "linf", UNIT), Attacks.seeded(0)).measure("row", model)
    assert not np.concatenate([found.clean, found.stale, found.fresh, found.adaptive]).any()


def dense(activation: str | None, units: int = 3, **options: object) -> keras.Model:
    head = layers.Dense(units, activation=activation, **options)
    return keras.Sequential([keras.Input((6, 3)), layers.Flatten(), head])


def data(num_examples: int = 24, num_classes: int = 3) -> Split:
    rng = np.random.default_rng(5)
    x = rng.uniform(size=(num_examples, 6, 3)).astype(np.float32)
    y = rng.integers(0, num_classes, num_examples).astype(np.int32)
    return Split(x, y)


def sgd_step(model: keras.Model, split: Split) -> float:
    optimizer = keras.optimizers.SGD(0.5)
    optimizer.build(model.trainable_variables)
    return KerasClassifier(model).update_step(optimizer)(split.x, split.y, split.mask)


@pytest.mark.parametrize("activation", ["softmax", None])
def test_an_update_is_the_gradient_step_computed_by_hand(activation: str | None) -> None:
    split, model = data(), dense(activation)
    kernel, bias = (weight.astype(float) for weight in model.get_weights())
    flat = split.x.reshape(len(split), -1).astype(float)
    logits = flat @ kernel + bias
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected_loss = -np.log(probabilities[np.arange(len(split)), split.y]).mean()
    slope = (probabilities - np.eye(3)[split.y]) / len(split)
    loss = sgd_step(model, split)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    after = model.get_weights()
    assert after[0] == pytest.approx(kernel - 0.5 * flat.T @ slope, abs=1e-5)
    assert after[1] == pytest.approx(bias - 0.5 * slope.sum(axis=0), abs=1e-5)


def test_an_update_is_that_of_keras_with_the_models_own_penalty() -> None:
    split = data()
    ours, theirs = (dense("softmax", kernel_regularizer="l2") for _ in range(2))
    theirs.set_weights(ours.get_weights())
    theirs.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    expected = theirs.train_on_batch(split.x, split.y)
    assert sgd_step(ours, split) == pytest.approx(float(expected), rel=1e-5)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert one == pytest.approx(other, abs=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_an_update_of_a_single_output_is_that_of_keras(activation: str | None) -> None:
    split = data(num_classes=2)
    ours, theirs = dense(activation, 1), dense(activation, 1)
    theirs.set_weights(ours.get_weights())
    loss = keras.losses.BinaryCrossentropy(from_logits=activation is None)
    theirs.compile(keras.optimizers.SGD(0.5), loss)
    expected = theirs.train_on_batch(split.x, split.y[:, None])
    assert sgd_step(ours, split) == pytest.approx(float(expected), rel=1e-4)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_an_update_sees_the_mask(masked: SequenceDataset) -> None:
    from rnnprobe import ModelSpec, build_model

    split = masked.train.take(np.arange(12))
    ours, theirs = (build_model(ModelSpec("gru", units=4), masked) for _ in range(2))
    theirs.set_weights(ours.get_weights())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    theirs.compile(keras.optimizers.SGD(0.5), loss)
    theirs.train_on_batch(split.inputs, split.y)
    sgd_step(ours, split)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def recurrent(dropout: float = 0.0) -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((6, 3)), layers.GRU(4, dropout=dropout), layers.Dense(3, "softmax")]
    )


def test_without_an_epsilon_an_arm_is_the_control_bit_for_bit() -> None:
    schedule = Schedule(steps=5, batch_size=7, learning_rate=0.02)
    model = recurrent(dropout=0.3)
    given = model.get_weights()
    trainer = Trainer(KerasClassifier(model), data(), schedule)
    ends = []
    for source in (ordinary, pgd_source(NO_BUDGET), fgsm_source(NO_BUDGET), ordinary):
        trainer.run("arm", source)
        ends.append(model.get_weights())
    trainer.restore()
    assert all((a == b).all() for a, b in zip(given, model.get_weights(), strict=True))
    assert not all((a == b).all() for a, b in zip(given, ends[0], strict=True))
    for end in ends[1:]:
        assert all((a == b).all() for a, b in zip(ends[0], end, strict=True))


def test_arms_get_the_same_batches_and_other_repeats_get_others() -> None:
    seen: list[list[np.ndarray]] = []
    seeds: list[list[int]] = []

    def noting(inner: Callable[[Classifier, Split, int], Split]) -> Callable[..., Split]:
        seen.append([])
        seeds.append([])

        def source(model: Classifier, batch: Split, seed: int) -> Split:
            seen[-1].append(batch.x)
            seeds[-1].append(seed)
            return inner(model, batch, seed)

        return source

    trainer = Trainer(KerasClassifier(dense(None)), data(), Schedule(epochs=2, batch_size=10))
    budget = Budget(0.1, "linf", UNIT)
    for inner, repeat in ((ordinary, 0), (pgd_source(budget), 0), (ordinary, 1)):
        trainer.run("arm", noting(inner), repeat)
    assert [len(x) for x in seen[0]] == [10, 10, 4, 10, 10, 4]
    assert all((a == b).all() for a, b in zip(seen[0], seen[1], strict=True))
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0] + seeds[2])) == 12
    assert not (seen[0][0] == seen[2][0]).all()
    assert np.unique(np.concatenate(seen[0][:3]), axis=0).shape == (24, 6, 3)


def test_examples_are_made_against_the_model_as_it_is() -> None:
    model = recurrent()
    classifier = KerasClassifier(model)
    source = pgd_source(Budget(0.3, "linf", UNIT))
    batch = data()
    first = source(classifier, batch, 1)
    assert (source(classifier, batch, 1).x == first.x).all()
    assert (source(classifier, batch, 2).x != first.x).any()
    loss = CrossEntropy(batch.y)
    harder = loss.values(classifier.logits(first.x))
    assert (harder >= loss.values(classifier.logits(batch.x)) - 1e-6).all()
    model.set_weights([-weight for weight in model.get_weights()])
    assert (source(classifier, batch, 1).x != first.x).any()


def test_padding_is_never_changed_in_training(masked: SequenceDataset) -> None:
    from rnnprobe import ModelSpec, build_model

    classifier = KerasClassifier(build_model(ModelSpec("gru", units=4), masked))
    made = pgd_source(Budget(0.3, "linf", Bounds(-9, 9)))(classifier, masked.train, 0)
    assert masked.train.mask is not None
    assert (made.x[~masked.train.mask] == 99.0).all()
    assert (made.x[masked.train.mask] != masked.train.x[masked.train.mask]).any()


def test_what_diverges_and_what_cannot_be_trained_is_one_line() -> None:
    model = recurrent()
    trainer = Trainer(KerasClassifier(model), data(), Schedule(steps=9, learning_rate=1e38))
    for source in (ordinary, pgd_source(Budget(0.1, "linf", UNIT))):
        with pytest.raises(TrainingError, match=r"The arm 'x' diverged: .* --learning-rate"):
            trainer.run("arm 'x'", source)
    trainer.restore()
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    model.trainable = False
    with pytest.raises(ModelError, match="no weights that can be trained"):
        Trainer(KerasClassifier(model), data(), Schedule())
    with pytest.raises(ValueError, match="`batch_size >= 1` must hold, but got batch_size=0"):
        Schedule(batch_size=0)
    with pytest.raises(ValueError, match="`learning_rate > 0` must hold"):
        Schedule(learning_rate=float("nan"))


def test_one_repeat_is_compared_by_mcnemars_exact_test() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random(80) < 0.8, rng.random(80) < 0.6
    found = compare_paired([first], [second])
    gained, lost = (first & ~second).sum(), (second & ~first).sum()
    assert (found.gained, found.lost) == (gained, lost)
    assert found.difference == pytest.approx(first.mean() - second.mean())
    assert found.p_value == pytest.approx(binomtest(gained, gained + lost).pvalue)
    assert found.low < found.difference < found.high
    assert found.sign == (found.p_value < 0.05)
    # The normal approximation with the same variance, where nothing is added.
    error = (first.astype(float) - second).std() / np.sqrt(80)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.05)
    mirrored = compare_paired([second], [first])
    assert mirrored.sign == -found.sign
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))
    same = compare_paired([first], [first])
    assert (same.difference, same.sign, same.p_value) == (0, 0, 1)
    assert same.low < 0 < same.high


def test_several_repeats_are_compared_by_the_paired_t_test() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random((4, 50)) < 0.7, rng.random((4, 50)) < 0.5
    found = compare_paired(list(first), list(second))
    expected = ttest_rel(first.mean(axis=1), second.mean(axis=1))
    interval = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.test == "paired t test over 4 repeats"


def test_repeats_that_all_differ_by_the_same_are_tested_as_one() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.random(80) < 0.8, rng.random(80) < 0.5
    alone, several = (compare_paired([first] * n, [second] * n) for n in (1, 3))
    assert several[:6] == alone[:6]
    assert alone.p_value < 0.05
    assert several.test == "exact McNemar test"


@pytest.fixture(scope="module")
def picked() -> tuple[SequenceDataset, KerasClassifier]:
    """Values in [0, 1] whose largest feature is the class, and a model that learnt them."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.2, 0.6, size=(150, 6, 3)).astype(np.float32)
    y = np.arange(150) % 3
    x[np.arange(150), :, y] += 0.3
    dataset = load_dataset({"all": (x, y)})
    model = recurrent()
    model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy")
    model.fit(dataset.train.x, dataset.train.y, epochs=6, verbose=0)
    return dataset, KerasClassifier(model)


def test_the_experiment_reports_every_row_and_leaves_the_model(
    picked: tuple[SequenceDataset, KerasClassifier],
) -> None:
    dataset, classifier = picked
    given = classifier.model.get_weights()
    lines: list[str] = []
    schedule = Schedule(steps=4, batch_size=16, learning_rate=0.01)
    names = ("fgsm", "pgd")
    found = harden(
        classifier, dataset, budget_for(dataset, None, "linf"), names, schedule, repeats=2,
        attacks=WEAK, say=lines.append,
    )  # fmt: skip
    assert len(lines) == num_lines(dataset, names, 2)
    assert all((a == b).all() for a, b in zip(given, classifier.model.get_weights(), strict=True))
    assert list(found.arms) == ["control", *names]
    assert all(len(rows) == 2 for rows in found.arms.values())
    assert found.num_updates == 4
    assert found.budget.epsilon == pytest.approx(0.03 * float(np.ptp(dataset.train.x)))
    assert any((a != b).any() for a, b in zip(given, found.weights, strict=True))
    report = harden_report(found, dataset, title="model.keras")
    again = harden(classifier, dataset, found.budget, names, schedule, repeats=2, attacks=WEAK)
    assert harden_report(again, dataset, title="model.keras") == report
    text = to_markdown(report)
    assert (
        "± " in text and "(n = 2)" in text and "paired t test and interval over 2 repeats" in text
    )
    assert [row[0] for row in report.main.rows] == [
        "before", "control", "fgsm", "pgd", "before + input threshold",
    ]  # fmt: skip
    assert len(report.facts["repeats"]) == 1 + 3 * 2 + 1
    means = [one["clean"] for one in report.facts["repeats"] if one["model"] == "pgd"]
    assert report.main.records()[3]["clean"] == pytest.approx(np.mean(means))
    assert report.main.records()[3]["clean_sd"] == pytest.approx(np.std(means, ddof=1))


def test_a_masked_gradient_and_stale_examples_are_called_so(
    picked: tuple[SequenceDataset, KerasClassifier],
) -> None:
    dataset, classifier = picked
    found = harden(classifier, dataset, NO_BUDGET, ("pgd",), Schedule(steps=1), attacks=WEAK)
    assert "no_threshold" not in {finding.key for finding in harden_report(
        found, dataset, title="m").findings}  # fmt: skip
    hits = np.ones(50, bool)
    weak = replace(found.before, name="pgd", clean=hits, stale=hits, fresh=hits,
                   adaptive=hits & False, own=1.0)  # fmt: skip
    strong = replace(weak, name="control", adaptive=hits)
    found = replace(found, arms={"control": (strong,), "pgd": (weak,)}, threshold=None)
    keys = {finding.key: finding for finding in harden_report(found, dataset, title="m").findings}
    assert "pgd **did harm**" in keys["helped_pgd"].sentence
    assert "fresh says 1.0000, adaptive 0.0000; do not" in keys["fresh_flatters_pgd"].sentence
    assert "stale_flatters_pgd" in keys
    assert "stale_flatters_control" not in keys
    assert "no finite bounds" in keys["no_threshold"].sentence
    overfitted = replace(weak, fresh=hits & False)
    found = replace(found, arms={"control": (strong,), "pgd": (overfitted,)})
    keys = {finding.key: finding for finding in harden_report(found, dataset, title="m").findings}
    assert "catastrophic overfitting" in keys["overfitted_pgd"].sentence
    same = replace(found, arms={"control": (strong,), "pgd": (strong,)})
    sentences = [finding.sentence for finding in harden_report(same, dataset, title="m").findings]
    assert sentences[0].startswith("pgd **neither helped nor harmed** measurably: ")


def test_what_cannot_be_hardened_is_refused(
    picked: tuple[SequenceDataset, KerasClassifier], names: SequenceDataset
) -> None:
    dataset, classifier = picked
    with pytest.raises(DataError, match="holds tokens; adversarial training changes values alone"):
        budget_for(names, 0.1, "linf")
    with pytest.raises(DataError, match="holds tokens; adversarial training changes values alone"):
        harden(classifier, names, NO_BUDGET)
    unbounded = replace(dataset, bounds=Bounds(0.0, float("inf")))
    with pytest.raises(DataError, match="no epsilon follows; give a number by --epsilon"):
        budget_for(unbounded, None, "linf")
    assert budget_for(unbounded, 0.2, "l2").epsilon == 0.2
    assert num_lines(unbounded, ("pgd",), 1) == num_lines(dataset, ("pgd",), 1) - 1
    with pytest.raises(UnknownNameError, match=r"Unknown arm 'pdg'\. Did you mean 'pgd'"):
        harden(classifier, dataset, NO_BUDGET, ("pdg",))
    with pytest.raises(ValueError, match="each once, but got"):
        harden(classifier, dataset, NO_BUDGET, ("pgd", "pgd"))
    with pytest.raises(ValueError, match="`repeats >= 1` must hold"):
        harden(classifier, dataset, NO_BUDGET, repeats=0)
    empty = replace(dataset, train=dataset.train.take(np.arange(0)))
    with pytest.raises(DataError, match="has no train part, which hardening needs"):
        harden(classifier, empty, NO_BUDGET)
    two = replace(dataset, class_names=("a", "b"))
    with pytest.raises(DataError, match="tells 3 classes apart, but the data has 2"):
        harden(classifier, two, NO_BUDGET)
