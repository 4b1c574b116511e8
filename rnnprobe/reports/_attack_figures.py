"""Pictures of `rnnprobe attack`."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rnnprobe.attacks._classes import ClassPairs
from rnnprobe.attacks._run import Robustness, tolerance
from rnnprobe.attacks._study import TimeStudy
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Bounds, SequenceDataset
from rnnprobe.reports._figures import (
    BLUE,
    GREY,
    ORANGE,
    draw_picture,
    draw_values,
    new_figure,
    plain,
)
from rnnprobe.statistics import wilson_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_LINES = ("-", "--", "-.", ":")
_GALLERY_ROWS = 6


def security_figure(outcome: Robustness, title: str) -> Figure:
    """Draw robust accuracy against the radius, by attack and in the worst case."""
    figure = new_figure(6.5, 4.2)
    axes = figure.add_subplot()
    radii = np.array([0.0, *(budget.epsilon for budget in outcome.budgets)])
    targeted = outcome.targets is not None
    base = outcome.attacked if targeted else np.ones(len(outcome.right), bool)
    total = int(base.sum())
    curves = dict(outcome.nearest)
    if len(curves) > 1:
        curves["worst case"] = outcome.worst_nearest
    for index, (name, nearest) in enumerate(curves.items()):
        worst = name == "worst case"
        colour = "black" if worst else _COLOURS[index % len(_COLOURS)]
        attacks = outcome.attacks.values() if worst else (outcome.attacks[name],)
        minimal = any(getattr(attack, "finds_minimum", False) for attack in attacks)
        grid = np.linspace(0, radii[-1], 200) if minimal else radii
        staying = []
        for epsilon in grid:
            reach = epsilon + tolerance(replace(outcome.budgets[-1], epsilon=float(epsilon)))
            fallen = nearest <= reach
            counted = base & fallen if targeted else outcome.right & ~fallen
            staying.append(int(counted.sum()))
        shares = np.array(staying) / total
        axes.plot(
            grid,
            shares,
            color=colour,
            linewidth=(2.4 if worst else 1.4) if minimal else 0.6,
            linestyle=_LINES[index % len(_LINES)],
            marker=None if minimal else "o",
            markersize=4,
            label=name,
        )
        ends = np.array([wilson_interval(count, total) for count in staying])
        if minimal and (worst or len(curves) == 1):
            axes.fill_between(grid, ends[:, 0], ends[:, 1], color=GREY, alpha=0.3, linewidth=0)
        elif not minimal:  # between the radii nothing was measured, so there is no band
            reaches = np.abs(ends.T - shares)
            axes.errorbar(grid, shares, reaches, fmt="none", ecolor=colour, capsize=3)
    norm = outcome.budgets[0].norm
    unit = "replaced tokens" if norm == "edits" else f"epsilon ({norm}, units of the data)"
    axes.set_xlabel(unit)
    axes.set_ylabel("share taken for its target" if targeted else "robust accuracy")
    axes.set_ylim(0, 1.02)
    axes.set_xlim(0, radii[-1] * 1.02)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    axes.set_title(f"{plain(title)}: n = {total:,}, with 95 % intervals", fontsize=10)
    return figure


def attack_gallery(outcome: Robustness, model: Classifier, dataset: SequenceDataset) -> Figure:
    """Draw examples that were fooled: as they were, the change, and as they are now."""
    fooled = np.flatnonzero(outcome.worst[-1])
    if not len(fooled):
        figure = new_figure(5, 1.5)
        figure.text(0.5, 0.5, "no example was fooled", ha="center", va="center")
        return figure
    rows = fooled[np.unique(np.linspace(0, len(fooled) - 1, _GALLERY_ROWS).astype(int))]
    split = outcome.split
    given, changed = split.x[rows], outcome.examples[-1][rows]
    mask = None if split.mask is None else split.mask[rows]
    said = [_captions(model, x, mask, dataset) for x in (given, changed)]
    if dataset.kind == "tokens":
        return _token_gallery(dataset, rows, (given, changed), said, outcome)
    most = float(np.abs(changed - given).max()) or 1.0
    wide = dataset.image_shape is None
    figure = new_figure(9.6 if wide else 5.4, 1.85 * len(rows) + 0.4)
    for row, index in enumerate(rows):
        counted = None if mask is None else mask[row]
        change = changed[row] - given[row]
        shown = (given[row], change, changed[row])
        titles = (
            f"example {index}, class {plain(dataset.class_names[split.y[index]])}\n"
            f"taken for {said[0][row]}",
            f"change\nat most {np.abs(change).max():.3g}",
            f"attacked\ntaken for {said[1][row]}",
        )
        for place, (x, title) in enumerate(zip(shown, titles, strict=True)):
            axes = figure.add_subplot(len(rows), 3, 3 * row + place + 1)
            _draw(axes, x, counted, dataset, most if place == 1 else None)
            axes.set_title(title, fontsize=7)
    budget = outcome.budgets[-1]
    figure.suptitle(
        f"nearest that fools, within {budget.norm} {budget.epsilon:g}; change: {-most:.2g} blue "
        f"to {most:.2g} red",
        fontsize=9,
    )
    return figure


def _captions(
    model: Classifier, x: Array, mask: Array | None, dataset: SequenceDataset
) -> list[str]:
    logits = model.logits(x, mask).astype(np.float64)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    return [f"{plain(dataset.class_names[row.argmax()])}, {row.max():.2f}" for row in probabilities]


def _draw(
    axes: Axes, x: Array, mask: Array | None, dataset: SequenceDataset, most: float | None
) -> None:
    """Draw an example; or a change, where the largest one to be shown is given."""
    if dataset.image_shape is None or dataset.layout is None:
        draw_values(axes, x, mask)
        return
    bounds = dataset.bounds or Bounds(0, 1) if most is None else Bounds(-most, most)
    draw_picture(axes, x, dataset, bounds, signed=most is not None)


def _token_gallery(
    dataset: SequenceDataset,
    rows: Array,
    tokens: tuple[Array, Array],
    said: list[list[str]],
    outcome: Robustness,
) -> Figure:
    figure = new_figure(7.5, 0.6 + 0.5 * len(rows))
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_ylim(len(rows), -1)
    axes.set_xlim(0, 1)
    heads = ("example: true class", "as it was: taken for, confidence", "attacked")
    for x, head in zip((0, 0.28, 0.64), heads, strict=True):
        axes.text(x, -0.6, head, color=GREY, fontsize=9)
    for row, index in enumerate(rows):
        name = plain(dataset.class_names[outcome.split.y[index]])
        axes.text(0, row, f"{index}: {name}", va="center", fontsize=9)
        for x, texts, verdicts in zip((0.28, 0.64), tokens, said, strict=True):
            text = f"{plain(dataset.text(texts[row]))}: {verdicts[row]}"
            axes.text(x, row, text, va="center", fontsize=9)
    return figure


def time_figure(time: TimeStudy) -> Figure:
    """Draw success against the number of steps, and window by window beside the gradient."""
    figure = new_figure(10, 3.8)
    left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    for index, curve in enumerate(time.curves):
        shares = curve.fooled.mean(axis=1)
        ends = np.array([wilson_interval(int(f.sum()), len(f)) for f in curve.fooled])
        left.errorbar(
            curve.steps,
            shares,
            yerr=np.abs(ends.T - shares),
            color=_COLOURS[index],
            linestyle=_LINES[index % len(_LINES)],
            marker="os^D"[index % 4],
            markersize=4,
            capsize=2,
            label=curve.placement,
        )
    left.set_xscale("log", base=2)
    left.set_xticks(time.curves[0].steps, [str(number) for number in time.curves[0].steps])
    left.set_xlabel("steps that may change")
    left.set_ylabel("share fooled")
    left.set_ylim(0, None)
    left.legend(frameon=False, fontsize=8, title="which steps", title_fontsize=8)
    left.grid(alpha=0.3)
    scan = time.scan
    tried = np.maximum(scan.tried.sum(axis=1), 1)
    middle = scan.starts + (scan.width + 1) / 2
    shares = scan.fooled.sum(axis=1) / tried
    ends = np.array(
        [wilson_interval(int(f.sum()), max(int(t.sum()), 1))
         for f, t in zip(scan.fooled, scan.tried, strict=True)]
    )  # fmt: skip
    right.errorbar(middle, shares, np.abs(ends.T - shares), color=ORANGE, marker="o",
                   markersize=4, capsize=2, label="share fooled")  # fmt: skip
    right.set_ylabel("share fooled, and relative gradient")
    gains = scan.gains.mean(axis=0)
    right.bar(np.arange(1, len(gains) + 1), gains / gains.max(), color=BLUE, alpha=0.35, width=0.8,
              label="clean gradient (largest step = 1)")  # fmt: skip
    right.set_xlabel("step" if scan.width == 1 else f"step (middle of a window of {scan.width})")
    right.set_ylim(0, 1.02)
    right.legend(frameon=False, fontsize=8)
    right.grid(alpha=0.3)
    budget = time.budget
    figure.suptitle(f"{budget.norm} {budget.epsilon:g}, {len(time.rows)} examples", fontsize=10)
    return figure


def pairs_figure(pairs: ClassPairs, dataset: SequenceDataset) -> Figure:
    """Draw how near each class is to each other one, beside the natural confusions."""
    names = [plain(name) for name in dataset.class_names]
    size = max(4.2, 0.36 * len(names) + 1.6)
    figure = new_figure(2 * size + 1.6, size)
    off = ~np.eye(len(names), dtype=bool)
    if pairs.median is not None:
        shown = np.where(np.isfinite(pairs.median) & off, pairs.median, np.nan)
        first = ("median distance needed", shown, "viridis_r")
    else:
        shares = pairs.success / np.maximum(pairs.tried, 1)[:, np.newaxis]
        first = ("share reached by one edit", np.where(off, shares, np.nan), "viridis")
    support = np.maximum(pairs.confusions.sum(axis=1, keepdims=True), 1)
    budget = pairs.budget
    tried = int(pairs.tried.sum())
    figure.suptitle(f"{budget.norm} {budget.epsilon:g}, {tried} examples attacked", fontsize=10)
    second = ("share confused unprovoked", np.where(off, pairs.confusions / support, np.nan),
              "Oranges")  # fmt: skip
    for place, (label, values, colours) in enumerate((first, second), start=1):
        axes = figure.add_subplot(1, 2, place)
        axes.set_facecolor("#E6E6E6")
        top = float(np.nanmax(values)) if np.isfinite(values).any() else math.nan
        image = axes.imshow(values, cmap=colours, vmin=0, vmax=top or 1)
        axes.set_xticks(range(len(names)), names, rotation=90 if max(map(len, names)) > 2 else 0)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylabel("true class")
        axes.set_xlabel("target" if place == 1 else "predicted class")
        figure.colorbar(image, label=label, shrink=0.8)
    return figure
