from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support

from rnnprobe.confusions import classes
from rnnprobe.confusions.classes import ClassScores, judge_classes
from rnnprobe.confusions.pairs import Confusions, find_confusions
from rnnprobe.records import Array, Predictions
from rnnprobe.reports._classes import classes_finding, classes_table
from rnnprobe.statistics import wilson_interval
from rnnprobe.table import Report, markdown_table, to_json

UNEVEN = [[50, 9, 3, 0], [2, 20, 8, 0], [0, 1, 4, 0], [0, 5, 2, 30]]
NEVER_SAID = [[40, 3, 0], [9, 6, 0], [2, 1, 0]]
ABSENT_BUT_SAID = [[7, 2, 1], [0, 0, 0], [3, 0, 12]]
NEITHER = [[7, 0, 1], [0, 0, 0], [3, 0, 12]]


def found(matrix: Array | list[list[int]]) -> Confusions:
    """Return a classifier's mistakes with this matrix."""
    counts = np.array(matrix)
    cells = np.repeat(np.arange(counts.size), counts.ravel())
    y, predicted = np.divmod(cells, len(counts))
    names = tuple(f"class {index}" for index in range(len(counts)))
    return find_confusions(Predictions(y, np.eye(len(counts))[predicted], names))


def sentence(scores: ClassScores) -> str:
    names = [f"c{index}" for index in range(len(scores.classes))]
    return classes_finding(scores, names).sentence


@pytest.mark.parametrize("matrix", [UNEVEN, NEVER_SAID, ABSENT_BUT_SAID, NEITHER])
def test_scores_equal_scikit_learns(matrix: list[list[int]]) -> None:
    confusions = found(matrix)
    y, predicted = confusions.predictions.y, confusions.predictions.predicted
    scores = judge_classes(confusions)
    every = precision_recall_fscore_support(
        y, predicted, labels=np.arange(len(matrix)), zero_division=np.nan
    )
    for index, one in enumerate(scores.classes):
        ours = [np.nan if v is None else v for v in (one.precision, one.recall, one.f1)]
        assert [*ours, one.support] == pytest.approx([s[index] for s in every], nan_ok=True)
    macro = precision_recall_fscore_support(
        y, predicted, labels=np.unique(y), average="macro", zero_division=0
    )
    averages = (scores.macro_precision, scores.balanced_accuracy, scores.macro_f1)
    assert [one.value for one in averages] == pytest.approx(macro[:3])


@pytest.mark.parametrize("matrix", [UNEVEN, NEVER_SAID, NEITHER])
def test_balanced_accuracy_is_scikit_learns(matrix: list[list[int]]) -> None:
    confusions = found(matrix)
    y, predicted = confusions.predictions.y, confusions.predictions.predicted
    expected = balanced_accuracy_score(y, predicted)
    assert judge_classes(confusions).balanced_accuracy.value == pytest.approx(expected)


def test_intervals_of_recall_and_precision_are_wilsons() -> None:
    first, second, *_ = judge_classes(found(UNEVEN)).classes
    assert first.recall_interval == wilson_interval(50, 62)
    assert second.precision_interval == wilson_interval(20, 35)


def test_absent_and_never_said_classes_have_no_score_of_that_kind() -> None:
    never = judge_classes(found(NEVER_SAID)).classes[2]
    assert (never.support, never.predicted, never.recall, never.f1) == (3, 0, 0, 0)
    assert (never.precision, never.precision_interval, never.f1_interval) == (None, None, None)
    absent = judge_classes(found(ABSENT_BUT_SAID)).classes[1]
    assert (absent.support, absent.predicted, absent.precision, absent.f1) == (0, 2, 0, 0)
    assert (absent.recall, absent.recall_interval) == (None, None)
    neither = judge_classes(found(NEITHER)).classes[1]
    assert (neither.recall, neither.precision, neither.f1, neither.f1_interval) == (None,) * 4


def test_bootstrap_agrees_with_drawing_the_examples_themselves() -> None:
    confusions = found(UNEVEN)
    y, predicted = confusions.predictions.y, confusions.predictions.predicted
    rng = np.random.default_rng(7)
    drawn, of_class = [], []
    for _ in range(400):
        chosen = rng.integers(0, len(y), len(y))
        _, recall, f1, _ = precision_recall_fscore_support(
            y[chosen], predicted[chosen], labels=np.arange(4), zero_division=0
        )
        occurs = np.isin(np.arange(4), y[chosen])
        drawn.append((recall[occurs].mean(), f1[occurs].mean()))
        of_class.append(f1[1])
    scores = judge_classes(confusions)
    expected = np.quantile(np.column_stack([drawn, of_class]), [0.025, 0.975], axis=0).T
    intervals = (
        scores.balanced_accuracy.interval,
        scores.macro_f1.interval,
        scores.classes[1].f1_interval,
    )
    assert np.array(intervals) == pytest.approx(expected, abs=0.03)


def test_the_seed_decides_the_draws_and_batches_of_draws_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    confusions = found(UNEVEN)
    scores = judge_classes(confusions, seed=3)
    assert scores == judge_classes(confusions, seed=3)
    assert scores != judge_classes(confusions, seed=4)
    monkeypatch.setattr(classes, "_AT_ONCE", 50)
    assert scores == judge_classes(confusions, seed=3)


@pytest.mark.parametrize("matrix", [[[9, 0], [0, 4]], [[0, 9], [4, 0]]])
def test_where_all_draws_agree_there_is_no_interval(matrix: list[list[int]]) -> None:
    scores = judge_classes(found(matrix))
    assert scores.balanced_accuracy.interval is None
    assert scores.macro_f1.interval is None
    assert {one.f1_interval for one in scores.classes} == {None}
    assert "no interval, as all bootstrap draws agree" in sentence(scores)


def test_one_example_is_judged() -> None:
    scores = judge_classes(found([[0, 1], [0, 0]]))
    assert (scores.balanced_accuracy.value, scores.num_occurring) == (0, 1)
    assert "over the 1 of 2 classes that occur" in sentence(scores)
    assert "after the fact" not in sentence(scores)


def test_the_table_has_a_row_a_class_and_no_number_where_there_is_none() -> None:
    confusions = found(ABSENT_BUT_SAID)
    table = classes_table(judge_classes(confusions), ("a|", "b", "c"))
    first, absent, _ = table.records()
    assert (first["class"], first["n"], first["right"], first["said"]) == ("a|", 10, 7, 10)
    assert (first["recall"], first["precision"]) == pytest.approx((0.7, 0.7))
    assert first["f1"] == pytest.approx(0.7)
    assert first["f1_low"] < first["f1"] < first["f1_high"]
    assert (absent["recall"], absent["recall_low"], absent["precision"]) == (None, None, 0)
    assert "a\\|" in markdown_table(table)


def test_the_sentence_names_the_class_of_lowest_recall() -> None:
    scores = judge_classes(found(UNEVEN))
    finding = classes_finding(scores, ("a", "b|", "c", "d"))
    low, high = wilson_interval(20, 30)
    assert f"lowest recall: b\\| 0.667 [{low:.3f}, {high:.3f}] (20 of 30)" in finding.sentence
    assert f"balanced accuracy (mean recall) {scores.balanced_accuracy.value:.4f} [" in (
        finding.sentence
    )
    assert finding.value["lowest_recall"] == ["b|"]
    assert '"macro_precision"' in to_json(
        Report("x", "", classes_table(scores, "abcd"), (finding,))
    )


def test_classes_that_share_the_lowest_recall_are_all_counted() -> None:
    nothing = judge_classes(found(np.roll(np.eye(5, dtype=int) * [1, 2, 3, 4, 5], 1, axis=0)))
    assert "(0 of 5)" in sentence(nothing)
    assert "; and 2 more, named after the fact" in sentence(nothing)
    perfect = judge_classes(found([[3, 0], [0, 5]]))
    assert "all examples of every class were recognised" in sentence(perfect)


def test_a_hundred_classes_take_a_fraction_of_a_second() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 100, 10_000)
    predicted = np.where(rng.random(len(y)) < 0.8, y, rng.integers(0, 100, len(y)))
    confusions = found(np.bincount(y * 100 + predicted, minlength=100**2).reshape(100, 100))
    start = time.perf_counter()
    classes_table(judge_classes(confusions), confusions.predictions.class_names)
    assert time.perf_counter() - start < 2  # 0.2 s alone; the machine may be busy
