"""Attacks along the sequence: how many steps are needed, which matter, and when it flips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rnnprobe.attacks._attempt import reached
from rnnprobe.attacks._few_steps import step_gains
from rnnprobe.attacks._region import counted_steps
from rnnprobe.attacks._run import run_attack
from rnnprobe.attacks.pgd import PGD
from rnnprobe.protocols import Attack, Classifier
from rnnprobe.records import Array, Budget, Placement, Split

_WINDOW_STEPS = 20
_MOST_WINDOWS = 32


@dataclass(frozen=True, eq=False)
class StepCurve:
    """How many examples fall when so many steps may change.

    Args:
        placement: Which steps these may be.
        steps: How many, in rising order.
        fooled: bool (len(steps), num_examples); fooled with fewer steps is fooled with more.
        least: int64 (num_examples,), the fewest of `steps` that sufficed; 0 where none did.
    """

    placement: Placement
    steps: tuple[int, ...]
    fooled: Array
    least: Array


def step_curve(
    attack: Attack,
    model: Classifier,
    split: Split,
    budget: Budget,
    steps: Sequence[int],
    *,
    targets: Array | None = None,
) -> StepCurve:
    """Attack with few steps, then with more those that are left.

    Args:
        attack: One of values.
        model: What to fool.
        split: The examples.
        budget: Radius and placement.
        steps: How many steps may change, each at least 1.
        targets: As for `run_attack`.
    """
    least = np.zeros(len(split), int)
    curve = []
    for number in sorted(steps):
        limited = replace(budget, num_steps_allowed=number)
        found = run_attack(attack, model, split, limited, targets=targets, only=least == 0)
        least[found.success] = number
        curve.append(least > 0)
    return StepCurve(budget.placement, tuple(sorted(steps)), np.stack(curve), least)


@dataclass(frozen=True, eq=False)
class Scan:
    """What an attack on one window of steps achieves, window by window.

    Args:
        width: Steps of a window.
        starts: int64 (num_windows,), the first step of each.
        fooled: bool (num_windows, num_examples); False where the window is no part of it.
        tried: bool (num_windows, num_examples): whether some step of the window counts.
        gains: float64 (num_examples, num_steps), the share of each step in the clean gradient:
            what changing it alone gains to first order, divided by the sum over the steps.
    """

    width: int
    starts: Array
    fooled: Array
    tried: Array
    gains: Array


def scan_windows(
    model: Classifier, split: Split, budget: Budget, width: int, *, seed: int = 0
) -> Scan:
    """Attack windows of consecutive steps alone, by PGD of 20 steps.

    Each lies half a width after the one before; of long sequences 32 are evenly chosen.

    Where windows succeed and the clean gradient is large the model looks at them. Where they
    succeed and the gradient is small, the gradient vanishes on the way and says too little.

    Args:
        model: What to fool.
        split: Examples that the model gets right.
        budget: The radius.
        width: Steps of a window.
        seed: Of the attack.
    """
    x, y, mask = split.x, split.y, split.mask
    counted = counted_steps(model, x, mask)
    last = x.shape[1] - width
    number = min(_MOST_WINDOWS, 1 + -(-last // max(1, width // 2)))
    starts = np.unique(np.linspace(0, last, number).round().astype(int))
    attack = PGD(steps=_WINDOW_STEPS, seed=seed)
    fooled, tried = [], []
    for start in starts:
        window = np.zeros_like(counted)
        window[:, start : start + width] = True
        window &= counted
        found = attack(model, x, y, budget, mask=mask, changeable=window)
        hit = reached(model.logits(found, mask), y, targeted=False)
        tried.append(window.any(axis=1))
        fooled.append(hit & tried[-1])
    gains = np.where(counted, step_gains(model, x, y, budget, mask=mask), 0)
    gains = gains / np.maximum(gains.sum(axis=1, keepdims=True), 1e-300)
    return Scan(width, starts, np.stack(fooled), np.stack(tried), gains)


def flip_steps(model: Classifier, split: Split, budget: Budget, *, seed: int = 0) -> Array:
    """Return int64 (num_fooled,): after how many changed steps the prediction flips.

    Each example is attacked by PGD of 20 steps at full strength. What it returns is put in step by
    step: the first t steps as the attack left them, the others as they were. The answer is the
    first t from which on the model stays fooled.

    Args:
        model: What to fool.
        split: Examples that the model gets right.
        budget: The radius.
        seed: Of the attack.

    Returns:
        One number in [1, num_steps] for each example that is fooled.
    """
    attack = PGD(steps=_WINDOW_STEPS, stop_early=False, seed=seed)
    examples = attack(model, split.x, split.y, budget, mask=split.mask)
    num_steps = split.x.shape[1]
    flip = np.full(len(split), num_steps + 1)
    staying = np.ones(len(split), bool)
    for step in range(num_steps, -1, -1):
        mixed = np.concatenate([examples[:, :step], split.x[:, step:]], axis=1)
        staying &= reached(model.logits(mixed, split.mask), split.y, targeted=False)
        flip[staying] = step
    return np.asarray(flip[flip <= num_steps])
