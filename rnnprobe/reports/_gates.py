"""Gates and states of recurrent cells, as tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rnnprobe.inspection.reading import Reading
from rnnprobe.inspection.signals import Memory, Signal, memory_gates, memory_of
from rnnprobe.reports._common import counted
from rnnprobe.reports._gate_steps import STEP_COLUMNS, by_step_table, course_finding, step_rows
from rnnprobe.reports._signals import (
    UNIT_COLUMNS,
    dead_finding,
    is_gate,
    listed,
    name_of,
    notes,
    num_dead,
    share_text,
    side_cells,
    unit_rows,
    units_text,
    with_interval,
)
from rnnprobe.table import Column, Finding, Table, escape, interval_columns

LEFT_OUT = frozenset({"gates_by_unit", "gates_by_step_all"})
"""The keys of tables that Markdown leaves out."""

_STRONGEST = 3

_COLUMNS = (
    Column("layer", "layer"),
    Column("signal", "signal"),
    Column("units", "units", "integer"),
    *interval_columns("mean", "mean"),
    Column("variance", "variance", "decimal", 3),
    *interval_columns("left", "saturated left"),
    *interval_columns("right", "saturated right"),
    Column("closed", "always closed", "integer"),
    Column("open", "always open", "integer"),
    Column("dead", "dead units", "integer"),
)

_MEMORY_COLUMNS = (
    Column("layer", "layer"),
    Column("gate", "gate"),
    Column("units", "units", "integer"),
    Column("median", "median unit", "decimal", 1),
    Column("lower_quartile", "quartiles", "decimal", 1, bracketed=True),
    Column("upper_quartile", "", "decimal", 1, bracketed=True),
    Column("shortest", "shortest", "decimal", 1),
    Column("shortest_unit", "unit", "integer"),
    Column("longest", "longest", "decimal", 1),
    Column("longest_unit", "unit", "integer"),
    *interval_columns("at_mean", "at the mean gate", digits=2),
    Column("steps", "steps of an example", "decimal", 1),
)

_HALF_LIFE_COLUMNS = tuple(
    Column(key, key.replace("_", " ")) for key in ("half_life", "half_life_low", "half_life_high")
)


def gates_tables(reading: Reading) -> dict[str, Table]:
    """Return gates and states over everything, their memory, and how they go step by step.

    The tables by unit and of all steps are for JSON alone (`LEFT_OUT`).

    Args:
        reading: What `read_signals` returned.
    """
    gates = reading.gates
    memories = [(gate, memory_of(gate)) for gate in memory_gates(gates)]
    by_unit = (row for signal in gates for row in _unit_rows(signal))
    by_step = (row for signal in gates for row in step_rows(signal))
    return {
        "gates": Table(
            _COLUMNS,
            tuple(_row(signal) for signal in gates),
            "Gates and states: over all units, counted steps and examples",
        ),
        "memory": Table(
            _MEMORY_COLUMNS,
            tuple(_memory_row(gate, memory) for gate, memory in memories if memory),
            "Memory: half-life in steps of what a cell holds, each unit's gate at its mean",
        ),
        "gates_by_step": by_step_table(gates),
        "gates_by_unit": Table(
            (_COLUMNS[0], _COLUMNS[1], *UNIT_COLUMNS, *_HALF_LIFE_COLUMNS),
            tuple(by_unit),
            "Gates and states by unit",
        ),
        "gates_by_step_all": Table(STEP_COLUMNS, tuple(by_step), "Gates and states by step"),
    }


def _row(signal: Signal) -> tuple[Any, ...]:
    always = (len(signal.always_left), len(signal.always_right))
    return (
        signal.path,
        signal.name,
        signal.num_units,
        *with_interval(signal.estimate("mean")),
        signal.estimate("variance").value,
        *side_cells(signal),
        *(always if is_gate(signal) and signal.num_values else (None, None)),
        num_dead(signal),
    )


def _memory_row(gate: Signal, memory: Memory) -> tuple[Any, ...]:
    lives = memory.half_lives
    shortest, longest = int(lives.argmin()), int(lives.argmax())
    return (
        gate.path,
        gate.name,
        gate.num_units,
        *_quartiles(lives),
        float(lives[shortest]),
        shortest,
        float(lives[longest]),
        longest,
        *with_interval(memory.at_mean),
        memory.num_steps,
    )


def _quartiles(lives: Any) -> tuple[float, float, float]:
    """Return median and quartiles of half-lives: some unit's own, since they may be infinite."""
    middle, low, high = np.quantile(lives, (0.5, 0.25, 0.75), method="inverted_cdf")
    return float(middle), float(low), float(high)


def _unit_rows(signal: Signal) -> Iterator[tuple[Any, ...]]:
    memory = memory_of(signal) if memory_gates([signal]) else None
    for unit, row in enumerate(unit_rows(signal)):
        lives: tuple[Any, ...] = (None, None, None)
        if memory:
            lives = (memory.half_lives[unit], memory.low[unit], memory.high[unit])
        yield (signal.path, signal.name, *row, *lives)


def gates_findings(reading: Reading) -> tuple[Finding, ...]:
    """Return the sentences on gates and states; which layers were left out is said elsewhere.

    Args:
        reading: What `read_signals` returned.
    """
    gates = reading.gates
    if not gates:
        sentence = "Gates: the model has no recurrent layer whose cell can be stepped"
        return (Finding("gates_read", sentence, 0),)
    found = (
        _replay_finding(reading),
        _saturated_finding(gates),
        _always_finding(gates),
        dead_finding(gates, "gates_dead"),
        *_memory_findings(gates),
        course_finding(gates),
    )
    return tuple(finding for finding in found if finding is not None)


def gates_note(readings: Sequence[Reading]) -> str:
    """Return how tables and sentences are to be read, those of one model or of several."""
    signals = [gate for reading in readings for gate in reading.gates]
    told = [notes(signals)]
    if any(is_gate(signal) for signal in signals):
        told.append(
            "Always: at 99 % of the steps. ±: half of a 95 % interval, or more, since the units "
            "are taken to err together."
        )
    memory = memory_gates(signals)
    if memory:
        told.append(
            "Half-life: −ln 2 / ln of a unit's mean forget or update gate, the steps after which a "
            "gate that stood at its mean would have halved the state, on the direct way from state "
            "to state alone; a gate that varies keeps less, other ways may keep more: the "
            "gradients through time see all of them."
        )
    if any(gate.name == "forget gate" for gate in memory):
        told.append(
            "Keras starts the forget bias of an LSTM at 1 unless told otherwise, which alone opens "
            "a sigmoid forget gate to 0.73, a half-life of 2.2 steps: so much openness is no "
            "finding about the data."
        )
    return " ".join(told)


def _replay_finding(reading: Reading) -> Finding:
    paths = list(dict.fromkeys(signal.path for signal in reading.gates))
    apart = reading.deviation
    how = f"to within {apart:.2g}" if apart else "exactly"
    sentence = (
        f"Replay: {counted(len(paths), 'recurrent cell')}, stepped with the saved weights, "
        f"{'gives' if len(paths) == 1 else 'give'} the model's own outputs {how}"
    )
    return Finding("gates_replay", sentence, {"cells": paths, "deviation": apart})


def _saturated_finding(gates: Sequence[Signal]) -> Finding | None:
    """Name the gates and states that are saturated most, on one side."""
    limited = [one for one in gates if one.limits is not None and one.num_values]
    if not limited:
        return None
    sides = [(one, side, one.estimate(side)) for one in limited for side in ("left", "right")]
    sides.sort(key=lambda row: -row[2].value)
    texts = [
        f"{name_of(one)} {_side_word(one, side)} {share_text(share)}"
        for one, side, share in sides[:_STRONGEST]
        if share.value > 0
    ]
    most = f"{'; '.join(texts)}" if texts else "none of the values"
    value = {f"{one.path} {one.name} {side}": share.value for one, side, share in sides}
    sentence = f"Saturated most often, share of the values: {most}"
    return Finding("gates_saturated", sentence, value)


def _side_word(signal: Signal, side: str) -> str:
    words = ("closed", "open") if is_gate(signal) else ("left", "right")
    return words[side == "right"]


def _always_finding(gates: Sequence[Signal]) -> Finding | None:
    """Say which gates are open or closed at nearly all steps."""
    asked = [signal for signal in gates if is_gate(signal) and signal.num_values]
    if not asked:
        return None
    texts, value = [], {}
    for signal in asked:
        for word, units in (("closed", signal.always_left), ("open", signal.always_right)):
            if units:
                value[f"{signal.path} {signal.name} {word}"] = list(units)
                texts.append(
                    f"{name_of(signal)} always {word} in {units_text(units, signal.num_units)}"
                )
    if not texts:
        return Finding("gates_always", "Gates that are always open or closed: none", value)
    sentence = f"Gates that are always open or closed: {listed(texts)}"
    return Finding("gates_always", sentence, value)


def _memory_findings(gates: Sequence[Signal]) -> Iterator[Finding]:
    """Say how long cells keep what they hold, and which have no gate for it."""
    texts, value = [], {}
    for gate in memory_gates(gates):
        memory = memory_of(gate)
        if memory:
            texts.append(_memory_text(gate, memory))
            value[gate.path] = {"at_mean": memory.at_mean.value, "steps": memory.num_steps}
            value[gate.path]["median"] = _quartiles(memory.half_lives)[0]
    if texts:
        yield Finding("memory", f"Memory half-life by the gates alone: {listed(texts, 2)}", value)
    without = _without_memory(gates, value)
    if without:
        named = "; ".join(f"{escape(path)}: {reason}" for path, reason in without.items())
        yield Finding("no_memory", f"No memory half-life of {named}", list(without))


def _without_memory(gates: Sequence[Signal], known: Mapping[str, Any]) -> dict[str, str]:
    """Return the cells without a half-life, and why."""
    keeping = {gate.path for gate in memory_gates(gates)}
    found = {}
    for signal in gates:
        if signal.path in keeping:
            reason = "its gate has values outside of [0, 1]" if signal.num_values else "no step"
        else:
            reason = (
                f"{escape(signal.kind)} has no gate that scales its state, as far as is known here"
            )
        if signal.path not in known:
            found[signal.path] = reason
    return found


def _memory_text(gate: Signal, memory: Memory) -> str:
    at_mean = _steps_text(memory.at_mean.value)
    if memory.at_mean.interval:
        at_mean += " [{}, {}]".format(*map(_steps_text, memory.at_mean.interval))
    spread = ""
    if gate.num_units > 1:
        longest = int(memory.half_lives.argmax())
        spread = (
            f", {_steps_text(_quartiles(memory.half_lives)[0])} in the median unit, "
            f"{_steps_text(memory.half_lives[longest])} in the longest (unit {longest})"
        )
    mean = "at the mean over all units" if spread else "at its mean"
    return f"{name_of(gate)} {at_mean} steps {mean}{spread}, of {memory.num_steps:.3g}"


def _steps_text(steps: float) -> str:
    return f"{steps:.3g}" if np.isfinite(steps) else "endless"
