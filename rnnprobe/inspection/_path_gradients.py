"""Gradients of a difference of logits away from the examples: faded towards zeros, or noisy."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from rnnprobe._batches import to_array
from rnnprobe._signature import embedding_layer, mask_makers
from rnnprobe._tracing import replaced
from rnnprobe.backend import tapped_gradients
from rnnprobe.classifier import KerasClassifier
from rnnprobe.errors import ModelError
from rnnprobe.records import Array

# Of an LSTM of 128 units the gradient keeps about 5 kB a step, so that a batch stays below 1 GB.
_STEPS_IN_A_BATCH = 2**17
_VALUES_IN_A_BATCH = 2**23


class Gradients(NamedTuple):
    """What some points gave.

    Args:
        places: int64 (num_points,), which of the points these are.
        values: float32 (num_points, num_steps, num_features), the gradient at the point; of tokens
            (num_points, num_steps), the gradient at the embedding times what the example's token
            is there, summed over the channels.
        margins: float32 (num_points,), the difference of logits.
    """

    places: Array
    values: Array
    margins: Array


class PathGradients:
    """How the difference of two logits changes with the values at points near the examples.

    A point is the example times a scale, with noise added; of tokens what the embedding looks up
    for them. Which steps count stays what it is for the example itself, also where a layer finds it
    from the values (`Masking`): it would take a faded or noisy step for another one.

    Args:
        classifier: What is asked.
        x: float32 (num_examples, num_steps, num_features) or int32 (num_examples, num_steps).
        mask: bool (num_examples, num_steps), or None.
        targets: int64 (num_examples,), the class whose logit it is.
        others: int64 (num_examples,), the class whose logit is taken off.

    Raises:
        ModelError: The embedding of tokens cannot be found.
    """

    def __init__(
        self,
        classifier: KerasClassifier,
        x: Array,
        mask: Array | None,
        targets: Array,
        others: Array,
    ) -> None:
        self.x, self._mask = x, mask
        self._classes = targets.astype(np.int32), others.astype(np.int32)
        tokens = np.issubdtype(x.dtype, np.integer)
        self._embedding = embedding_layer(classifier.model) if tokens else None
        self._sources = _mask_sources(classifier.model)
        self._made, self._masks = _own_masks(classifier, self._sources, x, mask)
        self.shape = x.shape[1:] if self._embedding is None else (x.shape[1], self.width)
        most = min(_STEPS_IN_A_BATCH // x.shape[1], _VALUES_IN_A_BATCH // math.prod(self.shape))
        self.batch_size = max(1, min(classifier.batch_size, most))
        self._observe = classifier.observer(self._body, batch_size=self.batch_size)

    @property
    def width(self) -> int:
        """The number of features, or of the embedding's channels."""
        return int(self.x.shape[2] if self._embedding is None else self._embedding.output_dim)

    def at(self, rows: Array, scales: Array, noise: Array | None = None) -> Iterator[Gradients]:
        """Yield the gradients at some points, batch by batch.

        Args:
            rows: int64 (num_points,), the example of each.
            scales: float64 (num_points,), what it is multiplied by.
            noise: float32 (num_points, num_steps, width), what is added; None: nothing.

        Raises:
            ModelError: A logit or gradient is no number.
        """
        given = self.x[rows]
        mask = None if self._mask is None else self._mask[rows]
        arrays = [one[rows] for one in (*self._classes, *self._masks)]
        if self._embedding is not None:
            if noise is None:
                noise = np.zeros((len(rows), *self.shape), np.float32)
            arrays[2:2] = [scales.astype(np.float32), noise]
        else:
            given = given * scales.astype(np.float32)[:, np.newaxis, np.newaxis]
            given = given if noise is None else given + noise
        for places, (values, margins) in self._observe(given, mask, *arrays):
            found = to_array(values)[: len(places)].reshape(len(places), *self.x.shape[1:])
            theirs = to_array(margins)[: len(places)]
            if not (np.isfinite(found).all() and np.isfinite(theirs).all()):
                raise ModelError(
                    "The gradient of the model, or what it returns, is no finite number somewhere "
                    "between an example and zeros; nothing can be attributed."
                )
            yield Gradients(places, found, theirs)

    def _body(self, forward: Any, x: Any, mask: Any, *arrays: Any) -> tuple[Any, Any]:
        target, other, *rest = arrays[:-1]  # the last one says which rows only fill a batch up
        looked_up: list[Any] = []

        def margin(tap: Any) -> tuple[Any, Any]:
            with contextlib.ExitStack() as stack:
                if self._embedding is None:
                    given, masks = tap(x), rest
                else:
                    given, (scale, noise, *masks) = x, rest
                    call = self._faded(tap, scale, noise, looked_up)
                    stack.enter_context(replaced(self._embedding, "call", call))
                stack.enter_context(_pinned(self._sources, self._made, masks))
                logits = forward(given, mask)
            values = _chosen(logits, target) - _chosen(logits, other)
            return ops.sum(values), values

        _, gradients, margins = tapped_gradients(margin)
        if self._embedding is None:
            return gradients[0], margins
        if len(gradients) != 1:
            raise ModelError("The model looks its tokens up more than once; no gradient for them.")
        return ops.sum(gradients[0] * looked_up[0], axis=-1), margins

    def _faded(self, tap: Any, scale: Any, noise: Any, looked_up: list[Any]) -> Any:
        """Return a call of the embedding that fades what it looks up, and notes it as it is."""
        embedding = self._embedding
        if embedding is None:
            raise TypeError("Values are not looked up.")
        call = embedding.call

        def faded(inputs: Any, *arguments: Any, **options: Any) -> Any:
            found = call(inputs, *arguments, **options)
            if math.prod(found.shape[2:]) != self.width:
                raise ModelError(
                    f"The embedding '{embedding.name}' looks up {tuple(found.shape[2:])} a step, "
                    f"expected one vector of {self.width}."
                )
            looked_up.append(found)
            scales = ops.reshape(scale, (-1, *[1] * (len(found.shape) - 1)))
            added = ops.reshape(noise, ops.shape(found))
            return tap(ops.cast(scales, found.dtype) * found + ops.cast(added, found.dtype))

        return faded


def _chosen(logits: Any, classes: Any) -> Any:
    return ops.take_along_axis(logits, classes[:, None], axis=1)[:, 0]


def _mask_sources(model: keras.Model) -> list[Any]:
    """Return what computes masks from values: layers, and the operations of functional models.

    Keras computes the mask of a layer like `Masking` anew, in operations of its own, for every
    layer of a functional model that reads it.
    """
    makers = mask_makers(model)
    found: dict[int, Any] = {}
    if makers:
        for layer in model._flatten_layers(include_self=True, recursive=True):
            graph = getattr(layer, "_functional", None) or layer
            nodes = itertools.chain(*getattr(graph, "_nodes_by_depth", {}).values())
            given = [node.arguments.kwargs.get("mask") for node in nodes]
            for tensor in keras.tree.flatten(given):
                if isinstance(tensor, keras.KerasTensor):
                    source = tensor._keras_history.operation
                    found[id(source)] = source
    operations = [one for one in found.values() if not isinstance(one, keras.layers.Layer)]
    return [*makers, *operations]


def _own_masks(
    classifier: KerasClassifier, sources: Sequence[Any], x: Array, mask: Array | None
) -> tuple[list[bool], list[Array]]:
    """Return of each call of what may make a mask whether it does, and these masks, in order."""
    made: list[bool] = []
    if not sources:
        return made, []

    def body(forward: Any, x: Any, mask: Any, there: Any) -> list[Any]:
        del there
        found: list[Any] = []
        with contextlib.ExitStack() as stack:
            for source in sources:
                stack.enter_context(_noting(source, found))
            forward(x, mask)
        made[:] = [one is not None for one in found]
        return [one for one in found if one is not None]

    batches = [
        [to_array(one)[: len(rows)] for one in found]
        for rows, found in classifier.observer(body)(x, mask)
    ]
    return made, [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def _noting(source: Any, found: list[Any]) -> contextlib.AbstractContextManager[None]:
    """Let a layer, or an operation, add the mask that it computes to a list; None without one."""
    call = source.call

    def noted(*arguments: Any, **options: Any) -> Any:
        if isinstance(source, keras.layers.Layer):
            found.append(source.compute_mask(arguments[0], None))
            return call(*arguments, **options)
        found.append(call(*arguments, **options))
        return found[-1]

    return replaced(source, "call", noted)


@contextlib.contextmanager
def _pinned(sources: Sequence[Any], made: Sequence[bool], masks: Sequence[Any]) -> Iterator[None]:
    """Let a model find the masks that are given in place of its own, one a call that makes one."""
    given = iter(masks)
    left = (next(given) if one else None for one in made)
    with contextlib.ExitStack() as stack:
        for source in sources:
            if isinstance(source, keras.layers.Layer):
                for name, value in _with_mask(source, left).items():
                    stack.enter_context(replaced(source, name, value))
            else:
                stack.enter_context(replaced(source, "call", lambda *_, **__: next(left)))
        yield


def _with_mask(layer: Any, left: Iterator[Any]) -> dict[str, Any]:
    """Return what a layer that makes a mask is to do instead, so that it is the next given one.

    Where a call makes none of its own, it does what it does.
    """
    current: list[Any] = []
    own_call, own_mask = layer.call, layer.compute_mask

    def compute_mask(inputs: Any, mask: Any = None) -> Any:
        return own_mask(inputs, mask) if current[-1] is None else current[-1]

    def call(inputs: Any, *arguments: Any, **options: Any) -> Any:
        current.append(next(left))
        if isinstance(layer, keras.layers.Masking):
            return ops.where(ops.expand_dims(current[-1], -1), inputs, 0)
        return own_call(inputs, *arguments, **options)

    return {"call": call, "compute_mask": compute_mask}
