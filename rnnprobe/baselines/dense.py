"""A feed-forward net: what remains when the order of the steps is taken away or fixed."""

from __future__ import annotations

import keras

from rnnprobe.baselines._options import check_options
from rnnprobe.records import SequenceDataset
from rnnprobe.specs import ModelSpec


def build(
    inputs: keras.KerasTensor,
    mask: keras.KerasTensor | None,
    spec: ModelSpec,
    dataset: SequenceDataset,
) -> keras.KerasTensor:
    """Return the features of `spec.layers` ReLU layers of `spec.units`.

    Sequences of one length are flattened. Sequences that vary in length, tokens among them, are
    averaged over the steps that count (a bag of steps).

    Raises:
        DataError: A cell option is given, or an initializer that is not the output layer's.
    """
    check_options(spec)
    if dataset.variable_length:
        x = keras.layers.GlobalAveragePooling1D()(inputs, mask=mask)
    else:
        x = keras.layers.Flatten()(inputs)
    for layer in range(spec.layers):
        x = keras.layers.Dense(spec.units, activation="relu", name=f"dense_{layer + 1}")(x)
        if spec.dropout:
            x = keras.layers.Dropout(spec.dropout)(x)
    return x
