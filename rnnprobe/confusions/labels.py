"""Training labels that out-of-fold predictions speak against."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

import numpy as np

from rnnprobe.confusions.folds import OutOfFold
from rnnprobe.records import Array

# Mean and members of a class of equal probabilities may differ by rounding; as cleanlab has it.
_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Suspects:
    """Examples whose label is suspected to be wrong, the most suspect first.

    Args:
        out_of_fold: What was judged by.
        thresholds: float64 (num_classes,), the mean probability of each class over the examples
            labelled with it; infinite where there is none.
        index: int64 (num_suspects,), in the training part.
        suspected: int64 (num_suspects,), the class that each seems to be of.
        margin: float64 (num_suspects,), probability of the label less that of the most probable
            other class, in [-1, 0); they ascend, ties by index.
    """

    out_of_fold: OutOfFold
    thresholds: Array
    index: Array
    suspected: Array
    margin: Array

    def __len__(self) -> int:
        return len(self.index)


def suspect_labels(out_of_fold: OutOfFold) -> Suspects:
    """Suspect the examples that are confidently of another class than their label says.

    A class is confident for an example where its probability reaches the class's threshold, the
    mean over the examples labelled so. Suspected are examples whose most probable confident class
    is not their label: the off-diagonal of the confident joint. In addition to the paper, and as
    cleanlab does, the label itself must not be the most probable class of all. They are ranked by
    normalized margin.

    Args:
        out_of_fold: Predictions by models that had not seen the examples.

    Example:
        >>> found = suspect_labels(predicted)                      # doctest: +SKIP
        >>> found.index[:3], found.margin[:3].round(2)             # doctest: +SKIP
        (array([2711,  402, 1377]), array([-1.  , -0.99, -0.99]))

    References:
        C. G. Northcutt, L. Jiang and I. L. Chuang, "Confident Learning: Estimating Uncertainty in
        Dataset Labels", Journal of Artificial Intelligence Research 70 (2021).
        https://doi.org/10.1613/jair.1.12125
    """
    y, probabilities = out_of_fold.predictions.y, out_of_fold.predictions.probabilities
    thresholds = _thresholds(y, probabilities)
    confident = probabilities >= thresholds - _TOLERANCE
    guess = np.where(confident, probabilities, -1.0).argmax(axis=1)
    margins = _margins(y, probabilities)
    found = np.flatnonzero(confident.any(axis=1) & (guess != y) & (margins < -_TOLERANCE))
    found = found[np.argsort(margins[found], kind="stable")]
    return Suspects(out_of_fold, thresholds, found, guess[found], margins[found])


def _thresholds(y: Array, probabilities: Array) -> Array:
    num_classes = probabilities.shape[1]
    counts = np.bincount(y, minlength=num_classes)
    sums = np.bincount(y, probabilities[np.arange(len(y)), y], minlength=num_classes)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)


def _margins(y: Array, probabilities: Array) -> Array:
    """Return float64 (num_examples,): probability of the label less that of the best other."""
    rows = np.arange(len(y))
    others = probabilities.copy()
    others[rows, y] = -np.inf
    return np.asarray(probabilities[rows, y] - others.max(axis=1))


def second_opinion(out_of_fold: OutOfFold) -> Array | None:
    """Return bool (num_examples,), whom cleanlab suspects by its default rule, or None without it.

    That rule, `prune_by_noise_rate`, prunes from each pair of classes as many examples as the
    estimated noise rate says, those of smallest margin. The extra `labels` brings cleanlab.

    Args:
        out_of_fold: As for `suspect_labels`.

    References:
        cleanlab, https://github.com/cleanlab/cleanlab
    """
    try:
        from cleanlab.filter import find_label_issues
    except ModuleNotFoundError:
        return None
    predictions = out_of_fold.predictions
    if len(np.unique(predictions.y)) < 2:  # which cleanlab refuses: there is nothing to confuse
        return np.zeros(len(predictions.y), bool)
    with contextlib.redirect_stdout(io.StringIO()):
        found = find_label_issues(
            np.asarray(predictions.y, np.int64), np.array(predictions.probabilities), n_jobs=1
        )
    return np.asarray(found, bool)
