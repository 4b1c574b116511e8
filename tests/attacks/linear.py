"""A classifier whose gradient is known in closed form, for the tests of attacks."""

from __future__ import annotations

import numpy as np

from rnnprobe.losses import Loss


class Linear:
    """Logits are linear in the values; rows are summed one by one, so that batches change nothing.

    Args:
        weights: float64 (num_steps, num_features, num_classes).
        bias: float64 (num_classes,).
    """

    def __init__(self, weights: np.ndarray, bias: np.ndarray | None = None) -> None:
        self.weights = weights
        self.bias = np.zeros(weights.shape[2]) if bias is None else bias
        self.num_classes = weights.shape[2]
        self.queries = 0

    def logits(self, x: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        seen = x if mask is None else np.where(mask[..., None], x, 0)
        self.queries += len(x)
        scores = [np.tensordot(row, self.weights, axes=2) for row in seen.astype(np.float64)]
        return (np.array(scores).reshape(len(x), -1) + self.bias).astype(np.float32)

    def loss_gradient(
        self, x: np.ndarray, loss: Loss, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        logits = self.logits(x, mask)
        slope = loss.logit_gradient(np, logits, *loss.arrays)
        gradient = np.array([self.weights @ row for row in slope.astype(np.float64)])
        if mask is not None:
            gradient = np.where(mask[..., None], gradient, 0)
        return logits, gradient.reshape(x.shape).astype(np.float32)
