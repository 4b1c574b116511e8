"""Where an attack may move: the ball of the budget, the box of the data, the steps allowed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Budget, Norm

_TINY = 1e-12


def distance(difference: Array, norm: Norm) -> Array:
    """Return float64 (num_examples,), how far changed examples are from the given ones.

    Args:
        difference: (num_examples, num_steps, num_features), or of tokens (num_examples, num_steps).
        norm: See `Budget`.
    """
    flat = difference.reshape(len(difference), -1).astype(np.float64)
    if norm == "linf":
        return np.asarray(np.abs(flat).max(axis=1, initial=0))
    if norm == "l2":
        return np.asarray(np.sqrt(np.square(flat).sum(axis=1)))
    return np.asarray((flat != 0).sum(axis=1).astype(np.float64))


def counted_steps(model: Classifier, x: Array, mask: Array | None) -> Array:
    """Return bool (num_examples, num_steps), True at the steps that count.

    Those of the mask, of tokens those that are not 0, and of a model that knows which it leaves
    out (a `StepCounter`) no others.
    """
    counter: Any = getattr(model, "counted_steps", None)
    if counter is not None:
        return np.asarray(counter(x, mask))
    counted = np.ones(x.shape[:2], bool) if mask is None else np.array(mask)
    return counted & (x != 0) if x.ndim == 2 else counted


def generators(seed: int, x: Array) -> list[np.random.Generator]:
    """Return one generator an example, which depends on nothing but the seed and the example."""
    digests = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in x]
    return [np.random.default_rng([seed, *np.frombuffer(d, np.uint32)]) for d in digests]


@dataclass(frozen=True, eq=False)
class Region:
    """The points that an attack on values may return, example by example.

    Args:
        x: float32 (num_examples, num_steps, num_features), the given examples.
        epsilon: float32 (num_examples, 1, 1), the radius of each ball; may be infinite.
        norm: `linf` or `l2`.
        lower: float32 like `x`, the least allowed values, never above `x`.
        upper: float32 like `x`, the largest allowed values, never below `x`.
        allowed: bool (num_examples, num_steps, 1), True at the steps that may change.
    """

    x: Array
    epsilon: Array
    norm: Norm
    lower: Array
    upper: Array
    allowed: Array

    @classmethod
    def of(
        cls,
        model: Classifier,
        x: Array,
        budget: Budget,
        mask: Array | None,
        changeable: Array | None,
    ) -> Region:
        """Return the region of a budget; see `Attack` for the arguments.

        Raises:
            ValueError: The examples are tokens, or the norm counts them.
        """
        if x.ndim != 3 or budget.norm == "edits":
            raise ValueError(
                "This attack changes values, float32 (num_examples, num_steps, num_features), in "
                f"the norms linf and l2, but got shape {x.shape} and norm='{budget.norm}'; tokens "
                "are changed by hotflip and noise."
            )
        if changeable is None:
            changeable = counted_steps(model, x, mask)
        epsilon = np.full((len(x), 1, 1), budget.epsilon, np.float32)
        # What lies outside of the bounds as it is may stay there.
        lower = np.minimum(np.float32(budget.bounds.lower), x)
        upper = np.maximum(np.float32(budget.bounds.upper), x)
        if budget.norm == "linf":
            lower, upper = np.maximum(lower, x - epsilon), np.minimum(upper, x + epsilon)
        return cls(x, epsilon, budget.norm, lower, upper, changeable[..., np.newaxis])

    def take(self, rows: Array) -> Region:
        """Return the region of the examples `rows`."""
        return Region(
            self.x[rows],
            self.epsilon[rows],
            self.norm,
            self.lower[rows],
            self.upper[rows],
            self.allowed[rows],
        )

    def project(self, points: Array) -> Array:
        """Return the nearest points of the ball, then of the box; other steps as they are in x."""
        if self.norm == "l2":
            difference = np.where(self.allowed, points - self.x, 0)
            length = column(distance(difference, "l2"))
            points = self.x + difference * np.minimum(1, self.epsilon / np.maximum(length, _TINY))
        points = np.clip(points, self.lower, self.upper)
        return np.where(self.allowed, points, self.x).astype(np.float32)

    def direction(self, gradient: Array) -> Array:
        """Return the unit step that raises the loss most: the sign, or the gradient normalized."""
        gradient = np.where(self.allowed, gradient, 0)
        if self.norm == "linf":
            return np.sign(gradient)
        return gradient / np.maximum(column(distance(gradient, "l2")), _TINY)

    def random_points(self, seed: int, *, on_surface: bool = False) -> Array:
        """Return points drawn uniformly from the ball, then projected.

        Args:
            seed: With the example itself it decides what is drawn.
            on_surface: Stretch each to the ball's surface.
        """
        difference = np.empty_like(self.x)
        for row, generator in enumerate(generators(seed, self.x)):
            if self.norm == "linf":
                difference[row] = generator.uniform(-1, 1, self.x.shape[1:])
            else:
                size = int(self.allowed[row].sum()) * self.x.shape[2] or 1
                difference[row] = generator.standard_normal(self.x.shape[1:])
                difference[row] *= self.allowed[row]
                length = float(np.linalg.norm(difference[row]))
                radius = 1.0 if on_surface else float(generator.uniform() ** (1 / size))
                difference[row] *= radius / max(length, _TINY)
        if self.norm == "linf" and on_surface:
            difference /= np.maximum(column(distance(difference, "linf")), _TINY)
        return self.project(self.x + self.epsilon * difference)


def column(values: Array) -> Array:
    """Return float32 (num_examples, 1, 1), to be multiplied with examples."""
    return values.astype(np.float32)[:, np.newaxis, np.newaxis]
