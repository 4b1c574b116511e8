"""Which mistakes several models share, and which belong to one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from rnnprobe.confusions._homogeneity import (
    Homogeneity,
    Recurrence,
    compare_examples,
    compare_rates,
)
from rnnprobe.records import Array, Predictions
from rnnprobe.statistics import Interval, holm, wilson_interval

Verdict = Literal["stable", "mixed", "differs", "unclear", "too few"]
_LEVEL = 0.05


@dataclass(frozen=True)
class StablePair:
    """Examples of one class that several models took for another one.

    The verdict follows from two tests, each at 5 % after Holm's correction over all pairs in which
    it could have said anything at all (its least possible p-value, given how many examples are
    discordant or how often each model makes the mistake, is at most 5 %):

    - `stable`: the same examples are mistaken so again and again, more than by chance, the pair
      occurs in every model, and they do not measurably differ in how often.
    - `mixed`: the same examples again, and yet the models differ in how often.
    - `differs`: the models differ in how often, and on no more of the same examples than by
      chance as far as can be told.
    - `unclear`: none of these, though one of the tests could have found something.
    - `too few`: neither test could have found anything.

    Args:
        true: Index of their class.
        predicted: Index of the class they were taken for.
        support: Examples of the true class.
        counts: How many each model took so.
        interval: 95 % of the mean share, for these very models: other examples alone.
        interval_over_models: 95 % of the mean share over other examples and other models of the
            same kind, such as other seeds.
        examples: Indices of the distinct ones, those of most models first.
        recurrence: How many examples 1, 2, ..., all of the models took so.
        by_chance: How many that would be on average if each model put its mistakes of this pair
            on any examples of the class, independently of the others. Their sum is the number of
            distinct ones then.
        homogeneity: Test whether the models make the mistake equally often.
        homogeneity_adjusted: Its p-value after Holm; None where it could not have said anything.
        same_examples: Test whether the distinct examples are fewer than by chance.
        same_examples_adjusted: Its p-value after Holm; None where it could not have said anything.
        verdict: What follows.
    """

    true: int
    predicted: int
    support: int
    counts: tuple[int, ...]
    interval: Interval
    interval_over_models: Interval
    examples: tuple[int, ...]
    recurrence: tuple[int, ...]
    by_chance: tuple[float, ...]
    homogeneity: Homogeneity
    homogeneity_adjusted: float | None
    same_examples: Recurrence
    same_examples_adjusted: float | None
    verdict: Verdict

    @property
    def mean(self) -> float:
        """Mean count of a model."""
        return float(np.mean(self.counts))

    @property
    def deviation(self) -> float:
        """Standard deviation of the count over the models."""
        return float(np.std(self.counts, ddof=1))

    @property
    def share(self) -> float:
        """Mean share of the true class, in [0, 1]."""
        return self.mean / self.support

    @property
    def num_models(self) -> int:
        """In how many models the pair occurs."""
        return sum(count > 0 for count in self.counts)

    @property
    def in_more_than_half(self) -> int:
        """How many examples more than half of the models took so."""
        return sum(self.recurrence[len(self.counts) // 2 :])


@dataclass(frozen=True, eq=False)
class Stability:
    """The mistakes of several models on the same examples.

    Args:
        predictions: What each model said.
        pairs: Every pair that occurs in any model, by falling mean count, ties by class index.
        times_wrong: int64 (num_examples,), how many models get the example wrong.
        distribution: How many examples 0, 1, ..., all models get wrong.
        by_chance: How many that would be on average if each model made as many mistakes as it did
            on any examples, independently of the others.
        wrong_in_all: Indices of the examples that every model gets wrong, those first where the
            models are on average most confident.
        interval: 95 % Wilson interval of their share, for these models.
        num_same_class: How many of them every model takes for the same class.
    """

    predictions: tuple[Predictions, ...]
    pairs: tuple[StablePair, ...]
    times_wrong: Array
    distribution: tuple[int, ...]
    by_chance: tuple[float, ...]
    wrong_in_all: tuple[int, ...]
    interval: Interval
    num_same_class: int

    @property
    def correct(self) -> tuple[int, ...]:
        """How many examples each model gets right."""
        return tuple(int((one.predicted == one.y).sum()) for one in self.predictions)

    @property
    def total(self) -> int:
        """Number of examples."""
        return len(self.times_wrong)


def find_stable(predictions: Sequence[Predictions]) -> Stability:
    """Say of each confused pair whether several models share it.

    Models that differ in nothing but the seed tell the data's mistakes from the optimisation's;
    with other settings a difference may come from these as well.

    Args:
        predictions: Of at least two models, on the same examples in the same order.

    Raises:
        ValueError: Fewer than two models, no example, or other examples or classes.

    Example:
        >>> y, p = np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]])
        >>> found = find_stable([Predictions(y, p, ("a", "b")), Predictions(y, p, ("a", "b"))])
        >>> found.pairs[0].counts, found.pairs[0].verdict, found.distribution
        ((1, 1), 'too few', (2, 0, 1))

    References:
        `compare_rates`, `compare_examples` and `_interval` name theirs.
    """
    check_same_examples(predictions)
    y = predictions[0].y
    predicted = np.stack([one.predicted for one in predictions])
    wrong = predicted != y
    cells = np.unique(np.stack([np.broadcast_to(y, wrong.shape)[wrong], predicted[wrong]]), axis=1)
    drafts = [
        _draft(int(true), int(other), np.flatnonzero(y == true), predicted)
        for true, other in cells.T
    ]
    drafts.sort(key=lambda draft: -draft.mean)  # stable: ties stay in the order of the classes
    times_wrong = wrong.sum(axis=0)
    wrong_in_all = np.flatnonzero(times_wrong == len(predictions))
    confidence = np.mean([one.confidence for one in predictions], axis=0)
    wrong_in_all = wrong_in_all[np.argsort(-confidence[wrong_in_all], kind="stable")]
    same = (predicted[:, wrong_in_all] == predicted[0, wrong_in_all]).all(axis=0)
    return Stability(
        predictions=tuple(predictions),
        pairs=tuple(_judged(drafts)),
        times_wrong=times_wrong,
        distribution=tuple(np.bincount(times_wrong, minlength=len(predictions) + 1).tolist()),
        by_chance=_poisson_binomial(len(y), wrong.mean(axis=1)),
        wrong_in_all=tuple(wrong_in_all.tolist()),
        interval=wilson_interval(len(wrong_in_all), len(y)),
        num_same_class=int(same.sum()),
    )


def check_same_examples(predictions: Sequence[Predictions]) -> None:
    """Refuse predictions that cannot be compared example by example.

    Raises:
        ValueError: Fewer than two models, no example, or other examples or classes.
    """
    if len(predictions) < 2:
        raise ValueError(f"`num_models >= 2` must hold, but got num_models={len(predictions)}.")
    first = predictions[0]
    if len(first.y) == 0:
        raise ValueError("`num_examples >= 1` must hold, but got no example.")
    for number, other in enumerate(predictions[1:], start=2):
        if other.class_names != first.class_names:
            raise ValueError(
                f"All models must have the same classes, but model {number} has "
                f"{other.class_names} and the first one {first.class_names}."
            )
        if not np.array_equal(other.y, first.y):
            raise ValueError(
                f"All models must see the same examples in the same order, but the labels of model "
                f"{number} are not those of the first one ({len(other.y)} and {len(first.y)})."
            )


def _draft(true: int, other: int, members: Array, predicted: Array) -> StablePair:
    """Return a pair as it is before the corrections, which need all pairs."""
    mistaken = predicted[:, members] == other
    times = mistaken.sum(axis=0)
    number, support = mistaken.shape
    hit = np.flatnonzero(times)
    order = hit[np.argsort(-times[hit], kind="stable")]
    return StablePair(
        true=true,
        predicted=other,
        support=support,
        counts=tuple(mistaken.sum(axis=1).tolist()),
        interval=_interval(mistaken, over_models=False),
        interval_over_models=_interval(mistaken, over_models=True),
        examples=tuple(members[order].tolist()),
        recurrence=tuple(np.bincount(times, minlength=number + 1)[1:].tolist()),
        by_chance=_poisson_binomial(support, mistaken.mean(axis=1))[1:],
        homogeneity=compare_rates(mistaken),
        homogeneity_adjusted=None,
        same_examples=compare_examples(mistaken),
        same_examples_adjusted=None,
        verdict="too few",
    )


def _judged(drafts: Sequence[StablePair]) -> list[StablePair]:
    """Return the pairs with p-values corrected for being several, and verdicts."""
    rates = _corrected([draft.homogeneity for draft in drafts])
    again = _corrected([draft.same_examples for draft in drafts])
    return [
        replace(
            draft,
            homogeneity_adjusted=rate,
            same_examples_adjusted=same,
            verdict=_verdict(rate, same, everywhere=all(draft.counts)),
        )
        for draft, rate, same in zip(drafts, rates, again, strict=True)
    ]


def _corrected(tests: Sequence[Homogeneity | Recurrence]) -> list[float | None]:
    """Return p-values by Holm, over the tests that could have said something.

    Which those are depends on what the test is conditional on, never on its outcome: leaving the
    others out keeps the error rate (R. E. Tarone, "A Modified Bonferroni Method for Discrete
    Data", Biometrics 46, 1990, https://doi.org/10.2307/2531456, has the idea).
    """
    able = [index for index, test in enumerate(tests) if test.least <= _LEVEL]
    adjusted: list[float | None] = [None] * len(tests)
    for index, p_value in zip(able, holm([tests[index].p_value for index in able]), strict=True):
        adjusted[index] = p_value
    return adjusted


def _verdict(rate: float | None, same: float | None, *, everywhere: bool) -> Verdict:
    if rate is None and same is None:
        return "too few"
    differs = rate is not None and rate < _LEVEL
    again = same is not None and same < _LEVEL
    if differs:
        return "mixed" if again else "differs"
    return "stable" if again and everywhere else "unclear"


def _poisson_binomial(total: int, shares: Array) -> tuple[float, ...]:
    """Return of how many of `total` examples 0, 1, ... independent models are expected to hit."""
    chances = np.ones(1)
    for share in shares:
        chances = np.convolve(chances, [1 - share, share])
    return tuple((total * chances).tolist())


def _interval(mistaken: Array, *, over_models: bool) -> Interval:
    """Return the 95 % interval of the mean share over models and examples.

    Examples are crossed with models, so the variance of the mean is that of the examples' means,
    and where models count as a sample too, plus that of the models' means less what both hold
    (as in `statistics.compare_configurations`). It sets the effective number of examples of a
    Wilson interval, which stays in [0, 1] and has a width where no share varies; its normal
    quantile is replaced by Student's, with Satterthwaite's degrees of freedom.

    Args:
        mistaken: bool (num_models, num_examples).
        over_models: Whether other models are meant too, or these alone.

    References:
        E. L. Korn and B. I. Graubard, "Confidence Intervals for Proportions with Small Expected
        Number of Positive Counts Estimated from Survey Data", Survey Methodology 24 (1998).
        C. Franco, R. J. A. Little, T. A. Louis, E. V. Slud, "Comparative Study of Confidence
        Intervals for Proportions in Complex Sample Surveys", Journal of Survey Statistics and
        Methodology 7 (2019). https://doi.org/10.1093/jssam/smy019
    """
    from scipy.special import stdtrit

    number, total = mistaken.shape
    share = float(mistaken.mean())
    effective, degrees = float(total), float(max(total - 1, 1))
    if total > 1 and 0 < share < 1:
        variance, degrees = _variance(mistaken.astype(float), over_models=over_models)
        # No more than if every single prediction were a draw of its own.
        effective = share * (1 - share) / max(variance, share * (1 - share) / (number * total))
    quantile = float(stdtrit(degrees, 0.975))
    weight = 1 + quantile**2 / effective
    middle = (share + quantile**2 / (2 * effective)) / weight
    inside = share * (1 - share) / effective + (quantile / (2 * effective)) ** 2
    half = quantile * inside**0.5 / weight
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def _variance(hits: Array, *, over_models: bool) -> tuple[float, float]:
    """Return the variance of the mean of all hits, and its degrees of freedom."""
    number, total = hits.shape
    by_model, by_example = hits.mean(axis=1), hits.mean(axis=0)
    examples = (float(by_example.var(ddof=1)) / total, float(total - 1))
    if not over_models:
        return examples
    models = (float(by_model.var(ddof=1)) / number, float(number - 1))
    rest = hits - by_model[:, None] - by_example[None, :] + hits.mean()
    freedom = examples[1] * models[1]
    noise = (float((rest**2).sum()) / freedom / (number * total), freedom)
    if models[0] < noise[0]:
        return examples
    if examples[0] < noise[0]:
        return models
    parts = (examples, models, (-noise[0], noise[1]))
    variance = sum(part for part, _ in parts)
    return variance, variance**2 / sum(part**2 / df for part, df in parts if df)
