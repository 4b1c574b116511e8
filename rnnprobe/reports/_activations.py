"""What the layers of a model return, as tables and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnnprobe.inspection.reading import Reading
from rnnprobe.inspection.signals import Signal
from rnnprobe.reports._common import counted
from rnnprobe.reports._signals import (
    UNIT_COLUMNS,
    dead_finding,
    listed,
    name_of,
    notes,
    num_dead,
    share_text,
    side_cells,
    unit_rows,
    with_interval,
)
from rnnprobe.table import Column, Finding, Table, interval_columns

LEFT_OUT = frozenset({"activations_by_unit"})
"""The keys of tables that Markdown leaves out."""

_COLUMNS = (
    Column("layer", "layer"),
    Column("kind", "kind"),
    Column("what", "what"),
    Column("units", "units", "integer"),
    *interval_columns("mean", "mean"),
    Column("variance", "variance", "decimal", 3),
    *interval_columns("zeros", "zeros"),
    *interval_columns("left", "saturated left"),
    *interval_columns("right", "saturated right"),
    Column("dead", "dead units", "integer"),
)


def activations_tables(reading: Reading) -> dict[str, Table]:
    """Return what each layer returns, over all units and, for JSON, unit by unit (`LEFT_OUT`).

    Args:
        reading: What `read_signals` returned.
    """
    by_unit = (
        (signal.path, signal.name, *row) for signal in reading.outputs for row in unit_rows(signal)
    )
    return {
        "activations": Table(
            _COLUMNS,
            tuple(_row(signal) for signal in reading.outputs),
            "Activations by layer: over all units, counted steps and examples",
        ),
        "activations_by_unit": Table(
            (Column("layer", "layer"), Column("what", "what"), *UNIT_COLUMNS),
            tuple(by_unit),
            "Activations by unit",
        ),
    }


def _row(signal: Signal) -> tuple[Any, ...]:
    return (
        signal.path,
        signal.kind,
        signal.name,
        signal.num_units,
        *with_interval(signal.estimate("mean")),
        signal.estimate("variance").value,
        *with_interval(signal.estimate("zeros")),
        *side_cells(signal),
        num_dead(signal),
    )


def activations_findings(reading: Reading) -> tuple[Finding, ...]:
    """Return the sentences on what the layers return; which were left out is said elsewhere.

    Args:
        reading: What `read_signals` returned.
    """
    outputs = reading.outputs
    if not outputs:
        return (Finding("no_activations", "No layer's output was looked at", 0),)
    found = (
        _saturated_finding(outputs),
        _zeros_finding(outputs),
        dead_finding(outputs, "activations_dead"),
    )
    return tuple(finding for finding in found if finding is not None)


def activations_note(readings: Sequence[Reading]) -> str:
    """Return how tables and sentences are to be read, those of one model or of several."""
    return notes([one for reading in readings for one in reading.outputs])


def _saturated_finding(outputs: Sequence[Signal]) -> Finding | None:
    limited = [one for one in outputs if one.limits is not None and one.num_values]
    if not limited:
        return None
    shares = {id(one): one.estimate("saturated") for one in limited}
    limited.sort(key=lambda one: -shares[id(one)].value)
    texts = [f"{name_of(one)} {share_text(shares[id(one)])}" for one in limited]
    sentence = f"Saturated, share of the values: {listed(texts)}"
    value = {f"{one.path} {one.name}": shares[id(one)].value for one in limited}
    return Finding("activations_saturated", sentence, value)


def _zeros_finding(outputs: Sequence[Signal]) -> Finding | None:
    """Say where values are exactly 0, as a ReLU makes them; the table has all shares."""
    shares = {id(one): one.estimate("zeros") for one in outputs}
    found = [one for one in outputs if shares[id(one)].value > 0]
    if not found:
        return None
    found.sort(key=lambda one: -shares[id(one)].value)
    texts = []
    for one in found:
        never = int((one.units().zeros == 1).sum())
        always = f" ({counted(never, 'unit')} always)" if never else ""
        texts.append(f"{name_of(one)} {share_text(shares[id(one)])}{always}")
    value = {f"{one.path} {one.name}": shares[id(one)].value for one in found}
    return Finding("activations_zeros", f"Exactly 0, share of the values: {listed(texts)}", value)
