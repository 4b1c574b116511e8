"""What the checks of an evaluation look at, and what they say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from rnnprobe.attacks._run import Robustness, run_attack, settings_of
from rnnprobe.attacks.fgsm import FGSM
from rnnprobe.protocols import Attack, Classifier
from rnnprobe.records import Array, Budget, Split

Verdict = Literal["PASS", "WARN", "n/a"]
TOLERATED = 0.01  # share of the examples looked at


@dataclass(frozen=True)
class Check:
    """One line of the list.

    Args:
        name: What must hold.
        verdict: `PASS`, `WARN`, or `n/a` where there is nothing to judge.
        found: What was seen.
        examples: The indices that stand against it.
    """

    name: str
    verdict: Verdict
    found: str
    examples: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Inquiry:
    """What the checks look at.

    Args:
        model: What was attacked.
        outcome: What the attacks did.
        rows: Indices of the examples that the checks attack again.
        seed: Of the attacks that the checks run.
    """

    model: Classifier
    outcome: Robustness
    rows: Array
    seed: int = 0
    _cache: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, model: Classifier, outcome: Robustness, *, limit: int = 100, seed: int = 0
    ) -> Inquiry:
        """Return an inquiry into at most `limit` of the attacked examples, evenly chosen."""
        attacked = np.flatnonzero(outcome.attacked)
        chosen = np.unique(np.linspace(0, len(attacked) - 1, limit).astype(int))
        return cls(model, outcome, attacked[chosen] if len(attacked) else attacked, seed)

    @property
    def tokens(self) -> bool:
        """Whether the examples are tokens."""
        return self.outcome.split.x.ndim == 2

    @property
    def index(self) -> int:
        """Which budget the checks use: that at which nearest to half of the examples fall."""
        shares = self.outcome.worst[:, self.outcome.attacked].mean(axis=1)
        usable = [budget.epsilon > 0 for budget in self.outcome.budgets]
        return int(np.where(usable, np.abs(shares - 0.5), np.inf).argmin())

    @property
    def budget(self) -> Budget:
        """That budget."""
        return self.outcome.budgets[self.index]

    @property
    def part(self) -> Split:
        """The examples at `rows`."""
        return self.outcome.split.take(self.rows)

    @property
    def targets(self) -> Array | None:
        """Their targets."""
        targets = self.outcome.targets
        return None if targets is None else targets[self.rows]

    def success(self, attack: Attack, budget: Budget | None = None) -> Array:
        """Return bool, one for each of `rows`: whether an attack of the checks fools it."""
        key = repr((attack, budget))
        if key not in self._cache:
            result = run_attack(
                attack, self.model, self.part, budget or self.budget, targets=self.targets
            )
            self._cache[key] = result.success
        return np.asarray(self._cache[key])

    def fooled_by(self, names: list[str]) -> Array:
        """Return bool, one for each of `rows`: whether one of the evaluated attacks fooled it."""
        found = [self.outcome.fooled[name][self.index, self.rows] for name in names]
        return np.any(found, axis=0) if found else np.zeros(len(self.rows), bool)

    @property
    def white_box(self) -> list[str]:
        """The names of the attacks that see gradients."""
        attacks = self.outcome.attacks
        return [name for name in attacks if getattr(attacks[name], "knowledge", "") != "black box"]

    @property
    def iterative(self) -> dict[str, Attack]:
        """Those of them that take many steps; of an ensemble its first attack."""
        attacks = {name: self.outcome.attacks[name] for name in self.white_box}
        several = {n: getattr(a, "stages", (a,))[0] for n, a in attacks.items()}
        return {n: a for n, a in several.items() if not isinstance(a, FGSM)}

    @property
    def stepping(self) -> dict[str, Attack]:
        """Those of them whose number of steps can be set, and that keep to a radius."""
        return {
            name: attack
            for name, attack in self.iterative.items()
            if "steps" in (settings_of(attack) or {})
            and not hasattr(attack, "num_targets")
            and not getattr(attack, "finds_minimum", False)
        }

    def say(self, name: str, bad: Array, of: int, passed: str, failed: str) -> Check:
        """Return a check that warns where more than 1 % of the examples stand against it."""
        count, most = int(bad.sum()), TOLERATED * of
        ids = tuple(int(row) for row in self.rows[bad])
        verdict: Verdict = "WARN" if count > most else "PASS"
        text = f"{failed if verdict == 'WARN' else passed}: {count} of {of}"
        return Check(name, verdict, text, ids)
