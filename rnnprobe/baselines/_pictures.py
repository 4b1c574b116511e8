"""The pictures that sequences were made from, for baselines that see them whole."""

from __future__ import annotations

import keras

from rnnprobe.errors import DataError
from rnnprobe.records import SequenceDataset


def to_pictures(
    inputs: keras.KerasTensor, name: str, dataset: SequenceDataset, smallest: int
) -> keras.KerasTensor:
    """Return the inputs as pictures, float32 (num_examples, height, width, channels).

    Args:
        inputs: float32 (num_examples, num_steps, num_features), pictures in the layout rows.
        name: What the baseline is called, for the errors.
        dataset: Says what the examples are.
        smallest: The least height and width that the baseline takes.

    Raises:
        DataError: The examples are no pictures in row layout, or too small.
    """
    if dataset.image_shape is None or dataset.layout != "rows":
        raise DataError(
            f"The {name} reads pictures in the layout rows, but '{dataset.name}' has "
            f"{'the layout ' + dataset.layout if dataset.layout else 'no pictures'}; give --layout "
            "rows where float arrays are pictures, or take another cell."
        )
    height, width, _ = dataset.image_shape
    if min(height, width) < smallest:
        raise DataError(
            f"The {name} needs pictures of {smallest}x{smallest} or more, got {height}x{width}."
        )
    return keras.layers.Reshape(dataset.image_shape)(inputs)
