"""The report of `rnnprobe attack`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnnprobe._versions import made_by
from rnnprobe.attacks._inquiry import Check
from rnnprobe.attacks._run import Robustness, settings_of
from rnnprobe.attacks._study import AttackStudy
from rnnprobe.records import Array, SequenceDataset
from rnnprobe.reports._attack_tables import flip_finding, pair_tables, time_tables
from rnnprobe.reports._common import accuracy_finding, counted, data_phrase
from rnnprobe.statistics import wilson_interval
from rnnprobe.table import Column, Finding, Report, Table, escape

WORST = "worst case"

_COLUMNS = (
    Column("norm", "norm"),
    Column("attack", "attack"),
    Column("epsilon", "epsilon", "general"),
    Column("examples", "examples", "integer"),
    Column("attacked", "attacked", "integer"),
    Column("fooled", "fooled", "integer"),
    Column("share", "robust accuracy", "decimal"),
    Column("low", "95 % from", "decimal"),
    Column("high", "to", "decimal"),
    Column("median_distance", "median distance", "general"),
    Column("seconds_all_epsilons", "seconds", "decimal", 1),
)
_CHECK_COLUMNS = (
    Column("check", "#", "integer"),
    Column("name", "check"),
    Column("verdict", "verdict"),
    Column("found", "found"),
    Column("examples", "examples"),
)
_SHOWN_EXAMPLES = 5


def attack_report(
    study: AttackStudy, *, title: str, dataset: SequenceDataset, part: str = "test"
) -> Report:
    """Return robust accuracy by attack and radius, the settings, and the checks.

    Args:
        study: What was found.
        title: What was attacked, Markdown.
        dataset: The data.
        part: Its part.
    """
    first = study.outcomes[0]
    targeted = first.targets is not None
    rows = [row for outcome in study.outcomes for row in _rows(outcome)]
    what = "robust accuracy"
    if targeted:
        left_out = len(first.right) - int(first.attacked.sum())
        what = (
            f"share taken for the class it was aimed at, of the {int(first.attacked.sum()):,} that "
            f"were not so by themselves ({left_out} left out),"
        )
    findings = [
        accuracy_finding("accuracy", "Clean accuracy:", int(first.right.sum()), len(first.right)),
        *(_worst_finding(outcome) for outcome in study.outcomes),
        *(_distance_finding(outcome) for outcome in study.outcomes),
        *flip_finding(study),
        *_bounds_finding(study, dataset),
        *(
            _checks_finding(outcome, checks)
            for outcome, checks in zip(study.outcomes, study.checks, strict=True)
        ),
    ]
    tables: dict[str, Table] = {}
    for outcome, checks in zip(study.outcomes, study.checks, strict=True):
        norm = outcome.budgets[0].norm
        tables[f"checks_{norm}"] = _checks_table(checks, norm, several=len(study.outcomes) > 1)
    time, pairs = time_tables(study), pair_tables(study, dataset)
    settings = {"settings": _settings_table(first)}
    return Report(
        command="attack",
        caption=f"**Attack** on {title}, {data_phrase(dataset)}, {part} part "
        f"(n = {len(study.split):,}): {what} with its 95 % interval",
        main=Table(_columns(targeted), tuple(rows)),
        shown=_pivot(study),
        findings=tuple(findings),
        tables={**time, **pairs, **settings, **tables},
        made_by=made_by(),
        facts={
            "model": title,
            "data": dataset.name,
            "digest": dataset.digest,
            "split": part,
            "num_examples": len(study.split),
            "targeted": targeted,
            "bounds": [first.budgets[0].bounds.lower, first.budgets[0].bounds.upper],
            "attacks": {name: settings_of(attack) for name, attack in first.attacks.items()},
            **_facts(study),
        },
    )


def _columns(targeted: bool) -> tuple[Column, ...]:
    """Return the columns; what is shared out is robust accuracy, or who reaches the target."""
    key = "reached_share" if targeted else "robust_accuracy"
    return tuple(Column(key, c.title, c.kind) if c.key == "share" else c for c in _COLUMNS)


def _facts(study: AttackStudy) -> dict[str, Any]:
    """Return what the tables show in part: every example's fewest steps, and every pair."""
    facts: dict[str, Any] = {}
    if study.time is not None:
        facts["fewest_steps"] = {
            "examples": study.time.rows.tolist(),
            **{curve.placement: curve.least.tolist() for curve in study.time.curves},
        }
    if study.pairs is not None:
        facts["pairs_tried"] = study.pairs.tried.tolist()
        facts["pairs_success"] = study.pairs.success.tolist()
        if study.pairs.median is not None:
            facts["pairs_median"] = study.pairs.median.tolist()
    return facts


def worst_accuracy(outcome: Robustness) -> Array:
    """Return float64 (num_budgets,): the share that is right and stays so under every attack.

    Of targeted attacks, the share of all that is not made to pass for its target.
    """
    if outcome.targets is not None:
        return np.asarray(1 - outcome.worst.mean(axis=1))
    return np.asarray((outcome.right & ~outcome.worst).mean(axis=1))


def _by_attack(outcome: Robustness) -> dict[str, tuple[Array, Array, float | None]]:
    """Return by attack who was fooled, the distances, and the seconds."""
    found: dict[str, tuple[Array, Array, float | None]] = {
        name: (outcome.fooled[name], outcome.nearest[name], outcome.seconds[name])
        for name in outcome.attacks
    }
    if len(found) > 1:
        found[WORST] = (outcome.worst, outcome.worst_nearest, None)
    return found


def _share(outcome: Robustness, fooled: Array) -> tuple[int, int]:
    """Return how many, of how many: those that stay right, or those that pass for the target."""
    if outcome.targets is not None:
        return int(fooled.sum()), int(outcome.attacked.sum())
    return int((outcome.right & ~fooled).sum()), len(fooled)


def _rows(outcome: Robustness) -> list[tuple[Any, ...]]:
    rows = []
    for name, (fooled, nearest, seconds) in _by_attack(outcome).items():
        for index, budget in enumerate(outcome.budgets):
            share, total = _share(outcome, fooled[index])
            low, high = wilson_interval(share, total)
            distances = nearest[fooled[index]]
            rows.append(
                (
                    budget.norm,
                    name,
                    budget.epsilon,
                    len(fooled[index]),
                    int(outcome.attacked.sum()),
                    int(fooled[index].sum()),
                    share / total,
                    low,
                    high,
                    min(float(np.median(distances)), budget.epsilon) if len(distances) else None,
                    seconds,
                )
            )
    return rows


def _pivot(study: AttackStudy) -> Table:
    radii = sorted({b.epsilon for outcome in study.outcomes for b in outcome.budgets})
    several = len(study.outcomes) > 1
    rows = []
    for outcome in study.outcomes:
        budgets = {budget.epsilon: index for index, budget in enumerate(outcome.budgets)}
        for name, (fooled, _, seconds) in _by_attack(outcome).items():
            cells: list[str | None] = []
            for epsilon in radii:
                if epsilon not in budgets:
                    cells.append(None)
                    continue
                share, total = _share(outcome, fooled[budgets[epsilon]])
                low, high = wilson_interval(share, total)
                text = f"{share / total:.4f} [{low:.4f}, {high:.4f}]"
                cells.append(f"**{text}**" if name == WORST else text)
            lead = [outcome.budgets[0].norm] if several else []
            rows.append((*lead, name, *cells, seconds))
    norm = study.outcomes[0].budgets[0].norm
    what = "edits" if norm == "edits" else "epsilon" if several else f"{norm} epsilon"
    columns = (
        *([Column("norm", "norm")] if several else []),
        Column("attack", "attack"),
        *(Column(f"{e:g}", f"{what} {e:g}", "markdown") for e in radii),
        Column("seconds", "seconds", "decimal", 1),
    )
    return Table(columns, tuple(rows))


def _worst_finding(outcome: Robustness) -> Finding:
    norm, parts, values = outcome.budgets[0].norm, [], []
    for index, budget in enumerate(outcome.budgets):
        share, total = _share(outcome, outcome.worst[index])
        low, high = wilson_interval(share, total)
        unit = counted(round(budget.epsilon), "edit") if norm == "edits" else f"{budget.epsilon:g}"
        parts.append(f"{share / total:.4f} [{low:.4f}, {high:.4f}] at {unit}")
        values.append({"epsilon": budget.epsilon, "share": share / total, "low": low, "high": high})
    lead = (
        "Reach their target by any attack"
        if outcome.targets is not None
        else ("Worst case over the attacks, example by example")
    )
    return Finding(f"worst_{norm}", f"{lead} ({norm}): {'; '.join(parts)}", values)


def _distance_finding(outcome: Robustness) -> Finding:
    norm, nearest = outcome.budgets[0].norm, outcome.worst_nearest[outcome.attacked]
    median = float(np.sort(nearest)[len(nearest) // 2])
    found = int(np.isfinite(nearest).sum())
    key = f"median_distance_{norm}"
    if not math.isfinite(median):
        text = f"more than {outcome.budgets[-1].epsilon:g}"
    else:
        text = f"{median:.3g}"
    what = "number of edits" if norm == "edits" else "distance"
    targeted = outcome.targets is not None
    verb, done = ("reached the target", "made to do so") if targeted else ("fooled", "fooled")
    sentence = (
        f"Median {what} that {verb} ({norm}): {text}, over {counted(len(nearest), 'example')}, "
        f"{found:,} of them {done} at all"
    )
    if norm == "edits":
        sentence += _exactness(outcome)
    elif not any(getattr(a, "finds_minimum", False) for a in outcome.attacks.values()):
        sentence += "; add min-norm for the smallest one"
    return Finding(key, sentence, median)


def _exactness(outcome: Robustness) -> str:
    """Return whether what resisted one edit was asked about every single replacement."""
    bounds, most = outcome.budgets[0].bounds, int(outcome.split.lengths.max())
    replacements = most * int(bounds.upper - bounds.lower + 1)
    exhaustive = max(getattr(a, "exhaustive", 0) for a in outcome.attacks.values())
    if exhaustive >= replacements:
        return "; for one edit exact: of what resists, every single replacement was tried"
    return ""


def _bounds_finding(study: AttackStudy, dataset: SequenceDataset) -> list[Finding]:
    """Say that nobody declared the interval of the values, where that is so."""
    bounds = study.outcomes[0].budgets[0].bounds
    if dataset.kind == "tokens" or dataset.image_shape is not None:
        return []
    sentence = (
        f"Attacked values stay in [{bounds.lower:.3g}, {bounds.upper:.3g}], the range of the data: "
        "no other bounds are known"
    )
    return [Finding("bounds", sentence, [bounds.lower, bounds.upper])]


def _checks_finding(outcome: Robustness, checks: tuple[Check, ...]) -> Finding:
    norm = outcome.budgets[0].norm
    verdicts = [check.verdict for check in checks]
    warned = [escape(check.name) for check in checks if check.verdict == "WARN"]
    text = f"Checks of the attacks ({norm}): {verdicts.count('PASS')} PASS"
    text += f", {len(warned)} WARN ({'; '.join(warned)})" if warned else ", 0 WARN"
    text += f", {verdicts.count('n/a')} n/a" if "n/a" in verdicts else ""
    values = {check.name: check.verdict for check in checks}
    return Finding(f"checks_{norm}", text, values)


def _checks_table(checks: tuple[Check, ...], norm: str, *, several: bool) -> Table:
    rows = tuple(
        (number, check.name, check.verdict, check.found, check.examples[:_SHOWN_EXAMPLES] or None)
        for number, check in enumerate(checks, start=1)
    )
    where = f", {norm}" if several else ""
    title = (
        f"Checks of the attacks{where} (on at most 100 examples, at the epsilon where about half "
        "of them fall; one in 100 against it still passes)"
    )
    return Table(_CHECK_COLUMNS, rows, title)


def _settings_table(outcome: Robustness) -> Table:
    rows = []
    for name, attack in outcome.attacks.items():
        settings = settings_of(attack)
        text = "not stated" if settings is None else _settings_text(settings)
        rows.append((name, getattr(attack, "knowledge", "white box"), text or "none"))
    columns = (
        Column("attack", "attack"),
        Column("knowledge", "knowledge"),
        Column("settings", "settings"),
    )
    return Table(columns, tuple(rows), "Settings")


def _settings_text(settings: dict[str, Any]) -> str:
    if settings.get("step_size", 0) is None:
        settings = {**settings, "step_size": f"{2.5 / settings['steps']:g} epsilon"}
    words = {True: "yes", False: "no"}
    return ", ".join(
        f"{name.replace('_', ' ')} {words[value] if isinstance(value, bool) else value}"
        for name, value in settings.items()
    )
