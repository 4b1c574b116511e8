"""Gates and states of recurrent cells step by step, as tables and a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from rnnprobe.inspection.signals import Signal
from rnnprobe.reports._signals import even_steps, is_gate, listed
from rnnprobe.table import Column, Finding, Table, escape

_STEPS_SHOWN = 10
_CELLS_TOLD = 2
_EVEN = 0.5  # of the examples must have a step that is compared with another

STEP_COLUMNS = tuple(
    Column(key, key.replace("_", " "))
    for key in ("layer", "signal", "step", "examples", "mean", "mean_low", "mean_high",
                "variance", "left", "right")
)  # fmt: skip


def step_rows(signal: Signal) -> Iterator[tuple[Any, ...]]:
    """Return the cells of `STEP_COLUMNS`, a row a step that an example has."""
    steps = signal.steps()
    for index in np.flatnonzero(steps.examples):
        mean, half = steps.mean[index], steps.half_width[index]
        limited = signal.limits is not None
        yield (
            signal.path,
            signal.name,
            int(index) + 1,
            int(steps.examples[index]),
            mean,
            mean - half,
            mean + half,
            steps.variance[index],
            steps.left[index] if limited else None,
            steps.right[index] if limited else None,
        )


def by_step_table(gates: Sequence[Signal]) -> Table:
    """Return a row a layer and step: gates by their mean, states by their root mean square.

    The sign of a state's unit means nothing, so that the mean over the units says little.
    """
    names = list(dict.fromkeys(signal.name for signal in gates))
    gated = {signal.name for signal in gates if signal.name.endswith(" gate")}
    columns = [Column("layer", "layer"), Column("step", "step", "integer")]
    columns.append(Column("examples", "examples", "integer"))
    for name in names:
        key, title = name.replace(" ", "_"), name
        if name not in gated:
            key, title = f"{key}_rms", f"{name} (rms)"
        columns.append(Column(key, title, "decimal", 3))
    if gated:
        columns.append(Column("half_width", "± of gates, at most", "decimal", 3))
    rows: list[tuple[Any, ...]] = []
    shown, total = 0, 0
    for path, own in groupby(gates, key=lambda signal: signal.path):
        signals = {signal.name: signal for signal in own}
        chosen = even_steps(next(iter(signals.values())), _STEPS_SHOWN)
        shown = max(shown, len(chosen))
        total = max(total, *(int((one.count > 0).sum()) for one in signals.values()))
        rows += (row[: len(columns)] for row in _wide_rows(path, signals, names, chosen))
    title = "Gates by step: mean over units and examples; of states the root mean square"
    if shown < total:
        title += f"; {shown} of {total:,} steps, evenly chosen"
    return Table(tuple(columns), tuple(rows), title)


def _wide_rows(
    path: str, signals: dict[str, Signal], names: Sequence[str], chosen: Sequence[int]
) -> Iterator[tuple[Any, ...]]:
    steps = {name: signal.steps() for name, signal in signals.items()}
    for index in chosen:
        cells: list[float | None] = []
        widths = []
        for name in names:
            if name not in steps:
                cells.append(None)
            elif name.endswith(" gate"):
                cells.append(float(steps[name].mean[index]))
                widths.append(float(steps[name].half_width[index]))
            else:
                own = steps[name]
                cells.append(math.sqrt(own.mean[index] ** 2 + own.variance[index]))
        examples = int(next(iter(steps.values())).examples[index])
        yield (path, index + 1, examples, *cells, max(widths, default=None))


def course_finding(gates: Sequence[Signal]) -> Finding | None:
    """Compare the gates at the first and the last step that half of the examples have."""
    texts, value = [], {}
    uneven = False
    for path, own in groupby(filter(is_gate, gates), key=lambda signal: signal.path):
        signals = list(own)
        count = signals[0].count
        there = np.flatnonzero(count >= max(_EVEN * signals[0].num_examples, 1))
        if len(there) < 2:
            continue
        first, last = int(there[0]), int(there[-1])
        uneven |= len(np.unique(count[count > 0])) > 1
        means = [f"{one.name} {_at(one, first)} and {_at(one, last)}" for one in signals]
        texts.append(f"{escape(path)} at steps {first + 1} and {last + 1} {', '.join(means)}")
        for one in signals:
            value[f"{path} {one.name}"] = [one.steps().mean[index] for index in (first, last)]
    if not texts:
        return None
    told = listed(texts, _CELLS_TOLD)
    sentence = f"Gates over the sequence, mean over units and examples: {told}"
    if uneven:
        sentence += " (the first and the last step that half of the examples have)"
    return Finding("gates_course", sentence, value)


def _at(signal: Signal, index: int) -> str:
    steps = signal.steps()
    half = steps.half_width[index]
    return f"{steps.mean[index]:.3f}" + (f" ± {half:.3f}" if np.isfinite(half) else "")
