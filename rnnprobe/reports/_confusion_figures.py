"""Pictures of what a classifier gets wrong: the matrix, the mistakes, and how sure it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING
from unicodedata import bidirectional, east_asian_width

import numpy as np

from rnnprobe.confusions.calibration import Calibration
from rnnprobe.confusions.pairs import Confusions
from rnnprobe.records import Array, Bounds, SequenceDataset
from rnnprobe.reports._figures import BLUE, GREY, ORANGE, draw_picture, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


GREEN = "#009E73"  # Okabe and Ito's, beside blue and orange
COLOURS, LINES = (BLUE, ORANGE, GREEN), ("-", "--", "-.")

_MOST_CLASSES = 20
_MOST_CURVES = 3
_GALLERY, _CURVE_GALLERY = 24, 12
_HIT = "#E6E6E6"
_LEFT_TO_RIGHT = "\u200e"
"""Unicode's mark after a name from right to left, which keeps a number behind it in its place."""


def class_labels(names: Sequence[str], longest: int = 24) -> list[str]:
    """Return class names as a picture shows them: cut where they are long, and still distinct.

    Names that begin alike keep both their ends; those that even so are alike get their index.

    Example:
        >>> class_labels(["sea trout of the north", "sea trout of the south", "eel"], 13)
        ['sea tr… north', 'sea tr… south', 'eel']
    """
    shown = [plain(name, longest) for name in names]
    alike = Counter(shown)
    head, tail = longest // 2, longest - longest // 2 - 1
    for index, name in enumerate(names):
        if alike[shown[index]] > 1 and len(name) > longest:
            shown[index] = plain(f"{name[:head]}…{name[-tail:]}", longest)
    alike = Counter(shown)
    shown = [f"{i}: {label}" if alike[label] > 1 else label for i, label in enumerate(shown)]
    return [label + _LEFT_TO_RIGHT * (bidirectional(label[-1:]) in ("R", "AL")) for label in shown]


def text_inches(text: str, points: float = 10) -> float:
    """Return about how wide a text is drawn, rather too much than too little.

    Example:
        >>> text_inches("lilac", 9) < text_inches("lilac", 10) < text_inches("MAMMA", 10)
        True
    """
    wide = sum(c in "MWmw%^@…~+<=>×" or east_asian_width(c) in "WF" for c in text)
    return points / 72 * (0.64 * (len(text) - wide) + wide)


def message_figure(message: str) -> Figure:
    """Return a small figure that says why there is nothing to draw."""
    figure = new_figure(5, 1.5)
    figure.text(0.5, 0.5, message, ha="center", va="center")
    return figure


def confusion_matrix_figure(confusions: Confusions, title: str) -> Figure:
    """Draw the matrix: counts, the mistakes shaded by their share of the true class.

    With more than 20 classes only those of the most frequent pairs are drawn.
    """
    matrix, shown = confusions.matrix, _shown_classes(confusions)
    counts, support = matrix[np.ix_(shown, shown)], matrix.sum(axis=1)[shown]
    labels = class_labels([confusions.predictions.class_names[index] for index in shown])
    cell = max(0.46, 0.12 + 0.105 * len(f"{counts.max():,}"), 2.4 / len(shown))
    names = max(map(text_inches, labels))
    upright = names > cell - 0.1
    width = max(5.4, cell * len(shown) + names + 2.4)
    height = cell * len(shown) + (names if upright else 0.2) + 1.1
    figure = new_figure(width, height)
    axes = figure.add_subplot()
    shares = counts / np.maximum(support, 1)[:, np.newaxis]
    _draw_cells(figure, axes, counts, shares)
    axes.set_xticks(range(len(shown)), labels, rotation=90 if upright else 0)
    rows = [f"{label} ({number:,})" for label, number in zip(labels, support, strict=True)]
    axes.set_yticks(range(len(shown)), rows)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class (its examples)")
    low, high = confusions.interval
    lines = [
        plain(title, int(width / text_inches("n"))),
        f"accuracy {confusions.accuracy:.4f} [{low:.4f}, {high:.4f}] (95 %), "
        f"n = {confusions.total:,}",
        *_what_is_left_out(confusions, counts),
    ]
    figure.suptitle("\n".join(lines), fontsize=10)
    return figure


def _draw_cells(figure: Figure, axes: Axes, counts: Array, shares: Array) -> None:
    """Draw hits on grey, nothing on white, and mistakes by a perceptually uniform scale."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    hits = np.eye(len(counts), dtype=bool)
    mistaken = ~hits & (counts > 0)
    top = float(shares[mistaken].max(initial=0))
    scale = ListedColormap(matplotlib.colormaps["magma_r"](np.linspace(0, 0.8, 256)))
    image = axes.imshow(np.where(mistaken, shares, np.nan), cmap=scale, vmin=0, vmax=top or 1)
    axes.imshow(np.where(hits, 0, np.nan), cmap=ListedColormap([_HIT]))
    edges = np.arange(len(counts) + 1) - 0.5
    axes.hlines(edges, edges[0], edges[-1], color="#D0D0D0", linewidth=0.5)
    axes.vlines(edges, edges[0], edges[-1], color="#D0D0D0", linewidth=0.5)
    for row, column in np.argwhere(mistaken | hits):
        behind = image.to_rgba(shares[row, column])[:3] if row != column else np.ones(3)
        colour = "black" if _luminance(np.asarray(behind)) > 0.179 else "white"
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center",
                  color=colour, fontsize=11)  # fmt: skip
    if top:
        figure.colorbar(image, ax=axes, label="share of the true class", aspect=25, pad=0.02)


def _luminance(rgb: Array) -> float:
    """Return the relative luminance of WCAG 2; above 0.179 black is easier to read than white."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _what_is_left_out(confusions: Confusions, counts: Array) -> list[str]:
    num_classes, mistakes = len(confusions.matrix), len(confusions.mistakes)
    if not mistakes:
        return ["no mistakes"]
    if len(counts) == num_classes:
        return []
    inside = int(counts.sum() - np.trace(counts))
    return [
        f"the {len(counts)} of {num_classes} classes of the most frequent pairs",
        f"{inside:,} of {mistakes:,} mistakes",
    ]


def _shown_classes(confusions: Confusions) -> list[int]:
    num_classes = len(confusions.predictions.class_names)
    if num_classes <= _MOST_CLASSES:
        return list(range(num_classes))
    chosen: set[int] = set()
    for pair in confusions.pairs:
        if len(chosen | {pair.true, pair.predicted}) > _MOST_CLASSES:
            break
        chosen |= {pair.true, pair.predicted}
    return sorted(chosen) or list(range(_MOST_CLASSES))


def gallery_figure(confusions: Confusions, dataset: SequenceDataset, part: str) -> Figure:
    """Draw the most confident mistakes: pictures, texts, or curves over the steps."""
    if not confusions.mistakes:
        return message_figure("no mistakes")
    predictions, labels = confusions.predictions, class_labels(dataset.class_names)
    pictures = dataset.image_shape is not None
    most = _GALLERY if pictures or dataset.kind == "tokens" else _CURVE_GALLERY
    chosen = list(confusions.mistakes[:most])
    which = f"{_how_many(len(chosen), len(confusions.mistakes))}, {part} part"
    rows = [
        (
            str(index),
            f"{predictions.confidence[index]:.2f}",
            labels[predictions.y[index]],
            labels[predictions.predicted[index]],
        )
        for index in chosen
    ]
    if dataset.kind == "tokens":
        x = dataset.splits[part].x
        texts = [shown_text(dataset, x[index]) for index in chosen]
        return _text_table(texts, rows, which)
    captions = [f"{row[0]}: {row[1]}\ntrue {row[2]}\ntaken for {row[3]}" for row in rows]
    heading = f"{which}\nindex: confidence, true class, predicted class"
    if pictures:
        return _picture_grid(dataset, part, chosen, captions, heading)
    return _curve_grid(dataset, part, chosen, captions, heading)


def _how_many(shown: int, total: int) -> str:
    if total == 1:
        return "the only mistake"
    if shown == total:
        return f"all {total} mistakes, the most confident first"
    return f"the {shown} most confident of {total:,} mistakes"


def shown_text(dataset: SequenceDataset, x: Array, longest: int = 32) -> str:
    """Return the text of one example's tokens as a picture shows it."""
    return plain(dataset.text(x), longest) or "(empty)"


def _text_table(texts: Sequence[str], rows: Sequence[Sequence[str]], which: str) -> Figure:
    """Draw one line a mistake, each cell on its own, so that no writing turns the others round."""
    heads = ("index", "text", "true class", "predicted class", "confidence")
    lines = [
        (index, text, true, predicted, confidence)
        for text, (index, confidence, true, predicted) in zip(texts, rows, strict=True)
    ]
    columns = zip(heads, *lines, strict=True)
    widths = [max(map(text_inches, column)) + 0.3 for column in columns]
    figure = new_figure(sum(widths), 0.7 + 0.24 * len(lines))
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(0, sum(widths))
    axes.set_ylim(len(lines) - 0.4, -1.6)
    for column, head in enumerate(heads):
        x = sum(widths[:column])
        axes.text(x, -1, head, color="#595959", va="center")
        for row, line in enumerate(lines):
            axes.text(x, row, line[column], va="center")
    figure.suptitle(which, fontsize=10)
    return figure


def _picture_grid(
    dataset: SequenceDataset,
    part: str,
    chosen: Sequence[int],
    captions: Sequence[str],
    heading: str,
) -> Figure:
    lines = [line for caption in captions for line in caption.split("\n")]
    width = max(1.3, max(text_inches(line, 9) for line in lines) + 0.1)
    columns = min(int(8.4 / width), len(chosen))
    rows = -(-len(chosen) // columns)
    figure = new_figure(max(width * columns, 4.4), 1.85 * rows + 0.5)
    for position, (index, caption) in enumerate(zip(chosen, captions, strict=True), start=1):
        axes = figure.add_subplot(rows, columns, position)
        draw_picture(axes, dataset.splits[part].x[index], dataset, dataset.bounds or Bounds(0, 1))
        axes.set_title(caption, fontsize=9, pad=3)
    figure.suptitle(heading, fontsize=10)
    return figure


def _curve_grid(
    dataset: SequenceDataset,
    part: str,
    chosen: Sequence[int],
    captions: Sequence[str],
    heading: str,
) -> Figure:
    """Draw sequences of values: a line a feature, or a map where there are many."""
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = new_figure(max(2.9 * columns, 4.4), 2.1 * rows + 0.8)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    values = counted_values(dataset, part)[chosen]
    reach = float(np.nanmin(values)), float(np.nanmax(values))
    image = None
    for axes, x, caption in zip(grid.flat, values, captions, strict=False):
        if values.shape[2] > _MOST_CURVES:
            image = axes.imshow(
                x.T,
                aspect="auto",
                interpolation="nearest",
                origin="lower",
                extent=(0.5, x.shape[0] + 0.5, -0.5, x.shape[1] - 0.5),  # steps count from 1
                vmin=reach[0],
                vmax=reach[1],
            )
        else:
            _draw_features(axes, x)
        axes.set_title(caption, fontsize=9, pad=3)
    for axes in grid.flat[len(chosen) :]:
        axes.set_axis_off()
    for axes in grid[-1]:
        axes.set_xlabel("step")
    figure.suptitle(heading, fontsize=10)
    figure.supylabel("feature" if image else "value (units of the data)", fontsize=10)
    if image:
        figure.colorbar(image, ax=grid, label="value (units of the data)", aspect=40)
    else:
        handles, names = grid.flat[0].get_legend_handles_labels()
        figure.legend(
            handles, names, loc="outside lower center", ncols=3, frameon=False, fontsize=9
        )
    return figure


def _draw_features(axes: Axes, x: Array) -> None:
    steps = np.arange(1, len(x) + 1)
    for feature, values in enumerate(x.T):
        axes.plot(steps, values, LINES[feature], color=COLOURS[feature], marker=".", markersize=3,
                  linewidth=1, label=f"feature {feature}")  # fmt: skip


def counted_values(dataset: SequenceDataset, part: str) -> Array:
    """Return float64 (num_examples, num_steps, num_features), NaN at the steps left out."""
    split = dataset.splits[part]
    x = np.asarray(split.x, dtype=np.float64)
    return x if split.mask is None else np.where(split.mask[:, :, np.newaxis], x, np.nan)


def reliability_figure(calibration: Calibration, title: str) -> Figure:
    """Draw accuracy against mean confidence, bin by bin, above the number of examples in each.

    The bars are 95 % Wilson intervals of the bins' accuracies.
    """
    figure = new_figure(5.8, 6.6)
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
    filled = calibration.counts > 0
    x, y = calibration.mean_confidence[filled], calibration.accuracy[filled]
    ends = np.array([interval for interval in calibration.intervals if interval is not None])
    reaches = np.abs(ends - y[:, np.newaxis]).T
    line = top.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.2)[0]
    bars = top.errorbar(x, y, reaches, fmt="o", color=BLUE, markersize=5, capsize=3, linewidth=1.2)
    low = min(float(calibration.edges[:-1][filled].min()), float(ends.min()))
    reach = (np.floor(10 * low) / 10 - 0.02, 1.02)  # a point at either end is whole
    top.set(xlim=reach, ylim=reach, ylabel="accuracy (share right)")
    top.grid(alpha=0.3)
    _draw_counts(below, calibration)
    figure.legend(
        [line, bars],
        ["as accurate as confident", "a bin, its 95 % interval"],
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=9,
    )
    lines = (
        f"{plain(title, 48)}, n = {int(calibration.counts.sum()):,}",
        f"expected calibration error {calibration.error:.4f} ({len(filled)} bins)",
        f"by chance alone {calibration.error_by_chance:.4f} on average, at most "
        f"{calibration.error_by_chance_high:.4f} in 95 %",
    )
    figure.suptitle("\n".join(lines), fontsize=10)
    return figure


def _draw_counts(axes: Axes, calibration: Calibration) -> None:
    counts, edges = calibration.counts, calibration.edges
    axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color="#56B4E9",
             edgecolor="white", linewidth=0.8)  # fmt: skip
    axes.set_xlabel("confidence (probability of the predicted class); above: its mean in the bin")
    axes.set_ylabel("examples")
    if counts.max() > 100 * counts[counts > 0].min():
        axes.set_yscale("log")
        axes.set_ylim(0.5, None)  # a bin of one example has a bar too
        axes.set_ylabel("examples (log)")
    axes.grid(alpha=0.3, axis="y")
    axes.set_axisbelow(True)
