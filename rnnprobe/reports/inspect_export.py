"""What an inspection saw, as arrays in a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rnnprobe._archive import save_arrays
from rnnprobe.inspection.signals import Signal
from rnnprobe.inspection.study import InspectionStudy
from rnnprobe.records import Array

_OF_SIGNALS = ("count", "mean", "variance", "left", "right", "zeros")


def export_inspection(path: Path, studies: Mapping[str, InspectionStudy]) -> None:
    """Write the arrays behind the tables as an `.npz` file.

    Of each layer's output `activations/LAYER/output/...`, of each gate and state
    `gates/LAYER/SIGNAL/...`: `count` (num_steps,), and `mean`, `variance`, `left`, `right`, `zeros`
    (num_steps, num_units), as `Signal` has them. Of each state `gradients/LAYER/STATE/norms`
    (num_examples, num_steps), NaN at steps that the layer is told to skip. `decisions/logits`
    (num_examples, num_states, num_classes) and `counted`. `attribution/integrated`, `smoothgrad`,
    `counted`, `indices`, `value` (f(x)) and `baseline_value`, one row an example, and `classes`
    (2,), whose logits f compares. Of several models the model's name stands in front.

    Args:
        path: Ends with `.npz`; replaced where there is one.
        studies: By the model's name.

    Raises:
        OutputError: The file cannot be written.
    """
    arrays: dict[str, Array] = {}
    for name, study in studies.items():
        lead = f"{name}/" if len(studies) > 1 else ""
        arrays |= {lead + key: array for key, array in _arrays(study).items()}
    digest = next(iter(studies.values())).dataset.digest
    save_arrays(path, arrays, "rnnprobe.inspection/1", {"digest": digest, "models": list(studies)})


def _arrays(study: InspectionStudy) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    if study.reading is not None:
        for signal in study.reading.outputs:
            arrays |= _signal_arrays("activations", signal)
        for signal in study.reading.gates:
            arrays |= _signal_arrays("gates", signal)
    for flow in study.gradients.flows if study.gradients else ():
        key = f"gradients/{flow.path}/{flow.state}"
        arrays[f"{key}/norms"] = np.where(flow.counted, flow.norms, np.nan)
    if study.decisions is not None:
        arrays["decisions/logits"] = study.decisions.logits
        arrays["decisions/counted"] = study.decisions.counted
    if study.explanation is not None:
        found = study.explanation.found
        arrays["attribution/integrated"] = found.integrated
        arrays["attribution/smoothgrad"] = found.smooth
        arrays["attribution/counted"] = found.counted
        arrays["attribution/indices"] = study.explanation.indices
        arrays["attribution/value"] = found.value
        arrays["attribution/baseline_value"] = found.baseline_value
        pair = study.explanation.first, study.explanation.second
        arrays["attribution/classes"] = np.array(pair)
    return arrays


def _signal_arrays(part: str, signal: Signal) -> dict[str, Array]:
    key = f"{part}/{signal.path}/{signal.name}"
    return {f"{key}/{name}": getattr(signal, name) for name in _OF_SIGNALS}
