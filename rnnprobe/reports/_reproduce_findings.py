"""What may be said of a reproduction, in sentences."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence

from rnnprobe.experiments._record import Cell, Experiment, setting_text
from rnnprobe.experiments._reproduce import Reproduction
from rnnprobe.experiments._verdicts import CellVerdict, Comparison, twin_value
from rnnprobe.reports._common import counted
from rnnprobe.reports._reproduce_splits import splits_findings
from rnnprobe.reports._reproduce_tables import distance, size_text
from rnnprobe.reports._reproduce_texts import (
    axes_of,
    compared,
    measure_phrase,
    number,
    setting_of,
    tolerance_text,
)
from rnnprobe.table import Finding, escape

_LISTED = 6
_KINDS: dict[CellVerdict, tuple[str, str]] = {
    "agrees": ("agrees within {}", "agree within {}"),
    "within noise": ("is off by more, but within noise", "are off by more, but within noise"),
    "differs": ("differs", "differ"),
    "unstable": (
        "is unstable (two reports differ there themselves)",
        "are unstable (two reports differ there themselves)",
    ),
    "DNF in both": ("finished in neither", "finished in neither"),
    "DNF here": ("did not finish here", "did not finish here"),
    "DNF there": ("finished here and not in the report", "finished here and not in the report"),
}


def reproduce_findings(reproduction: Reproduction) -> tuple[Finding, ...]:
    """Return the sentences of a whole reproduction or a broken one."""
    first = reproduction.plan.experiment.measures[0]
    comparisons = compared(reproduction, first)
    steps: Sequence[Callable[[Reproduction], list[Finding]]] = (
        splits_findings,
        _left_out_findings,
        _missing_findings,
        _dead_findings,
        _noise_findings,
        _time_findings,
    )
    return (
        *_agreement_findings(comparisons),
        *_distance_findings(comparisons),
        *_twin_findings(reproduction.plan.experiment, comparisons),
        *(finding for step in steps for finding in step(reproduction)),
    )


def _agreement_findings(comparisons: Sequence[Comparison]) -> list[Finding]:
    counts: Counter[CellVerdict] = Counter(one.verdict for one in comparisons if one.verdict != "–")
    measure = comparisons[0].measure
    total = sum(counts.values())
    if not total:
        sentence = "Nothing is compared yet: no cell with a published value has a run"
        return [Finding("agreement", sentence, {})]
    told = [
        f"{counts[verdict]} {forms[counts[verdict] > 1].format(tolerance_text(measure))}"
        for verdict, forms in _KINDS.items()
        if counts[verdict]
    ]
    cells = counted(total, "published cell")
    sentence = f"Of {cells} compared in {measure_phrase(measure)}: {', '.join(told)}"
    return [Finding("agreement", sentence, dict(counts))]


def _distance_findings(comparisons: Sequence[Comparison]) -> list[Finding]:
    found = [(size, one) for one in comparisons if (size := distance(one)) is not None]
    if not found:
        return []
    measure = comparisons[0].measure
    mean = statistics.fmean(size for size, _ in found)
    largest, where = max(found, key=lambda item: item[0])
    cells = f"over the {counted(len(found), 'cell')} that can be compared"
    sentence = (
        f"Measured less published: {size_text(mean, measure)} in size on average {cells}, at most "
        f"{size_text(largest, measure)} ({escape(where.measured.cell.label())})"
    )
    value = {
        "mean": mean,
        "largest": largest,
        "cells": len(found),
        "cell": dict(where.measured.cell.settings),
    }
    return [Finding("distance", sentence, value)]


def _twin_findings(experiment: Experiment, comparisons: Sequence[Comparison]) -> list[Finding]:
    """Compare with the mean of two reports, where they agree with each other."""
    if experiment.twin is None:
        return []
    found, beyond = [], 0
    for one in comparisons:
        other = twin_value(experiment, one.measured, one.measure)
        if other is None or one.published is None:
            continue
        if abs(other - one.published) > one.measure.tolerance:
            beyond += 1
        elif one.mean is not None:
            found.append((abs(one.mean - (other + one.published) / 2), one))
    if not found:
        return []
    measure = comparisons[0].measure
    mean = statistics.fmean(size for size, _ in found)
    largest, where = max(found, key=lambda item: item[0])
    sentence = (
        f"Against the mean of both reports, in the {counted(len(found), 'measured cell')} where "
        f"they agree within {tolerance_text(measure)}: {number(mean, measure)} off on average, at "
        f"most {number(largest, measure)} ({escape(where.measured.cell.label())}); in "
        f"{counted(beyond, 'more cell')} the reports differ from each other by more"
    )
    value = {
        "mean": mean,
        "largest": largest,
        "cells": len(found),
        "cell": dict(where.measured.cell.settings),
        "reports_differ": beyond,
    }
    return [Finding("twin", sentence, value)]


def _left_out_findings(reproduction: Reproduction) -> list[Finding]:
    left, plan = reproduction.left_out, reproduction.plan
    if not left:
        return []
    conditions = escape(", ".join(map(str, plan.limits)))
    sentence = (
        f"Left out by the limit {conditions}: {len(left)} of "
        f"{counted(len(plan.experiment.cells), 'cell')} ({escape(left_out_text(reproduction))})"
    )
    return [Finding("left_out", sentence, [dict(cell.settings) for cell in left])]


def left_out_text(reproduction: Reproduction) -> str:
    """Name the cells that were not to be run: by levels where these tell them all."""
    plan, left = reproduction.plan, reproduction.left_out
    experiment = plan.experiment
    told = []
    covered: set[int] = set()
    for name in axes_of(experiment):
        kept = {setting_of(experiment, cell, name) for cell in plan.cells}
        gone = [cell for cell in left if setting_of(experiment, cell, name) not in kept]
        levels = dict.fromkeys(setting_of(experiment, cell, name) for cell in gone)
        if levels and not {id(cell) for cell in gone} <= covered:
            covered |= {id(cell) for cell in gone}
            texts = ("none" if level is None else setting_text(level) for level in levels)
            told.append(f"{name.replace('_', ' ')} {', '.join(texts)}")
    rest = [cell for cell in left if id(cell) not in covered]
    return "; ".join([*told, *([_listed(rest)] if rest else [])])


def _listed(cells: Sequence[Cell]) -> str:
    more = f"; and {len(cells) - _LISTED} more" if len(cells) > _LISTED else ""
    return "; ".join(cell.label() for cell in cells[:_LISTED]) + more


def _missing_findings(reproduction: Reproduction) -> list[Finding]:
    findings = []
    missing = reproduction.plan.num_runs - len(reproduction.runs)
    if missing:
        sentence = (
            f"Not complete: {missing:,} of {counted(reproduction.plan.num_runs, 'run')} are "
            "missing; cells without any show a dash"
        )
        if reproduction.folder is not None:
            sentence += ", and the same command with `--resume` makes them"
        findings.append(Finding("missing", sentence, missing))
    if reproduction.unreadable:
        lines = counted(reproduction.unreadable, "line")
        sentence = f"The run folder has {lines} that cannot be read; their runs count as missing"
        findings.append(Finding("unreadable", sentence, reproduction.unreadable))
    return findings


def _dead_findings(reproduction: Reproduction) -> list[Finding]:
    dead = [run for run in reproduction.runs if run.status != "ok"]
    if not dead:
        return []
    reasons = Counter(run.message.partition(":")[0] for run in dead)
    listed = ", ".join(f"{escape(reason)} {times}" for reason, times in sorted(reasons.items()))
    cells = list(
        {
            id(one.cell): one.cell
            for part in reproduction.parts
            for one in part.cells
            if len(one.finished) < len(one.runs)
        }.values()
    )
    sentence = (
        f"Did not finish: {len(dead)} of {counted(len(reproduction.runs), 'run')} ({listed}), in "
        f"{escape(_listed(cells))}"
    )
    return [Finding("did_not_finish", sentence, dict(reasons))]


def _noise_findings(reproduction: Reproduction) -> list[Finding]:
    if reproduction.plan.repeats > 1:
        return []
    sentence = (
        "One run a cell: no verdict knows the noise of seeds, and that of the examples is all that "
        "they know; `--repeats 3` measures it"
    )
    return [Finding("one_run", sentence, True)]


def _time_findings(reproduction: Reproduction) -> list[Finding]:
    runs = reproduction.runs
    if not runs:
        return []
    seconds = [run.seconds for run in runs]
    sentence = f"Time: {_duration(sum(seconds))} of training in {counted(len(runs), 'run')}"
    if len(runs) > 1:
        sentence += f", {_duration(min(seconds))} to {_duration(max(seconds))} each"
    sentence += "; runs may have shared the machine"
    return [Finding("seconds", sentence, sum(seconds))]


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds:,.0f} s" if seconds < 6000 else f"{seconds / 3600:.1f} h"
