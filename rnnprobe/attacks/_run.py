"""Running attacks: they propose, and here it is settled what was within the budget and fooled."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rnnprobe._registry import call_users
from rnnprobe.attacks._few_steps import few_steps
from rnnprobe.attacks._region import Region, counted_steps, distance
from rnnprobe.protocols import Attack, Classifier
from rnnprobe.records import Array, Budget, Split

OnBegin = Callable[[str, Budget], None]
OnResult = Callable[[str, "AttackResult"], None]


@dataclass(frozen=True, eq=False)
class AttackResult:
    """What one attack did to a part of a data set.

    Args:
        attack: The attack.
        budget: What it was allowed.
        examples: Like `x`, one an example, within the budget.
        clean_predictions: int64 (num_examples,), of the examples as they were.
        predictions: int64 (num_examples,), of the changed ones.
        success: bool (num_examples,): right before and wrong now; or where it was targeted, made
            to be taken for the target, which it was not before.
        distance: float64 (num_examples,), in the budget's norm.
        repaired: bool (num_examples,): what the attack returned was outside of the budget, and
            was brought back before it was judged.
        seconds: Wall time of the attack.
    """

    attack: Attack
    budget: Budget
    examples: Array
    clean_predictions: Array
    predictions: Array
    success: Array
    distance: Array
    repaired: Array
    seconds: float


def run_attack(
    attack: Attack,
    model: Classifier,
    split: Split,
    budget: Budget,
    *,
    targets: Array | None = None,
    only: Array | None = None,
) -> AttackResult:
    """Attack the examples that the model gets right, and judge what comes back.

    An attack proposes: what it returns is projected to the budget once more, its distance is
    measured here, and the model's own prediction decides whether it is fooled.

    Args:
        attack: One of `rnnprobe.attacks`, or any callable like it.
        model: What to fool.
        split: The examples.
        budget: What may change; with `num_steps_allowed` the attack is run on chosen steps.
        targets: int32 (num_examples,), the classes to reach; the attack must be targeted then.
            Examples of that class, or taken for it, are left alone.
        only: bool (num_examples,), which examples to attack at all; None: all.

    Example:
        >>> from rnnprobe import Bounds, Budget
        >>> from rnnprobe.attacks.pgd import PGD
        >>> budget = Budget(0.03, "linf", Bounds(0, 1))
        >>> run_attack(PGD(), classifier, dataset.test, budget).success.mean()  # doctest: +SKIP
        0.314
    """
    x, y, mask = split.x, split.y, split.mask
    clean = model.logits(x, mask).argmax(axis=1)
    wanted = y if targets is None else targets
    attacked = clean == y if targets is None else (clean != targets) & (y != targets)
    if only is not None:
        attacked = attacked & only
    rows = np.flatnonzero(attacked)
    examples, repaired = np.array(x), np.zeros(len(x), bool)
    started = time.perf_counter()
    if len(rows):
        masked = None if mask is None else mask[rows]
        run = attack if budget.num_steps_allowed is None else few_steps(attack)
        proposed = run(model, x[rows], wanted[rows], budget, mask=masked)
        examples[rows] = _within_budget(model, x[rows], proposed, budget, masked)
        repaired[rows] = _differs(examples[rows], proposed, budget)
    seconds = time.perf_counter() - started
    predictions = np.array(clean)
    if len(rows):
        logits = model.logits(examples[rows], None if mask is None else mask[rows])
        predictions[rows] = logits.argmax(axis=1)
    fooled = predictions == targets if targets is not None else predictions != y
    return AttackResult(
        attack=attack,
        budget=budget,
        examples=examples,
        clean_predictions=clean,
        predictions=predictions,
        success=fooled & attacked,
        distance=distance(examples - x, budget.norm),
        repaired=repaired,
        seconds=seconds,
    )


def tolerance(budget: Budget) -> float:
    """Return how much farther than epsilon rounding to float32 may lead."""
    if not math.isfinite(budget.epsilon):
        return 0.0
    ends = [abs(end) for end in (budget.bounds.lower, budget.bounds.upper) if math.isfinite(end)]
    ulp = float(np.finfo(np.float32).eps)
    return 2 * ulp * max(ends, default=1.0) + 1e-6 * budget.epsilon


def _within_budget(
    model: Classifier, x: Array, proposed: Array, budget: Budget, mask: Array | None
) -> Array:
    proposed = np.asarray(proposed, None if x.ndim == 2 else np.float32)
    if proposed.shape != x.shape:
        raise ValueError(f"The attack returned shape {proposed.shape}, expected {x.shape}.")
    if x.ndim == 2:
        counted = counted_steps(model, x, mask)
        low, high = budget.bounds.lower, budget.bounds.upper
        wrong = (proposed != x) & (~counted | (proposed < low) | (proposed > high))
        within = ~wrong.any(axis=1)
        points = proposed.astype(x.dtype)
    else:
        region = Region.of(model, x, budget, mask, None)
        points = _keep_counted(model, region, region.project(proposed), mask)
        within = np.isfinite(points).all(axis=(1, 2))
    changed = (points != x).reshape(*x.shape[:2], -1).any(axis=2).sum(axis=1)
    within &= distance(points - x, budget.norm) <= budget.epsilon + tolerance(budget)
    within &= changed <= (budget.num_steps_allowed or x.shape[1])
    return np.where(within.reshape(-1, *[1] * (x.ndim - 1)), points, x)


def _keep_counted(model: Classifier, region: Region, points: Array, mask: Array | None) -> Array:
    """Move steps that the model would now leave out a little back, so that it counts them."""
    counted = region.allowed[..., 0]
    lost = counted & ~counted_steps(model, np.nan_to_num(points), mask)
    if not lost.any():
        return points
    back = points + np.float32(0.01) * (region.x - points)
    return np.where(lost[..., np.newaxis], back, points)


def _differs(examples: Array, proposed: Array, budget: Budget) -> Array:
    difference = np.abs(examples.astype(np.float64) - proposed).reshape(len(examples), -1)
    near = np.asarray(difference.max(axis=1) <= tolerance(budget))
    return ~near  # also where it is no number


@dataclass(frozen=True, eq=False)
class Robustness:
    """What several attacks did within several radii of one norm.

    An example that was fooled within a radius is fooled within all larger ones.

    Args:
        split: The examples.
        budgets: One a radius, in rising order.
        attacks: By name.
        targets: int32 (num_examples,), the classes to reach, or None.
        clean_predictions: int64 (num_examples,).
        fooled: By attack: bool (num_budgets, num_examples).
        nearest: By attack: float64 (num_examples,), the smallest distance that fooled, or inf.
        seconds: By attack: of all radii.
        repaired: By attack: how many examples it returned outside of the budget.
        examples: (num_budgets, num_examples, ...), one that fools where any attack found it, of
            the smallest distance, else as they were.
    """

    split: Split
    budgets: tuple[Budget, ...]
    attacks: Mapping[str, Attack]
    targets: Array | None
    clean_predictions: Array
    fooled: Mapping[str, Array]
    nearest: Mapping[str, Array]
    seconds: Mapping[str, float]
    repaired: Mapping[str, int]
    examples: Array

    @cached_property
    def right(self) -> Array:
        """Bool (num_examples,): what the model gets right when nobody attacks."""
        return np.asarray(self.clean_predictions == self.split.y)

    @cached_property
    def attacked(self) -> Array:
        """Bool (num_examples,): what was attacked: what is right, or is not the target."""
        if self.targets is None:
            return self.right
        return np.asarray((self.clean_predictions != self.targets) & (self.split.y != self.targets))

    @cached_property
    def worst(self) -> Array:
        """Bool (num_budgets, num_examples): fooled by any of the attacks."""
        return np.asarray(np.any([*self.fooled.values()], axis=0))

    @cached_property
    def worst_nearest(self) -> Array:
        """float64 (num_examples,): the smallest distance at which any attack fooled, or inf."""
        return np.asarray(np.min([*self.nearest.values()], axis=0))


def evaluate_attacks(
    attacks: Mapping[str, Attack],
    model: Classifier,
    split: Split,
    budgets: Sequence[Budget],
    *,
    targets: Array | None = None,
    on_begin: OnBegin | None = None,
    on_result: OnResult | None = None,
) -> Robustness:
    """Run every attack within every radius.

    From the smallest radius on each attack meets the examples that it did not fool before. An
    attack whose `finds_minimum` is True is run once without a radius.

    Args:
        attacks: By name.
        model: What to fool.
        split: The examples; at least one.
        budgets: Of one norm, which differ in epsilon alone.
        targets: As for `run_attack`.
        on_begin: Called before each run with the attack's name and the radius.
        on_result: Called after each run with the attack's name and the result.

    Example:
        >>> import numpy as np
        >>> import rnnprobe
        >>> from rnnprobe.attacks.fgsm import FGSM
        >>> x = np.random.default_rng(0).random((20, 4, 3), dtype=np.float32)
        >>> y = (x.mean(axis=(1, 2)) > 0.5).astype(np.int32)
        >>> data = rnnprobe.load_dataset({"x": x, "y": y})
        >>> model = rnnprobe.build_model(rnnprobe.ModelSpec("gru", units=2), data)
        >>> classifier = rnnprobe.KerasClassifier(model)
        >>> bounds = rnnprobe.Bounds(0, 1)
        >>> budgets = [rnnprobe.Budget(epsilon, "linf", bounds) for epsilon in (0.1, 1)]
        >>> outcome = rnnprobe.evaluate_attacks({"fgsm": FGSM()}, classifier, data.test, budgets)
        >>> outcome.worst.shape == (2, len(data.test))
        True
    """
    budgets = tuple(sorted(budgets, key=lambda budget: budget.epsilon))
    examples = np.stack([split.x] * len(budgets))
    closest = np.full(len(split), np.inf)
    fooled, nearest, seconds, repaired = {}, {}, {}, {}
    clean = np.zeros(0)
    for name, attack in attacks.items():
        near = np.full(len(split), np.inf)
        seconds[name], repaired[name] = 0.0, 0
        for budget in searched(attack, budgets):
            if on_begin:
                on_begin(name, budget)
            left = ~np.isfinite(near)
            result = call_users(
                "attack", name, run_attack, attack, model, split, budget, targets=targets, only=left
            )
            clean = result.clean_predictions
            near[result.success] = result.distance[result.success]
            seconds[name] += result.seconds
            repaired[name] += int(result.repaired.sum())
            better = result.success & (result.distance < closest)
            closest[better] = result.distance[better]
            for index, radius in enumerate(budgets):
                within = better & (result.distance <= radius.epsilon + tolerance(radius))
                examples[index, within] = result.examples[within]
            if on_result:
                on_result(name, result)
        nearest[name] = near
        fooled[name] = np.stack([near <= b.epsilon + tolerance(b) for b in budgets])
    return Robustness(
        split=split,
        budgets=budgets,
        attacks=dict(attacks),
        targets=targets,
        clean_predictions=clean,
        fooled=fooled,
        nearest=nearest,
        seconds=seconds,
        repaired=repaired,
        examples=examples,
    )


def searched(attack: Attack, budgets: Sequence[Budget]) -> list[Budget]:
    """Return the radii that an attack is run within, one after the other."""
    if getattr(attack, "finds_minimum", False):
        return [dataclasses.replace(budgets[-1], epsilon=math.inf)]
    return list(budgets)


def settings_of(attack: object) -> dict[str, Any] | None:
    """Return the fields of an attack that is a dataclass, None of another."""
    if dataclasses.is_dataclass(attack) and not isinstance(attack, type):
        return {field.name: getattr(attack, field.name) for field in dataclasses.fields(attack)}
    return None
