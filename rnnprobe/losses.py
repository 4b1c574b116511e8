"""What an attack increases: functions of the logits, with their gradients in closed form.

Each loss is a record of per-example labels. Its value is computed by NumPy in float64, its gradient
by the same formula in NumPy and inside a compiled graph, so a classifier needs no automatic
differentiation of the loss.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from rnnprobe.records import Array

_TINY = 1e-12


class Loss(Protocol):
    """What `Classifier.loss_gradient` takes."""

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The labels, int32 (num_examples,) each."""
        ...

    def values(self, logits: Array) -> Array:
        """Return float64 (num_examples,), the larger the better for the attacker."""
        ...

    @staticmethod
    def logit_gradient(ops: Any, logits: Any, *arrays: Any) -> Any:
        """Return the gradient of each example's value, shaped like `logits`.

        Args:
            ops: `numpy`, or what has its functions: `keras.ops`.
            logits: float32 (num_examples, num_classes) of that library.
            *arrays: `self.arrays`, of that library.
        """
        ...

    def take(self, rows: Array) -> Self:
        """Return the loss of the examples `rows`."""
        ...


@dataclass(frozen=True, eq=False)
class _OfLabels:  # its losses are documented by `Loss`
    @property
    def arrays(self) -> tuple[Array, ...]:
        fields = dataclasses.fields(self)
        return tuple(np.asarray(getattr(self, field.name), np.int32) for field in fields)

    def take(self, rows: Array) -> Self:
        return type(self)(*(array[rows] for array in self.arrays))


@dataclass(frozen=True, eq=False)
class CrossEntropy(_OfLabels):
    """The negative log-probability of the true class.

    Args:
        y: int32 (num_examples,), true classes.

    Example:
        >>> CrossEntropy(np.array([0])).values(np.array([[0.0, 0.0]])).round(4)
        array([0.6931])
    """

    y: Array

    def values(self, logits: Array) -> Array:
        return _cross_entropy(logits, self.y)

    @staticmethod
    def logit_gradient(ops: Any, logits: Any, *arrays: Any) -> Any:
        true = _one_hot(ops, logits, arrays[0])
        others = _softmax(ops, logits) * (1 - true)
        # `softmax - true` would be 0 in float32 of a model that is only rather sure.
        return others - true * ops.sum(others, axis=1, keepdims=True)


@dataclass(frozen=True, eq=False)
class TargetedCrossEntropy(_OfLabels):
    """The log-probability of the class that the attacker wants.

    Args:
        target: int32 (num_examples,).
    """

    target: Array

    def values(self, logits: Array) -> Array:
        return -_cross_entropy(logits, self.target)

    @staticmethod
    def logit_gradient(ops: Any, logits: Any, *arrays: Any) -> Any:
        return -CrossEntropy.logit_gradient(ops, logits, *arrays)


@dataclass(frozen=True, eq=False)
class LogOdds(_OfLabels):
    """The logarithm of the odds against the true class.

    It rises where the cross-entropy does, log(1 + exp(log-odds)), and its gradient points the same
    way, but keeps its length however sure the model is, where that of the cross-entropy is 0 in
    float32. So attacks that follow the direction alone follow this.

    Args:
        y: int32 (num_examples,), true classes.
    """

    y: Array

    def values(self, logits: Array) -> Array:
        logits = logits.astype(np.float64)
        true = _one_hot(np, logits, self.y) > 0
        gaps = np.where(true, -np.inf, logits - logits[true][:, np.newaxis])
        top = gaps.max(axis=1)
        return np.asarray(top + np.log(np.exp(gaps - top[:, np.newaxis]).sum(axis=1)))

    @staticmethod
    def logit_gradient(ops: Any, logits: Any, *arrays: Any) -> Any:
        true = _one_hot(ops, logits, arrays[0])
        others = ops.where(true > 0, ops.min(logits, axis=1, keepdims=True) - 1, logits)
        gaps = ops.minimum(logits - ops.max(others, axis=1, keepdims=True), 0)
        exponentials = ops.exp(gaps) * (1 - true)
        return exponentials / ops.sum(exponentials, axis=1, keepdims=True) - true


@dataclass(frozen=True, eq=False)
class TargetedLogOdds(_OfLabels):
    """The logarithm of the odds for the class that the attacker wants.

    Args:
        target: int32 (num_examples,).
    """

    target: Array

    def values(self, logits: Array) -> Array:
        return -LogOdds(self.target).values(logits)

    @staticmethod
    def logit_gradient(ops: Any, logits: Any, *arrays: Any) -> Any:
        return -LogOdds.logit_gradient(ops, logits, *arrays)


@dataclass(frozen=True, eq=False)
class Margin(_OfLabels):
    """The largest other logit less that of the true class; above 0 the model is wrong.

    Args:
        y: int32 (num_examples,), true classes.
    """

    y: Array

    def values(self, logits: Array) -> Array:
        true = _one_hot(np, logits, self.y)
        others = np.where(true > 0, -np.inf, logits.astype(np.float64))
        return np.asarray(others.max(axis=1) - (logits * true).sum(axis=1, dtype=np.float64))

    @staticmethod
    def logit_gradient(ops: Any, logits: Any, *arrays: Any) -> Any:
        true = _one_hot(ops, logits, arrays[0])
        return _one_hot(ops, logits, _largest_other(ops, logits, true)) - true


@dataclass(frozen=True, eq=False)
class TargetedMargin(_OfLabels):
    """The logit of the wanted class less the largest other; above 0 the model says it.

    Args:
        target: int32 (num_examples,).
    """

    target: Array

    def values(self, logits: Array) -> Array:
        return -Margin(self.target).values(logits)

    @staticmethod
    def logit_gradient(ops: Any, logits: Any, *arrays: Any) -> Any:
        return -Margin.logit_gradient(ops, logits, *arrays)


@dataclass(frozen=True, eq=False)
class TargetedDlr(_OfLabels):
    """The targeted difference of logits ratio, which no scale or shift of the logits changes.

    With fewer than four classes, which the ratio needs, the difference of the two logits alone.

    Args:
        y: int32 (num_examples,), true classes.
        target: int32 (num_examples,), the classes to reach.

    References:
        Croce and Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse
        parameter-free attacks, ICML 2020, https://arxiv.org/abs/2003.01690
    """

    y: Array
    target: Array

    def values(self, logits: Array) -> Array:
        logits = logits.astype(np.float64)
        toward = _one_hot(np, logits, self.target) - _one_hot(np, logits, self.y)
        difference = (logits * toward).sum(axis=1)
        if logits.shape[1] < 4:
            return np.asarray(difference)
        return np.asarray(difference / (logits * _dlr_weights(np, logits)).sum(axis=1).clip(_TINY))

    @staticmethod
    def logit_gradient(ops: Any, logits: Any, *arrays: Any) -> Any:
        y, target = arrays
        toward = _one_hot(ops, logits, target) - _one_hot(ops, logits, y)
        if logits.shape[1] < 4:
            return toward
        weights = _dlr_weights(ops, logits)
        scale = ops.maximum(ops.sum(logits * weights, axis=1, keepdims=True), _TINY)
        difference = ops.sum(logits * toward, axis=1, keepdims=True)
        return toward / scale - weights * difference / (scale * scale)


@dataclass(frozen=True, eq=False)
class TargetedSquares(_OfLabels):
    """Less the sum of squared differences between the probabilities and the wanted ones.

    The cost by which the published experiment made digits out of noise.

    Args:
        target: int32 (num_examples,), the classes wanted with probability 1.
    """

    target: Array

    def values(self, logits: Array) -> Array:
        logits = logits.astype(np.float64)
        difference = _softmax(np, logits) - _one_hot(np, logits, self.target)
        return np.asarray(-np.square(difference).sum(axis=1))

    @staticmethod
    def logit_gradient(ops: Any, logits: Any, *arrays: Any) -> Any:
        probabilities = _softmax(ops, logits)
        slope = 2 * (_one_hot(ops, logits, arrays[0]) - probabilities)
        mean = ops.sum(probabilities * slope, axis=1, keepdims=True)
        return probabilities * (slope - mean)


def _cross_entropy(logits: Array, labels: Array) -> Array:
    logits = logits.astype(np.float64)
    true = _one_hot(np, logits, labels) > 0
    gaps = np.where(true, -np.inf, logits - logits[true][:, np.newaxis])
    top = np.maximum(gaps.max(axis=1), 0)
    rest = np.exp(gaps - top[:, np.newaxis]).sum(axis=1)
    return np.asarray(top + np.log1p(rest + np.expm1(-top)))


def _softmax(ops: Any, logits: Any) -> Any:
    exponentials = ops.exp(logits - ops.max(logits, axis=1, keepdims=True))
    return exponentials / ops.sum(exponentials, axis=1, keepdims=True)


def _one_hot(ops: Any, logits: Any, labels: Any) -> Any:
    chosen = labels[:, None] == ops.arange(logits.shape[1])
    return ops.where(chosen, ops.ones_like(logits), ops.zeros_like(logits))


def _largest_other(ops: Any, logits: Any, true: Any) -> Any:
    lowest = ops.min(logits, axis=1, keepdims=True) - 1
    return ops.argmax(ops.where(true > 0, lowest, logits), axis=1)


def _dlr_weights(ops: Any, logits: Any) -> Any:
    """Return what the ratio's denominator weighs each logit by: +1, -1/2, -1/2 by rank."""
    order = ops.argsort(logits, axis=1)
    first, third, fourth = (_one_hot(ops, logits, order[:, -rank]) for rank in (1, 3, 4))
    return first - (third + fourth) / 2
