"""The pivot table of a sweep: axes down, axes across, a mean and its spread in each cell."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rnnprobe.search.results import Cell, CellRun, SweepResult
from rnnprobe.search.space import AXES, value_text
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


def cells_at(
    result: SweepResult, layout: Layout, row: tuple[Any, ...], column: tuple[Any, ...]
) -> list[Cell]:
    """Return the cells that one place of the pivot table is about."""
    return [
        cell
        for cell in result.cells
        if key(cell, layout.rows) == row and key(cell, layout.columns) == column
    ]


def pivot_table(result: SweepResult, layout: Layout, best: Cell | None, tied: list[Cell]) -> Table:
    """Return the pivot; the best cell is bold, and those that cannot be told from it have a ≈.

    Args:
        result: The sweep.
        layout: Which axes and which metric.
        best: What to print bold; None: nothing.
        tied: What to mark.
    """
    across = keys(result.cells, layout.columns)
    down = keys(result.cells, layout.rows)
    heads = tuple(Column(name, axis_title(name), _kind(name)) for name in layout.rows)
    columns = tuple(
        Column(_joined(value, "_"), _head(layout, value), "markdown") for value in across
    )
    rows = []
    for row in down:
        texts = []
        for column in across:
            cells = cells_at(result, layout, row, column)
            text = _text(cells, layout.metric)
            if best in cells:
                text = f"**{text}**"
            elif any(cell in tied for cell in cells):
                text += " ≈"
            texts.append(text)
        rows.append((*(level_text(value) for value in row), *texts))
    return Table((*heads, *columns), tuple(rows))


def _kind(name: str) -> Any:
    return "text" if AXES[name].kind in ("flag", "name") else "markdown"


def _head(layout: Layout, value: tuple[Any, ...]) -> str:
    """Name the axis in the first column's place only where one axis goes across."""
    if not layout.columns:
        return TITLES[layout.metric]
    first = axis_title(layout.columns[0])
    return f"{first} {_joined(value, ', ')}" if len(layout.columns) == 1 else _joined(value, ", ")


def _joined(values: tuple[Any, ...], separator: str) -> str:
    return separator.join(level_text(value) for value in values)


def level_text(value: Any) -> str:
    """Return the value of an axis; a dash where the axis means nothing."""
    return "–" if value is None else value_text(value)


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
