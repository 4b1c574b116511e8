"""Intervals and tests, on scipy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnprobe.records import Array


class Interval(NamedTuple):
    """A confidence interval; both ends in [0, 1] for a share."""

    low: float
    high: float


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return the Wilson score interval of a share.

    It covers the sampling of the examples for one model, not the noise of training.

    Args:
        successes: In [0, trials].
        trials: At least 1.
        confidence: In (0, 1).

    Returns:
        The interval, inside [0, 1]; never of zero width.

    Example:
        >>> low, high = wilson_interval(474, 500)
        >>> f"[{low:.4f}, {high:.4f}]"
        '[0.9249, 0.9643]'

    References:
        E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
        JASA 22 (1927). https://doi.org/10.1080/01621459.1927.10502953
    """
    from scipy.stats import binomtest

    interval = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return Interval(float(interval.low), float(interval.high))


def median_interval(values: Array, confidence: float = 0.95) -> Interval | None:
    """Return an interval of the median that holds for any distribution; None of too few values.

    Its ends are values themselves: the order statistics between which the median lies with at
    least the given probability.

    Args:
        values: (num_values,), may be infinite.
        confidence: In (0, 1).

    Example:
        >>> median_interval(np.arange(1, 11))
        Interval(low=2.0, high=9.0)

    References:
        H. A. David and H. N. Nagaraja, "Order Statistics" (2003), section 7.1.
    """
    from scipy.stats import binom

    rank = int(binom.ppf((1 - confidence) / 2, len(values), 0.5)) if len(values) else 0
    if rank == 0:
        return None
    ordered = np.sort(values)
    return Interval(float(ordered[rank - 1]), float(ordered[len(values) - rank]))


class Difference(NamedTuple):
    """Two configurations on the same examples.

    Args:
        difference: Mean accuracy of the first less that of the second.
        standard_error: Of the difference, from seeds and examples together.
        p_value: Of a difference as large as this, to either side, where there is none.
        interval: 95 % of the difference, inside [-1, 1]; it leaves out 0 where `p_value` is below
            5 %, and only there.
    """

    difference: float
    standard_error: float
    p_value: float
    interval: Interval


def compare_configurations(first: Array, second: Array) -> Difference:
    """Compare two configurations, each trained with several seeds, on the same examples.

    Examples are crossed with the configurations, seeds are nested in them: other examples and
    other seeds would both have given another difference. With one seed alone it is the paired t
    test over the examples, and says nothing of seeds. In simulations with much noise of both
    kinds and several seeds, equal configurations differed at 5 % in 3 to 6 % of cases.

    Args:
        first: bool (num_seeds, num_examples), whether the example was right with the seed.
        second: bool (num_seeds, num_examples), of the other configuration.

    Returns:
        Difference, standard error, p-value and interval: t test with Satterthwaite's degrees of
        freedom; a negative estimate of a variance component counts as zero. Of one example nothing
        is known: the interval is all of [-1, 1]. Where nothing varies, neither examples nor seeds,
        there is no noise to judge by, and the interval has no width.

    References:
        F. E. Satterthwaite, "An Approximate Distribution of Estimates of Variance Components",
        Biometrics Bulletin 2 (1946). https://doi.org/10.2307/3002019
        S. R. Searle, G. Casella, C. E. McCulloch, "Variance Components" (1992), chapter 4.
    """
    from scipy.special import stdtr, stdtrit

    hits = np.stack([first, second]).astype(float)
    _, seeds, examples = hits.shape
    if examples < 2:
        difference = float(hits[0].mean() - hits[1].mean())
        return Difference(difference, math.inf, 1.0, Interval(-1.0, 1.0))
    by_seed, by_example = hits.mean(axis=2), hits.mean(axis=1)
    mean = float(by_seed[0].mean() - by_seed[1].mean())
    rest = hits - by_seed[:, :, None] - by_example[:, None, :] + by_seed.mean(axis=1)[:, None, None]
    # Variances of the difference, each with its degrees of freedom; `rest` is in both others.
    over_examples = [
        (float(np.var(by_example[0] - by_example[1], ddof=1)) / examples, examples - 1)
    ]
    over_seeds, over_rest = [], []
    if seeds > 1:
        over_seeds = [(float(np.var(one, ddof=1)) / seeds, seeds - 1) for one in by_seed]
        df = (seeds - 1) * (examples - 1)
        over_rest = [(float((one**2).sum()) / df / (seeds * examples), df) for one in rest]
    noise = sum(variance for variance, _ in over_rest)
    used = over_examples + over_seeds
    if over_seeds and sum(variance for variance, _ in over_seeds) < noise:
        used = over_examples
    elif over_examples[0][0] < noise:
        used = over_seeds
    else:
        noise_once = [(-variance, df) for variance, df in over_rest]
        used = used + noise_once
    variance = sum(part for part, _ in used)
    if variance <= 0:
        return Difference(mean, 0.0, float(mean == 0), Interval(mean, mean))
    degrees = variance**2 / sum(part**2 / df for part, df in used)
    error = math.sqrt(variance)
    half = float(stdtrit(degrees, 0.975)) * error
    interval = Interval(max(mean - half, -1.0), min(mean + half, 1.0))
    return Difference(mean, error, 2 * float(stdtr(degrees, -abs(mean) / error)), interval)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for being several, in their order.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]

    References:
        S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal
        of Statistics 6 (1979). https://www.jstor.org/stable/4615733
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def factorial_shares(values: Array) -> dict[tuple[int, ...], float]:
    """Split the variance of a complete, balanced factorial exactly.

    Args:
        values: float (levels of the first axis, ..., levels of the last axis, repeats).

    Returns:
        The share of the total sum of squares by axes: `(0,)` the main effect of the first,
        `(0, 1)` the interaction of the first two, ..., `()` what is left between repeats. They
        sum to 1, unless all values are equal, which gives zeros.

    References:
        R. A. Fisher, "The Design of Experiments" (1935).
    """
    axes = range(values.ndim - 1)
    centred = values - values.mean()
    total = float((centred**2).sum())
    effects: dict[tuple[int, ...], Array] = {}
    shares = {}
    for size in range(1, values.ndim):
        for chosen in itertools.combinations(axes, size):
            others = tuple(axis for axis in range(values.ndim) if axis not in chosen)
            effect = centred.mean(axis=others, keepdims=True)
            for inner, known in effects.items():
                if set(inner) < set(chosen):
                    effect = effect - known
            effects[chosen] = effect
            squares = float((np.broadcast_to(effect, values.shape) ** 2).sum())
            shares[chosen] = squares / total if total else 0.0
    within = values - values.mean(axis=-1, keepdims=True)
    shares[()] = float((within**2).sum()) / total if total else 0.0
    return shares


def additive_shares(levels: Sequence[Sequence[object]], values: Sequence[float]) -> list[float]:
    """Say how much of the variance each axis explains that no other does.

    For data that are no complete factorial: the drop in the share explained by an additive model
    (a constant and one effect per level, least squares) when the axis is left out of it. The
    shares need not sum to 1.

    Args:
        levels: Of each axis the level of each value; None where the axis means nothing.
        values: What is explained.

    Returns:
        One share in [0, 1] an axis; zeros where all values are equal.
    """
    y = np.asarray(values, dtype=float)
    total = float(((y - y.mean()) ** 2).sum())
    if not total:
        return [0.0] * len(levels)
    effects = [_effects(axis) for axis in levels]

    def unexplained(columns: list[Array]) -> float:
        design = np.hstack([np.ones((len(y), 1)), *columns])
        fitted = design @ np.linalg.lstsq(design, y, rcond=None)[0]
        return float(((y - fitted) ** 2).sum())

    whole = unexplained(effects)
    without = [unexplained(effects[:i] + effects[i + 1 :]) for i in range(len(effects))]
    return [min(1.0, max(0.0, (left - whole) / total)) for left in without]


def _effects(axis: Sequence[object]) -> Array:
    """Return float (num_values, num_levels - 1): one effect a level, which sum to zero.

    So an axis that means nothing to one cell says nothing of that cell against the others.
    """
    known = sorted({level for level in axis if level is not None}, key=str)
    columns = [[float(one == level) for one in axis] for level in known]
    return np.array([np.subtract(column, columns[-1]) for column in columns[:-1]]).T.reshape(
        len(axis), -1
    )


def pareto_front(costs: Sequence[float], gains: Sequence[float]) -> list[int]:
    """Return the indices that no other one beats in both, by rising cost.

    Example:
        >>> pareto_front([1.0, 2.0, 3.0], [0.5, 0.4, 0.9])
        [0, 2]
    """
    front: list[int] = []
    for index in sorted(range(len(costs)), key=lambda i: (costs[i], -gains[i])):
        if not front or gains[index] > gains[front[-1]]:
            front.append(index)
    return front


def rank_correlation(first: Array, second: Array) -> tuple[float, Interval] | None:
    """Return Spearman's rank correlation with its 95 % interval; None where it has none.

    Args:
        first: (num_pairs,), may be infinite.
        second: (num_pairs,).

    Returns:
        The correlation in [-1, 1] and its interval; None of fewer than four pairs, or where all
        values of one side are equal.

    Example:
        >>> rho, (low, high) = rank_correlation(np.arange(9), np.arange(9) ** 2)
        >>> rho
        1.0

    References:
        D. G. Bonett and T. A. Wright, "Sample size requirements for estimating Pearson, Kendall
        and Spearman correlations", Psychometrika 65 (2000). https://doi.org/10.1007/BF02294183
    """
    from scipy.stats import norm, rankdata

    ranks = rankdata(first), rankdata(second)
    if len(first) < 4 or any(np.ptp(rank) == 0 for rank in ranks):
        return None
    rho = round(float(np.corrcoef(*ranks)[0, 1]), 12)
    deviation = math.sqrt((1 + rho**2 / 2) / (len(first) - 3))
    reach = float(norm.ppf(0.975)) * deviation
    middle = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, rho)))
    return rho, Interval(math.tanh(middle - reach), math.tanh(middle + reach))


class MeanDifference(NamedTuple):
    """Two groups of independent values: the first mean less the second.

    Args:
        difference: Of the means.
        interval: 95 % of it, by Welch's t.
        p_value: Of a difference as large as this, to either side, where there is none.
    """

    difference: float
    interval: Interval
    p_value: float


def compare_means(first: Sequence[float], second: Sequence[float]) -> MeanDifference | None:
    """Compare two groups by Welch's t test; None where a group has fewer than two values.

    Where all values of each group are equal there is no noise to judge by, and the p-value is 1.

    Example:
        >>> compare_means([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).p_value
        1.0
    """
    from scipy.stats import t

    if min(len(first), len(second)) < 2:
        return None
    difference = float(np.mean(first) - np.mean(second))
    if np.ptp(first) == np.ptp(second) == 0:
        return MeanDifference(difference, Interval(difference, difference), 1.0)
    # By hand, since SciPy warns where all values of one group are equal.
    parts = [float(np.var(values, ddof=1)) / len(values) for values in (first, second)]
    freedom = sum(parts) ** 2 / (
        parts[0] ** 2 / (len(first) - 1) + parts[1] ** 2 / (len(second) - 1)
    )
    error = math.sqrt(sum(parts))
    half = float(t.ppf(0.975, freedom)) * error
    p_value = 2 * float(t.sf(abs(difference) / error, freedom))
    return MeanDifference(difference, Interval(difference - half, difference + half), p_value)
