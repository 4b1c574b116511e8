"""Which pairs of classes are mistaken for each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rnnprobe.confusions._fisher import fisher_exact
from rnnprobe.confusions.independence import expected_mistakes, judge_excess
from rnnprobe.records import Array, Predictions
from rnnprobe.statistics import Interval, holm, wilson_interval


@dataclass(frozen=True)
class ConfusedPair:
    """Examples of one class that were taken for another.

    Args:
        true: Index of their class.
        predicted: Index of the class they were taken for.
        count: How many.
        support: Examples of the true class.
        reverse: How many of `predicted` were taken for `true`.
        reverse_support: Examples of `predicted`.
        asymmetry_p: Of shares as different as `share` and `reverse_share` where both directions
            are equally likely: Fisher's exact test, two-sided, adjusted by Holm for all pairs of
            classes that are confused at all; None where `predicted` has no example.
        expected: The count if each class erred as often and attracted as many mistakes as here,
            but otherwise blindly (`expected_mistakes`); None where that leaves nothing to compare.
        excess_p: Of at least so many where as many are expected, adjusted by Holm for all mistakes
            that could occur (`judge_excess`); None with `expected`.
        mean_confidence: Mean probability given to the wrong class, in [0, 1].
        examples: Their indices in the part, the most confident first.
    """

    true: int
    predicted: int
    count: int
    support: int
    reverse: int
    reverse_support: int
    asymmetry_p: float | None
    expected: float | None
    excess_p: float | None
    mean_confidence: float
    examples: tuple[int, ...]

    @property
    def share(self) -> float:
        """Share of the true class, in [0, 1]."""
        return self.count / self.support

    @property
    def interval(self) -> Interval:
        """The 95 % Wilson interval of `share`."""
        return wilson_interval(self.count, self.support)

    @property
    def reverse_share(self) -> float | None:
        """Share of the predicted class that is taken for the true one; None where it is absent."""
        return self.reverse / self.reverse_support if self.reverse_support else None


@dataclass(frozen=True, eq=False)
class Confusions:
    """The mistakes of one classifier on one part of a data set.

    Args:
        predictions: What it said.
        matrix: int64 (num_classes, num_classes), true classes down, predicted across.
        interval: 95 % Wilson interval of the accuracy.
        pairs: Every pair that occurs, the most frequent first, ties by class index.
        mistakes: Indices of all mistakes, the most confident first.
        num_asymmetry_tests: For how many pairs of classes `asymmetry_p` is adjusted.
        num_excess_tests: For how many kinds of mistakes `excess_p` is adjusted.
    """

    predictions: Predictions
    matrix: Array
    interval: Interval
    pairs: tuple[ConfusedPair, ...]
    mistakes: tuple[int, ...]
    num_asymmetry_tests: int
    num_excess_tests: int

    @property
    def total(self) -> int:
        """Number of examples."""
        return len(self.predictions.y)

    @property
    def correct(self) -> int:
        """Number of examples that are right."""
        return int(np.trace(self.matrix))

    @property
    def accuracy(self) -> float:
        """Share right, in [0, 1]."""
        return self.correct / self.total


def find_confusions(predictions: Predictions) -> Confusions:
    """Count the mistakes and rank the pairs.

    Args:
        predictions: At least one example.

    Raises:
        ValueError: There is no example.

    Example:
        >>> import numpy as np
        >>> y, p = np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]])
        >>> pair, = find_confusions(Predictions(y, p, ("a", "b"))).pairs
        >>> pair.true, pair.predicted, pair.count, pair.share, pair.examples
        (0, 1, 1, 0.5, (1,))
    """
    y, predicted = predictions.y, predictions.predicted
    if len(y) == 0:
        raise ValueError("`num_examples >= 1` must hold, but got no example.")
    num_classes = len(predictions.class_names)
    matrix = np.bincount(y * num_classes + predicted, minlength=num_classes**2)
    matrix = matrix.reshape(num_classes, num_classes)
    wrong = np.flatnonzero(predicted != y)
    mistakes = wrong[np.argsort(-predictions.confidence[wrong], kind="stable")]
    correct = int(np.trace(matrix))
    asymmetry, excess = _asymmetry(matrix), _Excess.of(matrix)
    return Confusions(
        predictions=predictions,
        matrix=matrix,
        interval=wilson_interval(correct, len(y)),
        pairs=_pairs(predictions, matrix, mistakes, asymmetry, excess),
        mistakes=tuple(int(index) for index in mistakes),
        num_asymmetry_tests=int(np.isfinite(asymmetry).sum()) // 2,
        num_excess_tests=0 if excess is None else int((excess.expected > 0).sum()),
    )


class _Excess(NamedTuple):
    """Expected counts and adjusted p-values, each float64 (num_classes, num_classes)."""

    expected: Array
    p_values: Array

    @classmethod
    def of(cls, matrix: Array) -> _Excess | None:
        expected = expected_mistakes(matrix)
        return None if expected is None else cls(expected, judge_excess(matrix, expected))


def _asymmetry(matrix: Array) -> Array:
    """Return float64 (num_classes, num_classes), symmetric: adjusted p-values, NaN for no test."""
    support = matrix.sum(axis=1)
    testable = (matrix + matrix.T > 0) & (support > 0) & (support[:, None] > 0)
    first, second = np.nonzero(np.triu(testable, 1))
    p_values = fisher_exact(
        matrix[first, second], support[first], matrix[second, first], support[second]
    )
    adjusted = np.full(matrix.shape, np.nan)
    adjusted[first, second] = adjusted[second, first] = holm(p_values.tolist())
    return adjusted


def _pairs(
    predictions: Predictions,
    matrix: Array,
    mistakes: Array,
    asymmetry: Array,
    excess: _Excess | None,
) -> tuple[ConfusedPair, ...]:
    """Return the pairs in order; `mistakes` are indices, the most confident first."""
    trues, wrongs = np.nonzero(np.where(np.eye(len(matrix), dtype=bool), 0, matrix))
    counts = matrix[trues, wrongs]
    cell_of = predictions.y[mistakes] * len(matrix) + predictions.predicted[mistakes]
    by_cell = mistakes[np.argsort(cell_of, kind="stable")]
    ends = np.cumsum(counts)
    support = matrix.sum(axis=1)
    confidence = predictions.confidence
    pairs = []
    for i in np.argsort(-counts, kind="stable"):
        true, predicted = int(trues[i]), int(wrongs[i])
        examples = by_cell[ends[i] - counts[i] : ends[i]]
        p_value = float(asymmetry[true, predicted])
        pairs.append(
            ConfusedPair(
                true=true,
                predicted=predicted,
                count=int(counts[i]),
                support=int(support[true]),
                reverse=int(matrix[predicted, true]),
                reverse_support=int(support[predicted]),
                asymmetry_p=None if math.isnan(p_value) else p_value,
                expected=float(excess.expected[true, predicted]) if excess else None,
                excess_p=float(excess.p_values[true, predicted]) if excess else None,
                mean_confidence=float(confidence[examples].mean()),
                examples=tuple(examples.tolist()),
            )
        )
    return tuple(pairs)
