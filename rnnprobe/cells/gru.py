"""The gated recurrent unit."""

from __future__ import annotations

from typing import Any

import keras


def build(units: int, **options: Any) -> keras.layers.Layer:
    """Return the layer; its options are Keras's.

    References:
        K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical
        Machine Translation" (2014). https://arxiv.org/abs/1406.1078
    """
    return keras.layers.GRU(units, **options)
