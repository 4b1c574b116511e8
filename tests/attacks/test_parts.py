"""Auto-PGD's schedule, minimal norms, few steps, windows, class pairs: against closed forms."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from linear import Linear

from rnnprobe import Bounds, Budget, KerasClassifier, Split
from rnnprobe.attacks._attempt import Attempt
from rnnprobe.attacks._classes import attack_pairs
from rnnprobe.attacks._few_steps import few_steps, step_gains
from rnnprobe.attacks._region import Region, distance
from rnnprobe.attacks._run import evaluate_attacks, run_attack
from rnnprobe.attacks._time import flip_steps, scan_windows, step_curve
from rnnprobe.attacks.apgd import _Path, checkpoints
from rnnprobe.attacks.fgsm import FGSM
from rnnprobe.attacks.minimal_norm import MinimalNorm
from rnnprobe.attacks.noise import Noise
from rnnprobe.attacks.pgd import PGD
from rnnprobe.attacks.square import Square
from rnnprobe.attacks.strong import Strong
from rnnprobe.attacks.targeted_apgd import TargetedAPGD
from rnnprobe.losses import CrossEntropy
from rnnprobe.statistics import compare_means, rank_correlation

WIDE = Bounds(-10, 10)


def case(num_classes: int = 4, num_steps: int = 6, number: int = 20) -> tuple[Linear, Split]:
    rng = np.random.default_rng(7)
    weights = rng.normal(size=(num_steps, 3, num_classes))
    model = Linear(weights, -weights.sum(axis=(0, 1)) / 2)
    x = rng.uniform(0, 1, size=(number, num_steps, 3)).astype(np.float32)
    return model, Split(x, model.logits(x).argmax(axis=1).astype(np.int32))


def nearest_boundary(model: Linear, split: Split, norm: str) -> np.ndarray:
    """Return how far each example is from another class, where nothing bounds the values."""
    logits = model.logits(split.x).astype(float)
    flat = model.weights.reshape(-1, model.num_classes)
    found = np.full(len(split), np.inf)
    for label in range(model.num_classes):
        difference = flat[:, split.y] - flat[:, [label]]
        dual = np.abs(difference).sum(0) if norm == "linf" else np.sqrt((difference**2).sum(0))
        gap = logits[np.arange(len(split)), split.y] - logits[:, label]
        found = np.where(split.y == label, found, np.minimum(found, gap / np.maximum(dual, 1e-9)))
    return found


def test_apgd_has_the_papers_checkpoints() -> None:
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]


@given(st.integers(1, 300))
def test_checkpoints_rise_and_end_with_the_steps(steps: int) -> None:
    found = checkpoints(steps)
    gaps = np.diff([0, *found])
    assert (gaps > 0).all() and found[-1] <= steps
    assert (np.diff(gaps) <= 0).all()


def test_apgd_halves_its_step_as_the_paper_says() -> None:
    """The two conditions, on losses that are told to it."""
    model, split = case(number=4)
    region = Region.of(model, split.x, Budget(0.1, "linf", WIDE), None, None)
    path = _Path(region, split.x, np.zeros(4), np.ones_like(split.x))
    assert path.size == pytest.approx(np.full((4, 1, 1), 0.2, np.float32))
    # 0: rises always; 1: rises in 3 of 4; 2: never; 3: always, but not above the best so far
    for step in range(1, 5):
        rises = [step, step if step < 4 else 2.5, -step, step]
        path.arrive(split.x + step, np.array(rises, float), np.ones_like(split.x))
    path.judge()
    assert path.size[:, 0, 0] == pytest.approx([0.2, 0.1, 0.1, 0.2])
    assert (path.points[2] == split.x[2]).all(), "it goes back to its best point"
    assert (path.points[0] == split.x[0] + 4).all()
    path.best_values[3] = path.judged_values[3] = 99.0
    for step in range(5, 9):
        path.arrive(split.x + step, np.full(4, float(step)), np.ones_like(split.x))
    path.judge()
    assert path.size[:, 0, 0] == pytest.approx([0.2, 0.1, 0.1, 0.1])


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_minimal_norm_finds_the_distance_to_the_boundary(norm: Any) -> None:
    model, split = case()
    found = MinimalNorm()(model, split.x, split.y, Budget(math.inf, norm, WIDE))
    assert (model.logits(found).argmax(axis=1) != split.y).all()
    ratio = distance(found - split.x, norm) / nearest_boundary(model, split, norm)
    assert ratio.min() > 0.999
    assert np.median(ratio) < 1.02


def test_minimal_norm_finds_what_the_published_rule_misses_at_a_bound() -> None:
    """Values at their bound have a large gradient that cannot be used."""
    weights = np.zeros((4, 3, 2))
    weights[:2, :, 1] = -50  # these values are 0 and may not fall
    weights[2:, :, 1] = 1
    model = Linear(weights, np.array([3.0, 0.0]))
    x = np.zeros((3, 4, 3), np.float32)
    x[:, 2:] = 0.1
    y = np.zeros(3, np.int32)
    found = MinimalNorm()(model, x, y, Budget(math.inf, "l2", Bounds(0, 1)))
    assert (model.logits(found).argmax(axis=1) == 1).all()
    assert distance(found - x, "l2") == pytest.approx((3 - 0.6) / math.sqrt(6), rel=0.02)


def test_minimal_norm_keeps_to_epsilon() -> None:
    model, split = case()
    needed = nearest_boundary(model, split, "linf")
    epsilon = float(np.median(needed))
    found = MinimalNorm()(model, split.x, split.y, Budget(epsilon, "linf", WIDE))
    changed = (found != split.x).any(axis=(1, 2))
    assert (changed <= (needed <= epsilon)).all()
    assert changed.sum() >= 0.8 * (needed <= epsilon).sum()


def test_square_reaches_the_last_step() -> None:
    """A model that sees the last step alone: windows must be able to end there."""
    weights = np.zeros((8, 2, 2))
    weights[-1, 0, 1] = 1.0
    model = Linear(weights, np.array([0.55, 0.0]))
    x = np.full((10, 8, 2), 0.5, np.float32)
    y = np.zeros(10, np.int32)
    found = Square(queries=60, seed=1)(model, x, y, Budget(0.1, "linf", Bounds(0, 1)))
    assert (model.logits(found).argmax(axis=1) == 1).all()


def test_strong_asks_less_of_what_has_fallen_and_fools_what_its_parts_fool() -> None:
    model, split = case()
    epsilon = float(np.median(nearest_boundary(model, split, "linf")))
    budget = Budget(epsilon, "linf", WIDE)
    strong = Strong(steps=20, queries=50)
    together = run_attack(strong, model, split, budget).success
    for stage in strong.stages:
        assert (run_attack(stage, model, split, budget).success <= together).all()
    assert (together <= (nearest_boundary(model, split, "linf") <= epsilon + 1e-6)).all()


def test_targeted_apgd_falls_back_for_two_and_three_classes() -> None:
    for num_classes in (2, 3):
        model, split = case(num_classes)
        needed = nearest_boundary(model, split, "linf")
        budget = Budget(float(needed.max()) * 1.05, "linf", WIDE)
        assert run_attack(TargetedAPGD(30), model, split, budget).success.all()


def test_run_attack_projects_what_an_attack_returns_and_says_so() -> None:
    model, split = case()

    def outside(model: Any, x: Any, y: Any, budget: Any, **more: Any) -> Any:
        far = x + np.float32(5)
        far[0] = np.nan
        return far

    result = run_attack(outside, model, split, Budget(0.1, "linf", WIDE))
    assert result.repaired.all()
    assert (result.examples[0] == split.x[0]).all()
    assert result.distance[1:] == pytest.approx(np.full(len(split) - 1, 0.1), abs=1e-6)
    with pytest.raises(ValueError, match=r"The attack returned shape \(20, 6\), expected"):
        run_attack(lambda *a, **k: a[1][:, :, 0], model, split, Budget(0.1, "linf", WIDE))


def test_wrong_examples_are_left_alone_and_count_as_not_robust() -> None:
    model, split = case()
    y = np.where(np.arange(len(split)) < 5, (split.y + 1) % 4, split.y).astype(np.int32)
    outcome = evaluate_attacks(
        {"fgsm": FGSM()}, model, Split(split.x, y), [Budget(0.05, "linf", WIDE)]
    )
    assert not outcome.attacked[:5].any()
    assert not outcome.worst[:, :5].any()
    assert (outcome.examples[0, :5] == split.x[:5]).all()


def test_fooled_within_a_radius_is_fooled_within_all_larger_ones() -> None:
    model, split = case()
    budgets = [Budget(epsilon, "linf", WIDE) for epsilon in (0.2, 0.05, 0.1)]
    outcome = evaluate_attacks({"noise": Noise(), "m": MinimalNorm(20)}, model, split, budgets)
    assert [budget.epsilon for budget in outcome.budgets] == [0.05, 0.1, 0.2]
    for fooled in (*outcome.fooled.values(), outcome.worst):
        assert (fooled[:-1] <= fooled[1:]).all()
    for index, budget in enumerate(outcome.budgets):
        rows = outcome.worst[index]
        assert (model.logits(outcome.examples[index][rows]).argmax(1) != split.y[rows]).all()
        far = distance(outcome.examples[index] - split.x, "linf")
        assert far.max() <= budget.epsilon + 1e-6
        assert far[rows] == pytest.approx(outcome.worst_nearest[rows])


@pytest.mark.parametrize("placement", ["free", "contiguous", "prefix", "suffix"])
def test_no_more_than_the_allowed_steps_change(placement: Any) -> None:
    model, split = case()
    mask = np.ones(split.x.shape[:2], bool)
    mask[::2, 4:] = False
    y = model.logits(split.x, mask).argmax(axis=1).astype(np.int32)
    budget = Budget(0.3, "linf", WIDE, 2, placement)
    found = few_steps(PGD(10))(model, split.x, y, budget, mask=mask)
    changed = (found != split.x).any(axis=2)
    assert changed.sum(axis=1).max() <= 2
    assert not changed[~mask].any()
    lengths = mask.sum(axis=1)
    for row, steps in enumerate(changed):
        if placement == "prefix":
            assert not steps[2:].any()
        elif placement == "suffix":
            assert not steps[: lengths[row] - 2].any()
        elif placement == "contiguous" and steps.any():
            assert np.ptp(np.flatnonzero(steps)) <= 1


def test_of_a_linear_model_the_free_steps_of_largest_gain_are_the_best_ones() -> None:
    """Of two classes the best K steps are those of largest dual norm, in closed form."""
    model, split = case(2)
    weights = np.abs(model.weights[:, :, 1] - model.weights[:, :, 0]).sum(axis=1)
    gaps = np.abs(np.diff(model.logits(split.x).astype(float))[:, 0])
    epsilon = float(np.median(gaps)) / np.sort(weights)[-2:].sum()
    budget = Budget(epsilon, "linf", WIDE)
    curve = step_curve(PGD(10, step_size=0.5), model, split, budget, [1, 2, 4, 6])
    best = np.sort(weights)[::-1].cumsum()
    for number, fooled in zip(curve.steps, curve.fooled, strict=True):
        sure = np.abs(gaps - epsilon * best[number - 1]) > 1e-4
        assert (fooled == (gaps < epsilon * best[number - 1]))[sure].all()
    assert (curve.least[~curve.fooled[-1]] == 0).all()
    gains = step_gains(model, split.x, split.y, budget)
    share = gains / gains.sum(axis=1, keepdims=True)
    assert share == pytest.approx(np.tile(weights / weights.sum(), (len(split), 1)), rel=1e-4)


def test_windows_show_the_step_that_the_model_looks_at() -> None:
    weights = np.zeros((7, 2, 2))
    weights[4, :, 1] = 1.0
    model = Linear(weights, np.array([1.2, 0.0]))
    split = Split(np.full((5, 7, 2), 0.5, np.float32), np.zeros(5, np.int32))
    scan = scan_windows(model, split, Budget(0.2, "linf", WIDE), 2)
    assert scan.starts.tolist() == [0, 1, 2, 3, 4, 5]
    assert scan.fooled.all(axis=1).tolist() == [False, False, False, True, True, False]
    assert scan.gains[:, 4] == pytest.approx(np.ones(5))
    assert flip_steps(model, split, Budget(0.2, "linf", WIDE)).tolist() == [5] * 5


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_class_pairs_are_ranked_by_their_distance(norm: Any) -> None:
    model, split = case(3, number=60)
    confusions = np.array([[9, 1, 0], [2, 8, 0], [0, 3, 7]])
    pairs = attack_pairs(model, split, Budget(0.1, norm, WIDE), confusions, per_class=8)
    assert pairs.median is not None
    flat = model.weights.reshape(-1, 3)
    logits = model.logits(split.x).astype(float)
    for true in range(3):
        rows = np.flatnonzero(split.y == true)[:8]
        assert pairs.tried[true] == len(rows)
        assert np.isnan(pairs.median[true, true])
        for target in {0, 1, 2} - {true}:
            # Another class may have to be passed, so this is a lower bound.
            gap = logits[rows, true] - logits[rows, target]
            difference = flat[:, true] - flat[:, target]
            order = 1 if norm == "linf" else 2
            least = np.sort(gap / np.linalg.norm(difference, order))[len(rows) // 2]
            assert pairs.median[true, target] >= least * 0.999
            assert pairs.success[true, target] <= len(rows)


def test_attempts_keep_the_first_hit_or_the_largest_loss() -> None:
    model, split = case()
    y = split.y
    loss = CrossEntropy(y)
    rows = np.arange(len(y))
    far = split.x - 5 * np.sign(model.loss_gradient(split.x, loss)[1])  # the wrong way
    hits = split.x + 5 * np.sign(model.loss_gradient(split.x, loss)[1])
    attempt = Attempt(model, split.x, y, None)
    for points in (split.x, far, hits, split.x):
        attempt.gradient(rows, points, loss)
    assert (attempt.examples == hits).all()
    assert not len(attempt.left)
    attempt = Attempt(model, split.x, y, None)
    for points in (far, split.x, far):
        attempt.look(rows, points, loss)
    assert (attempt.examples == split.x).all()
    assert len(attempt.left) == len(y)


def test_rank_correlation_is_scipys_and_its_interval_covers() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        first, second = rng.normal(size=(2, 40))
        found = rank_correlation(first, second)
        assert found is not None
        assert found[0] == pytest.approx(spearmanr(first, second).statistic)
        covered += found[1].low <= 0 <= found[1].high
    assert 0.92 < covered / 300 < 0.98
    assert rank_correlation(np.ones(9), np.arange(9)) is None
    assert rank_correlation(np.arange(3), np.arange(3)) is None


def test_means_are_compared_by_welchs_test() -> None:
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(1)
    first, second = list(rng.normal(size=5)), list(rng.normal(1, 3, size=4))
    found = compare_means(first, second)
    assert found is not None
    expected = ttest_ind(first, second, equal_var=False)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.interval.low < found.difference < found.interval.high
    assert compare_means([1.0], [2.0, 3.0]) is None
    same = compare_means([1.0, 1.0], [2.0, 2.0])
    assert same is not None and same.p_value == 1.0


def test_the_scale_of_data_and_of_logits_changes_no_outcome() -> None:
    model, split = case()
    attacks: dict[str, Any] = {"pgd": PGD(10), "min-norm": MinimalNorm(30)}
    expected = evaluate_attacks(attacks, model, split, [Budget(0.05, "linf", WIDE)])
    assert 0 < expected.worst.sum() < len(split)
    for data, logits in ((1e-6, 1.0), (1e4, 1.0), (1.0, 500.0)):
        other = Linear(model.weights * logits / data, model.bias * logits)
        scaled = Split((split.x * np.float32(data)).astype(np.float32), split.y)
        budget = Budget(0.05 * data, "linf", Bounds(-10 * data, 10 * data))
        found = evaluate_attacks(attacks, other, scaled, [budget])
        for name in attacks:
            same = (found.fooled[name] == expected.fooled[name]).mean()
            assert same > 0.85, (name, data, logits)  # sharper logits lead another way


@pytest.mark.parametrize("bounds", [Bounds(0, 0.5), Bounds(-math.inf, math.inf)])
def test_minimal_norm_of_a_row_knows_nothing_of_the_others(bounds: Bounds) -> None:
    model, split = case()
    x = split.x.copy()
    x[3] += 20
    y = model.logits(x).argmax(axis=1).astype(np.int32)
    budget = Budget(math.inf, "l2", bounds)
    together = MinimalNorm(20)(model, x, y, budget)
    alone = MinimalNorm(20)(model, x[[0]], y[[0]], budget)
    assert (alone[0] == together[0]).all()


def test_an_attack_that_empties_steps_does_not_shorten_the_sequence() -> None:
    inputs = keras.Input((6, 1))
    hidden = keras.layers.GRU(4)(keras.layers.Masking(0.0)(inputs))
    model = KerasClassifier(keras.Model(inputs, keras.layers.Dense(3)(hidden)))
    x = np.random.default_rng(0).uniform(0.02, 1, size=(12, 6, 1)).astype(np.float32)
    split = Split(x, model.logits(x).argmax(axis=1).astype(np.int32))

    def empties(model: Any, x: Any, y: Any, budget: Any, **more: Any) -> Any:
        return np.where(x < budget.epsilon, 0, x)

    result = run_attack(empties, model, split, Budget(0.3, "linf", Bounds(0, 1)))
    assert (empties(model, x, split.y, result.budget) == 0).any()
    assert (model.counted_steps(result.examples) == model.counted_steps(x)).all()
    assert result.distance.max() <= 0.3 + 1e-6
