"""Mistakes mined from the training part, and the arms that are trained on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rnnprobe.classifier import KerasClassifier
from rnnprobe.confusions.folds import FoldSettings, OutOfFold, out_of_fold
from rnnprobe.confusions.labels import Suspects, suspect_labels
from rnnprobe.confusions.pairs import ConfusedPair, find_confusions
from rnnprobe.errors import DataError
from rnnprobe.hardening.arms import Arm
from rnnprobe.records import Array, SequenceDataset

ONLY, SUBSET, TIMES, WITHOUT = (
    "mistakes only",
    "random subset",
    "mistakes x5",
    "without suspects",
)
_TIMES = 5
_STREAM = 1  # keeps the subsets apart from the orders, which follow from seed and repeat alone


@dataclass(frozen=True, eq=False)
class Mined:
    """What out-of-fold predictions of the training part gave.

    Args:
        out_of_fold: The predictions.
        mistakes: int64 (num_mistakes,), the training examples that were taken for another class,
            ascending; at least one.
        suspects: Those whose label is suspected.
        pairs: The mined pairs: of the confused pairs, true class and predicted class, the most
            frequent first, as few as hold at least half of the mistakes.
    """

    out_of_fold: OutOfFold
    mistakes: Array
    suspects: Suspects
    pairs: tuple[ConfusedPair, ...]

    @property
    def num_examples(self) -> int:
        """Size of the training part."""
        return len(self.out_of_fold.fold)

    @property
    def absent(self) -> tuple[str, ...]:
        """The classes of the training part of which no example is among the mistakes."""
        predictions = self.out_of_fold.predictions
        left = np.setdiff1d(predictions.y, predictions.y[self.mistakes])
        return tuple(predictions.class_names[label] for label in left)


def mine(
    classifier: KerasClassifier,
    dataset: SequenceDataset,
    settings: FoldSettings | None = None,
    *,
    num_folds: int = 5,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> Mined:
    """Find the training examples that models which never saw them get wrong.

    The parameters are those of `rnnprobe.confusions.folds.out_of_fold`, which is called.

    Raises:
        DataError: As `out_of_fold`, or there is no mistake.
        ModelError: As `out_of_fold`.
        TrainingError: As `out_of_fold`.

    Example:
        >>> mined = mine(classifier, dataset)                      # doctest: +SKIP
        >>> len(mined.mistakes), mined.num_examples                # doctest: +SKIP
        (371, 4000)
    """
    return mined_from(
        out_of_fold(classifier, dataset, settings, num_folds=num_folds, seed=seed, say=say)
    )


def mined_from(found: OutOfFold) -> Mined:
    """Return the mistakes, suspects and pairs of out-of-fold predictions.

    Raises:
        DataError: There is no mistake.
    """
    mistakes = found.mistakes
    if not len(mistakes):
        raise DataError(
            f"Out of fold there is no mistake among the {len(found.fold)} training examples, so "
            "that there is nothing to train on; take more data, or a smaller model."
        )
    return Mined(found, mistakes, suspect_labels(found), _frequent_pairs(found))


def _frequent_pairs(found: OutOfFold) -> tuple[ConfusedPair, ...]:
    pairs = find_confusions(found.predictions).pairs
    counts = np.cumsum([pair.count for pair in pairs])
    return pairs[: int(np.searchsorted(2 * counts, counts[-1])) + 1]


def along(pairs: tuple[ConfusedPair, ...], y: Array, predicted: Array) -> Array:
    """Return bool (num_examples,): of the true class of a pair, and taken for its other class.

    Args:
        pairs: Confused pairs, each a true and a predicted class.
        y: int (num_examples,), true classes.
        predicted: int (num_examples,), predicted classes.
    """
    found = np.zeros(len(y), bool)
    for pair in pairs:
        found |= (y == pair.true) & (predicted == pair.predicted)
    return found


def mistakes_arms(mined: Mined, seed: int) -> tuple[Arm, ...]:
    """Return the arms: the mistakes alone, their control, over-weighted, and without suspects.

    The control of the mistakes alone is a random subset of the training part, of the same size
    and with as many examples of each class, drawn anew in each repeat; mistakes may be in it. Where
    no label is suspected, or all are, the last arm is left out: it would be the control's, or
    nothing.

    Args:
        mined: What `mine` found.
        seed: Of the subsets.
    """
    y, mistakes = mined.out_of_fold.predictions.y, mined.mistakes
    everything = np.arange(len(y))
    often = np.concatenate([everything, np.repeat(mistakes, _TIMES - 1)])
    arms = [
        Arm(ONLY, pool=lambda repeat: mistakes),
        Arm(SUBSET, pool=lambda repeat: _like(y, mistakes, [seed, repeat, _STREAM])),
        Arm(TIMES, pool=lambda repeat: often),
    ]
    kept = np.setdiff1d(everything, mined.suspects.index)
    if 0 < len(kept) < len(y):
        arms.append(Arm(WITHOUT, pool=lambda repeat: kept))
    return tuple(arms)


def _like(y: Array, chosen: Array, entropy: list[int]) -> Array:
    """Return as many random examples of each class as are chosen, none twice, ascending."""
    generator = np.random.default_rng(entropy)
    parts = [
        generator.choice(np.flatnonzero(y == label), int((y[chosen] == label).sum()), replace=False)
        for label in np.unique(y[chosen])
    ]
    return np.sort(np.concatenate(parts))
