from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rnnprobe.statistics import (
    Interval,
    additive_shares,
    compare_configurations,
    compare_means,
    factorial_shares,
    holm,
    median_interval,
    pareto_front,
)


def test_one_seed_is_the_paired_t_test_over_the_examples() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((1, 300)) < 0.9, rng.random((1, 300)) < 0.85
    expected = stats.ttest_rel(first[0].astype(float), second[0].astype(float))
    found = compare_configurations(first, second)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.difference == pytest.approx(first.mean() - second.mean())
    assert found.difference / found.standard_error == pytest.approx(expected.statistic)
    assert found.interval == pytest.approx(expected.confidence_interval(0.95))


def test_where_examples_add_nothing_it_is_welchs_t_test_over_the_seeds() -> None:
    """Each seed gets as many right as it does, on examples of its own."""
    rng = np.random.default_rng(1)
    first = rng.random((4, 5000)) < np.array([0.5, 0.7, 0.9, 0.6])[:, None]
    second = rng.random((4, 5000)) < np.array([0.5, 0.52, 0.49, 0.6])[:, None]
    expected = stats.ttest_ind(first.mean(axis=1), second.mean(axis=1), equal_var=False)
    found = compare_configurations(first, second)
    assert found.p_value == pytest.approx(expected.pvalue, rel=0.02)
    assert found.interval == pytest.approx(expected.confidence_interval(0.95), abs=0.002)


@pytest.mark.parametrize("seeds", [1, 2, 4])
def test_the_interval_touches_zero_where_the_p_value_is_five_percent(seeds: int) -> None:
    """A shift of all examples by an end of the interval leaves nothing else changed."""
    rng = np.random.default_rng(seeds)
    first, second = rng.random((seeds, 200)) < 0.9, rng.random((seeds, 200)) < 0.6
    low, high = compare_configurations(first, second).interval
    assert -1 < low < high < 1
    for end in (low, high):
        shifted = compare_configurations(first - end, second)
        assert shifted.p_value == pytest.approx(0.05)
        assert min(map(abs, shifted.interval)) == pytest.approx(0, abs=1e-12)


@given(st.integers(1, 4), st.integers(1, 30), st.floats(0, 1), st.integers(0, 2**32))
def test_the_interval_leaves_out_zero_where_the_p_value_is_small(
    seeds: int, examples: int, share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    hits = rng.random((2, seeds, examples)) < np.array([share, 0.5]).reshape(2, 1, 1)
    found = compare_configurations(*hits)
    low, high = found.interval
    assert -1 <= low <= found.difference <= high <= 1
    assert (found.p_value < 0.05) == (not low <= 0 <= high)


def test_equal_and_different_predictions_without_any_noise() -> None:
    ones, zeros = np.ones((2, 10), bool), np.zeros((2, 10), bool)
    assert compare_configurations(ones, ones) == (0.0, 0.0, 1.0, Interval(0.0, 0.0))
    assert compare_configurations(ones, zeros) == (1.0, 0.0, 0.0, Interval(1.0, 1.0))


def test_of_one_example_nothing_is_known() -> None:
    found = compare_configurations(np.ones((3, 1), bool), np.zeros((3, 1), bool))
    assert found == (1.0, math.inf, 1.0, Interval(-1.0, 1.0))


def simulated(rng: np.random.Generator, seeds: int, effect: float) -> float:
    """Compare two equal configurations whose seeds and examples both matter."""
    difficulty = rng.normal(1.5, 1, 400)
    skills = rng.normal(0, 0.3, (2, seeds, 1)) + np.array([effect, 0]).reshape(2, 1, 1)
    hits = rng.random((2, seeds, 400)) < 1 / (1 + np.exp(-(difficulty + skills)))
    return compare_configurations(hits[0], hits[1]).p_value


@pytest.mark.parametrize(("seeds", "level"), [(2, 0.05), (3, 0.05), (5, 0.05)])
def test_equal_configurations_seldom_seem_different(seeds: int, level: float) -> None:
    """Over 2,000 pairs: what the docstring says, and three standard errors of that."""
    rng = np.random.default_rng(seeds)
    rate = np.mean([simulated(rng, seeds, 0.0) < 0.05 for _ in range(2000)])
    assert rate < level + 3 * math.sqrt(level * (1 - level) / 2000)


def test_a_large_difference_is_found() -> None:
    rng = np.random.default_rng(0)
    assert np.mean([simulated(rng, 5, 2.0) < 0.05 for _ in range(200)]) > 0.9


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_between_the_raw_and_the_bonferroni_value_and_keeps_the_order(
    p_values: list[float],
) -> None:
    adjusted = holm(p_values)
    for raw, value in zip(p_values, adjusted, strict=True):
        assert raw <= value <= min(1.0, len(p_values) * raw) or math.isclose(raw, value)
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert sorted(adjusted) == [adjusted[index] for index in order]


@given(
    st.lists(st.integers(2, 4), min_size=1, max_size=3), st.integers(1, 3), st.integers(0, 2**32)
)
def test_shares_of_a_factorial_sum_to_one(levels: list[int], repeats: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(*levels, repeats))
    shares = factorial_shares(values)
    assert sum(shares.values()) == pytest.approx(1)
    assert len(shares) == 2 ** len(levels)
    assert min(shares.values()) >= 0


def test_shares_of_a_factorial_agree_with_the_f_test_and_with_what_was_put_in() -> None:
    values = np.random.default_rng(0).normal(size=(4, 5))
    shares = factorial_shares(values)
    f = (shares[(0,)] / 3) / (shares[()] / 16)
    assert f == pytest.approx(stats.f_oneway(*values).statistic)
    rows, columns = np.array([-1.0, 1.0]), np.array([-3.0, 0.0, 3.0])
    additive = (rows[:, None] + columns)[..., None]
    assert factorial_shares(additive) == pytest.approx({(0,): 1 / 7, (1,): 6 / 7, (0, 1): 0, (): 0})
    interaction = (rows[:, None] * columns)[..., None]
    assert factorial_shares(interaction)[(0, 1)] == pytest.approx(1)
    assert factorial_shares(np.ones((2, 2, 1))) == {(0,): 0, (1,): 0, (0, 1): 0, (): 0}


def test_the_substitute_equals_the_main_effects_where_nothing_is_missing() -> None:
    values = np.random.default_rng(3).normal(size=(3, 4, 2))
    shares = factorial_shares(values)
    levels = [np.indices(values.shape)[axis].ravel().tolist() for axis in (0, 1)]
    found = additive_shares(levels, values.ravel().tolist())
    assert found == pytest.approx([shares[(0,)], shares[(1,)]])
    # With one cell missing the effect of the other axis is still told apart.
    kept = [i for i, pair in enumerate(zip(*levels, strict=True)) if pair != (0, 0)]
    y = [float(levels[0][i]) for i in kept]
    assert additive_shares([[axis[i] for i in kept] for axis in levels], y)[1] == pytest.approx(0)
    assert additive_shares([["a", "b"]], [1.0, 1.0]) == [0.0]


def test_an_axis_that_means_nothing_to_a_cell_does_not_stand_for_it() -> None:
    """A CNN has no units: what it does better is the cell's doing, not that of its units."""
    cells, units = ["cnn", "lstm", "lstm"], [None, 1, 2]
    assert additive_shares([cells, units], [1.0, 0.0, 0.0]) == pytest.approx([1, 0])
    assert additive_shares([cells, units], [1.0, 1.0, 0.0])[1] == pytest.approx(3 / 4)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_the_front_holds_what_nothing_beats(points: list[tuple[int, int]]) -> None:
    costs, gains = [p[0] for p in points], [p[1] for p in points]
    front = pareto_front(costs, gains)
    beaten = [
        any(
            (c <= cost and g >= gain) and (c < cost or g > gain)
            for c, g in points
        )
        for cost, gain in points
    ]  # fmt: skip
    assert {points[i] for i in front} == {p for p, b in zip(points, beaten, strict=True) if not b}


@pytest.mark.parametrize("size", [6, 7, 20, 51])
def test_the_interval_of_a_median_covers_it_as_the_binomial_says(size: int) -> None:
    low, high = median_interval(np.arange(size)) or (0, 0)
    rank = int(low) + 1
    assert high == size - rank  # symmetric
    # The chance that the true median lies outside is that of fewer than `rank` values below it.
    assert 2 * stats.binom.cdf(rank - 1, size, 0.5) <= 0.05 < 2 * stats.binom.cdf(rank, size, 0.5)


def test_five_values_are_too_few_for_an_interval_of_their_median() -> None:
    assert median_interval(np.arange(5)) is None
    assert median_interval(np.array([])) is None


@pytest.mark.parametrize("first", [[0.2, 0.5, 0.3], [0.25, 0.25], [1 / 3] * 2])
def test_means_are_compared_as_welch_does_also_where_one_group_is_constant(
    first: list[float],
) -> None:
    second = [0.41667, 0.5, 0.6, 0.3]
    found = compare_means(first, second)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a constant group
        expected = stats.ttest_ind(first, second, equal_var=False)
    assert found is not None
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
