"""Activations and gates: what the values inside a model are like over a part of the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rnnprobe.inspection._moments import EXAMPLE_SUMS, Moments
from rnnprobe.inspection._stepping import Limits
from rnnprobe.records import Array
from rnnprobe.statistics import Interval, wilson_interval

_ALWAYS = 0.99
_SAME = 1e-6


class Estimate(NamedTuple):
    """A number and its 95 % interval over the examples; None of fewer than two examples."""

    value: float
    interval: Interval | None


class Units(NamedTuple):
    """What each unit is like over all steps that count.

    Args:
        mean: float64 (num_units,).
        half_width: float64 (num_units,), of the mean's 95 % interval over the examples; NaN of
            fewer than two.
        variance: float64 (num_units,).
        left: float64 (num_units,), share of values saturated left.
        right: float64 (num_units,), the same right.
        zeros: float64 (num_units,), share of values that are 0.
        lowest: float64 (num_units,).
        highest: float64 (num_units,).
    """

    mean: Array
    half_width: Array
    variance: Array
    left: Array
    right: Array
    zeros: Array
    lowest: Array
    highest: Array


class Steps(NamedTuple):
    """What all units together are like at each step.

    Args:
        examples: int64 (num_steps,), how many have the step.
        mean: float64 (num_steps,), NaN where no example has it, as below.
        variance: float64 (num_steps,), over examples and units.
        left: float64 (num_steps,), share of values saturated left.
        right: float64 (num_steps,), the same right.
        zeros: float64 (num_steps,), share of values that are 0.
        half_width: float64 (num_steps,), of the mean's 95 % interval over the examples, or more:
            the units are taken to err together. NaN of fewer than two examples.
    """

    examples: Array
    mean: Array
    variance: Array
    left: Array
    right: Array
    zeros: Array
    half_width: Array


@dataclass(frozen=True, eq=False)
class Signal:
    """One kind of value inside a model: a layer's output, or a gate or state of a cell.

    Args:
        path: The layer or cell.
        kind: Its class.
        name: `output`; `input gate`, `forget gate`, `candidate`, `output gate`, `update gate`,
            `reset gate`, `hidden state`, `cell state`; `state` of a cell of another kind.
        limits: Below the first a value is saturated left, above the second right; None where the
            activation function has no such limits.
        axis: What lies between examples and units: `steps`, of the input or as many as the layer
            returns; `positions` of a picture; None where there is one value a unit.
        count: int64 (num_steps,), examples that have the step.
        mean: float64 (num_steps, num_units), NaN where no example has the step, as below.
        variance: float64 (num_steps, num_units), the mean square about the mean.
        left: float64 (num_steps, num_units), share of the examples saturated left.
        right: float64 (num_steps, num_units), the same right.
        zeros: float64 (num_steps, num_units), share of the examples with value 0.
        moments: The sums that all of this comes from.
    """

    path: str
    kind: str
    name: str
    limits: Limits
    axis: str | None
    count: Array
    mean: Array
    variance: Array
    left: Array
    right: Array
    zeros: Array
    moments: Moments

    @classmethod
    def of(
        cls, path: str, kind: str, name: str, limits: Limits, axis: str | None, moments: Moments
    ) -> Signal:
        """Return a signal of its sums."""
        kept = moments.kept
        count = kept["count"]
        number = np.where(count > 0, count, np.nan)[:, np.newaxis]
        return cls(
            path,
            kind,
            name,
            limits,
            axis,
            count.astype(np.int64),
            np.where(count[:, np.newaxis] > 0, kept["mean"], np.nan),
            kept["squares"] / number,
            kept["left"] / number,
            kept["right"] / number,
            kept["zeros"] / number,
            moments,
        )

    @property
    def num_units(self) -> int:
        """The number of units."""
        return int(self.mean.shape[1])

    @property
    def num_examples(self) -> int:
        """The number of examples that have a step that counts."""
        return int((self.moments.kept["examples"][:, 0] > 0).sum())

    def steps(self) -> Steps:
        """Return what all units together are like at each step."""
        mean = self.mean.mean(axis=1)
        between = ((self.mean - mean[:, np.newaxis]) ** 2).mean(axis=1)
        left, right, zeros = (one.mean(axis=1) for one in (self.left, self.right, self.zeros))
        variance = self.variance.mean(axis=1) + between
        return Steps(self.count, mean, variance, left, right, zeros, self._step_half_widths())

    def _step_half_widths(self) -> Array:
        """Return what half the width of the means' intervals by step is at most.

        The standard error of a mean over the units is never above the mean of the units' own.
        """
        from scipy.stats import t

        degrees = np.where(self.count > 1, self.count - 1.0, np.nan)
        errors = np.sqrt(self.variance / degrees[:, np.newaxis]).mean(axis=1)
        return np.asarray(t.ppf(0.975, degrees) * errors)

    def units(self) -> Units:
        """Return what each unit is like over all steps that count."""
        kept = self.moments.kept
        count = kept["count"][:, np.newaxis]
        total = max(float(count.sum()), 1.0)
        mean = (count * kept["mean"]).sum(axis=0) / total
        between = (count * (kept["mean"] - mean) ** 2).sum(axis=0)
        return Units(
            mean,
            self._half_widths(),
            (kept["squares"].sum(axis=0) + between) / total,
            kept["left"].sum(axis=0) / total,
            kept["right"].sum(axis=0) / total,
            kept["zeros"].sum(axis=0) / total,
            kept["lowest"],
            kept["highest"],
        )

    def _half_widths(self) -> Array:
        """Return half the width of the means' intervals; the examples are the sample."""
        from scipy.stats import t

        kept, number = self.moments.kept, float(self.moments.kept["number"])
        if number < 2:
            return np.full(self.num_units, np.nan)
        mean = kept["unit_mean"] / kept["step_mean"]  # of the values less their shift
        squares = kept["unit_squares"] - 2 * mean * kept["unit_products"]
        squares = np.maximum(squares + mean**2 * kept["step_squares"], 0)
        error = np.sqrt(squares / (number * (number - 1))) / float(kept["step_mean"])
        return np.asarray(t.ppf(0.975, number - 1) * error)

    @property
    def num_values(self) -> int:
        """The number of values of each unit, over all steps that count of all examples."""
        return int(self.count.sum())

    @property
    def dead(self) -> tuple[int, ...]:
        """The units whose value is the same at all steps of all examples, to a rounding error.

        Their highest and lowest value differ by at most 1e-6 of the largest |value| of the whole
        signal, all units together. Of fewer than two values nothing can be said: none.
        """
        if self.num_values < 2:
            return ()
        units = self.units()
        known = np.isfinite(units.lowest) & np.isfinite(units.highest)
        low, high = (np.where(known, ends, 0.0) for ends in (units.lowest, units.highest))
        largest = np.maximum(np.abs(low), np.abs(high)).max(initial=0.0)
        return _indices(known & (high - low <= _SAME * largest))

    @property
    def always_left(self) -> tuple[int, ...]:
        """The units that are saturated left at 99 % of all steps: a closed gate."""
        return _indices(self.units().left >= _ALWAYS)

    @property
    def always_right(self) -> tuple[int, ...]:
        """The units that are saturated right at 99 % of all steps: an open gate."""
        return _indices(self.units().right >= _ALWAYS)

    def estimate(self, what: str) -> Estimate:
        """Return one number over all units, steps and examples.

        Its interval is that of a ratio of sums over the examples, by the variance of its linear
        part (the values within an example hang together, the examples do not). That of a share is
        Wilson's of the number of independent values that would leave it the same variance, with
        Student's quantile, as for clustered samples; where it is 0 or 1 in all of them, Wilson's
        of so many examples.

        Args:
            what: `mean`, `variance`, `left`, `right`, `zeros`, or `saturated`, left or right.

        References:
            W. G. Cochran, "Sampling Techniques", 3rd edition (1977), chapter 6.
            C. Franco, R. J. A. Little, T. A. Louis, E. V. Slud, "Comparative Study of Confidence
            Intervals for Proportions in Complex Sample Surveys", Journal of Survey Statistics and
            Methodology 7 (2019). https://pmc.ncbi.nlm.nih.gov/articles/PMC6690503
        """
        sums = dict(zip(EXAMPLE_SUMS, self.moments.kept["examples"].T, strict=True))
        sums["saturated"] = sums["left"] + sums["right"]
        counts = sums["count"]
        there = counts > 0
        total = float(counts.sum())
        if not total:
            return Estimate(math.nan, None)
        mean = float(sums["sum"].sum() / total)
        if what == "mean":
            value, linear = mean, sums["sum"] - mean * counts
        elif what == "variance":
            value = self._variance()
            about = sums["squares"] - 2 * mean * sums["sum"] + mean**2 * counts
            linear = about - value * counts
        else:
            value = float(sums[what].sum() / total)
            linear = sums[what] - value * counts
        return Estimate(value, _ratio_interval(value, linear[there], total, what))

    def _variance(self) -> float:
        units = self.units()
        return float(units.variance.mean() + units.mean.var())


def _ratio_interval(value: float, linear: Array, total: float, what: str) -> Interval | None:
    from scipy.stats import t

    number = len(linear)
    if number < 2:
        return None
    is_share = what not in ("mean", "variance")
    if is_share and value in (0.0, 1.0):  # of examples all alike
        return wilson_interval(round(value) * number, number)
    error = math.sqrt(number / (number - 1) * float((linear**2).sum())) / total
    half = float(t.ppf(0.975, number - 1)) * error
    if is_share:
        return _wilson_of_error(value, half)
    return Interval(max(value - half, -math.inf if what == "mean" else 0.0), value + half)


def _wilson_of_error(share: float, half: float) -> Interval:
    """Return the shares whose own standard error lets them be as far off as the given one is.

    It is Wilson's interval: the error of another share is taken to be that of as many independent
    values, in proportion to the root of share * (1 - share).

    Args:
        share: In (0, 1).
        half: Of the interval that is even about it, at least 0: error times quantile.
    """
    inverse = half**2 / (share * (1 - share))  # quantile**2 / how many values
    middle = share + inverse / 2
    reach = math.sqrt(half**2 + inverse**2 / 4)
    low, high = (middle - reach) / (1 + inverse), (middle + reach) / (1 + inverse)
    return Interval(max(low, 0.0), min(high, 1.0))


def _indices(flags: Array) -> tuple[int, ...]:
    return tuple(np.flatnonzero(flags).tolist())


def half_life(kept: Array) -> Array:
    """Return after how many steps half of a memory is left that keeps a share at each step.

    It is -ln 2 / ln(share): infinite of 1, 0 of 0.

    Args:
        kept: float64, shares in [0, 1]: the mean of a unit's forget gate (LSTM) or update gate
            (GRU), of which the product over the steps is what is left.

    Example:
        >>> half_life(np.array([0.5, 0.25, 1.0, 0.0]))
        array([1. , 0.5, inf, 0. ])
    """
    with np.errstate(divide="ignore"):
        return np.asarray(math.log(2) / np.abs(np.log(kept)))  # of 1 it would else be -inf


MEMORY_GATES = {"forget gate": "forget", "update gate": "update"}
"""The gates whose value is the share of the state that is kept."""


def memory_gates(signals: Sequence[Signal]) -> tuple[Signal, ...]:
    """Return the gates that say how much is kept."""
    return tuple(signal for signal in signals if signal.name in MEMORY_GATES)


class Memory(NamedTuple):
    """How long a cell keeps what it holds, if its gate stood at its mean at every step.

    Args:
        half_lives: float64 (num_units,), in steps, by `half_life` of each unit's mean.
        low: float64 (num_units,), of the lower end of that mean's 95 % interval; NaN of fewer than
            two examples.
        high: float64 (num_units,), of the upper end; infinite where that is 1 or more.
        at_mean: The half-life of the mean over all units, with the ends of its interval.
        num_steps: How many steps an example has that count, on average over the examples.
    """

    half_lives: Array
    low: Array
    high: Array
    at_mean: Estimate
    num_steps: float


def memory_of(gate: Signal) -> Memory | None:
    """Return the half-lives of a memory gate; None where its values leave [0, 1], or are none.

    A mean of logarithms is never above the logarithm of the mean, so a gate that varies keeps less
    than one that stands at its mean: these are upper bounds of half-lives by the mean logarithm.

    Args:
        gate: One of `memory_gates`.
    """
    units = gate.units()
    if not gate.num_values or not (units.lowest.min() >= 0 and units.highest.max() <= 1):
        return None
    mean, interval = gate.estimate("mean")
    ends = (
        None
        if interval is None
        else Interval(*(float(half_life(np.clip(end, 0.0, 1.0))) for end in interval))
    )
    low, high = (np.clip(units.mean + sign * units.half_width, 0.0, 1.0) for sign in (-1, 1))
    return Memory(
        half_life(np.clip(units.mean, 0.0, 1.0)),
        half_life(low),
        half_life(high),
        Estimate(float(half_life(np.clip(mean, 0.0, 1.0))), ends),
        gate.num_values / gate.num_examples,
    )
