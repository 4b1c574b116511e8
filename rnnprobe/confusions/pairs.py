"""Which pairs of classes are mistaken for each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnprobe.records import Array, Predictions
from rnnprobe.statistics import Interval, wilson_interval


@dataclass(frozen=True)
class ConfusedPair:
    """Examples of one class that were taken for another.

    Args:
        true: Index of their class.
        predicted: Index of the class they were taken for.
        count: How many.
        support: Examples of the true class.
        interval: 95 % Wilson interval of `count / support`.
        reverse: How many of `predicted` were taken for `true`.
        mean_confidence: Mean probability given to the wrong class, in [0, 1].
        examples: Their indices in the part, the most confident first.
    """

    true: int
    predicted: int
    count: int
    support: int
    interval: Interval
    reverse: int
    mean_confidence: float
    examples: tuple[int, ...]

    @property
    def share(self) -> float:
        """Share of the true class, in [0, 1]."""
        return self.count / self.support


@dataclass(frozen=True, eq=False)
class Confusions:
    """The mistakes of one classifier on one part of a data set.

    Args:
        predictions: What it said.
        matrix: int64 (num_classes, num_classes), true classes down, predicted across.
        interval: 95 % Wilson interval of the accuracy.
        pairs: Every pair that occurs, the most frequent first, ties by class index.
        mistakes: Indices of all mistakes, the most confident first.
    """

    predictions: Predictions
    matrix: Array
    interval: Interval
    pairs: tuple[ConfusedPair, ...]
    mistakes: tuple[int, ...]

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
    cells = np.argwhere((matrix > 0) & ~np.eye(num_classes, dtype=bool))
    order = np.argsort(-matrix[cells[:, 0], cells[:, 1]], kind="stable")
    correct = int(np.trace(matrix))
    return Confusions(
        predictions=predictions,
        matrix=matrix,
        interval=wilson_interval(correct, len(y)),
        pairs=tuple(_pair(predictions, matrix, mistakes, *cells[i]) for i in order),
        mistakes=tuple(int(index) for index in mistakes),
    )


def _pair(
    predictions: Predictions, matrix: Array, mistakes: Array, true: int, predicted: int
) -> ConfusedPair:
    theirs = (predictions.y[mistakes] == true) & (predictions.predicted[mistakes] == predicted)
    examples = mistakes[theirs]
    count, support = int(matrix[true, predicted]), int(matrix[true].sum())
    return ConfusedPair(
        true=int(true),
        predicted=int(predicted),
        count=count,
        support=support,
        interval=wilson_interval(count, support),
        reverse=int(matrix[predicted, true]),
        mean_confidence=float(predictions.confidence[examples].mean()),
        examples=tuple(int(index) for index in examples),
    )
