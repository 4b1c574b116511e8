"""Classifiers that take the place of a cell, so that a table can set them beside one.

Each module has `build(inputs, mask, spec, dataset) -> KerasTensor` of features, to which
`build_model` adds the logits. `BASELINE_AXES` names the axes of a search that each one knows,
`PICTURE_BASELINES` those that see a picture as a whole and need the layout rows.
"""

BASELINES = {
    "cnn": "rnnprobe.baselines.cnn:build",
    "cnn-relu": "rnnprobe.baselines.cnn_relu:build",
    "dense": "rnnprobe.baselines.dense:build",
}

BASELINE_AXES: dict[str, tuple[str, ...]] = {
    "cnn": (),
    "cnn-relu": ("dropout",),
    "dense": ("units", "layers", "dropout"),
}

PICTURE_BASELINES = ("cnn", "cnn-relu")

__all__ = ["BASELINES", "BASELINE_AXES", "PICTURE_BASELINES"]
