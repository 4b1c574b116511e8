"""The attacks that a claim of robustness should withstand, one after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnprobe.attacks._attempt import reached
from rnnprobe.attacks.apgd import APGD
from rnnprobe.attacks.minimal_norm import MinimalNorm
from rnnprobe.attacks.square import Square
from rnnprobe.attacks.targeted_apgd import TargetedAPGD
from rnnprobe.protocols import Attack, Classifier
from rnnprobe.records import Array, Budget


@dataclass(frozen=True)
class Strong:
    """Auto-PGD, targeted Auto-PGD, minimal norm and Square, each on what the ones before left.

    After AutoAttack, whose FAB the minimal norm attack stands for.

    Args:
        steps: Of each attack that follows gradients.
        queries: Of Square.
        targeted: Whether `y` are the classes to reach; targeted Auto-PGD then is left out.
        seed: Of all.

    References:
        Croce and Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse
        parameter-free attacks, ICML 2020, https://arxiv.org/abs/2003.01690
    """

    steps: int = 100
    queries: int = 1000
    targeted: bool = False
    seed: int = 0

    @property
    def stages(self) -> tuple[Attack, ...]:
        """The attacks in their order."""
        goal = self.targeted
        several = () if goal else (TargetedAPGD(self.steps, seed=self.seed),)
        return (
            APGD(self.steps, targeted=goal, seed=self.seed),
            *several,
            MinimalNorm(self.steps, targeted=goal),
            Square(self.queries, targeted=goal, seed=self.seed),
        )

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
        examples, left = x.copy(), np.arange(len(x))
        for attack in self.stages:
            if not len(left):
                break
            masked = None if mask is None else mask[left]
            allowed = None if changeable is None else changeable[left]
            found = attack(model, x[left], y[left], budget, mask=masked, changeable=allowed)
            examples[left] = found
            hit = reached(model.logits(found, masked), y[left], targeted=self.targeted)
            left = left[~hit]
        return examples
