"""What the reports of activations and of gates say in the same way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rnnprobe.inspection.reading import Reading
from rnnprobe.inspection.signals import Estimate, Signal
from rnnprobe.reports._common import counted
from rnnprobe.table import Column, Finding, escape

_MOST_UNITS = 10
_KARPATHY = "Karpathy, Johnson, Fei-Fei 2015, https://arxiv.org/abs/1506.02078"

UNIT_COLUMNS = (
    Column("unit", "unit", "integer"),
    Column("mean", "mean"),
    Column("mean_low", "95 % from"),
    Column("mean_high", "to"),
    Column("variance", "variance"),
    Column("zeros", "zeros"),
    Column("left", "saturated left"),
    Column("right", "saturated right"),
    Column("lowest", "lowest"),
    Column("highest", "highest"),
    Column("dead", "dead"),
)


def unit_rows(signal: Signal) -> Iterator[tuple[Any, ...]]:
    """Return the cells of `UNIT_COLUMNS`, a row a unit; none where no step counts."""
    if not signal.num_values:
        return
    units, dead = signal.units(), set(signal.dead)
    low, high = units.mean - units.half_width, units.mean + units.half_width
    for unit in range(signal.num_units):
        numbers = (units.mean, low, high, units.variance, units.zeros)
        sides = (units.left[unit], units.right[unit]) if signal.limits else (None, None)
        yield (
            unit,
            *(number[unit] for number in numbers),
            *sides,
            units.lowest[unit],
            units.highest[unit],
            unit in dead if signal.num_values > 1 else None,
        )


def with_interval(estimate: Estimate) -> tuple[float | None, ...]:
    """Return a number and the two ends of its interval, None where there is none."""
    return (estimate.value, *(estimate.interval or (None, None)))


def side_cells(signal: Signal) -> tuple[float | None, ...]:
    """Return the shares saturated left and right, each with its interval; None without limits."""
    if signal.limits is None:
        return (None,) * 6
    return (*with_interval(signal.estimate("left")), *with_interval(signal.estimate("right")))


def is_gate(signal: Signal) -> bool:
    """Return whether a signal can be open and closed: a gate with the limits of a sigmoid."""
    return signal.name.endswith(" gate") and signal.limits is not None and signal.limits[0] > 0


def num_dead(signal: Signal) -> int | None:
    """Return how many units are dead; None of fewer than two values, which say nothing."""
    return len(signal.dead) if signal.num_values > 1 else None


def share_text(estimate: Estimate) -> str:
    """Return a share in percent with its interval, where it has one."""
    if estimate.interval is None:
        return f"{percent(estimate.value)} %"
    low, high = estimate.interval
    return f"{percent(estimate.value)} % [{percent(low)}, {percent(high)}]"


def percent(share: float) -> str:
    """Return a share in percent with one digit after the point, more of a very small one.

    Example:
        >>> [percent(share) for share in (0.1234, 0.00012, 0.0, 1.0)]
        ['12.3', '0.012', '0', '100']
    """
    if share in (0.0, 1.0) or abs(share) < 1e-3:
        return f"{100 * share:.2g}" if share != 1.0 else "100"
    return f"{100 * share:.1f}"


def units_text(units: Sequence[int], total: int) -> str:
    """Return how many units it is of, and which: ten of them at most.

    Example:
        >>> units_text((3, 7), 128)
        '2 of 128 units (3, 7)'
    """
    head = f"{len(units):,} of {counted(total, 'unit')}"
    if len(units) == total:
        return f"all of {counted(total, 'unit')}"
    more = len(units) - _MOST_UNITS
    named = ", ".join(map(str, units[:_MOST_UNITS]))
    return f"{head} ({named}{f' and {more:,} more' if more > 0 else ''})"


def listed(texts: Sequence[str], most: int = 4) -> str:
    """Return the first texts, and how many more there are."""
    more = len(texts) - most
    shown = "; ".join(texts[:most])
    return f"{shown}; and {more:,} more" if more > 0 else shown


def name_of(signal: Signal) -> str:
    """Return the layer and the name of a signal for a sentence; of a plain output the layer."""
    name = "" if signal.name == "output" else f" {signal.name}"
    return escape(signal.path) + name


def notes(signals: Sequence[Signal]) -> str:
    """Say what the numbers are over, and what counts as saturated and dead; empty of nothing."""
    if not signals:
        return ""
    numbers = [signal.num_examples for signal in signals]
    least, most = min(numbers), max(numbers)
    over = counted(most, "example") if least == most else f"{least:,} to {most:,} examples"
    interval = "one example has no interval" if most < 2 else "intervals are over the examples"
    told = [f"Over the steps of {over} that count; {interval}."]
    if any(signal.limits is not None for signal in signals):
        told.append(f"Saturated: {_limits_phrase(signals)} ({_KARPATHY}).")
    told.append("Dead: the same value, to 1e-6 of the largest, at every step of every example.")
    return " ".join(told)


def _limits_phrase(signals: Sequence[Signal]) -> str:
    """Say what counts as saturated for the activation functions that there are.

    References:
        A. Karpathy, J. Johnson, L. Fei-Fei, "Visualizing and Understanding Recurrent Networks"
        (2015). https://arxiv.org/abs/1506.02078
    """
    limits = {signal.limits for signal in signals if signal.limits is not None}
    texts = [
        f"{'a sigmoid' if low > 0 else 'a tanh'} below {_signed(low)} or above {high:g}"
        for low, high in sorted(limits, reverse=True)
    ]
    return ", ".join(texts)


def _signed(number: float) -> str:
    return f"{number:g}".replace("-", "−")


def dead_finding(signals: Sequence[Signal], key: str) -> Finding | None:
    """Say which units are dead; None where every unit has one value alone."""
    asked = [signal for signal in signals if signal.num_values > 1]
    if not asked:
        return None
    found = {f"{one.path} {one.name}": list(one.dead) for one in asked if one.dead}
    if not found:
        return Finding(key, "Dead units: none", found)
    texts = [f"{name_of(one)} {units_text(one.dead, one.num_units)}" for one in asked if one.dead]
    return Finding(key, f"Dead units: {listed(texts)}", found)


def left_out_findings(reading: Reading) -> tuple[Finding, ...]:
    """Name the layers that were not looked into, and those of which padding could not be left out.

    They concern activations and gates together, so that a report says them once.

    Args:
        reading: What `read_signals` returned.
    """
    findings = []
    if reading.all_counted:
        named = ", ".join(map(escape, reading.all_counted))
        sentence = (
            f"Padding is left out, but not of {named}: not told which steps count, of steps that "
            "are not those of the input"
        )
        findings.append(Finding("all_counted", sentence, list(reading.all_counted)))
    if not reading.left_out:
        return tuple(findings)
    by_reason: dict[str, list[str]] = {}
    for one in reading.left_out:
        by_reason.setdefault(one.reason, []).append(f"{escape(one.path)} ({escape(one.kind)})")
    texts = [f"{', '.join(names)}: {escape(reason)}" for reason, names in by_reason.items()]
    value = [one._asdict() for one in reading.left_out]
    findings.append(Finding("left_out", f"Not looked into: {'; '.join(texts)}", value))
    return tuple(findings)


def even_steps(signal: Signal, most: int) -> list[int]:
    """Return the indices of at most so many steps, evenly chosen of those that an example has."""
    there = np.flatnonzero(signal.count > 0)
    chosen = np.linspace(0, len(there) - 1, min(most, len(there))).round().astype(int)
    return [int(there[index]) for index in chosen]
