"""Pictures of the most frequently confused pairs, each beside its two classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnnprobe.confusions.pairs import ConfusedPair, Confusions
from rnnprobe.records import Array, Bounds, SequenceDataset
from rnnprobe.reports._confusion_figures import (
    COLOURS,
    LINES,
    class_labels,
    counted_values,
    message_figure,
    shown_text,
    text_inches,
)
from rnnprobe.reports._figures import draw_picture, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec

_MOST_PAIRS = 6
_EXAMPLES = 5
_FEATURES = 3
_LETTERS = 22
_HEADS = ("true class,\nright", "the pair's\nmistakes", "predicted\nclass, right")


class _Row(NamedTuple):
    """One pair: its label, and the indices of what is compared, the most confident first."""

    pair: ConfusedPair
    label: str
    true: Array
    mistakes: Array
    predicted: Array

    @property
    def groups(self) -> tuple[Array, Array, Array]:
        """In the order in which they are drawn."""
        return self.true, self.mistakes, self.predicted


def pairs_figure(confusions: Confusions, dataset: SequenceDataset, part: str) -> Figure:
    """Draw the most frequent pairs, at most 6: their mistakes beside both classes' right examples.

    Pictures are drawn as means with the most confident mistakes beside them, other values as mean
    curves over the steps, tokens as texts. The means show what differs on average, and say nothing
    of why one example was mistaken.

    Args:
        confusions: What was found on that part.
        dataset: The data.
        part: The part of the data set.
    """
    if not confusions.pairs:
        return message_figure("no mistakes")
    if dataset.kind == "tokens":
        return _text_rows(confusions, dataset, part)
    if dataset.image_shape is not None:
        return _picture_rows(confusions, dataset, part)
    return _curve_rows(confusions, dataset, part)


def _rows(confusions: Confusions, labels: list[str], separator: str) -> list[_Row]:
    rows = []
    for pair in confusions.pairs[:_MOST_PAIRS]:
        low, high = pair.interval
        words = (
            f"true {labels[pair.true]}",
            f"taken for {labels[pair.predicted]}:",
            f"{pair.count:,} of {pair.support:,}",
            f"({pair.share:.2f} [{low:.2f}, {high:.2f}])",
        )
        true, predicted = (_right(confusions, label) for label in (pair.true, pair.predicted))
        rows.append(_Row(pair, separator.join(words), true, np.array(pair.examples), predicted))
    return rows


def _right(confusions: Confusions, label: int) -> Array:
    predictions = confusions.predictions
    right = np.flatnonzero((predictions.y == label) & (predictions.predicted == label))
    return right[np.argsort(-predictions.confidence[right], kind="stable")]


def _heading(confusions: Confusions, part: str) -> str:
    total = len(confusions.pairs)
    if total == 1:
        return f"the only confused pair, {part} part, with its 95 % interval"
    shown = f"the {_MOST_PAIRS} most frequent of {total}" if total > _MOST_PAIRS else f"all {total}"
    return f"{shown} confused pairs, {part} part, with 95 % intervals"


def _label_row(axes: Axes, row: _Row) -> None:
    axes.set_ylabel(row.label, rotation=0, ha="right", va="center", fontsize=9, labelpad=8)


def _label_width(rows: Sequence[_Row]) -> float:
    return max(text_inches(line, 9) for row in rows for line in row.label.split("\n")) + 0.2


def _picture_rows(confusions: Confusions, dataset: SequenceDataset, part: str) -> Figure:
    """Draw a row a pair: three means, how the mistakes differ, and the mistakes themselves."""
    rows = _rows(confusions, class_labels(dataset.class_names), "\n")
    x = dataset.splits[part].x
    means = [
        [x[group].mean(axis=0, dtype=np.float64) if len(group) else None for group in row.groups]
        for row in rows
    ]
    changes = [None if true is None else mistakes - true for true, mistakes, _ in means]
    most = max((float(np.abs(c).max()) for c in changes if c is not None), default=0.0) or 1.0
    num_columns = 4 + min(_EXAMPLES, max(row.pair.count for row in rows))
    figure = new_figure(_label_width(rows) + 0.98 * num_columns, 1.24 * len(rows) + 1.6)
    spec = figure.add_gridspec(len(rows) + 1, num_columns, height_ratios=[*[1] * len(rows), 0.1])
    grid = np.array(
        [[figure.add_subplot(spec[i, j]) for j in range(num_columns)] for i in range(len(rows))]
    )
    bounds = dataset.bounds or Bounds(0, 1)
    for cells, row, three, change in zip(grid, rows, means, changes, strict=True):
        _label_row(cells[0], row)
        for axes, mean, group in zip(cells[:3], three, row.groups, strict=True):
            _draw_or_say(axes, mean, dataset, bounds)
            axes.set_title(f"n = {len(group):,}", fontsize=9, pad=3)
        _draw_or_say(cells[3], change, dataset, Bounds(-most, most), signed=True)
        for axes, index in zip(cells[4:], row.mistakes, strict=False):
            draw_picture(axes, x[index], dataset, bounds)
            confidence = confusions.predictions.confidence[index]
            axes.set_title(f"{index}: {confidence:.2f}", fontsize=9, pad=3)
        for axes in cells[4 + row.pair.count :]:
            axes.set_axis_off()
    _head_columns(grid)
    _add_scales(figure, grid, spec)
    few = "\nthe mean of 1 or 2 examples is hardly a mean"
    small = any(len(group) < 3 for row in rows for group in row.groups)
    figure.suptitle(_heading(confusions, part) + (few if small else ""), fontsize=10)
    return figure


def _draw_or_say(
    axes: Axes, x: Array | None, dataset: SequenceDataset, bounds: Bounds, *, signed: bool = False
) -> None:
    if x is not None:
        draw_picture(axes, x, dataset, bounds, signed=signed)
        return
    axes.set(xticks=[], yticks=[], box_aspect=1)
    axes.spines[:].set_color("#D0D0D0")
    axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", va="center", fontsize=9)


def _head_columns(grid: Array) -> None:
    heads = [f"mean of\n{head}" for head in _HEADS]
    heads += ["mistakes\nless true\nclass, right", "most confident\nmistakes: index,\nconfidence"]
    for axes, head in zip(grid[0], heads, strict=False):
        axes.set_title(f"{head}\n{axes.get_title()}".strip(), fontsize=9, pad=3)


def _add_scales(figure: Figure, grid: Array, spec: GridSpec) -> None:
    """Add a colour bar of its own to the means and to the differences, below the last row."""
    means = [image for axes in grid[:, :3].flat for image in axes.images]
    changes = [image for axes in grid[:, 3] for image in axes.images]
    drawn = [(means, spec[-1, :3], "value (units of the data)")] * (means[0].get_array().ndim == 2)
    if changes:
        drawn.append((changes, spec[-1, 3:5], "difference (units of the data)"))
    for images, place, label in drawn:
        bar = figure.colorbar(images[0], cax=figure.add_subplot(place), orientation="horizontal")
        bar.set_label(label, fontsize=9)


def _curve_rows(confusions: Confusions, dataset: SequenceDataset, part: str) -> Figure:
    """Draw a row a pair and a column a feature: three mean curves, each with its error."""
    values = counted_values(dataset, part)
    features = _telling_features(values, confusions.predictions.y)
    rows = _rows(confusions, class_labels(dataset.class_names), "\n")
    figure = new_figure(_label_width(rows) + 2.6 * len(features) + 0.3, 1.5 * len(rows) + 1.4)
    grid = figure.subplots(len(rows), len(features), squeeze=False, sharex=True, sharey="col")
    for cells, row in zip(grid, rows, strict=True):
        sizes = f"{len(row.true):,} and {len(row.predicted):,} right"
        _label_row(cells[0], row._replace(label=f"{row.label}\n{sizes}"))
        for axes, feature in zip(cells, features, strict=True):
            for index, group in enumerate(row.groups):
                _draw_mean(axes, values[group, :, feature], index)
            axes.grid(alpha=0.3)
            axes.tick_params(labelsize=9)
    for axes, feature in zip(grid[0], features, strict=True):
        axes.set_title(f"feature {feature} (units of the data)", fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("step", fontsize=9)
    chosen, total = len(features), values.shape[2]
    which = f"\nthe {chosen} of {total} features that tell the classes apart best"
    figure.suptitle(
        f"{_heading(confusions, part)}\nmeans over the examples that have the step, "
        f"± 1 standard error{which if chosen < total else ''}",
        fontsize=10,
    )
    handles, heads = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, heads, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _telling_features(values: Array, y: Array) -> list[int]:
    """Return the features, at most 3, with the largest share of variance between the classes.

    It is taken step by step and summed, so that classes of equal means over time still differ.
    """
    if values.shape[2] <= _FEATURES:
        return list(range(values.shape[2]))
    mean, _ = _mean(values)
    between = np.zeros(values.shape[2])
    for label in np.unique(y):
        own, number = _mean(values[y == label])
        between += np.nansum(number * (own - mean) ** 2, axis=0)
    total = np.nansum((values - mean) ** 2, axis=(0, 1))
    share = np.divide(between, total, out=np.zeros_like(between), where=total > 0)
    return sorted(np.argsort(-share, kind="stable")[:_FEATURES].tolist())


def mean_and_error(values: Array) -> tuple[Array, Array]:
    """Return the mean over the examples and its standard error, leaving NaN out.

    Args:
        values: float64 (num_examples, ...), NaN where an example has no value.

    Returns:
        Two float64 (...): the mean, NaN where no example has a value, and its standard error, NaN
        where fewer than two have one.
    """
    mean, number = _mean(values)
    squares = np.nansum((values - mean) ** 2, axis=0)
    variance = squares / np.maximum(number - 1, 1)
    return mean, np.where(number > 1, np.sqrt(variance / np.maximum(number, 1)), np.nan)


def _mean(values: Array) -> tuple[Array, Array]:
    """Return the mean over the examples that have a value, and how many have one."""
    number = (~np.isnan(values)).sum(axis=0)
    mean = np.where(number > 0, np.nansum(values, axis=0) / np.maximum(number, 1), np.nan)
    return mean, number


def _draw_mean(axes: Axes, values: Array, index: int) -> None:
    """Draw the mean curve of a group, the first, second or third, with its standard error."""
    mean, error = mean_and_error(values)
    steps, colour = np.arange(1, len(mean) + 1), COLOURS[index]
    axes.plot(steps, mean, LINES[index], color=colour, linewidth=1.4, marker=".", markersize=2.5,
              label=_HEADS[index].replace("\n", " "))  # fmt: skip
    axes.fill_between(steps, mean - error, mean + error, color=colour, alpha=0.25, linewidth=0)


def _text_rows(confusions: Confusions, dataset: SequenceDataset, part: str) -> Figure:
    """Draw a block a pair with three lists: its mistakes, and right examples of both classes."""
    rows = _rows(confusions, class_labels(dataset.class_names), " ")
    x, confidence = dataset.splits[part].x, confusions.predictions.confidence
    blocks = [
        [
            [
                (
                    f"{index}:",
                    shown_text(dataset, x[index], _LETTERS),
                    f"{confidence[index]:.2f}{times}",
                )
                for index, times in _distinct(x, group)
            ]
            for group in (row.mistakes, row.true, row.predicted)
        ]
        for row in rows
    ]
    texts = [text for block in blocks for lists in block for _, text, _ in lists]
    longest = max(text_inches(row.label, 11) for row in rows)  # 10 points, but bold
    width = max(max(map(text_inches, texts)) + 2, 2.4, longest / 3)
    heights = [3.2 + max(map(len, block)) for block in blocks]
    figure = new_figure(3 * width, 0.22 * sum(heights) + 0.6)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(0, 3 * width)
    axes.set_ylim(sum(heights) - 1.2, -1)
    for number, (row, block) in enumerate(zip(rows, blocks, strict=True)):
        _draw_block(axes, row, block, sum(heights[:number]), width)
    figure.suptitle(
        f"{_heading(confusions, part)}\nthe most confident of each: index, text, confidence "
        "(× how often)",
        fontsize=10,
    )
    return figure


def _distinct(x: Array, group: Array) -> list[tuple[int, str]]:
    """Return the first examples of a group that differ, and how often each comes if not once."""
    often = Counter(x[index].tobytes() for index in group)
    first: dict[bytes, int] = {}
    for index in group:
        first.setdefault(x[index].tobytes(), int(index))
    return [
        (index, f" (×{often[tokens]})" if often[tokens] > 1 else "")
        for tokens, index in list(first.items())[:_EXAMPLES]
    ]


def _draw_block(
    axes: Axes, row: _Row, block: Sequence[Sequence[tuple[str, str, str]]], top: float, width: float
) -> None:
    """Draw each cell on its own, so that text from right to left turns no number round."""
    axes.text(0, top, row.label, va="center", weight="bold")
    sizes = (len(row.mistakes), len(row.true), len(row.predicted))
    heads = ("mistakes", "true class, right", "predicted class, right")
    for column, (lines, head, size) in enumerate(zip(block, heads, sizes, strict=True)):
        left = column * width
        axes.text(left, top + 1, f"{head} ({size:,})", va="center", color="#595959", fontsize=9)
        for number, (index, text, confidence) in enumerate(lines, start=2):
            axes.text(left + 0.5, top + number, index, va="center", ha="right", color="#595959")
            axes.text(left + 0.6, top + number, text, va="center")
            axes.text(left + width - 1.2, top + number, confidence, va="center")
