"""Projected gradient ascent."""

from __future__ import annotations

from dataclasses import dataclass

from rnnprobe.attacks._attempt import Attempt, log_odds
from rnnprobe.attacks._region import Region
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Budget


@dataclass(frozen=True)
class PGD:
    """Many small steps along the gradient's sign (l2: the gradient), each projected to the ball.

    Args:
        steps: How many, at least 1.
        step_size: Length of a step as a share of epsilon; None: 2.5 / steps.
        restarts: How often it starts, each time on the examples that are left.
        random_start: Start at a point drawn uniformly from the ball, not at the example.
        stop_early: Return the first point that fools the model; otherwise the one of largest loss,
            as training on the examples wants it. One that never fools comes back at its largest
            loss in any case.
        targeted: Whether `y` are the classes to reach.
        seed: Of the starts.

    References:
        Madry, Makelov, Schmidt, Tsipras and Vladu, Towards deep learning models resistant to
        adversarial attacks, ICLR 2018, https://arxiv.org/abs/1706.06083

    Example:
        >>> from rnnprobe import Bounds, Budget
        >>> budget = Budget(0.1, "linf", Bounds(0, 1))
        >>> examples = PGD(steps=40)(classifier, x, y, budget)      # doctest: +SKIP
    """

    steps: int = 40
    step_size: float | None = None
    restarts: int = 1
    random_start: bool = True
    stop_early: bool = True
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
        attempt = Attempt(model, x, y, mask, targeted=self.targeted, stop_early=self.stop_early)
        attempt.gradient(attempt.left, x, loss)
        size = region.epsilon * (2.5 / self.steps if self.step_size is None else self.step_size)
        for restart in range(self.restarts):
            rows = attempt.left
            near = region.take(rows)
            points = near.random_points(self.seed + restart) if self.random_start else near.x
            for _ in range(self.steps):
                _, gradient = attempt.gradient(rows, points, loss.take(rows))
                left = attempt.unfinished(rows)
                rows, points, gradient = rows[left], points[left], gradient[left]
                if not len(rows):
                    return attempt.examples
                near = near.take(left)
                points = near.project(points + size[rows] * near.direction(gradient))
            attempt.gradient(rows, points, loss.take(rows))
        return attempt.examples
