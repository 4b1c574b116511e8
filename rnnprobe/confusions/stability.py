"""Which mistakes several models share, and which belong to one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from rnnprobe.confusions._homogeneity import (
    Homogeneity,
    Recurrence,
    compare_examples,
    compare_rates,
    least_of_examples,
    least_of_rates,
)
from rnnprobe.records import Array, Predictions
from rnnprobe.statistics import Interval, holm, wilson_interval

Verdict = Literal["stable", "mixed", "differs", "unclear", "too few"]
_LEVEL = 0.05
_FEWEST_MODELS = 3  # of two the interval over models would reach nearly from 0 to 1


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
        examples: Indices of the distinct ones, those of most models first.
        recurrence: How many examples 1, 2, ..., all of the models took so.
        homogeneity_adjusted: p-value of `homogeneity` after Holm; None where it could not have
            said anything.
        same_examples_adjusted: p-value of `same_examples` after Holm; None where it could not have
            said anything.
        verdict: What follows.
    """

    true: int
    predicted: int
    support: int
    counts: tuple[int, ...]
    examples: tuple[int, ...]
    recurrence: tuple[int, ...]
    homogeneity_adjusted: float | None
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

    @property
    def by_chance(self) -> tuple[float, ...]:
        """How many examples 1, 2, ..., all of the models would take so on average by chance.

        That is, if each model put its mistakes of this pair on any examples of the class,
        independently of the others. Their sum is the number of distinct ones then.
        """
        return _poisson_binomial(self.support, np.array(self.counts) / self.support)[1:]

    @property
    def homogeneity(self) -> Homogeneity:
        """Test whether the models make the mistake equally often."""
        return compare_rates(self.counts, self.recurrence)

    @property
    def same_examples(self) -> Recurrence:
        """Test whether the distinct examples are fewer than by chance."""
        return compare_examples(self.counts, len(self.examples), self.support)

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the mean share of these very models, over other examples alone."""
        return _interval(self.counts, self.recurrence, self.support, over_models=False)

    @property
    def interval_over_models(self) -> Interval | None:
        """The 95 % interval over other examples and other models; None of fewer than 3 models.

        It is of the mean share of all models of the same kind, such as those of other seeds, on
        all examples of the class. See `_interval` for how often it covers.
        """
        if len(self.counts) < _FEWEST_MODELS:
            return None
        return _interval(self.counts, self.recurrence, self.support, over_models=True)


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
        `compare_rates`, `compare_examples`, `_interval` and `_corrected` name theirs.
    """
    check_same_examples(predictions)
    y = predictions[0].y
    predicted = np.stack([one.predicted for one in predictions])
    wrong = predicted != y
    drafts = _drafts(y, predicted, len(predictions[0].class_names))
    times_wrong = wrong.sum(axis=0)
    wrong_in_all = np.flatnonzero(times_wrong == len(predictions))
    confidence = np.mean([one.confidence for one in predictions], axis=0)
    wrong_in_all = wrong_in_all[np.argsort(-confidence[wrong_in_all], kind="stable")]
    same = (predicted[:, wrong_in_all] == predicted[0, wrong_in_all]).all(axis=0)
    return Stability(
        predictions=tuple(predictions),
        pairs=_judged(drafts),
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


class _Draft(NamedTuple):
    """A pair as it is before the corrections, which need all pairs; as in `StablePair`."""

    true: int
    predicted: int
    support: int
    counts: tuple[int, ...]
    examples: tuple[int, ...]
    recurrence: tuple[int, ...]


def _drafts(y: Array, predicted: Array, num_classes: int) -> list[_Draft]:
    """Return the pairs by falling mean count, ties by class index.

    Args:
        y: int (num_examples,).
        predicted: int (num_models, num_examples).
        num_classes: Of both.
    """
    number, total = predicted.shape
    model, example = np.nonzero(predicted != y)
    cell_of_each = y[example] * num_classes + predicted[model, example]
    distinct, times = np.unique(cell_of_each * total + example, return_counts=True)
    cells, starts = np.unique(distinct // total, return_index=True)
    order = np.lexsort((distinct, -times, distinct // total))
    examples, times = (distinct % total)[order], times[order]
    place = np.searchsorted(cells, cell_of_each)
    counts = np.bincount(place * number + model, minlength=len(cells) * number)
    counts = counts.reshape(len(cells), number)
    ends = np.append(starts[1:], len(distinct))
    support = np.bincount(y, minlength=num_classes)
    drafts = []
    for row in np.argsort(-counts.sum(axis=1), kind="stable"):
        true, other = divmod(int(cells[row]), num_classes)
        of_pair = slice(starts[row], ends[row])
        drafts.append(
            _Draft(
                true=true,
                predicted=other,
                support=int(support[true]),
                counts=tuple(counts[row].tolist()),
                examples=tuple(examples[of_pair].tolist()),
                recurrence=tuple(np.bincount(times[of_pair], minlength=number + 1)[1:].tolist()),
            )
        )
    return drafts


def _judged(drafts: Sequence[_Draft]) -> tuple[StablePair, ...]:
    """Return the pairs with p-values corrected for being several, and verdicts."""
    rates = _corrected(
        [least_of_rates(draft.recurrence) for draft in drafts],
        lambda index: compare_rates(drafts[index].counts, drafts[index].recurrence).p_value,
    )
    again = _corrected(
        [least_of_examples(draft.counts, draft.support) for draft in drafts],
        lambda index: (
            compare_examples(
                drafts[index].counts, len(drafts[index].examples), drafts[index].support
            ).p_value
        ),
    )
    return tuple(
        StablePair(
            **draft._asdict(),
            homogeneity_adjusted=rate,
            same_examples_adjusted=same,
            verdict=_verdict(rate, same, everywhere=all(draft.counts)),
        )
        for draft, rate, same in zip(drafts, rates, again, strict=True)
    )


def _corrected(least: Sequence[float], test: Callable[[int], float]) -> list[float | None]:
    """Return p-values by Holm, over the tests that could have said something.

    Which those are depends on what the test is conditional on, never on its outcome: leaving the
    others out keeps the error rate (R. E. Tarone, "A Modified Bonferroni Method for Discrete
    Data", Biometrics 46, 1990, https://doi.org/10.2307/2531456, has the idea).

    Args:
        least: The smallest p-value that each test could give.
        test: Returns the p-value of one of them; the others are never run.
    """
    able = [index for index, possible in enumerate(least) if possible <= _LEVEL]
    adjusted: list[float | None] = [None] * len(least)
    for index, p_value in zip(able, holm([test(index) for index in able]), strict=True):
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


def _interval(
    counts: Sequence[int], recurrence: Sequence[int], support: int, *, over_models: bool
) -> Interval:
    """Return the 95 % interval of the mean share over models and examples.

    Examples are crossed with models. Over examples alone the variance of the mean is that of the
    examples' means. Where models count as a sample too, that of the models' means comes on top,
    each times the square of its own Student quantile: few models do not tell their variance, and
    no pooled number of degrees of freedom repairs that where it comes out small. For normal data
    such a sum covers at least 95 % (Banerjee), all the more as the noise of a single prediction is
    in both parts. The sum sets the effective number of examples of a Wilson interval, which stays
    in [0, 1] and has a width where no share varies.

    In simulations (3, 5 and 10 models of one kind; 50, 200 and 1,000 examples; shares of 0.01 to
    0.3; standard deviations on the logit of up to 1 of the models and 2 of the examples) the
    interval over models covered in 90 to 100 % of 1,000 runs, 98 % on average: in less than 94 %
    only where the models' standard deviation was 1 (odds that differ by a factor of 2.7), and then
    mostly with 1,000 examples: shares are then so skewed that a few models tend to lie too low.

    Args:
        counts: How often each model makes the mistake.
        recurrence: On how many examples 1, 2, ..., all models make it.
        support: Examples of the class.
        over_models: Whether other models are meant too, or these alone.

    References:
        S. K. Banerjee, "Approximate Confidence Interval for Linear Functions of Means of k
        Populations When the Population Variances Are Not Equal", Sankhya 22 (1960).
        E. L. Korn and B. I. Graubard, "Confidence Intervals for Proportions with Small Expected
        Number of Positive Counts Estimated from Survey Data", Survey Methodology 24 (1998).
        C. Franco, R. J. A. Little, T. A. Louis, E. V. Slud, "Comparative Study of Confidence
        Intervals for Proportions in Complex Sample Surveys", Journal of Survey Statistics and
        Methodology 7 (2019). https://doi.org/10.1093/jssam/smy019
    """
    from scipy.special import stdtrit

    number = len(counts)
    share = sum(counts) / (number * support)
    once = share * (1 - share)  # the variance of a single prediction
    of_examples, of_models = stdtrit([max(support - 1, 1), number - 1], 0.975).tolist()
    # The ratio of squared quantile and effective number of examples is all that Wilson's needs.
    ratio = max(of_examples, of_models if over_models else 0.0) ** 2 / support
    if support > 1 and once > 0:
        squares = sum(models**2 * count for models, count in enumerate(recurrence, start=1))
        spread = squares / number**2 / support - share**2
        squared = of_examples**2 * spread / (support - 1)
        if over_models:
            squared += of_models**2 * float(np.var(counts, ddof=1)) / support**2 / number
        # No less than if every single prediction were a draw of its own.
        ratio = max(squared / once, of_examples**2 / (number * support))
    middle = (share + ratio / 2) / (1 + ratio)
    half = (once * ratio + ratio**2 / 4) ** 0.5 / (1 + ratio)
    return Interval(max(0.0, middle - half), min(1.0, middle + half))
