"""The published defence: each value becomes black or white before the model sees it."""

from __future__ import annotations

import numpy as np

from rnnprobe.attacks._region import counted_steps
from rnnprobe.losses import Loss
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Bounds


class Thresholded:
    """A classifier of values behind a threshold.

    Values above the middle of the bounds become the upper bound, others the lower; steps that do
    not count stay as they are. The step function's true gradient is 0 almost everywhere, so that
    an attack that follows it goes nowhere: the gradient is masked, which is no robustness.

    Args:
        model: What gets the values.
        bounds: The interval of the values, both ends finite.
        straight_through: Give in place of the true gradient that of the model at what it gets, as
            if the threshold were not there. Attacks see through the defence by it.

    References:
        Athalye, Carlini and Wagner, Obfuscated gradients give a false sense of security:
        circumventing defenses to adversarial examples, ICML 2018,
        https://arxiv.org/abs/1802.00420

    Example:
        >>> from rnnprobe import Bounds
        >>> defended = Thresholded(classifier, Bounds(0, 1))        # doctest: +SKIP
        >>> defended.logits(x).shape                                # doctest: +SKIP
        (500, 10)
    """

    def __init__(
        self, model: Classifier, bounds: Bounds, *, straight_through: bool = False
    ) -> None:
        self._model, self._bounds, self._straight_through = model, bounds, straight_through

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return self._model.num_classes

    def threshold(self, x: Array, mask: Array | None = None) -> Array:
        """Return float32 like `x`, what the model gets.

        Args:
            x: float32 (num_examples, num_steps, num_features).
            mask: bool (num_examples, num_steps), True at the steps that count; None: all.
        """
        lower, upper = np.float32(self._bounds.lower), np.float32(self._bounds.upper)
        sides = np.where(x > (lower + upper) / 2, upper, lower)
        counted = self.counted_steps(x, mask)[..., np.newaxis]
        return np.where(counted, sides, x).astype(np.float32)

    def logits(self, x: Array, mask: Array | None = None) -> Array:
        """Return the model's logits of the values behind the threshold; see `Classifier`."""
        return self._model.logits(self.threshold(x, mask), mask)

    def loss_gradient(self, x: Array, loss: Loss, mask: Array | None = None) -> tuple[Array, Array]:
        """Return the logits, and zeros, or the gradient straight through; see `Classifier`."""
        if not self._straight_through:
            return self.logits(x, mask), np.zeros_like(x)
        return self._model.loss_gradient(self.threshold(x, mask), loss, mask)

    def counted_steps(self, x: Array, mask: Array | None = None) -> Array:
        """Return which steps of `x` itself count for the model; see `StepCounter`."""
        return counted_steps(self._model, x, mask)
