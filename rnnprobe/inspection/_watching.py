"""What layers return while a model is traced, and whether their steps are those of the input."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from rnnprobe._tracing import replaced, traced_apart
from rnnprobe.inspection._layers import Place, call_path
from rnnprobe.inspection._stepping import Limits, Stepped, limits_of

PASSING = (
    keras.layers.Dropout, keras.layers.SpatialDropout1D, keras.layers.SpatialDropout2D,
    keras.layers.GaussianDropout, keras.layers.GaussianNoise, keras.layers.AlphaDropout,
    keras.layers.ActivityRegularization, keras.layers.Flatten, keras.layers.Reshape,
    keras.layers.Permute, keras.layers.RepeatVector, keras.layers.Masking, keras.layers.Identity,
)  # fmt: skip
"""Layers that hand on what they are given."""

_ACTIVATIONS = {"Softmax": keras.activations.softmax, "ReLU": keras.activations.relu}
_OTHER_STEPS = "_rnnprobe_other_steps"
_SOME_STEPS = 97  # a number that no layer has for its own


class Seen(NamedTuple):
    """One signal while the model is traced.

    Args:
        path: As `Signal` has it, like `kind`, `name`, `limits` and `axis`.
        kind: See above.
        name: See above.
        limits: See above.
        axis: See above.
        values: float (batch, num_steps * num_positions, num_units).
        mask: bool (batch, num_steps), what the layer is told to read; None: nothing is told.
        num_positions: How many values of each step stand behind each other.
        of_input: Whether its steps are those of the input.
    """

    path: str
    kind: str
    name: str
    limits: Limits
    axis: str | None
    values: Any
    mask: Any
    num_positions: Any
    of_input: bool

    def which(self, counted: Any, there: Any) -> Any:
        """Return bool (batch, num_steps * num_positions), the values that count.

        Args:
            counted: bool (batch, num_steps), the steps of the input that count.
            there: bool (batch,), the examples that count.
        """
        is_in = ops.broadcast_to(there[:, None], ops.shape(self.values)[:2])
        masks = [counted] if self.of_input and self.axis else []
        masks += [] if self.mask is None else [ops.cast(self.mask, "bool")]
        for mask in masks:
            steps = ops.broadcast_to(mask[:, :, None], (*ops.shape(mask), self.num_positions))
            is_in = ops.logical_and(is_in, ops.reshape(steps, ops.shape(is_in)))
        return is_in


class Watch:
    """Sees what layers return.

    Args:
        watched: The layers to look at.
        head: The layer whose softmax or sigmoid is left out while the model is traced; or None.

    Attributes:
        seen: What was seen in the last trace, in the order of the calls.
        other_steps: The paths of the layers that read other steps than those of the input.
    """

    def __init__(self, watched: Sequence[Place], head: keras.layers.Layer | None) -> None:
        self._watched = {place.path for place in watched}
        self._head = head
        self._head_name = "" if head is None else f"output before {_activation_name(head)}"
        self._calls: list[str] = []
        self.seen: list[Seen] = []
        self.other_steps: set[str] = set()

    @contextlib.contextmanager
    def over(self, places: Sequence[Place], home: Any) -> Iterator[None]:
        """Look on while the model is traced.

        Args:
            places: All its layers.
            home: A tensor of the graph that is traced.
        """
        inner: set[str] = set()
        self.seen, self._calls, self.other_steps = [], [], set()
        with contextlib.ExitStack() as stack:
            for place in places:
                if not isinstance(place.layer, keras.Model):
                    call = self._watching(place, home, inner)
                    stack.enter_context(replaced(place.layer, "call", call))
            yield
        # Keras tries a loop's body once outside of it: that call is not what the layer does.
        self.seen = [one for one in self.seen if one.path.partition(" (call ")[0] not in inner]

    def _watching(self, place: Place, home: Any, inner: set[str]) -> Callable[..., Any]:
        call = place.layer.call
        signature = inspect.signature(call)

        def watched(*arguments: Any, **options: Any) -> Any:
            returned = call(*arguments, **options)
            given = signature.bind(*arguments, **options).arguments
            inputs = _tensors(next(iter(given.values()), None))
            tensors = _tensors(returned)
            if any(traced_apart(tensor, home) for tensor in tensors):
                inner.add(place.path)
                return returned
            if any(hasattr(tensor, _OTHER_STEPS) for tensor in inputs):
                self.other_steps.add(place.path)
            told = _tensors(given.get("mask"))
            told = told or [getattr(tensor, "_keras_mask", None) for tensor in inputs[:1]]
            self._see(place, inputs, tensors, told[0] if told else None)
            return returned

        return watched

    def _see(self, place: Place, inputs: list[Any], tensors: list[Any], mask: Any) -> None:
        """Add what a layer returned, and mark it where its steps are not those of the input."""
        path = call_path(place.path, self._calls.count(place.path) + 1)
        self._calls.append(place.path)
        own = [tensor for tensor in tensors if _is_number(tensor)]
        for tensor in tensors:
            if place.path in self.other_steps or _makes_steps(place.layer, inputs[:1], tensor):
                setattr(tensor, _OTHER_STEPS, True)
        if place.path not in self._watched:
            return
        for number, tensor in enumerate(own, start=1):
            head = self._head_name if place.layer is self._head else "output"
            keeps = not _makes_steps(place.layer, inputs[:1], tensor)
            axis, values, num_positions = _as_sequence(place.layer, tensor)
            self.seen.append(
                Seen(
                    path,
                    type(place.layer).__name__,
                    head if number == 1 else f"{head} {number}",
                    _limits(place.layer, number),
                    axis,
                    values,
                    mask if keeps else None,
                    num_positions,
                    not hasattr(tensor, _OTHER_STEPS),
                )
            )


def gates_seen(stepped: Sequence[Stepped], other_steps: Collection[str]) -> Iterator[Seen]:
    """Return gates and states of the cells.

    Args:
        stepped: What the calls of the recurrent layers gave.
        other_steps: The layers that read other steps than those of the input.
    """
    calls: list[str] = []
    for one in stepped:
        for signal in one.signals:
            path = call_path(signal.path, calls.count(one.layer) + 1)
            of_input = one.layer not in other_steps
            yield Seen(path, *signal[1:4], "steps", *signal[4:], 1, of_input)
        calls.append(one.layer)


def _tensors(nest: Any) -> list[Any]:
    return [one for one in keras.tree.flatten(nest) if hasattr(one, "shape")]


def _is_number(tensor: Any) -> bool:
    return keras.backend.is_float_dtype(tensor.dtype) and len(tensor.shape) >= 2


def _makes_steps(layer: keras.layers.Layer, given: Sequence[Any], tensor: Any) -> bool:
    """Return whether what a layer returns has other steps than what it is given, as far as told."""
    if not given or len(tensor.shape) < 3 or len(given[0].shape) < 2:
        return True
    if isinstance(layer, keras.layers.Reshape | keras.layers.Permute):
        return True
    before, after = given[0].shape[1], tensor.shape[1]
    if before is None and after is None:  # any number of steps: ask for some
        try:
            shape = layer.compute_output_shape((1, _SOME_STEPS, *given[0].shape[2:]))
            return bool(keras.tree.flatten(shape)[1] != _SOME_STEPS)
        except Exception:  # a layer of the user's need not know, and may raise whatever it likes
            return False
    return bool(before != after)


def _activation_name(layer: keras.layers.Layer) -> str:
    is_softmax = isinstance(layer, keras.layers.Softmax)
    return "softmax" if is_softmax else str(layer.activation.__name__)


def _as_sequence(layer: keras.layers.Layer, tensor: Any) -> tuple[str | None, Any, Any]:
    """Return what the second axis of a layer's output is, and it as (batch, steps, units).

    Of more axes the positions of each step stand behind each other; last how many these are.
    """
    if len(tensor.shape) == 2:
        return None, tensor[:, None], 1
    if getattr(layer, "data_format", "channels_last") == "channels_first":
        tensor = ops.moveaxis(tensor, 1, -1)
    if getattr(layer, "go_backwards", False):
        tensor = ops.flip(tensor, axis=1)
    if len(tensor.shape) == 3:
        return "steps", tensor, 1
    values = ops.reshape(tensor, (ops.shape(tensor)[0], -1, tensor.shape[-1]))
    return "positions", values, ops.prod(ops.shape(tensor)[2:-1])


def _limits(layer: keras.layers.Layer, number: int) -> Limits:
    """Return what saturates the first, second ... output of a layer.

    That of LSTM and GRU is bound as its activation; the further outputs of a recurrent layer are
    its states, of which the cell state has no bound.
    """
    is_cell_state = isinstance(layer, keras.layers.LSTM) and number > 2
    is_other = number > 1 and not isinstance(layer, keras.layers.RNN)
    if is_cell_state or is_other:
        return None
    name = type(layer).__name__
    return limits_of(_ACTIVATIONS.get(name, getattr(layer, "activation", None)))
