"""Batch by batch through a compiled function, in threads where that pays."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from rnnprobe.backend import num_cores
from rnnprobe.errors import DataError, RnnprobeError
from rnnprobe.records import Array

_LEAST_ROWS = 32  # fewer examples are not worth a thread
_BATCH_BYTES = 400_000_000


def in_batches(
    function: Callable[..., Any],
    arrays: Sequence[Any],
    model: keras.Model,
    *,
    size: int,
    threads: bool = False,
) -> list[Array]:
    """Return what a compiled function makes of arrays, batch by batch, one row an example.

    Args:
        function: Of batches of the arrays; returns one tensor or several.
        arrays: Each with one row an example, or None in place of one but not of the first.
        model: What the function runs; it says how large its batches must be, and its state, where
            it keeps one, is reset before each of them.
        size: Examples in a batch, at most.
        threads: Whether the processor's cores share them where the model allows it.
    """
    fixed = _fixed_size(model)
    stateful = _stateful(model)

    def part(rows: Array) -> list[Array]:
        filled, outputs = _run(function, arrays, rows, fixed, stateful)
        found = [to_array(output) for output in _listed(outputs)]
        return [array.reshape(len(filled), -1)[: len(rows)] for array in found]

    several = threads and fixed is None and not stateful
    parts = _parts(len(arrays[0]), fixed or size, several=several)
    found = list(_pool().map(part, parts)) if several else [part(rows) for rows in parts]
    return [np.concatenate(outputs) for outputs in zip(*found, strict=True)]


def each_batch(
    function: Callable[..., Any], arrays: Sequence[Any], model: keras.Model, *, size: int
) -> Iterator[tuple[Array, Any]]:
    """Yield the indices of each batch, and what a compiled function makes of it.

    Args:
        function: Of batches of the arrays, and last of bool (batch_size,), False at what only
            fills a batch up for a model of one batch size.
        arrays: As for `in_batches`.
        model: As for `in_batches`.
        size: Examples in a batch, at most.
    """
    fixed, stateful = _fixed_size(model), _stateful(model)
    for rows in _parts(len(arrays[0]), fixed or size, several=False):
        there = np.arange(fixed or len(rows)) < len(rows)
        yield rows, _run(function, arrays, rows, fixed, stateful, there)[1]


def bounded_size(num_units: int, num_steps: int, copies: int, most: int) -> int:
    """Return how many examples may go through at once, so that 400 MB hold what is kept of them.

    Args:
        num_units: Of all layers of which something is kept at all steps.
        num_steps: Of the input.
        copies: How many numbers are kept of a unit at each step.
        most: As many as the model takes at once.

    Example:
        >>> bounded_size(512, 784, 5, 512)
        49
    """
    return min(most, max(1, _BATCH_BYTES // (4 * copies * max(num_units * num_steps, 1))))


def num_units(layer: keras.layers.Layer) -> int:
    """Return how many numbers a layer has at a step: of a recurrent one its states; 0 if unknown.

    Example:
        >>> num_units(keras.layers.LSTM(3)), num_units(keras.layers.Dropout(0.1))
        (6, 0)
    """
    if isinstance(layer, keras.layers.RNN):
        return int(sum(np.prod(size) for size in keras.tree.flatten(layer.cell.state_size)))
    return int(getattr(layer, "units", 0) or 0)


def to_array(tensor: Any) -> Array:
    """Return what a compiled function returned as NumPy has it."""
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def _fixed_size(model: keras.Model) -> int | None:
    """Return the batch size that a model is bound to, if it is."""
    return model.inputs[0].shape[0] if getattr(model, "inputs", None) else None


def _stateful(model: keras.Model) -> list[Any]:
    return [layer for layer in model._flatten_layers() if keeps_state(layer)]


def _run(
    function: Callable[..., Any],
    arrays: Sequence[Any],
    rows: Array,
    fixed: int | None,
    stateful: Sequence[Any],
    *more: Array,
) -> tuple[Array, Any]:
    for layer in stateful:
        layer.reset_state()
    # A model of one batch size gets the first examples again, which are left out after it.
    filled = rows if fixed is None else np.resize(rows, fixed)
    return filled, function(*(None if a is None else a[filled] for a in arrays), *more)


@contextlib.contextmanager
def explained(x: Array, mask: Array | None) -> Iterator[None]:
    """Say what does not fit where the model refuses the examples."""
    try:
        yield
    except RnnprobeError as exc:
        raise type(exc)(_own_text(exc)) from exc
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


def _own_text(error: RnnprobeError) -> str:
    """Return what an error of ours said before TensorFlow and Keras put their traces around it."""
    text = str(error)
    inner = error.__context__
    while inner is not None:
        if isinstance(inner, RnnprobeError) and str(inner) in text:
            text = str(inner)
        inner = inner.__context__
    return text


def keeps_state(layer: Any) -> bool:
    """Return whether a layer goes on from one batch to the next with its state."""
    return bool(getattr(layer, "stateful", False)) and hasattr(layer, "reset_state")


def _listed(outputs: Any) -> Sequence[Any]:
    return outputs if isinstance(outputs, list | tuple) else [outputs]


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """Return threads that last: TensorFlow is slower in new ones."""
    return ThreadPoolExecutor(num_cores())


def _parts(length: int, size: int, *, several: bool) -> list[Array]:
    """Return indices in parts of at most `size`, one a core at least where that is worth it."""
    cores = min(num_cores(), length // _LEAST_ROWS) if several else 1
    return np.array_split(np.arange(length), max(-(-length // size), cores, 1))
