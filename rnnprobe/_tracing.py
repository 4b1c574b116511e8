"""Keras layers that do something else for a while, so that a trace sees what they hide."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import keras

_TRACING = threading.RLock()


def without_activation(layer: Any) -> contextlib.AbstractContextManager[None]:
    """Let a layer return what its activation takes, while the model is traced."""
    if layer is None:
        return contextlib.nullcontext()
    if isinstance(layer, keras.layers.Softmax):
        return _replaced(layer, "call", lambda inputs, mask=None: inputs)
    return _replaced(layer, "activation", keras.activations.linear)


@contextlib.contextmanager
def _replaced(layer: Any, name: str, value: Any) -> Iterator[None]:
    """Give one layer another attribute for a while; by one thread at a time."""
    with _TRACING:
        had = name in vars(layer)
        before = getattr(layer, name)
        setattr(layer, name, value)
        try:
            yield
        finally:
            if had:
                setattr(layer, name, before)
            else:
                delattr(layer, name)


def recording(
    layer: keras.layers.Layer, found: list[Any]
) -> contextlib.AbstractContextManager[None]:
    """Let a layer add the mask that it computes to a list, whenever it is called."""
    call = layer.call

    def recorded(inputs: Any, *arguments: Any, **options: Any) -> Any:
        mask = layer.compute_mask(inputs, None)
        if mask is not None:
            found.append(mask)
        return call(inputs, *arguments, **options)

    return _replaced(layer, "call", recorded)
