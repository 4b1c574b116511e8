"""What a Keras model says of its inputs and outputs, and logits of whatever it returns."""

from __future__ import annotations

from typing import Any, Literal

import keras
import numpy as np

from rnnprobe.errors import DataError, ModelError
from rnnprobe.records import Array

Output = Literal["logits", "softmax", "sigmoid", "logit"]

ACTIVATIONS: dict[str, Output] = {"softmax": "softmax", "sigmoid": "sigmoid"}
_TINY = float(np.finfo(np.float32).tiny)


def fit_shape(
    x: Array, expected: tuple[int | None, ...], image_shape: tuple[int, int, int] | None
) -> Array:
    """Return examples in the shape that the model takes.

    Args:
        x: (num_examples, ...).
        expected: The input's shape without the examples' axis, None for any size.
        image_shape: (height, width, channels) where the examples are pictures laid out in rows.

    Raises:
        DataError: They differ by more than axes of size 1.
    """
    shape = x.shape[1:]
    if _fits(shape, expected):
        return x
    without_ones = tuple(size for size in expected if size != 1)
    sizes = [size for size in expected if size is not None]
    if len(sizes) == len(expected):
        same = tuple(size for size in shape if size != 1) == without_ones
        if same or expected == image_shape:
            return x.reshape(len(x), *sizes)
    raise DataError(f"The model takes examples of shape {expected}, but the data has {shape}.")


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    """Whether examples of a shape go into an input, None for any size."""
    return len(shape) == len(expected) and all(
        want is None or want == have for have, want in zip(shape, expected, strict=True)
    )


def input_specs(model: keras.Model) -> list[tuple[str, tuple[int | None, ...]]]:
    """Return name and shape of the inputs, the sequence first; empty where the model hides them."""
    tensors = getattr(model, "inputs", None)
    if not tensors:
        return []
    masks = [tensor for tensor in tensors if tensor.dtype == "bool"]
    sequences = [tensor for tensor in tensors if tensor.dtype != "bool"]
    specs = [(tensor.name, tuple(tensor.shape[1:])) for tensor in (*sequences, *masks)]
    if len(sequences) != 1 or len(masks) > 1:
        raise ModelError(
            f"The model has the inputs {specs}; expected one, or one and its mask (bool)."
        )
    return specs


def declared_width(model: keras.Model) -> int | None:
    """Return the number of outputs, None where the model does not say."""
    shape = getattr(model, "output_shape", None) if getattr(model, "inputs", None) else None
    if shape is None:
        return None
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[1] is None:
        raise ModelError(
            f"The model returns {shape}, expected (num_examples, num_classes): one vector per "
            "example (is return_sequences set in the last recurrent layer?)."
        )
    return int(shape[1])


def embedding_layer(model: keras.Model) -> keras.layers.Embedding:
    """Return the embedding that the tokens pass.

    Raises:
        ModelError: The model has none, or several.
    """
    layers = model._flatten_layers(include_self=False, recursive=True)
    found = [layer for layer in layers if isinstance(layer, keras.layers.Embedding)]
    tensors = getattr(model, "inputs", None) or ()
    reading = [f for f in found if any(getattr(f, "input", None) is t for t in tensors)]
    if len(reading or found) != 1:
        raise ModelError(
            f"The model has {len(found)} embeddings, expected one that its tokens pass."
        )
    return (reading or found)[0]


def mask_makers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers that decide which steps count: `Masking`, and the user's own like it."""
    layers = model._flatten_layers(include_self=False, recursive=True)
    return [layer for layer in layers if _makes_mask(layer)]


def _makes_mask(layer: keras.layers.Layer) -> bool:
    if isinstance(layer, keras.layers.Masking):
        return True
    definer = next(kind for kind in type(layer).__mro__ if "compute_mask" in vars(kind))
    return not definer.__module__.startswith("keras.") and not isinstance(layer, keras.Model)


def output_layer(model: keras.Model) -> Any:
    """Return the layer that gives the outputs, also inside a model; None if it is not known."""
    tensors = getattr(model, "outputs", None)
    if not tensors:
        return None
    operation = tensors[0]._keras_history.operation
    if isinstance(operation, keras.Model):
        return output_layer(operation)
    return operation if isinstance(operation, keras.layers.Layer) else None


def activated_head(model: keras.Model) -> Any:
    """Return the layer whose softmax, or single sigmoid, gives the outputs; None if unknown."""
    layer = output_layer(model)
    if isinstance(layer, keras.layers.Softmax):
        return layer
    activation = getattr(getattr(layer, "activation", None), "__name__", None)
    if layer is None or activation is None:
        return None
    single = tuple(model.outputs[0].shape[1:]) == (1,)
    return layer if activation == ("sigmoid" if single else "softmax") else None


def declared_output(model: keras.Model) -> Output | None:
    """Return what the last layer's activation or the compiled loss says the outputs are."""
    last = output_layer(model)
    if isinstance(last, keras.layers.Softmax):
        return "softmax"
    activation = getattr(getattr(last, "activation", None), "__name__", None)
    if activation in ACTIVATIONS:
        return ACTIVATIONS[activation]
    if isinstance(last, keras.layers.Dense) and activation == "linear":
        return "logit" if last.units == 1 else "logits"
    loss = getattr(model, "loss", None)
    if getattr(loss, "from_logits", False):
        return "logit" if isinstance(loss, keras.losses.BinaryCrossentropy) else "logits"
    return None  # from_logits=False is often a mistake, so the outputs themselves decide


def observed_output(scores: Array) -> Output:
    """Return what the outputs look like."""
    between = bool(((scores >= 0) & (scores <= 1)).all())
    if scores.shape[1] == 1:
        return "sigmoid" if between else "logit"
    is_softmax = between and bool(np.allclose(scores.sum(axis=1), 1, atol=1e-3))
    return "softmax" if is_softmax else "logits"


def to_logits(ops: Any, scores: Any, output: Output | None) -> Any:
    """Return logits of outputs, both of NumPy or both of `keras.ops`."""
    if scores.shape[1] == 1:
        z = scores[:, 0]
        if output in ("sigmoid", "softmax"):
            z = ops.log(ops.maximum(z, _TINY)) - ops.log(ops.maximum(1 - z, _TINY))
        return ops.stack([ops.zeros_like(z), z], axis=1)
    if output == "softmax":
        return ops.log(ops.maximum(scores, _TINY))
    if output == "sigmoid":
        positive = ops.maximum(scores, _TINY)
        return ops.log(positive / ops.sum(positive, axis=1, keepdims=True))
    return scores
