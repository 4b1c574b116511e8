"""The fast gradient sign method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnprobe.attacks._attempt import log_odds
from rnnprobe.attacks._region import Region
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Budget


@dataclass(frozen=True)
class FGSM:
    """One step of full length along the sign of the gradient; in l2 along the gradient.

    Args:
        targeted: Whether `y` are the classes to reach.

    References:
        Goodfellow, Shlens and Szegedy, Explaining and harnessing adversarial examples, ICLR 2015,
        https://arxiv.org/abs/1412.6572
    """

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
        _, gradient = model.loss_gradient(x, loss, mask)
        return region.project(x + region.epsilon * region.direction(np.nan_to_num(gradient)))
