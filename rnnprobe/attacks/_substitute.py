"""A linear substitute of a model, to make examples on that may transfer to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnprobe.losses import Loss
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Split

_RIDGE = 1e-2
_MOST_EXAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Substitute:
    """Logits that are linear in the values.

    Args:
        weights: float64 (num_values, num_classes).
        bias: float64 (num_classes,).
    """

    weights: Array
    bias: Array

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.bias)

    def logits(self, x: Array, mask: Array | None = None) -> Array:
        """Return float32 (num_examples, num_classes); every step counts."""
        del mask
        return np.asarray((x.reshape(len(x), -1) @ self.weights + self.bias).astype(np.float32))

    def loss_gradient(self, x: Array, loss: Loss, mask: Array | None = None) -> tuple[Array, Array]:
        """Return the logits and the gradient, float32 like `x`."""
        logits = self.logits(x, mask)
        slope = loss.logit_gradient(np, logits, *loss.arrays)
        return logits, (slope @ self.weights.T).reshape(x.shape).astype(np.float32)


def fit_substitute(model: Classifier, split: Split) -> Substitute:
    """Fit the model's own logits, on 1,000 examples at most, by ridge regression.

    References:
        Papernot, McDaniel, Goodfellow, Jha, Celik and Swami, Practical black-box attacks against
        machine learning, 2017, https://arxiv.org/abs/1602.02697
    """
    split = split.take(np.arange(min(len(split), _MOST_EXAMPLES)))
    flat = split.x.reshape(len(split), -1).astype(np.float64)
    logits = model.logits(split.x, split.mask).astype(np.float64)
    mean, bias = flat.mean(axis=0), logits.mean(axis=0)
    centred = flat - mean
    # As many equations as there are examples: fewer than values, as a rule.
    kernel = centred @ centred.T
    kernel[np.diag_indices_from(kernel)] += _RIDGE * max(float(np.trace(kernel)), 1e-9) / len(flat)
    weights = centred.T @ np.linalg.solve(kernel, logits - bias)
    return Substitute(weights, bias - mean @ weights)
