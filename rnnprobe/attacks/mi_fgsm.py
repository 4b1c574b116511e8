"""The momentum iterative fast gradient sign method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnprobe.attacks._attempt import Attempt, log_odds
from rnnprobe.attacks._region import Region
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Budget


@dataclass(frozen=True)
class MIFGSM:
    """Steps along a decaying sum of gradients, which transfer better to other models.

    Args:
        steps: How many, each epsilon / steps long.
        decay: What remains of the sum at each step; 0 is the basic iterative method.
        targeted: Whether `y` are the classes to reach.

    References:
        Dong, Liao, Pang, Su, Zhu, Hu and Li, Boosting adversarial attacks with momentum, CVPR
        2018, https://arxiv.org/abs/1710.06081
    """

    steps: int = 10
    decay: float = 1.0
    targeted: bool = False

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
        """Return the changed examples; see `rnnprobe.protocols.Attack`."""
        region = Region.of(model, x, budget, mask, changeable)
        loss = log_odds(y, targeted=self.targeted)
        attempt = Attempt(model, x, y, mask, targeted=self.targeted)
        rows, points, total = attempt.left, x, np.zeros_like(x)
        for _ in range(self.steps):
            _, gradient = attempt.gradient(rows, points, loss.take(rows))
            left = attempt.unfinished(rows)
            rows, points, region = rows[left], points[left], region.take(left)
            if not len(rows):
                return attempt.examples
            gradient = np.where(region.allowed, gradient[left], 0)
            length = np.abs(gradient).sum(axis=(1, 2), keepdims=True)
            total = self.decay * total[left] + gradient / np.maximum(length, 1e-12)
            step = region.epsilon / self.steps * region.direction(total)
            points = region.project(points + step)
        attempt.gradient(rows, points, loss.take(rows))
        return attempt.examples
