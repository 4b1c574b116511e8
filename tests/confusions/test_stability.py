from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlxtend.evaluate import cochrans_q
from scipy.stats import binomtest, fisher_exact

from rnnprobe.confusions._homogeneity import (
    Homogeneity,
    Recurrence,
    _chance_of_few,
    _chance_of_many,
    compare_examples,
    compare_rates,
)
from rnnprobe.confusions.stability import find_stable
from rnnprobe.records import Predictions, SequenceDataset
from rnnprobe.reports.confusions_models import confusions_models_report
from rnnprobe.statistics import wilson_interval
from rnnprobe.table import to_markdown


def said(y: list[int], *predicted: Sequence[int], num_classes: int = 3) -> list[Predictions]:
    """Return one record a model, each sure of what it says."""
    names = tuple(f"c{i}" for i in range(num_classes))
    return [
        Predictions(np.array(y), np.eye(num_classes)[np.array(labels)], names)
        for labels in predicted
    ]


def rates_of(mistaken: np.ndarray) -> Homogeneity:
    """Test the mistakes of each model, bool (num_models, num_examples)."""
    times = np.bincount(mistaken.sum(axis=0), minlength=len(mistaken) + 1)
    return compare_rates(mistaken.sum(axis=1).tolist(), times[1:].tolist())


def examples_of(mistaken: np.ndarray) -> Recurrence:
    distinct = int(mistaken.any(axis=0).sum())
    return compare_examples(mistaken.sum(axis=1).tolist(), distinct, mistaken.shape[1])


def mistakes(num_models: int, num_examples: int, seed: int) -> np.ndarray:
    """Return mistakes of models of unequal rates on examples of unequal difficulty."""
    rng = np.random.default_rng(seed)
    chance = rng.uniform(0.05, 0.9, num_examples) * rng.uniform(0.2, 1, (num_models, 1))
    return rng.random((num_models, num_examples)) < chance


@pytest.mark.parametrize(("num_models", "seed"), [(3, 0), (4, 1), (7, 2)])
def test_cochrans_q_equals_mlxtends(num_models: int, seed: int) -> None:
    mistaken = mistakes(num_models, 90, seed)
    found = rates_of(mistaken)
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
    found = rates_of(mistaken)
    assert (found.method, found.discordant) == ("exact", len(rows))
    assert found.p_value == pytest.approx(np.mean(np.array(squares) >= observed))
    assert found.least == pytest.approx(np.mean(np.array(squares) == max(squares)))


def one_mistake_each(*counts: int) -> np.ndarray:
    """Return mistakes of models that never err on the same example."""
    return np.repeat(np.eye(len(counts), dtype=bool), counts, axis=1)


def test_few_discordant_examples_of_many_models_are_counted_exactly() -> None:
    found = rates_of(one_mistake_each(4, *[0] * 19))
    assert found.method == "exact"
    assert found.p_value == pytest.approx(20**-3)  # the chi-square distribution says 3e-9
    assert found.least == pytest.approx(found.p_value)


def test_a_p_value_by_permutation_is_near_the_exact_one_and_never_below_its_least() -> None:
    counts = (8, 8, 7, 4, 4, 3, 2, 2, 1, 1)
    found = rates_of(one_mistake_each(*counts))
    draws = np.random.default_rng(1).multinomial(40, [0.1] * 10, 400_000)
    exact = ((draws**2).sum(axis=1) >= sum(count**2 for count in counts)).mean()
    assert found.method == "permutation"
    assert found.p_value == pytest.approx(exact, abs=4 * (exact / 999) ** 0.5)
    assert found.least == 1 / 10_000
    assert rates_of(one_mistake_each(*counts)) == found
    extreme = rates_of(one_mistake_each(31, *[1] * 9))
    assert (extreme.method, extreme.p_value) == ("permutation", extreme.least)


def test_permutations_of_rows_of_any_size_give_the_exact_size() -> None:
    # 6 models, rows of 1 to 5; the oracle permutes each example's mistakes by sorting noise.
    mistaken = mistakes(6, 24, 3)[:, :24]
    found = rates_of(mistaken)
    noise = np.random.default_rng(2).random((20_000, *mistaken.shape))
    ranks = noise.argsort(axis=1).argsort(axis=1)
    squares = ((ranks < mistaken.sum(axis=0)).sum(axis=2) ** 2).sum(axis=1)
    expected = (squares >= (mistaken.sum(axis=1) ** 2).sum()).mean()
    assert found.method == "permutation"
    assert found.p_value == pytest.approx(expected, abs=4 * (expected / 999) ** 0.5)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 12), min_size=2, max_size=6), st.integers(20, 90), st.data())
def test_whole_numbers_and_floats_give_one_chance_of_few_examples(
    counts: list[int], total: int, data: st.DataObject
) -> None:
    by_count = tuple((count, counts.count(count)) for count in sorted(set(counts), reverse=True))
    distinct = data.draw(st.integers(max(counts), min(sum(counts), total)))
    few = _chance_of_few(by_count, distinct, total)
    assert few == pytest.approx(_chance_of_many(by_count, distinct, total), rel=1e-9, abs=1e-20)


@settings(max_examples=30)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 5))
def test_of_two_models_the_tests_are_mcnemars_and_fishers(
    first: int, second: int, both: int
) -> None:
    mistaken = np.zeros((2, 100), bool)
    mistaken[:, :both] = True
    mistaken[0, both : both + first] = True
    mistaken[1, both + first : both + first + second] = True
    found = rates_of(mistaken)
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert found.p_value == pytest.approx(expected)
    table = [[both, first], [second, 100 - both - first - second]]
    fisher = fisher_exact(table, alternative="greater").pvalue
    assert examples_of(mistaken).p_value == pytest.approx(fisher)


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
    found = examples_of(mistaken)
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
        for kind, (low, high) in enumerate((pair.interval, pair.interval_over_models or (2, 2))):
            inside[kind] += low <= 0.149 <= high  # the mean over 10 million draws
    assert inside[0] / 150 < 0.85  # these very models only
    assert inside[1] / 150 > 0.9


def test_the_interval_over_three_and_more_models_covers_and_of_two_there_is_none() -> None:
    rng = np.random.default_rng(0)
    points, weights = np.polynomial.hermite_e.hermegauss(101)
    spread = math.hypot(0.5, 1)  # of models and examples, on the logit
    share = (weights / (1 + np.exp(2.2 + spread * points))).sum() / weights.sum()
    for number in (3, 5):
        inside = []
        for _ in range(200):
            logits = -2.2 + rng.normal(0, 1, (1, 100)) + rng.normal(0, 0.5, (number, 1))
            hit = 2 * (rng.random((number, 100)) < 1 / (1 + np.exp(-logits)))
            pair = find_stable(said([0] * 100, *hit)).pairs[0]
            assert pair.interval_over_models is not None
            low, high = pair.interval_over_models
            assert low <= pair.interval.low <= pair.interval.high <= high
            inside.append(low <= share <= high)
        assert np.mean(inside) >= 0.95
    assert find_stable(said([0] * 100, *hit[:2])).pairs[0].interval_over_models is None


@pytest.mark.parametrize(("number", "method"), [(2, "McNemar's"), (3, "Cochran's Q (exact: 1)")])
def test_the_report_names_the_test_and_what_the_intervals_cover(
    names: SequenceDataset, number: int, method: str
) -> None:
    y = names.test.y
    hits = [np.arange(len(y)) < 9 * model for model in range(number)]
    models = said(y.tolist(), *(np.where((y == 0) & hit, 1, y) for hit in hits), num_classes=2)
    found = find_stable(models)
    report = confusions_models_report(
        found, names="abc"[:number], same_settings=True, dataset=names
    )
    text = to_markdown(report)
    assert method in text
    assert ("two seeds do not tell" in text.lower()) == (number == 2)
    assert ("other examples and other seeds together" in text) == (number == 3)
    row = report.main.records()[0]
    pair = found.pairs[0]
    expected = pair.interval if number == 2 else pair.interval_over_models
    assert (row["low"], row["high"]) == expected


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
