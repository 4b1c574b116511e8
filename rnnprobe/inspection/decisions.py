"""When a classifier decides: what it would have answered after every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from rnnprobe.inspection._ranks import rank_test
from rnnprobe.records import Array
from rnnprobe.statistics import (
    Interval,
    MeanDifference,
    compare_means,
    holm,
    median_interval,
    wilson_interval,
)

TENTHS = range(1, 11)
_BLOCK = 4096  # examples looked at together, lest the work take more memory than the logits
_LEAST = 10  # of fewer counts the t interval of a mean may begin below 0


class ShareAccuracy(NamedTuple):
    """How many examples are right after one share of their sequence.

    Args:
        share: In (0, 1].
        correct: How many are right.
        total: Of how many.
        interval: 95 % Wilson interval of `correct / total`; None of no example.
    """

    share: float
    correct: int
    total: int
    interval: Interval | None


@dataclass(frozen=True, eq=False)
class Decisions:
    """What a classifier would have answered after every step, and when it settled.

    Steps are the states that count, numbered from 1 in each example. An example without any has
    length 0, decision step 0, no flips and the prediction -1; it is in no count and no median.

    Args:
        y: int (num_examples,), true classes.
        logits: float32 (num_examples, num_states, num_classes), at every state.
        counted: bool (num_examples, num_states), the states that count.
        predicted: int64 (num_examples,), the class at the last state that counts, the first one at
            a tie.
        lengths: int64 (num_examples,), how many states count.
        step: int64 (num_examples,), the first step from which on the prediction stays the final
            one, in [1, length].
        flips: int64 (num_examples,), how often the predicted class changes from one step to the
            next, in [0, length - 1].
        right_by_share: bool (10, num_examples), whether the example is right after a tenth of its
            steps, two tenths and so on, rounded up to whole steps.
        ever_right: bool (num_examples,), whether the true class is on top at some step.
    """

    y: Array
    logits: Array
    counted: Array
    predicted: Array
    lengths: Array
    step: Array
    flips: Array
    right_by_share: Array
    ever_right: Array

    @property
    def read(self) -> Array:
        """Which examples have a step that counts, bool (num_examples,)."""
        return np.asarray(self.lengths > 0)

    @property
    def right(self) -> Array:
        """Which examples are right in the end, bool (num_examples,)."""
        return np.asarray(self.read & (self.predicted == self.y))

    @property
    def wrong(self) -> Array:
        """Which examples are wrong in the end, bool (num_examples,)."""
        return np.asarray(self.read & (self.predicted != self.y))

    @property
    def share(self) -> Array:
        """The decision step as share of the length, float64 (num_examples,); NaN of length 0."""
        return _divided(self.step, self.lengths)

    @property
    def accuracy_by_share(self) -> tuple[ShareAccuracy, ...]:
        """The accuracy after a tenth of each sequence, two tenths, ..., all of it."""
        total = int(self.read.sum())
        found = []
        for tenth, right in zip(TENTHS, self.right_by_share, strict=True):
            correct = int(right.sum())
            interval = wilson_interval(correct, total) if total else None
            found.append(ShareAccuracy(tenth / 10, correct, total, interval))
        return tuple(found)


def decide(step_logits: Array, counted: Array, y: Array) -> Decisions:
    """Find out when each prediction was made.

    Args:
        step_logits: float32 (num_examples, num_states, num_classes), finite, as
            `KerasClassifier.read_states` returns them.
        counted: bool (num_examples, num_states), True at the states that count, likewise.
        y: int (num_examples,), true classes.

    Raises:
        ValueError: The shapes do not fit, or a logit that counts is no number.

    Example:
        >>> logits = np.array([[[1.0, 0], [0, 2], [3, 0], [2, 0]]])
        >>> found = decide(logits, np.ones((1, 4), bool), np.array([0]))
        >>> found.step, found.flips, found.share
        (array([3]), array([2]), array([0.75]))
    """
    shape = step_logits.shape
    if len(shape) != 3 or counted.shape != shape[:2] or y.shape != shape[:1]:
        raise ValueError(
            "`step_logits (n, s, c), counted (n, s), y (n,)` must hold, but got "
            f"{shape}, {counted.shape}, {y.shape}."
        )
    blocks = [
        _decide_block(step_logits[rows], counted[rows], y[rows])
        for rows in (slice(i, i + _BLOCK) for i in range(0, max(len(y), 1), _BLOCK))
    ]
    parts = [np.concatenate(arrays, axis=-1) for arrays in zip(*blocks, strict=True)]
    return Decisions(y, step_logits, counted, *parts)


def _decide_block(logits: Array, counted: Array, y: Array) -> tuple[Array, ...]:
    """Return what `Decisions` holds from `predicted` on, of some examples."""
    if not np.isfinite(logits[counted]).all():
        raise ValueError("`step_logits` must be finite where they count, but some are not.")
    lengths = counted.sum(axis=1)
    classes, inside = _in_front(logits.argmax(axis=2), counted, lengths)
    rows, last = np.arange(len(y)), np.maximum(lengths - 1, 0)
    final = classes[rows, last]
    other = inside & (classes != final[:, np.newaxis])
    step = np.where(lengths > 0, _last_true(other) + 2, 0)
    flips = ((classes[:, 1:] != classes[:, :-1]) & inside[:, 1:]).sum(axis=1)
    hits = inside & (classes == y[:, np.newaxis])
    by_share = np.stack([hits[rows, _place(tenth, lengths)] for tenth in TENTHS])
    predicted = np.where(lengths > 0, final, -1)
    return predicted, lengths, step, flips, by_share, hits.any(axis=1)


def _in_front(values: Array, counted: Array, lengths: Array) -> tuple[Array, Array]:
    """Return the values that count in front of the others, and where they lie then."""
    inside = np.arange(counted.shape[1]) < lengths[:, np.newaxis]
    if (inside == counted).all():
        return values, inside
    order = np.argsort(~counted, axis=1, kind="stable")
    return np.take_along_axis(values, order, axis=1), inside


def _last_true(flags: Array) -> Array:
    """Return the index of the last True of each row, -1 where there is none."""
    last = flags.shape[1] - 1 - flags[:, ::-1].argmax(axis=1)
    return np.asarray(np.where(flags.any(axis=1), last, -1))


def _place(tenth: int, lengths: Array) -> Array:
    """Return the index of the step after so many tenths, in whole numbers: 0.7 * 10 is above 7."""
    return np.asarray(np.maximum(-(-tenth * lengths // 10) - 1, 0))


def _divided(steps: Array, lengths: Array) -> Array:
    shares = np.full(len(steps), np.nan)
    return np.asarray(np.divide(steps, lengths, out=shares, where=lengths > 0))


class Median(NamedTuple):
    """The median of some values and how sure it is.

    Args:
        number: How many values.
        value: The median; None of none.
        interval: At least 95 % of it, for any distribution; None of fewer than six values.
    """

    number: int
    value: float | None
    interval: Interval | None


def median_of(values: Array) -> Median:
    """Return the median of values and its interval.

    Example:
        >>> median_of(np.array([3, 1, 2]))
        Median(number=3, value=2.0, interval=None)
    """
    value = float(np.median(values)) if len(values) else None
    return Median(len(values), value, median_interval(values))


@dataclass(frozen=True)
class PairDecision:
    """When a class is left for another one, or held against it.

    Args:
        true: Index of the class a.
        predicted: Index of the class b that examples of a were taken for.
        mistakes: The step of these examples from which on b is above a for good.
        right: The step of the examples of a that are right, from which on a is above b for good.
        mistakes_share: The same as share of the length, median.
        right_share: The same of those that are right.
        right_on_the_way: How many of the mistakes had a on top of all classes at an earlier step.
        on_the_way_interval: 95 % Wilson interval of their share; None of no mistake.
        p_value: Mann-Whitney test of the steps of mistakes against those of right ones, both
            sides; None where one of them is empty.
        p_adjusted: By Holm's method over the pairs that were compared together.
    """

    true: int
    predicted: int
    mistakes: Median
    right: Median
    mistakes_share: float | None
    right_share: float | None
    right_on_the_way: int
    on_the_way_interval: Interval | None
    p_value: float | None
    p_adjusted: float | None = None


def pair_decisions(
    decisions: Decisions, pairs: Sequence[tuple[int, int]]
) -> tuple[PairDecision, ...]:
    """Say of each confused pair when its two logits part for good.

    They part at the first step after the last one at which the winner is not above the other: 1
    where it always was. The winner is b in the examples of a that are taken for b, and a in those
    that are right. At a tie in the end, which goes to the lower index, it is the last step.

    Args:
        decisions: What `decide` returned.
        pairs: True class a and predicted class b; Holm's correction is over all of them that have
            a test.

    Returns:
        One record a pair, in their order.

    Example:
        >>> logits = np.array([[[2.0, 0], [0, 1], [0, 3]], [[1.0, 0], [2, 0], [3, 0]]])
        >>> found = decide(logits, np.ones((2, 3), bool), np.array([0, 0]))
        >>> (pair,) = pair_decisions(found, [(0, 1)])
        >>> pair.mistakes.value, pair.right.value, pair.right_on_the_way
        (2.0, 1.0, 1)
    """
    found = [_pair(decisions, true, predicted) for true, predicted in pairs]
    tested = [i for i, pair in enumerate(found) if pair.p_value is not None]
    for i, adjusted in zip(tested, holm([found[i].p_value or 0.0 for i in tested]), strict=True):
        found[i] = replace(found[i], p_adjusted=adjusted)
    return tuple(found)


def _pair(decisions: Decisions, true: int, predicted: int) -> PairDecision:
    mistakes, right = _sides(decisions, true, predicted)
    late = _parting_steps(decisions, mistakes, predicted, true)
    early = _parting_steps(decisions, right, true, predicted)
    before = int(decisions.ever_right[mistakes].sum())
    return PairDecision(
        true=true,
        predicted=predicted,
        mistakes=median_of(late),
        right=median_of(early),
        mistakes_share=median_of(late / decisions.lengths[mistakes]).value,
        right_share=median_of(early / decisions.lengths[right]).value,
        right_on_the_way=before,
        on_the_way_interval=wilson_interval(before, len(mistakes)) if len(mistakes) else None,
        p_value=rank_test(late, early) if len(late) and len(early) else None,
    )


def _sides(decisions: Decisions, true: int, predicted: int) -> tuple[Array, Array]:
    """Return the indices of the mistakes of a pair, and of its true class's right examples."""
    theirs = decisions.read & (decisions.y == true)
    mistakes = np.flatnonzero(theirs & (decisions.predicted == predicted))
    return mistakes, np.flatnonzero(theirs & (decisions.predicted == true))


def _margins(decisions: Decisions, rows: Array, winner: int, other: int) -> tuple[Array, Array]:
    """Return the winner's logit less the other's by step, and which steps there are."""
    margins = decisions.logits[rows, :, winner] - decisions.logits[rows, :, other]
    return _in_front(margins, decisions.counted[rows], decisions.lengths[rows])


def _parting_steps(decisions: Decisions, rows: Array, winner: int, other: int) -> Array:
    margins, inside = _margins(decisions, rows, winner, other)
    steps = _last_true(inside & (margins <= 0)) + 2
    return np.asarray(np.minimum(steps, decisions.lengths[rows]))


class MarginCourse(NamedTuple):
    """How the logits of two classes part over the sequence, medians over the examples.

    Args:
        shares: float64 (num_points,), of the sequence, in (0, 1].
        mistakes: float64 (num_points,), logit of b less that of a in examples of a taken for b.
        right: float64 (num_points,), the same in examples of a that are right.
        num_mistakes: How many examples the median is over; of none it is NaN.
        num_right: The same.
    """

    shares: Array
    mistakes: Array
    right: Array
    num_mistakes: int
    num_right: int


def margin_course(decisions: Decisions, true: int, predicted: int) -> MarginCourse:
    """Return the median margin of b over a after each share of the sequence.

    There are as many points as the longest sequence has steps, at most 50.

    Args:
        decisions: What `decide` returned.
        true: The class a.
        predicted: The class b.
    """
    number = int(np.clip(decisions.lengths.max(initial=1), 1, 50))
    points = np.arange(1, number + 1)
    medians = []
    sides = _sides(decisions, true, predicted)
    for rows in sides:
        margins, _ = _margins(decisions, rows, predicted, true)
        places = -(-points * decisions.lengths[rows][:, np.newaxis] // number) - 1
        there = np.take_along_axis(margins, places, axis=1)
        medians.append(np.median(there, axis=0) if len(rows) else np.full(number, np.nan))
    return MarginCourse(points / number, medians[0], medians[1], *map(len, sides))


class FlipCounts(NamedTuple):
    """How often predictions change on the way, of right and of wrong examples.

    Args:
        right: Mean flips of the examples that are right in the end; None of none.
        right_interval: 95 % of it, by t; None of fewer than ten examples, or where all are equal.
        wrong: The same of the others.
        wrong_interval: The same.
        difference: Wrong less right by Welch's t test; None where a group has fewer than two.
    """

    right: float | None
    right_interval: Interval | None
    wrong: float | None
    wrong_interval: Interval | None
    difference: MeanDifference | None


def compare_flips(decisions: Decisions) -> FlipCounts:
    """Compare how often right and wrong examples change their prediction on the way."""
    right, wrong = decisions.flips[decisions.right], decisions.flips[decisions.wrong]
    return FlipCounts(*_mean(right), *_mean(wrong), compare_means(wrong.tolist(), right.tolist()))


def _mean(values: Array) -> tuple[float | None, Interval | None]:
    from scipy.special import stdtrit

    if len(values) == 0:
        return None, None
    mean = float(values.mean())
    if len(values) < _LEAST or np.ptp(values) == 0:
        return mean, None
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    half = float(stdtrit(len(values) - 1, 0.975)) * error
    return mean, Interval(mean - half, mean + half)
