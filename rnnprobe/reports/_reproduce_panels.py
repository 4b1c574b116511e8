"""Pictures of a reproduction that show each cell on its own: curves, and first filters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rnnprobe.experiments._reproduce import Measured, Reproduction
from rnnprobe.records import Array
from rnnprobe.reports._confusion_figures import message_figure
from rnnprobe.reports._figures import new_figure, plain, whole_ticks
from rnnprobe.reports._reproduce_texts import n_phrase, short_label, split_title, wrapped
from rnnprobe.search.task import MODELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C8C")
_LINES = ("-", "--", ":", "-.")
_PARTS = {"": "training", "val_": "validation"}
_STEEP = 100
_NARROW = 26
_ACROSS = 8
_MOST_FILTERS = 64


def curves_figure(reproduction: Reproduction) -> Figure:
    """Draw loss and accuracy on the training and validation part, a line a cell.

    Each line is the mean over the runs of a cell that finished, as far as all of them went, with
    the report's split of the data.
    """
    part = reproduction.parts[0]
    cells = [one for one in part.cells if one.finished]
    if not cells:
        return message_figure("no run finished")
    names = [plain(short_label(one.cell, [c.cell for c in cells]), 90) for one in cells]
    columns = 2 if max(map(len, names)) > _NARROW else 3
    figure = new_figure(6.5, 5.2 + 0.17 * -(-len(cells) // columns))
    grid = figure.subplots(2, 2, sharex=True, sharey="col", squeeze=False)
    for row, prefix in enumerate(_PARTS):
        for column, name in enumerate(("loss", "accuracy")):
            axes = grid[row, column]
            _draw_curves(axes, cells, names, f"{prefix}{name}")
            axes.set_title(f"{_PARTS[prefix]} {name}", fontsize=9)
            axes.grid(alpha=0.3)
            axes.tick_params(labelsize=8)
            if row == 1:
                axes.set_xlabel("epoch")
                whole_ticks(axes)
    _scale_losses(grid[0, 0], cells)
    lines, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        lines, labels, loc="outside lower center", ncols=columns, fontsize=8, frameon=False
    )
    experiment = reproduction.plan.experiment
    split = f", {split_title(experiment, part)}" if len(reproduction.parts) > 1 else ""
    mean = ", means" if reproduction.plan.repeats > 1 else ""
    figure.suptitle(
        f"{experiment.name}: {n_phrase(reproduction.plan)}{mean}{split}\n"
        "training values are taken while the epoch goes on, validation values at its end",
        fontsize=10,
    )
    return figure


def _draw_curves(axes: Axes, cells: Sequence[Measured], names: Sequence[str], name: str) -> None:
    for cell, label, (colour, line) in zip(cells, names, styles(cells), strict=True):
        means = mean_curve(cell, name)
        axes.plot(
            range(1, len(means) + 1), means, color=colour, linestyle=line, marker="o",
            markersize=2.5, linewidth=1.3, label=label,
        )  # fmt: skip


def styles(cells: Sequence[Measured]) -> list[tuple[str, str]]:
    """Return a colour and a kind of line a cell.

    Of many cells the colour tells the setting with the most levels, the line the others.
    """
    if len(cells) <= len(_COLOURS):
        return [(colour, _LINES[0]) for colour in _COLOURS[: len(cells)]]
    settings = [one.cell.settings for one in cells]
    names = dict.fromkeys(name for own in settings for name in own)
    levels = max(([own.get(name) for own in settings] for name in names), key=lambda v: len(set(v)))
    known = list(dict.fromkeys(levels))
    return [
        (
            _COLOURS[known.index(level) % len(_COLOURS)],
            _LINES[levels[:place].count(level) % len(_LINES)],
        )
        for place, level in enumerate(levels)
    ]


def mean_curve(cell: Measured, name: str) -> Array:
    """Return a history's mean over the finished runs, float64 (epochs,)."""
    histories = [run.history[name] for run in cell.finished]
    epochs = min(map(len, histories))
    return np.asarray(np.mean([history[:epochs] for history in histories], axis=0))


def _scale_losses(axes: Axes, cells: Sequence[Measured]) -> None:
    """Use a logarithmic scale where one cell's losses would flatten all others."""
    from matplotlib.ticker import LogLocator, NullLocator

    curves = [mean_curve(cell, f"{prefix}loss") for cell in cells for prefix in _PARTS]
    values = np.concatenate(curves)
    values = values[np.isfinite(values)]
    if values.size and values.min() > 0 and values.max() > _STEEP * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")


def filters_figure(reproduction: Reproduction) -> Figure:
    """Draw the filters of the first layer, a panel a cell, of its first run that finished.

    Each panel has a scale of colours of its own, with 0 in the middle, since the optimizers leave
    weights of very different size; of several channels the mean is drawn.

    Raises:
        ModelError: A saved model cannot be read.
    """
    shown = [
        (one, values)
        for one in reproduction.parts[0].cells
        if (values := _filters(one, reproduction)) is not None
    ]
    if not shown:
        return message_figure("no trained model with filters in its first layer was kept")
    columns = min(2, len(shown))
    down = -(-len(shown) // columns)
    figure = new_figure(3.25 * columns, 0.8 + 1.85 * down)
    grid = figure.subplots(down, columns, squeeze=False, gridspec_kw={"wspace": 0.08})
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    for axes, (one, values) in zip(grid.flat, shown, strict=False):
        _draw_filters(axes, values)
        label = plain(short_label(one.cell, [cell.cell for cell, _ in shown]), 90)
        axes.set_title(wrapped(label, 46), fontsize=8)
    height, width, total = shown[0][1].shape
    most = f"the first {_MOST_FILTERS} of {total}" if total > _MOST_FILTERS else f"all {total}"
    figure.suptitle(
        f"{reproduction.plan.experiment.name}: {most} first filters, {height} × {width} pixels\n"
        f"one run a cell, from seed {reproduction.plan.seed} on the first that finished",
        fontsize=10,
    )
    return figure


def _filters(measured: Measured, reproduction: Reproduction) -> Array | None:
    """Return (height, width, num_filters), the mean over channels; None without filters."""
    from rnnprobe.inspection.input_weights import NoInputWeights, input_rows
    from rnnprobe.models import load_model

    plan, folder = reproduction.plan, reproduction.folder
    if folder is None or not measured.finished:
        return None
    repeat = measured.finished[0].train.seed - plan.seed + 1
    file = folder / MODELS / f"{plan.task(measured.cell, repeat).name}.keras"
    if not file.exists():
        return None
    weights = input_rows(load_model(file), reproduction.parts[0].dataset)
    if isinstance(weights, NoInputWeights) or weights.kind != "filters":
        return None
    values = weights.panels[0].values
    return values.mean(axis=2) if values.ndim == 4 else None


def mosaic(values: Array) -> Array:
    """Return filters, (height, width, num_filters), side by side, NaN between them.

    Eight lie in a row, and at most 64 are taken.
    """
    across = min(values.shape[2], _ACROSS)
    taken = min(values.shape[2], _MOST_FILTERS)
    sides = ((0, 1), (0, 1), (0, -taken % across))
    padded = np.pad(values[:, :, :taken], sides, constant_values=np.nan)
    height, width, total = padded.shape
    rows = np.moveaxis(padded, 2, 0).reshape(total // across, across, height, width)
    return np.asarray(rows.swapaxes(1, 2).reshape(-1, across * width)[:-1, :-1])


def _draw_filters(axes: Axes, values: Array) -> None:
    picture = mosaic(np.where(np.isfinite(values), values, np.nan))
    end = float(np.nanmax(np.abs(picture), initial=0.0)) or 1.0
    axes.imshow(picture, cmap="RdBu_r", vmin=-end, vmax=end, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(f"weights from −{end:.2g} (blue) to {end:.2g} (red)", fontsize=8)
    axes.spines[:].set_visible(False)
