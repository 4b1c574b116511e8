"""The mistakes themselves, one by one, in the order in which to look at them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnprobe.records import Array, Predictions

UNKNOWN = -1
"""Where a mistake has no fold, or a model's seed is not known."""


@dataclass(frozen=True, eq=False)
class Mistakes:
    """Examples that a classifier gets wrong, the most confident first.

    Args:
        index: int64 (num_mistakes,), in the part of the data set.
        true: int64 (num_mistakes,), their classes.
        predicted: int64 (num_mistakes,), the classes they were taken for.
        probability: float64 (num_mistakes,), of the predicted class, in [0, 1].
        margin: float64 (num_mistakes,), probability of the true class less that of the most
            probable other, in [-1, 0].
        fold: int64 (num_mistakes,), the fold that each was left out with, from 0; -1: none.
        seed: int64 (num_mistakes,), of the training of the model that erred; -1: not known.
    """

    index: Array
    true: Array
    predicted: Array
    probability: Array
    margin: Array
    fold: Array
    seed: Array

    def __len__(self) -> int:
        return len(self.index)


def mistakes_of(
    predictions: Predictions, *, seed: int | None = None, fold: Array | None = None
) -> Mistakes:
    """Return the mistakes among predictions, the most confident first, ties by index.

    Args:
        predictions: Of one part of a data set.
        seed: Of the training of the model; None: not known.
        fold: int64 (num_examples,), the fold of each example; None: there are none.

    Example:
        >>> y, p = np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.75, 0.25]])
        >>> found = mistakes_of(Predictions(y, p, ("a", "b")), seed=3)
        >>> found.index.tolist(), found.margin.round(2).tolist(), found.seed.tolist()
        ([1, 2], [-0.6, -0.5], [3, 3])
    """
    y, predicted, confidence = predictions.y, predictions.predicted, predictions.confidence
    wrong = np.flatnonzero(predicted != y)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    folds = np.full(len(y), UNKNOWN) if fold is None else fold
    return Mistakes(
        index=wrong,
        true=y[wrong].astype(np.int64),
        predicted=predicted[wrong],
        probability=confidence[wrong],
        margin=predictions.probabilities[wrong, y[wrong]] - confidence[wrong],
        fold=folds[wrong],
        seed=np.full(len(wrong), UNKNOWN if seed is None else seed),
    )
