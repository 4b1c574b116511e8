"""Gradients through time: how the loss depends on every state of a recurrent layer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
from keras import ops

from rnnprobe._batches import to_array
from rnnprobe.backend import tapped_gradients
from rnnprobe.classifier import KerasClassifier
from rnnprobe.errors import DataError, ModelError
from rnnprobe.inspection._gradient_statistics import GradientSummary, Verdict, summarize
from rnnprobe.inspection._layers import Place, batch_size, call_path, walk
from rnnprobe.inspection._replay_check import check_replay
from rnnprobe.inspection._stepping import Stepped, Tapped, steppable, stepping, why_not
from rnnprobe.losses import LogOdds
from rnnprobe.records import Array

_COPIES = 15  # of a unit's float that the tape keeps of a step
_WITHIN = (
    "the cell's own formula may make its output, or another state, from it within the step, which "
    "cannot be tapped"
)


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """How each example's loss depends on one state of a recurrent layer, step by step.

    The gradient is the total derivative of the example's own cross-entropy with respect to the
    state after a step: through all later steps and, of a cell state, also through the hidden
    state of the same step. It is kept as that of the log-odds against the true class, which points
    the same way and does not underflow for a model that is sure: the derivative of the
    cross-entropy is `doubt` times as long.

    Args:
        path: The layer's path in the model; of stacked cells the cell's; with `(call 2)` where the
            model calls the layer a second time.
        kind: The class of the layer or cell.
        state: `hidden state`, `cell state`, or `state` of a cell whose formula is not known.
        backwards: Whether the layer reads the sequence from its end, so that the first step of the
            input is the one it reads last.
        log_odds_norms: float32 (num_examples, num_steps), Euclidean norm of the derivative of the
            log-odds; steps in the order of the input.
        doubt: float64 (num_examples,), the probability of all other classes than the true one.
        counted: bool (num_examples, num_steps), the steps that the layer reads: those of its own
            mask, all of them where it has none.
        padding_read: In how many examples some of these are steps at which the input is padding;
            0 where the layer has not as many steps as the input.
        every_step: Whether the layer hands on its state at every step, so that later layers read
            each of them directly.
    """

    path: str
    kind: str
    state: str
    backwards: bool
    log_odds_norms: Array
    doubt: Array
    counted: Array
    padding_read: int = 0
    every_step: bool = False

    @property
    def verdict(self) -> Verdict | Literal["not judged"]:
        """What the summary says; not judged where later layers read every step directly.

        Such a gradient is not that of the recurrence alone: a cell that keeps nothing has one.
        """
        return "not judged" if self.every_step else self.summary.verdict

    @property
    def norms(self) -> Array:
        """Norms of the derivative of the cross-entropy, float64 (num_examples, num_steps)."""
        return np.asarray(self.log_odds_norms.astype(np.float64) * self.doubt[:, np.newaxis])

    @functools.cached_property
    def summary(self) -> GradientSummary:
        """What the norms, relative to that at the step read last, say over all examples."""
        return summarize(self.log_odds_norms, self.counted, backwards=self.backwards)


class GradientsThroughTime(NamedTuple):
    """The gradients of all recurrent layers of a model.

    Args:
        flows: One a state, in the order in which the model calls the layers; empty where the model
            has no recurrent layer, or none that can be stepped.
        left_out: (path, reason) of each recurrent layer, or cell, that has no gradients here.
    """

    flows: tuple[GradientFlow, ...]
    left_out: tuple[tuple[str, str], ...]


def gradients_through_time(
    classifier: KerasClassifier, x: Array, y: Array, mask: Array | None = None
) -> GradientsThroughTime:
    """Return how each example's loss depends on the states of the recurrent layers.

    Each cell is stepped with the saved weights; zeros that are added to its state after a step
    have the gradient that the state has. That with respect to the layer's output is another thing:
    where the last output alone is read, it is 0 before the last step, however well the layer
    remembers. The model runs as it predicts, without dropout.

    Of a cell of the user's own a state is followed that stands alone and is the output itself. From
    any other the cell may make its output, or another state, before the step is over, which
    nothing added after the step shows; `left_out` names it.

    Args:
        classifier: The model; without a recurrent layer there is nothing to return, which is no
            error.
        x: float32 (num_examples, num_steps, num_features) or int32 (num_examples, num_steps).
        y: int (num_examples,), true classes.
        mask: bool (num_examples, num_steps), True at the steps that count; None: all. A layer
            that the model does not tell to skip the others reads them, and the gradient goes
            through them: they are steps as all others then, and `padding_read` tells of them.

    Raises:
        DataError: There are no examples, they do not fit the model, or a label is no class of it.
        ModelError: A layer stepped here returns something else than the model's own, the model
            returns NaN, or another Keras backend than TensorFlow runs.
        ValueError: There is not one label an example.

    References:
        S. Hochreiter, "Untersuchungen zu dynamischen neuronalen Netzen", diploma thesis, TU
        Munich (1991). https://people.idsia.ch/~juergen/SeppHochreiter1991ThesisAdvisorSchmidhuber.pdf
        Y. Bengio, P. Simard, P. Frasconi, "Learning long-term dependencies with gradient descent
        is difficult", IEEE Transactions on Neural Networks 5 (1994).
        https://doi.org/10.1109/72.279181
        R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural
        networks", ICML 2013. https://arxiv.org/abs/1211.5063
        They speak of the Jacobian of one state with respect to another; this is the loss's own
        gradient, which is that Jacobian seen from where the loss looks, and sums over all ways.

    Example:
        >>> found = gradients_through_time(classifier, test.x, test.y)   # doctest: +SKIP
        >>> [(flow.path, flow.verdict) for flow in found.flows]  # doctest: +SKIP
        [('lstm', 'healthy'), ('lstm', 'healthy')]
    """
    places = walk(classifier.model)
    stepped_places = steppable(places)
    if not stepped_places:
        return GradientsThroughTime((), tuple(_left_out(places, [])))
    if y.shape != x.shape[:1]:
        raise ValueError(f"`y.shape == x.shape[:1]` must hold, but got {y.shape}, {x.shape}.")
    if not len(x):
        raise DataError("Gradients through time need at least one example, but there is none.")
    steps = classifier.counted_steps(x, mask)
    found: list[Stepped] = []
    batches = _batches(classifier, stepped_places, found, x, y, mask)
    norms, masks, doubt, deviations = _gathered(batches)
    check_replay([(c.layer, float(d)) for c, d in zip(found, deviations, strict=True)], places)
    handing_on = {place.path for place in places if getattr(place.layer, "return_sequences", False)}
    layers = [call.layer for call in found for state in call.tapped if state.is_total]
    flows = tuple(
        GradientFlow(
            path,
            state.kind,
            state.name,
            state.backwards,
            values,
            doubt,
            counted,
            _padding_read(counted, steps),
            layer in handing_on,
        )
        for (path, state), layer, values, counted in zip(
            _followed(found), layers, norms, masks, strict=True
        )
    )
    return GradientsThroughTime(flows, tuple(_left_out(places, found)))


def _padding_read(counted: Array, steps: Array) -> int:
    """Return in how many examples a layer reads steps that are not among those that count."""
    return int((counted & ~steps).any(axis=1).sum()) if counted.shape == steps.shape else 0


def _batches(
    classifier: KerasClassifier,
    places: Sequence[Place],
    found: list[Stepped],
    x: Array,
    y: Array,
    mask: Array | None,
) -> Iterator[tuple[list[Array], list[Array], Array, Array]]:
    """Yield norms and masks of each state, doubt, and deviations of each call, batch by batch."""

    def body(forward: Callable[..., Any], x: Any, mask: Any, y: Any, there: Any) -> Any:
        del there  # rows that only fill a batch up are cut off below

        def log_odds(tap: Callable[[Any], Any]) -> tuple[Any, Any]:
            found.clear()
            with stepping(places, x, found, tap):
                logits = forward(x, mask)
            slope = ops.stop_gradient(LogOdds.logit_gradient(ops, logits, y))
            return ops.sum(slope * logits), logits

        _, gradients, logits = tapped_gradients(log_odds)
        tapped = [state for call in found for state in call.tapped]
        total = [pair for pair in zip(gradients, tapped, strict=True) if pair[1].is_total]
        norms = [_norm(gradient) for gradient, _ in total]
        masks = [
            ops.ones(ops.shape(norm), "bool") if state.counted is None else state.counted
            for norm, (_, state) in zip(norms, total, strict=True)
        ]
        return norms, masks, logits, [call.deviation for call in found]

    size = batch_size(places, x.shape[1], _COPIES, classifier.batch_size)
    labels = y.astype(np.int32)
    for rows, given in classifier.observer(body, batch_size=size)(x, mask, labels):
        norms, masks, (logits,), deviations = (
            [to_array(tensor)[: len(rows)] for tensor in keras.tree.flatten(part)] for part in given
        )
        yield norms, masks, _doubt(logits, y[rows]), np.array([d.max() for d in deviations])


def _norm(gradient: Any) -> Any:
    """Return float32 (batch, num_steps); scaled, so that no square underflows or overflows."""
    gradient = ops.cast(gradient, "float32")
    largest = ops.max(ops.abs(gradient), axis=-1, keepdims=True)
    scaled = gradient / ops.where(largest > 0, largest, ops.ones_like(largest))
    return largest[..., 0] * ops.sqrt(ops.sum(scaled * scaled, axis=-1))


def _doubt(logits: Array, y: Array) -> Array:
    """Return the probability of all classes but the true one, float64 (num_rows,)."""
    if not np.isfinite(logits).all():
        raise ModelError("The model returns NaN or infinite values; it cannot be judged.")
    if y.min() < 0 or y.max() >= logits.shape[1]:
        raise DataError(
            f"The model tells {logits.shape[1]} classes apart, but the labels run from {y.min()} "
            f"to {y.max()}."
        )
    log_odds = LogOdds(y).values(logits)
    return np.asarray(np.exp(np.minimum(log_odds, 0) - np.log1p(np.exp(-np.abs(log_odds)))))


def _gathered(
    batches: Iterator[tuple[list[Array], list[Array], Array, Array]],
) -> tuple[list[Array], list[Array], Array, Array]:
    norms, masks, doubt, deviations = zip(*batches, strict=True)
    return (
        [np.concatenate(parts) for parts in zip(*norms, strict=True)],
        [np.concatenate(parts) for parts in zip(*masks, strict=True)],
        np.concatenate(doubt),
        np.max(deviations, axis=0),
    )


def _states(found: Sequence[Stepped]) -> Iterator[tuple[str, Tapped]]:
    """Yield each tapped state with its path, numbered where a layer is called again."""
    calls: dict[str, int] = {}
    for call in found:
        calls[call.layer] = calls.get(call.layer, 0) + 1
        for state in call.tapped:
            yield call_path(state.path, calls[call.layer]), state


def _followed(found: Sequence[Stepped]) -> Iterator[tuple[str, Tapped]]:
    return ((path, state) for path, state in _states(found) if state.is_total)


def _left_out(places: Sequence[Place], found: Sequence[Stepped]) -> Iterator[tuple[str, str]]:
    called = {call.layer for call in found}
    for place in places:
        reason = why_not(place.layer)
        if reason is None and isinstance(place.layer, keras.layers.RNN):
            reason = (
                None if place.path in called else "it is not called to predict, or inside of a loop"
            )
        if reason is not None:
            yield place.path, reason
    partial: dict[str, list[str]] = {}
    for path, state in _states(found):
        if not state.is_total:
            partial.setdefault(path, []).append(state.name)
    for path, names in partial.items():
        yield path, f"{', '.join(names)}: {_WITHIN}"
