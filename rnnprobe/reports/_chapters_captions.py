"""What a page says of each picture: a sentence, and in which section of its report it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rnnprobe.reports.page import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DECIDED = (
    "Accuracy if the sequence ended after a share of its steps, and where in it confused pairs part"
)
_CAPTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "sweep": {
        "heatmap.png": ("Mean validation accuracy of each cell; hatched where no run finished", ""),
        "curves.png": ("Validation accuracy after each epoch, the mean over a cell's runs", ""),
        "front.png": ("Validation accuracy of each cell against its median training time", ""),
    },
    "tune": {"trials.png": ("Validation accuracy of every trial after each epoch", "")},
    "reproduce": {
        "agreement.png": ("What was measured against what was published, cell by cell", ""),
        "tables.png": ("The published table beside the measured one", ""),
        "curves.png": ("Loss and accuracy after each epoch, the mean over a cell's runs", ""),
        "filters.png": ("Filters of the first layer, a panel a cell", ""),
    },
    "train": {
        "curves.png": ("Loss and accuracy on the training and validation part, by epoch", ""),
    },
    "confusions": {
        "confusion_matrix.png": ("How often each true class was taken for each class", ""),
        "mistakes.png": ("The mistakes of which the model was most confident", ""),
        "pairs.png": ("The pairs of classes mistaken most often, beside right examples", ""),
        "reliability.png": ("Accuracy against confidence with 95 % intervals, above counts", ""),
        "decisions.png": (_DECIDED, ""),
    },
    "attack": {
        "gallery.png": ("Examples fooled within the largest epsilon, before and after", ""),
        "security_curve.png": ("Robust accuracy against epsilon with 95 % intervals", ""),
    },
    "inspect": {
        "activations.png": ("What each layer returns, by unit and step", "Activations"),
        "gates.png": ("Gates and states of each cell, by unit and step", "Gates and states"),
        "gradients.png": (
            "How the gradient changes from the step read last back to the first",
            "Gradients through time",
        ),
        "decisions.png": (_DECIDED, "When it decided"),
        "first_layer.png": ("What the first layer does with each input", "Weights"),
        "weights.png": ("Histograms of the weights, by layer and gate", "Weights"),
        "attribution.png": (
            "What each step adds to the logit of one class over that of another",
            "Attribution",
        ),
    },
}
_TABLES_IN_HTML = {("sweep", "heatmap.png")}

PICTURES = tuple(f"{command}-{name}" for command, names in _CAPTIONS.items() for name in names)
"""All pictures that a page may have, by file name."""


def captioned(command: str, figures: Mapping[str, Figure]) -> dict[str, Picture]:
    """Return the pictures of a chapter; two commands may call theirs alike, a page does not.

    Args:
        command: Whose pictures they are.
        figures: As that command names them.
    """
    found = {}
    for name, figure in figures.items():
        sentence, section = _CAPTIONS[command][name]
        drawn = (command, name) not in _TABLES_IN_HTML
        found[f"{command}-{name}"] = Picture(figure, f"{sentence}.", section, drawn)
    return found
