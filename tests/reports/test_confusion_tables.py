from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from rnnprobe import SequenceDataset, find_confusions, load_dataset
from rnnprobe.confusions.calibration import calibrate
from rnnprobe.confusions.conflicts import Conflicts, find_conflicts
from rnnprobe.confusions.pairs import Confusions
from rnnprobe.confusions.slices import find_slices
from rnnprobe.records import Predictions
from rnnprobe.reports._common import guessing_findings
from rnnprobe.reports._confusion_tables import (
    asymmetry_finding,
    calibration_findings,
    calibration_table,
    ceiling_findings,
    excess_finding,
    for_reading,
    pair_table,
    slices_finding,
    slices_table,
)
from rnnprobe.table import Finding


def of_matrix(rows: list[list[int]], names: tuple[str, ...] = ("a|b", "c", "d")) -> Confusions:
    matrix = np.array(rows)
    true, predicted = (np.repeat(axis.ravel(), matrix.ravel()) for axis in np.indices(matrix.shape))
    p = np.full((len(true), len(matrix)), 0.1)
    p[np.arange(len(true)), predicted] = 1 - 0.1 * (len(matrix) - 1)
    return find_confusions(Predictions(true.astype(np.int32), p, names[: len(matrix)]))


ONE_SIDED = [[60, 30, 10], [0, 90, 10], [12, 10, 78]]


def test_every_statistic_of_a_pair_is_in_its_row() -> None:
    found = of_matrix(ONE_SIDED)
    conflicts = Conflicts(300, 0.9, 4, (70,), {(0, 1): 3}, 280, {(0, 1): 21, (2, 0): 12})
    table = pair_table(found, 2, conflicts)
    assert [column.key for column in table.columns] == [
        "rank", "true", "predicted", "count", "support", "distinct", "share", "low", "high",
        "reverse", "asymmetry_p", "expected", "excess_p", "mean_confidence", "conflicts",
        "examples",
    ]  # fmt: skip
    first, second = table.records()
    pair = found.pairs[0]
    assert (first["rank"], first["true"], first["predicted"]) == (1, "a|b", "c")
    assert (first["count"], first["support"], first["reverse"]) == (30, 100, 0)
    assert (first["low"], first["high"]) == pair.interval
    assert (first["asymmetry_p"], first["excess_p"]) == (pair.asymmetry_p, pair.excess_p)
    assert (first["conflicts"], second["conflicts"]) == (3, 0)
    assert (first["distinct"], second["distinct"]) == (21, 12)
    assert len(first["examples"]) == 5
    assert len(pair_table(found).rows) == 5


@pytest.mark.parametrize(
    ("gained", "lost"), [(0, 0), (3, 0), (6, 0), (9, 2), (10, 1), (9, 0), (0, 8), (5, 40)]
)
def test_what_cannot_be_told_from_one_answer_says_so(gained: int, lost: int) -> None:
    y = np.repeat([0, 1, 2], [20, 60, 20])
    right = y == 1
    right[:gained] = True
    right[20 : 20 + lost] = False
    p_value = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    found = guessing_findings(right, y, ("a", "b|c", "d"))
    if p_value < 0.05 and gained > lost:
        assert not found
        return
    ((sentence, value),) = [(finding.sentence, finding.value) for finding in found]
    assert sentence.startswith("Worse than" if p_value < 0.05 else "Cannot be told from")
    assert "guessing: always answering 'b\\|c' is right in 0.6000 of these" in sentence
    assert value == {"share": 0.6, "p": pytest.approx(p_value)}


def test_columns_that_say_nothing_are_not_shown() -> None:
    shown = for_reading(pair_table(of_matrix([[8, 2], [1, 9]])))
    keys = [column.key for column in shown.columns]
    assert not {"expected", "excess_p", "conflicts"} & set(keys)
    assert "asymmetry_p" in keys
    empty = pair_table(of_matrix([[8, 0], [0, 9]]))
    assert for_reading(empty) == empty


def test_one_sided_pairs_are_named_in_their_direction() -> None:
    finding = asymmetry_finding(of_matrix(ONE_SIDED))
    assert finding is not None
    assert "a\\|b taken for c 30 of 100, back 0 of 100 (p < 0.0001); Fisher" in finding.sentence
    assert finding.value == {"tests": 3, "pairs": [["a|b", "c"]]}
    even = asymmetry_finding(of_matrix([[8, 2], [1, 9]]))
    assert even is not None
    assert "none of 1 pair of classes" in even.sentence
    assert asymmetry_finding(of_matrix([[8, 0], [0, 9]])) is None


def test_pairs_beyond_blind_mistakes_are_named() -> None:
    matrix = [[100, 40, 2, 2], [2, 100, 2, 40], [40, 2, 100, 2], [2, 2, 40, 100]]
    finding = excess_finding(of_matrix(matrix, ("a", "b", "c", "d")))
    assert finding is not None
    assert "a taken for b 40, expected 14.7 (p < 0.0001)" in finding.sentence
    assert len(finding.value["pairs"]) == 4
    none = excess_finding(of_matrix([[9, 3, 3], [3, 9, 3], [3, 3, 9]]))
    assert none is not None
    assert "none of 6 kinds" in none.sentence
    assert excess_finding(of_matrix([[8, 2], [1, 9]])) is None


@pytest.fixture(scope="module")
def texts() -> tuple[SequenceDataset, Predictions]:
    """Words of which the short ones, and those with an x, are mistaken."""
    rng = np.random.default_rng(0)
    words = np.array(["".join(rng.choice(list("abcde fgx"), rng.integers(3, 11))).strip() + "a"
                      for _ in range(200)], dtype=object)  # fmt: skip
    y = np.arange(200) % 2
    dataset = load_dataset(dict.fromkeys(("train", "validation", "test"), (words, y)))
    wrong = (dataset.test.lengths < 6) | np.array(["x" in word for word in words])
    p = np.full((200, 2), 0.2)
    p[np.arange(200), y ^ wrong] = 0.8
    return dataset, Predictions(dataset.test.y, p, dataset.class_names)


def test_slices_are_listed_and_the_clear_ones_named(
    texts: tuple[SequenceDataset, Predictions],
) -> None:
    dataset, predictions = texts
    families = find_slices(dataset, "test", predictions)
    table, finding = slices_table(families), slices_finding(families)
    assert table is not None
    assert finding is not None
    rows = table.records()
    assert len(rows) <= 13
    assert next(row["slice"] for row in rows if row["family"] == "symbol") == "contains 'x'"
    assert rows[0]["family"] == "length"
    assert rows[0]["padding"] > 0.4
    named = {one["name"] for one in finding.value["slices"]}
    assert {"contains 'x'", rows[0]["slice"]} <= named
    assert "contains 'x' 1.000 [" in finding.sentence
    assert "adjusted by Holm" in finding.sentence


def test_no_slice_stands_out_where_everything_is_right(
    texts: tuple[SequenceDataset, Predictions],
) -> None:
    dataset, predictions = texts
    right = Predictions(predictions.y, np.eye(2)[predictions.y], dataset.class_names)
    finding = slices_finding(find_slices(dataset, "test", right))
    assert finding is not None
    assert "none is mistaken measurably more or less often" in finding.sentence
    assert finding.value["slices"] == []
    assert slices_table(()) is None
    assert slices_finding(()).value["tests"] == 0


def test_calibration_is_told_with_what_chance_would_show() -> None:
    sure = np.tile([0.95, 0.05], (200, 1))
    poor = calibrate(Predictions(np.arange(200) % 2, sure, ("a", "b")))
    error, gap = calibration_findings(poor)
    assert "0.4500, more than chance" in error.sentence
    assert "+0.4500 [" in gap.sentence
    assert "too confident on average" in gap.sentence
    (only,) = calibration_table(poor).records()
    assert (only["n"], only["accuracy"], only["mean_confidence"]) == (200, 0.5, pytest.approx(0.95))
    assert only["above"] < 0.95 < only["up_to"] == 1
    good = calibrate(Predictions((np.arange(200) < 10).astype(int), sure, ("a", "b")))
    error, gap = calibration_findings(good)
    assert "no more than chance explains" in error.sentence
    assert "no measurable over- or underconfidence" in gap.sentence
    shy = calibrate(Predictions(np.zeros(200, int), np.tile([0.6, 0.4], (200, 1)), ("a", "b")))
    assert "not confident enough on average" in calibration_findings(shy)[1].sentence


def test_the_ceiling_stands_beside_the_accuracy() -> None:
    x, y = np.ones((10, 2, 1)), np.array([0] * 7 + [1] * 3)
    dataset = load_dataset(dict.fromkeys(("train", "validation", "test"), (x, y)))
    predictions = Predictions(dataset.test.y, np.tile([0.2, 0.8], (10, 1)), dataset.class_names)
    conflicts = find_conflicts(dataset, "test", predictions)
    ceiling, explained, repeats = ceiling_findings(conflicts, find_confusions(predictions))
    assert ceiling == Finding(
        "ceiling",
        "Ceiling: 1 input of this part has several labels, so at most 7 of its 10 examples can be "
        "right, 0.7000; 3 are, 0.3000",
        {"ceiling": 0.7, "inputs": 1},
    )
    assert "of 7 mistakes, 7 (1.000 [" in explained.sentence
    assert repeats.value == {"examples": 10, "distinct": 1}
    assert "claim more than the data allow" in repeats.sentence
    none = Conflicts(3, 1.0, 0, (), {}, 3, {(1, 0): 1})
    (only,) = ceiling_findings(none, of_matrix([[1, 0], [1, 1]]))
    assert "all could be right" in only.sentence
