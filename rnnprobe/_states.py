"""The last recurrent layer of a Keras model: whether a head can be put on each of its states."""

from __future__ import annotations

from typing import Any, Protocol

import keras
import numpy as np

from rnnprobe._batches import bounded_size, num_units, to_array
from rnnprobe._tracing import states_as_examples
from rnnprobe.errors import DataError, ModelError
from rnnprobe.records import Array

_REFUSED = "The head cannot be applied to every hidden state: "
_EXAMPLES_ALTERED = 32
_COPIES = 2  # of a unit's float that a step of a batch needs


class _Observed(Protocol):
    """What is needed of a `KerasClassifier`."""

    model: keras.Model
    batch_size: int

    def observer(self, body: Any, *, batch_size: int | None) -> Any: ...

    def counted_steps(self, x: Array, mask: Array | None) -> Array: ...


def read_states(
    classifier: _Observed, x: Array, mask: Array | None, final: Array
) -> tuple[Array, Array]:
    """Return what `KerasClassifier.read_states` does, given the logits of the whole sequences."""
    layer = reading_layer(classifier.model)
    calls: list[Any] = []

    def body(forward: Any, x: Any, mask: Any, there: Any) -> tuple[Any, Any]:
        del there
        calls.clear()
        with states_as_examples(layer, calls):
            logits = forward(x, mask)
        return logits, (calls or [keras.ops.zeros_like(logits, "bool")])[0]

    size = bounded_size(_units_of(classifier.model), x.shape[1], _COPIES, classifier.batch_size)
    observe = classifier.observer(body, batch_size=size)

    def run(x: Array, mask: Array | None) -> tuple[Array, Array]:
        by_step, counts = np.zeros((0, 0, 0), np.float32), np.zeros((0, 0), bool)
        try:
            for rows, (logits, counted) in observe(x, mask):
                shape = tuple(counted.shape)
                check_reads(layer, len(calls))
                if logits.shape[0] != shape[0] * shape[1]:
                    got = f"{logits.shape[0]} outputs for {shape[0] * shape[1]} states"
                    raise not_one_by_one(layer, got)
                logits = to_array(logits).reshape(*shape, -1)
                if not len(by_step):  # joined parts would take all of it twice
                    by_step = np.zeros((len(x), *logits.shape[1:]), np.float32)
                    counts = np.zeros((len(x), shape[1]), bool)
                by_step[rows], counts[rows] = logits[: len(rows)], to_array(counted)[: len(rows)]
        except DataError as exc:  # `logits` took the same examples
            raise not_one_by_one(layer, exc.__cause__) from exc
        return by_step, counts

    by_step, counted = run(x, mask)
    by_step = ended_by(layer, by_step, counted, final)
    steps = classifier.counted_steps(x, mask)
    altered = with_other_end(x, steps)
    its_mask = None if mask is None else mask[: len(altered)]
    check_causal(layer, by_step, run(altered, its_mask)[0], counted, steps)
    return by_step, counted


def _units_of(model: keras.Model) -> int:
    """Return how many units there are in all layers; of a cell they are those of its layer."""
    layers = {id(layer): layer for layer in model._flatten_layers()}
    for layer in list(layers.values()):
        for cell in layer.cell._flatten_layers() if isinstance(layer, keras.layers.RNN) else ():
            layers.pop(id(cell), None)
    return sum(map(num_units, layers.values()))


def reading_layer(model: keras.Model) -> keras.layers.RNN:
    """Return the recurrent layer whose last state the head is given.

    Raises:
        ModelError: There is none or there are several, or one reads the sequence from its end.
    """
    layers = {id(layer): layer for layer in model._flatten_layers(include_self=False)}
    recurrent = []
    for layer in layers.values():
        backwards = getattr(layer, "go_backwards", False)
        if isinstance(layer, keras.layers.Bidirectional) or backwards:
            way = "reads the sequence backwards" if backwards else "is bidirectional"
            raise ModelError(
                f"{_REFUSED}the layer '{layer.name}' {way}, so that its states at early steps have "
                "read the end already. Use a model that reads forwards alone."
            )
        if isinstance(layer, keras.layers.RNN):
            recurrent.append(layer)
    last = [layer for layer in recurrent if not layer.return_sequences]
    if len(last) != 1:
        raise ModelError(_REFUSED + _not_one(recurrent, last))
    if last[0].return_state:
        raise ModelError(
            f"{_REFUSED}the layer '{last[0].name}' returns its inner states, too (return_state); "
            "expected the hidden state alone."
        )
    return last[0]


def _not_one(recurrent: list[keras.layers.RNN], last: list[keras.layers.RNN]) -> str:
    if last:
        names = ", ".join(f"'{layer.name}'" for layer in last)
        return f"the model has {len(last)} recurrent layers that return one state ({names}), not 1."
    if recurrent:
        names = ", ".join(f"'{layer.name}'" for layer in recurrent)
        return (
            f"every recurrent layer ({names}) returns all its states (return_sequences); expected "
            "one that hands its last state on."
        )
    return "the model has no recurrent layer of Keras's (SimpleRNN, LSTM, GRU, RNN)."


def check_reads(layer: keras.layers.RNN, num_calls: int) -> None:
    """Refuse a layer that one pass of the model calls several times, or never.

    Raises:
        ModelError: It is not called once.
    """
    if num_calls != 1:
        raise ModelError(
            f"{_REFUSED}the model calls its layer '{layer.name}' {num_calls} times, expected once."
        )


def not_one_by_one(layer: keras.layers.RNN, reason: object) -> ModelError:
    """Return what to say where the head fails on states that are handed on as examples."""
    return ModelError(
        f"{_REFUSED}what follows the layer '{layer.name}' does not take a state alone as one "
        f"example ({reason})."
    )


def last_counted(counted: Array) -> Array:
    """Return int64 (num_examples,), the index of the last True of each row; the last one if none.

    Example:
        >>> last_counted(np.array([[True, True, False], [False, True, True]]))
        array([1, 2])
    """
    return np.asarray(counted.shape[1] - 1 - counted[:, ::-1].argmax(axis=1))


def ended_by(layer: keras.layers.RNN, step_logits: Array, counted: Array, final: Array) -> Array:
    """Return logits by step that end in those of the model, if they do so to a rounding error.

    Args:
        layer: Whose states were read.
        step_logits: float32 (num_examples, num_states, num_classes); is changed.
        counted: bool (num_examples, num_states).
        final: float32 (num_examples, num_classes), by the model as it is.

    Raises:
        ModelError: They differ by more than 1e-4 of their size, in half precision 1e-2.
    """
    rows = np.flatnonzero(counted.any(axis=1))
    last = last_counted(counted)[rows]
    apart = float(np.abs(step_logits[rows, last] - final[rows]).max(initial=0.0))
    size = max(1.0, float(np.abs(final).max(initial=0.0)))
    tolerance = 1e-4 if layer.compute_dtype in ("float32", "float64") else 1e-2
    if not apart <= tolerance * size:
        raise ModelError(
            f"{_REFUSED}at the last state of the layer '{layer.name}' it gives other logits than "
            f"the model itself (by {apart:.2g}), so the head takes more than this state."
        )
    step_logits[rows, last] = final[rows]  # lest a near tie be decided otherwise than by the model
    return step_logits


def with_other_end(x: Array, counted: Array) -> Array:
    """Return the first examples, at most 32, with another last step that counts.

    Args:
        x: float32 (num_examples, num_steps, num_features) or int32 (num_examples, num_steps).
        counted: bool (num_examples, num_steps), the steps that count.
    """
    changed = x[:_EXAMPLES_ALTERED].copy()
    rows = np.arange(len(changed))
    last = last_counted(counted[rows])
    if x.ndim == 2:
        tokens = np.unique(changed[changed > 0])
        if len(tokens):
            place = np.searchsorted(tokens, changed[rows, last]) + 1
            changed[rows, last] = tokens[place % len(tokens)]
    else:
        changed[rows, last] += np.ptp(changed) or 1.0
    return changed


def check_causal(
    layer: keras.layers.RNN, before: Array, after: Array, counted: Array, steps: Array
) -> None:
    """Refuse a model whose first state knows how the sequence ends.

    Only the longest examples are looked at: of a short one the first state may well have read the
    last step, where it is the first one or lies inside of a convolution's window.

    Args:
        layer: Whose states were read.
        before: float32 (num_examples, num_states, num_classes), of examples as they are.
        after: The same of as many of the first examples with another last step.
        counted: bool (num_examples, num_states).
        steps: bool (num_examples, num_steps), the steps that count, of which the last is another.

    Raises:
        ModelError: The logits at the first state that counts differ.
    """
    number = len(after)
    lengths = np.where(counted[:number].sum(axis=1) > 1, steps[:number].sum(axis=1), 0)
    rows = np.flatnonzero((lengths > 1) & (lengths == lengths.max(initial=0)))
    first = counted[rows].argmax(axis=1)
    apart = np.abs(after[rows, first] - before[rows, first])
    size = max(1.0, float(np.abs(before[rows, first]).max(initial=0.0)))
    if not apart.max(initial=0.0) <= 1e-5 * size:
        raise ModelError(
            f"{_REFUSED}the first state of the layer '{layer.name}' changes with the last step of "
            "the sequence, so that something before it reads the sequence to its end."
        )
