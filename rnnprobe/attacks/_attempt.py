"""One attack on a batch: it asks the model and remembers the best answer for each example."""

from __future__ import annotations

import numpy as np

from rnnprobe.losses import LogOdds, Loss, TargetedLogOdds
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array


def log_odds(y: Array, *, targeted: bool) -> Loss:
    """Return the loss whose growth leads away from `y`, or where it is the target, to it."""
    return TargetedLogOdds(y) if targeted else LogOdds(y)


class Attempt:
    """Keeps for each example the first point that fools the model, else that of largest loss.

    Args:
        model: What is asked.
        x: float32 (num_examples, num_steps, num_features), the given examples.
        y: int32 (num_examples,), the true classes, or the targets.
        mask: bool (num_examples, num_steps), or None.
        targeted: Whether `y` is to be reached.
        stop_early: Whether an example is done once it fools the model; otherwise its point of
            largest loss is kept.

    Attributes:
        examples: float32 like `x`, the points kept so far.
        found: bool (num_examples,), which fool the model.
    """

    def __init__(
        self,
        model: Classifier,
        x: Array,
        y: Array,
        mask: Array | None,
        *,
        targeted: bool = False,
        stop_early: bool = True,
    ) -> None:
        self.model = model
        self.examples = x.copy()
        self.found = np.zeros(len(x), bool)
        self._y, self._mask, self._targeted, self._stop = y, mask, targeted, stop_early
        self._best = np.full(len(x), -np.inf)

    @property
    def left(self) -> Array:
        """The indices of the examples that are not done."""
        return np.flatnonzero(self.unfinished(np.arange(len(self.examples))))

    def unfinished(self, rows: Array) -> Array:
        """Return bool, one for each of `rows`: whether it is not done."""
        return ~(self.found[rows] & self._stop)

    def gradient(self, rows: Array, points: Array, loss: Loss) -> tuple[Array, Array]:
        """Return value and gradient of the loss at points of the examples `rows`, remembered.

        A gradient that is no number counts as 0.
        """
        logits, gradient = self.model.loss_gradient(points, loss, self._masks(rows))
        return self._remember(rows, points, logits, loss), np.nan_to_num(gradient)

    def look(self, rows: Array, points: Array, loss: Loss) -> Array:
        """Return the value of the loss alone, remembered.

        For attacks without gradients: the others compile one program less where they ask for one.
        """
        logits = self.model.logits(points, self._masks(rows))
        return self._remember(rows, points, logits, loss)

    def _masks(self, rows: Array) -> Array | None:
        return None if self._mask is None else self._mask[rows]

    def _remember(self, rows: Array, points: Array, logits: Array, loss: Loss) -> Array:
        values = loss.values(logits)
        hit = reached(logits, self._y[rows], targeted=self._targeted)
        first = hit & ~self.found[rows]
        better = values > self._best[rows]
        kept = first | (better & ~self.found[rows]) if self._stop else better
        self.examples[rows[kept]] = points[kept]
        self._best[rows[kept]] = values[kept]
        self.found[rows[hit]] = True
        return values


def reached(logits: Array, y: Array, *, targeted: bool) -> Array:
    """Return bool (num_examples,): whether the prediction is the target, or is not `y`."""
    predicted = logits.argmax(axis=1)
    return np.asarray(predicted == y if targeted else predicted != y)
