"""Auto-PGD towards one class after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnprobe.attacks._attempt import Attempt
from rnnprobe.attacks._region import Region
from rnnprobe.attacks.apgd import ascend
from rnnprobe.losses import TargetedDlr
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Budget


@dataclass(frozen=True)
class TargetedAPGD:
    """Auto-PGD on the targeted difference of logits ratio, the likeliest wrong classes first.

    Any wrong class is a success. With fewer than four classes the ratio is not defined, and the
    difference of the two logits takes its place.

    Args:
        steps: Per class.
        num_targets: How many classes to try at most.
        seed: Of the starts.

    References:
        Croce and Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse
        parameter-free attacks, ICML 2020, https://arxiv.org/abs/2003.01690
    """

    steps: int = 100
    num_targets: int = 9
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
        attempt = Attempt(model, x, y, mask)
        logits = model.logits(x, mask)
        others = np.argsort(-logits, axis=1, kind="stable")
        others = others[others != y[:, np.newaxis]].reshape(len(y), -1).astype(np.int32)
        attempt.gradient(attempt.left, x, TargetedDlr(y, others[:, 0]))
        for rank in range(min(self.num_targets, others.shape[1])):
            loss = TargetedDlr(y, others[:, rank])
            ascend(attempt, region, loss, self.steps, self.seed + rank)
        return attempt.examples
