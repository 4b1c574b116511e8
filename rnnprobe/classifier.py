"""Any Keras model as a `Classifier`: logits for a batch of sequences."""

from __future__ import annotations

import re
import warnings
from typing import Any, Literal

import keras
import numpy as np

from rnnprobe.backend import compiled
from rnnprobe.errors import DataError, ModelError
from rnnprobe.records import Array, Predictions, Split

Output = Literal["logits", "softmax", "sigmoid", "logit"]

_TINY = float(np.finfo(np.float32).tiny)
_ACTIVATIONS: dict[str, Output] = {"softmax": "softmax", "sigmoid": "sigmoid"}


class KerasClassifier:
    """A Keras model that returns one score per class, whoever built it.

    Args:
        model: Sequential, functional or subclassed; built. Its one input is the sequence, or it
            has a second one, of type bool: the mask. Where its input has axes of size 1 more or
            less (28x28x1 for 28x28), examples are reshaped.
        output: What the model returns: `logits`, `softmax` probabilities, one `sigmoid`
            probability, or one `logit` of the second class. None finds out from the last layer's
            activation or the compiled loss, else from the first outputs: rows that are
            probabilities and sum to 1 are `softmax`.
        image_shape: (height, width, channels) where examples are pictures laid out in rows, so
            that a model that takes pictures may have them.
        batch_size: Examples per forward pass.

    Attributes:
        num_classes: The number of outputs, or 2 where the model has one.

    Raises:
        ModelError: The output is not one vector per example.

    Example:
        >>> import rnnprobe
        >>> classifier = rnnprobe.KerasClassifier(model)           # doctest: +SKIP
        >>> classifier.logits(dataset.test.x).shape                # doctest: +SKIP
        (500, 10)
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        output: Output | None = None,
        image_shape: tuple[int, int, int] | None = None,
        batch_size: int = 512,
    ) -> None:
        self.model = model
        self.batch_size = batch_size
        self._image_shape = image_shape
        self._output = output or _declared_output(model)
        self._inputs = _input_specs(model)
        self._takes_mask = len(self._inputs) == 2
        self._width: int | None = _declared_width(model)
        self._forward = compiled(lambda *arguments: self._call(*arguments))

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        if self._width is None:
            raise ModelError(
                "The number of outputs of a subclassed model is known after its first prediction."
            )
        return max(self._width, 2)

    def logits(self, x: Array, mask: Array | None = None) -> Array:
        """Return float32 (num_examples, num_classes).

        Of probabilities the logarithm is returned, which is the logits up to a constant per
        example; of a single output z the two logits 0 and z.

        Args:
            x: float32 (num_examples, num_steps, num_features) or int32 (num_examples, num_steps).
            mask: bool (num_examples, num_steps), True at the steps that count; None: all.

        Raises:
            DataError: The examples do not fit the model's input.
            ModelError: The model does not return one vector per example.
        """
        batches = [
            self._batch(x[rows], None if mask is None else mask[rows])
            for rows in _batches(len(x), self.batch_size)
        ]
        scores = np.concatenate(batches)[: len(x)]
        if scores.ndim != 2 or scores.shape[1] < 1:
            raise ModelError(
                f"The model returns {scores.shape}, expected (num_examples, num_classes): one "
                "vector per example (is return_sequences set in the last recurrent layer?)."
            )
        if not np.isfinite(scores).all():
            raise ModelError("The model returns NaN or infinite values; it cannot be judged.")
        self._width = scores.shape[1]
        self._output = self._output or _observed_output(scores)
        return _to_logits(scores.astype(np.float32), self._output)

    def predict(self, split: Split, class_names: tuple[str, ...]) -> Predictions:
        """Return the probabilities for one part of a data set.

        Raises:
            DataError: The part has another number of classes or another shape than the model.
        """
        logits = self.logits(split.x, split.mask).astype(np.float64)
        if logits.shape[1] != len(class_names):
            raise DataError(
                f"The model tells {logits.shape[1]} classes apart, but the data has "
                f"{len(class_names)}."
            )
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return Predictions(
            split.y, exponentials / exponentials.sum(axis=1, keepdims=True), class_names
        )

    def _batch(self, x: Array, mask: Array | None) -> Array:
        arguments = [self._fit_shape(x)]
        if mask is not None:
            arguments.append(mask)
        elif self._takes_mask:
            arguments.append(np.ones(x.shape[:2], dtype=bool))
        try:
            return np.asarray(keras.ops.convert_to_numpy(self._forward(*arguments)))
        except Exception as exc:
            if not isinstance(exc, ValueError | TypeError) and (
                type(exc).__name__ != "InvalidArgumentError"
            ):
                raise
            reason = re.sub(r"\{\{.*?\}\} ?", "", " ".join(str(exc).split()))
            masked = ", with a mask" if mask is not None else ""
            raise DataError(
                f"The model cannot take examples of shape {x.shape[1:]}{masked}: {reason[:200]}"
            ) from exc

    def _call(self, x: Any, mask: Any = None) -> Any:
        if self._takes_mask:
            given = dict(zip((name for name, _ in self._inputs), (x, mask), strict=True))
            if not isinstance(self.model.input, dict):
                return self.model([given[i.name] for i in self.model.inputs], training=False)
            return self.model(given, training=False)
        if mask is not None:
            with warnings.catch_warnings():
                # Keras says so of every Sequential model, and hands the mask on all the same.
                warnings.filterwarnings("ignore", ".*passed an input with a mask", UserWarning)
                return self.model(x, mask=mask, training=False)
        return self.model(x, training=False)

    def _fit_shape(self, x: Array) -> Array:
        if not self._inputs:
            return x
        shape, expected = x.shape[1:], self._inputs[0][1]
        if _fits(shape, expected):
            return x
        without_ones = tuple(size for size in expected if size != 1)
        sizes = [size for size in expected if size is not None]
        if len(sizes) == len(expected):
            same = tuple(size for size in shape if size != 1) == without_ones
            if same or expected == self._image_shape:
                return x.reshape(len(x), *sizes)
        raise DataError(f"The model takes examples of shape {expected}, but the data has {shape}.")


def _batches(length: int, size: int) -> list[Array]:
    """Return indices in batches of one size, so that nothing is traced twice.

    The last batch is filled with the first examples; one batch alone has the size it has.
    """
    if length <= size:
        return [np.arange(length)]
    padded = np.arange(-(-length // size) * size) % length
    return list(padded.reshape(-1, size))


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(shape) == len(expected) and all(
        want is None or want == have for have, want in zip(shape, expected, strict=True)
    )


def _input_specs(model: keras.Model) -> list[tuple[str, tuple[int | None, ...]]]:
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


def _declared_width(model: keras.Model) -> int | None:
    shape = getattr(model, "output_shape", None) if getattr(model, "inputs", None) else None
    if shape is None:
        return None
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[1] is None:
        raise ModelError(
            f"The model returns {shape}, expected (num_examples, num_classes): one vector per "
            "example (is return_sequences set in the last recurrent layer?)."
        )
    return int(shape[1])


def _declared_output(model: keras.Model) -> Output | None:
    """Return what the last layer's activation or the compiled loss says the outputs are."""
    layers = getattr(model, "layers", None) or []
    last = layers[-1] if layers else None
    if isinstance(last, keras.Model):
        return _declared_output(last)
    if isinstance(last, keras.layers.Softmax):
        return "softmax"
    activation = getattr(getattr(last, "activation", None), "__name__", None)
    if activation in _ACTIVATIONS and getattr(model, "inputs", None):
        return _ACTIVATIONS[activation]
    is_functional = getattr(model, "inputs", None) is not None
    if isinstance(last, keras.layers.Dense) and activation == "linear" and is_functional:
        return "logit" if last.units == 1 else "logits"
    loss = getattr(model, "loss", None)
    if getattr(loss, "from_logits", False):
        return "logit" if isinstance(loss, keras.losses.BinaryCrossentropy) else "logits"
    return None  # from_logits=False is often a mistake, so the outputs themselves decide


def _observed_output(scores: Array) -> Output:
    between = bool(((scores >= 0) & (scores <= 1)).all())
    if scores.shape[1] == 1:
        return "sigmoid" if between else "logit"
    is_softmax = between and bool(np.allclose(scores.sum(axis=1), 1, atol=1e-3))
    return "softmax" if is_softmax else "logits"


def _to_logits(scores: Array, output: Output) -> Array:
    if scores.shape[1] == 1:
        z = scores[:, 0]
        if output in ("sigmoid", "softmax"):
            z = np.log(np.maximum(z, _TINY)) - np.log(np.maximum(1 - z, _TINY))
        return np.stack([np.zeros_like(z), z], axis=1)
    if output == "softmax":
        return np.asarray(np.log(np.maximum(scores, _TINY)))
    if output == "sigmoid":
        positive = np.maximum(scores, _TINY)
        return np.asarray(np.log(positive / positive.sum(axis=1, keepdims=True)))
    return scores
