"""The report of `rnnprobe attack` on several models."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rnnprobe._versions import made_by
from rnnprobe.attacks._inquiry import Check
from rnnprobe.attacks._models import ModelRobustness, by_kind
from rnnprobe.records import Budget, SequenceDataset
from rnnprobe.reports._common import counted, data_phrase
from rnnprobe.statistics import Interval, compare_means, holm, wilson_interval
from rnnprobe.table import Column, Finding, Report, Table, escape


def attack_models_report(
    models: Sequence[ModelRobustness],
    budgets: Sequence[Budget],
    checks: Mapping[str, Sequence[Check]],
    *,
    dataset: SequenceDataset,
    attacks: Sequence[str],
    part: str = "test",
) -> Report:
    """Return robust accuracy by model, and by cell over the models of each.

    Args:
        models: At least two.
        budgets: The radii, in rising order.
        checks: The checks of each model's attacks.
        dataset: The data of all.
        attacks: Names of the attacks; the worst case over these is what counts.
        part: The part of the data.
    """
    norm = budgets[0].norm
    median = f"median distance needed ({norm})"
    columns = (
        Column("model", "model"),
        Column("cell", "cell"),
        Column("clean", "clean accuracy", "decimal"),
        *(Column(f"robust_{b.epsilon:g}", _at(b), "decimal") for b in budgets),
        Column("median_distance", median, "general"),
    )
    rows = [(m.name, m.kind, m.clean, *m.robust, _number(m.median)) for m in models]
    warned = {
        name: [c.name for c in found if c.verdict == "WARN"] for name, found in checks.items()
    }
    warned = {name: names for name, names in warned.items() if names}
    text = "; ".join(f"{escape(name)}: {', '.join(names)}" for name, names in warned.items())
    findings = [
        *_differences(models, budgets),
        Finding("checks", f"Checks of the attacks: {text or 'all passed'}", warned),
    ]
    return Report(
        command="attack-models",
        caption=f"**Attack** on {len(models)} models, {data_phrase(dataset)}, {part} part "
        f"(n = {models[0].total:,}): accuracy under the worst of "
        f"{', '.join(map(escape, attacks))}, with 95 % intervals",
        main=Table(columns, tuple(rows)),
        shown=Table(_shown(columns), tuple(_with_intervals(models))),
        findings=tuple(findings),
        tables={"cells": _cells_table(models, budgets)} if _several(models) else {},
        made_by=made_by(),
        facts={"digest": dataset.digest},
    )


def _several(models: Sequence[ModelRobustness]) -> bool:
    return any(len(group) > 1 for group in by_kind(models).values())


def _at(budget: Budget) -> str:
    if budget.norm == "edits":
        return f"after {counted(round(budget.epsilon), 'edit')}"
    return f"{budget.norm} {budget.epsilon:g}"


def _number(value: float | None) -> float | None:
    return float(f"{value:.3g}") if value is not None and math.isfinite(value) else None


def _shown(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    return tuple(Column(c.key, c.title, "markdown") if c.kind == "decimal" else c for c in columns)


def _with_intervals(models: Sequence[ModelRobustness]) -> list[tuple[Any, ...]]:
    rows = []
    for model in models:
        cells = []
        for share in (model.clean, *model.robust):
            low, high = wilson_interval(round(share * model.total), model.total)
            cells.append(f"{share:.4f} [{low:.4f}, {high:.4f}]")
        rows.append((model.name, model.kind, *cells, _number(model.median)))
    return rows


def _cells_table(models: Sequence[ModelRobustness], budgets: Sequence[Budget]) -> Table:
    rows = []
    for kind, group in by_kind(models).items():
        series: list[list[float | None]] = [[m.clean for m in group]]
        series += [[m.robust[index] for m in group] for index in range(len(budgets))]
        series.append([m.median for m in group])
        rows.append((kind, len(group), *map(_mean_text, series)))
    columns = (
        Column("cell", "cell"),
        Column("models", "models", "integer"),
        Column("clean", "clean accuracy", "markdown"),
        *(Column(f"robust_{b.epsilon:g}", _at(b), "markdown") for b in budgets),
        Column("median_distance", "median distance needed", "markdown"),
    )
    return Table(columns, tuple(rows), "By cell: mean ± standard deviation over its models")


def _mean_text(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None and math.isfinite(value)]
    if len(known) < len(values):
        return "–"
    mean = f"{statistics.fmean(known):.4f}"
    return f"{mean} ± {statistics.stdev(known):.4f}" if len(known) > 1 else mean


def _differences(models: Sequence[ModelRobustness], budgets: Sequence[Budget]) -> list[Finding]:
    """Return for each pair of cells the difference at each radius, by Welch's t."""
    groups = by_kind(models)
    if len(groups) < 2:
        return []
    findings, compared = [], []
    for index, budget in enumerate(budgets):
        for first, second in itertools.combinations(groups, 2):
            values = [[m.robust[index] for m in groups[kind]] for kind in (first, second)]
            found = compare_means(*values)
            if found is not None:
                compared.append((budget, first, second, found))
    adjusted = holm([found.p_value for *_, found in compared])
    for (budget, first, second, found), p_value in zip(compared, adjusted, strict=True):
        interval: Interval = found.interval
        verdict = "" if p_value < 0.05 else ", which may be chance"
        sentence = (
            f"{escape(first)} less {escape(second)} at {_at(budget)}: {found.difference:+.4f} "
            f"[{interval.low:+.4f}, {interval.high:+.4f}]{verdict}"
        )
        key = f"{first}_{second}_{budget.epsilon:g}"
        value = {"difference": found.difference, "low": interval.low, "high": interval.high}
        findings.append(Finding(key, sentence, {**value, "p_value": p_value}))
    if not compared:
        text = "One model of a cell says nothing of its seeds: give at least two of each cell"
        return [Finding("differences", text, None)]
    lead = "Differences between cells: Welch's 95 % intervals over the models, Holm's correction"
    return [Finding("differences", lead, len(compared)), *findings]
