"""Tests on which of several models make one mistake on which of the same examples."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from rnnprobe.records import Array

_ENOUGH_VARIANCE = 10  # of a model's total; the chi-square distribution is close from there on
_MOST_MOVES = 4_000  # from state to state in one step; more cost more than permutations do
_STAGES = ((999, 20), (9_999, 0))  # permutations, and how many as extreme ones are then enough
_NEGLIGIBLE = 1e-25  # chances below are left out; p-values are not told so far
_REACH = 12  # standard deviations of a hypergeometric distribution, beyond which they are so small
_MOST_INTEGERS = 60  # distinct examples, up to which sums of whole numbers are the faster way


class Homogeneity(NamedTuple):
    """Whether several models make a mistake equally often on the same examples.

    Args:
        statistic: Cochran's Q, at least 0; 0 where no example is discordant.
        p_value: Of a Q as large as this where the models do not differ.
        least: The smallest p-value that the test could have given of these discordant examples; 0
            where the chi-square distribution is used.
        discordant: Examples on which some models make the mistake and others do not.
        method: `exact`, `permutation` or `chi-square`; `none` where no example is discordant.
    """

    statistic: float
    p_value: float
    least: float
    discordant: int
    method: str


def compare_rates(counts: Sequence[int], recurrence: Sequence[int]) -> Homogeneity:
    """Test by Cochran's Q whether models make a mistake equally often on the same examples.

    Where they do not differ, each example's mistakes could as well have been any other models':
    the p-value is the share of these arrangements whose Q is as large. How it is found depends on
    the number of models and on how many of them err on each discordant example, never on Q:

    - `chi-square`, where a model's total has a variance of at least 10 under the arrangements. In
      simulations of 3 to 40 models the true size was there at most 1.2 times the nominal 0.001
      and 1.4 times 0.0001, and often below; with a variance of 3 it was about twice 0.0001.
    - `exact`, where all arrangements can be counted in a few milliseconds. Of two models it is
      always McNemar's exact test.
    - `permutation` else: 9,999 random arrangements of a fixed seed, and the observed one counts as
      one more. They end after 999 where 20 of these have a Q as large; that keeps the size, as
      only a p-value above 0.02 ends them.

    Args:
        counts: How often each model makes the mistake, of at least two models.
        recurrence: On how many examples 1, 2, ..., all models make it.

    Example:
        >>> found = compare_rates([8, 0], [8, 0])
        >>> found.statistic, found.discordant, round(found.p_value, 4), found.method
        (8.0, 8, 0.0078, 'exact')

    References:
        W. G. Cochran, "The Comparison of Percentages in Matched Samples", Biometrika 37 (1950).
        https://doi.org/10.1093/biomet/37.3-4.256
        M. W. Tate and S. M. Brown, "Note on the Cochran Q Test", JASA 65 (1970), on when the
        chi-square distribution may be used. https://doi.org/10.1080/01621459.1970.10481069
        J. Besag and P. Clifford, "Sequential Monte Carlo p-values", Biometrika 78 (1991), on ending
        early. https://doi.org/10.1093/biomet/78.2.301
    """
    number = len(counts)
    rows = _rows(recurrence)
    if not rows:
        return Homogeneity(0.0, 1.0, 1.0, 0, "none")
    squares = sum((count - recurrence[-1]) ** 2 for count in counts)
    spread = number * squares - sum(rows) ** 2
    statistic = (number - 1) * spread / sum(size * (number - size) for size in rows)
    p_value, method = _judge(number, rows, squares, statistic)
    return Homogeneity(statistic, p_value, least_of_rates(recurrence), len(rows), method)


def least_of_rates(recurrence: Sequence[int]) -> float:
    """Return the smallest p-value that `compare_rates` could give, whatever the models' counts.

    No arrangement is more extreme than that whose examples are nested: the models of one err on
    every example that as many or more models err on (it majorises all others, and Q is strictly
    Schur-convex in the totals).

    Args:
        recurrence: On how many examples 1, 2, ..., all models make the mistake.
    """
    number, rows = len(recurrence), _rows(recurrence)
    if not rows:
        return 1.0
    method = _method(number, rows)
    if method == "chi-square":
        return 0.0
    blocks = np.diff([0, *sorted(set(rows)), number]).tolist()
    nested = math.factorial(number) // math.prod(math.factorial(block) for block in blocks)
    least = nested / math.prod(math.comb(number, size) for size in rows)
    return least if method == "exact" else max(least, 1 / (1 + _STAGES[-1][0]))


def _rows(recurrence: Sequence[int]) -> tuple[int, ...]:
    """Return how many models err, of each discordant example, the fewest first."""
    return tuple(size for size, count in enumerate(recurrence[:-1], start=1) for _ in range(count))


@lru_cache(maxsize=8192)
def _method(number: int, rows: tuple[int, ...]) -> str:
    """Return how the p-value is found, which depends on what the test is conditional on alone."""
    if number == 2:
        return "exact"
    if sum(size * (number - size) for size in rows) >= _ENOUGH_VARIANCE * number**2:
        return "chi-square"
    return "permutation" if _distribution(number, rows) is None else "exact"


@lru_cache(maxsize=8192)
def _judge(
    number: int, rows: tuple[int, ...], observed: int, statistic: float
) -> tuple[float, str]:
    """Return the p-value and how it was found.

    Args:
        number: Of models.
        rows: How many models make the mistake, of each discordant example.
        observed: Sum of the squares of the models' totals, of which Q is a rising function.
        statistic: Q.
    """
    from scipy.special import bdtr, chdtrc

    method = _method(number, rows)
    if number == 2:
        apart = math.isqrt(2 * observed - len(rows) ** 2)
        return min(1.0, 2 * float(bdtr((len(rows) - apart) // 2, len(rows), 0.5))), method
    if method == "chi-square":
        return float(chdtrc(number - 1, statistic)), method
    if method == "permutation":
        return _permuted(number, rows, observed), method
    squares = _distribution(number, rows) or {}
    return min(1.0, sum(chance for square, chance in squares.items() if square >= observed)), method


def _permuted(number: int, rows: Sequence[int], observed: int) -> float:
    """Return the share of random arrangements as extreme, the observed one being one of them."""
    rng = np.random.default_rng(0)
    hits = drawn = 0
    for draws, enough in _STAGES:
        left = np.repeat(np.array(rows, np.float32)[:, None], draws - drawn, axis=1)
        squares = np.zeros(draws - drawn, np.int64)
        # One model after the other takes its part of the mistakes that are left of each example.
        for models in range(number, 0, -1):
            takes = rng.random(left.shape, dtype=np.float32) * models < left
            left -= takes
            squares += takes.sum(axis=0) ** 2
        hits, drawn = hits + int((squares >= observed).sum()), draws
        if hits >= enough:
            break
    return (1 + hits) / (1 + drawn)


@lru_cache(maxsize=2048)
def _distribution(number: int, rows: tuple[int, ...]) -> dict[int, float] | None:
    """Return the chance of each sum of squares of the models' totals; None where it is too long."""
    states: dict[tuple[int, ...], float] | None = None
    for end in range(len(rows) + 1):
        states = _states(number, rows[:end])
        if states is None:
            return None
    squares: defaultdict[int, float] = defaultdict(float)
    for state, probability in (states or {}).items():
        squares[sum(count * total**2 for total, count in enumerate(state))] += probability
    return dict(squares)


# Pairs have the examples of few models first, so that they share most of these steps.
@lru_cache(maxsize=2048)
def _states(number: int, rows: tuple[int, ...]) -> dict[tuple[int, ...], float] | None:
    """Return the distribution of the models' totals, example by example; None where too long.

    Models are exchangeable, so a state is how many models have 0, 1, 2, ... mistakes so far.
    """
    if not rows:
        return {(number,): 1.0}
    before = _states(number, rows[:-1])
    if before is None or sum(_num_choices(state, rows[-1]) for state in before) > _MOST_MOVES:
        return None
    after: defaultdict[tuple[int, ...], float] = defaultdict(float)
    for state, probability in before.items():
        for moved, share in _moves(state, rows[-1]):
            after[moved] += probability * share
    return dict(after)


def _num_choices(state: tuple[int, ...], size: int) -> int:
    """Return how many choices are tried at most."""
    return math.prod(min(count, size) + 1 for count in state[1:])


@lru_cache(maxsize=32768)
def _moves(state: tuple[int, ...], size: int) -> list[tuple[tuple[int, ...], float]]:
    """Return the states that one more example of `size` models leads to, and their chances."""
    ways = math.comb(sum(state), size)
    return [(_moved(state, chosen), count / ways) for chosen, count in _choices(state, size)]


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


def compare_examples(counts: Sequence[int], distinct: int, total: int) -> Recurrence:
    """Test whether models make a mistake on the same examples again, more than by chance.

    If they do, their mistakes together hit fewer distinct examples than random subsets of the same
    sizes, whose union has an exact distribution. Of two models it is Fisher's exact test of the
    examples in both. How often a model makes the mistake is taken as it is, so that this test and
    `compare_rates` ask different questions.

    Args:
        counts: How often each model makes the mistake.
        distinct: On how many examples any of them makes it.
        total: Examples of the class.

    Example:
        >>> round(compare_examples([3, 3], 3, 10).p_value, 4)  # one in comb(10, 3)
        0.0083

    References:
        R. A. Fisher, "The Design of Experiments" (1935), on two models.
    """
    least = least_of_examples(counts, total)
    by_count = tuple(sorted(Counter(counts).items(), reverse=True))
    few = distinct <= _MOST_INTEGERS
    p_value = (_chance_of_few if few else _chance_of_many)(by_count, distinct, total)
    return Recurrence(min(1.0, max(p_value, least)), least)


def least_of_examples(counts: Sequence[int], total: int) -> float:
    """Return the smallest p-value of `compare_examples`: that all lie in the most frequent model's.

    Args:
        counts: How often each model makes the mistake.
        total: Examples of the class.
    """
    most = max(counts)
    logs = _log_factorials(total)
    others = [count for count in sorted(counts)[:-1] if count]
    # The ways to choose each other model's examples from those of the most frequent one, by all.
    log = sum(
        logs[most] - logs[most - count] - logs[total] + logs[total - count] for count in others
    )
    return min(1.0, math.exp(log))


@lru_cache(maxsize=8192)
def _chance_of_few(by_count: tuple[tuple[int, int], ...], distinct: int, total: int) -> float:
    """Return the chance of at most so many distinct examples, by inclusion and exclusion.

    The whole numbers are exact: of floats, terms of both signs would leave nothing.

    Args:
        by_count: How many models make the mistake how often: (how often, how many).
        distinct: At least the largest count.
        total: Examples of the class.
    """
    if distinct == total:
        return 1.0
    signed = sum(
        (-1) ** (distinct - held)
        * math.comb(total - held - 1, distinct - held)
        * math.comb(total, held)
        * math.prod(math.comb(held, count) ** models for count, models in by_count)
        for held in range(by_count[0][0], distinct + 1)
    )
    ways = math.prod(math.comb(total, count) ** models for count, models in by_count)
    return float(signed / ways)


@lru_cache(maxsize=8192)
def _chance_of_many(by_count: tuple[tuple[int, int], ...], distinct: int, total: int) -> float:
    """Return the same, of floats: one hypergeometric step a model."""
    counts = [count for count, models in by_count for _ in range(models)]
    factorials = _log_factorials(total)
    # chances[i] is the chance of first + i distinct examples so far.
    first, chances = counts[0], np.ones(1)
    for count in filter(None, counts[1:]):
        held = np.arange(first, first + len(chances))
        new, hits = _hypergeometric(factorials, held, count)
        after = np.zeros(len(chances) + len(new) - 1)
        for place, row in enumerate(hits):
            after[place : place + len(chances)] += chances * row
        kept = np.flatnonzero(after > _NEGLIGIBLE)
        first += int(new[0] + kept[0])
        chances = after[kept[0] : kept[-1] + 1]
    return float(chances[: max(0, distinct - first + 1)].sum())


def _hypergeometric(factorials: Array, held: Array, count: int) -> tuple[Array, Array]:
    """Return the chance that `count` of all examples are so many outside of those held.

    Args:
        factorials: Logarithms of those of 0, 1, ..., the number of examples.
        held: int (num_states,), how many are hit already.
        count: How many are hit now, each subset as likely.

    Returns:
        int (num_new,), how many new ones, and float64 (num_new, num_states), the chance of each.
    """
    total = len(factorials) - 1
    means = count * (1 - held[[0, -1]] / total)
    reach = _REACH * (1 + math.sqrt(count * 0.25 * (total - count) / max(total - 1, 1)))
    new = np.arange(max(0, int(means[1] - reach)), min(count, int(means[0] + reach)) + 1)
    fresh, state = np.meshgrid(new, held, indexing="ij")
    again, free = count - fresh, total - state
    possible = (again <= state) & (fresh <= free)
    logs = _log_comb(factorials, state, np.minimum(again, state))
    logs = logs + _log_comb(factorials, free, np.minimum(fresh, free))
    logs = logs - _log_comb(factorials, np.array(total), np.array(count))
    return new, np.where(possible, np.exp(np.minimum(logs, 0.0)), 0.0)


@lru_cache(maxsize=512)
def _log_factorials(most: int) -> Array:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])


def _log_comb(factorials: Array, number: Array, chosen: Array) -> Array:
    return np.asarray(factorials[number] - factorials[chosen] - factorials[number - chosen])
