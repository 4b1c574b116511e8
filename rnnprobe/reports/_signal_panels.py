"""The panels that pictures of activations and of gates are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rnnprobe.inspection.signals import Memory, Signal
from rnnprobe.records import Array
from rnnprobe.reports._figures import BLUE, GREY, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

FEW = 10
"""Steps that fewer examples have are drawn pale, where others have more."""

_MARKS = "orange: saturated in half of its values or more; ×: dead"
_FADED = 0.35
_HALF = 0.5
_SMALL, _TEXT = 8, 9


class Span(NamedTuple):
    """The steps of a signal that an example has, and those that are not of few examples.

    Args:
        steps: int64 (num_drawn,), from 1.
        drawn: Which of a signal's steps these are.
        enough: bool (num_drawn,).
    """

    steps: Array
    drawn: slice
    enough: Array


def span_of(signal: Signal) -> Span | None:
    """Return which steps to draw; None where no example has one."""
    there = np.flatnonzero(signal.count > 0)
    if not len(there):
        return None
    index = slice(int(there[0]), int(there[-1]) + 1)
    count = signal.count[index]
    enough = count >= min(FEW, int(count.max()))
    return Span(np.arange(index.start, index.stop) + 1, index, enough)


def by_mean(signal: Signal) -> Array:
    """Return int64 (num_units,), the units by rising mean over all counted steps."""
    return np.argsort(signal.units().mean, kind="stable")


def saturated_units(signal: Signal) -> Array:
    """Return bool (num_units,), the units of which half of the values or more are saturated."""
    units = signal.units()
    return np.asarray(units.left + units.right >= _HALF) & (signal.limits is not None)


def marks_note(signals: Sequence[Signal]) -> list[str]:
    """Return what the marks mean, where a unit has one."""
    marked = any(signal.dead or saturated_units(signal).any() for signal in signals)
    return [_MARKS] * marked


def _is_sigmoid(signal: Signal) -> bool:
    return signal.limits is not None and signal.limits[0] > 0


def draw_heat_map(figure: SubFigure, axes: Axes, signal: Signal, order: Array, span: Span) -> None:
    """Draw the mean over the examples: steps across, units up in the given order."""
    values = signal.mean[span.drawn].T[order]
    if _is_sigmoid(signal):
        colours: dict[str, Any] = {"cmap": "viridis", "vmin": 0, "vmax": 1}
    else:
        finite = np.abs(values[np.isfinite(values)])
        end = float(finite.max(initial=0.0)) or 1.0
        colours = {"cmap": "RdBu_r", "vmin": -end, "vmax": end}
    faded = np.broadcast_to(np.where(span.enough, 1.0, _FADED), values.shape)
    first, last = int(span.steps[0]), int(span.steps[-1])
    image = axes.imshow(
        values, aspect="auto", origin="lower", alpha=faded, interpolation="nearest",
        extent=(first - 0.5, last + 0.5, -0.5, len(order) - 0.5), **colours,
    )  # fmt: skip
    bar = figure.colorbar(image, ax=axes, fraction=0.06, pad=0.06, aspect=14)
    bar.set_alpha(1)
    bar.ax.tick_params(labelsize=_SMALL)
    bar.set_ticks([0, 0.5, 1] if _is_sigmoid(signal) else _three(colours["vmax"]))
    _mark_units(axes, signal, order)
    ends = sorted({0, len(order) - 1})
    axes.set_yticks(ends, [str(rank + 1) for rank in ends])
    axes.tick_params(labelsize=_SMALL)
    step_axis(axes, span)


def _three(end: float) -> list[float]:
    rounded = float(f"{0.9 * end:.1g}")
    return [-rounded, 0.0, rounded]


def _mark_units(axes: Axes, signal: Signal, order: Array) -> None:
    """Mark saturated and dead units at the right edge."""
    rank = np.argsort(order)
    dead = list(signal.dead)
    marked = np.setdiff1d(np.flatnonzero(saturated_units(signal)), dead)
    for units, marker, colour in ((marked, "<", ORANGE), (dead, "x", "black")):
        if not len(units):
            continue  # the layout would make room for an empty line, at the corner of the page
        axes.plot(
            np.full(len(units), 1.02), rank[units], marker, color=colour, markersize=3,
            clip_on=False, transform=axes.get_yaxis_transform(),
        )  # fmt: skip


def step_axis(axes: Axes, span: Span) -> None:
    """Give an axes the steps across, with whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(span.steps[0] - 0.5, span.steps[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))


def draw_course(axes: Axes, signal: Signal, span: Span) -> None:
    """Draw the mean over units and examples by step, and their standard deviation around it."""
    steps = signal.steps()
    mean, deviation = steps.mean[span.drawn], np.sqrt(steps.variance[span.drawn])
    for chosen, alpha in ((np.ones_like(span.enough), _FADED), (span.enough, 1.0)):
        middle, around = np.where(chosen, mean, np.nan), np.where(chosen, deviation, np.nan)
        axes.plot(span.steps, middle, color=BLUE, linewidth=1.3, alpha=alpha)
        axes.fill_between(
            span.steps, middle - around, middle + around, color=BLUE, alpha=0.13, linewidth=0
        )
    _whole_range(axes, signal)
    step_axis(axes, span)


def _whole_range(axes: Axes, signal: Signal) -> None:
    if _is_sigmoid(signal):
        axes.set_ylim(-0.03, 1.03)
        axes.set_yticks([0, 0.5, 1])
    else:
        axes.axhline(0, color=GREY, linewidth=0.7)
        axes.locator_params(axis="y", nbins=4)
    axes.grid(alpha=0.3)
    axes.tick_params(labelsize=_SMALL)


def draw_units(axes: Axes, signal: Signal, order: Array) -> None:
    """Draw each unit's mean in the given order, and its standard deviation around it."""
    units = signal.units()
    ranks = np.arange(len(order)) + 1
    mean, around = units.mean[order], np.sqrt(units.variance[order])
    size = float(np.clip(240 / len(order), 1.2, 4))
    axes.vlines(ranks, mean - around, mean + around, color=BLUE, alpha=0.3, linewidth=0.7 * size)
    axes.plot(ranks, mean, "o", color=BLUE, markersize=size)
    dead = np.isin(order, signal.dead)
    marked = saturated_units(signal)[order] & ~dead
    axes.plot(ranks[marked], mean[marked], "o", color=ORANGE, markersize=size)
    axes.plot(ranks[dead], mean[dead], "x", color="black", markersize=max(size, 4))
    _unit_axis(axes, len(order))
    _whole_range(axes, signal)


def _unit_axis(axes: Axes, number: int, most: int = 6) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(0.5 - 0.01 * number, number + 0.5 + 0.01 * number)
    ticks = MaxNLocator(most, integer=True, min_n_ticks=1).tick_values(1, number)
    axes.set_xticks([tick for tick in ticks if 1 <= tick <= number])


def draw_saturation(axes: Axes, signal: Signal) -> None:
    """Draw the share of values saturated left and right, a dot a unit.

    Where a signal cannot be saturated: each unit's share of zeros, where there are any; else
    nothing.

    References:
        A. Karpathy, J. Johnson, L. Fei-Fei, "Visualizing and Understanding Recurrent Networks"
        (2015), figure 3. https://arxiv.org/abs/1506.02078
    """
    units = signal.units()
    if signal.limits is None:
        _draw_zeros(axes, units.zeros)
        return
    low, high = signal.limits
    dead = np.isin(np.arange(signal.num_units), signal.dead)
    marked = saturated_units(signal) & ~dead
    axes.plot([0, 1], [1, 0], color=GREY, linewidth=0.8)
    for chosen, marker, colour in (
        (~marked & ~dead, "o", BLUE), (marked, "o", ORANGE), (dead, "x", "black"),
    ):  # fmt: skip
        if not chosen.any():
            continue  # as in `_mark_units`
        axes.plot(
            units.left[chosen], units.right[chosen], marker, color=colour, markersize=3.5,
            alpha=0.6, markeredgewidth=0 if marker == "o" else 1, clip_on=False,
        )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], box_aspect=1)
    axes.set_xticklabels(["0", "½", "1"])
    axes.set_yticklabels(["0", "", "1"])  # a half would run into the label
    axes.set_xlabel(f"share < {low:g}".replace("-", "−"), fontsize=_SMALL, labelpad=1)
    axes.set_ylabel(f"share > {high:g}", fontsize=_SMALL, labelpad=1)
    axes.tick_params(labelsize=_SMALL)


def _draw_zeros(axes: Axes, zeros: Array) -> None:
    if not (zeros > 0).any():
        axes.set_axis_off()
        return
    axes.plot(np.arange(len(zeros)) + 1, np.sort(zeros), "o", color=BLUE, markersize=2.5)
    axes.set(ylim=(-0.03, 1.03), yticks=[0, 0.5, 1], box_aspect=1)
    axes.set_yticklabels(["0", "", "1"])
    _unit_axis(axes, len(zeros), 2)
    axes.set_xlabel("unit (rank)", fontsize=_SMALL, labelpad=1)
    axes.set_ylabel("share of zeros", fontsize=_SMALL, labelpad=1)
    axes.tick_params(labelsize=_SMALL)


def draw_examples(axes: Axes, signal: Signal, span: Span) -> None:
    """Draw how many examples have each step."""
    axes.step(span.steps, signal.count[span.drawn], where="mid", color=BLUE, linewidth=1.3)
    axes.set_ylim(0, 1.08 * int(signal.count.max()))
    axes.locator_params(axis="y", nbins=4)
    step_axis(axes, span)
    axes.grid(alpha=0.3)
    axes.tick_params(labelsize=_SMALL)
    axes.set_ylabel("examples", fontsize=_TEXT)
    axes.set_xlabel("step", fontsize=_TEXT)


def draw_memory(axes: Axes, memory: Memory, order: Array) -> None:
    """Draw each unit's half-life on a logarithmic axis, with the interval of its mean."""
    lives = memory.half_lives[order]
    ranks = np.arange(len(lives)) + 1
    drawn = np.isfinite(lives) & (lives > 0)
    every: Sequence[float] = [*lives[drawn], memory.num_steps]
    low, top = 0.6 * min(every), 1.7 * max(every)
    high = top * (top / low) ** 0.2  # room for the words above the line
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    below, above = memory.low[order], np.minimum(memory.high[order], high)
    axes.vlines(ranks, np.maximum(below, low), above, color=BLUE, alpha=0.4, linewidth=1.2)
    size = float(np.clip(240 / len(lives), 1.5, 4))
    axes.plot(ranks[drawn], lives[drawn], "o", color=BLUE, markersize=size)
    for beyond, marker, place in ((lives == np.inf, "^", 0.96), (lives == 0, "v", 0.04)):
        axes.plot(
            ranks[beyond], np.full(int(beyond.sum()), place), marker, color=ORANGE, markersize=4,
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip
    axes.axhline(memory.num_steps, color=GREY, linewidth=1, linestyle="--")
    words = f"steps in an example: {memory.num_steps:.3g}" + "; ▲ no end" * bool(
        np.isinf(lives).any()
    )
    axes.text(
        0.02, memory.num_steps, words, fontsize=_SMALL,
        color="#595959", va="top" if lives[0] > memory.num_steps else "bottom",
        transform=axes.get_yaxis_transform(),
    )  # fmt: skip
    _log_ticks(axes, low, high)
    _unit_axis(axes, len(lives))
    axes.grid(alpha=0.3)
    axes.tick_params(labelsize=_SMALL)
    axes.set_xlabel("unit (rank)", fontsize=_TEXT)
    axes.set_ylabel("half-life (steps)", fontsize=_TEXT)


def _log_ticks(axes: Axes, low: float, high: float) -> None:
    """Mark 1, 2, 5 of each power of ten, or the powers alone where there are many."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    kept = (1, 2, 5) if len(powers) <= 4 else (1,)
    ticks = [k * 10.0**p for p in powers for k in kept if low <= k * 10.0**p <= high]
    axes.yaxis.set_major_locator(FixedLocator(ticks[:: -(-len(ticks) // 7) or 1]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
