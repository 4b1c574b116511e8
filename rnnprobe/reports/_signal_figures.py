"""Pictures of activations, and of the gates and states of recurrent cells."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnprobe.inspection.signals import Memory, Signal, memory_gates, memory_of
from rnnprobe.records import Array
from rnnprobe.reports._common import counted
from rnnprobe.reports._confusion_figures import message_figure
from rnnprobe.reports._figures import new_figure, plain
from rnnprobe.reports._signal_panels import (
    FEW,
    Span,
    by_mean,
    draw_course,
    draw_examples,
    draw_heat_map,
    draw_memory,
    draw_saturation,
    draw_units,
    marks_note,
    span_of,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

_WIDTH = 6.5
_WIDTHS = (1.5, 1.2, 0.8)
_ROW, _HEAD, _LAST_ROW = 1.35, 0.55, 1.5  # inches
_MOST_OUTPUTS = 8
_MOST_CELLS = 4
_SMALL, _TEXT = 8, 9


def activations_figure(outputs: Sequence[Signal], title: str) -> Figure:
    """Draw what each layer returns, a row a layer, eight at most.

    Over steps: the mean by unit and step, and the mean and standard deviation by step; else the
    mean and standard deviation of each unit. The units are sorted by their mean. Beside it how
    much is saturated, or 0.

    Args:
        outputs: The outputs that `read_signals` returned.
        title: What was probed.
    """
    counting = [signal for signal in outputs if signal.num_values]
    if not counting:
        return message_figure("no layer's output was looked at")
    drawn = counting[:_MOST_OUTPUTS]
    figure = new_figure(_WIDTH, 1.55 * len(drawn) + 0.9)
    rows = figure.subfigures(len(drawn), 1, squeeze=False)[:, 0]
    for row, signal in zip(rows, drawn, strict=True):
        _draw_output(row, signal)
    notes = [*_notes(drawn), "units sorted by their mean", *marks_note(drawn)]
    if len(drawn) < len(counting):
        notes.append(f"the first {len(drawn)} of {len(counting)} outputs; the tables have them all")
    figure.suptitle("\n".join([plain(title, 80), *notes]), fontsize=_TEXT)
    return figure


def _notes(signals: Sequence[Signal]) -> list[str]:
    """Return what the reader must know of the colours, bands and bars that are drawn."""
    least = min(signal.num_examples for signal in signals)
    most = max(signal.num_examples for signal in signals)
    number = f"n = {counted(most, 'example')}" if least == most else f"n = {least:,} to {most:,}"
    spans = [span_of(signal) for signal in signals if _has_steps(signal)]
    if not spans:
        return [f"{number}; bars ± 1 sd over the examples"]
    notes = [f"{number}; colours: mean over the examples that have the step"]
    bars = "; bars: over the examples" if len(spans) < len(signals) else ""
    notes.append(f"bands: ± 1 sd over units and examples{bars}")
    if any(span is not None and not span.enough.all() for span in spans):
        notes.append(f"pale: steps that fewer than {FEW} examples have")
    return notes


def _has_steps(signal: Signal) -> bool:
    return signal.axis == "steps" and int((signal.count > 0).sum()) > 1


def _draw_output(row: SubFigure, signal: Signal) -> None:
    grid = row.add_gridspec(1, 3, width_ratios=_WIDTHS)
    order, span = by_mean(signal), span_of(signal)
    if span is not None and _has_steps(signal):
        first = row.add_subplot(grid[0])
        _draw_steps(row, (first, row.add_subplot(grid[1])), signal, order, span)
        first.set_ylabel("unit (rank)", fontsize=_TEXT)
        for axes in row.axes[:2]:
            axes.set_xlabel("step", fontsize=_TEXT)
    else:
        axes = row.add_subplot(grid[:2])
        draw_units(axes, signal, order)
        axes.set_xlabel("unit (rank)", fontsize=_TEXT)
        axes.set_ylabel("mean ± sd", fontsize=_TEXT)
    draw_saturation(row.add_subplot(grid[2]), signal)
    what = "" if signal.name == "output" else f", {signal.name}"
    over = f", over all {len(signal.count):,} positions" if signal.axis == "positions" else ""
    units = counted(signal.num_units, "unit")
    row.suptitle(
        f"{plain(signal.path, 40)} ({plain(signal.kind)}, {units}){what}{over}",
        fontsize=_TEXT, weight="bold",
    )  # fmt: skip


def _draw_steps(
    row: SubFigure, pair: tuple[Any, Any], signal: Signal, order: Array, span: Span
) -> None:
    draw_heat_map(row, pair[0], signal, order, span)
    draw_course(pair[1], signal, span)
    pair[1].set_ylabel("mean ± sd", fontsize=_TEXT)


def gates_figure(gates: Sequence[Signal], title: str) -> Figure:
    """Draw the gates and states of each recurrent cell, four cells at most.

    A row a gate or state: its mean by unit and step, in one order of the units for the whole cell;
    its mean and standard deviation by step; how much of each unit is saturated on either side.
    Below them the half-life of each unit, and how many examples have each step where they differ.

    Args:
        gates: The gates that `read_signals` returned.
        title: What was probed.
    """
    cells = [list(own) for _, own in groupby(gates, key=lambda signal: signal.path)]
    counting = [own for own in cells if all(signal.num_values for signal in own)]
    if not counting:
        return message_figure("no recurrent layer whose cell can be stepped")
    drawn = counting[:_MOST_CELLS]
    heights = [_ROW * len(own) + _HEAD + _LAST_ROW * _has_last_row(own) for own in drawn]
    figure = new_figure(_WIDTH, sum(heights) + 0.9)
    rows = figure.subfigures(len(drawn), 1, squeeze=False, height_ratios=heights)[:, 0]
    for row, own in zip(rows, drawn, strict=True):
        _draw_cell(row, own)
    every = [signal for own in drawn for signal in own]
    notes = [*_notes(every), *marks_note(every)]
    if len(drawn) < len(counting):
        notes.append(f"the first {len(drawn)} of {len(counting)} cells; the tables have them all")
    figure.suptitle("\n".join([plain(title, 80), *notes]), fontsize=_TEXT)
    return figure


def _memory(own: Sequence[Signal]) -> Memory | None:
    return next((memory_of(gate) for gate in memory_gates(own)), None)


def _is_uneven(signal: Signal) -> bool:
    return len(np.unique(signal.count[signal.count > 0])) > 1


def _has_last_row(own: Sequence[Signal]) -> bool:
    return _memory(own) is not None or _is_uneven(own[0])


def _draw_cell(row: SubFigure, own: Sequence[Signal]) -> None:
    leading = (*memory_gates(own), own[0])[0]
    order, span = by_mean(leading), span_of(leading)
    if span is None:
        return
    has_last = _has_last_row(own)
    heights = [_ROW] * len(own) + [_LAST_ROW] * has_last
    grid = row.add_gridspec(len(heights), 3, width_ratios=_WIDTHS, height_ratios=heights)
    for number, signal in enumerate(own):
        places = [grid[number, column] for column in range(3)]
        if len(span.steps) < 2:
            places[:2] = [grid[number, :2]]
        _draw_signal(row, places, signal, order, span)
    _label(row, len(span.steps) > 1)
    memory = _memory(own)
    if _is_uneven(leading):
        draw_examples(row.add_subplot(grid[-1, 0]), leading, span)
    if memory is not None:
        place = grid[-1, 1:] if _is_uneven(leading) else grid[-1, :]
        draw_memory(row.add_subplot(place), memory, order)
    sorted_by = f"units sorted by mean {leading.name}"
    row.suptitle(
        f"{plain(leading.path, 40)} ({plain(leading.kind)}, {counted(leading.num_units, 'unit')}), "
        f"{sorted_by}",
        fontsize=_TEXT, weight="bold",
    )  # fmt: skip


def _draw_signal(
    row: SubFigure, places: Sequence[Any], signal: Signal, order: Array, span: Span
) -> None:
    """Draw a gate or state into three places, or two where it has one step."""
    first, *more = [row.add_subplot(place) for place in places]
    draw_saturation(more[-1], signal)
    if len(more) == 1:
        draw_units(first, signal, order)
        first.set_ylabel(f"{signal.name}\nmean ± sd", fontsize=_TEXT)
        return
    draw_heat_map(row, first, signal, order, span)
    draw_course(more[0], signal, span)
    first.set_ylabel(f"{signal.name}\nunit (rank)", fontsize=_TEXT)


def _label(row: SubFigure, over_steps: bool) -> None:
    """Name the columns above the first and the axis below the last of the rows drawn so far."""
    charts = [axes for axes in row.axes if axes.get_label() != "<colorbar>"]
    heads = ("mean by unit and step", "mean ± sd") if over_steps else ("mean by unit",)
    size = len(heads) + 1
    if charts[size - 1].axison:
        charts[size - 1].set_title("saturated", fontsize=_TEXT)
    for column, head in enumerate(heads):
        charts[column].set_title(head, fontsize=_TEXT)
        for axes in charts[column:-size:size]:
            axes.tick_params(labelbottom=False)
        across = "step" if over_steps else "unit (rank)"
        charts[column - size].set_xlabel(across, fontsize=_TEXT)
