"""Fisher's exact test of many two by two tables at once."""

from __future__ import annotations

import numpy as np

from rnnprobe.records import Array

# Tables whose probabilities differ by rounding alone are equally extreme, as in R.
_ROUNDING = 1e-7


def fisher_exact(hits: Array, totals: Array, other_hits: Array, other_totals: Array) -> Array:
    """Test whether two shares differ, two-sided, for many pairs of shares.

    The p-value sums the probabilities of all tables with the same margins that are at most as
    probable as the one found. Time and memory grow with the sum of `hits + other_hits`.

    Args:
        hits: int64 (num_tests,), in [0, totals].
        totals: int64 (num_tests,), at least 0; without any example the p-value is 1.
        other_hits: int64 (num_tests,), of the other group.
        other_totals: int64 (num_tests,).

    Returns:
        float64 (num_tests,), in [0, 1].

    Example:
        >>> fisher_exact(*np.array([[8], [10], [1], [6]])).round(4)
        array([0.035])

    References:
        R. A. Fisher, "The Logic of Inductive Inference", Journal of the Royal Statistical Society
        98 (1935). https://doi.org/10.2307/2342435
    """
    if len(hits) == 0:
        return np.zeros(0)
    drawn = hits + other_hits
    lowest, highest = np.maximum(0, drawn - other_totals), np.minimum(drawn, totals)
    sizes = highest - lowest + 1
    starts = np.cumsum(sizes) - sizes
    test = np.repeat(np.arange(len(hits)), sizes)
    value = np.arange(len(test)) - starts[test] + lowest[test]
    weight = _log_choose(totals[test], value)
    weight += _log_choose(other_totals[test], drawn[test] - value)
    weight -= np.maximum.reduceat(weight, starts)[test]
    found = weight[starts + hits - lowest]
    probability = np.exp(weight)
    extreme = np.where(weight <= found[test] + _ROUNDING, probability, 0)
    shares = np.add.reduceat(extreme, starts) / np.add.reduceat(probability, starts)
    return np.asarray(np.minimum(shares, 1.0))


def _log_choose(total: Array, chosen: Array) -> Array:
    from scipy.special import gammaln

    return np.asarray(gammaln(total + 1) - gammaln(chosen + 1) - gammaln(total - chosen + 1))
