"""The report of `rnnprobe harden`."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rnnprobe._versions import made_by
from rnnprobe.hardening.arms import AdversarialExamples
from rnnprobe.hardening.evaluation import COLUMNS, Measured
from rnnprobe.hardening.experiment import CONTROL, Hardening
from rnnprobe.paired import Paired, compare_paired
from rnnprobe.records import SequenceDataset
from rnnprobe.reports._common import counted, data_phrase
from rnnprobe.statistics import wilson_interval
from rnnprobe.table import Column, Finding, Report, Table, escape

_TITLES = ("clean accuracy", "robust: stale", "robust: fresh", "robust: adaptive")
# Below these gaps, and of so few examples, it is no news that one attack finds what another missed.
_LEAST_GAP, _LEAST_EXAMPLES = 0.02, 5
# An arm that keeps so much under its own attack, and so small a part of that under PGD's.
_LEAST_OWN, _OVERFITTED = 0.2, 0.25

_Row = tuple[Measured, ...]


def harden_report(
    found: Hardening, dataset: SequenceDataset, *, title: str, model_file: str | None = None
) -> Report:
    """Return the accuracy of each model under each attack, and whether the training helped.

    Args:
        found: What `harden` found.
        dataset: The data it was found on.
        title: The model's name, Markdown.
        model_file: Where the last arm's model was saved; None where it was not.
    """
    rows = _rows(found)
    total, budget = len(found.before.clean), found.budget
    repeats = len(found.arms[CONTROL])
    findings = [
        *_verdicts(found),
        *(finding for row in rows for finding in _warnings(row)),
        *_settings(found, repeats),
    ]
    if model_file is not None:
        name = list(found.arms)[-1]
        sentence = f"Model: {escape(model_file)}, of the arm {name}" + ", repeat 1" * (repeats > 1)
        findings.append(Finding("model", sentence, model_file))
    return Report(
        command="harden",
        caption=(
            f"**Harden** {title} on {data_phrase(dataset)}, test part (n = {total:,}), "
            f"{budget.norm}, epsilon {budget.epsilon:g}, seed {found.schedule.seed}: share right, "
            "as it is and under attack by examples made against the model before (stale), by PGD "
            "on the model itself (fresh), and by the worst of these and stronger ones that know "
            f"the defence (adaptive){', with 95 % intervals' if repeats == 1 else ''}"
        ),
        main=_main_table(rows),
        shown=_shown_table(rows),
        findings=tuple(findings),
        made_by=made_by(),
        facts={"digest": dataset.digest, "repeats": _facts(rows)},
    )


def _rows(found: Hardening) -> list[_Row]:
    """Return the table's rows in order, each with one measurement a repeat."""
    threshold = [(found.threshold,)] if found.threshold is not None else []
    return [(found.before,), *found.arms.values(), *threshold]


def _main_table(rows: list[_Row]) -> Table:
    columns = [
        Column("model", "model"),
        Column("repeats", "repeats", "integer"),
        Column("examples", "examples", "integer"),
    ]
    for name, title in zip(COLUMNS, _TITLES, strict=True):
        columns.append(Column(name, title, "decimal"))
        columns += [Column(f"{name}_{part}", part, "decimal") for part in ("low", "high", "sd")]
    cells = []
    for row in rows:
        cell: list[Any] = [row[0].name, len(row), len(row[0].clean)]
        for name in COLUMNS:
            cell += _numbers(row, name)
        cells.append(tuple(cell))
    return Table(tuple(columns), tuple(cells))


def _numbers(row: _Row, column: str) -> list[float | None]:
    """Return mean, Wilson interval of one model, and standard deviation of several."""
    shares = [one.share(column) for one in row]
    if len(row) > 1:
        return [float(np.mean(shares)), None, None, float(np.std(shares, ddof=1))]
    hits = getattr(row[0], column)
    return [shares[0], *wilson_interval(int(hits.sum()), len(hits)), None]


def _shown_table(rows: list[_Row]) -> Table:
    columns = [Column("model", "model")]
    columns += [
        Column(name, title, "markdown") for name, title in zip(COLUMNS, _TITLES, strict=True)
    ]
    cells = [(row[0].name, *(_cell(row, name) for name in COLUMNS)) for row in rows]
    return Table(tuple(columns), tuple(cells))


def _cell(row: _Row, column: str) -> str:
    mean, low, high, deviation = _numbers(row, column)
    if deviation is not None:
        return f"{mean:.4f} ± {deviation:.4f} (n = {len(row)})"
    return f"{mean:.4f} [{low:.3f}, {high:.3f}]"


def _verdicts(found: Hardening) -> list[Finding]:
    """Say of each arm whether it helped, and what it cost, beside the control."""
    findings = []
    control = found.arms[CONTROL]
    for name in found.sources:
        arm = found.arms[name]
        findings.append(_robustness(f"helped_{name}", name, arm, control, "the control's"))
        findings.append(_cost(f"clean_{name}", name, arm, control))
    if found.threshold is not None:
        arm, before = (found.threshold,), (found.before,)
        whose = "that of the model without it"
        findings.append(_robustness("helped_threshold", "the input threshold", arm, before, whose))
    return findings


def _robustness(key: str, name: str, arm: _Row, other: _Row, whose: str) -> Finding:
    paired = compare_paired(*([one.adaptive for one in row] for row in (arm, other)))
    said = {1: "**helped**", 0: "**did not help** measurably", -1: "**did harm**"}[paired.sign]
    lead = f"{name} {said}: adaptive robust accuracy less {whose}"
    return _paired_finding(key, lead, paired, arm, other)


def _cost(key: str, name: str, arm: _Row, control: _Row) -> Finding:
    paired = compare_paired(*([one.clean for one in row] for row in (arm, control)))
    said = {1: "gained clean accuracy", 0: "cost no clean accuracy that could be measured"}
    lead = f"{name} {said.get(paired.sign, 'cost clean accuracy')}: less the control's"
    return _paired_finding(key, lead, paired, arm, control)


def _paired_finding(key: str, lead: str, paired: Paired, arm: _Row, other: _Row) -> Finding:
    repeats = len(arm)
    interval = f"{paired.difference:+.4f} [{paired.low:+.4f}, {paired.high:+.4f}]"
    if repeats > 1:
        test = f", paired t test over {repeats} repeats, p = {paired.p_value:.2g}"
    else:
        only = counted(paired.gained, "example")
        test = (
            f", {only} right with {arm[0].name} alone, {paired.lost:,} with {other[0].name} alone, "
            f"exact McNemar test, p = {paired.p_value:.2g}"
        )
    value = {**paired._asdict(), "sign": paired.sign}
    return Finding(key, f"{lead} {interval}{test}", value)


def _warnings(row: _Row) -> list[Finding]:
    """Say where an easier attack flatters: a masked gradient, stale examples, overfitting."""
    means = {name: float(np.mean([one.share(name) for one in row])) for name in COLUMNS}
    name, adaptive, findings = row[0].name, means["adaptive"], []
    key = name.replace(" + ", "_").replace(" ", "_")
    for column, reason in (
        ("fresh", "its gradient misses what other attacks find"),
        ("stale", "examples made against the model before no longer fit this one"),
    ):
        gap = means[column] - adaptive
        enough = round(gap * len(row[0].clean) * len(row)) >= _LEAST_EXAMPLES
        if name != "before" and gap > _LEAST_GAP and enough:
            sentence = (
                f"{name}: {column} says {means[column]:.4f}, adaptive {adaptive:.4f}; do not "
                f"believe the former, {reason}"
            )
            value = {column: means[column], "adaptive": adaptive}
            findings.append(Finding(f"{column}_flatters_{key}", sentence, value))
    own = [one.own for one in row if one.own is not None]
    if own and np.mean(own) > _LEAST_OWN and means["fresh"] < np.mean(own) * _OVERFITTED:
        sentence = (
            f"{name}: it resists the attack it was trained on ({np.mean(own):.4f}) and not PGD "
            f"({means['fresh']:.4f}): catastrophic overfitting"
        )
        value = {"own": float(np.mean(own)), "fresh": means["fresh"]}
        findings.append(Finding(f"overfitted_{key}", sentence, value))
    return findings


def _settings(found: Hardening, repeats: int) -> list[Finding]:
    schedule, attacks = found.schedule, found.attacks
    training = {
        name: _settings_of(source.attack)
        for name, source in found.sources.items()
        if isinstance(source, AdversarialExamples)
    }
    trained = (
        f"Trained: {counted(found.num_updates, 'update')} of {schedule.batch_size} examples an "
        f"arm, Adam, learning rate {schedule.learning_rate:g}, {counted(repeats, 'repeat')}; from "
        "the weights before, on the same batches in the same order, the control on them as they "
        "are, "
        + ", ".join(f"{name} on fresh `{text}`" for name, text in training.items())
        + "; p-values are not adjusted for several arms" * (len(training) > 1)
        + "; a step size is a share of epsilon, of each attack the point of largest loss is kept"
    )
    used = {name: _settings_of(getattr(attacks, name)) for name in vars(attacks)}
    attacked = (
        f"Attacked: stale by `{used['stale']}` against the model before; fresh by "
        f"`{used['fresh']}` by the row's true gradient; adaptive is the worst case of stale, "
        f"fresh, `{used['gradient']}`, which passes the threshold straight through, and "
        f"`{used['search']}`; an example that is wrong as it is counts as not "
        "robust, and a stronger attack may find more; intervals are of 95 %"
    )
    value = {"updates": found.num_updates, "repeats": repeats, "arms": training}
    findings = [
        Finding("trained", trained, {**value, **dataclasses.asdict(schedule)}),
        Finding("attacked", attacked, {**used, **dataclasses.asdict(found.budget)}),
    ]
    if found.threshold is None:
        sentence = "The input threshold was left out: the values have no finite bounds"
        findings.append(Finding("no_threshold", sentence, True))
    return findings


def _settings_of(attack: Any) -> str:
    """Return an attack as it would be written in Python, without its defaults and its seed."""
    given = [
        f"{field.name}={getattr(attack, field.name)!r}"
        for field in dataclasses.fields(attack)
        if field.name in ("steps", "queries")
        or (field.name != "seed" and getattr(attack, field.name) != field.default)
    ]
    return f"{type(attack).__name__}({', '.join(given)})"


def _facts(rows: list[_Row]) -> list[dict[str, Any]]:
    return [
        {
            "model": one.name,
            "repeat": repeat,
            **{name: one.share(name) for name in COLUMNS},
            "broken_by": dict(one.broken_by),
            "own": one.own,
        }
        for row in rows
        for repeat, one in enumerate(row, start=1)
    ]
