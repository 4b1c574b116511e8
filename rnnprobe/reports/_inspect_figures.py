"""The pictures of an inspection, by file name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rnnprobe.inspection.study import InspectionStudy
from rnnprobe.reports._attribution_figures import attribution_figure
from rnnprobe.reports._decisions import decisions_figure
from rnnprobe.reports._gradient_figures import gradients_figure
from rnnprobe.reports._signal_figures import activations_figure, gates_figure
from rnnprobe.reports._weight_figures import first_layer_figure, weight_histograms_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def inspect_figures(study: InspectionStudy, title: str) -> dict[str, Figure]:
    """Return the pictures of one model, but for that of the gradients.

    Args:
        study: What was seen.
        title: What was probed.
    """
    figures: dict[str, Figure] = {}
    if study.reading is not None and study.reading.outputs:
        figures["activations.png"] = activations_figure(study.reading.outputs, title)
    if study.reading is not None and study.reading.gates:
        figures["gates.png"] = gates_figure(study.reading.gates, title)
    if study.decisions is not None:
        names = study.dataset.class_names
        figures["decisions.png"] = decisions_figure(
            study.decisions, study.pair_decisions, names, title
        )
    if study.input_weights is not None:
        figures["first_layer.png"] = first_layer_figure(study.input_weights, title)
    if study.weights is not None:
        figures["weights.png"] = weight_histograms_figure(study.weights, title)
    if study.explanation is not None:
        figures["attribution.png"] = attribution_figure(
            study.explanation, study.dataset, study.part, title
        )
    return figures


def shared_figures(studies: Mapping[str, InspectionStudy]) -> dict[str, Figure]:
    """Return the picture of the gradients of all models, if there are any.

    Args:
        studies: By the model's name.
    """
    flows = {name: study.gradients.flows for name, study in studies.items() if study.gradients}
    if not flows:
        return {}
    first = next(iter(studies.values()))
    of = next(iter(studies)) if len(studies) == 1 else f"{len(studies)} models"
    return {"gradients.png": gradients_figure(flows, f"{of} on {first.dataset.name}")}
