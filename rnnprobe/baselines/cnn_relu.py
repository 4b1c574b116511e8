"""The convolutional net of TensorFlow 1's tutorial, on the picture the sequence was made from."""

from __future__ import annotations

import keras

from rnnprobe.baselines._options import HIDDEN_INITIALIZERS, check_options, hidden_initializers
from rnnprobe.baselines._pictures import to_pictures
from rnnprobe.records import SequenceDataset
from rnnprobe.specs import ModelSpec

_SMALLEST = 4


def build(
    inputs: keras.KerasTensor,
    mask: keras.KerasTensor | None,
    spec: ModelSpec,
    dataset: SequenceDataset,
) -> keras.KerasTensor:
    """Return the 1,024 features below the output layer.

    Two convolutions of 32 and 64 filters, 5x5, each padded to keep the size, with ReLU and max
    pooling 2x2, which pads an odd side; then 1,024 ReLU units and the dropout of `spec`. The
    initializers `kernel_initializer` and `bias_initializer` of `spec` are those of all three
    layers. Other than in the tutorial they are Keras's own where they are not given, not
    normal(0, 0.1) cut at two standard deviations and the constant 0.1.

    Raises:
        DataError: The examples are no pictures in row layout, or smaller than 4x4; an initializer
            or cell option is unknown.

    References:
        The TensorFlow Authors, "Deep MNIST for Experts" (2015).
        https://github.com/tensorflow/tensorflow/blob/r1.4/tensorflow/examples/tutorials/mnist/mnist_deep.py
    """
    del mask
    check_options(spec, HIDDEN_INITIALIZERS)
    layers = keras.layers
    x = to_pictures(inputs, spec.cell, dataset, _SMALLEST)
    for number, filters in enumerate((32, 64), start=1):
        x = layers.Conv2D(
            filters,
            5,
            padding="same",
            activation="relu",
            name=f"convolution_{number}",
            **hidden_initializers(spec),
        )(x)
        x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(1024, activation="relu", name="dense_1", **hidden_initializers(spec))(x)
    return layers.Dropout(spec.dropout)(x) if spec.dropout else x
