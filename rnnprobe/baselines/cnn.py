"""LeNet-5 on the picture that the sequence was made from."""

from __future__ import annotations

import keras

from rnnprobe.errors import DataError
from rnnprobe.records import ModelSpec, SequenceDataset

_SMALLEST = 12


def build(
    inputs: keras.KerasTensor,
    mask: keras.KerasTensor | None,
    spec: ModelSpec,
    dataset: SequenceDataset,
) -> keras.KerasTensor:
    """Return the 84 features below the output layer.

    Two convolutions of 6 and 16 filters, 5x5, each with tanh and average pooling, then 120 and 84
    units. Below 32x32 the first convolution pads, as if the picture lay in a 32x32 frame. Other
    than in the paper the second convolution sees all six maps and the output layer is linear.

    Raises:
        DataError: The examples are no pictures in row layout, or smaller than 12x12.

    References:
        Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document
        Recognition", Proceedings of the IEEE 86 (1998). https://doi.org/10.1109/5.726791
    """
    del mask, spec
    if dataset.image_shape is None or dataset.layout != "rows":
        raise DataError(
            f"The cnn reads pictures in the layout rows, but '{dataset.name}' has "
            f"{'the layout ' + dataset.layout if dataset.layout else 'no pictures'}; give --layout "
            "rows where float arrays are pictures, or take another cell."
        )
    height, width, _ = dataset.image_shape
    if min(height, width) < _SMALLEST:
        raise DataError(
            f"The cnn needs pictures of {_SMALLEST}x{_SMALLEST} or more, got {height}x{width}."
        )
    padding = "same" if min(height, width) < 32 else "valid"
    layers = keras.layers
    x = layers.Reshape(dataset.image_shape)(inputs)
    x = layers.Conv2D(6, 5, padding=padding, activation="tanh", name="convolution_1")(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Conv2D(16, 5, activation="tanh", name="convolution_2")(x)
    if min(x.shape[1:3]) >= 2:
        x = layers.AveragePooling2D(2)(x)
    x = layers.Dense(120, activation="tanh")(layers.Flatten()(x))
    return layers.Dense(84, activation="tanh")(x)
