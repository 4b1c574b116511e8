"""How gradients through time fade or grow: medians over examples, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from rnnprobe.inspection.decisions import Median, median_of
from rnnprobe.records import Array
from rnnprobe.statistics import Interval

VANISHING, EXPLODING = 0.01, 100.0
_EXACT = 1e-33  # below it some components of a float32 vector may have been lost
_CELLS = 2**20  # numbers looked at together, lest the work take more memory than the norms

Verdict = Literal["vanishing", "exploding", "healthy", "undecided"]


class Course(NamedTuple):
    """The ratio to the step read last, by the number of steps back from it.

    Args:
        median: float64 (num_distances,), over the examples that have the step; from 0 steps back.
        low: float64 (num_distances,), lower end of its 95 % interval; NaN of fewer than six.
        high: float64 (num_distances,), upper end.
        number: int64 (num_distances,), how many examples have the step.
    """

    median: Array
    low: Array
    high: Array
    number: Array


class GradientSummary(NamedTuple):
    """What the gradients of one state say over all examples.

    Medians over examples, each with an interval that holds for any distribution. A gradient of
    exactly 0 makes a ratio of 0 and one that is not finite a ratio of infinity, which a median
    takes as they are; no logarithm is taken of them.

    Args:
        without_steps: How many examples have no step that the layer reads; they take no part.
        without_gradient: How many have a gradient of 0, or not a finite one, at the step read
            last; they take no part either, having nothing to compare with. It is 0 also where a
            model returns probabilities that are rounded to 0 or 1.
        lengths: Least and most steps of the examples that `ratio` is of; None of none.
        ratio: Of the norm at the step read first to that at the step read last, of examples of at
            least two steps.
        vanished: In how many of these the gradient is exactly 0 at the step read first.
        overflown: In how many of these it is not finite there.
        decay: The factor by which the norm changes from one step to the one read before it: the
            exponential of the least-squares slope of its logarithm, over the steps at which it is
            finite and above 1e-33, where float32 is still exact.
        spread: How far the norms are from that line: the exponential of the root mean square of
            the residuals (two degrees of freedom less), 1 for an exact exponential; of examples
            of at least three such steps.
        course: The ratio step by step.
    """

    without_steps: int
    without_gradient: int
    lengths: tuple[int, int] | None
    ratio: Median
    vanished: int
    overflown: int
    decay: Median
    spread: Median
    course: Course

    @property
    def half_life(self) -> Median:
        """Steps back in which the norm halves at that decay; infinite where it does not."""
        number, value, interval = self.decay
        if value is None:
            return Median(number, None, None)
        ends = None if interval is None else Interval(*map(_half_life, interval))
        return Median(number, _half_life(value), ends)

    @property
    def verdict(self) -> Verdict:
        """What the interval of `ratio` tells for sure.

        `vanishing`: all of it is below 1/100; `exploding`: all of it is above 100; `healthy`: all
        of it is between them; `undecided`: it holds one of these thresholds, or there is none,
        of fewer than six examples.
        """
        interval = self.ratio.interval
        if interval is None:
            return "undecided"
        if interval.high < VANISHING:
            return "vanishing"
        if interval.low > EXPLODING:
            return "exploding"
        inside = interval.low >= VANISHING and interval.high <= EXPLODING
        return "healthy" if inside else "undecided"


def _half_life(decay: float) -> float:
    if decay <= 0:
        return 0.0
    return math.log(2) / -math.log(decay) if decay < 1 else math.inf


def summarize(norms: Array, counted: Array, *, backwards: bool) -> GradientSummary:
    """Return what norms of gradients by step say over all examples.

    Args:
        norms: float (num_examples, num_steps), at least 0; may be infinite or NaN, which both
            count as beyond what is finite.
        counted: bool (num_examples, num_steps), the steps that the layer reads.
        backwards: Whether the steps are read from the last to the first.

    Example:
        >>> norms = 0.5 ** np.arange(4.0)[np.newaxis, ::-1]
        >>> found = summarize(norms, np.ones((1, 4), bool), backwards=False)
        >>> found.ratio.value, round(found.decay.value, 6), round(found.half_life.value, 6)
        (0.125, 0.5, 1.0)
    """
    lengths = counted.sum(axis=1)
    by_distance = _by_distance(norms, counted, backwards=backwards)
    last = by_distance[:, 0] if by_distance.shape[1] else np.zeros(len(norms))
    compared = (lengths > 0) & (last > 0) & np.isfinite(last)
    rows, several = np.flatnonzero(compared), np.flatnonzero(compared & (lengths > 1))
    first = by_distance[several, lengths[several] - 1]
    decay, spread = _lines(by_distance, rows)
    return GradientSummary(
        without_steps=int((lengths == 0).sum()),
        without_gradient=int(((lengths > 0) & ~compared).sum()),
        lengths=(int(lengths[several].min()), int(lengths[several].max())) if len(first) else None,
        ratio=median_of(first / last[several]),
        vanished=int((first == 0).sum()),
        overflown=int(np.isinf(first).sum()),
        decay=median_of(decay[~np.isnan(decay)]),
        spread=median_of(spread[~np.isnan(spread)]),
        course=_course(by_distance, rows),
    )


def _by_distance(norms: Array, counted: Array, *, backwards: bool) -> Array:
    """Return float64 (num_examples, num_distances): the step read last first, NaN behind."""
    order = slice(None) if backwards else slice(None, None, -1)
    found = np.where(np.isfinite(norms), norms, np.inf).astype(np.float64)[:, order]
    counted = counted[:, order]
    if counted.all():
        return found
    found[~counted] = np.nan
    front = np.argsort(~counted, axis=1, kind="stable")
    longest = int(counted.sum(axis=1).max(initial=0))
    return np.take_along_axis(found, front[:, :longest], axis=1)


def _blocks(rows: Array, width: int) -> Iterator[Array]:
    yield from np.array_split(rows, -(-len(rows) * max(width, 1) // _CELLS) or 1)


def _lines(by_distance: Array, rows: Array) -> tuple[Array, Array]:
    """Return the decay of each example and its spread around it, NaN where there is none."""
    distances = np.arange(by_distance.shape[1], dtype=np.float64)
    decays, spreads = [], []
    for block in _blocks(rows, len(distances)):
        values = by_distance[block]
        used = (values > _EXACT) & np.isfinite(values)
        number = used.sum(axis=1)
        logs = np.log(np.where(used, values, 1.0))
        share = np.maximum(number, 1)[:, np.newaxis]
        x = np.where(used, distances - (used * distances).sum(axis=1, keepdims=True) / share, 0.0)
        y = np.where(used, logs - logs.sum(axis=1, keepdims=True) / share, 0.0)
        enough = number > 1
        slope = (x * y).sum(axis=1) / np.where(enough, (x * x).sum(axis=1), 1.0)
        rest = np.square(y - slope[:, np.newaxis] * x).sum(axis=1) / np.maximum(number - 2, 1)
        decays.append(np.where(enough, np.exp(slope), np.nan))
        spreads.append(np.where(number > 2, np.exp(np.sqrt(rest)), np.nan))
    return np.concatenate(decays), np.concatenate(spreads)


def _course(by_distance: Array, rows: Array) -> Course:
    """Return medians and intervals as `median_of` has them, of each distance."""
    from scipy.stats import binom

    width = by_distance.shape[1]
    if not len(rows):
        nothing = np.full(width, np.nan)
        return Course(nothing, nothing, nothing, np.zeros(width, np.int64))
    parts = []
    for columns in _blocks(np.arange(width), len(rows)):
        ratios = by_distance[np.ix_(rows, columns)] / by_distance[rows, :1]
        ratios.sort(axis=0)  # NaN comes last
        number = (~np.isnan(ratios)).sum(axis=0)
        rank = binom.ppf(0.025, np.maximum(number, 1), 0.5).astype(int)
        places = ((number - 1) // 2, number // 2, rank - 1, number - rank)
        across = np.arange(len(columns))
        left, right, low, high = (ratios[place.clip(0, len(rows) - 1), across] for place in places)
        ends = [np.where(rank > 0, end, np.nan) for end in (low, high)]
        parts.append((np.where(number > 0, (left + right) / 2, np.nan), *ends, number))
    return Course(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
