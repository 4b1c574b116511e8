"""The heatmap of a sweep: a row a cell, its accuracy in colour, and every run behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from rnnprobe.reports._page_tables import TALL, sort_key
from rnnprobe.reports._page_text import printable
from rnnprobe.reports._pivot import (
    Layout,
    axis_title,
    keys,
    number,
    pivot_table,
    places,
)
from rnnprobe.search.analysis import METRIC
from rnnprobe.search.results import Cell, SweepResult
from rnnprobe.search.space import AXES, level_text
from rnnprobe.table import Column, Report

HEATS = 16
_NUMBERS = ("integer", "number")
_STRIP = (132, 20)
_EDGE = 6


class Strip(NamedTuple):
    """Where runs, mean and deviation stand on a line from the lowest to the highest, in pixels."""

    runs: tuple[float, ...]
    mean: float
    bar: tuple[float, float] | None


class HeatView(NamedTuple):
    """One cell of a sweep.

    Args:
        identity: The id of its details on the page.
        axes: Its level of each axis, and what sorts it.
        heat: The class that colours it.
        mean: Its mean validation accuracy, or why there is none.
        spread: Its standard deviation, with its sign; empty where there is none.
        sort: The raw mean.
        mark: `best`, `within noise` or empty.
        strip: None where no run finished.
        values: Each run's value.
        finished: How many runs finished, of how many, and why others did not.
        part: The same where there are both, in short; empty otherwise.
        seconds: The median of a run, and what sorts it.
        parameters: Of the model, and what sorts it.
        details: What hovering tells: pairs of what and value.
    """

    identity: str
    axes: tuple[tuple[str, str | None], ...]
    heat: str
    mean: str
    spread: str
    sort: str | None
    mark: str
    strip: Strip | None
    values: str
    finished: str
    part: str
    seconds: tuple[str, str | None]
    parameters: tuple[str, str | None]
    details: tuple[tuple[str, str], ...]


class PivotView(NamedTuple):
    """Axes down, axes across; None where the sweep has no such cell."""

    identity: str
    down: tuple[str, ...]
    across: str
    deviation: bool
    levels: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[HeatView | None, ...]], ...]
    tall: bool


class SweepView(NamedTuple):
    """The heatmap: its cells, the best first, and the pivot where two axes or more vary.

    Args:
        identity: The id of the table.
        axes: The titles of the axes that vary, and whether their levels are numbers.
        cells: One row each.
        pivot: None of one axis.
        ends: The lowest and the highest mean, which the colours span; empty where none finished.
        strip_ends: What the lines of the runs span.
        size: Of these lines, in pixels.
        repeats: Runs that each cell should have.
        tall: Whether the table scrolls in a frame of its own.
        tied: Whether a cell cannot be told from the best.
        replaces: Whether the pivot says what the report's own table says.
    """

    identity: str
    axes: tuple[tuple[str, bool], ...]
    cells: tuple[HeatView, ...]
    pivot: PivotView | None
    ends: tuple[str, ...]
    strip_ends: tuple[str, ...]
    size: tuple[int, int]
    repeats: int
    tall: bool
    tied: bool
    replaces: bool


def sweep_view(result: SweepResult, report: Report, identity: str) -> SweepView:
    """Return what the template draws of a sweep.

    Args:
        result: The sweep.
        report: Its `sweep_report`, which knows what cannot be told from the best cell.
        identity: An id that nothing else on the page begins with.
    """
    layout = Layout.of(result, None, None, METRIC)
    ranking = list(result.ranking())
    records = zip(result.cells, report.main.records(), strict=True)
    alike = {id(cell) for cell, record in records if record["cannot_be_told_from_best"]}
    tied = [cell for cell in ranking[1:] if id(cell) in alike]
    scales = _Scales.of(result)
    ordered = ranking + [cell for cell in result.cells if cell not in ranking]
    views = {
        id(cell): _heat(result, cell, f"{identity}-{place}", scales, _mark(result, cell, tied))
        for place, cell in enumerate(ordered, start=1)
    }
    shown = pivot_table(result, layout, ranking[0] if ranking else None, tied)
    return SweepView(
        identity,
        tuple((axis_title(name), AXES[name].kind in _NUMBERS) for name in _axes(result)),
        tuple(views.values()),
        _pivot(result, layout, views, f"{identity}-pivot") if layout.columns else None,
        scales.told(scales.means),
        scales.told(scales.runs),
        _STRIP,
        result.repeats,
        len(views) > TALL,
        bool(tied),
        report.shown == shown,
    )


def _axes(result: SweepResult) -> list[str]:
    return list(result.space.varied) or ["cell"]


def _mark(result: SweepResult, cell: Cell, tied: Sequence[Cell]) -> str:
    if len(result.cells) > 1 and cell in result.ranking()[:1]:
        return "best"
    return "within noise" if cell in tied else ""


class _Scales(NamedTuple):
    """What colours and lines span, over all cells with a finished run; empty where none has."""

    means: tuple[float, ...]
    runs: tuple[float, ...]

    @classmethod
    def of(cls, result: SweepResult) -> _Scales:
        done = [cell for cell in result.cells if cell.finished]
        means = [cell.mean(METRIC) for cell in done]
        ends = [value for cell in done for value in cell.values(METRIC)]
        for cell, mean in zip(done, means, strict=True):
            deviation = cell.deviation(METRIC) or 0.0
            ends += [mean - deviation, mean + deviation]
        return cls(*((min(v), max(v)) if v else () for v in (means, ends)))

    @staticmethod
    def told(span: tuple[float, ...]) -> tuple[str, ...]:
        return tuple(number(end, METRIC) for end in span)

    def heat(self, mean: float) -> str:
        low, high = self.means
        share = (mean - low) / (high - low) if high > low else 1.0
        return f"heat-{min(int(share * HEATS), HEATS - 1)}"

    def at(self, value: float) -> float:
        low, high = self.runs
        share = (value - low) / (high - low) if high > low else 0.5
        return round(_EDGE + share * (_STRIP[0] - 2 * _EDGE), 1)


def _heat(result: SweepResult, cell: Cell, identity: str, scales: _Scales, mark: str) -> HeatView:
    axes = tuple(_level(name, cell) for name in _axes(result))
    finished = f"{len(cell.finished)} of {cell.repeats}"
    if not cell.finished:
        lost, details = _lost(cell) or "not run", _details(result, cell, mark)
        return HeatView(identity, axes, "heat-none", lost, "", None, mark, None, "–", finished,
                        "", ("–", None), ("–", None), details)  # fmt: skip
    mean, deviation = cell.mean(METRIC), cell.deviation(METRIC)
    bar = None
    if deviation is not None:
        bar = (scales.at(mean - deviation), scales.at(mean + deviation))
    strip = Strip(tuple(map(scales.at, cell.values(METRIC))), scales.at(mean), bar)
    return HeatView(
        identity,
        axes,
        scales.heat(mean),
        number(mean, METRIC),
        "" if deviation is None else f"± {number(deviation, METRIC)}",
        repr(mean),
        mark,
        strip,
        ", ".join(number(value, METRIC) for value in cell.values(METRIC)),
        f"{finished} ({_lost(cell)})" if _lost(cell) else finished,
        "" if cell.complete else finished,
        (number(cell.seconds, "seconds"), repr(cell.seconds)),
        (f"{cell.parameters:,}", repr(cell.parameters)),
        _details(result, cell, mark),
    )


def _level(name: str, cell: Cell) -> tuple[str, str | None]:
    value = cell.configuration[name]
    return printable(level_text(name, value)), sort_key(value, Column(name, name))


def _lost(cell: Cell) -> str:
    """Return why runs did not finish, in one word each, with their number where it is not one."""
    reasons = Counter(run.reason for run in cell.runs if not run.finished)
    parts = [reason if n == 1 else f"{reason} {n} times" for reason, n in sorted(reasons.items())]
    return "DNF " + printable(", ".join(parts)) if parts else ""


def _details(result: SweepResult, cell: Cell, mark: str) -> tuple[tuple[str, str], ...]:
    named = ", ".join(f"{axis_title(name)} {_level(name, cell)[0]}" for name in _axes(result))
    details = [("settings", named)]
    if cell.finished:
        details.append(("validation accuracy", _told(cell, METRIC)))
    for run in cell.runs:
        said = number(run.value(METRIC), METRIC) if run.finished else f"DNF {run.run.message}"
        details.append((f"seed {run.run.train.seed}", printable(said)))
    if mark == "best":
        # Of the chosen cell alone, as in the report: others shown beside it would tempt to choose.
        details.append(("test accuracy", _told(cell, "test_accuracy")))
    if mark == "within noise":
        details.append(("beside the best", "cannot be told from it"))
    if cell.finished:
        details.append(("a run", f"{number(cell.seconds, 'seconds')} s, median"))
        details.append(("parameters", f"{cell.parameters:,}"))
    return tuple(details)


def _told(cell: Cell, metric: str) -> str:
    deviation = cell.deviation(metric)
    spread = "" if deviation is None else f" ± {number(deviation, metric)}, standard deviation"
    return f"{number(cell.mean(metric), metric)}{spread}, n = {len(cell.finished)}"


def _pivot(
    result: SweepResult, layout: Layout, views: dict[int, HeatView], identity: str
) -> PivotView:
    at = places(result, layout)
    across = keys(result.cells, layout.columns)
    rows = []
    for row in keys(result.cells, layout.rows):
        found = (at.get((row, column), []) for column in across)
        cells = tuple(views[id(cells[0])] if cells else None for cells in found)
        rows.append((_texts(layout.rows, row), cells))
    return PivotView(
        identity,
        tuple(map(axis_title, layout.rows)),
        ", ".join(map(axis_title, layout.columns)),
        result.repeats > 1,
        tuple(", ".join(_texts(layout.columns, levels)) for levels in across),
        tuple(rows),
        len(rows) > TALL,
    )


def _texts(axes: Sequence[str], levels: Sequence[Any]) -> tuple[str, ...]:
    return tuple(printable(level_text(*pair)) for pair in zip(axes, levels, strict=True))
