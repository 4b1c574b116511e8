"""Attributions by step, averaged over examples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnprobe.inspection.attribution import Attribution
from rnnprobe.records import Array


class StepMeans(NamedTuple):
    """Attributions by step, or by stretch of steps, averaged over examples.

    Steps are those that count, numbered from the start of each example; a mean is over the
    examples that have the step. Intervals hold for each step by itself, not for all together.

    Args:
        first: int64 (num_rows,), the first step of each stretch, from 1.
        last: int64 (num_rows,), its last one.
        number: int64 (num_rows,), how many examples have it.
        integrated: float64 (num_rows,), mean over the examples, in logits.
        integrated_reach: float64 (num_rows,), half of its 95 % t interval; NaN of fewer than two
            examples, or where all are equal.
        share: float64 (num_rows,), of the example's sum of |attribution|, mean over the examples
            that have the step; of a stretch the sum over its steps. NaN where none has.
        share_reach: float64 (num_rows,), like `integrated_reach`.
        smooth: float64 (num_rows,), mean of SmoothGrad times x, in logits.
        smooth_reach: float64 (num_rows,), like `integrated_reach`.
        smooth_error: float64 (num_rows,), standard error of `smooth` by the noise drawn alone.
    """

    first: Array
    last: Array
    number: Array
    integrated: Array
    integrated_reach: Array
    share: Array
    share_reach: Array
    smooth: Array
    smooth_reach: Array
    smooth_error: Array


def step_means(found: Attribution, width: int = 1) -> StepMeans:
    """Average attributions over the examples, by step or by stretch of steps.

    Args:
        found: What `attribute` returned.
        width: Steps in a stretch, at least 1.
    """
    rows = _stretches(found, found.steps, width)
    integrated, integrated_reach = mean_and_reach(rows)
    smooth, smooth_reach = mean_and_reach(_stretches(found, found.smooth_steps, width))
    share, share_reach = mean_and_reach(_stretches(found, step_shares(found), width))
    samples = np.moveaxis(found.smooth_samples, 1, 0).astype(np.float64)
    copies = np.stack([_stretches(found, one, width) for one in samples])
    errors = copies.std(axis=0, ddof=1) / np.sqrt(len(copies))
    number = (~np.isnan(rows)).sum(axis=0)
    first = 1 + width * np.arange(rows.shape[1])
    longest = int(found.counted.sum(axis=1).max(initial=0))
    smooth_error = np.sqrt(np.nansum(errors**2, axis=0)) / np.maximum(number, 1)
    return StepMeans(
        first=first,
        last=np.minimum(first + width - 1, longest),
        number=number,
        integrated=integrated,
        integrated_reach=integrated_reach,
        share=share,
        share_reach=share_reach,
        smooth=smooth,
        smooth_reach=smooth_reach,
        smooth_error=smooth_error,
    )


def step_shares(found: Attribution) -> Array:
    """Return |attribution| as share of its sum, float64 (num_examples, num_steps); NaN of 0."""
    sizes = np.abs(found.steps)
    totals = sizes.sum(axis=1, keepdims=True)
    shares = np.full(sizes.shape, np.nan)
    return np.asarray(np.divide(sizes, totals, out=shares, where=totals > 0))


def _stretches(found: Attribution, values: Array, width: int) -> Array:
    """Return sums over stretches of the steps that count, in front; NaN where there are none."""
    aligned = in_front(values, found.counted)
    longest = int(found.counted.sum(axis=1).max(initial=0))
    num_rows = -(-longest // width)
    padded = np.full((len(values), num_rows * width), np.nan)
    padded[:, :longest] = aligned[:, :longest]
    parts = padded.reshape(len(values), num_rows, width)
    return np.where(np.isnan(parts).all(axis=2), np.nan, np.nansum(parts, axis=2))


def in_front(values: Array, counted: Array) -> Array:
    """Return what counts in front, and NaN behind it.

    Args:
        values: float (num_examples, num_steps, ...).
        counted: bool (num_examples, num_steps).

    Example:
        >>> in_front(np.array([[1.0, 2.0, 3.0]]), np.array([[False, True, True]]))
        array([[ 2.,  3., nan]])
    """
    extra = (1,) * (values.ndim - 2)
    order = np.argsort(~counted, axis=1, kind="stable")
    moved = np.take_along_axis(values, order.reshape(*order.shape, *extra), axis=1)
    inside = np.arange(counted.shape[1]) < counted.sum(axis=1)[:, np.newaxis]
    return np.where(inside.reshape(*inside.shape, *extra), moved, np.nan)


def mean_and_reach(values: Array) -> tuple[Array, Array]:
    """Return the mean over the examples and half of its 95 % t interval, leaving NaN out.

    Args:
        values: float64 (num_examples, ...).

    Returns:
        Two float64 (...): NaN where no example has a value; for the interval where fewer than two
        have one, or all are equal.
    """
    from scipy.special import stdtrit

    number = (~np.isnan(values)).sum(axis=0)
    mean = np.where(number > 0, np.nansum(values, axis=0) / np.maximum(number, 1), np.nan)
    squares = np.nansum((values - mean) ** 2, axis=0)
    freedom = np.maximum(number - 1, 1)
    error = np.sqrt(squares / freedom / np.maximum(number, 1))
    highest = np.where(np.isnan(values), -np.inf, values).max(axis=0, initial=-np.inf)
    lowest = np.where(np.isnan(values), np.inf, values).min(axis=0, initial=np.inf)
    known = (number > 1) & (highest > lowest)
    return mean, np.where(known, stdtrit(freedom, 0.975) * error, np.nan)


class Concentration(NamedTuple):
    """Where the attribution of each example lies; NaN of one whose attributions are all 0.

    Args:
        half: float64 (num_examples,), the smallest number of steps that together hold at least
            half of the sum of |attribution|.
        centre: float64 (num_examples,), mean step, from 1, weighted by |attribution|.
        lengths: int64 (num_examples,), how many steps count.
    """

    half: Array
    centre: Array
    lengths: Array


def concentration(found: Attribution) -> Concentration:
    """Say of each example in how many steps its attribution lies, and about which one."""
    shares = in_front(step_shares(found), found.counted)
    known = ~np.isnan(shares).all(axis=1)
    filled = np.nan_to_num(shares)
    ordered = -np.sort(-filled, axis=1)
    half = 1 + (ordered.cumsum(axis=1) < 0.5 - 1e-9).sum(axis=1)
    centre = filled @ np.arange(1, shares.shape[1] + 1)
    return Concentration(
        np.where(known, half, np.nan),
        np.where(known, centre, np.nan),
        found.counted.sum(axis=1),
    )
