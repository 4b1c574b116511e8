"""Pictures of activations and gates: what is drawn, in which order, and that texts keep apart."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from rnnprobe.inspection._moments import Moments, reduced
from rnnprobe.inspection.reading import Reading
from rnnprobe.inspection.signals import Signal, memory_of
from rnnprobe.reports._activations import activations_findings
from rnnprobe.reports._figures import BLUE, ORANGE, save_figures
from rnnprobe.reports._gates import gates_findings, gates_tables
from rnnprobe.reports._signal_figures import activations_figure, gates_figure

SIGMOID, TANH = (0.1, 0.9), (-0.9, 0.9)
LSTM = ("input gate", "forget gate", "candidate", "output gate", "hidden state", "cell state")
GRU = ("update gate", "reset gate", "candidate", "hidden state")


def signal_of(
    name: str,
    values: np.ndarray,
    *,
    path: str = "layer",
    counted: np.ndarray | None = None,
    axis: str | None = "steps",
    limits: tuple[float, float] | str | None = "by name",
) -> Signal:
    """Return the signal of values float (num_examples, num_steps, num_units)."""
    if counted is None:
        counted = np.ones(values.shape[:2], bool)
    if limits == "by name":
        limits = SIGMOID if name.endswith(" gate") else None if name == "cell state" else TANH
    moments = Moments.of(reduced(values.astype(np.float32), counted, limits), len(values))
    return Signal.of(path, "Kind", name, limits, axis, moments)


def cell_of(
    names: tuple[str, ...],
    shape: tuple[int, int, int],
    *,
    path: str = "layer",
    counted: np.ndarray | None = None,
) -> list[Signal]:
    """Return the signals of one cell, its units unlike each other."""
    rng = np.random.default_rng(len(names))
    found = []
    for name in names:
        sums = rng.normal(size=shape) + 2 * rng.normal(size=shape[2])
        values = 1 / (1 + np.exp(-sums)) if name.endswith(" gate") else np.tanh(sums)
        found.append(signal_of(name, values, path=path, counted=counted))
    return found


def lengths_counted(lengths: list[int], num_steps: int) -> np.ndarray:
    return np.arange(num_steps) < np.array(lengths)[:, np.newaxis]


def drawn(figure: Figure) -> Figure:
    FigureCanvasAgg(figure).draw()
    return figure


def texts_of(figure: Figure) -> list[Text]:
    """Return the texts that can be seen; a tick beyond the axis cannot."""
    found = []
    hidden = set()
    for axes in axes_of(figure):
        if not axes.axison:
            hidden |= set(axes.findobj(Text))
        for axis, (low, high) in (
            (axes.xaxis, sorted(axes.get_xlim())),
            (axes.yaxis, sorted(axes.get_ylim())),
        ):
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low - 1e-9 <= tick.get_loc() <= high + 1e-9 or not tick.label1.get_visible():
                    hidden |= {tick.label1}
                hidden |= {tick.label2}
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text not in hidden:
            found.append(text)
    return found


def axes_of(figure: Any) -> list[Any]:
    rows = getattr(figure, "subfigs", [])
    return list(figure.axes) if not rows else [axes for row in rows for axes in row.axes]


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in texts_of(figure))


def check_texts(figure: Figure) -> None:
    """Ask that no text is small, off the page, or on another one."""
    drawn(figure)
    width, height = figure.canvas.get_width_height()
    boxes = [(text, text.get_window_extent()) for text in texts_of(figure)]
    assert len(boxes) > 5
    for text, box in boxes:
        assert text.get_fontsize() >= 8
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        assert inside, text.get_text()
    for (one, first), (other, second) in itertools.combinations(boxes, 2):
        across = min(first.x1, second.x1) - max(first.x0, second.x0)
        down = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert across <= 1 or down <= 1, (one.get_text(), other.get_text())


def charts_of(row: Any) -> list[Any]:
    return [axes for axes in row.axes if axes.get_label() != "<colorbar>"]


def test_a_cell_is_drawn_in_one_order_by_its_forget_gate() -> None:
    gates = cell_of(LSTM, (15, 7, 9))
    figure = gates_figure(gates, "model$ on data")
    (row,) = figure.subfigs
    charts = charts_of(row)
    assert len(charts) == 3 * 6 + 1
    order = np.argsort(gates[1].units().mean)
    for signal, heat, course, dots in zip(
        gates, charts[:18:3], charts[1:18:3], charts[2:18:3], strict=True
    ):
        (image,) = heat.images
        assert np.array_equal(image.get_array(), signal.mean.T[order])
        assert heat.get_ylabel().startswith(signal.name)
        if signal.name.endswith(" gate"):
            assert (image.cmap.name, *image.get_clim()) == ("viridis", 0, 1)
        else:
            low, high = image.get_clim()
            assert image.cmap.name == "RdBu_r" and low == -high
        steps = signal.steps()
        assert np.array_equal(course.lines[0].get_xdata(), np.arange(1, 8))
        assert np.allclose(course.lines[0].get_ydata(), steps.mean)
        band = course.collections[0].get_paths()[0].vertices
        assert band[:, 1].max() == pytest.approx((steps.mean + np.sqrt(steps.variance)).max())
        check_saturation(dots, signal)
    memory = memory_of(gates[1])
    assert memory is not None
    (lives,) = (line for line in charts[-1].lines if len(line.get_xdata()) == 9)
    assert np.array_equal(lives.get_ydata(), memory.half_lives[order])
    assert (np.diff(lives.get_ydata()) >= 0).all() and charts[-1].get_yscale() == "log"
    assert "units sorted by mean forget gate" in words(figure)


def check_saturation(dots: Any, signal: Signal) -> None:
    if signal.limits is None:
        assert not dots.axison
        return
    diagonal, *lines = dots.lines
    assert diagonal.get_xydata().tolist() == [[0, 1], [1, 0]]
    points = np.concatenate([line.get_xydata() for line in lines])
    units = signal.units()
    assert sorted(points.tolist()) == sorted(np.stack([units.left, units.right], axis=1).tolist())
    for line in lines:
        is_marked = line.get_xydata().sum(axis=1) >= 0.5
        assert is_marked.all() if line.get_color() == ORANGE else not is_marked.any()


def test_steps_of_few_examples_are_pale_and_those_of_none_left_out() -> None:
    counted = lengths_counted([5] * 12 + [3] * 10 + [6] * 4 + [2], 9)
    figure = gates_figure(cell_of(GRU, (27, 9, 4), counted=counted), "x")
    (row,) = figure.subfigs
    heat, *_ = charts = charts_of(row)
    assert heat.images[0].get_array().shape == (4, 6)
    assert heat.images[0].get_alpha()[0].tolist() == [1.0] * 5 + [0.35]
    assert len(charts) == 3 * 4 + 2
    (line,) = charts[-2].lines
    assert line.get_ydata().tolist() == [27, 27, 26, 16, 16, 4]
    assert "pale: steps that fewer than 10 examples have" in words(drawn(figure))
    check_texts(figure)


def test_half_lives_without_end_are_drawn_at_the_edge() -> None:
    gates = cell_of(GRU, (12, 5, 6))
    values = np.random.default_rng(0).uniform(0.2, 0.6, size=(12, 5, 6))
    values[..., 2], values[..., 4] = 1, 0
    gates[0] = signal_of("update gate", values)
    figure = gates_figure(gates, "x")
    memory = charts_of(figure.subfigs[0])[-1]
    marked = {line.get_marker(): list(line.get_xdata()) for line in memory.lines}
    assert marked["^"] == [6] and marked["v"] == [1]
    assert len(next(line for line in memory.lines if line.get_marker() == "o").get_xdata()) == 4
    assert "▲ no end" in words(figure) and "×: dead" in words(figure)
    check_texts(figure)


@pytest.mark.parametrize(
    ("names", "shape"),
    [(LSTM, (11, 28, 128)), (GRU, (3, 784, 1)), (("hidden state",), (30, 12, 40)),
     (LSTM, (12, 1, 5)), (GRU, (1, 4, 3))],
)  # fmt: skip
def test_texts_of_a_cell_keep_apart(names: tuple[str, ...], shape: tuple[int, int, int]) -> None:
    check_texts(gates_figure(cell_of(names, shape), "a model with a name.keras on some data"))


def test_one_step_is_drawn_unit_by_unit_in_the_same_order() -> None:
    gates = cell_of(LSTM, (12, 1, 5))
    charts = charts_of(gates_figure(gates, "x").subfigs[0])
    order = np.argsort(gates[1].units().mean)
    for signal, axes in zip(gates, charts[:12:2], strict=True):
        (line, *_) = (line for line in axes.lines if line.get_color() == BLUE)
        assert np.array_equal(line.get_ydata(), signal.units().mean[order])


def test_four_cells_are_drawn_at_most_and_the_picture_says_so() -> None:
    gates = [
        signal
        for number in range(6)
        for signal in cell_of(("state",), (3, 4, 2), path=f"l{number}")
    ]
    figure = gates_figure(gates, "x")
    assert len(figure.subfigs) == 4
    assert "the first 4 of 6 cells; the tables have them all" in words(figure)
    check_texts(figure)


def test_outputs_are_drawn_over_steps_or_unit_by_unit() -> None:
    rng = np.random.default_rng(1)
    hidden = np.tanh(2 * rng.normal(size=(14, 6, 8)) + rng.normal(size=8))
    relu = np.maximum(rng.normal(size=(14, 1, 30)), 0)
    relu[..., 7] = 0
    outputs = [
        signal_of("output", hidden, path="gru"),
        signal_of("output", relu, path="dense$", axis=None, limits=None),
        signal_of("output", rng.normal(size=(14, 20, 3)), path="conv", axis="positions"),
        signal_of("output before softmax", 0 * relu[..., :1] - 2, axis=None, limits=None),
    ]
    figure = activations_figure(outputs, "x")
    first, second, third, last = (charts_of(row) for row in figure.subfigs)
    order = np.argsort(outputs[0].units().mean)
    assert np.array_equal(first[0].images[0].get_array(), outputs[0].mean.T[order])
    means = outputs[1].units().mean
    assert np.array_equal(second[0].lines[0].get_ydata(), np.sort(means))
    dead = next(line for line in second[0].lines if line.get_marker() == "x")
    assert dead.get_xydata().tolist() == [[1, 0]]
    zeros = second[1].lines[0].get_ydata()
    assert np.array_equal(zeros, np.sort(outputs[1].units().zeros)) and zeros[-1] == 1
    assert len(third) == 2 and not third[0].images
    assert not last[1].axison
    said = words(figure)
    assert "over all 20 positions" in said and "output before softmax" in said
    assert r"dense\$ (Kind, 30 units)" in said and "n = 14 examples" in said
    check_texts(figure)


def test_nothing_to_draw_is_said_and_many_outputs_are_cut(tmp_path: Path) -> None:
    empty = signal_of("output", np.zeros((2, 3, 2)), counted=np.zeros((2, 3), bool))
    assert "no layer's output" in words(activations_figure([empty], "x"))
    assert "no recurrent layer" in words(gates_figure([empty], "x"))
    assert "no recurrent layer" in words(gates_figure([], "x"))
    one = signal_of("output", np.ones((2, 1, 1)), axis=None)
    figure = activations_figure([one] * 11, "x")
    assert "the first 8 of 11 outputs; the tables have them all" in words(figure)
    (path,) = save_figures(tmp_path, {"activations.png": figure})
    assert path.stat().st_size > 10_000


def test_values_that_are_no_numbers_are_drawn_as_gaps_and_told_as_none() -> None:
    gates = cell_of(GRU, (12, 5, 6))
    values = np.random.default_rng(0).normal(size=(12, 5, 6))
    values[3, 2, 1] = np.nan
    gates[3] = signal_of("hidden state", values)
    gates[0] = signal_of("update gate", np.where(np.isnan(values), np.nan, 0.5))
    reading = Reading(tuple(gates), tuple(gates), (), (), 0.0)
    drawn(gates_figure(gates, "x"))
    drawn(activations_figure(gates, "x"))
    row = gates_tables(reading)["gates"].records()[0]
    assert np.isnan(row["mean"])
    assert gates_tables(reading)["memory"].rows == ()
    assert gates_findings(reading) and activations_findings(reading)
