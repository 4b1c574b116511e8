"""Which steps speak for a class and against another, as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rnnprobe.datasets._layout import to_picture
from rnnprobe.inspection._step_means import StepMeans, in_front, mean_and_reach, step_means
from rnnprobe.inspection.attribution import Attribution
from rnnprobe.inspection.explanation import Explanation
from rnnprobe.records import Array, Bounds, SequenceDataset
from rnnprobe.reports._attribution import token_texts
from rnnprobe.reports._common import counted
from rnnprobe.reports._confusion_figures import class_labels, text_inches
from rnnprobe.reports._figures import (
    BLUE,
    ORANGE,
    draw_picture,
    new_figure,
    plain,
    whole_ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIGNED = "RdBu_r"
_MOST_BARS = 60
_MOST_ROWS = 12
_MOST_CELLS = 40
_ROOM, _GAP = 5.4, 0.04  # inches
_WIDE = 6.4  # inches
_INK = "#404040"
_SMALL = 10


def attribution_figure(
    explanation: Explanation, dataset: SequenceDataset, part: str, title: str
) -> Figure:
    """Draw what each step adds to the logit of one class over that of another.

    Pictures are drawn beside the maps of both methods and bars a step; other values as maps of
    features by steps; tokens as bars with their texts, and for a pair some mistakes in colours.

    Args:
        explanation: What `explain_example` or `explain_pair` returned.
        dataset: The data.
        part: The part of the data set.
        title: What was probed.
    """
    x = dataset.splits[part].x[explanation.indices]
    if dataset.kind == "tokens":
        figure = _token_figure(explanation, dataset, x)
    elif dataset.image_shape is not None and dataset.layout is not None:
        figure = _picture_figure(explanation, dataset, x)
    else:
        figure = _value_figure(explanation, dataset, x)
    figure.suptitle("\n".join(_heading(explanation, dataset, part, title)), fontsize=_SMALL)
    return figure


def _heading(
    explanation: Explanation, dataset: SequenceDataset, part: str, title: str
) -> list[str]:
    labels = class_labels(dataset.class_names)
    first, second = labels[explanation.first], labels[explanation.second]
    lines = [
        f"f = logit of {first} − logit of {second}",
        f"above 0 speaks for {first}, below 0 for {second}",
    ]
    number = len(explanation.indices)
    if explanation.total is None:
        index = int(explanation.indices[0])
        true = labels[dataset.splits[part].y[index]]
        what = [f"example {index} of the {part} part, of class {true}"]
        what.append(f"f(x) = {explanation.found.value[0]:.2f}")
    else:
        drawn = "" if number == explanation.total else f", drawn from {explanation.total:,}"
        what = [f"{counted(number, 'mistake')}, {first} taken for {second}, {part} part{drawn}"]
        what += ["means with 95 % t intervals, each by itself"] * (number > 1)
    return [plain(title, 80), *_joined(lines), *_joined(what)]


def _joined(lines: list[str]) -> list[str]:
    """Return lines as one where there is room for it."""
    together = "; ".join(lines)
    return [together] if text_inches(together, _SMALL) < _WIDE else lines


def _of(explanation: Explanation, what: str, gap: str = " ") -> str:
    number = len(explanation.indices)
    return what if explanation.total is None else f"{what},{gap}mean of {number:,}"


def _picture_figure(explanation: Explanation, dataset: SequenceDataset, x: Array) -> Figure:
    """Draw the picture and both maps, with the steps' bars along the rows that they are."""
    height, width, _ = dataset.image_shape or (1, 1, 1)
    beside = dataset.layout == "rows"
    columns, ratio = 3 + beside, height / width
    tall = float(np.clip((2.0 if beside else 2.6) * ratio, 1.2, 5))
    figure = new_figure(8.2, tall + 2.2 + 2.4 * (not beside))
    ratios = [tall, 0.12] + [1.9] * (not beside)
    spec = figure.add_gridspec(len(ratios), columns, height_ratios=ratios)
    cells = [figure.add_subplot(spec[0, column]) for column in range(columns)]
    draw_picture(cells[0], x.mean(axis=0), dataset, dataset.bounds or Bounds(0, 1))
    what = "the example" if explanation.total is None else "the mistakes"
    cells[0].set_title(_of(explanation, what, "\n"), fontsize=_SMALL)
    found = explanation.found
    maps = (
        (found.integrated, "integrated gradients", "logits"),
        (found.smooth, "SmoothGrad", "logits per unit\nof the data"),
    )
    for column, (values, name, unit) in enumerate(maps, 1):
        image = _draw_map(cells[column], values.mean(axis=0, dtype=np.float64), dataset)
        cells[column].set_title(_of(explanation, name, "\n"), fontsize=_SMALL)
        _colour_bar(figure, image, spec[1, column], unit, "horizontal")
    means, reach = mean_and_reach(found.steps)
    steps = np.arange(1, len(means) + 1)
    if beside:
        _draw_sums(cells[3], steps, means, reach, upright=False)
        cells[3].set_box_aspect(ratio)
        cells[3].set_title("integrated gradients\nby row, their sum", fontsize=_SMALL)
    else:
        below = figure.add_subplot(spec[2, :])
        _draw_sums(below, steps, means, reach)
        below.set_title("integrated gradients by step, their sum", fontsize=_SMALL)
    return figure


def _draw_map(axes: Axes, values: Array, dataset: SequenceDataset) -> Any:
    """Draw attributions as the picture they belong to, summed over its colours."""
    shown = to_picture(values, dataset.image_shape or (0, 0, 0), dataset.layout or "").sum(axis=2)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color("#D0D0D0")
    return axes.imshow(shown, cmap=_SIGNED, **_centred(shown))


def _centred(values: Array) -> dict[str, Any]:
    most = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    return {"vmin": -most, "vmax": most}


def _colour_bar(figure: Figure, image: Any, place: Any, label: str, orientation: str) -> None:
    bar = figure.colorbar(image, cax=figure.add_subplot(place), orientation=orientation)
    bar.set_label(label, fontsize=_SMALL)
    bar.ax.tick_params(labelsize=_SMALL)
    bar.ax.locator_params(nbins=4)


def _draw_sums(
    axes: Axes, steps: Array, means: Array, reach: Array, *, upright: bool = True
) -> None:
    """Draw a bar a step with its interval, or a line and a band where there are many."""
    colours = np.where(means < 0, BLUE, ORANGE)
    known = ~np.isnan(reach)
    zero, label = (axes.axhline, axes.set_ylabel) if upright else (axes.axvline, axes.set_xlabel)
    if upright and len(steps) > _MOST_BARS:
        filled = np.nan_to_num(reach)
        axes.fill_between(
            steps, means - filled, means + filled, step="mid", color="#BBBBBB", linewidth=0
        )
        axes.step(steps, means, where="mid", color=_INK, linewidth=1)
    elif upright:
        axes.bar(steps, means, 0.8, color=colours)
        axes.errorbar(steps[known], means[known], yerr=reach[known], fmt="none",
                      ecolor=_INK, elinewidth=1, capsize=2)  # fmt: skip
    else:
        axes.barh(steps, means, 0.8, color=colours)
        axes.errorbar(means[known], steps[known], xerr=reach[known], fmt="none",
                      ecolor=_INK, elinewidth=0.8, capsize=1)  # fmt: skip
    zero(0, color="black", linewidth=0.8)
    label("logits", fontsize=_SMALL)
    ends = steps[0] - 0.5, steps[-1] + 0.5
    if upright:
        axes.set_xlim(*ends)
        axes.set_xlabel("step", fontsize=_SMALL)
    else:
        axes.set_ylim(*ends[::-1])
        axes.locator_params(axis="x", nbins=5)
        axes.set_ylabel("step (row)", fontsize=_SMALL)
    axes.tick_params(labelsize=_SMALL)
    axes.grid(alpha=0.3, axis="y" if upright else "x")
    axes.set_axisbelow(True)


def _value_figure(explanation: Explanation, dataset: SequenceDataset, x: Array) -> Figure:
    """Draw both maps of features by steps above the bars; one feature alone as a curve."""
    from matplotlib.ticker import MaxNLocator

    found = explanation.found
    num_features = x.shape[2]
    height = float(np.clip(0.22 * num_features, 0.9, 2.6))
    heights = [1.5, 2.0] if num_features == 1 else [height, height, 2.0]
    figure = new_figure(8.2, sum(heights) + 0.55 * len(heights) + 1.0)
    spec = figure.add_gridspec(len(heights), 2, height_ratios=heights, width_ratios=[1, 0.025])
    cells = [figure.add_subplot(spec[0, 0])]
    cells += [figure.add_subplot(spec[i, 0], sharex=cells[0]) for i in range(1, len(heights))]
    means = step_means(found)
    length = len(means.first)
    if num_features == 1:
        _draw_curve(cells[0], explanation, in_front(x[:, :, 0], found.counted)[:, :length])
    else:
        maps = (
            (found.integrated, "integrated gradients", "logits"),
            (found.smooth, "SmoothGrad", "logits per\nunit of the data"),
        )
        for row, (values, name, unit) in enumerate(maps):
            mean, _ = mean_and_reach(in_front(values.astype(np.float64), found.counted))
            shown = mean[:length].T
            extent = (0.5, length + 0.5, num_features - 0.5, -0.5)
            image = cells[row].imshow(
                shown, cmap=_SIGNED, aspect="auto", extent=extent, interpolation="nearest",
                **_centred(shown),
            )  # fmt: skip
            cells[row].set_title(_of(explanation, name), fontsize=_SMALL)
            cells[row].set_ylabel("feature", fontsize=_SMALL)
            cells[row].yaxis.set_major_locator(MaxNLocator(integer=True))
            cells[row].tick_params(labelsize=_SMALL, labelbottom=False)
            _colour_bar(figure, image, spec[row, 1], unit, "vertical")
    _draw_sums(cells[-1], means.first, means.integrated, means.integrated_reach)
    cells[-1].set_title("integrated gradients by step, summed over the features", fontsize=_SMALL)
    _mark_counts(cells[-1], means)
    return figure


def _draw_curve(axes: Axes, explanation: Explanation, x: Array) -> None:
    mean, reach = mean_and_reach(x)
    steps = np.arange(1, len(mean) + 1)
    reach = np.nan_to_num(reach)
    axes.fill_between(steps, mean - reach, mean + reach, color="#BBBBBB", linewidth=0)
    axes.plot(steps, mean, color=_INK, linewidth=1, marker="." if len(mean) < 80 else "")
    axes.set_ylabel("units of the data", fontsize=_SMALL)
    axes.tick_params(labelsize=_SMALL, labelbottom=False)
    axes.grid(alpha=0.3)
    axes.set_title(_of(explanation, "the values"), fontsize=_SMALL)


def _mark_counts(axes: Axes, means: StepMeans) -> None:
    """Write below each step how many examples have it, where that differs."""
    if len(set(means.number.tolist())) == 1:
        low, high = axes.get_xlim()
        whole_ticks(axes)
        axes.set_xlim(low, high)
        return
    every = -(-len(means.first) // 15)
    axes.set_xticks(
        means.first[::every],
        [f"{s}\n{n}" for s, n in zip(means.first[::every], means.number[::every], strict=True)],
    )
    axes.set_xlabel("step, and how many of the mistakes have it", fontsize=_SMALL)


def _token_figure(explanation: Explanation, dataset: SequenceDataset, x: Array) -> Figure:
    """Draw the bars of both methods; the texts are their labels, or rows below them."""
    found = explanation.found
    means = step_means(found)
    of_pair = explanation.total is not None
    number = len(means.first)
    texts = [plain(t, 8) for t in token_texts(dataset, x[0][found.counted[0]])]
    turned = max(map(len, texts)) > 2
    rows = _strongest(found) if of_pair else []
    heights = [1.9, 1.9] + ([0.3 + 0.25 * len(rows)] if rows else [])
    figure = new_figure(6.5 if number <= 24 else 8.2, sum(heights) + 2.0 + 0.4 * len(rows[:1]))
    spec = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    upper = figure.add_subplot(spec[0])
    lower = figure.add_subplot(spec[1], sharex=upper)
    smooth_reach = means.smooth_reach if of_pair else 1.96 * means.smooth_error
    _draw_sums(upper, means.first, means.integrated, means.integrated_reach)
    _draw_sums(lower, means.first, means.smooth, smooth_reach)
    upper.set_title(_of(explanation, "integrated gradients"), fontsize=_SMALL)
    error = "" if of_pair else ", ± 1.96 Monte Carlo errors"
    lower.set_title(_of(explanation, "SmoothGrad × input") + error, fontsize=_SMALL)
    upper.set_xlabel("")
    upper.tick_params(labelbottom=False)
    if of_pair:
        _mark_counts(lower, means)
        _draw_texts(figure, figure.add_subplot(spec[2]), explanation, dataset, x, rows)
    elif number <= _MOST_BARS:
        lower.set_xticks(means.first, texts, rotation=90 if turned else 0, fontsize=_SMALL)
        lower.set_xlabel("token", fontsize=_SMALL)
    return figure


def _strongest(found: Attribution) -> list[int]:
    """Return which mistakes to show: those with the lowest f(x) first."""
    return np.argsort(found.value, kind="stable")[:_MOST_ROWS].tolist()  # type: ignore[no-any-return]


def _draw_texts(
    figure: Figure,
    axes: Axes,
    explanation: Explanation,
    dataset: SequenceDataset,
    x: Array,
    rows: list[int],
) -> None:
    """Draw a mistake a row and a token a cell, coloured by its attribution."""
    found = explanation.found
    values = in_front(found.steps[rows], found.counted[rows])
    texts = [
        [plain(text, 8) for text in token_texts(dataset, x[row][found.counted[row]])]
        for row in rows
    ]
    room = int(_ROOM / (_GAP + max(text_inches(text, _SMALL) for line in texts for text in line)))
    cells = min(max(map(len, texts)), _MOST_CELLS, max(room, 1))
    sizes = np.nansum(np.abs(values), axis=0)
    sums = np.convolve(sizes, np.ones(cells), "valid")
    start = int(sums.argmax())
    values = values[:, start : start + cells]
    limits = _centred(values)
    image = axes.imshow(values, cmap=_SIGNED, aspect="auto", **limits)
    for place in range(len(rows)):
        for step, text in enumerate(texts[place][start : start + cells]):
            strong = abs(values[place, step]) > 0.6 * limits["vmax"]
            axes.text(step, place, text, ha="center", va="center", fontsize=_SMALL,
                      color="white" if strong else "black")  # fmt: skip
    labels = [f"{explanation.indices[row]}: f = {found.value[row]:.2f}" for row in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=_SMALL)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    shown = "all" if len(rows) == len(found.value) else f"the {len(rows)} with the lowest f(x)"
    cut = f", steps {start + 1} to {start + cells}" if max(map(len, texts)) > cells else ""
    axes.set_title(f"mistakes ({shown}{cut}), index: f(x)", fontsize=_SMALL)
    bar = figure.colorbar(image, ax=axes, pad=0.01, fraction=0.03)
    bar.set_label("logits", fontsize=_SMALL)
    bar.ax.tick_params(labelsize=_SMALL)
