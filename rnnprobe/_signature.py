"""What a Keras model says of its inputs and outputs, and logits of whatever it returns."""

from __future__ import annotations

from typing import Any, Literal

import keras
import numpy as np

from rnnprobe.errors import ModelError
from rnnprobe.records import Array

Output = Literal["logits", "softmax", "sigmoid", "logit"]

ACTIVATIONS: dict[str, Output] = {"softmax": "softmax", "sigmoid": "sigmoid"}
_TINY = float(np.finfo(np.float32).tiny)


def fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
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


def reads_input(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers that the examples pass first, in a subclassed model those named so."""
    found: list[keras.layers.Layer] = []
    tensors = getattr(model, "inputs", None)
    for layer in getattr(model, "layers", ()):
        if isinstance(layer, keras.Model):
            found += reads_input(layer)
        elif not tensors:
            found += [layer] if isinstance(layer, keras.layers.Masking) else []
        elif any(getattr(layer, "input", None) is tensor for tensor in tensors):
            found.append(layer)
    return found


def activated_head(model: keras.Model) -> Any:
    """Return the layer whose softmax, or single sigmoid, gives the outputs; None if unknown."""
    layers = getattr(model, "layers", None) or []
    if not layers or not getattr(model, "inputs", None):
        return None
    if isinstance(layers[-1], keras.Model):
        return activated_head(layers[-1])
    activation = getattr(getattr(layers[-1], "activation", None), "__name__", None)
    single = tuple(model.outputs[0].shape[1:]) == (1,)
    is_last = layers[-1].output is model.outputs[0]
    return layers[-1] if is_last and activation == ("sigmoid" if single else "softmax") else None


def declared_output(model: keras.Model) -> Output | None:
    """Return what the last layer's activation or the compiled loss says the outputs are."""
    layers = getattr(model, "layers", None) or []
    last = layers[-1] if layers else None
    if isinstance(last, keras.Model):
        return declared_output(last)
    if isinstance(last, keras.layers.Softmax):
        return "softmax"
    activation = getattr(getattr(last, "activation", None), "__name__", None)
    if activation in ACTIVATIONS and getattr(model, "inputs", None):
        return ACTIVATIONS[activation]
    is_functional = getattr(model, "inputs", None) is not None
    if isinstance(last, keras.layers.Dense) and activation == "linear" and is_functional:
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
