"""Keras layers that do something else for a while, so that a trace sees what they hide."""

from __future__ import annotations

import contextlib
import inspect
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
        return replaced(layer, "call", lambda inputs, mask=None: inputs)
    return replaced(layer, "activation", keras.activations.linear)


@contextlib.contextmanager
def replaced(layer: Any, name: str, value: Any) -> Iterator[None]:
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


def traced_apart(tensor: Any, home: Any) -> bool:
    """Return whether a tensor is of an inner graph, as of a loop, and cannot be read outside of it.

    Args:
        tensor: Of the graph in question.
        home: Of the graph that is traced.
    """
    return getattr(tensor, "graph", None) is not getattr(home, "graph", None)


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

    return replaced(layer, "call", recorded)


def states_as_examples(
    layer: keras.layers.RNN, counted: list[Any]
) -> contextlib.AbstractContextManager[None]:
    """Let a recurrent layer hand on each of its states as an example of its own.

    In place of (batch, units) it returns (batch * num_steps, units), all states of the first
    example first, and adds to a list, whenever it is called, which of them count: bool (batch,
    num_steps).

    Args:
        layer: Returns one state.
        counted: Is added to.
    """
    call = layer.call
    signature = inspect.signature(call)

    def read(*arguments: Any, **options: Any) -> Any:
        given = signature.bind(*arguments, **options)
        with replaced(layer, "return_sequences", True):
            states = call(*given.args, **given.kwargs)
        mask = given.arguments.get("mask", options.get("mask"))  # `call` may take **kwargs
        if mask is None:
            sequences = next(iter(given.arguments.values()))
            mask = keras.ops.ones(keras.ops.shape(sequences)[:2], "bool")
        counted.append(mask)
        return keras.ops.reshape(states, (-1, *states.shape[2:]))

    return replaced(layer, "call", read)
