"""Sums over batches in float32, against NumPy in float64 of all examples at once."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
import scipy.stats

from rnnprobe.inspection._moments import Moments, reduced
from rnnprobe.inspection._stepping import Limits
from rnnprobe.inspection.signals import Signal, _ratio_interval

SIZES = (7, 64, 1, 128)
NUM, STEPS = sum(SIZES), 16


def signal_of(
    values: np.ndarray, counted: np.ndarray, sizes: tuple[int, ...], limits: Limits = None
) -> Signal:
    """Return what batches of these sizes come to."""
    ends = np.split(np.arange(len(values)), np.cumsum(sizes)[:-1])
    parts = [Moments.of(reduced(values[r], counted[r], limits), len(r)) for r in ends]
    total = reduce(lambda a, b: a + b, parts)
    return Signal.of("lstm", "LSTM", "forget gate", limits, "steps", total)


def counted_steps(lengths: np.ndarray) -> np.ndarray:
    return np.arange(STEPS) < lengths[:, np.newaxis]


def half_widths(values: np.ndarray, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each unit's mean and half of its interval, by the definition of a ratio of sums."""
    values, counted = values[counted.any(axis=1)].astype(np.float64), counted[counted.any(axis=1)]
    lengths, number = counted.sum(axis=1), len(values)
    mean = np.where(counted[..., None], values, 0).sum(axis=(0, 1)) / lengths.sum()
    linear = np.where(counted[..., None], values - mean, 0).sum(axis=1)
    error = np.sqrt((linear**2).sum(axis=0) / (number * (number - 1))) / lengths.mean()
    return mean, scipy.stats.t.ppf(0.975, number - 1) * error


def of_gates(open_by: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    return 1 / (1 + np.exp(-(open_by + 0.3 * rng.normal(size=(NUM, STEPS, 3)))))


def about(middle: float, spread: float) -> np.ndarray:
    rng = np.random.default_rng(1)
    return middle + spread * rng.normal(size=(NUM, STEPS, 3)) * [1, 3, 0.5]


CASES = {
    "gates that are open": of_gates(8),
    "gates that are half open": of_gates(0),
    "a mean of 1000": about(1000, 0.02),
    "units of several sizes": about(0, 1) + np.array([0, -500, 3e4]),
}


@pytest.mark.parametrize("empty", ["none", "some", "the first batch", "the last batch"])
@pytest.mark.parametrize("name", CASES)
def test_intervals_of_a_units_mean_are_those_of_float64(name: str, empty: str) -> None:
    values = CASES[name].astype(np.float32)
    lengths = np.random.default_rng(2).integers(2, STEPS + 1, NUM)
    without = {"none": [], "some": range(0, NUM, 5), "the first batch": range(SIZES[0])}
    lengths[list(without.get(empty, range(NUM - SIZES[-1], NUM)))] = 0
    counted = counted_steps(lengths)
    values[~counted] = np.nan
    signal = signal_of(values, counted, SIZES)
    units = signal.units()
    mean, expected = half_widths(values, counted)
    assert units.half_width == pytest.approx(expected, rel=1e-4)
    assert units.mean == pytest.approx(mean, abs=0.01 * expected.min(), rel=1e-7)
    kept = values[counted].astype(np.float64)
    assert units.variance == pytest.approx(kept.var(axis=0), rel=1e-4)
    overall = signal.estimate("mean")
    assert overall.interval is not None
    every, half = half_widths(values.mean(axis=2, dtype=np.float64)[..., None], counted)
    assert overall.value == pytest.approx(every[0], rel=1e-9)
    assert overall.interval.high - overall.value == pytest.approx(half[0], rel=1e-4)
    assert signal.estimate("variance").value == pytest.approx(kept.var(), rel=1e-4)


def test_batches_are_joined_as_one() -> None:
    counted = counted_steps(np.random.default_rng(3).integers(0, STEPS + 1, NUM))
    values = about(40, 2).astype(np.float32)
    one, several = signal_of(values, counted, (NUM,)), signal_of(values, counted, SIZES)
    for first, second in zip(one.units(), several.units(), strict=True):
        assert first == pytest.approx(second, rel=1e-5)
    assert one.mean == pytest.approx(several.mean, rel=1e-7)
    assert one.variance == pytest.approx(several.variance, rel=1e-4)


def test_an_infinite_unit_leaves_the_others_and_the_steps_before_as_they_are() -> None:
    values, counted = about(5, 1).astype(np.float32), np.ones((NUM, STEPS), bool)
    values[:, -1, 1] = np.inf
    with np.errstate(invalid="ignore"):
        signal = signal_of(values, counted, SIZES)
        units = signal.units()
    expected = values.astype(np.float64)
    assert signal.mean[:-1] == pytest.approx(expected[:, :-1].mean(axis=0), rel=1e-6)
    half = half_widths(values[..., [0, 2]], counted)[1]
    assert units.half_width[[0, 2]] == pytest.approx(half, rel=1e-4)
    assert np.isinf(units.highest[1])


@pytest.mark.parametrize("size", [1e-7, 1.0, 1e6])
def test_dead_is_relative_to_the_size_of_all_units(size: float) -> None:
    values = np.random.default_rng(4).normal(size=(NUM, STEPS, 4))
    values[..., 1], values[..., 2] = 0.3, 0.0
    values[..., 3] = 0.5 + 1e-8 * values[..., 3]
    signal = signal_of((values * size).astype(np.float32), np.ones((NUM, STEPS), bool), SIZES)
    assert signal.dead == (1, 2, 3)


def test_units_that_are_all_zero_are_dead() -> None:
    signal = signal_of(np.zeros((9, STEPS, 2), np.float32), np.ones((9, STEPS), bool), (4, 5))
    assert signal.dead == (0, 1)


def test_the_interval_of_a_share_of_whole_examples_is_wilsons() -> None:
    """Of examples saturated throughout or not at all, an example is one value, but for t."""
    hits, number, steps = 3, 500, 28.0
    linear = steps * ((np.arange(number) < hits) - hits / number)
    found = _ratio_interval(hits / number, linear, number * steps, "left")
    assert found is not None
    oracle = scipy.stats.binomtest(hits, number).proportion_ci(0.95, "wilson")
    assert tuple(found) == pytest.approx((oracle.low, oracle.high), rel=0.01)
    other = _ratio_interval(1 - hits / number, -linear, number * steps, "right")
    assert other is not None and (1 - other.high, 1 - other.low) == pytest.approx(tuple(found))


def test_the_interval_of_a_rare_share_holds_as_often_as_it_says() -> None:
    rng, number, share = np.random.default_rng(5), 500, 0.0065
    steps = np.full(number, 28.0)
    covered = 0
    for _ in range(1000):
        sums = steps * (rng.random(number) < share)
        value = float(sums.sum() / steps.sum())
        found = _ratio_interval(value, sums - value * steps, float(steps.sum()), "left")
        covered += found is not None and found.low <= share <= found.high
    assert covered > 930, "95 % were asked for, and Student's t gave 87 %"


def test_a_share_in_the_middle_has_students_interval() -> None:
    rng = np.random.default_rng(6)
    steps = rng.integers(2, 17, 400).astype(float)
    sums = rng.binomial(steps.astype(int), 0.4).astype(float)
    value = float(sums.sum() / steps.sum())
    linear = sums - value * steps
    found = _ratio_interval(value, linear, float(steps.sum()), "left")
    error = np.sqrt(len(steps) / (len(steps) - 1) * (linear**2).sum()) / steps.sum()
    half = scipy.stats.t.ppf(0.975, len(steps) - 1) * error
    assert found == pytest.approx((value - half, value + half), abs=0.01 * half)


@pytest.mark.parametrize("number", [2, 3])
def test_a_share_of_a_few_examples_stays_inside_of_0_and_1(number: int) -> None:
    linear = np.arange(number) - (number - 1) / 2
    found = _ratio_interval(0.5, linear, float(number), "left")
    assert found is not None and 0 <= found.low < 0.2 and 0.8 < found.high <= 1
    assert _ratio_interval(0.5, linear[:1], 1.0, "left") is None
