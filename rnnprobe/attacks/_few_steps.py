"""Attacks that may change a few steps only: which ones, example by example."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnprobe.attacks._attempt import log_odds, reached
from rnnprobe.attacks._region import counted_steps
from rnnprobe.protocols import Attack, Classifier
from rnnprobe.records import Array, Budget, Placement

_MOST_WINDOWS = 8
_ROUNDS = 3


def few_steps(attack: Attack) -> Attack:
    """Return an attack that runs another one on the steps that the budget's placement allows.

    The first and the last steps are one choice each. Of contiguous runs the first, the last and
    those of the largest first-order gain are tried. A free choice tries the steps of the largest
    gain, chosen anew from where the attack before ended, and then all contiguous choices. So what
    a prefix, a suffix or a run reaches a free choice reaches as well.

    The gain of a step is how much the loss grows at most to first order if it alone changes within
    epsilon: the dual norm of its gradient.
    """

    def run(
        model: Classifier,
        x: Array,
        y: Array,
        budget: Budget,
        *,
        mask: Array | None = None,
        changeable: Array | None = None,
    ) -> Array:
        counted = counted_steps(model, x, mask) if changeable is None else changeable
        targeted = bool(getattr(attack, "targeted", False))
        number = budget.num_steps_allowed or x.shape[1]
        whole = replace(budget, num_steps_allowed=None, placement="free")
        examples, left = np.array(x), np.arange(len(x))

        def gains_at(points: Array, rows: Array) -> Array:
            masked = None if mask is None else mask[rows]
            gains = step_gains(model, points, y[rows], whole, mask=masked, targeted=targeted)
            return np.where(counted[rows], gains, -1)

        clean_gains = gains_at(x, left)
        gains = clean_gains.copy()
        for choice in _choices(budget.placement, counted, number):
            if not len(left):
                break
            seen = gains if choice == "gain" else clean_gains
            chosen = _choose(choice, counted[left], seen[left], number)
            masked = None if mask is None else mask[left]
            found = attack(model, x[left], y[left], whole, mask=masked, changeable=chosen)
            hit = reached(model.logits(found, masked), y[left], targeted=targeted)
            examples[left] = found
            left, found = left[~hit], found[~hit]
            if choice == "gain" and len(left):
                gains[left] = gains_at(found, left)
        return examples

    return run


def step_gains(
    model: Classifier,
    x: Array,
    y: Array,
    budget: Budget,
    *,
    mask: Array | None = None,
    targeted: bool = False,
) -> Array:
    """Return float64 (num_examples, num_steps), what changing one step gains to first order."""
    loss = log_odds(y, targeted=targeted)
    _, gradient = model.loss_gradient(x, loss, mask)
    gradient = np.nan_to_num(gradient).astype(np.float64)
    if budget.norm == "linf":
        return np.asarray(np.abs(gradient).sum(axis=2))
    return np.asarray(np.sqrt(np.square(gradient).sum(axis=2)))


def _choices(placement: Placement, counted: Array, number: int) -> list[str | int]:
    """Return what to try in turn: `gain`, `prefix`, `suffix`, or a window's place by its gain."""
    if placement in ("prefix", "suffix"):
        return [placement]
    most = int(counted.sum(axis=1).max()) - number + 1
    windows = ["suffix", "prefix", *range(min(_MOST_WINDOWS, most))]
    return ["gain"] * _ROUNDS + windows if placement == "free" else windows


def _choose(choice: str | int, counted: Array, gains: Array, number: int) -> Array:
    """Return bool (num_examples, num_steps), the steps to try."""
    if choice == "gain":
        order = np.argsort(np.argsort(-gains, axis=1, kind="stable"), axis=1)
        return np.asarray(counted & (order < number))
    rank = np.where(counted, counted.cumsum(axis=1) - 1, -1)
    if choice == "prefix":
        first = np.zeros(len(counted), int)
    elif choice == "suffix":
        first = np.maximum(counted.sum(axis=1) - number, 0)
    else:
        first = _window_starts(counted, gains, number, int(choice))
    start = first[:, np.newaxis]
    return np.asarray((rank >= start) & (rank < start + number))


def _window_starts(counted: Array, gains: Array, number: int, place: int) -> Array:
    """Return the first rank of each example's run of the largest gain but `place`."""
    starts = np.zeros(len(counted), int)
    for row, steps in enumerate(counted):
        values = gains[row][steps]
        if len(values) > number:
            sums = np.convolve(values, np.ones(number), mode="valid")
            starts[row] = np.argsort(-sums, kind="stable")[min(place, len(sums) - 1)]
    return starts
