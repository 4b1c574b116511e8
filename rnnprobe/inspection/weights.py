"""The weights of a model, gate by gate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np

from rnnprobe.inspection._layers import Place, walk
from rnnprobe.records import Array

LARGEST_SPECTRUM = 1024
"""Units up to which eigenvalues are computed; the time grows with their cube.

Four blocks of so many take 3 s on two free cores; of 4,096 it would be about two minutes. ARPACK
is no way out: for an orthogonal matrix with noise of 1,024 units it said 1.0024 in place of 1.0041,
to a residual of 1e-6, and for an orthogonal one it did not converge.
"""

_CHUNK = 1 << 20  # values turned to float64 together
_LSTM = ("input", "forget", "candidate", "output")
_GRU = ("update", "reset", "candidate")
_GATES: dict[Callable[..., Any] | None, tuple[str | None, ...]] = {
    keras.layers.LSTMCell.call: _LSTM,
    keras.layers.GRUCell.call: _GRU,
    keras.layers.SimpleRNNCell.call: (None,),
}
_PARTS = {"kernel": "kernel", "recurrent_kernel": "recurrent kernel", "bias": "bias"}


@dataclass(frozen=True, eq=False)
class WeightBlock:
    """The weights of one gate in one part of a layer, or one whole variable.

    The numbers describe the weights that there are, and are no estimates. All but the shape are
    None where a weight is no finite number, or there is none.

    Args:
        layer: The names from the model down to the layer or cell, by `/`.
        kind: Its class.
        part: `kernel`, `recurrent kernel`, `bias`, or `input bias` and `recurrent bias` of a GRU
            with `reset_after`, in Keras's own cells; else the variable's name.
        gate: `input`, `forget`, `candidate`, `output` of a LSTM; `update`, `reset`, `candidate` of
            a GRU; None where there is no gate, or it cannot be known which.
        values: What is stored, such as float32 (num_inputs, units) of a kernel.
        norm: Root of the sum of squares.
        mean: Of all weights of the block.
        deviation: Their standard deviation, around `mean`, over all of them.
        largest: Largest absolute value.
        spectral_radius: Largest absolute eigenvalue of a gate's recurrent kernel (units, units),
            by LAPACK in float64; None of other parts and above `LARGEST_SPECTRUM` units.
        started_at_one: Whether Keras put 1 there when the layer was made (`unit_forget_bias`).
        notes: What the reader must know of it, short phrases.
    """

    layer: str
    kind: str
    part: str
    gate: str | None
    values: Array
    norm: float | None
    mean: float | None
    deviation: float | None
    largest: float | None
    spectral_radius: float | None
    started_at_one: bool
    notes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of `values`."""
        return self.values.shape


def read_weights(model: keras.Model) -> tuple[WeightBlock, ...]:
    """Return all weights of a model, those of Keras's own recurrent cells gate by gate.

    Weights that are shared come once, where they are first. A cell that computes its step in its
    own way is taken as a whole, also where it is derived from one of Keras's: nothing says which
    column is which gate. The eigenvalues are those of a matrix within about 1e-16 of the block's
    norm of the given one.

    Args:
        model: Built.

    Returns:
        One record a block, in the order of the model; of a layer in the order kernel, recurrent
        kernel, bias, then other variables; of a part in Keras's order of gates.

    References:
        E. Anderson et al., "LAPACK Users' Guide" (1999), section 4.8, for the eigenvalues.
        https://www.netlib.org/lapack/lug/node91.html

    Example:
        >>> import keras
        >>> blocks = read_weights(keras.Sequential([keras.Input((4, 2)), keras.layers.GRU(3)]))
        >>> [block.gate for block in blocks if block.part == "kernel"]
        ['update', 'reset', 'candidate']
        >>> blocks[0].shape
        (2, 3)
    """
    found: list[WeightBlock] = []
    seen: set[int] = set()
    for place in walk(model):
        own = [variable for variable in place.variables if id(variable) not in seen]
        seen.update(id(variable) for variable in own)
        found += _blocks(place, own)
    return tuple(found)


class Cell(NamedTuple):
    """One recurrent cell, or a layer without any, with its name in tables."""

    path: str
    kind: str
    layer: Any


def _blocks(place: Place, variables: Sequence[keras.Variable]) -> Iterator[WeightBlock]:
    rest = list(variables)
    for cell in cells_of(place.path, place.layer):
        gates = gates_of(cell.layer)
        for name in _PARTS if gates else ():
            variable = getattr(cell.layer, name, None)
            if any(variable is one for one in rest):
                rest = [one for one in rest if one is not variable]
                yield from _gate_blocks(cell, name, stored(variable), gates)
        theirs = {id(one) for one in getattr(cell.layer, "weights", ())}
        own = [one for one in rest if id(one) in theirs]
        rest = [one for one in rest if id(one) not in theirs]
        for part, variable in zip(_variable_names(own), own, strict=True):
            yield _measured(cell.path, cell.kind, part, None, stored(variable))
    kind = type(place.layer).__name__
    for part, variable in zip(_variable_names(rest), rest, strict=True):
        yield _measured(place.path, kind, part, None, stored(variable))


def cells_of(path: str, layer: Any) -> list[Cell]:
    """Return the cells of a recurrent layer, also of a wrapped one; else none."""
    kind = type(layer).__name__
    while isinstance(layer, keras.layers.Wrapper) and not isinstance(
        layer, keras.layers.Bidirectional
    ):
        layer = layer.layer
    cell = getattr(layer, "cell", None) if isinstance(layer, keras.layers.RNN) else None
    if cell is None:
        return []
    if not isinstance(cell, keras.layers.StackedRNNCells):
        plain_kind = type(cell).__name__ if type(layer) is keras.layers.RNN else kind
        return [Cell(path, plain_kind, cell)]
    names = [getattr(one, "name", type(one).__name__) for one in cell.cells]
    return [
        Cell(f"{path}/{name}" + f"#{i + 1}" * (names.count(name) > 1), type(one).__name__, one)
        for i, (name, one) in enumerate(zip(names, cell.cells, strict=True))
    ]


def gates_of(cell: Any) -> tuple[str | None, ...]:
    """Return the gates of one of Keras's own cells in its order of columns; else nothing."""
    if type(cell).__module__ == "keras.src.layers.rnn.conv_lstm":  # the class is not public
        return _LSTM
    return _GATES.get(getattr(type(cell), "call", None), ())


def _gate_blocks(
    cell: Cell, name: str, values: Array, gates: Sequence[str | None]
) -> Iterator[WeightBlock]:
    parts = {_PARTS[name]: values}
    if name == "bias" and values.ndim == 2:
        parts = {"input bias": values[0], "recurrent bias": values[1]}
    for part, whole in parts.items():
        for gate, own in zip(gates, np.split(whole, len(gates), axis=-1), strict=True):
            at_one = part == "bias" and gate == "forget" and bool(cell.layer.unit_forget_bias)
            yield _measured(cell.path, cell.kind, part, gate, own, at_one=at_one)


def _variable_names(variables: Sequence[keras.Variable]) -> list[str]:
    """Return the end of each variable's path, so much of it as tells them apart."""
    paths = [variable.path.split("/") for variable in variables]
    for size in range(1, max(map(len, paths), default=1) + 1):
        names = ["/".join(path[-size:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [f"{name}#{i}" for i, name in enumerate(names, 1)]


def stored(variable: Any) -> Array:
    """Return a variable or tensor as NumPy knows it: bfloat16 and float8 as float32."""
    values = np.asarray(keras.ops.convert_to_numpy(variable))
    return values if values.dtype.kind in "biufc" else values.astype(np.float32)


def _measured(
    layer: str, kind: str, part: str, gate: str | None, values: Array, *, at_one: bool = False
) -> WeightBlock:
    view = values.view()
    view.flags.writeable = False
    notes = ["Keras put 1 there at the start"] * at_one
    if values.dtype.kind != "f":
        notes.append(f"stored as {values.dtype}")
    odd = int((~np.isfinite(values)).sum())
    if odd:
        notes.append(f"{odd:,} of {values.size:,} are no finite numbers")
    elif values.size == 0:
        notes.append("empty")
    elif not values.any():
        notes.append("all 0")
    numbers = _NO_NUMBERS
    if not odd and values.size and values.dtype.kind != "c":
        numbers = _numbers(values)
    radius = None
    if part == "recurrent kernel" and values.ndim == 2 and numbers.norm is not None:
        if len(values) > LARGEST_SPECTRUM:
            notes.append(f"no eigenvalues above {LARGEST_SPECTRUM:,} units: they take too long")
        else:
            radius = float(np.abs(np.linalg.eigvals(values.astype(np.float64))).max())
    return WeightBlock(layer, kind, part, gate, view, *numbers, radius, at_one, tuple(notes))


class _Numbers(NamedTuple):
    """Four of the fields of `WeightBlock`, in its order."""

    norm: float | None
    mean: float | None
    deviation: float | None
    largest: float | None


_NO_NUMBERS = _Numbers(None, None, None, None)


def _numbers(values: Array) -> _Numbers:
    """Return norm, mean, standard deviation and largest absolute value, of finite values."""
    flat = values.reshape(-1)

    def chunks() -> Iterator[Array]:
        for start in range(0, flat.size, _CHUNK):
            yield flat[start : start + _CHUNK].astype(np.float64)

    largest = max(float(np.abs(chunk).max()) for chunk in chunks())
    scale = largest or 1.0  # lest a square leave the range of float64
    mean = sum(float((chunk / scale).sum()) for chunk in chunks()) / flat.size
    squares = sum(float(((chunk / scale) ** 2).sum()) for chunk in chunks())
    around = sum(float(((chunk / scale - mean) ** 2).sum()) for chunk in chunks())
    norm, deviation = math.sqrt(squares), math.sqrt(around / flat.size)
    return _Numbers(norm * scale, mean * scale, deviation * scale, largest)
