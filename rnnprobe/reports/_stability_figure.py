"""The picture of `rnnprobe confusions` on several models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rnnprobe.confusions.stability import Stability, StablePair
from rnnprobe.reports._figures import BLUE, GREY, ORANGE, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = "osD^vP*Xdh"
_COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def stability_figure(
    stability: Stability,
    *,
    names: Sequence[str],
    title: str,
    same_settings: bool,
    top: int = 15,
) -> Figure:
    """Draw each pair's share of the true class: a mark for each model, the mean and its interval.

    Args:
        stability: What was found.
        names: The models' names.
        title: Of the picture.
        same_settings: As for `confusions_models_report`; decides what the interval covers, and
            the label says which it is.
        top: How many pairs, those of the largest mean count.
    """
    pairs = stability.pairs[:top]
    if not pairs:
        figure = new_figure(5, 1.5)
        figure.text(0.5, 0.5, "no mistakes", ha="center", va="center")
        return figure
    classes = [plain(name) for name in stability.predictions[0].class_names]
    figure = new_figure(8.5, 1.8 + 0.42 * len(pairs))
    axes = figure.add_subplot()
    for row, pair in enumerate(pairs):
        low, high = (same_settings and pair.interval_over_models) or pair.interval
        axes.plot((low, high), (row, row), color="#D8D8D8", linewidth=7, solid_capstyle="butt")
        axes.plot((pair.share, pair.share), (row - 0.3, row + 0.3), color=GREY, linewidth=2.5)
    _draw_marks(axes, pairs, names)
    labels = [f"{classes[pair.true]} taken for {classes[pair.predicted]}" for pair in pairs]
    axes.set_yticks(range(len(pairs)), labels)
    verdicts = axes.secondary_yaxis("right")
    verdicts.set_yticks(range(len(pairs)), [pair.verdict for pair in pairs])
    verdicts.tick_params(length=0)
    axes.set_ylim(len(pairs) - 0.5, -0.5)
    axes.set_xlim(left=-0.01)
    axes.grid(axis="x", alpha=0.3)
    over = "examples and seeds" if same_settings and len(names) > 2 else "examples"
    axes.set_xlabel(f"share of the true class (line: mean; band: its 95 % interval, other {over})")
    axes.set_title(plain(title), fontsize=10)
    figure.legend(loc="outside lower center", ncols=min(5, len(names)), frameon=False, fontsize=8)
    return figure


def _draw_marks(axes: Axes, pairs: Sequence[StablePair], names: Sequence[str]) -> None:
    # Marks of equal counts lie beside each other, or one would hide the rest.
    step = min(0.2, 0.7 / len(names))
    for model, name in enumerate(names):
        offset = (model - (len(names) - 1) / 2) * step
        axes.scatter(
            [pair.counts[model] / pair.support for pair in pairs],
            [row + offset for row in range(len(pairs))],
            marker=_MARKERS[model % len(_MARKERS)],
            color=_COLOURS[model % len(_COLOURS)],
            s=30,
            zorder=3,
            label=plain(name),
        )
