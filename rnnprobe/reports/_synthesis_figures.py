"""The picture of `rnnprobe synthesize`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rnnprobe.attacks._synthesis_study import ClassSynthesis
from rnnprobe.records import Array, Bounds, SequenceDataset
from rnnprobe.reports._figures import draw_picture, new_figure, plain, whole_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHOWN = 8
_MOST_FEATURES = 6  # that a legend can name


def synthesis_figure(study: ClassSynthesis, dataset: SequenceDataset) -> Figure:
    """Draw the eight best starts: noise, or source and change, and what became of it.

    Pictures are drawn as such, other sequences as curves over the steps, one a feature.
    """
    shown = study.result.ranking(study.target)[:_SHOWN].tolist()
    if dataset.image_shape is None or dataset.layout is None:
        return _curves(study, dataset, shown)
    if study.source is None:
        return _from_noise(study, dataset, shown)
    return _close_to_source(study, dataset, shown)


def _heading(study: ClassSynthesis, dataset: SequenceDataset) -> str:
    name = plain(dataset.class_names[study.target])
    made, total = int(study.result.converged.sum()), len(study.result.x)
    how = "from noise"
    if study.source is not None:
        own = plain(dataset.class_names[int(dataset.test.y[study.source])])
        how = f"close to test example {study.source}, class {own}"
    return f"Taken for class {name}, {how}: {made} of {total} starts converged"


def _caption(study: ClassSynthesis, dataset: SequenceDataset, start: int) -> str:
    """Return the start and its probability of the target, and of the source's class."""
    chances = study.result.probabilities[start]
    lines = [f"start {start}" + ("" if study.result.converged[start] else ", not sure")]
    shown = [study.target]
    if study.source is not None:
        shown.append(int(dataset.test.y[study.source]))
    lines += [_chance(dataset, index, float(chances[index])) for index in shown]
    return "\n".join(lines)


def _chance(dataset: SequenceDataset, index: int, probability: float) -> str:
    return f"{plain(dataset.class_names[index])}: {probability:.3f}"


def _from_noise(study: ClassSynthesis, dataset: SequenceDataset, shown: list[int]) -> Figure:
    figure = new_figure(max(1.4 * len(shown) + 0.3, 5), 3.6)
    grid = figure.subplots(2, len(shown), squeeze=False)
    for column, start in enumerate(shown):
        draw_picture(grid[0, column], study.result.noise[start], dataset, study.bounds)
        draw_picture(grid[1, column], study.result.x[start], dataset, study.bounds)
        grid[1, column].set_title(_caption(study, dataset, start), fontsize=8)
    grid[0, 0].set_ylabel("noise", fontsize=9)
    grid[1, 0].set_ylabel("result", fontsize=9)
    figure.suptitle(_heading(study, dataset), fontsize=10)
    return figure


def _close_to_source(study: ClassSynthesis, dataset: SequenceDataset, shown: list[int]) -> Figure:
    figure = new_figure(max(1.4 * (len(shown) + 1) + 1, 5), 3.7)
    grid = figure.subplots(2, len(shown) + 1, squeeze=False)
    source: Array = dataset.test.x[study.source]
    draw_picture(grid[0, 0], source, dataset, study.bounds)
    grid[0, 0].set_title(f"source\n{_before(study, dataset)}", fontsize=8)
    grid[1, 0].set_axis_off()
    changes = study.result.x[shown] - source
    most = float(np.abs(changes).max()) or 1.0
    image: Any = None
    for column, (start, change) in enumerate(zip(shown, changes, strict=True), start=1):
        draw_picture(grid[0, column], study.result.x[start], dataset, study.bounds)
        grid[0, column].set_title(_caption(study, dataset, start), fontsize=8)
        image = draw_picture(grid[1, column], change, dataset, Bounds(-most, most), signed=True)
    grid[0, 1].set_ylabel("result", fontsize=9)
    grid[1, 1].set_ylabel("change", fontsize=9)
    if image is not None:
        figure.colorbar(image, ax=grid[1, :].tolist(), shrink=0.9, pad=0.01).ax.tick_params(
            labelsize=7
        )
    figure.suptitle(_heading(study, dataset), fontsize=10)
    return figure


def _before(study: ClassSynthesis, dataset: SequenceDataset) -> str:
    """Return what the model says of the source, in the order of `_caption`."""
    chances = study.source_probabilities
    if chances is None:
        return ""
    shown = (study.target, int(dataset.test.y[study.source]))
    return "\n".join(_chance(dataset, index, float(chances[index])) for index in shown)


def _curves(study: ClassSynthesis, dataset: SequenceDataset, shown: list[int]) -> Figure:
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    figure = new_figure(max(2.8 * columns, 5), 2.4 * rows + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    mask = np.ones(study.result.x.shape[1], bool)
    if study.source is not None and dataset.test.mask is not None:
        mask = dataset.test.mask[study.source]
    for axes, start in zip(grid.flat, shown, strict=False):
        before = study.result.noise[start]
        if study.source is not None:
            before = dataset.test.x[study.source]
        both = (before, study.result.x[start])
        _draw_curves(axes, *(np.where(mask[:, None], x, np.nan) for x in both))
        axes.set_title(_caption(study, dataset, start).replace("\n", "; "), fontsize=8)
    figure.supxlabel("step", fontsize=8)
    if study.result.x.shape[2] <= _MOST_FEATURES:
        lines, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(lines, labels, loc="outside right upper", fontsize=7, frameon=False)
    dashed = "source" if study.source is not None else "noise"
    figure.suptitle(f"{_heading(study, dataset)} (dashed: {dashed})", fontsize=10)
    return figure


def _draw_curves(axes: Axes, before: Array, after: Array) -> None:
    steps = np.arange(1, len(after) + 1)
    for feature in range(after.shape[1]):
        (line,) = axes.plot(steps, after[:, feature], linewidth=1.3, label=f"feature {feature}")
        axes.plot(
            steps,
            before[:, feature],
            linewidth=0.8,
            linestyle="--",
            color=line.get_color(),
            alpha=0.6,
        )
    axes.tick_params(labelsize=6)
    whole_ticks(axes)
