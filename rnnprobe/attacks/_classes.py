"""From which class to which: targeted attacks beside the confusions that happen by themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from rnnprobe.attacks._region import distance
from rnnprobe.attacks._run import tolerance
from rnnprobe.attacks.hotflip import SingleEdits, single_edits
from rnnprobe.attacks.minimal_norm import MinimalNorm
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Budget, Split
from rnnprobe.statistics import Interval, rank_correlation


@dataclass(frozen=True, eq=False)
class ClassPairs:
    """How easily examples of each class are made to pass for each other class.

    Args:
        budget: Within which an attack is a success.
        tried: int64 (num_classes,), how many examples of each class were attacked.
        success: int64 (num_classes, num_classes), how many of them reach each class.
        median: float64 (num_classes, num_classes), the median distance needed; inf where most
            were not made to reach it, nan where none was tried. None for tokens.
        confusions: int64 (num_classes, num_classes), how often it happens unprovoked.
        correlation: Spearman's rank correlation, over all pairs of classes that were tried, of
            the share that reaches a class and the share confused with it; its 95 % interval. Of
            values, the nearness (the median distance, negative) takes the share's place. None
            where there is nothing to rank.
        edits: Of tokens, what all single replacements did; None of values.
    """

    budget: Budget
    tried: Array
    success: Array
    median: Array | None
    confusions: Array
    correlation: tuple[float, Interval] | None
    edits: SingleEdits | None = None


def attack_pairs(
    model: Classifier,
    split: Split,
    budget: Budget,
    confusions: Array,
    *,
    per_class: int = 10,
    steps: int = 50,
) -> ClassPairs:
    """Attack examples of each class towards every other class.

    Values by the minimal norm attack; tokens by all single replacements.

    Args:
        model: What to fool.
        split: The examples; only those that are right are used.
        budget: Within which an attack is a success; of tokens one edit.
        confusions: int64 (num_classes, num_classes), true classes down, predicted across.
        per_class: How many examples of each class at most, the first of them.
        steps: Of the minimal norm attack.
    """
    num_classes = len(confusions)
    right = np.flatnonzero(model.logits(split.x, split.mask).argmax(axis=1) == split.y)
    rows = [right[split.y[right] == label][:per_class] for label in range(num_classes)]
    part = split.take(np.concatenate(rows))
    tried = np.array([len(indices) for indices in rows])
    edits = None
    if split.x.ndim == 2:
        edits = single_edits(model, part.x, part.y, budget, mask=part.mask)
        reachable = edits.reachable
        success = np.stack([reachable[part.y == label].sum(axis=0) for label in range(num_classes)])
        np.fill_diagonal(success, 0)
        score, median = success / np.maximum(tried, 1)[:, np.newaxis], None
    else:
        distances = _distances(model, part, budget, num_classes, steps)
        success, median = _summary(distances, part.y, budget, num_classes)
        score = -np.where(np.isnan(median), np.inf, median)
    support = np.maximum(confusions.sum(axis=1, keepdims=True), 1)
    pairs = ~np.eye(num_classes, dtype=bool) & (tried > 0)[:, np.newaxis]
    correlation = rank_correlation(score[pairs], (confusions / support)[pairs])
    return ClassPairs(budget, tried, success, median, confusions, correlation, edits)


def _distances(
    model: Classifier, part: Split, budget: Budget, num_classes: int, steps: int
) -> Array:
    """Return float64 (num_examples, num_classes), how far each class is; inf if not reached."""
    attack, free = MinimalNorm(steps, targeted=True), replace(budget, epsilon=math.inf)
    found = np.full((len(part), num_classes), np.inf)
    for target in range(num_classes):
        rows = np.flatnonzero(part.y != target)
        if not len(rows):
            continue
        mask = None if part.mask is None else part.mask[rows]
        wanted = np.full(len(rows), target, np.int32)
        points = attack(model, part.x[rows], wanted, free, mask=mask)
        hit = model.logits(points, mask).argmax(axis=1) == target
        found[rows[hit], target] = distance(points - part.x[rows], budget.norm)[hit]
    return found


def _summary(distances: Array, y: Array, budget: Budget, num_classes: int) -> tuple[Array, Array]:
    success = np.zeros((num_classes, num_classes), int)
    median = np.full((num_classes, num_classes), np.nan)
    for label in range(num_classes):
        theirs = distances[y == label]
        if len(theirs):
            success[label] = (theirs <= budget.epsilon + tolerance(budget)).sum(axis=0)
            # Of an even number the upper one: no mean of a number and infinity.
            median[label] = np.sort(theirs, axis=0)[len(theirs) // 2]
            median[label, label] = np.nan
    return success, median
