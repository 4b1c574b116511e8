from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix

from rnnprobe import find_confusions
from rnnprobe.records import Predictions
from rnnprobe.statistics import wilson_interval


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
