"""Pictures of a sweep: heatmap, curves, accuracy against time."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnprobe.reports._figures import BLUE, GREY, ORANGE, new_figure, plain, whole_ticks
from rnnprobe.reports._pivot import TITLES, Layout, axis_title, keys, number, places
from rnnprobe.search.analysis import METRIC, front
from rnnprobe.search.results import Cell, SweepResult
from rnnprobe.search.space import level_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_NAMED = 12
_MOST_CURVES = 40


def sweep_figures(
    result: SweepResult,
    rows: Sequence[str] | None,
    columns: Sequence[str] | None,
    metric: str,
) -> dict[str, Figure]:
    """Return the pictures by file name; arguments as of `sweep_report`."""
    layout = Layout.of(result, rows, columns, metric)
    return {
        "heatmap.png": heatmap_figure(result, layout),
        "curves.png": curves_figure(result),
        "front.png": front_figure(result),
    }


def heatmap_figure(result: SweepResult, layout: Layout) -> Figure:
    """Draw the pivot table; cells where nothing finished are hatched."""
    down, across = keys(result.cells, layout.rows), keys(result.cells, layout.columns)
    at = places(result, layout)
    means = np.full((len(down), len(across)), np.nan)
    figure = new_figure(2.6 + 0.95 * len(across), 1.9 + 0.5 * len(down))
    axes = figure.add_subplot()
    for (row, column), _ in np.ndenumerate(means):
        cells = at.get((down[row], across[column]), [])
        values = [value for cell in cells for value in cell.values(layout.metric)]
        if values:
            means[row, column] = statistics.fmean(values)
    image = axes.imshow(means, cmap="viridis", aspect="auto")
    low, high = image.get_clim()
    for (row, column), mean in np.ndenumerate(means):
        cells = at.get((down[row], across[column]), [])
        if not np.isnan(mean):
            dark = mean < (low + high) / 2
            text, colour = number(float(mean), layout.metric), "white" if dark else "black"
        else:
            text, colour = _missing(cells), "black"
            if cells:
                corner = (column - 0.5, row - 0.5)
                axes.add_patch(_hatched(corner))
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(len(across)), [_joined(layout.columns, value) for value in across])
    axes.set_yticks(range(len(down)), [_joined(layout.rows, value) for value in down])
    axes.set_xlabel(", ".join(map(axis_title, layout.columns)))
    axes.set_ylabel(", ".join(map(axis_title, layout.rows)))
    axes.set_title(TITLES[layout.metric], fontsize=10)
    if not np.isnan(means).all():
        figure.colorbar(image, shrink=0.8)
    return figure


def _missing(cells: Sequence[Cell]) -> str:
    reasons = sorted({run.reason for cell in cells for run in cell.runs})
    return "DNF\n" + ", ".join(reasons) if reasons else "–"


def _hatched(corner: tuple[float, float]) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, 1, 1, facecolor="white", edgecolor=GREY, hatch="///", linewidth=0)


def _joined(axes: Sequence[str], values: tuple[Any, ...]) -> str:
    return plain(", ".join(map(level_text, axes, values)))


def curves_figure(result: SweepResult) -> Figure:
    """Draw validation accuracy over the epochs, a line a cell, its mean over the repeats."""
    figure = new_figure(7.5, 4.2)
    axes = figure.add_subplot()
    ranking = result.ranking()[:_MOST_CURVES]
    for place, cell in reversed(list(enumerate(ranking))):
        histories = [run.run.history["val_accuracy"] for run in cell.finished]
        epochs = min(map(len, histories))
        means = np.mean([history[:epochs] for history in histories], axis=0)
        colour = (ORANGE, BLUE)[place] if place < 2 else GREY
        label = _name(result, cell) if place < 2 else None
        axes.plot(
            range(1, epochs + 1), means, color=colour, label=label, marker="o", markersize=3,
            linewidth=2 if place < 2 else 0.8,
        )  # fmt: skip
    if ranking:
        axes.legend(frameon=False, title="best and second", reverse=True)
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation accuracy")
    shown = f"the best {_MOST_CURVES} of " if len(result.ranking()) > _MOST_CURVES else ""
    axes.set_title(f"{shown}{len(result.ranking())} cells, mean over repeats", fontsize=10)
    whole_ticks(axes)
    axes.grid(alpha=0.3)
    return figure


def front_figure(result: SweepResult) -> Figure:
    """Draw every cell by its time and accuracy, the front in colour."""
    figure = new_figure(7, 4.2)
    axes = figure.add_subplot()
    ranking = result.ranking()
    axes.scatter([c.seconds for c in ranking], [c.mean(METRIC) for c in ranking], 18, GREY)
    best = front(result)
    seconds, accuracies = [c.seconds for c in best], [c.mean(METRIC) for c in best]
    axes.plot(seconds, accuracies, color=ORANGE, marker="o", drawstyle="steps-post")
    for cell in best[-_MOST_NAMED:]:
        where = (cell.seconds, cell.mean(METRIC))
        axes.annotate(
            _name(result, cell), where, xytext=(5, -9), textcoords="offset points", fontsize=7
        )
    if ranking:
        axes.set_xscale("log")
        for axis in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            axis("{x:g}")
    axes.set_xlabel("median seconds of training, several runs at once")
    axes.set_ylabel("validation accuracy")
    axes.set_title("No other cell beats those in colour in both", fontsize=10)
    axes.grid(alpha=0.3)
    return figure


def _name(result: SweepResult, cell: Cell) -> str:
    levels = [level_text(name, cell.configuration[name]) for name in result.space.varied]
    return plain(", ".join(levels) or str(cell.configuration["cell"]))
