"""Pictures of weights: what the first layer does with each input, and histograms by gate."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rnnprobe.inspection.input_weights import InputWeights, NoInputWeights, Panel
from rnnprobe.inspection.weights import WeightBlock
from rnnprobe.records import Array
from rnnprobe.reports._confusion_figures import message_figure
from rnnprobe.reports._figures import BLUE, GREY, ORANGE, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 6.5
_COLUMNS = 8
_MOST_TILES = 64
_MOST_CHANNELS = 4
_MOST_ROWS = 12
_ACROSS = 4
_FEWEST_BINS, _MOST_BINS = 5, 40
_PERCENTILE = 99.5


def first_layer_figure(weights: InputWeights | NoInputWeights, title: str) -> Figure:
    """Draw what the first layer does with each input, or say why there is nothing to draw.

    All panels share one scale of colours with 0 in the middle. Where few weights are far larger
    than the rest, the colours end at the 99.5th percentile of |weight|, and the bar has arrows.

    Args:
        weights: What `input_rows` returned.
        title: What was probed.
    """
    if isinstance(weights, NoInputWeights):
        return message_figure("\n".join(textwrap.wrap(plain(weights.reason, 200), 56)))
    draw = _draw_rows if weights.kind == "rows" else _draw_tiles
    return draw(weights, title)


class _Scale(NamedTuple):
    """Where the colours end, and whether weights lie beyond."""

    end: float
    cut: bool

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of `imshow`."""
        return {"cmap": "RdBu_r", "vmin": -self.end, "vmax": self.end, "interpolation": "nearest"}


def _scale(arrays: Sequence[Array]) -> _Scale:
    sizes = np.abs(np.concatenate([array.reshape(-1) for array in arrays]).astype(np.float64))
    sizes = sizes[np.isfinite(sizes)]
    if not sizes.size or not sizes.max():
        return _Scale(1.0, False)
    end = float(np.percentile(sizes, _PERCENTILE))
    if sizes.max() <= 2 * end or not end:
        return _Scale(float(sizes.max()), False)
    return _Scale(end, True)


def _add_bar(figure: Figure, image: Any, axes: Any, scale: _Scale, label: str) -> None:
    inch = 1 / figure.get_figheight()
    bar = figure.colorbar(
        image, ax=axes, location="bottom", extend="both" if scale.cut else "neither",
        fraction=0.2 * inch, pad=0.1 * inch, aspect=40, shrink=0.8,
    )  # fmt: skip
    bar.set_label(label + (" (colours end at the 99.5th percentile)" if scale.cut else ""), size=9)
    bar.ax.tick_params(labelsize=8)


def _draw_rows(weights: InputWeights, title: str) -> Figure:
    """Draw one image a gate, inputs down and units across; labelled directions side by side."""
    rows = _panel_rows(weights)
    down, across = len(rows), max(map(len, rows))
    num_rows = len(weights.panels[0].values)
    tall = 0.135 * num_rows if weights.labels else min(max(0.06 * num_rows, 1.6), 4.5)
    figure = new_figure(max(_WIDTH, 0.7 * across + 1.0), tall * down + 1.7 + 0.3 * down)
    grid = figure.subplots(down, across, squeeze=False, sharey=True)
    scale = _scale([panel.values for panel in weights.panels])
    layers = {panel.layer for panel in weights.panels}
    said = layers if len(layers) == 1 else set()
    image, columns = None, weights.columns if across > _ACROSS else f"{weights.columns} (index)"
    for row, panels in enumerate(rows):
        for axes in grid[row, len(panels) :]:
            axes.set_axis_off()
        for column, panel in enumerate(panels):
            axes = grid[row, column]
            image = _draw_panel(axes, panel, weights, scale)
            name = "" if panel.layer in said else plain(panel.layer.split("/")[-1], 30)
            head = f"{name}\n{panel.gate or ''}" if len(layers) > 1 else panel.gate or ""
            axes.set_title(head, fontsize=9, loc="left")
            said.add(panel.layer)
            if all(len(below) <= column for below in rows[row + 1 :]):
                axes.set_xlabel(columns, fontsize=9)
    for axes in grid[:, 0]:
        axes.set_ylabel(weights.rows if weights.labels else f"{weights.rows} (index)", fontsize=9)
        if weights.labels:
            names = [plain(label, 14) for label in weights.labels]
            axes.set_yticks(range(num_rows), names, fontsize=8)
    _add_bar(figure, image, grid, scale, "weight" if " times " not in weights.note else "product")
    chosen = ""
    if num_rows < weights.num_rows:
        chosen = f"\nthe {num_rows} of {weights.num_rows:,} {weights.rows}s with the largest norm"
    note = "\nand ".join(plain(part, 80) for part in weights.note.split(" and "))
    figure.suptitle(f"{plain(title, 70)}\n{note}{chosen}", fontsize=10)
    return figure


def _panel_rows(weights: InputWeights) -> list[list[Panel]]:
    """Return the panels by layer, which may differ in number of gates; all in one if labelled."""
    if weights.labels:
        return [list(weights.panels)]
    layers = dict.fromkeys(panel.layer for panel in weights.panels)
    return [[panel for panel in weights.panels if panel.layer == layer] for layer in layers]


def _draw_panel(axes: Axes, panel: Panel, weights: InputWeights, scale: _Scale) -> Any:
    values = np.where(np.isfinite(panel.values), panel.values, np.nan)
    image = axes.imshow(values, aspect="auto", **scale.options())
    last = panel.values.shape[1] - 1
    axes.set_xticks(sorted({0, last}))
    axes.tick_params(labelsize=8)
    if not weights.labels:
        axes.set_yticks(_even_ticks(len(values)))
    return image


def _even_ticks(size: int) -> list[int]:
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**9) if size / s <= 9)
    return list(range(0, size, step))


def _draw_tiles(weights: InputWeights, title: str) -> Figure:
    """Draw one small image a filter or unit, at most 64."""
    values = weights.panels[0].values
    total = values.shape[-1]
    tiles = [_tile(values[..., index]) for index in range(min(total, _MOST_TILES))]
    columns = min(_COLUMNS, len(tiles))
    down = -(-len(tiles) // columns)
    shape = tiles[0].shape
    side = (_WIDTH - 0.3) / max(columns, 4)
    height = min(max(side * shape[0] / shape[1], 0.15), 2.5)
    figure = new_figure(_WIDTH, (height + 0.22) * down + 1.4)
    grid = figure.subplots(down, columns, squeeze=False)
    scale = _scale(tiles)
    for index, axes in enumerate(grid.flat):
        if index >= len(tiles):
            axes.set_axis_off()
            continue
        stretched = "equal" if values.ndim == 4 else "auto"
        image = axes.imshow(tiles[index], aspect=stretched, **scale.options())
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color("#D0D0D0")
        axes.set_title(str(index), fontsize=8, pad=2)
    _add_bar(figure, image, grid, scale, "weight")
    shown = f"the first {len(tiles)} of {total:,}" if total > len(tiles) else f"all {total:,}"
    head = f"{plain(weights.note, 60)}: {shown} {weights.columns}s, {_axes_phrase(values)}"
    figure.suptitle(f"{plain(title, 70)}\n{head}", fontsize=10)
    return figure


def _tile(values: Array) -> Array:
    """Return one filter (height, width, channels) or (width, num_inputs) as a picture.

    Few channels lie side by side, an empty column between them; of more the mean is taken.
    """
    finite = np.where(np.isfinite(values), values, np.nan)
    if finite.ndim == 2:
        return np.asarray(finite.T)
    height, width, channels = finite.shape
    if channels > _MOST_CHANNELS:
        return np.asarray(finite.mean(axis=2))
    parts: list[Array] = [finite[:, :, 0]]
    for channel in range(1, channels):
        gap = np.full((height, max(1, width // 8)), np.nan)
        parts += [gap, finite[:, :, channel]]
    return np.hstack(parts)


def _axes_phrase(values: Array) -> str:
    if values.ndim == 3:
        return f"\n{values.shape[1]} inputs down, {values.shape[0]} steps across"
    height, width, channels = values.shape[:3]
    size = f"{height} × {width} pixels"
    if channels == 1:
        return size
    how = "channels side by side" if channels <= _MOST_CHANNELS else "mean over the channels"
    return f"{size}\n{channels} {how}" if channels <= _MOST_CHANNELS else f"{size}\n{how}"


class _Strip(NamedTuple):
    """One row of histograms: the gates of one part, or some whole variables."""

    blocks: tuple[WeightBlock, ...]
    head: str


def weight_histograms_figure(blocks: Sequence[WeightBlock], title: str) -> Figure:
    """Draw a histogram of each gate of each part, and one of every other variable.

    The gates of a part share both axes. At most 12 rows are drawn; the title says how many
    histograms are left out.

    Args:
        blocks: What `read_weights` returned.
        title: What was probed.
    """
    strips = _strips([block for block in blocks if block.values.size])
    if not strips:
        return message_figure("the model has no weights")
    drawn = strips[:_MOST_ROWS]
    figure = new_figure(_WIDTH + 0.3, 1.75 * len(drawn) + 0.8)
    rows = figure.subfigures(len(drawn), 1, squeeze=False)[:, 0]
    for row, strip in zip(rows, drawn, strict=True):
        _draw_strip(row, strip)
    left = sum(len(strip.blocks) for strip in strips[_MOST_ROWS:])
    total = left + sum(len(strip.blocks) for strip in drawn)
    missing = f"\n{left} of {total} histograms are not drawn; the table has them all" * bool(left)
    figure.suptitle(f"{plain(title, 70)}: histograms of the weights{missing}", fontsize=10)
    figure.supxlabel("weight", fontsize=9)
    figure.supylabel("number of weights", fontsize=9)
    return figure


def _strips(blocks: Sequence[WeightBlock]) -> list[_Strip]:
    strips: list[_Strip] = []
    single: list[WeightBlock] = []
    for (layer, part, gated), group in groupby(
        blocks, key=lambda block: (block.layer, block.part, block.gate is not None)
    ):
        own = tuple(group)
        if gated:
            strips += _packed(single)
            single = []
            strips.append(_Strip(own, f"{plain(layer, 60)}: {plain(part)}"))
        else:
            single += own
    return strips + _packed(single)


def _packed(blocks: Sequence[WeightBlock]) -> list[_Strip]:
    return [_Strip(tuple(blocks[i : i + _ACROSS]), "") for i in range(0, len(blocks), _ACROSS)]


def _draw_strip(row: Any, strip: _Strip) -> None:
    gated = strip.blocks[0].gate is not None
    grid = row.subplots(1, _ACROSS, sharex=gated, sharey=gated, squeeze=False)[0]
    for axes in grid[len(strip.blocks) :]:
        axes.set_axis_off()
    edges = _edges([block.values for block in strip.blocks]) if gated else None
    for axes, block in zip(grid, strip.blocks, strict=False):
        _draw_histogram(axes, block, edges)
    for axes, block in zip(grid, strip.blocks, strict=False):
        if block.started_at_one:
            _mark_start(axes)
    if strip.head:
        row.suptitle(strip.head, x=0.08, ha="left", fontsize=9, weight="bold")


def _edges(arrays: Sequence[Array]) -> Array:
    """Return the bins that several arrays of one size share, as wide as their finite values."""
    finite = [array[np.isfinite(array)].astype(np.float64) for array in arrays]
    low = min((float(one.min()) for one in finite if len(one)), default=0.0)
    high = max((float(one.max()) for one in finite if len(one)), default=0.0)
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        reach = max(0.5 * abs(high), 0.5)  # all are equal, and a bin needs a width
        low, high = low - reach, high + reach
    number = int(np.clip(2 * np.sqrt(max(map(len, finite))), _FEWEST_BINS, _MOST_BINS))
    return np.linspace(low, high, number + 1)


def _draw_histogram(axes: Axes, block: WeightBlock, edges: Array | None) -> None:
    from matplotlib.ticker import MaxNLocator

    values = block.values[np.isfinite(block.values)].astype(np.float64)
    used = _edges([values]) if edges is None else edges
    counts, _ = np.histogram(values, used)
    axes.stairs(counts, used, fill=True, color=BLUE, alpha=0.75)
    axes.axvline(0, color=GREY, linewidth=0.8)
    name = [block.gate] if block.gate else [plain(block.layer, 24), plain(block.part, 24)]
    axes.set_title("\n".join([*name, _numbers_phrase(block)]), fontsize=8, pad=3)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))


def _mark_start(axes: Axes) -> None:
    """Mark where Keras let the forget bias start, with room for the word above the bars."""
    axes.axvline(1, color=ORANGE, linewidth=1.4, linestyle="--")
    low, high = axes.get_xlim()
    axes.set_ylim(0, 1.5 * axes.get_ylim()[1])
    is_right = (low + high) / 2 < 1
    axes.text(
        1, 0.96, "start: 1 " if is_right else " start: 1", color=ORANGE, fontsize=8, va="top",
        ha="right" if is_right else "left", transform=axes.get_xaxis_transform(),
    )  # fmt: skip


def _numbers_phrase(block: WeightBlock) -> str:
    if block.mean is None or block.deviation is None:
        odd = int((~np.isfinite(block.values)).sum())
        return f"{odd:,} not finite" if odd else "no numbers"
    return f"mean {block.mean:.3g}\nsd {block.deviation:.3g}".replace("-", "−")
