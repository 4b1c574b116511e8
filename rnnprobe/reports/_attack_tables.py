"""Tables of `rnnprobe attack` along the sequence, and class by class."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnnprobe.attacks._classes import ClassPairs
from rnnprobe.attacks._study import AttackStudy, TimeStudy
from rnnprobe.attacks.hotflip import SingleEdits
from rnnprobe.records import SequenceDataset
from rnnprobe.reports._common import counted
from rnnprobe.statistics import wilson_interval
from rnnprobe.table import Column, Finding, Table

_MOST_PAIRS = 20
_MOST_EDITS = 8


def flip_finding(study: AttackStudy) -> list[Finding]:
    """Return when along the sequence the prediction flips."""
    if study.time is None or not len(study.time.flips):
        return []
    flips, budget = study.time.flips, study.time.budget
    quarters = [int(q) for q in np.quantile(flips, (0.25, 0.5, 0.75), method="lower")]
    sentence = (
        f"The prediction flips for good once the first {quarters[1]} of {study.split.x.shape[1]} "
        f"steps are changed (median; quartiles {quarters[0]} and {quarters[2]}; "
        f"{budget.norm} {budget.epsilon:g}, PGD, {counted(len(flips), 'fooled example')})"
    )
    return [Finding("flip_steps", sentence, quarters)]


def time_tables(study: AttackStudy) -> dict[str, Table]:
    """Return success against the number of steps, and window by window."""
    if study.time is None:
        return {}
    return {"timesteps": _curve_table(study.time), "windows": _window_table(study.time)}


def _curve_table(time: TimeStudy) -> Table:
    total, steps = len(time.rows), time.curves[0].steps
    rows = []
    for curve in time.curves:
        cells = []
        for fooled in curve.fooled:
            low, high = wilson_interval(int(fooled.sum()), total)
            cells.append(f"{fooled.mean():.3f} [{low:.3f}, {high:.3f}]")
        least = np.sort(np.where(curve.least > 0, curve.least, np.iinfo(int).max))[total // 2]
        text = f"more than {steps[-1]}" if least > steps[-1] else str(least)
        rows.append((curve.placement, *cells, text))
    columns = (
        Column("placement", "steps that may change"),
        *(Column(f"fooled_{number}", f"fooled by {number}", "markdown") for number in steps),
        Column("median_least", "fewest, median", "markdown"),
    )
    budget = time.budget
    title = (
        f"Share fooled when few steps may change ({budget.norm} {budget.epsilon:g}, untargeted PGD "
        f"of 20 steps, {total} examples)"
    )
    return Table(columns, tuple(rows), title)


def _window_table(time: TimeStudy) -> Table:
    scan, rows = time.scan, []
    for start, fooled, tried in zip(scan.starts, scan.fooled, scan.tried, strict=True):
        count, total = int(fooled.sum()), int(tried.sum())
        if not total:
            continue
        low, high = wilson_interval(count, total)
        gain = scan.gains[tried, start : start + scan.width].sum(axis=1).mean()
        first = int(start) + 1
        span = str(first) if scan.width == 1 else f"{first} to {first + scan.width - 1}"
        rows.append((span, count, total, count / total, low, high, float(gain)))
    columns = (
        Column("steps", "steps"),
        Column("fooled", "fooled", "integer"),
        Column("tried", "of", "integer"),
        Column("share", "share", "decimal", 3),
        Column("low", "95 % from", "decimal", 3),
        Column("high", "to", "decimal", 3),
        Column("gain", "share of the clean gradient", "decimal", 3),
    )
    title = (
        f"Where it matters: only a window of {scan.width} steps may change; windows overlap, so "
        "that shares do not add up to 1"
    )
    return Table(columns, tuple(rows), title)


def pair_tables(study: AttackStudy, dataset: SequenceDataset) -> dict[str, Table]:
    """Return from which class to which targeted attacks lead, beside the natural confusions."""
    if study.pairs is None:
        return {}
    pairs, names = study.pairs, dataset.class_names
    rows = []
    for true, reached in _ranked(pairs):
        tried, success = int(pairs.tried[true]), int(pairs.success[true, reached])
        low, high = wilson_interval(success, tried)
        row: tuple[Any, ...] = (names[true], names[reached], success, tried, success / tried)
        row = (*row, low, high)
        if pairs.median is not None:
            median = float(pairs.median[true, reached])
            row = (*row, float(f"{median:.3g}") if math.isfinite(median) else None)
        count, support = pairs.confusions[true, reached], pairs.confusions[true].sum()
        rows.append((*row, int(count), int(support)))
    columns = (
        Column("true", "true"),
        Column("target", "target"),
        Column("success", "reached", "integer"),
        Column("tried", "of", "integer"),
        Column("share", "share", "decimal", 3),
        Column("low", "95 % from", "decimal", 3),
        Column("high", "to", "decimal", 3),
        *([Column("median", "median distance", "general")] if pairs.median is not None else []),
        Column("confused", "confused unprovoked", "integer"),
        Column("support", "of", "integer"),
    )
    tables = {"pairs": Table(columns, tuple(rows), _pairs_title(pairs, len(rows)))}
    if pairs.edits is not None:
        tables["edits"] = _edits_table(pairs.edits, dataset)
    return tables


def _edits_table(edits: SingleEdits, dataset: SequenceDataset) -> Table:
    """Return which tokens put in, and which steps changed, fool most often."""
    total = int(edits.token_hits.sum())
    tokens = np.argsort(-edits.token_hits, kind="stable")[:_MOST_EDITS]
    steps = np.argsort(-edits.position_hits.sum(axis=0), kind="stable")[:_MOST_EDITS]
    rows = []
    for rank in range(min(len(tokens), len(steps))):
        token, step = int(tokens[rank]), int(steps[rank])
        hits = int(edits.token_hits[token]), int(edits.position_hits[:, step].sum())
        if min(hits) == 0:
            break
        text = dataset.text(np.array([token])).replace(" ", "(space)")
        rows.append((rank + 1, text, hits[0], hits[0] / total, step + 1, hits[1], hits[1] / total))
    columns = (
        Column("rank", "#", "integer"),
        Column("token", "put in"),
        Column("token_hits", "replacements that fool", "integer"),
        Column("token_share", "share", "decimal", 3),
        Column("step", "at step", "integer"),
        Column("step_hits", "replacements that fool", "integer"),
        Column("step_share", "share", "decimal", 3),
    )
    title = (
        f"What fools: of all {int(edits.queries.sum()):,} single replacements in "
        f"{len(edits.queries):,} examples {total:,} do, by what is put in and, beside it, where"
    )
    return Table(columns, tuple(rows), title)


def _ranked(pairs: ClassPairs) -> list[tuple[int, int]]:
    """Return the pairs that are reached most easily first."""
    num_classes = len(pairs.tried)
    cells = [
        (true, reached)
        for true in range(num_classes)
        for reached in range(num_classes)
        if true != reached and pairs.tried[true]
    ]

    def ease(cell: tuple[int, int]) -> tuple[float, float]:
        share = -pairs.success[cell] / pairs.tried[cell[0]]
        if pairs.median is None:
            return share, 0.0
        median = pairs.median[cell]
        return (float(median) if np.isfinite(median) else math.inf), share

    return sorted(cells, key=ease)[:_MOST_PAIRS]


def _pairs_title(pairs: ClassPairs, shown: int) -> str:
    budget = pairs.budget
    within = "one edit" if budget.norm == "edits" else f"{budget.norm} {budget.epsilon:g}"
    title = f"From class to class within {within}, the {shown} easiest pairs"
    if pairs.correlation is None:
        return f"{title}; no rank correlation with the natural confusions"
    rho, (low, high) = pairs.correlation
    return (
        f"{title}; rank correlation with the natural confusions over all pairs, as if these were "
        f"independent, {rho:.2f} [{low:.2f}, {high:.2f}]"
    )
