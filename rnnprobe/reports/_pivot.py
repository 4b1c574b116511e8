"""The pivot table of a sweep: axes down, axes across, a mean and its spread in each cell."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rnnprobe.search.results import Cell, CellRun, SweepResult
from rnnprobe.search.space import AXES, level_text
from rnnprobe.table import Column, Table

TITLES = {
    "val_accuracy": "validation accuracy",
    "val_loss": "validation loss",
    "test_accuracy": "test accuracy",
    "test_loss": "test loss",
    "accuracy": "training accuracy",
    "loss": "training loss",
    "seconds": "seconds of training",
}


@dataclass(frozen=True)
class Layout:
    """Which axes a pivot table has, and what stands in its cells."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    metric: str

    @classmethod
    def of(
        cls,
        result: SweepResult,
        rows: Sequence[str] | None,
        columns: Sequence[str] | None,
        metric: str,
    ) -> Layout:
        """Settle what was not asked for: the learning rate goes across, all else down."""
        varied = result.space.varied
        if columns is None:
            free = [name for name in varied if name not in (rows or ())]
            preferred = [name for name in free if name == "learning_rate"] or free[-1:]
            columns = preferred if rows is not None or len(free) > 1 else []
        if rows is None:
            rows = [name for name in varied if name not in columns]
        return cls(tuple(rows), tuple(columns), metric)

    def averaged_over(self, result: SweepResult) -> list[str]:
        """Return the varied axes that are neither down nor across."""
        return [name for name in result.space.varied if name not in (*self.rows, *self.columns)]


def axis_title(name: str) -> str:
    """Return an axis as tables and sentences call it."""
    return name.replace("_", " ")


def keys(cells: Sequence[Cell], axes: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the distinct values of some axes, in the order of the cells."""
    return list(dict.fromkeys(key(cell, axes) for cell in cells))


def key(cell: Cell, axes: Sequence[str]) -> tuple[Any, ...]:
    """Return the values of some axes in one cell."""
    return tuple(cell.configuration[name] for name in axes)


Place = tuple[tuple[Any, ...], tuple[Any, ...]]


def places(result: SweepResult, layout: Layout) -> dict[Place, list[Cell]]:
    """Return the cells that each place of the pivot table is about, by row and column."""
    found: dict[Place, list[Cell]] = {}
    for cell in result.cells:
        found.setdefault((key(cell, layout.rows), key(cell, layout.columns)), []).append(cell)
    return found


def pivot_table(result: SweepResult, layout: Layout, best: Cell | None, tied: list[Cell]) -> Table:
    """Return the pivot; the best cell is bold, and those that cannot be told from it have a ≈.

    Args:
        result: The sweep.
        layout: Which axes and which metric.
        best: What to print bold; None: nothing.
        tied: What to mark.
    """
    at = places(result, layout)
    across = keys(result.cells, layout.columns)
    down = keys(result.cells, layout.rows)
    heads = tuple(Column(name, axis_title(name), _kind(name)) for name in layout.rows)
    columns = tuple(
        Column(_joined(layout, value, "_"), _head(layout, value), "markdown") for value in across
    )
    rows = []
    for row in down:
        texts = []
        for column in across:
            cells = at.get((row, column), [])
            text = _text(cells, layout.metric)
            if best in cells:
                text = f"**{text}**"
            elif any(cell in tied for cell in cells):
                text += " ≈"
            texts.append(text)
        rows.append((*map(level_text, layout.rows, row), *texts))
    return Table((*heads, *columns), tuple(rows))


def _kind(name: str) -> Any:
    return "text" if AXES[name].kind in ("flag", "name") else "markdown"


def _head(layout: Layout, value: tuple[Any, ...]) -> str:
    """Name the axis in the first column's place only where one axis goes across."""
    if not layout.columns:
        return TITLES[layout.metric]
    first, levels = axis_title(layout.columns[0]), _joined(layout, value, ", ")
    return f"{first} {levels}" if len(layout.columns) == 1 else levels


def _joined(layout: Layout, values: tuple[Any, ...], separator: str) -> str:
    return separator.join(map(level_text, layout.columns, values))


def _text(cells: Sequence[Cell], metric: str) -> str:
    runs: list[CellRun] = [run for cell in cells for run in cell.runs]
    wanted = sum(cell.repeats for cell in cells)
    finished = [run.value(metric) for run in runs if run.finished]
    if not cells or not runs:
        return "–"
    if not finished:
        return "DNF " + ", ".join(sorted({run.reason for run in runs}))
    text = number(statistics.fmean(finished), metric)
    if len(finished) > 1:
        text += f" ± {number(statistics.stdev(finished), metric)}"
    return text if len(finished) == wanted else f"{text} ({len(finished)}/{wanted})"


def number(value: float, metric: str) -> str:
    """Return a metric's value with the digits it deserves."""
    return f"{value:.1f}" if metric == "seconds" else f"{value:.4f}"
