"""Auto-PGD: projected gradient ascent that sets its own step size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnprobe.attacks._attempt import Attempt, log_odds
from rnnprobe.attacks._region import Region
from rnnprobe.losses import Loss
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Budget

_MOMENTUM = 0.75
_LEAST_INCREASES = 0.75


@dataclass(frozen=True)
class APGD:
    """Auto-PGD away from the true class.

    It climbs the log-odds against the class, which point as the paper's cross-entropy does, but do
    not vanish where the model is sure.
    It starts with steps of 2 epsilon and halves them, going back to the best point, where the loss
    no longer grows. As in the authors' code the first point that fools the model is returned.

    Args:
        steps: How many, at least 1.
        restarts: How often it starts, each time on the examples that are left.
        targeted: Whether `y` are the classes to reach.
        seed: Of the starts.

    References:
        Croce and Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse
        parameter-free attacks, ICML 2020, https://arxiv.org/abs/2003.01690
    """

    steps: int = 100
    restarts: int = 1
    targeted: bool = False
    seed: int = 0

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
        attempt.gradient(attempt.left, x, loss)
        for restart in range(self.restarts):
            ascend(attempt, region, loss, self.steps, self.seed + restart)
        return attempt.examples


def checkpoints(steps: int) -> list[int]:
    """Return after which steps the step size is judged.

    Example:
        >>> checkpoints(100)
        [22, 41, 57, 70, 80, 87, 93, 99]
    """
    gap, shrink, least = (max(int(share * steps), 1) for share in (0.22, 0.03, 0.06))
    found = [gap]
    while found[-1] < steps:
        gap = max(gap - shrink, least)
        found.append(found[-1] + gap)
    return [step for step in found if step <= steps]


def ascend(attempt: Attempt, region: Region, loss: Loss, steps: int, seed: int) -> None:
    """Run once from a random start on the examples that are left."""
    rows = attempt.left
    if not len(rows):
        return
    near = region.take(rows)
    points = near.random_points(seed, on_surface=True)
    values, gradient = attempt.gradient(rows, points, loss.take(rows))
    path = _Path(near, points, values, gradient)
    for step in range(1, steps + 1):
        left = attempt.unfinished(rows)
        rows = rows[left]
        if not len(rows):
            return
        path.keep(left)
        points = path.advance()
        if step < steps:
            path.arrive(points, *attempt.gradient(rows, points, loss.take(rows)))
        else:
            attempt.gradient(rows, points, loss.take(rows))
        if step in checkpoints(steps):
            path.judge()


class _Path:
    """Where each example is, was and was best, and how long its steps are."""

    def __init__(self, region: Region, points: Array, values: Array, gradient: Array) -> None:
        self.region = region
        self.points = self.before = self.best = points
        self.gradient = self.best_gradient = gradient
        self.values = self.best_values = self.judged_values = values
        self.size = 2 * region.epsilon
        self.increases = np.zeros(len(points), int)
        self.halved = np.ones(len(points), bool)
        self.window = 0
        self._moved = False

    def keep(self, left: Array) -> None:
        """Drop the examples that are done."""
        if left.all():
            return
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                setattr(self, name, value[left])
        self.region = self.region.take(left)

    def advance(self) -> Array:
        """Return the next points."""
        region, share = self.region, _MOMENTUM if self._moved else 1.0
        ahead = region.project(self.points + self.size * region.direction(self.gradient))
        step = share * (ahead - self.points) + (1 - share) * (self.points - self.before)
        self._moved = True
        return region.project(self.points + step)

    def arrive(self, points: Array, values: Array, gradient: Array) -> None:
        """Take in what the model said at the next points."""
        self.before, self.points, self.gradient = self.points, points, gradient
        self.increases = self.increases + (values > self.values)
        self.values = values
        self.window += 1
        better = values > self.best_values
        wide = better[:, np.newaxis, np.newaxis]
        self.best = np.where(wide, points, self.best)
        self.best_gradient = np.where(wide, gradient, self.best_gradient)
        self.best_values = np.maximum(values, self.best_values)

    def judge(self) -> None:
        """Halve the step of examples whose loss no longer grows; they go back to their best."""
        stuck = self.increases <= _LEAST_INCREASES * self.window
        stuck |= ~self.halved & (self.judged_values >= self.best_values)
        wide = stuck[:, np.newaxis, np.newaxis]
        self.size = np.where(wide, self.size / 2, self.size)
        self.points = np.where(wide, self.best, self.points)
        self.gradient = np.where(wide, self.best_gradient, self.gradient)
        self.halved, self.judged_values = stuck, self.best_values
        self.increases, self.window = np.zeros_like(self.increases), 0
