"""One pass over the data in which every layer and every recurrent cell is looked into."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from rnnprobe._batches import to_array
from rnnprobe._signature import activated_head
from rnnprobe._tracing import replaced, traced_apart
from rnnprobe.classifier import KerasClassifier
from rnnprobe.errors import ModelError
from rnnprobe.inspection._layers import Place, batch_size, call_path, walk
from rnnprobe.inspection._moments import Moments, reduced
from rnnprobe.inspection._replay_check import check_replay
from rnnprobe.inspection._stepping import (
    Limits,
    Stepped,
    limits_of,
    steppable,
    stepping,
    why_not,
)
from rnnprobe.inspection.signals import Signal
from rnnprobe.records import Array

_PASSING = (
    keras.layers.Dropout, keras.layers.SpatialDropout1D, keras.layers.SpatialDropout2D,
    keras.layers.GaussianDropout, keras.layers.GaussianNoise, keras.layers.AlphaDropout,
    keras.layers.ActivityRegularization, keras.layers.Flatten, keras.layers.Reshape,
    keras.layers.Permute, keras.layers.RepeatVector, keras.layers.Masking, keras.layers.Identity,
)  # fmt: skip
_ACTIVATIONS = {"Softmax": keras.activations.softmax, "ReLU": keras.activations.relu}
_COPIES = 25  # of a state's float that a step of a batch needs, gates and reductions together


class LeftOut(NamedTuple):
    """A layer that was not looked into.

    Args:
        path: The layer.
        kind: Its class.
        reason: Why, in words.
    """

    path: str
    kind: str
    reason: str


class Reading(NamedTuple):
    """What one pass saw.

    Args:
        outputs: What the layers return, in the order of their calls.
        gates: Gates and states of the recurrent cells.
        left_out: The layers that were not looked into.
        deviation: The largest difference between a replayed layer and the model's own.
    """

    outputs: tuple[Signal, ...]
    gates: tuple[Signal, ...]
    left_out: tuple[LeftOut, ...]
    deviation: float


class _Seen(NamedTuple):
    """One signal while the model is traced, as `Signal` will have it."""

    path: str
    kind: str
    name: str
    limits: Limits
    axis: str | None
    values: Any
    counted: Any


def read_signals(
    classifier: KerasClassifier,
    x: Array,
    mask: Array | None = None,
    *,
    outputs: bool = True,
    gates: bool = True,
) -> Reading:
    """Look at what every layer returns and at every gate and state, over all examples.

    Steps that do not count are left out: those that a layer is told to skip, and where a layer has
    as many steps as the input, those that `counted_steps` knows as padding. Gates are not what
    Keras hands out: each cell is stepped with the saved weights, and the outputs that come of it
    must be the model's own.

    Args:
        classifier: The model.
        x: float32 (num_examples, num_steps, num_features) or int32 (num_examples, num_steps).
        mask: bool (num_examples, num_steps), True at the steps that count; None: all.
        outputs: Whether to look at what the layers return.
        gates: Whether to look into the recurrent cells.

    Raises:
        DataError: The examples do not fit the model's input.
        ModelError: A replayed layer returns something else than the model's own, by more than 1e-5.

    Example:
        >>> reading = read_signals(classifier, dataset.test.x)     # doctest: +SKIP
        >>> [(gate.path, gate.name) for gate in reading.gates]     # doctest: +SKIP
        [('lstm', 'input gate'), ('lstm', 'forget gate'), ...
    """
    places = walk(classifier.model)
    open_places = steppable(places) if gates else ()
    watched = [place for place in places if outputs and _is_watched(place)]
    head = activated_head(classifier.model)
    stepped: list[Stepped] = []
    seen: list[_Seen] = []

    def body(forward: Any, x: Any, mask: Any, counted: Any, there: Any) -> Any:
        stepped.clear()
        seen.clear()
        counted = ops.logical_and(counted, there[:, None])
        with stepping(open_places, x, stepped), _watching(watched, x, seen, head):
            forward(x, mask)
        seen.extend(_gates(stepped))
        sums = [reduced(one.values, _which(one, counted, there), one.limits) for one in seen]
        return sums, [one.deviation for one in stepped]

    counted = classifier.counted_steps(x, mask)
    size = batch_size(open_places or places, counted.shape[1], _COPIES, classifier.batch_size)
    totals: list[Moments] = []
    deviations: list[Array] = []
    for rows, (sums, apart) in classifier.observer(body, batch_size=size)(x, mask, counted):
        parts = [Moments.of(one, len(rows)) for one in sums]
        totals = [a + b for a, b in zip(totals, parts, strict=True)] if totals else parts
        deviations.append(np.array([to_array(one)[: len(rows)].max() for one in apart]))
    largest = np.max(deviations, axis=0)
    check_replay({one.layer: float(d) for one, d in zip(stepped, largest, strict=True)}, places)
    signals = [
        Signal.of(one.path, one.kind, one.name, one.limits, one.axis, total)
        for one, total in zip(seen, totals, strict=True)
    ]
    number = len(signals) - sum(len(one.signals) for one in stepped)
    return Reading(
        tuple(signals[:number]),
        tuple(signals[number:]),
        tuple(_left_out(places, watched, open_places, seen)),
        float(largest.max(initial=0.0)),
    )


def _is_watched(place: Place) -> bool:
    return not isinstance(place.layer, (keras.Model, *_PASSING))


def _gates(stepped: Sequence[Stepped]) -> Iterator[_Seen]:
    calls: list[str] = []
    for one in stepped:
        for signal in one.signals:
            path = call_path(signal.path, calls.count(one.layer) + 1)
            yield _Seen(path, *signal[1:4], "steps", *signal[4:])
        calls.append(one.layer)


@contextlib.contextmanager
def _watching(places: Sequence[Place], home: Any, seen: list[_Seen], head: Any) -> Iterator[None]:
    """Let layers add what they return to a list, whenever they are called.

    Args:
        places: The layers.
        home: A tensor of the graph that is traced.
        seen: Is added to.
        head: The layer whose softmax or sigmoid `forward` leaves out; None if there is none.
    """
    calls: list[str] = []
    apart: set[str] = set()
    with contextlib.ExitStack() as stack:
        for place in places:
            activation = _activation_name(place.layer) if place.layer is head else None
            watched = _watched_call(place, home, seen, calls, apart, activation)
            stack.enter_context(replaced(place.layer, "call", watched))
        yield
    # Keras tries a loop's body once outside of it: that call is not what the layer does.
    seen[:] = [one for one in seen if one.path.partition(" (call ")[0] not in apart]


def _watched_call(
    place: Place,
    home: Any,
    seen: list[_Seen],
    calls: list[str],
    apart: set[str],
    activation: str | None,
) -> Callable[..., Any]:
    call = place.layer.call
    signature = inspect.signature(call)
    head = f"output before {activation}" if activation else "output"

    def watched(*arguments: Any, **options: Any) -> Any:
        returned = call(*arguments, **options)
        given = signature.bind(*arguments, **options).arguments
        first = (keras.tree.flatten(next(iter(given.values()), None)) or [None])[0]
        mask = given.get("mask", getattr(first, "_keras_mask", None))
        path = call_path(place.path, calls.count(place.path) + 1)
        calls.append(place.path)
        tensors = [one for one in keras.tree.flatten(returned) if _is_number(one)]
        if any(traced_apart(one, home) for one in tensors):
            apart.add(place.path)
            return returned
        for number, tensor in enumerate(tensors, start=1):
            name = head if number == 1 else f"{head} {number}"
            kind = type(place.layer).__name__
            values, axis = _as_sequence(place.layer, tensor)
            seen.append(_Seen(path, kind, name, _limits(place.layer), axis, values, mask))
        return returned

    return watched


def _activation_name(layer: keras.layers.Layer) -> str:
    is_softmax = isinstance(layer, keras.layers.Softmax)
    return "softmax" if is_softmax else str(layer.activation.__name__)


def _is_number(tensor: Any) -> bool:
    return keras.backend.is_float_dtype(tensor.dtype) and len(tensor.shape) >= 2


def _as_sequence(layer: keras.layers.Layer, tensor: Any) -> tuple[Any, str | None]:
    """Return what a layer returns as (batch, steps, units), and what its second axis is."""
    if len(tensor.shape) == 2:
        return tensor[:, None], None
    if getattr(layer, "data_format", "channels_last") == "channels_first":
        tensor = ops.moveaxis(tensor, 1, -1)
    if getattr(layer, "go_backwards", False):
        tensor = ops.flip(tensor, axis=1)
    if len(tensor.shape) == 3:
        return tensor, "steps"
    return ops.reshape(tensor, (ops.shape(tensor)[0], -1, tensor.shape[-1])), "positions"


def _limits(layer: keras.layers.Layer) -> Limits:
    """Return what saturates a layer's output; that of LSTM and GRU is bound as its activation."""
    name = type(layer).__name__
    return limits_of(_ACTIVATIONS.get(name, getattr(layer, "activation", None)))


def _which(one: _Seen, counted: Any, there: Any) -> Any:
    """Return bool (batch, steps), which values of a signal count."""
    number = one.values.shape[1]
    is_in = ops.broadcast_to(there[:, None], ops.shape(one.values)[:2])
    if one.axis == "steps" and number == counted.shape[1]:
        is_in = ops.logical_and(is_in, counted)
    mask = one.counted
    if one.axis == "steps" and mask is not None and tuple(mask.shape[1:]) == (number,):
        is_in = ops.logical_and(is_in, ops.cast(mask, "bool"))
    return is_in


def _left_out(
    places: Sequence[Place],
    watched: Sequence[Place],
    opened: Sequence[Place],
    seen: Sequence[_Seen],
) -> Iterator[LeftOut]:
    called = {one.path.partition(" (call ")[0] for one in seen}
    for place in places:
        kind = type(place.layer).__name__
        if isinstance(place.layer, _PASSING):
            yield LeftOut(place.path, kind, "it hands on what it is given")
        elif why_not(place.layer):
            yield LeftOut(place.path, kind, str(why_not(place.layer)))
        elif place in watched and place.path not in called:
            yield LeftOut(
                place.path,
                kind,
                "it is not called, or inside of a loop, or returns no real numbers",
            )
        elif place in opened and not any(path.startswith(place.path) for path in called):
            yield LeftOut(place.path, kind, "it is not called, or inside of a loop")


def record_cells(
    classifier: KerasClassifier, x: Array, mask: Array | None = None
) -> dict[str, dict[str, Array]]:
    """Return every gate and state of every recurrent cell, at every step of every example.

    Args:
        classifier: The model.
        x: As for `read_signals`.
        mask: As for `read_signals`.

    Returns:
        By the layer's path and the signal's name: float32 (num_examples, num_steps, num_units), in
        the order of the input also where a layer reads it backwards, NaN at steps that do not
        count. A layer that cannot be stepped is not in it.

    Raises:
        DataError: The examples do not fit the model's input.
        ModelError: A replayed layer returns something else than the model's own, by more than
            1e-5, or no layer can be stepped.

    Example:
        >>> cells = record_cells(classifier, x)                    # doctest: +SKIP
        >>> cells["lstm"]["cell state"].shape                      # doctest: +SKIP
        (500, 28, 128)
    """
    places = walk(classifier.model)
    opened = steppable(places)
    stepped: list[Stepped] = []

    def body(forward: Any, x: Any, mask: Any, counted: Any, there: Any) -> Any:
        del there
        stepped.clear()
        with stepping(opened, x, stepped):
            forward(x, mask)
        gates = list(_gates(stepped))
        seen = ops.ones_like(counted[:, 0], "bool")
        values = [
            ops.where(
                _which(one, counted, seen)[..., None], ops.cast(one.values, "float32"), np.nan
            )
            for one in gates
        ]
        return values, [one.deviation for one in stepped]

    if not opened:
        raise ModelError("The model has no recurrent layer whose cell can be stepped.")
    counted = classifier.counted_steps(x, mask)
    size = batch_size(opened, counted.shape[1], _COPIES, classifier.batch_size)
    parts: list[list[Array]] = []
    for rows, (values, apart) in classifier.observer(body, batch_size=size)(x, mask, counted):
        largest = [float(to_array(one)[: len(rows)].max()) for one in apart]
        check_replay(dict(zip((one.layer for one in stepped), largest, strict=True)), places)
        parts.append([to_array(one)[: len(rows)] for one in values])
    found: dict[str, dict[str, Array]] = {}
    for one, arrays in zip(_gates(stepped), zip(*parts, strict=True), strict=True):
        found.setdefault(one.path, {})[one.name] = np.concatenate(arrays)
    return found
