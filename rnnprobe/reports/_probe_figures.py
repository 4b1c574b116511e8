"""The pictures of a model's mistakes, and of attacks on it, by file name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnprobe.attacks._study import AttackStudy
from rnnprobe.confusions.study import ConfusionStudy
from rnnprobe.protocols import Classifier
from rnnprobe.records import SequenceDataset
from rnnprobe.reports._attack_figures import (
    attack_gallery,
    security_figure,
    time_figure,
)
from rnnprobe.reports._attack_figures import (
    pairs_figure as attacked_pairs_figure,
)
from rnnprobe.reports._confusion_figures import (
    confusion_matrix_figure,
    gallery_figure,
    reliability_figure,
)
from rnnprobe.reports._decisions import decisions_figure
from rnnprobe.reports._pair_figures import pairs_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusions_figures(study: ConfusionStudy, title: str) -> dict[str, Figure]:
    """Return the pictures of one model's mistakes; those of the data only where it is known.

    Args:
        study: What was found.
        title: What was probed.
    """
    confusions, part = study.confusions, study.part
    figures = {"confusion_matrix.png": confusion_matrix_figure(confusions, title)}
    if study.dataset is not None:
        figures["mistakes.png"] = gallery_figure(confusions, study.dataset, part)
        figures["pairs.png"] = pairs_figure(confusions, study.dataset, part)
    if study.calibration is not None:
        figures["reliability.png"] = reliability_figure(study.calibration, title)
    if study.decisions is not None:
        names = confusions.predictions.class_names
        figures["decisions.png"] = decisions_figure(
            study.decisions, study.pair_decisions, names, title
        )
    return figures


def attack_figures(
    study: AttackStudy, classifier: Classifier, dataset: SequenceDataset, title: str
) -> dict[str, Figure]:
    """Return the pictures of attacks on one model.

    Args:
        study: What was found.
        classifier: The model.
        dataset: The data.
        title: What was attacked.
    """
    first = study.outcomes[0]
    figures = {
        "gallery.png": attack_gallery(first, classifier, dataset),
        "security_curve.png": security_figure(first, title),
    }
    if study.time is not None:
        figures["timesteps.png"] = time_figure(study.time)
    if study.pairs is not None:
        figures["pairs.png"] = attacked_pairs_figure(study.pairs, dataset)
    return figures
