"""Pictures of a reproduction: agreement, both tables, curves, first filters."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnprobe.experiments._record import Cell, Experiment, Measure
from rnnprobe.experiments._reproduce import Reproduction
from rnnprobe.experiments._verdicts import CellVerdict, Comparison
from rnnprobe.records import TrainSpec
from rnnprobe.reports._confusion_figures import message_figure
from rnnprobe.reports._figures import BLUE, GREY, ORANGE, new_figure, plain
from rnnprobe.reports._reproduce_tables import places
from rnnprobe.reports._reproduce_texts import (
    compared,
    measure_phrase,
    n_phrase,
    number,
    reasons_text,
    settings_texts,
    short_label,
    tolerance_text,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLES: dict[CellVerdict, tuple[str, str, str]] = {
    "agrees": (BLUE, "o", "agrees"),
    "within noise": ("#E69F00", "s", "within noise"),
    "differs": (ORANGE, "X", "differs"),
    "unstable": ("#009E73", "D", "unstable: two reports differ"),
}
_MOST_LABELS = 10
_WIDE = 33
_DARK = 0.55
_LONG_TICK = 5


def figure_names(experiment: Experiment) -> tuple[str, ...]:
    """Return which pictures `reproduce_figures` draws of an experiment, known before it runs."""
    names = ["agreement.png"]
    if experiment.columns:
        names.append("tables.png")
    if "steps" not in experiment.settings and not any(
        "steps" in cell.settings for cell in experiment.cells
    ):
        epochs = experiment.settings.get("epochs", TrainSpec.epochs)
        names += ["curves.png"] if int(epochs) > 1 else []
    return (*names, *(["filters.png"] if experiment.saves_models else []))


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
        one for one in compared(reproduction, measure) if one.verdict in _STYLES and _finite(one)
    ]
    if not shown:
        return message_figure("no cell has both a published and a measured value")
    figure = new_figure(6.5, 4.5)
    axes = figure.add_subplot()
    _draw_band(axes, shown, measure)
    for verdict, (colour, marker, label) in _STYLES.items():
        points = [one for one in shown if one.verdict == verdict]
        if points:
            _draw_points(axes, points, colour, marker, f"{label} ({len(points)})")
    _label_far(axes, shown, plan.cells)
    what = measure_phrase(measure)
    axes.set_xlabel(f"published {what}")
    axes.set_ylabel(f"measured {what}")
    bars = ", bars ± 1 standard deviation" if plan.repeats > 1 else ""
    band = f"band ± {tolerance_text(measure)}"
    title = f"{plan.experiment.name}\n{len(shown)} cells, {n_phrase(plan)}{bars}; {band}"
    axes.set_title(title, fontsize=10)
    figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=2)
    axes.grid(alpha=0.3)
    return figure


def _finite(comparison: Comparison) -> bool:
    return comparison.mean is not None and math.isfinite(comparison.mean)


def _draw_band(axes: Axes, shown: Sequence[Comparison], measure: Measure) -> None:
    values = [one.published for one in shown if one.published is not None]
    values += [one.mean + sign * (one.deviation or 0.0) for one in shown for sign in (-1, 1)
               if one.mean is not None]  # fmt: skip
    pad = 0.05 * (max(values) - min(values)) or measure.tolerance or 0.05
    ends = np.array([min(values) - pad, max(values) + pad])
    reach = measure.tolerance * (np.abs(ends) if measure.relative else 1.0)
    axes.fill_between(ends, ends - reach, ends + reach, color="#DDDDDD", linewidth=0, zorder=0)
    axes.plot(ends, ends, color=GREY, linewidth=1, zorder=1)
    axes.set_xlim(float(ends[0]), float(ends[1]))
    axes.set_ylim(float(ends[0]), float(ends[1]))
    axes.set_aspect("equal", anchor="W")


def _draw_points(
    axes: Axes, points: Sequence[Comparison], colour: str, marker: str, label: str
) -> None:
    axes.errorbar(
        np.array([one.published for one in points], dtype=float),
        np.array([one.mean for one in points], dtype=float),
        yerr=[one.deviation or 0.0 for one in points],
        color=colour, marker=marker, linestyle="", markersize=6, markeredgecolor="white",
        markeredgewidth=0.6, elinewidth=1.2, label=label, zorder=3,
    )  # fmt: skip


def _label_far(axes: Axes, shown: Sequence[Comparison], cells: Sequence[Cell]) -> None:
    """Name the cells that are off the band, in a column beside the picture, with lines to them."""
    beyond = [one for one in shown if one.verdict != "agrees" and _is_off(one)]
    far = sorted(beyond, key=lambda one: -abs(one.difference or 0.0))[:_MOST_LABELS]
    low, high = axes.get_ylim()
    names = [_name(one.measured.cell, cells) for one in far]
    step = 0.012 + 0.043 * max((1 + name.count("\n") for name in names), default=1)
    heights = _spread([((one.mean or 0.0) - low) / (high - low) for one in far], step)
    for one, name, height in zip(far, names, heights, strict=True):
        axes.annotate(
            name, (one.published or 0.0, one.mean or 0.0), xytext=(1.04, height),
            textcoords=axes.transAxes, fontsize=8, va="center", color="#333333",
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "relpos": (0, 0.5)},
        )  # fmt: skip


def _is_off(comparison: Comparison) -> bool:
    measure = comparison.measure
    scale = abs(comparison.published or 0.0) if measure.relative else 1.0
    return abs(comparison.difference or 0.0) > measure.tolerance * scale


def _name(cell: Cell, cells: Sequence[Cell]) -> str:
    return wrapped(plain(short_label(cell, cells), 90), _WIDE)


def _spread(heights: Sequence[float], step: float) -> list[float]:
    """Return the places in [0, 1] nearest to those wanted, in their order, `step` or more apart.

    Least squares by pooling neighbours that violate the order.
    """
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    pools: list[list[float]] = []
    for rank, index in enumerate(order):
        pools.append([heights[index] - step * rank])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    most = 1.0 - step * (len(order) - 1)
    level = [min(max(float(np.mean(pool)), 0.0), most) for pool in pools for _ in pool]
    found = [0.0] * len(heights)
    for rank, index in enumerate(order):
        found[index] = level[rank] + step * rank
    return found


def tables_figure(reproduction: Reproduction) -> Figure:
    """Draw the published and the measured table, on one scale of colours."""
    plan = reproduction.plan
    experiment = plan.experiment
    measure = experiment.measures[0]
    lines = places(experiment, plan.cells)
    across = list(dict.fromkeys(place[0] for line in lines for place in line if place))
    by_cell = {id(one.measured.cell): one for one in compared(reproduction, measure)}
    grid = [[None if place is None else by_cell[id(place[1])] for place in line] for line in lines]
    names = [_row_name(experiment, next(one for one in line if one)) for line in grid]
    figure = new_figure(max(1.4 + 0.92 * len(across), 5.0), 1.9 + 0.3 * len(grid))
    both = figure.subplots(1, 2, sharey=True)
    values = [_values(grid, "published"), _values(grid, "mean")]
    image = None
    known = np.concatenate([one[np.isfinite(one)] for one in values])
    ends = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    for axes, own, title in zip(both, values, ("published", "measured"), strict=True):
        image = axes.imshow(own, cmap="cividis", aspect="auto", vmin=ends[0], vmax=ends[1])
        _write_values(axes, grid, own, measure, ends, title)
        axes.set_title(title, fontsize=10)
        ticks = [name.removeprefix(_axis(experiment)).strip() for name in across]
        axes.set_xticks(range(len(across)), [plain(tick) for tick in ticks], fontsize=8)
        if max(map(len, ticks)) > _LONG_TICK:
            axes.tick_params(axis="x", rotation=40)
        axes.set_xlabel(_axis(experiment))
    both[0].set_yticks(range(len(names)), [plain(name) for name in names], fontsize=8)
    both[0].set_ylabel(", ".join(name.replace("_", " ") for name in experiment.rows))
    spread = "mean, " if plan.repeats > 1 else ""
    title = f"{experiment.name}: {measure_phrase(measure)}; measured: {spread}{n_phrase(plan)}"
    figure.suptitle("\n".join(textwrap.wrap(title, 40 + 8 * len(across))), fontsize=10)
    if image is not None and known.size:
        figure.colorbar(image, ax=list(both), shrink=0.9, aspect=25).ax.tick_params(labelsize=8)
    return figure


def _axis(experiment: Experiment) -> str:
    return ", ".join(name.replace("_", " ") for name in experiment.columns)


def _row_name(experiment: Experiment, comparison: Comparison) -> str:
    return ", ".join(
        map(str, settings_texts(experiment, comparison.measured.cell, experiment.rows))
    )


def _values(grid: Sequence[Sequence[Comparison | None]], name: str) -> Any:
    read = [[None if one is None else getattr(one, name) for one in line] for line in grid]
    return np.array([[np.nan if v is None else v for v in line] for line in read], dtype=float)


def _write_values(
    axes: Axes,
    grid: Sequence[Sequence[Comparison | None]],
    values: Any,
    measure: Measure,
    ends: tuple[float, float],
    title: str,
) -> None:
    """Print each number on its colour; what did not finish is hatched."""
    from matplotlib.patches import Rectangle

    for (row, column), value in np.ndenumerate(values):
        one = grid[row][column]
        colour = "black"
        if np.isfinite(value):
            text = number(float(value), measure).removeprefix("0")
            dark = value < ends[0] + _DARK * (ends[1] - ends[0])
            colour = "white" if dark else "black"
        else:
            text = "" if one is None else _missing(one, title)
            if text.startswith("DNF"):
                corner = (column - 0.5, row - 0.5)
                axes.add_patch(
                    Rectangle(corner, 1, 1, facecolor="white", edgecolor="#CCCCCC", hatch="///",
                              linewidth=0)
                )  # fmt: skip
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)


def _missing(comparison: Comparison, title: str) -> str:
    if title == "published":
        return "DNF" if comparison.measure.key in comparison.measured.cell.reported else "–"
    if comparison.values:
        return "NaN"
    reason = plain(reasons_text(comparison.measured), 12)
    return f"DNF\n{reason}" if comparison.measured.runs else "–"
