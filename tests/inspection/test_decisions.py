"""When a classifier decides, against brute force and scipy."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from rnnprobe.inspection._ranks import rank_test
from rnnprobe.inspection.decisions import (
    Decisions,
    compare_flips,
    decide,
    margin_course,
    median_of,
    pair_decisions,
)
from rnnprobe.reports._decisions import decisions_figure, decisions_findings, decisions_tables
from rnnprobe.reports._figures import save_figures
from rnnprobe.statistics import holm, wilson_interval
from rnnprobe.table import Report, Table, to_json, to_markdown

NAMES = ("a|b", "007", "<c>", "d")


def walks(num_examples: int = 150, num_steps: int = 11) -> tuple[np.ndarray, np.ndarray]:
    """Return logits that wander from class to class, and unbalanced classes; 3 is never true."""
    rng = np.random.default_rng(5)
    y = rng.choice(3, num_examples, p=(0.35, 0.4, 0.25)).astype(np.int32)
    logits = rng.normal(size=(num_examples, num_steps, 4)).cumsum(axis=1)
    logits[np.arange(num_examples), :, y] += 0.3 * np.arange(num_steps)
    return logits.astype(np.float32), y


def some_counted(shape: tuple[int, int]) -> np.ndarray:
    """Return padding in front, behind and between, and two examples of nothing else."""
    counted = np.random.default_rng(6).random(shape) < 0.7
    counted[:40] = np.arange(shape[1]) < np.arange(40)[:, np.newaxis] % shape[1]
    counted[77] = False
    return counted


@pytest.fixture(scope="module", params=["all steps", "some steps"])
def found(request: pytest.FixtureRequest) -> Decisions:
    logits, y = walks()
    some = request.param == "some steps"
    return decide(logits, some_counted(logits.shape[:2]) | (not some), y)


def brute_classes(found: Decisions, row: int) -> list[int]:
    return [
        int(np.argmax(z))
        for z, one in zip(found.logits[row], found.counted[row], strict=True)
        if one
    ]


def test_decision_steps_and_flips_are_those_of_counting(found: Decisions) -> None:
    for row in range(len(found.y)):
        classes = brute_classes(found, row)
        assert found.lengths[row] == len(classes)
        if not classes:
            assert (found.step[row], found.flips[row], found.predicted[row]) == (0, 0, -1)
            assert np.isnan(found.share[row])
            assert not found.right[row] and not found.wrong[row]
            continue
        settled = next(s for s in range(1, len(classes) + 1) if len(set(classes[s - 1 :])) == 1)
        assert found.step[row] == settled
        assert found.share[row] == settled / len(classes)
        assert found.flips[row] == sum(a != b for a, b in itertools.pairwise(classes))
        assert found.predicted[row] == classes[-1]
        assert found.ever_right[row] == (found.y[row] in classes)


def test_accuracy_by_share_is_that_of_counting(found: Decisions) -> None:
    for tenth, row in enumerate(found.accuracy_by_share, 1):
        hits = []
        for index in range(len(found.y)):
            classes = brute_classes(found, index)
            if classes:
                hits.append(classes[(tenth * len(classes) + 9) // 10 - 1] == found.y[index])
        assert (row.share, row.correct, row.total) == (tenth / 10, sum(hits), len(hits))
        assert row.interval == wilson_interval(sum(hits), len(hits))
    assert found.accuracy_by_share[-1].correct == found.right.sum()


def test_seven_tenths_of_ten_steps_are_seven() -> None:
    logits = np.zeros((1, 10, 2), np.float32)
    logits[0, 7:, 1] = 1
    found = decide(logits, np.ones((1, 10), bool), np.array([1]))
    assert [row.correct for row in found.accuracy_by_share] == [0] * 7 + [1] * 3


def brute_parting(found: Decisions, row: int, winner: int, other: int) -> int:
    margins = (found.logits[row, :, winner] - found.logits[row, :, other])[found.counted[row]]
    behind = [step for step, margin in enumerate(margins, 1) if margin <= 0]
    return min(behind[-1] + 1, len(margins)) if behind else 1


def test_pairs_part_where_counting_says(found: Decisions) -> None:
    pairs = [(0, 1), (0, 3), (2, 1), (1, 2)]
    records = pair_decisions(found, pairs)
    p_values = []
    for (a, b), record in zip(pairs, records, strict=True):
        mistakes = np.flatnonzero((found.y == a) & (found.predicted == b))
        right = np.flatnonzero((found.y == a) & found.right)
        late = np.array([brute_parting(found, row, b, a) for row in mistakes])
        early = np.array([brute_parting(found, row, a, b) for row in right])
        assert min(len(late), len(early)) >= 2
        assert record.mistakes == median_of(late) and record.right == median_of(early)
        assert record.mistakes_share == np.median(late / found.lengths[mistakes])
        assert record.right_share == np.median(early / found.lengths[right])
        before = sum(a in brute_classes(found, row) for row in mistakes)
        assert record.right_on_the_way == before
        assert record.on_the_way_interval == wilson_interval(before, len(mistakes))
        p_values.append(rank_test(late, early))
    assert [record.p_value for record in records] == p_values
    assert [record.p_adjusted for record in records] == holm(p_values)


def test_a_tie_in_the_end_parts_at_the_last_step() -> None:
    logits = np.array([[[0, 3, 0], [1, 1, 0]], [[0, 1, 0], [0, 5, 0]]], np.float32)
    found = decide(logits, np.ones((2, 2), bool), np.array([1, 1]))
    (pair,) = pair_decisions(found, [(1, 0)])
    assert found.predicted.tolist() == [0, 1]
    assert (pair.mistakes.value, pair.right.value, pair.right_on_the_way) == (2, 1, 1)


@pytest.mark.parametrize("sizes", [(2, 9), (3, 8), (5, 4), (7, 3)])
def test_the_exact_rank_test_is_that_of_all_permutations(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(sizes[0])
    first, second = rng.integers(1, 6, sizes[0]) + 1, rng.integers(1, 6, sizes[1])  # many ties

    def far(one: np.ndarray, other: np.ndarray, axis: int) -> np.ndarray:
        ranks = scipy.stats.rankdata(np.concatenate([one, other], axis=axis), axis=axis)
        return np.abs(ranks[..., : sizes[0]].mean(axis=axis) - (sum(sizes) + 1) / 2)

    oracle = scipy.stats.permutation_test(
        (first, second), far, n_resamples=np.inf, alternative="greater", vectorized=True
    )
    assert rank_test(first, second) == pytest.approx(oracle.pvalue, abs=1e-9)
    assert rank_test(second, first) == pytest.approx(oracle.pvalue, abs=1e-9)


def test_the_rank_test_of_many_is_scipys_and_of_equal_values_says_nothing() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(1, 9, 30), rng.integers(2, 12, 80)
    oracle = scipy.stats.mannwhitneyu(first, second, method="asymptotic").pvalue
    assert rank_test(first, second) == oracle
    assert rank_test(np.full(9, 3), np.full(20, 3)) == rank_test(np.ones(2), np.ones(20)) == 1


def test_margins_on_the_way_are_medians_over_each_side() -> None:
    logits, y = walks()
    found = decide(logits, np.ones(logits.shape[:2], bool), y)
    course = margin_course(found, 0, 1)
    margins = logits[..., 1] - logits[..., 0]
    assert course.shares == pytest.approx(np.arange(1, 12) / 11)
    mistakes = (y == 0) & (found.predicted == 1)
    assert course.num_mistakes == mistakes.sum()
    assert course.mistakes == pytest.approx(np.median(margins[mistakes], axis=0))
    assert course.right == pytest.approx(np.median(margins[(y == 0) & found.right], axis=0))
    assert course.mistakes[-1] > 0 > course.right[-1]


def test_flips_of_right_and_wrong_are_compared_by_welch(found: Decisions) -> None:
    flips = compare_flips(found)
    right, wrong = found.flips[found.right], found.flips[found.wrong]
    assert (flips.right, flips.wrong) == (right.mean(), wrong.mean())
    low, high = scipy.stats.t.interval(0.95, len(wrong) - 1, wrong.mean(), scipy.stats.sem(wrong))
    assert flips.wrong_interval == pytest.approx((low, high))
    assert flips.difference is not None
    oracle = scipy.stats.ttest_ind(wrong, right, equal_var=False)
    assert flips.difference.p_value == pytest.approx(oracle.pvalue)


def test_shapes_and_numbers_that_do_not_fit_are_refused() -> None:
    logits, y = walks(4)
    counted = np.ones(logits.shape[:2], bool)
    with pytest.raises(ValueError, match=r"step_logits \(n, s, c\).* must hold, but got"):
        decide(logits, counted[:, 1:], y)
    logits[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="must be finite where they count"):
        decide(logits, counted, y)
    counted[0, 0] = False
    assert decide(logits, counted, y).lengths[0] == 10


def report_of(found: Decisions, pairs: list[tuple[int, int]]) -> Report:
    records = pair_decisions(found, pairs)
    tables = decisions_tables(found, records, NAMES)
    return Report(
        "x", "x", Table((), ()), findings=decisions_findings(found, records), tables=tables
    )


def test_the_report_says_what_was_found_and_its_caveat(found: Decisions, tmp_path: Path) -> None:
    pairs = [(0, 1), (0, 3), (2, 0)]
    report = report_of(found, pairs)
    text, document = to_markdown(report), json.loads(to_json(report))
    assert r"a\|b" in text and "The head was trained on the last state alone:" in text
    rows = document["tables"]["accuracy_by_share"]
    assert [row["correct"] for row in rows] == [row.correct for row in found.accuracy_by_share]
    assert rows[-1]["difference"] is None and rows[0]["difference"] < 0
    (first, *_) = document["tables"]["decisions_by_pair"]
    assert (first["true"], first["predicted"]) == ("a|b", "007")
    accuracies = [row["accuracy"] for row in rows]
    half = document["findings"]["half_of_accuracy"]["share"]
    read = found.y[found.read]
    base = np.bincount(read).max() / len(read)
    kept = [row["share"] for row in rows if row["accuracy"] < (base + accuracies[-1]) / 2]
    assert half == pytest.approx(max(kept, default=0) + 0.1)
    assert ("took no part" in text) == (not found.read.all())
    assert ("lengths are not taken into account" in text) == (not found.counted.all())
    figure = decisions_figure(found, pair_decisions(found, pairs), NAMES, "x$ on y")
    (path,) = save_figures(tmp_path, {"decisions.png": figure})
    assert path.stat().st_size > 10_000


def test_a_model_that_has_learnt_nothing_is_said_to_have_decided_nothing() -> None:
    logits = np.zeros((30, 5, 3), np.float32)  # always the first class
    found = decide(logits, np.ones((30, 5), bool), np.repeat([0, 1, 2], 10).astype(np.int32))
    finding = decisions_findings(found)[0]
    assert finding.value is None
    assert "0.3333, is not measurably above that of always answering" in finding.sentence


def test_no_mistake_no_step_and_one_example_do_not_crash() -> None:
    logits = np.zeros((3, 4, 4), np.float32)
    logits[:, 2:, 0] = 1
    whole, y = np.ones((3, 4), bool), np.zeros(3, np.int32)
    perfect = report_of(decide(logits, whole, y), [])
    assert "wrong examples none" in to_markdown(perfect)
    assert "p = " not in to_markdown(perfect)
    absent = report_of(decide(logits, whole, y), [(0, 1), (2, 3)])
    assert json.loads(to_json(absent))["findings"]["decisions_by_pair"]["tested"] == 0
    nothing = decide(logits, ~whole, y)
    assert "3 examples have no step that counts" in to_markdown(report_of(nothing, [(0, 1)]))
    decisions_figure(nothing, pair_decisions(nothing, [(0, 1)]), NAMES, "x")
    one = decide(logits[:1], whole[:1], y[:1] + 1)
    assert "right examples none" in to_markdown(report_of(one, [(1, 0)]))
    decisions_figure(one, pair_decisions(one, [(1, 0)]), NAMES, "x")
