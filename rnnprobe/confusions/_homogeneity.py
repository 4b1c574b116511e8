"""Exact tests on which of several models make one mistake on which of the same examples."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from rnnprobe.paired import compare_paired
from rnnprobe.records import Array

_MOST_EXACT = 60  # discordant examples times models; beyond, the chi-square distribution is close
_NEGLIGIBLE = 1e-25  # chances below are left out; p-values are not told so far
_REACH = 12  # standard deviations of a hypergeometric distribution, beyond which they are so small
_FEW_DISCORDANT = 4  # below so many it is not to be trusted, whatever the number of models


class Homogeneity(NamedTuple):
    """Whether several models make a mistake equally often on the same examples.

    Args:
        statistic: Cochran's Q, at least 0; 0 where no example is discordant.
        p_value: Of a Q as large as this where the models do not differ.
        least: The smallest p-value that these discordant examples could have given; 0 where the
            chi-square distribution is used.
        discordant: Examples on which some models make the mistake and others do not.
        method: `exact` or `chi-square`; `none` where no example is discordant.
    """

    statistic: float
    p_value: float
    least: float
    discordant: int
    method: str


def compare_rates(mistaken: Array) -> Homogeneity:
    """Test by Cochran's Q whether models make a mistake equally often on the same examples.

    Where they do not differ, each example's mistakes could as well have been any other models';
    the exact p-value counts these arrangements. It is used where discordant examples times models
    are at most 60, or examples fewer than 4 (Tate and Brown trust the chi-square distribution from
    24 and 4 on; that is too early for the small p-values that a correction asks for). Of two
    models it is always McNemar's exact test.

    Args:
        mistaken: bool (num_models, num_examples), at least two models.

    Example:
        >>> found = compare_rates(np.array([[1] * 8 + [0] * 2, [0] * 10], bool))
        >>> found.statistic, found.discordant, round(found.p_value, 4), found.method
        (8.0, 8, 0.0078, 'exact')

    References:
        W. G. Cochran, "The Comparison of Percentages in Matched Samples", Biometrika 37 (1950).
        https://doi.org/10.1093/biomet/37.3-4.256
        M. W. Tate and S. M. Brown, "Note on the Cochran Q Test", JASA 65 (1970).
        https://doi.org/10.1080/01621459.1970.10481069
    """
    from scipy.special import chdtrc

    number = len(mistaken)
    of_examples = mistaken.sum(axis=0)
    discordant = (of_examples > 0) & (of_examples < number)
    rows, columns = of_examples[discordant], mistaken[:, discordant].sum(axis=1)
    if not len(rows):
        return Homogeneity(0.0, 1.0, 1.0, 0, "none")
    spread = number * int((columns**2).sum()) - int(rows.sum()) ** 2
    statistic = (number - 1) * spread / float((rows * (number - rows)).sum())
    if number == 2:
        p_value = compare_paired([mistaken[0]], [mistaken[1]]).p_value
        return Homogeneity(statistic, p_value, 0.5 ** (len(rows) - 1), len(rows), "exact")
    if len(rows) * number <= _MOST_EXACT or len(rows) < _FEW_DISCORDANT:
        p_value, least = _exact(rows.tolist(), number, int((columns**2).sum()))
        return Homogeneity(statistic, p_value, least, len(rows), "exact")
    p_value = float(chdtrc(number - 1, statistic))
    return Homogeneity(statistic, p_value, 0.0, len(rows), "chi-square")


def _exact(rows: Sequence[int], number: int, observed: int) -> tuple[float, float]:
    """Return the exact p-value and the least possible one.

    The distribution of the models' totals is built example by example. Models are exchangeable, so
    a state is how many models have 0, 1, 2, ... mistakes so far.

    Args:
        rows: How many models make the mistake, of each discordant example.
        number: Of models.
        observed: Sum of the squares of the models' totals, of which Q is a rising function.
    """
    states: dict[tuple[int, ...], float] = {(number,): 1.0}
    for size in rows:
        after: defaultdict[tuple[int, ...], float] = defaultdict(float)
        for state, probability in states.items():
            for chosen, ways in _choices(state, size):
                share = ways / math.comb(number, size)
                after[_moved(state, chosen)] += probability * share
        states = after
    squares: defaultdict[int, float] = defaultdict(float)
    for state, probability in states.items():
        squares[sum(count * total**2 for total, count in enumerate(state))] += probability
    p_value = sum(chance for square, chance in squares.items() if square >= observed)
    return min(p_value, 1.0), squares[max(squares)]


def _choices(state: tuple[int, ...], size: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """Return how many of each kind `size` models may be, and in how many ways."""
    for chosen in itertools.product(*(range(min(count, size) + 1) for count in state[1:])):
        rest = size - sum(chosen)
        if 0 <= rest <= state[0]:
            picked = (rest, *chosen)
            pairs = zip(state, picked, strict=True)
            yield picked, math.prod(math.comb(count, one) for count, one in pairs)


def _moved(state: tuple[int, ...], chosen: tuple[int, ...]) -> tuple[int, ...]:
    """Return the state after the chosen models made one mistake more."""
    arrived = (0, *chosen)
    stayed = (*(count - one for count, one in zip(state, chosen, strict=True)), 0)
    after = tuple(a + b for a, b in zip(stayed, arrived, strict=True))
    return after if after[-1] else after[:-1]


class Recurrence(NamedTuple):
    """Whether several models make a mistake on the same examples.

    Args:
        p_value: Of as few distinct examples as these, or fewer, if each model put its mistakes on
            any examples of the class, independently of the others.
        least: The smallest p-value that these counts could have given.
    """

    p_value: float
    least: float


def compare_examples(mistaken: Array) -> Recurrence:
    """Test whether models make a mistake on the same examples again, more than by chance.

    If they do, their mistakes together hit fewer distinct examples than random subsets of the same
    sizes, whose union has an exact distribution: one hypergeometric step a model. Of two models it
    is Fisher's exact test of the examples in both. How often a model makes the mistake is taken as
    it is, so that this test and `compare_rates` ask different questions.

    Args:
        mistaken: bool (num_models, num_examples), the examples of one class.

    Example:
        >>> same = np.array([[1] * 3 + [0] * 7] * 2, bool)
        >>> round(compare_examples(same).p_value, 4)  # one in comb(10, 3)
        0.0083

    References:
        R. A. Fisher, "The Design of Experiments" (1935), on two models.
    """
    counts = sorted(mistaken.sum(axis=1).tolist())
    distinct = int(mistaken.any(axis=0).sum())
    factorials = _log_factorials(mistaken.shape[1])
    # chances[i] is the chance of first + i distinct examples so far; least that all lie in the most
    # frequent model's.
    first, chances, least = counts[-1], np.ones(1), 1.0
    for count in counts[-2::-1]:
        held = np.arange(first, first + len(chances))
        new, hits = _hypergeometric(factorials, held, count)
        least *= float(_hypergeometric(factorials, np.array([counts[-1]]), count, (0, 0))[1][0, 0])
        after = np.zeros(len(chances) + len(new) - 1)
        for place, row in enumerate(hits):
            after[place : place + len(chances)] += chances * row
        kept = np.flatnonzero(after > _NEGLIGIBLE)
        first += int(new[0] + kept[0])
        chances = after[kept[0] : kept[-1] + 1]
    p_value = float(chances[: max(0, distinct - first + 1)].sum())
    return Recurrence(min(1.0, max(p_value, least)), min(1.0, least))


def _hypergeometric(
    factorials: Array, held: Array, count: int, limits: tuple[int, int] | None = None
) -> tuple[Array, Array]:
    """Return the chance that `count` of all examples are so many outside of those held.

    Args:
        factorials: Logarithms of those of 0, 1, ..., the number of examples.
        held: int (num_states,), how many are hit already.
        count: How many are hit now, each subset as likely.
        limits: The fewest and most new ones to tell of; None: all whose chance is not negligible.

    Returns:
        int (num_new,), how many new ones, and float64 (num_new, num_states), the chance of each.
    """
    total = len(factorials) - 1
    if limits is None:
        means = count * (1 - held[[0, -1]] / total)
        reach = _REACH * (1 + math.sqrt(count * 0.25 * (total - count) / max(total - 1, 1)))
        limits = max(0, int(means[1] - reach)), min(count, int(means[0] + reach))
    new = np.arange(limits[0], limits[1] + 1)
    fresh, state = np.meshgrid(new, held, indexing="ij")
    again, free = count - fresh, total - state
    possible = (again <= state) & (fresh <= free)
    logs = _log_comb(factorials, state, np.minimum(again, state))
    logs = logs + _log_comb(factorials, free, np.minimum(fresh, free))
    logs = logs - _log_comb(factorials, np.array(total), np.array(count))
    return new, np.where(possible, np.exp(np.minimum(logs, 0.0)), 0.0)


def _log_factorials(most: int) -> Array:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])


def _log_comb(factorials: Array, number: Array, chosen: Array) -> Array:
    return np.asarray(factorials[number] - factorials[chosen] - factorials[number - chosen])
