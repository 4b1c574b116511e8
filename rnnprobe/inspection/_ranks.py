"""The rank test of two groups, exact where it must be."""

from __future__ import annotations

import math

import numpy as np

from rnnprobe.records import Array

_FEW = 8  # of fewer values in a group the normal approximation is poor


def rank_test(first: Array, second: Array) -> float:
    """Return the p-value of the Mann-Whitney test, both sides, exact where a group is small.

    With fewer than eight values in a group it is the exact permutation test of the rank sum, in
    which ties share their rank; else the normal approximation with the correction for ties.

    Args:
        first: (num_values,), at least one.
        second: (num_others,), at least one.

    References:
        H. B. Mann and D. R. Whitney, "On a Test of Whether one of Two Random Variables is
        Stochastically Larger than the Other", Annals of Mathematical Statistics 18 (1947).
        https://doi.org/10.1214/aoms/1177730491

    Example:
        >>> round(rank_test(np.array([4, 5, 6]), np.array([1, 2, 3])), 3)
        0.1
    """
    from scipy.stats import mannwhitneyu

    if min(len(first), len(second)) < _FEW:
        return _exact_rank_test(*sorted((first, second), key=len))
    if np.ptp(np.concatenate([first, second])) == 0:
        return 1.0
    return float(mannwhitneyu(first, second, method="asymptotic").pvalue)


def _exact_rank_test(few: Array, many: Array) -> float:
    """Count the choices of so few of all values whose rank sum is as far from its mean."""
    both = np.concatenate([few, many])
    _, where, counts = np.unique(both, return_inverse=True, return_counts=True)
    doubled = 2 * np.cumsum(counts) - counts + 1  # midranks, doubled to be whole
    size, total = len(few), int(counts.sum())
    ways = np.zeros((size + 1, size * 2 * total + 1))
    ways[0, 0] = 1
    for rank, count in zip(doubled.tolist(), counts.tolist(), strict=True):
        for chosen in range(size, 0, -1):
            for taken in range(1, min(count, chosen) + 1):
                moved = ways[chosen - taken, : -rank * taken]
                ways[chosen, rank * taken :] += math.comb(count, taken) * moved
    found = int(doubled[where[:size]].sum())
    middle = size * (total + 1)
    as_far = np.abs(np.arange(ways.shape[1]) - middle) >= abs(found - middle)
    return float(min(1.0, ways[size, as_far].sum() / ways[size].sum()))
