"""Two classifiers on the same examples, once or over several repeats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnprobe.records import Array

_LEVEL = 0.05
_Z = 1.959964  # the normal's 97.5 % point


class Paired(NamedTuple):
    """The difference of two shares on the same examples.

    Args:
        difference: Share of the first less that of the second, in [-1, 1]; over several repeats
            the mean.
        low: Lower end of the 95 % interval.
        high: Upper end.
        p_value: Of a difference as large as this, to either side, where there is none.
        gained: How often an example was right with the first alone, over all repeats that were
            tested.
        lost: How often with the second alone.
        test: Its name.
    """

    difference: float
    low: float
    high: float
    p_value: float
    gained: int
    lost: int
    test: str

    @property
    def sign(self) -> int:
        """1 or -1 where the test says at 5 % that there is a difference, else 0."""
        return int(np.sign(self.difference)) if self.p_value < _LEVEL else 0


def compare_paired(first: Sequence[Array], second: Sequence[Array]) -> Paired:
    """Compare two classifiers, or two ways of training repeat by repeat, on the same examples.

    With one repeat it is McNemar's exact test and the interval of Bonett and Price; they cover the
    sampling of the examples for these two models, not other orders of training. With several it is
    the paired t test and interval over the repeats, for these examples; where all repeats differ by
    the same, there is no noise between them to judge by, and the first one is tested alone.

    Args:
        first: One bool (num_examples,) a repeat, which examples are right.
        second: The same of the other one.

    Example:
        >>> right, wrong = np.array([1] * 8 + [0] * 2, bool), np.zeros(10, bool)
        >>> found = compare_paired([right], [wrong])
        >>> found.difference, round(found.p_value, 4), found.sign
        (0.8, 0.0078, 1)

    References:
        Q. McNemar, "Note on the Sampling Error of the Difference Between Correlated Proportions
        or Percentages", Psychometrika 12 (1947). https://doi.org/10.1007/BF02295996
        D. G. Bonett and R. M. Price, "Adjusted Wald Confidence Interval for a Difference of
        Binomial Proportions Based on Paired Data", Journal of Educational and Behavioral
        Statistics 37 (2012). https://doi.org/10.3102/1076998611411915
    """
    ours, theirs = np.stack(first), np.stack(second)
    gained, lost = (ours & ~theirs).sum(axis=1), (theirs & ~ours).sum(axis=1)
    if len(ours) > 1 and np.ptp(gained - lost):
        return _over_repeats(gained, lost, ours.shape[1])
    return _exact(int(gained[0]), int(lost[0]), ours.shape[1])


def unpacked(hits: bytes, total: int) -> Array:
    """Return bool (total,), which examples were right, of bits packed by `numpy.packbits`."""
    return np.unpackbits(np.frombuffer(hits, np.uint8), count=total).astype(bool)


def guessing(right: Array, y: Array) -> Paired:
    """Compare a classifier with always answering the most frequent class of these examples.

    Args:
        right: bool (num_examples,), which examples it gets right; one at least.
        y: int64 (num_examples,), their classes.
    """
    return compare_paired([right], [y == np.bincount(y).argmax()])


def _exact(gained: int, lost: int, total: int) -> Paired:
    from scipy.stats import binomtest

    p_value = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    # One more example on each side keeps the interval honest where few differ.
    more, fewer = (gained + 1) / (total + 2), (lost + 1) / (total + 2)
    half = _Z * math.sqrt((more + fewer - (more - fewer) ** 2) / (total + 2))
    low, high = max(more - fewer - half, -1.0), min(more - fewer + half, 1.0)
    return Paired((gained - lost) / total, low, high, p_value, gained, lost, "exact McNemar test")


def _over_repeats(gained: Array, lost: Array, total: int) -> Paired:
    from scipy.special import stdtr, stdtrit

    differences = (gained - lost) / total
    number, mean = len(differences), float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(number)
    half = float(stdtrit(number - 1, 0.975)) * error
    p_value = 2 * float(stdtr(number - 1, -abs(mean) / error))
    sums = int(gained.sum()), int(lost.sum())
    return Paired(
        mean, mean - half, mean + half, p_value, *sums, f"paired t test over {number} repeats"
    )
