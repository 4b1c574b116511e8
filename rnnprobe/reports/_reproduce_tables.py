"""Published and measured values as tables: in the report's own shape, and cell by cell."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rnnprobe.experiments._record import Cell, Experiment, Measure
from rnnprobe.experiments._reproduce import Measured, Part, Plan, Reproduction
from rnnprobe.experiments._verdicts import Comparison, compare, twin_value
from rnnprobe.reports._common import counted
from rnnprobe.reports._reproduce_splits import difference_text, split_difference
from rnnprobe.reports._reproduce_texts import (
    axes_of,
    compared,
    deviation_text,
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
    verdict_text,
)
from rnnprobe.table import Column, Table

_MOST_LISTED = 60
_MOST_PERCENT = 10

Place = tuple[str, Cell, Measure] | None
"""One place of the report's table: the head of its column, the cell and what is measured of it."""


def report_table(reproduction: Reproduction) -> Table:
    """Return measured and published values in the shape of the report's own table.

    With several splits each row stands there once a split, and once more with the difference.
    """
    plan, parts = reproduction.plan, reproduction.parts
    experiment = plan.experiment
    lines = places(experiment, plan.cells)
    several = len(parts) > 1
    heads = {place[0]: None for line in lines for place in line if place is not None}
    columns = [*setting_columns(experiment, experiment.rows)]
    columns += [Column("split", "split")] if several else []
    columns += [Column(_key(head), head, "markdown") for head in heads]
    rows: list[tuple[Any, ...]] = []
    for line in lines:
        by_head = {place[0]: place for place in line if place is not None}
        first = next(iter(by_head.values()))
        names = settings_texts(experiment, first[1], experiment.rows)
        for label, texts in _texts(reproduction, by_head):
            found = [texts.get(head) for head in heads]
            rows.append((*names, *([label] if several else []), *found))
    return Table(tuple(columns), tuple(rows), _report_title(reproduction))


def places(experiment: Experiment, cells: Sequence[Cell]) -> list[list[Place]]:
    """Return the report's table as lines of places; None where a line lacks a column."""
    if not experiment.columns:
        order = report_order(experiment)
        return [[(measure.title, cell, measure) for measure in order] for cell in cells]
    measure = experiment.measures[0]
    across = list(dict.fromkeys(_level(experiment, cell) for cell in cells))
    lines: dict[tuple[Any, ...], dict[str, Cell]] = {}
    for cell in cells:
        row = settings_texts(experiment, cell, experiment.rows)
        lines.setdefault(row, {})[_level(experiment, cell)] = cell
    return [
        [(head, line[head], measure) if head in line else None for head in across]
        for line in lines.values()
    ]


def _level(experiment: Experiment, cell: Cell) -> str:
    names = experiment.columns
    levels = ", ".join(map(str, settings_texts(experiment, cell, names)))
    return f"{names[0].replace('_', ' ')} {levels}" if len(names) == 1 else levels


def _key(head: str) -> str:
    return head.replace(" ", "_").replace(".", "").lower() if head else "value"


def _texts(
    reproduction: Reproduction, by_head: dict[str, tuple[str, Cell, Measure]]
) -> list[tuple[str, dict[str, str]]]:
    """Return the lines of one row, each with its label and a text a column."""
    experiment, parts = reproduction.plan.experiment, reproduction.parts
    wanted = reproduction.plan.repeats
    lines = []
    for place, part in enumerate(parts):
        texts = {}
        for head, (_, cell, measure) in by_head.items():
            comparison = compare(experiment, part, _find(part, cell), measure)
            write = measured_text if place else place_text
            texts[head] = write(comparison, wanted)
        lines.append((split_title(experiment, part), texts))
    for other in parts[1:]:
        texts = {}
        for head, (_, cell, measure) in by_head.items():
            cells = (_find(parts[0], cell), _find(other, cell))
            found = split_difference(experiment, (parts[0], other), cells, measure)
            texts[head] = difference_text(found, measure)
        lines.append(("difference", texts))
    return lines


def _find(part: Part, cell: Cell) -> Measured:
    return next(one for one in part.cells if one.cell is cell)


def _report_title(reproduction: Reproduction) -> str:
    experiment, plan = reproduction.plan.experiment, reproduction.plan
    what = (
        f"{measures_title(experiment.measures[:1])}, measured" if experiment.columns else "measured"
    )
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
    """Return the cells with the report's split, one below the other.

    Of many values only the first measure is shown; `main_table` has all.
    """
    plan = reproduction.plan
    experiment, repeats = plan.experiment, plan.repeats
    measures = report_order(experiment)
    shown = measures if len(measures) * len(plan.cells) <= _MOST_LISTED else experiment.measures[:1]
    axes, several, timed = axes_of(experiment), len(shown) > 1, is_timed(experiment)
    rows = []
    for measured in reproduction.parts[0].cells:
        names = settings_texts(experiment, measured.cell, axes)
        for measure in shown:
            one = compare(experiment, reproduction.parts[0], measured, measure)
            row = [*names, *([measure.title] if several else []), published_text(one)]
            row += [_other(experiment, one)] if experiment.twin else []
            row += [None if one.mean is None else number(one.mean, measure)]
            if repeats > 1:
                deviation = one.deviation
                row += [None if deviation is None else deviation_text(deviation, measure)]
                row += [f"{len(measured.finished)}/{repeats}"]
            difference = one.difference
            row += [None if difference is None else signed(difference, measure), verdict_text(one)]
            rows.append((*row, *([mean_seconds(measured)] if timed else [])))
    left = len(measures) - len(shown)
    more = f"; {counted(left, 'more measure')} in CSV and JSON" if left else ""
    what = "all measures" if several else measures_title(shown)
    columns = _cells_columns(reproduction.plan, several)
    return Table(columns, tuple(rows), f"{what.capitalize()}{more}")


def _cells_columns(plan: Plan, several: bool) -> tuple[Column, ...]:
    experiment, spread = plan.experiment, plan.repeats > 1
    return (
        *setting_columns(experiment, axes_of(experiment)),
        *([Column("measure", "measure")] if several else []),
        Column("published", "published", "markdown"),
        *([Column("other", "other report", "markdown")] if experiment.twin else []),
        Column("measured", "measured", "markdown"),
        *([Column("sd", "sd", "markdown")] if spread else []),
        *([Column("finished", "finished", "markdown")] if spread else []),
        Column("difference", "difference", "markdown"),
        Column("verdict", "verdict"),
        *([Column("seconds", "seconds", "significant", 3)] if is_timed(experiment) else []),
    )


def measures_title(measures: Sequence[Measure]) -> str:
    """Return some measures as a title calls them."""
    return ", ".join(measure.key.replace("_", " ") for measure in measures)


def is_timed(experiment: Experiment) -> bool:
    """Whether a conclusion is about the time of training."""
    return any(claim.metric == "seconds" for claim in experiment.claims)


def _other(experiment: Experiment, comparison: Comparison) -> str | None:
    value = twin_value(experiment, comparison.measured, comparison.measure)
    return None if value is None else number(value, comparison.measure)


def measures_table(reproduction: Reproduction) -> Table:
    """Return how each measure came out over the cells; no rows where there is one alone."""
    columns = (
        Column("measure", "measure"),
        Column("tolerance", "tolerance", "markdown"),
        Column("compared", "cells", "integer"),
        Column("agrees", "agree", "integer"),
        Column("within_noise", "within noise", "integer"),
        Column("differs", "differ", "integer"),
        Column("other", "DNF or unstable", "integer"),
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
    rest = len(verdicts) - sum(numbers)
    title, tolerance = measure.title, tolerance_text(measure)
    return (title, tolerance, len(verdicts), *numbers, rest, *texts)


def distance(comparison: Comparison) -> float | None:
    """Return the size of the difference; None where it cannot be compared.

    Of a relative measure it is a share of the published value.
    """
    difference, published = comparison.difference, comparison.published
    if difference is None or published is None or comparison.verdict in ("unstable", "–"):
        return None
    if not math.isfinite(difference):
        return None
    if not comparison.measure.relative:
        return abs(difference)
    return abs(difference / published) if published else None


def size_text(size: float, measure: Measure) -> str:
    """Return what `distance` gives as text."""
    if not measure.relative:
        return number(size, measure)
    return f"{size:.0%}" if size < _MOST_PERCENT else f"{size:,.0f} ×"
