"""Long short-term memory."""

from __future__ import annotations

from typing import Any

import keras


def build(units: int, **options: Any) -> keras.layers.Layer:
    """Return the layer; its options are Keras's.

    References:
        S. Hochreiter, J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9 (1997).
        https://doi.org/10.1162/neco.1997.9.8.1735
    """
    return keras.layers.LSTM(units, **options)
