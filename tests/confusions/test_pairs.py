from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from scipy.stats import fisher_exact as one_fisher_exact
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import accuracy_score, confusion_matrix

from rnnprobe import find_confusions
from rnnprobe.confusions._fisher import fisher_exact
from rnnprobe.confusions.independence import expected_mistakes, judge_excess
from rnnprobe.confusions.pairs import Confusions
from rnnprobe.records import Predictions
from rnnprobe.statistics import holm, wilson_interval


def predictions(
    y: np.ndarray, predicted: np.ndarray, num_classes: int, seed: int = 0
) -> Predictions:
    """Return probabilities with the given winners and random confidence."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0, 0.5 / num_classes, size=(len(y), num_classes))
    p[np.arange(len(y)), predicted] = 0
    p[np.arange(len(y)), predicted] = 1 - p.sum(axis=1)
    return Predictions(y.astype(np.int32), p, tuple(f"c{i}" for i in range(num_classes)))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=200))
def test_counts_equal_scikit_learns_confusion_matrix(drawn: list[tuple[int, int]]) -> None:
    y, predicted = (np.array(column) for column in zip(*drawn, strict=True))
    found = find_confusions(predictions(y, predicted, 5))
    expected = confusion_matrix(y, predicted, labels=range(5))
    assert (found.matrix == expected).all()
    assert found.accuracy == pytest.approx(accuracy_score(y, predicted))
    assert {(p.true, p.predicted): p.count for p in found.pairs} == {
        (t, p): int(expected[t, p]) for t, p in np.argwhere(expected) if t != p
    }
    assert sum(p.count for p in found.pairs) == len(found.mistakes)
    counts = [pair.count for pair in found.pairs]
    assert counts == sorted(counts, reverse=True)


def test_a_pair_holds_its_share_interval_reverse_and_examples() -> None:
    y = np.array([0] * 10 + [1] * 4 + [2])
    predicted = np.array([1] * 3 + [0] * 7 + [0] + [1] * 3 + [2])
    p = predictions(y, predicted, 3)
    pair, reverse = find_confusions(p).pairs
    assert (pair.true, pair.predicted, pair.count, pair.support, pair.reverse) == (0, 1, 3, 10, 1)
    assert pair.share == 0.3
    assert pair.interval == wilson_interval(3, 10)
    assert sorted(pair.examples) == [0, 1, 2]
    confidence = p.confidence[list(pair.examples)]
    assert (np.diff(confidence) <= 0).all()
    assert pair.mean_confidence == pytest.approx(confidence.mean())
    assert (reverse.count, reverse.reverse) == (1, 3)


def test_no_mistake_one_absent_class_and_ties() -> None:
    right = find_confusions(predictions(np.array([0, 1]), np.array([0, 1]), 3))
    assert right.pairs == ()
    assert right.mistakes == ()
    assert right.accuracy == 1
    assert right.interval.low < 1
    tied = find_confusions(predictions(np.array([2, 1, 0]), np.array([0, 2, 1]), 3))
    assert [(pair.true, pair.predicted) for pair in tied.pairs] == [(0, 1), (1, 2), (2, 0)]
    with pytest.raises(ValueError, match="num_examples >= 1"):
        find_confusions(predictions(np.array([], int), np.array([], int), 3))


def of_matrix(matrix: np.ndarray) -> Confusions:
    """Return the confusions of a matrix of counts."""
    true, predicted = np.indices(matrix.shape)
    repeats = matrix.ravel()
    return find_confusions(
        predictions(
            np.repeat(true.ravel(), repeats), np.repeat(predicted.ravel(), repeats), len(matrix)
        )
    )


UNEVEN = np.array([[40, 9, 1, 0], [2, 300, 3, 0], [4, 30, 25, 1], [0, 0, 0, 0]])
"""Asymmetric and unbalanced; of the last class there is no example."""


@given(st.tuples(*[st.integers(0, 40)] * 4))
def test_fishers_exact_test_equals_scipys(counts: tuple[int, int, int, int]) -> None:
    first, rest, second, other_rest = counts
    found = fisher_exact(*np.array([[first], [first + rest], [second], [second + other_rest]]))
    expected = one_fisher_exact([[first, rest], [second, other_rest]]).pvalue
    assert found[0] == pytest.approx(expected, rel=1e-6)


def test_fishers_exact_test_of_many_and_large_tables_equals_scipys() -> None:
    rng = np.random.default_rng(0)
    totals = rng.integers(1, 5000, size=(2, 60))
    hits = rng.binomial(totals, rng.uniform(0, 0.4, size=(1, 60)))
    found = fisher_exact(hits[0], totals[0], hits[1], totals[1])
    tables = np.stack([hits, totals - hits], axis=1).transpose(2, 1, 0)
    expected = [one_fisher_exact(table).pvalue for table in tables]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-300)


def test_asymmetry_compares_shares_and_is_adjusted_for_all_pairs_that_are_confused() -> None:
    found = of_matrix(UNEVEN)
    p_values = [
        one_fisher_exact([[9, 41], [2, 303]]).pvalue,
        one_fisher_exact([[1, 49], [4, 56]]).pvalue,
        one_fisher_exact([[3, 302], [30, 30]]).pvalue,
    ]
    adjusted = dict(zip([(0, 1), (0, 2), (1, 2)], holm(p_values), strict=True))
    assert found.num_asymmetry_tests == 3
    for pair in found.pairs:
        if pair.predicted == 3:
            assert pair.asymmetry_p is None
            assert pair.reverse_share is None
        else:
            key = (min(pair.true, pair.predicted), max(pair.true, pair.predicted))
            assert pair.asymmetry_p == pytest.approx(adjusted[key])
            assert pair.reverse_share == pair.reverse / UNEVEN[pair.predicted].sum()


def test_expected_mistakes_equal_a_poisson_regression_without_the_diagonal() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.poisson(rng.gamma(1, 8, size=(5, 1)) * rng.gamma(1, 1, size=(1, 5))) + 1
    true, predicted = np.nonzero(~np.eye(5, dtype=bool))
    effects = np.hstack([np.eye(5)[true], np.eye(5)[predicted]])
    model = PoissonRegressor(alpha=1e-10, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    fitted = model.fit(effects, matrix[true, predicted]).predict(effects)
    found = expected_mistakes(matrix)
    assert found is not None
    np.testing.assert_allclose(found[true, predicted], fitted, rtol=1e-4)


@given(
    st.integers(2, 6).flatmap(
        lambda size: st.lists(
            st.lists(st.sampled_from([0, 0, 1, 2, 7, 90, 10_000]), min_size=size, max_size=size),
            min_size=size,
            max_size=size,
        )
    )
)
def test_expected_mistakes_have_the_sums_that_were_found(rows: list[list[int]]) -> None:
    mistakes = np.array(rows)
    np.fill_diagonal(mistakes, 0)
    found = expected_mistakes(mistakes)
    if found is not None:
        size = mistakes.sum()
        np.testing.assert_allclose(found.sum(axis=0), mistakes.sum(axis=0), atol=1e-6 * size)
        np.testing.assert_allclose(found.sum(axis=1), mistakes.sum(axis=1), atol=1e-6 * size)
        assert (found >= 0).all()
        p_values = judge_excess(mistakes, found)
        assert (p_values[found > 0] <= 1).all()
        assert np.isnan(p_values[found == 0]).all()


@pytest.mark.parametrize(
    "matrix",
    [
        [[5, 3], [2, 9]],
        [[5, 3, 2], [0, 9, 0], [0, 0, 9]],
        [[5, 0, 4], [0, 9, 2], [0, 0, 9]],
        [[5, 3, 2], [4, 9, 0], [1, 0, 9]],
        [[5, 0, 0], [0, 9, 0], [0, 0, 9]],
    ],
    ids=["two classes", "one row", "one column", "all from or to one class", "no mistake"],
)
def test_nothing_is_expected_where_sums_leave_no_freedom(matrix: list[list[int]]) -> None:
    assert expected_mistakes(np.array(matrix)) is None
    found = of_matrix(np.array(matrix))
    assert found.num_excess_tests == 0
    assert all(pair.expected is pair.excess_p is None for pair in found.pairs)


def test_excess_is_binomial_within_a_true_class_and_adjusted_for_cells_without_a_mistake() -> None:
    found = of_matrix(UNEVEN)
    expected = expected_mistakes(UNEVEN)
    assert expected is not None
    cells = [(t, p) for t, p in np.ndindex(4, 4) if expected[t, p] > 0]
    mistakes = UNEVEN - np.diag(np.diag(UNEVEN))
    tests = [
        binomtest(
            int(mistakes[cell]),
            int(mistakes[cell[0]].sum()),
            expected[cell] / mistakes[cell[0]].sum(),
            alternative="greater",
        ).pvalue
        for cell in cells
    ]
    adjusted = dict(zip(cells, holm(tests), strict=True))
    assert found.num_excess_tests == len(cells) == 9 > len(found.pairs)
    for pair in found.pairs:
        assert pair.expected == pytest.approx(expected[pair.true, pair.predicted])
        assert pair.excess_p == pytest.approx(adjusted[pair.true, pair.predicted])


def test_a_pair_far_beyond_blind_mistakes_is_found_and_blind_ones_are_not() -> None:
    errs, attracts = np.array([40, 10, 20, 30, 20]), np.array([0.4, 0.1, 0.2, 0.2, 0.1])
    blind = np.round(np.outer(errs, attracts)).astype(int) + np.diag([500] * 5)
    assert all(pair.excess_p == 1 for pair in of_matrix(blind).pairs)
    blind[1, 4] += 20
    found = {(p.true, p.predicted): p.excess_p for p in of_matrix(blind).pairs}
    assert found.pop((1, 4)) < 0.001
    assert min(found.values()) > 0.05
