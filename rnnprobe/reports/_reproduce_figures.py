"""Pictures of a reproduction: agreement, both tables, curves, first filters."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnprobe.experiments._record import Cell, Experiment, Measure
from rnnprobe.experiments._reproduce import Reproduction
from rnnprobe.experiments._verdicts import CellVerdict, Comparison
from rnnprobe.reports._common import counted
from rnnprobe.reports._confusion_figures import message_figure
from rnnprobe.reports._figures import BLUE, GREY, ORANGE, new_figure, plain
from rnnprobe.reports._reproduce_texts import (
    NOTHING,
    compared,
    measure_phrase,
    n_phrase,
    number,
    published_text,
    quick_look,
    reasons_text,
    settings_texts,
    short_label,
    tolerance_text,
    wrapped,
)
from rnnprobe.specs import TrainSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLES: dict[CellVerdict, tuple[str, str, str]] = {
    "agrees": (BLUE, "o", "agrees"),
    "within noise": ("#E69F00", "s", "within noise"),
    "differs": (ORANGE, "X", "differs"),
    "unstable": ("#009E73", "D", "unstable: two reports differ"),
    "DNF in part": ("#CC79A7", "v", "finished in part"),
}
_MOST_LABELS = 10
_WIDE = 33
_DARK = 0.55


def figure_names(experiment: Experiment) -> tuple[str, ...]:
    """Return which pictures `reproduce_figures` draws of an experiment, known before it runs."""
    settings = [experiment.settings, *(cell.settings for cell in experiment.cells)]
    by_epoch = not any("steps" in one for one in settings)
    several = int(experiment.settings.get("epochs", TrainSpec.epochs)) > 1
    drawn = {
        "agreement.png": True,
        "tables.png": bool(experiment.columns),
        "curves.png": by_epoch and several,
        "filters.png": experiment.saves_models,
    }
    return tuple(name for name, is_drawn in drawn.items() if is_drawn)


def reproduce_figures(reproduction: Reproduction) -> dict[str, Figure]:
    """Return the pictures by file name, those of `figure_names`.

    Args:
        reproduction: Whole or not; what has no run is left out, or a sentence stands in its place.

    Raises:
        ModelError: A saved model cannot be read.
    """
    from rnnprobe.reports import _reproduce_panels

    draw = {
        "agreement.png": agreement_figure,
        "tables.png": tables_figure,
        "curves.png": _reproduce_panels.curves_figure,
        "filters.png": _reproduce_panels.filters_figure,
    }
    return {name: draw[name](reproduction) for name in figure_names(reproduction.plan.experiment)}


def agreement_figure(reproduction: Reproduction) -> Figure:
    """Draw the first measure: published across, measured up, and the tolerance around equality."""
    plan = reproduction.plan
    measure = plan.experiment.measures[0]
    shown = [
        one
        for one in compared(reproduction, measure)
        if one.verdict in _STYLES and math.isfinite(one.mean or 0.0)
    ]
    if not shown:
        return message_figure("no cell has both a published and a measured value")
    figure = new_figure(6.5, 4.5)
    axes = figure.add_subplot()
    read = [(one.published, one.mean, one.deviation or 0.0) for one in shown]
    points = np.array(read, dtype=float)
    _draw_band(axes, points, measure)
    for verdict, (colour, marker, label) in _STYLES.items():
        at = [place for place, one in enumerate(shown) if one.verdict == verdict]
        if at:
            axes.errorbar(
                points[at, 0], points[at, 1], yerr=points[at, 2], color=colour, marker=marker,
                linestyle="", markersize=6, markeredgecolor="white", markeredgewidth=0.6,
                elinewidth=1.2, label=f"{label} ({len(at)})", zorder=3,
            )  # fmt: skip
    _label_far(axes, shown, points, plan.cells)
    what = measure_phrase(measure)
    axes.set(xlabel=f"published {what}", ylabel=f"measured {what}")
    cells = counted(len(shown), "cell")
    bars = ", bars ± 1 standard deviation" if plan.repeats > 1 else ""
    title = f"{cells}, {n_phrase(plan)}{bars}; band ± {tolerance_text(measure)}"
    warning = quick_look(reproduction)
    name = f"{plan.experiment.name}\n{warning}" if warning else plan.experiment.name
    figure.suptitle(f"{name}\n{title}", fontsize=10)
    figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=2)
    axes.grid(alpha=0.3)
    return figure


def _draw_band(axes: Axes, points: Any, measure: Measure) -> None:
    published, mean, deviation = points.T
    values = np.concatenate([published, mean - deviation, mean + deviation])
    pad = 0.05 * np.ptp(values) or measure.tolerance
    ends = np.array([values.min() - pad, values.max() + pad])
    reach = measure.tolerance * (np.abs(ends) if measure.relative else 1.0)
    axes.fill_between(ends, ends - reach, ends + reach, color="#DDDDDD", linewidth=0, zorder=0)
    axes.plot(ends, ends, color=GREY, linewidth=1, zorder=1)
    axes.set(xlim=ends, ylim=ends)
    axes.set_aspect("equal", anchor="W")


def _label_far(axes: Axes, shown: Sequence[Comparison], points: Any, cells: Sequence[Cell]) -> None:
    """Name the cells furthest off, in a column beside the picture, with lines to them."""
    beyond = [place for place, one in enumerate(shown) if one.verdict != "agrees"]
    beyond.sort(key=lambda place: -abs(points[place, 1] - points[place, 0]))
    far = sorted(beyond[:_MOST_LABELS], key=lambda place: points[place, 1])
    for rank, place in enumerate(far):
        name = wrapped(plain(short_label(shown[place].measured.cell, cells), 90), _WIDE)
        axes.annotate(
            name, tuple(points[place, :2]), xytext=(1.04, (rank + 0.5) / len(far)),
            textcoords=axes.transAxes, fontsize=8, va="center", color="#333333",
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "relpos": (0, 0.5)},
        )  # fmt: skip


def tables_figure(reproduction: Reproduction) -> Figure:
    """Draw the published and the measured table, on one scale of colours."""
    plan = reproduction.plan
    experiment = plan.experiment
    measure = experiment.measures[0]
    at = {
        (
            _levels(one, experiment, experiment.rows),
            _levels(one, experiment, experiment.columns),
        ): one
        for one in compared(reproduction, measure)
    }
    down, across = (list(dict.fromkeys(place[side] for place in at)) for side in (0, 1))
    grid = [[at.get((row, column)) for column in across] for row in down]
    figure = new_figure(max(1.4 + 0.92 * len(across), 5.0), 1.9 + 0.3 * len(down))
    both = figure.subplots(1, 2, sharey=True)
    published, measured = _values(grid, "published"), _values(grid, "mean")
    known = np.concatenate([one[np.isfinite(one)] for one in (published, measured)])
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    for axes, values in zip(both, (published, measured), strict=True):
        image = axes.imshow(values, cmap="cividis", aspect="auto", vmin=low, vmax=high)
        write = _published if values is published else _measured
        _write_values(axes, grid, write, values < low + _DARK * (high - low))
        axes.set_title(write.__name__.strip("_"), fontsize=10)
        axes.set_xticks(range(len(across)), [plain(name) for name in across], fontsize=8)
        axes.set_xlabel(_axis(experiment.columns))
    both[0].set_yticks(range(len(down)), [plain(name) for name in down], fontsize=8)
    both[0].set_ylabel(_axis(experiment.rows))
    spread = "mean, " if plan.repeats > 1 else ""
    title = f"{experiment.name}: {measure_phrase(measure)}; measured: {spread}{n_phrase(plan)}"
    lines = textwrap.wrap(title, 40 + 8 * len(across))
    lines += textwrap.wrap(quick_look(reproduction), 40 + 8 * len(across))
    figure.suptitle("\n".join(lines), fontsize=10)
    if known.size:
        figure.colorbar(image, ax=list(both), shrink=0.9, aspect=25).ax.tick_params(labelsize=8)
    return figure


def _levels(comparison: Comparison, experiment: Experiment, names: Sequence[str]) -> str:
    return ", ".join(map(str, settings_texts(experiment, comparison.measured.cell, names)))


def _axis(names: Sequence[str]) -> str:
    return ", ".join(name.replace("_", " ") for name in names)


def _values(grid: Sequence[Sequence[Comparison | None]], name: str) -> Any:
    read = [[None if one is None else getattr(one, name) for one in line] for line in grid]
    return np.array([[np.nan if v is None else v for v in line] for line in read], dtype=float)


def _published(comparison: Comparison) -> str:
    return published_text(comparison) or NOTHING


def _measured(comparison: Comparison) -> str:
    if comparison.mean is not None:
        return number(comparison.mean, comparison.measure)
    reason = plain(reasons_text(comparison.measured), 12)
    return f"DNF\n{reason}" if reason else NOTHING


def _write_values(
    axes: Axes,
    grid: Sequence[Sequence[Comparison | None]],
    write: Callable[[Comparison], str],
    dark: Any,
) -> None:
    """Print each number on its colour; what did not finish is hatched."""
    from matplotlib.patches import Rectangle

    for (row, column), is_dark in np.ndenumerate(dark):
        one = grid[row][column]
        text = "" if one is None else write(one).removeprefix("0")
        if text.startswith("DNF"):
            corner = (column - 0.5, row - 0.5)
            axes.add_patch(
                Rectangle(corner, 1, 1, facecolor="white", edgecolor="#CCCCCC", hatch="///",
                          linewidth=0)
            )  # fmt: skip
        colour = "white" if is_dark else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
