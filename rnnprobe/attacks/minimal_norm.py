"""The smallest change that fools the model: the fast minimum-norm attack, beside DDN in l2."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnprobe.attacks._attempt import log_odds
from rnnprobe.attacks._region import Region, column, distance
from rnnprobe.losses import Loss, Margin, TargetedMargin
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Budget

_TINY = 1e-12
_BISECTIONS = 8
_CLEAR = 1e-4  # of the largest logit: another batch size rounds otherwise


@dataclass(frozen=True)
class MinimalNorm:
    """Finds, for each example, a change of small norm that fools the model.

    The fast minimum-norm attack with a repair: while nothing was found, the radius never shrinks,
    because the published estimate of it counts on values that are at their bound already and, in
    l2, then stays too small for ever. In l2 also the decoupled direction and norm attack, of which
    the smaller change is kept. Then the change is shortened by bisection. A change counts only
    where the wrong logit is clearly the larger one, by 1e-4 of the largest.

    Args:
        steps: Of each of the two attacks.
        targeted: Whether `y` are the classes to reach.

    References:
        Pintor, Roli, Brendel and Biggio, Fast minimum-norm adversarial attacks through adaptive
        norm constraints, NeurIPS 2021, https://arxiv.org/abs/2102.12827

        Rony, Hafemann, Oliveira, Ben Ayed, Sabourin and Granger, Decoupling direction and norm for
        efficient gradient-based L2 adversarial attacks and defenses, CVPR 2019,
        https://arxiv.org/abs/1811.09600
    """

    steps: int = 100
    targeted: bool = False
    finds_minimum: ClassVar[bool] = True

    def __call__(
        self,
        model: Classifier,
        x: Array,
        y: Array,
        budget: Budget,
        *,
        mask: Array | None = None,
        changeable: Array | None = None,
    ) -> Array:
        """Return the nearest points found, and x where none is within epsilon.

        See `rnnprobe.protocols.Attack`. With an infinite epsilon the nearest of all.
        """
        free = Region.of(model, x, replace(budget, epsilon=math.inf), mask, changeable)
        search = _Search(model, free, y, mask, self.targeted)
        search.look(x)
        search.minimize(self.steps)
        if budget.norm == "l2":
            search.decouple(self.steps)
        search.shorten()
        within = search.nearest <= budget.epsilon
        return np.where(within[:, np.newaxis, np.newaxis], search.examples, x)


class _Search:
    """Keeps the nearest point that fools the model.

    Attributes:
        nearest: float64 (num_examples,), its distance; infinite where none was found.
        examples: float32 like x, the point; x where none was found.
    """

    def __init__(
        self, model: Classifier, region: Region, y: Array, mask: Array | None, targeted: bool
    ) -> None:
        self._model, self._region, self._mask = model, region, mask
        self._y, self._targeted = y, targeted
        self._margin: Loss = TargetedMargin(y) if targeted else Margin(y)
        self.examples = region.x.copy()
        self.nearest = np.full(len(y), np.inf)
        extent = np.where(region.allowed, region.upper - region.lower, 0).max(axis=(1, 2))
        own = np.ptp(region.x, axis=(1, 2))
        scale = np.where(np.isfinite(extent), extent, np.where(own > 0, own, 1))
        self._scale = scale.astype(np.float64)

    def look(self, points: Array) -> Array:
        """Return which points fool the model, remembered."""
        return self._remember(points, self._model.logits(points, self._mask))

    def _ask(self, points: Array, loss: Loss) -> tuple[Array, Array, Array]:
        logits, gradient = self._model.loss_gradient(points, loss, self._mask)
        fooled = self._remember(points, logits)
        gradient = np.where(self._region.allowed, np.nan_to_num(gradient), 0)
        return fooled, loss.values(logits), gradient

    def _remember(self, points: Array, logits: Array) -> Array:
        largest = np.maximum(np.abs(logits).max(axis=1), 1)
        fooled = np.asarray(self._margin.values(logits) > _CLEAR * largest)
        far = distance(points - self._region.x, self._region.norm)
        better = fooled & (far < self.nearest)
        self.nearest[better] = far[better]
        self.examples[better] = points[better]
        return fooled

    def minimize(self, steps: int) -> None:
        """Run the fast minimum-norm attack."""
        region, norm = self._region, self._region.norm
        radius, points = np.zeros(len(self._y)), region.x
        for step in range(steps):
            decay = (1 + math.cos(math.pi * step / steps)) / 2
            length = self._scale * (0.01 + 0.99 * decay)
            rate = 0.001 + 0.049 * decay
            fooled, values, gradient = self._ask(points, self._margin)
            dual = _dual_norm(gradient, norm)
            guess = distance(points - region.x, norm) + np.abs(values) / np.maximum(dual, _TINY)
            # The published rule takes the guess alone.
            never = np.maximum(guess, radius * (1 + rate))
            known = np.isfinite(self.nearest)
            radius = np.where(
                fooled,
                np.minimum(radius * (1 - rate), self.nearest) if step else 0,
                np.where(known, radius * (1 + rate), never),
            )
            unit = gradient / np.maximum(column(distance(gradient, "l2")), _TINY)
            points = _within(region, points + column(length) * unit, radius)
        self.look(points)

    def decouple(self, steps: int) -> None:
        """Run the decoupled direction and norm attack, in l2."""
        region = self._region
        loss = log_odds(self._y, targeted=self._targeted)
        radius, points = self._scale, region.x
        for step in range(steps):
            fooled, _, gradient = self._ask(points, loss)
            length = 0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2
            radius = radius * np.where(fooled, 0.95, 1.05)
            unit = gradient / np.maximum(column(distance(gradient, "l2")), _TINY)
            change = points + column(self._scale * length) * unit - region.x
            change *= column(radius / np.maximum(distance(change, "l2"), _TINY))
            points = region.project(region.x + change)
        self.look(points)

    def shorten(self) -> None:
        """Go back towards x by bisection, as far as the model stays fooled."""
        change = self.examples - self._region.x
        low, high = np.zeros(len(change)), np.ones(len(change))
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            fooled = self.look(self._region.project(self._region.x + change * column(middle)))
            low, high = np.where(fooled, low, middle), np.where(fooled, middle, high)


def _dual_norm(gradient: Array, norm: str) -> Array:
    if norm == "l2":
        return distance(gradient, "l2")
    return np.asarray(np.abs(gradient).sum(axis=(1, 2), dtype=np.float64))


def _within(region: Region, points: Array, radius: Array) -> Array:
    """Return the points projected to balls of one radius each, and to the box."""
    change = points - region.x
    if region.norm == "linf":
        change = np.clip(change, -column(radius), column(radius))
    else:
        change *= column(np.minimum(1, radius / np.maximum(distance(change, "l2"), _TINY)))
    return region.project(region.x + change)
