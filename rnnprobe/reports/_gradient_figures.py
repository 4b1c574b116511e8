"""Gradients through time as a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from rnnprobe.inspection._gradient_statistics import EXPLODING, VANISHING
from rnnprobe.inspection.gradients import GradientFlow
from rnnprobe.records import Array
from rnnprobe.reports._figures import BLUE, GREY, ORANGE, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito; without yellow, which is hard to see on white.
_COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DECADES = 0.5  # to either side at least, lest noise around 1 fill the picture
_PATHS = 3  # more have no room above a panel
_LABEL = 46  # longer labels have no room beside each other
_LEAST = 6  # of fewer a median has no interval


class _Line(NamedTuple):
    """One state: which panel it is in, and how it looks there."""

    panel: int
    colour: str
    style: Literal["-", "--"]
    label: str
    flow: GradientFlow


def gradients_figure(flows_by_model: Mapping[str, Sequence[GradientFlow]], title: str) -> Figure:
    """Draw how the gradient fades from the step read last, which is on the right, to the first.

    Of one model a colour is a layer; of several a model, with a panel for the first recurrent
    layer of each, one for the second, and so on. Cell states are dashed.

    Args:
        flows_by_model: By the model's name what `gradients_through_time` found.
        title: What was probed.
    """
    lines = _lines(flows_by_model)
    drawn = [line for line in lines if (line.flow.summary.course.number > 0).any()]
    if not drawn:
        figure = new_figure(6.5, 1.5)
        figure.suptitle(plain(title, 90), fontsize=10)
        figure.text(0.5, 0.4, "no gradient through time to draw", ha="center", va="center")
        return figure
    panels = sorted({line.panel for line in drawn})
    figure = new_figure(6.5, 0.9 + 2.9 * len(panels) + 0.14 * len(drawn))
    grid = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
    for axes, panel in zip(grid, panels, strict=True):
        _draw_panel(axes, [line for line in drawn if line.panel == panel])
        if len(panels) > 1:
            paths = dict.fromkeys(_end(line.flow.path) for line in drawn if line.panel == panel)
            more = "; …" * (len(paths) > _PATHS)
            named = "; ".join(list(paths)[:_PATHS]) + more
            axes.set_title(f"recurrent layer {panel + 1}: {named}", fontsize=9)
    grid[-1].set_xlabel("steps back from the step read last")
    over = f"median over examples at each step, with its 95 % interval, {_examples(drawn)}"
    figure.suptitle(f"{plain(title, 90)}\n{over}", fontsize=10)
    handles = _handles(drawn, grid)
    columns = 2 if max(len(handle.get_label()) for handle in handles) <= _LABEL else 1
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=8
    )
    return figure


def _examples(lines: Sequence[_Line]) -> str:
    """Return how many examples the lines are over; fewer have so many steps further back."""
    courses = [line.flow.summary.course.number for line in lines]
    most = max(int(numbers[0]) for numbers in courses)
    least = min(int(numbers[0]) for numbers in courses)
    text = f"n = {most:,}" if least == most else f"n = {least:,} to {most:,}"
    furthest = min(int(numbers[-1]) for numbers in courses)
    if furthest == least:
        return text
    without = "; no interval of fewer than six" if furthest < _LEAST else ""
    return f"{text},\nfewer of them with more steps, {furthest:,} at the left end{without}"


def _lines(flows_by_model: Mapping[str, Sequence[GradientFlow]]) -> list[_Line]:
    several = len(flows_by_model) > 1
    panels = several and any(
        len({flow.path for flow in flows}) > 1 for flows in flows_by_model.values()
    )
    found = []
    for number, (model, flows) in enumerate(flows_by_model.items()):
        paths = list(dict.fromkeys(flow.path for flow in flows))
        for flow in flows:
            layer = paths.index(flow.path)
            colour = _COLOURS[(number if several else layer) % len(_COLOURS)]
            named = [plain(model)] * several
            named += [_end(flow.path)] * (not panels) + [plain(flow.state)]
            dashed = flow.state == "cell state"
            panel = layer if several else 0
            style: Literal["-", "--"] = "--" if dashed else "-"
            found.append(_Line(panel, colour, style, ", ".join(named), flow))
    return found


def _end(path: str, longest: int = 28) -> str:
    """Return a path as it is drawn; of a long one the end, which tells layers apart."""
    return plain(path if len(path) <= longest else "…" + path[1 - longest :], longest)


def _draw_panel(axes: Axes, lines: Sequence[_Line]) -> None:
    values = []
    for line in lines:
        course = line.flow.summary.course
        median, low, high = (_drawable(part) for part in course[:3])
        distances = np.arange(len(median))
        axes.fill_between(distances, low, high, color=line.colour, alpha=0.2, linewidth=0)
        few = len(median) <= 40
        axes.plot(
            distances,
            median,
            line.style,
            color=line.colour,
            linewidth=1.5,
            marker="o" if few else "",
            markersize=2.5,
        )
        _mark_end(axes, course.median, median, line.colour)
        values += [part[~np.isnan(part)] for part in (median, low, high)]
    _scale(
        axes, np.concatenate(values), max(len(line.flow.summary.course.number) for line in lines)
    )


def _drawable(values: Array) -> Array:
    """Return values with NaN where a logarithmic axis has no place for them."""
    return np.where((values > 0) & np.isfinite(values), values, np.nan)


def _mark_end(axes: Axes, values: Array, drawn: Array, colour: str) -> None:
    """Mark where a line ends because the median leaves what numbers can hold."""
    gone = np.flatnonzero((values == 0) | np.isinf(values))
    there = np.flatnonzero(~np.isnan(drawn))
    if len(gone) and len(there) and gone[0] > there[0]:
        last = int(there[there < gone[0]][-1])
        axes.plot(last, drawn[last], marker="x", color=colour, markersize=7, markeredgewidth=1.8)


def _scale(axes: Axes, values: Array, num_distances: int) -> None:
    from matplotlib.ticker import LogFormatterMathtext, LogLocator, MaxNLocator, NullFormatter

    axes.set_yscale("log")
    low, high = np.log10(values.min()), np.log10(values.max())
    half = max((high - low) * 0.54, _DECADES)
    ends = (low + high) / 2 - half, (low + high) / 2 + half
    axes.set_ylim(10 ** ends[0], 10 ** ends[1])
    few = half < 1  # with less than two decades the powers of ten alone are too few marks
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    is_plain = ends[0] > -4 and ends[1] < 4
    axes.yaxis.set_major_formatter("{x:g}" if is_plain else LogFormatterMathtext())
    axes.yaxis.set_minor_formatter(NullFormatter())
    for threshold in (VANISHING, EXPLODING):
        axes.axhline(threshold, color=GREY, linewidth=1, linestyle=":", zorder=0)
    axes.axhline(1, color=GREY, linewidth=0.6, zorder=0)
    margin = max(0.02 * num_distances, 0.2)
    axes.set_xlim(num_distances - 1 + margin, -margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_ylabel("gradient relative to\nthe step read last", fontsize=9)
    axes.tick_params(labelsize=9)
    axes.grid(alpha=0.25)


def _handles(lines: Sequence[_Line], panels: Iterable[Axes]) -> list[Any]:
    from matplotlib.lines import Line2D

    looks = dict.fromkeys((line.colour, line.style, line.label) for line in lines)
    handles = [
        Line2D([], [], color=colour, linestyle=style, linewidth=1.5, label=label)
        for colour, style, label in looks
    ]
    limits = [axes.get_ylim() for axes in panels]
    if any(low <= end <= high for low, high in limits for end in (VANISHING, EXPLODING)):
        label = f"{VANISHING:g} and {EXPLODING:g}: vanishing, exploding"
        handles.append(Line2D([], [], color=GREY, linestyle=":", linewidth=1, label=label))
    medians = [line.flow.summary.course.median for line in lines]
    if any(((values == 0) | np.isinf(values)).any() for values in medians):
        label = "further back 0, or too large a number"
        mark = Line2D([], [], color=GREY, linestyle="", marker="x", markersize=7, label=label)
        handles.append(mark)
    return handles
