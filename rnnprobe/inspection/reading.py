"""One pass over the data in which every layer and every recurrent cell is looked into."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from rnnprobe._batches import to_array
from rnnprobe.classifier import KerasClassifier
from rnnprobe.errors import ModelError
from rnnprobe.inspection._layers import Place, batch_size, walk
from rnnprobe.inspection._moments import Moments, reduced
from rnnprobe.inspection._replay_check import check_replay
from rnnprobe.inspection._stepping import Stepped, steppable, stepping, why_not
from rnnprobe.inspection._watching import PASSING, Seen, Watch, gates_seen
from rnnprobe.inspection.signals import Signal
from rnnprobe.records import Array

_GATE_COPIES = 25  # of a state's float that a step of a batch needs, gates and sums together
_OUTPUT_COPIES = 8  # of a unit's float where outputs alone are looked at


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
        all_counted: The layers of which all steps count although the data have padding, since they
            are not told which do and their steps are not those of the input.
        deviation: The largest difference between a replayed layer and the model's own.
    """

    outputs: tuple[Signal, ...]
    gates: tuple[Signal, ...]
    left_out: tuple[LeftOut, ...]
    all_counted: tuple[str, ...]
    deviation: float


def read_signals(
    classifier: KerasClassifier,
    x: Array,
    mask: Array | None = None,
    *,
    outputs: bool = True,
    gates: bool = True,
) -> Reading:
    """Look at what every layer returns and at every gate and state, over all examples.

    Steps that do not count are left out: those that a layer is told to skip, and where its steps
    are those of the input, those that `counted_steps` knows as padding. Gates are not what Keras
    hands out: each cell is stepped with the saved weights, and the outputs that come of it must be
    the model's own.

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
    opened = steppable(places) if gates else ()
    watched = [place for place in places if outputs and not _is_passing(place)]
    watch = Watch(watched, classifier.head)
    stepped: list[Stepped] = []
    seen: list[Seen] = []

    def body(forward: Any, x: Any, mask: Any, counted: Any, there: Any) -> Any:
        stepped.clear()
        with stepping(opened, x, stepped), watch.over(places, x):
            forward(x, mask)
        seen[:] = [*watch.seen, *gates_seen(stepped, watch.other_steps)]
        sums = [reduced(one.values, one.which(counted, there), one.limits) for one in seen]
        return sums, [one.deviation for one in stepped]

    counted = classifier.counted_steps(x, mask)
    totals: list[Moments] = []
    largest = np.zeros(0)
    size = _size(classifier, places, opened, counted.shape[1])
    for rows, (sums, apart) in classifier.observer(body, batch_size=size)(x, mask, counted):
        parts = [Moments.of(one, len(rows)) for one in sums]
        totals = [a + b for a, b in zip(totals, parts, strict=True)] if totals else parts
        largest = _largest(largest, apart, len(rows))
    check_replay([(one.layer, d) for one, d in zip(stepped, largest, strict=True)], places)
    signals = [Signal.of(*one[:5], total) for one, total in zip(seen, totals, strict=True)]
    number = len(watch.seen)
    return Reading(
        tuple(signals[:number]),
        tuple(signals[number:]),
        tuple(_left_out(places, watched, opened, seen, classifier.head)),
        () if counted.all() else _all_counted(seen),
        float(largest.max(initial=0.0)),
    )


def _size(
    classifier: KerasClassifier, places: Sequence[Place], opened: Sequence[Place], num_steps: int
) -> int:
    """Return how many examples go through at once."""
    if opened:
        return batch_size(opened, num_steps, _GATE_COPIES, classifier.batch_size)
    kept = [place for place in places if getattr(place.layer, "return_sequences", False)]
    return batch_size(kept, num_steps, _OUTPUT_COPIES, classifier.batch_size)


def _largest(before: Array, apart: Sequence[Any], num_rows: int) -> Array:
    """Return the largest deviation of each call so far."""
    now = np.array([float(to_array(one)[:num_rows].max()) for one in apart])
    return np.maximum(before, now) if len(before) else now


def _all_counted(seen: Sequence[Seen]) -> tuple[str, ...]:
    """Return the paths of what nothing tells the padding of."""
    untold = (one for one in seen if one.axis and not one.of_input and one.mask is None)
    return tuple(dict.fromkeys(one.path for one in untold))


def _is_passing(place: Place) -> bool:
    return isinstance(place.layer, (keras.Model, *PASSING))


def _left_out(
    places: Sequence[Place],
    watched: Sequence[Place],
    opened: Sequence[Place],
    seen: Sequence[Seen],
    head: keras.layers.Layer | None,
) -> Iterator[LeftOut]:
    called = {one.path.partition(" (call ")[0] for one in seen}
    called |= {path.rpartition("/")[0] for path in called}  # of stacked cells: their layer
    for place in places:
        reason = why_not(place.layer)
        if isinstance(place.layer, PASSING):
            reason = "it hands on what it is given"
        elif place.layer is head and isinstance(head, keras.layers.Softmax):
            reason = "what it is given, the logits, is shown with the layer before"
        elif place in watched and place.path not in called:
            reason = "it is not called, or inside of a loop, or returns no real numbers"
        elif place in opened and place.path not in called:
            reason = "it is not called, or inside of a loop"
        if reason:
            yield LeftOut(place.path, type(place.layer).__name__, reason)


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
    watch = Watch((), None)
    stepped: list[Stepped] = []
    seen: list[Seen] = []

    def body(forward: Any, x: Any, mask: Any, counted: Any, there: Any) -> Any:
        stepped.clear()
        with stepping(opened, x, stepped), watch.over(places, x):
            forward(x, mask)
        seen[:] = gates_seen(stepped, watch.other_steps)
        counts = [one.which(counted, there)[..., None] for one in seen]
        values = [ops.cast(one.values, "float32") for one in seen]
        kept = [ops.where(c, v, np.nan) for c, v in zip(counts, values, strict=True)]
        return kept, [one.deviation for one in stepped]

    if not opened:
        raise ModelError("The model has no recurrent layer whose cell can be stepped.")
    counted = classifier.counted_steps(x, mask)
    size = batch_size(opened, counted.shape[1], _GATE_COPIES, classifier.batch_size)
    parts: list[list[Array]] = []
    for rows, (values, apart) in classifier.observer(body, batch_size=size)(x, mask, counted):
        largest = _largest(np.zeros(0), apart, len(rows))
        check_replay([(one.layer, d) for one, d in zip(stepped, largest, strict=True)], places)
        parts.append([to_array(one)[: len(rows)] for one in values])
    found: dict[str, dict[str, Array]] = {}
    for one, arrays in zip(seen, zip(*parts, strict=True), strict=True):
        found.setdefault(one.path, {})[one.name] = np.concatenate(arrays)
    return found
