"""The simple recurrent layer: h_t = tanh(W x_t + U h_{t-1} + b)."""

from __future__ import annotations

from typing import Any

import keras


def build(units: int, **options: Any) -> keras.layers.Layer:
    """Return the layer; its options are Keras's.

    References:
        J. L. Elman, "Finding Structure in Time", Cognitive Science 14 (1990).
        https://doi.org/10.1207/s15516709cog1402_1
    """
    return keras.layers.SimpleRNN(units, **options)
