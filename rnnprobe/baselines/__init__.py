"""Classifiers that take the place of a cell, so that a table can set them beside one.

Each module has `build(inputs, mask, spec, dataset) -> KerasTensor` of features, to which
`build_model` adds the logits. `BASELINE_AXES` names the axes of a search that each one knows.
"""

BASELINES = {
    "cnn": "rnnprobe.baselines.cnn:build",
    "dense": "rnnprobe.baselines.dense:build",
}

BASELINE_AXES: dict[str, tuple[str, ...]] = {
    "cnn": (),
    "dense": ("units", "layers", "dropout"),
}

__all__ = ["BASELINES", "BASELINE_AXES"]
