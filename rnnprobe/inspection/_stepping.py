"""Recurrent layers whose cells are stepped in the open: gates, states, and taps on the states.

Keras's own loop runs over the sequence, with its masks and directions; at each step the cell's
formula is evaluated here, with the saved weights, so that what the cell keeps to itself can be
read. What comes out is compared with what the layer itself returns.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from rnnprobe._tracing import replaced, traced_apart
from rnnprobe.inspection._layers import Place

SIGMOID, TANH = (0.1, 0.9), (-0.9, 0.9)
_LIMITS = {"sigmoid": SIGMOID, "hard_sigmoid": SIGMOID, "tanh": TANH, "softsign": TANH}
_LAYERS = (keras.layers.RNN, keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN)
_CALLS = tuple(layer.call for layer in _LAYERS)

Limits = tuple[float, float] | None
Tap = Callable[[Any], Any]


class Traced(NamedTuple):
    """One signal of a layer while the model is traced.

    Args:
        path: Where in the model it is; the cell, where a layer has several.
        kind: The class of the layer or cell.
        name: What it is: `forget`, `hidden state`, `output` ...
        limits: Below the first it is saturated left, above the second right; None: it cannot be.
        values: float (batch, num_steps, num_units), in the order of the input.
        counted: bool (batch, num_steps), which the layer is told to read; None: all.
    """

    path: str
    kind: str
    name: str
    limits: Limits
    values: Any
    counted: Any


class Tapped(NamedTuple):
    """A state that was tapped: its gradient is that of `tap`'s argument, in the same order.

    Args:
        path: As for `Traced`.
        kind: As for `Traced`.
        name: `hidden state`, `cell state`, or `state` of a cell whose formula is not known here.
        backwards: Whether the layer reads the sequence from its end.
        counted: As for `Traced`.
        is_total: Whether the gradient is the total derivative; elsewhere it is 0.
    """

    path: str
    kind: str
    name: str
    backwards: bool
    counted: Any
    is_total: bool


class Stepped(NamedTuple):
    """What one call of a recurrent layer gave.

    Args:
        layer: The layer's path.
        signals: Gates and states.
        tapped: The states, one a gradient that `tap` will have; empty without `tap`.
        deviation: float (batch,), the largest difference between the outputs here and those of the
            layer itself, at steps that count.
    """

    layer: str
    signals: list[Traced]
    tapped: list[Tapped]
    deviation: Any


class _Cell(NamedTuple):
    """What one step of one cell gave."""

    path: str
    kind: str
    output: Any
    states: list[Any]
    state_names: tuple[str, ...]
    signals: dict[str, tuple[Limits, Any]]
    is_total: bool


def why_not(layer: keras.layers.Layer) -> str | None:
    """Return why a layer that may be recurrent cannot be stepped; None where it can."""
    if isinstance(layer, keras.layers.TimeDistributed) and _holds_recurrent(layer.layer):
        return "a recurrent layer inside TimeDistributed is not stepped"
    if not isinstance(layer, keras.layers.RNN):
        return None
    if type(layer).__module__.startswith("keras.") and "Conv" in type(layer).__name__:
        return "the gates of a convolutional recurrent layer are not stepped"
    if type(layer).call not in _CALLS:
        return "its `call` is its own, not that of Keras's recurrent layers"
    if not all(isinstance(size, int) for size in _sizes(layer.cell)):
        return "its states are no vectors"
    return None


def _sizes(cell: keras.layers.Layer) -> list[Any]:
    return list(keras.tree.flatten(cell.state_size))


def _holds_recurrent(layer: keras.layers.Layer) -> bool:
    layers = layer._flatten_layers(include_self=True, recursive=True)
    return any(isinstance(one, keras.layers.RNN) for one in layers)


def steppable(places: Sequence[Place]) -> tuple[Place, ...]:
    """Return the recurrent layers whose cells can be stepped."""
    return tuple(
        place
        for place in places
        if isinstance(place.layer, keras.layers.RNN) and why_not(place.layer) is None
    )


def limits_of(activation: Any) -> Limits:
    """Return below and above which an activation function is saturated; None if it never is."""
    return _LIMITS.get(getattr(activation, "__name__", ""))


@contextlib.contextmanager
def stepping(
    places: Sequence[Place], home: Any, found: list[Stepped], tap: Tap | None = None
) -> Iterator[None]:
    """Let recurrent layers be stepped in the open, whenever they are called.

    Args:
        places: What `steppable` returned.
        home: A tensor of the graph that is traced; a layer called in an inner graph, such as a
            loop's, is left as it is.
        found: Is added to, in the order of the calls.
        tap: Returns a tensor as it is and has its gradient taken; it gets zeros that are added to
            the states. None takes no gradients.
    """
    with contextlib.ExitStack() as stack:
        for place in places:
            stepped = _stepped_call(place, home, found, tap)
            stack.enter_context(replaced(place.layer, "call", stepped))
        yield


def _stepped_call(
    place: Place, home: Any, found: list[Stepped], tap: Tap | None
) -> Callable[..., Any]:
    layer, call = place.layer, place.layer.call
    signature = inspect.signature(call)

    def stepped(*arguments: Any, **options: Any) -> Any:
        given = signature.bind(*arguments, **options).arguments
        sequences, mask = given["sequences"], given.get("mask")
        if traced_apart(sequences, home):
            return call(*arguments, **options)
        initial = given.get("initial_state")
        if initial is None and layer.stateful:  # both calls begin with what it kept
            initial = keras.tree.map_structure(lambda kept: ops.add(kept, 0), layer.states)
        expected = call(sequences, initial_state=initial, mask=mask)
        cells: list[_Cell] = []
        with _opened(layer, place.path, cells, is_tapped=tap is not None):
            fed = sequences if tap is None else _with_taps(layer, sequences, tap)
            outputs = call(fed, initial_state=initial, mask=mask)
        every, *states = outputs if layer.return_state else (outputs,)
        widths = [cells[-1].output.shape[-1]]
        widths += [value.shape[-1] for cell in cells for _, value in cell.signals.values()]
        own, *signals = ops.split(every, list(itertools.accumulate(widths))[:-1], axis=-1)
        returned = [own if layer.return_sequences else own[:, -1], *states]
        deviation = _deviation(layer, returned, keras.tree.flatten(expected), mask)
        traced = list(_traced(layer, cells, signals, mask))
        tapped = [] if tap is None else list(_tapped(layer, cells, mask))
        found.append(Stepped(place.path, traced, tapped, deviation))
        return keras.tree.pack_sequence_as(expected, returned)

    return stepped


def _with_taps(layer: keras.layers.RNN, sequences: Any, tap: Tap) -> Any:
    """Return the sequences with more features behind theirs: zeros for each state, tapped."""
    shape = ops.shape(sequences)[:2]
    zeros = [tap(ops.zeros((*shape, size), dtype=sequences.dtype)) for size in _sizes(layer.cell)]
    return ops.concatenate([sequences, *zeros], axis=-1)


@contextlib.contextmanager
def _opened(
    layer: keras.layers.RNN, path: str, cells: list[_Cell], *, is_tapped: bool
) -> Iterator[None]:
    """Let a layer return every output, each with its cell's signals behind it.

    Args:
        layer: What is opened.
        path: Its path.
        cells: Is filled with what the cell gave at one step.
        is_tapped: Whether its input ends in what is to be added to the states.
    """
    cell, sizes = layer.cell, _sizes(layer.cell)
    ends = list(itertools.accumulate(sizes, initial=-sum(sizes)))[:-1]

    def call(inputs: Any, states: Any, **options: Any) -> Any:
        nudges: list[Any] = [0] * len(sizes)
        if is_tapped:
            inputs, *nudges = ops.split(inputs, [inputs.shape[-1] + end for end in ends], axis=-1)
        own = functools.partial(own_call, **options)  # `training`, where the cell takes it
        cells[:] = _step(cell, path, inputs, keras.tree.flatten(states), nudges, own)
        values = [value for one in cells for _, value in one.signals.values()]
        new_states = [state for one in cells for state in one.states]
        output = ops.concatenate([cells[-1].output, *values], axis=-1)
        return output, keras.tree.pack_sequence_as(states, new_states)

    own_call = cell.call
    with contextlib.ExitStack() as stack:
        stack.enter_context(replaced(cell, "call", call))
        stack.enter_context(replaced(layer, "return_sequences", True))
        # It would call stacked cells with what is tapped; there is no dropout here to prepare.
        stack.enter_context(replaced(layer, "_maybe_config_dropout_masks", lambda *given: None))
        if hasattr(layer, "use_cudnn"):
            stack.enter_context(replaced(layer, "use_cudnn", False))
        yield


def _step(
    cell: keras.layers.Layer,
    path: str,
    inputs: Any,
    states: list[Any],
    nudges: list[Any],
    own_call: Callable[..., Any],
) -> list[_Cell]:
    """Return what one step of a cell gives, or of each of stacked cells.

    Args:
        cell: The cell.
        path: Its path.
        inputs: float (batch, num_features).
        states: One float (batch, size) a state.
        nudges: What is added to each new state, where that is soon enough.
        own_call: The cell's own formula, of inputs and states.
    """
    if type(cell) is keras.layers.StackedRNNCells:
        found: list[_Cell] = []
        for one in cell.cells:
            number, done = len(_sizes(one)), sum(len(before.states) for before in found)
            mine, name = slice(done, done + number), f"{path}/{one.name}"
            found += _step(one, name, inputs, states[mine], nudges[mine], one)
            inputs = found[-1].output
        return found
    formula = _FORMULAS.get(type(cell).call)
    if formula is None:
        return [_unknown(cell, path, inputs, states, nudges, own_call)]
    new_states, signals = formula(cell, inputs, states, nudges)
    names = tuple(name for name in signals if name.endswith(" state"))
    return [_Cell(path, type(cell).__name__, new_states[0], new_states, names, signals, True)]


def _lstm(
    cell: Any, inputs: Any, states: list[Any], nudges: list[Any]
) -> tuple[list[Any], dict[str, tuple[Limits, Any]]]:
    hidden, memory = states
    sums = ops.matmul(inputs, cell.kernel) + ops.matmul(hidden, cell.recurrent_kernel)
    if cell.use_bias:
        sums = sums + cell.bias
    i, f, c, o = ops.split(sums, 4, axis=-1)
    i, f, o = (cell.recurrent_activation(gate) for gate in (i, f, o))
    candidate = cell.activation(c)
    memory = f * memory + i * candidate + nudges[1]
    hidden = o * cell.activation(memory) + nudges[0]
    gate, value = limits_of(cell.recurrent_activation), limits_of(cell.activation)
    signals = {
        "input gate": (gate, i),
        "forget gate": (gate, f),
        "candidate": (value, candidate),
        "output gate": (gate, o),
        "hidden state": (value, hidden),
        "cell state": (None, memory),
    }
    return [hidden, memory], signals


def _gru(
    cell: Any, inputs: Any, states: list[Any], nudges: list[Any]
) -> tuple[list[Any], dict[str, tuple[Limits, Any]]]:
    (hidden,) = states
    units = cell.units
    sums = ops.matmul(inputs, cell.kernel)
    recurrent = ops.matmul(
        hidden,
        cell.recurrent_kernel if cell.reset_after else cell.recurrent_kernel[:, : 2 * units],
    )
    if cell.use_bias:
        sums = sums + (cell.bias[0] if cell.reset_after else cell.bias)
        recurrent = recurrent + (cell.bias[1] if cell.reset_after else 0)
    z, r, h = ops.split(sums, 3, axis=-1)
    z = cell.recurrent_activation(z + recurrent[:, :units])
    r = cell.recurrent_activation(r + recurrent[:, units : 2 * units])
    if cell.reset_after:
        candidate = cell.activation(h + r * recurrent[:, 2 * units :])
    else:
        candidate = cell.activation(
            h + ops.matmul(r * hidden, cell.recurrent_kernel[:, 2 * units :])
        )
    hidden = z * hidden + (1 - z) * candidate + nudges[0]
    gate, value = limits_of(cell.recurrent_activation), limits_of(cell.activation)
    signals = {
        "update gate": (gate, z),
        "reset gate": (gate, r),
        "candidate": (value, candidate),
        "hidden state": (value, hidden),
    }
    return [hidden], signals


def _simple(
    cell: Any, inputs: Any, states: list[Any], nudges: list[Any]
) -> tuple[list[Any], dict[str, tuple[Limits, Any]]]:
    sums = ops.matmul(inputs, cell.kernel) + ops.matmul(states[0], cell.recurrent_kernel)
    if cell.use_bias:
        sums = sums + cell.bias
    hidden = cell.activation(sums) + nudges[0]
    return [hidden], {"hidden state": (limits_of(cell.activation), hidden)}


_FORMULAS = {
    keras.layers.LSTMCell.call: _lstm,
    keras.layers.GRUCell.call: _gru,
    keras.layers.SimpleRNNCell.call: _simple,
}


def _unknown(
    cell: keras.layers.Layer,
    path: str,
    inputs: Any,
    states: list[Any],
    nudges: list[Any],
    own_call: Callable[..., Any],
) -> _Cell:
    """Step a cell by its own formula: its states can be seen, its gates cannot."""
    given = keras.tree.pack_sequence_as(cell.state_size, states)
    output, after = own_call(inputs, given if isinstance(given, list | tuple) else [given])
    new_states = keras.tree.flatten(after)
    # After the step is too late to change a state that the cell made other things of within it.
    is_total = len(new_states) == 1 and output is new_states[0]
    if is_total:
        output = new_states[0] = output + nudges[0]
    number = len(new_states)
    names = ("state",) if number == 1 else tuple(f"state {i + 1}" for i in range(number))
    seen: list[tuple[Limits, Any]] = [(None, state) for state in new_states]
    signals = dict(zip(names, seen, strict=True))
    return _Cell(path, type(cell).__name__, output, new_states, names, signals, is_total)


def _deviation(
    layer: keras.layers.RNN, own: Sequence[Any], expected: Sequence[Any], mask: Any
) -> Any:
    """Return float (batch,), how far outputs here and there are apart, 1 being 1 or their size."""
    found = []
    for here, there in zip(own, expected, strict=True):
        here, there = ops.cast(here, "float32"), ops.cast(there, "float32")
        apart = ops.max(ops.abs(here - there), axis=-1)
        size = ops.maximum(1.0, ops.max(ops.abs(there), axis=-1))
        counts = True
        if mask is not None:
            steps = ops.flip(mask, axis=1) if layer.go_backwards else mask
            counts = steps if len(there.shape) == 3 else ops.any(mask, axis=1)
        apart = ops.where(counts, apart / size, 0.0)
        found.append(apart if len(apart.shape) == 1 else ops.max(apart, axis=1))
    return ops.max(ops.stack(found), axis=0)


def _traced(
    layer: keras.layers.RNN, cells: Sequence[_Cell], signals: Sequence[Any], mask: Any
) -> Iterator[Traced]:
    values = (ops.flip(one, axis=1) if layer.go_backwards else one for one in signals)
    for cell in cells:
        kind = type(layer).__name__ if len(cells) == 1 else cell.kind
        for name, (limits, _) in cell.signals.items():
            yield Traced(cell.path, kind, name, limits, next(values), mask)


def _tapped(layer: keras.layers.RNN, cells: Sequence[_Cell], mask: Any) -> Iterator[Tapped]:
    for cell in cells:
        kind = type(layer).__name__ if len(cells) == 1 else cell.kind
        for name in cell.state_names:
            yield Tapped(cell.path, kind, name, layer.go_backwards, mask, cell.is_total)
