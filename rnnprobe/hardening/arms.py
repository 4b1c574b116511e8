"""Arms of the experiment: one model trained on from the same weights, each on other examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from rnnprobe.attacks.pgd import PGD
from rnnprobe.hardening.trainer import Source, ordinary
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Budget, Split

CONTROL = "control"


@dataclass(frozen=True)
class Arm:
    """What one arm is trained on.

    Args:
        name: What it is called in tables.
        source: What becomes of each batch.
        pool: Of the number of the repeat, from 0: int64, the indices of the training examples to
            draw from, an example several times where it is to come more often; None: all of them
            once.
    """

    name: str
    source: Source = ordinary
    pool: Callable[[int], Array] | None = None


@dataclass(frozen=True)
class AdversarialExamples:
    """The batch, changed so that the model as it is just then errs.

    Args:
        attack: What changes it; its seed is replaced at each update.
        budget: How much it may change.
    """

    attack: PGD
    budget: Budget

    def __call__(self, model: Classifier, batch: Split, seed: int) -> Split:
        """Return the changed examples; see `Source`."""
        attack = replace(self.attack, seed=seed)
        x = attack(model, batch.x, batch.y, self.budget, mask=batch.mask)
        return Split(x, batch.y, batch.mask)


def pgd_source(budget: Budget) -> AdversarialExamples:
    """Return adversarial training by projected gradient ascent.

    References:
        Madry, Makelov, Schmidt, Tsipras and Vladu, Towards deep learning models resistant to
        adversarial attacks, ICLR 2018, https://arxiv.org/abs/1706.06083
    """
    return AdversarialExamples(PGD(steps=7, step_size=0.25, stop_early=False), budget)


def fgsm_source(budget: Budget) -> AdversarialExamples:
    """Return adversarial training by one step of 1.25 epsilon from a random start.

    Unlike in the paper the point of largest loss is trained on, of the example, the start and the
    end; the paper takes the end.

    References:
        Wong, Rice and Kolter, Fast is better than free: revisiting adversarial training, ICLR
        2020, https://arxiv.org/abs/2001.03994
    """
    return AdversarialExamples(PGD(steps=1, step_size=1.25, stop_early=False), budget)
