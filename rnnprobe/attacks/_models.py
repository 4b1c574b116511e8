"""Several models under the same attacks: which kind of cell is fooled more easily?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnnprobe.attacks._run import Robustness


@dataclass(frozen=True)
class ModelRobustness:
    """What attacks did to one of several models.

    Args:
        name: The model's file.
        kind: What it is grouped by: its cell.
        clean: Share right, in [0, 1].
        total: Number of examples.
        robust: For each radius the share right under every attack.
        median: The median distance needed, over the examples that were right; inf where most
            were not fooled; None where no attack looked for the smallest one.
    """

    name: str
    kind: str
    clean: float
    total: int
    robust: tuple[float, ...]
    median: float | None

    @classmethod
    def of(cls, name: str, kind: str, outcome: Robustness) -> ModelRobustness:
        """Return the summary of an untargeted evaluation."""
        nearest = np.sort(outcome.worst_nearest[outcome.right])
        robust = (outcome.right & ~outcome.worst).mean(axis=1)
        minimal = any(getattr(a, "finds_minimum", False) for a in outcome.attacks.values())
        median = float(nearest[len(nearest) // 2]) if minimal else None
        total = len(outcome.right)
        return cls(name, kind, float(outcome.right.mean()), total, tuple(robust.tolist()), median)


def by_kind(models: Sequence[ModelRobustness]) -> dict[str, list[ModelRobustness]]:
    """Return the models of each kind, in the order given."""
    groups: dict[str, list[ModelRobustness]] = {}
    for model in models:
        groups.setdefault(model.kind, []).append(model)
    return groups
