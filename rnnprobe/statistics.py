"""Intervals and tests, on scipy."""

from __future__ import annotations

from typing import NamedTuple


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
