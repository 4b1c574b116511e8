"""LeNet-5 on the picture that the sequence was made from."""

from __future__ import annotations

import keras

from rnnprobe.baselines._options import check_options
from rnnprobe.baselines._pictures import to_pictures
from rnnprobe.records import SequenceDataset
from rnnprobe.specs import ModelSpec

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
        DataError: The examples are no pictures in row layout, or smaller than 12x12; a cell option
            is given, or an initializer that is not the output layer's.

    References:
        Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document
        Recognition", Proceedings of the IEEE 86 (1998). https://doi.org/10.1109/5.726791
    """
    del mask
    check_options(spec)
    x = to_pictures(inputs, spec.cell, dataset, _SMALLEST)
    height, width = x.shape[1:3]
    padding = "same" if min(height, width) < 32 else "valid"
    layers = keras.layers
    x = layers.Conv2D(6, 5, padding=padding, activation="tanh", name="convolution_1")(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Conv2D(16, 5, activation="tanh", name="convolution_2")(x)
    if min(x.shape[1:3]) >= 2:
        x = layers.AveragePooling2D(2)(x)
    x = layers.Dense(120, activation="tanh", name="dense_1")(layers.Flatten()(x))
    return layers.Dense(84, activation="tanh", name="dense_2")(x)
