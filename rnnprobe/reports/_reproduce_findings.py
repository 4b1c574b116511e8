"""What may be said of a reproduction, in sentences."""

from __future__ import annotations

import shlex
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from rnnprobe.datasets import DATASETS
from rnnprobe.experiments._reproduce import Reproduction
from rnnprobe.experiments._verdicts import FEWEST, CellVerdict, Comparison, twin_value
from rnnprobe.reports._common import counted, resume_command
from rnnprobe.reports._reproduce_cost import duration_text
from rnnprobe.reports._reproduce_splits import splits_findings
from rnnprobe.reports._reproduce_tables import distance, size_text
from rnnprobe.reports._reproduce_texts import (
    compared,
    measure_phrase,
    quick_look,
    some_of,
    tolerance_text,
)
from rnnprobe.table import Finding, escape

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
    "DNF in part": ("finished here in part of its runs", "finished here in part of their runs"),
    "DNF there": ("finished here and not in the report", "finished here and not in the report"),
}


def reproduce_findings(reproduction: Reproduction) -> tuple[Finding, ...]:
    """Return the sentences of a whole reproduction or a broken one."""
    steps: Sequence[Callable[[Reproduction], list[Finding]]] = (
        _quick_look_findings,
        _agreement_findings,
        _distance_findings,
        _twin_findings,
        splits_findings,
        _left_out_findings,
        _missing_findings,
        _dead_findings,
        _noise_findings,
        _time_findings,
        _again_findings,
    )
    return tuple(finding for step in steps for finding in step(reproduction))


def _quick_look_findings(reproduction: Reproduction) -> list[Finding]:
    told = quick_look(reproduction)
    return [Finding("quick_look", f"**{told[0].upper()}{told[1:]}**", told)] if told else []


def _agreement_findings(reproduction: Reproduction) -> list[Finding]:
    measure = reproduction.plan.experiment.measures[0]
    counts = Counter(one.verdict for one in compared(reproduction, measure))
    del counts["–"]
    if not counts:
        sentence = "Nothing is compared yet: no cell with a published value has a run"
        return [Finding("agreement", sentence, {})]
    told = [
        f"{counts[verdict]} {forms[counts[verdict] > 1].format(tolerance_text(measure))}"
        for verdict, forms in _KINDS.items()
        if counts[verdict]
    ]
    cells = counted(counts.total(), "published cell")
    sentence = f"Of {cells} compared in {measure_phrase(measure)}: {', '.join(told)}"
    return [Finding("agreement", sentence, dict(counts))]


def _distance_findings(reproduction: Reproduction) -> list[Finding]:
    measure = reproduction.plan.experiment.measures[0]
    references = [(one, one.published) for one in compared(reproduction, measure)]
    return _far_findings("distance", "Measured less published", references)


def _twin_findings(reproduction: Reproduction) -> list[Finding]:
    """Compare with the mean of two reports, where they agree with each other."""
    experiment = reproduction.plan.experiment
    measure, references = experiment.measures[0], []
    for one in compared(reproduction, measure):
        other = twin_value(experiment, one.measured, measure)
        if other is not None and one.published is not None:
            references.append((one, (other + one.published) / 2))
    lead = f"Measured less the mean of two reports that agree within {tolerance_text(measure)}"
    return _far_findings("twin", lead, references)


def _far_findings(
    key: str, lead: str, references: Sequence[tuple[Comparison, float | None]]
) -> list[Finding]:
    """Say how far cells are from these values: on average, and the furthest."""
    sizes = [(distance(one, reference), one) for one, reference in references]
    found = [(size, one) for size, one in sizes if size is not None]
    if not found:
        return []
    largest, where = max(found, key=lambda item: item[0])
    mean = statistics.fmean(size for size, _ in found)
    cell, measure = where.measured.cell, where.measure
    told = f"{size_text(largest, measure)} in size"
    if len(found) > 1:
        told = (
            f"mean absolute difference {size_text(mean, measure)} over the {len(found)} cells that "
            f"can be compared, at most {size_text(largest, measure)}"
        )
    value = {"mean": mean, "largest": largest, "cells": len(found), "cell": dict(cell.settings)}
    return [Finding(key, f"{lead}: {told} ({escape(cell.label())})", value)]


def _left_out_findings(reproduction: Reproduction) -> list[Finding]:
    left, plan = reproduction.left_out, reproduction.plan
    if not left:
        return []
    conditions = escape(", ".join(map(str, plan.limits)))
    cells = counted(len(plan.experiment.cells), "cell")
    sentence = f"Left out by the limit {conditions}: {len(left)} of {cells} "
    sentence += f"({escape(some_of([cell.label() for cell in left]))})"
    return [Finding("left_out", sentence, [dict(cell.settings) for cell in left])]


def _missing_findings(reproduction: Reproduction) -> list[Finding]:
    findings = []
    missing = reproduction.plan.num_runs - len(reproduction.runs)
    if missing:
        runs = counted(reproduction.plan.num_runs, "run")
        sentence = f"Not complete: {missing:,} of {runs} are missing; cells without any show a dash"
        if reproduction.folder is not None:
            command = escape(resume_command("reproduce", reproduction.folder))
            sentence += f"; to make them: {command}"
        findings.append(Finding("missing", sentence, missing))
    if reproduction.unreadable:
        lines = counted(reproduction.unreadable, "line")
        sentence = f"The run folder has {lines} that cannot be read; their runs count as missing"
        findings.append(Finding("unreadable", sentence, reproduction.unreadable))
    if reproduction.missing_models:
        gone = counted(reproduction.missing_models, "run")
        sentence = f"The saved model of {gone} is gone, so what layers return is missing there"
        findings.append(Finding("missing_models", sentence, reproduction.missing_models))
    return findings


def _dead_findings(reproduction: Reproduction) -> list[Finding]:
    dead = [run for run in reproduction.runs if run.status != "ok"]
    if not dead:
        return []
    reasons = Counter(run.message.partition(":")[0] for run in dead)
    listed = ", ".join(f"{escape(reason)} {times}" for reason, times in sorted(reasons.items()))
    measured = [one for part in reproduction.parts for one in part.cells]
    labels = {one.cell.label(): None for one in measured if len(one.finished) < len(one.runs)}
    sentence = (
        f"Did not finish: {len(dead)} of {counted(len(reproduction.runs), 'run')} ({listed}), in "
        f"{escape(some_of(list(labels)))}"
    )
    return [Finding("did_not_finish", sentence, dict(reasons))]


def _noise_findings(reproduction: Reproduction) -> list[Finding]:
    repeats = reproduction.plan.repeats
    if repeats >= FEWEST:
        return []
    sentence = (
        f"{counted(repeats, 'run')} a cell: verdicts of cells know the noise of the examples and "
        f"not that of seeds; `--repeats {FEWEST}` measures it"
    )
    return [Finding("few_runs", sentence, repeats)]


def _time_findings(reproduction: Reproduction) -> list[Finding]:
    runs = reproduction.runs
    if not runs:
        return []
    seconds = [run.seconds for run in runs]
    sentence = f"Time: {duration_text(sum(seconds))} of training in {counted(len(runs), 'run')}"
    if len(runs) > 1:
        sentence += f", {duration_text(min(seconds))} to {duration_text(max(seconds))} each"
    sentence += "; runs may have shared the machine"
    return [Finding("seconds", sentence, sum(seconds))]


def _again_findings(reproduction: Reproduction) -> list[Finding]:
    plan = reproduction.plan
    words = ["rnnprobe", "reproduce", plan.experiment.name]
    if plan.limits:
        words += ["--limit", ",".join(map(str, plan.limits))]
    if plan.repeats > 1:
        words += ["--repeats", str(plan.repeats)]
    if plan.seed:
        words += ["--seed", str(plan.seed)]
    if plan.limit_examples is not None:
        words += ["--limit-examples", str(plan.limit_examples)]
    if plan.data is not None:
        words += ["--data", plan.data if plan.data in DATASETS else Path(plan.data).name]
    again = shlex.join(words)
    return [Finding("again", f"The same again: `{again}`", again)]
