"""How far the figures of two splits of the same data are apart."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from rnnprobe.experiments._record import Experiment, Measure
from rnnprobe.experiments._reproduce import Measured, Part, Reproduction, split_text
from rnnprobe.experiments._verdicts import num_counted
from rnnprobe.reports._reproduce_texts import measure_phrase, signed
from rnnprobe.statistics import Interval
from rnnprobe.table import Finding


class SplitDifference(NamedTuple):
    """One measure of one cell: with another split less with the report's.

    Args:
        difference: Of the means over the runs.
        interval: 95 % of it; None where its noise is not known.
        parts: Of what the squared standard error consists: each variance with its degrees of
            freedom; of the examples of each split, and of the seeds.
    """

    difference: float
    interval: Interval | None
    parts: tuple[tuple[float, float], ...]


def split_difference(
    experiment: Experiment,
    parts: tuple[Part, Part],
    cells: tuple[Measured, Measured],
    measure: Measure,
) -> SplitDifference | None:
    """Compare a cell with two splits; None where it was not measured with both.

    The examples of both splits are taken as independent, and the runs too. Each accuracy in test
    or validation has the variance p (1 - p) / examples, and of several runs that of the seeds
    besides, Welch's way. Training parts are what was fitted and no sample of what is asked for.

    Args:
        experiment: What was published.
        parts: The report's split, and the other.
        cells: The same cell in both.
        measure: Of what.
    """
    values = [cell.values(measure.key) for cell in cells]
    if not all(values):
        return None
    difference = statistics.fmean(values[1]) - statistics.fmean(values[0])
    variances: list[tuple[float, float]] = []
    known = True
    for part, cell, own in zip(parts, cells, values, strict=True):
        counted = num_counted(experiment, part, cell, measure)
        if measure.counted not in ("test", "validation"):
            counted = None
        if counted:
            share = statistics.fmean(own)
            variances.append((share * (1 - share) / counted, math.inf))
        if len(own) > 1:
            variances.append((statistics.variance(own) / len(own), len(own) - 1))
        known = known and (len(own) > 1 or bool(counted))
    interval = _interval(difference, variances) if known else None
    return SplitDifference(difference, interval, tuple(variances))


def _interval(difference: float, variances: Sequence[tuple[float, float]]) -> Interval | None:
    from scipy.stats import t

    total = sum(variance for variance, _ in variances)
    if not total > 0:  # without any spread there is nothing to judge by; NaN is no spread either
        return None
    lost = sum(variance**2 / freedom for variance, freedom in variances)
    freedom = total**2 / lost if lost else math.inf
    half = float(t.ppf(0.975, freedom)) * math.sqrt(total)
    return Interval(difference - half, difference + half)


def difference_text(found: SplitDifference | None, measure: Measure) -> str:
    """Return a difference, and behind it the ends of its interval."""
    if found is None:
        return "–"
    text = signed(found.difference, measure)
    if found.interval is None:
        return text
    low, high = (signed(end, measure) for end in found.interval)
    return f"{text} ({low} to {high})"


def splits_findings(reproduction: Reproduction) -> list[Finding]:
    """Say how the first measure changes from split to split, over all cells."""
    experiment, (first, *others) = reproduction.plan.experiment, reproduction.parts
    measure = experiment.measures[0]
    findings = []
    for other in others:
        found = [
            one
            for cells in zip(first.cells, other.cells, strict=True)
            if (one := split_difference(experiment, (first, other), cells, measure)) is not None
        ]
        findings += [_mean_finding(other.split, measure, found)] if found else []
    return findings


def _mean_finding(split: str | None, measure: Measure, found: Sequence[SplitDifference]) -> Finding:
    ends = [one.difference for one in found]
    mean = statistics.fmean(ends)
    interval = _interval_of_mean(found, mean)
    told = f"{measure_phrase(measure)} {signed(mean, measure)}"
    if len(found) > 1:
        told += f" on average over {len(found)} cells"
        told += f", from {signed(min(ends), measure)} to {signed(max(ends), measure)}"
    if interval is not None:
        low, high = (signed(end, measure) for end in interval)
        told += f", 95 % interval {low} to {high}"
    if interval is not None and len(found) > 1:
        told += ", which takes all cells to be wrong on the same examples"
    value = {
        "mean": mean,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "cells": len(found),
    }
    sentence = f"{split_text(split).capitalize()}, less the report's split: {told}"
    return Finding(f"split_{split or 'own'}", sentence, value)


def _interval_of_mean(found: Sequence[SplitDifference], mean: float) -> Interval | None:
    """Return 95 % of the mean difference.

    All cells are tested on the same examples, so their noise is averaged as standard errors, as
    if it were the same in all of them, which is the most it can be; that of the seeds is
    independent.
    """
    if any(one.interval is None for one in found):
        return None
    examples = [sum(v for v, freedom in one.parts if math.isinf(freedom)) for one in found]
    seeds = [
        (variance / len(found) ** 2, freedom)
        for one in found
        for variance, freedom in one.parts
        if not math.isinf(freedom)
    ]
    common = statistics.fmean(map(math.sqrt, examples)) ** 2
    return _interval(mean, [(common, math.inf), *seeds])
