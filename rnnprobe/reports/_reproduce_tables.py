"""Published and measured values as tables: in the report's own shape, and cell by cell."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from rnnprobe.experiments._record import Cell, Experiment, Measure
from rnnprobe.experiments._reproduce import Measured, Part, Reproduction
from rnnprobe.experiments._verdicts import Comparison, compare, twin_value
from rnnprobe.reports._reproduce_splits import difference_text, split_difference
from rnnprobe.reports._reproduce_texts import (
    axes_of,
    compared,
    measure_phrase,
    measured_text,
    n_phrase,
    number,
    place_text,
    published_text,
    report_order,
    setting_columns,
    setting_of,
    settings_texts,
    signed,
    split_title,
    tolerance_text,
)
from rnnprobe.table import Column, Table

_MOST_PERCENT = 10


def report_table(reproduction: Reproduction) -> Table:
    """Return measured and published values in the shape of the report's own table.

    With several splits each row stands there once a split, and once more with the difference.
    """
    plan, parts = reproduction.plan, reproduction.parts
    experiment = plan.experiment
    lines = _lines(experiment, plan.cells)
    several = len(parts) > 1
    heads = list(dict.fromkeys(head for line in lines for head in line))
    columns = [*setting_columns(experiment, experiment.rows)]
    columns += [Column("split", "split")] if several else []
    columns += [Column(_key(head), head, "markdown") for head in heads]
    write = [(split_title(experiment, one), partial(_value, reproduction, one)) for one in parts]
    write += [("difference", partial(_difference, reproduction, one)) for one in parts[1:]]
    rows: list[tuple[Any, ...]] = []
    for line in lines:
        cell, _ = next(iter(line.values()))
        names = settings_texts(experiment, cell, experiment.rows)
        for label, text_of in write:
            texts = [text_of(*line[head]) if head in line else None for head in heads]
            rows.append((*names, *([label] if several else []), *texts))
    return Table(tuple(columns), tuple(rows), _report_title(reproduction))


def _lines(experiment: Experiment, cells: Sequence[Cell]) -> list[dict[str, tuple[Cell, Measure]]]:
    """Return the rows of the report's table: what stands in each, by the head of the column."""
    if not experiment.columns:
        order = report_order(experiment)
        return [{measure.title: (cell, measure) for measure in order} for cell in cells]
    lines: dict[tuple[Any, ...], dict[str, tuple[Cell, Measure]]] = {}
    for cell in cells:
        row = settings_texts(experiment, cell, experiment.rows)
        lines.setdefault(row, {})[_level(experiment, cell)] = (cell, experiment.measures[0])
    return list(lines.values())


def _level(experiment: Experiment, cell: Cell) -> str:
    names = experiment.columns
    levels = ", ".join(map(str, settings_texts(experiment, cell, names)))
    return f"{names[0].replace('_', ' ')} {levels}" if len(names) == 1 else levels


def _key(head: str) -> str:
    return head.replace(" ", "_").replace(".", "").lower() if head else "value"


def _value(reproduction: Reproduction, part: Part, cell: Cell, measure: Measure) -> str:
    """Return what stands in one place; only the report's split has published values beside it."""
    plan = reproduction.plan
    comparison = compare(plan.experiment, part, _find(part, cell), measure)
    write = place_text if part is reproduction.parts[0] else measured_text
    return write(comparison, plan.repeats)


def _difference(reproduction: Reproduction, other: Part, cell: Cell, measure: Measure) -> str:
    parts = (reproduction.parts[0], other)
    cells = (_find(parts[0], cell), _find(other, cell))
    found = split_difference(reproduction.plan.experiment, parts, cells, measure)
    return difference_text(found, measure)


def _find(part: Part, cell: Cell) -> Measured:
    return next(one for one in part.cells if one.cell is cell)


def _report_title(reproduction: Reproduction) -> str:
    experiment, plan = reproduction.plan.experiment, reproduction.plan
    first = measure_phrase(experiment.measures[0])
    what = f"{first}, measured" if experiment.columns else "measured"
    spread = " ± standard deviation" if plan.repeats > 1 else ""
    title = f"{what.capitalize()}{spread} [published], {n_phrase(plan)}"
    if len(reproduction.parts) > 1:
        title += "; the difference between the splits with its 95 % interval"
    return title


def main_table(reproduction: Reproduction) -> Table:
    """Return every measure of every cell and split, for CSV and JSON."""
    plan = reproduction.plan
    experiment = plan.experiment
    axes = axes_of(experiment)
    titles = (
        "split", *axes, "measure", "published", "published_status", "other_report", "measured",
        "sd", "finished", "wanted", "difference", "tolerance", "tolerance_is_relative", "verdict",
        "reasons", "seconds", "parameters",
    )  # fmt: skip
    rows = []
    for place, part in enumerate(reproduction.parts):
        for measured in part.cells:
            settings = [setting_of(experiment, measured.cell, name) for name in axes]
            for measure in report_order(experiment):
                comparison = compare(experiment, part, measured, measure)
                status = published_text(comparison)
                rows.append((
                    part.split or "own", *settings, measure.key, comparison.published,
                    {None: "none", "DNF": "DNF"}.get(status, "value"),
                    twin_value(experiment, measured, measure), comparison.mean,
                    comparison.deviation, len(measured.finished), plan.repeats,
                    comparison.difference, measure.tolerance, measure.relative,
                    comparison.verdict if place == 0 else None, list(measured.reasons),
                    mean_seconds(measured), _parameters(measured),
                ))  # fmt: skip
    return Table(tuple(Column(name, name) for name in titles), tuple(rows))


def mean_seconds(measured: Measured) -> float | None:
    """Return the mean wall time of training over the runs that finished."""
    seconds = measured.values("seconds")
    return statistics.fmean(seconds) if seconds else None


def _parameters(measured: Measured) -> int | None:
    return measured.finished[0].parameters if measured.finished else None


def cells_table(reproduction: Reproduction) -> Table:
    """Return the first measure of the cells with the report's split, one below the other.

    `main_table` has all measures.
    """
    plan = reproduction.plan
    experiment = plan.experiment
    axes, measure = axes_of(experiment), experiment.measures[0]
    timed = any(claim.metric == "seconds" for claim in experiment.claims)
    columns = (
        *setting_columns(experiment, axes),
        Column("published", "published", "markdown"),
        *([Column("other", "other report", "markdown")] if experiment.twin else []),
        Column("measured", "measured", "markdown"),
        Column("difference", "difference", "markdown"),
        Column("verdict", "verdict"),
        *([Column("seconds", "seconds", "significant", 3)] if timed else []),
    )
    rows = []
    for one in compared(reproduction, measure):
        row = [*settings_texts(experiment, one.measured.cell, axes), published_text(one)]
        if experiment.twin:
            other = twin_value(experiment, one.measured, measure)
            row.append(None if other is None else number(other, measure))
        difference = None if one.difference is None else signed(one.difference, measure)
        row += [measured_text(one, plan.repeats), difference, one.verdict]
        rows.append((*row, *([mean_seconds(one.measured)] if timed else [])))
    return Table(columns, tuple(rows), measure_phrase(measure).capitalize())


def measures_table(reproduction: Reproduction) -> Table:
    """Return how each measure came out over the cells; no rows where there is one alone."""
    columns = (
        Column("measure", "measure"),
        Column("tolerance", "tolerance", "markdown"),
        Column("compared", "cells", "integer"),
        Column("agrees", "agree", "integer"),
        Column("within_noise", "within noise", "integer"),
        Column("differs", "differ", "integer"),
        Column("unstable", "unstable", "integer"),
        Column("dnf", "DNF", "integer"),
        Column("mean", "mean abs. difference", "markdown"),
        Column("largest", "largest", "markdown"),
    )
    measures = report_order(reproduction.plan.experiment)
    rows = tuple(_measure_row(compared(reproduction, measure), measure) for measure in measures)
    told = "difference of a relative measure: as a share of the published value"
    title = "By measure" + (f" ({told})" if any(one.relative for one in measures) else "")
    return Table(columns, rows if len(measures) > 1 else (), title)


def _measure_row(comparisons: Sequence[Comparison], measure: Measure) -> tuple[Any, ...]:
    verdicts = [one.verdict for one in comparisons if one.verdict != "–"]
    counts = Counter(verdicts)
    numbers = [counts["agrees"], counts["within noise"], counts["differs"]]
    sizes = [size for one in comparisons if (size := distance(one)) is not None]
    texts: list[str | None] = [None, None]
    if sizes:
        texts = [size_text(size, measure) for size in (statistics.fmean(sizes), max(sizes))]
    numbers.append(counts["unstable"])
    dead = len(verdicts) - sum(numbers)
    return (measure.title, tolerance_text(measure), len(verdicts), *numbers, dead, *texts)


def distance(comparison: Comparison, reference: float | None = None) -> float | None:
    """Return how far the mean is from a value; None where it is not to be compared, or no number.

    Args:
        comparison: The cell.
        reference: The value; None is the published one. Of a relative measure the distance is a
            share of it.
    """
    mean = comparison.mean
    reference = comparison.published if reference is None else reference
    if mean is None or reference is None or not math.isfinite(mean):
        return None
    if comparison.verdict not in ("agrees", "within noise", "differs"):
        return None
    if not comparison.measure.relative:
        return abs(mean - reference)
    return abs((mean - reference) / reference) if reference else None


def size_text(size: float, measure: Measure) -> str:
    """Return what `distance` gives as text."""
    if not measure.relative:
        return number(size, measure)
    return f"{size:.0%}" if size < _MOST_PERCENT else f"{size:,.0f} ×"
