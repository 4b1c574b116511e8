"""What the runs of a sweep say: which cells are as good as the best, and which axes matter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnprobe.paired import unpacked
from rnnprobe.search.results import Cell, SweepResult
from rnnprobe.search.space import AXES, Value
from rnnprobe.statistics import (
    additive_shares,
    compare_configurations,
    factorial_shares,
    holm,
    pareto_front,
)

METRIC = "val_accuracy"
LEVEL = 0.05


def within_noise(result: SweepResult, num_examples: int) -> list[Cell]:
    """Return the cells that cannot be told from the best one, which is the first of them.

    Both could differ by chance, of the seeds and of the validation examples, which all cells share
    (`rnnprobe.statistics.compare_configurations`), at 5 % after Holm's correction.

    Args:
        result: The sweep.
        num_examples: Of the validation part.

    Example:
        >>> best, *others = within_noise(swept, len(data.validation))    # doctest: +SKIP
        >>> best.configuration["learning_rate"], len(others)             # doctest: +SKIP
        (0.001, 3)
    """
    ranking = result.ranking()
    if not ranking:
        return []
    best, others = ranking[0], ranking[1:]
    p_values = holm([_p_value(best, other, num_examples) for other in others])
    return [best] + [cell for cell, p in zip(others, p_values, strict=True) if p > LEVEL]


def _p_value(first: Cell, second: Cell, num_examples: int) -> float:
    ours, theirs = ({run.repeat: run.hits for run in cell.finished} for cell in (first, second))
    common = sorted(set(ours) & set(theirs))
    if not common:
        return 1.0
    both = (
        np.stack([unpacked(bytes.fromhex(hits[repeat]), num_examples) for repeat in common])
        for hits in (ours, theirs)
    )
    return compare_configurations(*both).p_value


@dataclass(frozen=True)
class Importance:
    """How much of the variance of validation accuracy each axis explains.

    Args:
        shares: By names of axes: one is a main effect, several their interaction, none what is
            left between repeats.
        exact: Whether it is the analysis of variance of a complete factorial; otherwise each
            share is what an additive model loses without the axis.
        runs: How many runs it is from.
    """

    shares: dict[tuple[str, ...], float]
    exact: bool
    runs: int


def importance(result: SweepResult) -> Importance | None:
    """Say which axes matter; None where there is nothing to compare.

    Example:
        >>> importance(swept).shares[("learning_rate",)]                 # doctest: +SKIP
        0.822
    """
    axes = result.space.varied
    finished = [run for run in result.runs if run.finished]
    if not axes or len(finished) < 2:
        return None
    lengths = [len(result.space.values[name]) for name in axes]
    if all(cell.complete for cell in result.cells) and len(result.cells) == np.prod(lengths):
        values = np.array([cell.values(METRIC) for cell in result.cells])
        shares = factorial_shares(values.reshape(*lengths, result.repeats))
        named = {tuple(axes[i] for i in chosen): share for chosen, share in shares.items()}
        return Importance(named, exact=True, runs=len(finished))
    levels = [[_level(name, run.configuration[name]) for run in finished] for name in axes]
    alone = additive_shares(levels, [run.value(METRIC) for run in finished])
    named = {(name,): share for name, share in zip(axes, alone, strict=True)}
    return Importance(named, exact=False, runs=len(finished))


def _level(name: str, value: Value) -> Value:
    """Return None where an axis means nothing; none may be a value as well."""
    return "none" if value is None and AXES[name].optional else value


def front(result: SweepResult) -> list[Cell]:
    """Return the cells that no other beats in accuracy and time, the fastest first."""
    ranking = result.ranking()
    chosen = pareto_front([c.seconds for c in ranking], [c.mean(METRIC) for c in ranking])
    return [ranking[index] for index in chosen]


@dataclass(frozen=True)
class Losses:
    """How many runs at one level of an axis did not finish."""

    axis: str
    level: Value
    lost: int
    runs: int
    reasons: tuple[str, ...]


def losses(result: SweepResult) -> list[Losses]:
    """Return the levels of all axes at which runs did not finish."""
    found = []
    for axis in result.space.varied:
        for level in dict.fromkeys(cell.configuration[axis] for cell in result.cells):
            runs = [run for run in result.runs if run.configuration[axis] == level]
            dead = [run.reason for run in runs if not run.finished]
            if dead:
                reasons = tuple(sorted(set(dead)))
                found.append(Losses(axis, level, len(dead), len(runs), reasons))
    return found
