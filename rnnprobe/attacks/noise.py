"""Random noise and random replacements: the baseline that an attack has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rnnprobe.attacks._attempt import Attempt
from rnnprobe.attacks._region import Region
from rnnprobe.attacks._tokens import TokenRegion
from rnnprobe.losses import Margin, TargetedMargin
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Budget


@dataclass(frozen=True)
class Noise:
    """Points drawn uniformly from the ball; the first that fools the model.

    Of tokens as many as the budget allows are replaced, at random steps by random other ones.

    Args:
        tries: How many to draw.
        targeted: Whether `y` are the classes to reach.
        seed: Of the draws.
    """

    tries: int = 10
    targeted: bool = False
    seed: int = 0
    knowledge: ClassVar[str] = "black box"

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
        kind = TokenRegion if x.ndim == 2 else Region
        region = kind.of(model, x, budget, mask, changeable)
        loss = TargetedMargin(y) if self.targeted else Margin(y)
        attempt = Attempt(model, x, y, mask, targeted=self.targeted)
        attempt.look(attempt.left, x, loss)
        for draw in range(self.tries):
            rows = attempt.left
            if len(rows):
                points = region.take(rows).random_points(self.seed + draw)
                attempt.look(rows, points, loss.take(rows))
        return attempt.examples
