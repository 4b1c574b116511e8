from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlxtend.evaluate import cochrans_q
from scipy.stats import binomtest, fisher_exact

from rnnprobe.confusions._homogeneity import compare_examples, compare_rates
from rnnprobe.confusions.stability import find_stable
from rnnprobe.records import Predictions
from rnnprobe.statistics import wilson_interval


def said(y: list[int], *predicted: list[int], num_classes: int = 3) -> list[Predictions]:
    """Return one record a model, each sure of what it says."""
    names = tuple(f"c{i}" for i in range(num_classes))
    return [
        Predictions(np.array(y), np.eye(num_classes)[np.array(labels)], names)
        for labels in predicted
    ]


def mistakes(num_models: int, num_examples: int, seed: int) -> np.ndarray:
    """Return mistakes of models of unequal rates on examples of unequal difficulty."""
    rng = np.random.default_rng(seed)
    chance = rng.uniform(0.05, 0.9, num_examples) * rng.uniform(0.2, 1, (num_models, 1))
    return rng.random((num_models, num_examples)) < chance


@pytest.mark.parametrize(("num_models", "seed"), [(3, 0), (4, 1), (7, 2)])
def test_cochrans_q_equals_mlxtends(num_models: int, seed: int) -> None:
    mistaken = mistakes(num_models, 90, seed)
    found = compare_rates(mistaken)
    q, p_value = cochrans_q(np.ones(90), *(~mistaken).astype(int))
    assert found.method == "chi-square"
    assert found.statistic == pytest.approx(q)
    assert found.p_value == pytest.approx(p_value)


@pytest.mark.parametrize(("num_models", "num_examples", "seed"), [(3, 8, 0), (4, 6, 1), (5, 4, 2)])
def test_the_exact_p_value_counts_all_arrangements(
    num_models: int, num_examples: int, seed: int
) -> None:
    mistaken = mistakes(num_models, num_examples, seed)
    rows = [
        list(itertools.combinations(range(num_models), int(size)))
        for size in mistaken.sum(axis=0)
        if 0 < size < num_models
    ]
    squares = []
    for arrangement in itertools.product(*rows):
        totals = np.bincount(np.concatenate(arrangement).astype(int), minlength=num_models)
        squares.append(int((totals**2).sum()))
    differing = mistaken[:, (mistaken.any(axis=0)) & (~mistaken.all(axis=0))]
    observed = int((differing.sum(axis=1) ** 2).sum())
    found = compare_rates(mistaken)
    assert (found.method, found.discordant) == ("exact", len(rows))
    assert found.p_value == pytest.approx(np.mean(np.array(squares) >= observed))
    assert found.least == pytest.approx(np.mean(np.array(squares) == max(squares)))


@settings(max_examples=30)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 5))
def test_of_two_models_the_tests_are_mcnemars_and_fishers(
    first: int, second: int, both: int
) -> None:
    mistaken = np.zeros((2, 100), bool)
    mistaken[:, :both] = True
    mistaken[0, both : both + first] = True
    mistaken[1, both + first : both + first + second] = True
    found = compare_rates(mistaken)
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert found.p_value == pytest.approx(expected)
    table = [[both, first], [second, 100 - both - first - second]]
    fisher = fisher_exact(table, alternative="greater").pvalue
    assert compare_examples(mistaken).p_value == pytest.approx(fisher)


def test_the_chance_of_few_distinct_examples_is_that_of_all_subsets() -> None:
    total, counts = 6, (2, 1, 3)
    unions = [
        len(set().union(*subsets))
        for subsets in itertools.product(
            *(itertools.combinations(range(total), count) for count in counts)
        )
    ]
    mistaken = np.zeros((3, total), bool)
    mistaken[0, [0, 1]], mistaken[1, 2], mistaken[2, [0, 1, 3]] = True, True, True
    found = compare_examples(mistaken)
    assert found.p_value == pytest.approx(np.mean(np.array(unions) <= 4))
    assert found.least == pytest.approx(np.mean(np.array(unions) == 3))


def test_a_pair_holds_counts_recurrence_and_chance() -> None:
    y = [0] * 10 + [1] * 4
    one, two, three = ([0] * 10 + [1] * 4 for _ in range(3))
    for model, hit in ((one, (0, 1, 2)), (two, (0, 1)), (three, (0, 5))):
        for index in hit:
            model[index] = 2
    three[13] = 0
    found = find_stable(said(y, one, two, three))
    pair, other = found.pairs
    assert (pair.true, pair.predicted, pair.counts, pair.support) == (0, 2, (3, 2, 2), 10)
    assert pair.mean == pytest.approx(7 / 3)
    assert pair.deviation == pytest.approx(np.std([3, 2, 2], ddof=1))
    assert pair.recurrence == (2, 1, 1)
    assert pair.examples == (0, 1, 2, 5)
    assert (pair.in_more_than_half, pair.num_models) == (2, 3)
    assert pair.by_chance[2] == pytest.approx(10 * 0.3 * 0.2 * 0.2)
    assert sum(pair.by_chance) == pytest.approx(10 * (1 - 0.7 * 0.8 * 0.8))
    assert (other.counts, other.num_models, other.verdict) == ((0, 0, 1), 1, "too few")
    assert found.distribution == (9, 3, 1, 1)
    assert sum(found.by_chance) == pytest.approx(14)
    assert found.by_chance[3] == pytest.approx(14 * math.prod((3 / 14, 2 / 14, 3 / 14)))
    assert found.wrong_in_all == (0,)
    assert found.interval == wilson_interval(1, 14)
    assert (found.num_same_class, found.correct, found.total) == (1, (11, 12, 11), 14)


def verdicts(*hits: range, size: int = 60) -> str:
    models = [[2 if index in hit else 0 for index in range(size)] for hit in hits]
    return find_stable(said([0] * size, *models)).pairs[0].verdict


def test_verdicts_follow_from_rates_and_examples() -> None:
    assert verdicts(range(12), range(1, 13), range(2, 13)) == "stable"
    assert verdicts(range(12), range(12), range(12)) == "stable"
    assert verdicts(range(30), range(6), range(5)) == "mixed"
    assert verdicts(range(30), range(30, 33), range(33, 35)) == "differs"
    assert verdicts(range(6), range(6, 12), range(12, 18)) == "unclear"
    assert verdicts(range(3), range(3), range(0)) == "unclear"
    assert verdicts(range(1), range(1, 2), range(0), size=9) == "too few"


def test_equal_models_two_classes_and_no_mistake_are_no_trouble() -> None:
    y = [0, 0, 0, 1]
    right = find_stable(said(y, y, y, num_classes=2))
    assert (right.pairs, right.wrong_in_all, right.distribution) == ((), (), (4, 0, 0))
    assert right.interval.low == 0
    wrong = find_stable(said(y, [1, 1, 1, 0], [1, 1, 1, 0], num_classes=2))
    assert wrong.distribution == (0, 0, 4)
    for pair in wrong.pairs:
        assert pair.homogeneity.method == "none"
        assert pair.homogeneity.p_value == pair.same_examples.p_value == 1
        assert 0 < pair.interval.low < pair.interval.high == 1


def test_the_interval_covers_the_examples_and_where_asked_the_models() -> None:
    rng = np.random.default_rng(0)
    inside = np.zeros(2)
    for _ in range(150):
        chance = 1 / (1 + np.exp(2.2 + rng.normal(0, 1, (1, 80)) + rng.normal(0, 0.7, (5, 1))))
        hit = 2 * (rng.random((5, 80)) < chance)
        pair = find_stable(said([0] * 80, *hit.tolist())).pairs[0]
        for kind, (low, high) in enumerate((pair.interval, pair.interval_over_models)):
            inside[kind] += low <= 0.149 <= high  # the mean over 10 million draws
    assert inside[0] / 150 < 0.85  # these very models only
    assert inside[1] / 150 > 0.9


def test_what_cannot_be_compared_is_refused() -> None:
    one, two = said([0, 1], [0, 1], [0, 0])
    with pytest.raises(ValueError, match="num_models >= 2"):
        find_stable([one])
    with pytest.raises(ValueError, match="labels of model 2"):
        find_stable([one, *said([0, 0], [0, 1])])
    with pytest.raises(ValueError, match="model 2 has"):
        find_stable([one, Predictions(two.y, two.probabilities, ("x", "y", "z"))])
    with pytest.raises(ValueError, match="num_examples >= 1"):
        find_stable([Predictions(one.y[:0], one.probabilities[:0], one.class_names)] * 2)
