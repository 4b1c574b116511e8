"""Pictures of what a classifier gets wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rnnprobe.confusions.pairs import Confusions
from rnnprobe.records import SequenceDataset
from rnnprobe.reports._figures import gallery, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_CLASSES = 25
_GALLERY = 24


def confusion_matrix_figure(confusions: Confusions, title: str) -> Figure:
    """Draw the matrix: mistakes shaded by their share of the true class, hits in grey.

    With more than 25 classes only those of the most frequent pairs are drawn.
    """
    names, matrix = confusions.predictions.class_names, confusions.matrix
    shown = _shown_classes(confusions)
    counts = matrix[np.ix_(shown, shown)]
    support = np.maximum(matrix.sum(axis=1), 1)[shown]
    shares = np.where(np.eye(len(shown), dtype=bool), np.nan, counts / support[:, np.newaxis])
    size = max(4.5, 0.42 * len(shown) + 2)
    figure = new_figure(size + 0.8, size)
    axes = figure.add_subplot()
    axes.set_facecolor("#E6E6E6")
    top = max(float(np.nanmax(shares)), 1e-9)
    image = axes.imshow(shares, cmap="Oranges", vmin=0, vmax=top)
    for (row, column), count in np.ndenumerate(counts):
        if count or row == column:
            dark = row != column and shares[row, column] > 0.6 * top
            colour = "white" if dark else "black"
            axes.text(column, row, count, ha="center", va="center", fontsize=8, color=colour)
    labels = [plain(names[index]) for index in shown]
    axes.set_xticks(range(len(shown)), labels, rotation=90 if max(map(len, labels)) > 2 else 0)
    axes.set_yticks(range(len(shown)), labels)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    part = "" if len(shown) == len(names) else f", {len(shown)} of {len(names)} classes"
    axes.set_title(f"{plain(title)}: accuracy {confusions.accuracy:.4f}{part}", fontsize=10)
    figure.colorbar(image, label="share of the true class", shrink=0.8)
    return figure


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
    predictions = confusions.predictions
    names = [plain(name) for name in predictions.class_names]
    captions = {
        index: f"{index}: {names[predictions.y[index]]} taken for "
        f"{names[predictions.predicted[index]]}, {predictions.confidence[index]:.2f}"
        for index in confusions.mistakes[:_GALLERY]
    }
    heading = "example: true class taken for predicted class, confidence"
    return gallery(dataset, part, captions, heading, empty="no mistakes")
