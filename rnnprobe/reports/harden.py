"""The report of `rnnprobe harden`."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rnnprobe._versions import made_by
from rnnprobe.datasets._conflicts import split_keys
from rnnprobe.hardening.arms import CONTROL, AdversarialExamples
from rnnprobe.hardening.comparison import Comparison, Row
from rnnprobe.hardening.evaluation import ATTACKED
from rnnprobe.hardening.experiment import THRESHOLD, Hardening
from rnnprobe.records import SequenceDataset
from rnnprobe.reports._common import counted, data_phrase, p_phrase, repeats_findings
from rnnprobe.reports._harden_mistakes import (
    VERDICTS,
    adjusted_text,
    mined_findings,
    mined_tables,
    paired_text,
    pool_phrase,
)
from rnnprobe.statistics import wilson_interval
from rnnprobe.table import Column, Finding, Report, Table, escape

_TITLES = {
    "clean": "clean accuracy",
    "mined": "mistakes of mined pairs",
    "other": "other mistakes",
    "stale": "robust: stale",
    "fresh": "robust: fresh",
    "adaptive": "robust: adaptive",
}
_MEASURES = {"clean": "accuracy", "adaptive": "adaptive robust accuracy"}
# Below these gaps, and of so few examples, it is no news that one attack finds what another missed.
_LEAST_GAP, _LEAST_EXAMPLES = 0.02, 5
# An arm that keeps so much under its own attack, and so small a part of that under PGD's.
_LEAST_OWN, _OVERFITTED = 0.2, 0.25
_ENOUGH = 5  # repeats; the t value of fewer is above 2.7


def harden_report(
    found: Hardening, dataset: SequenceDataset, *, title: str, model_file: str | None = None
) -> Report:
    """Return what each model gets right, under each attack, and whether the training helped.

    Args:
        found: What `harden` found.
        dataset: The data it was found on.
        title: The model's name, Markdown.
        model_file: Where the last arm's model was saved; None where it was not.
    """
    rows = list(found.rows.values())
    compared = found.comparisons()
    findings = [*mined_findings(found, compared), *_verdicts(found, compared)]
    if found.budget is not None:
        judged = (CONTROL, *found.sources, THRESHOLD)
        findings += [one for name in judged for one in _warnings(found.rows.get(name, ()))]
    findings += [*_settings(found), _tests(found, len(compared))]
    findings += repeats_findings(len(set(split_keys(dataset.test))), len(dataset.test))
    if model_file is not None:
        name = list(found.arms)[-1]
        first = ", repeat 1" * (len(found.arms[CONTROL]) > 1)
        sentence = f"Model: {escape(model_file)}, of the arm {name}{first}"
        findings.append(Finding("model", sentence, model_file))
    return Report(
        command="harden",
        caption=_caption(found, dataset, title),
        main=_main_table(rows),
        shown=_shown_table(rows),
        findings=tuple(findings),
        tables={"paired": _paired_table(compared), **mined_tables(found, dataset)},
        made_by=made_by(),
        facts={"digest": dataset.digest, "repeats": _facts(rows)},
    )


def _caption(found: Hardening, dataset: SequenceDataset, title: str) -> str:
    budget, total = found.budget, len(found.before.clean)
    repeats = len(found.arms[CONTROL])
    attacked = "" if budget is None else f"{budget.norm}, epsilon {budget.epsilon:g}, "
    measured = "share right" + (" as it is" if budget is not None else "")
    if found.mined is not None:
        measured += ", share wrong along the pairs of classes mined from the training part"
        measured += ", share wrong otherwise"
    if budget is not None:
        measured += (
            ", and share right under attack by examples made against the model before (stale), by "
            "PGD on the model itself (fresh), and by the worst of these and stronger ones that "
            "know the defence (adaptive)"
        )
    if repeats == 1:
        spread = ", with 95 % intervals"
    else:
        spread = ", mean ± standard deviation over the repeats, of one model a 95 % interval"
    return (
        f"**Harden** {title} on {data_phrase(dataset)}, test part (n = {total:,}), "
        f"{attacked}seed {found.schedule.seed}: {measured}{spread}"
    )


def _titles(rows: list[Row]) -> dict[str, str]:
    titles = {name: _TITLES[name] for name in rows[0][0].columns}
    return titles if "adaptive" in titles else {**titles, "clean": "test accuracy"}


def _main_table(rows: list[Row]) -> Table:
    columns = [
        Column("model", "model"),
        Column("repeats", "repeats", "integer"),
        Column("examples", "examples", "integer"),
    ]
    for name, title in _titles(rows).items():
        columns.append(Column(name, title, "decimal"))
        columns += [Column(f"{name}_{part}", part, "decimal") for part in ("low", "high", "sd")]
    cells = []
    for row in rows:
        cell: list[Any] = [row[0].name, len(row), len(row[0].clean)]
        for name in row[0].columns:
            cell += _numbers(row, name)
        cells.append(tuple(cell))
    return Table(tuple(columns), tuple(cells))


def _numbers(row: Row, column: str) -> list[float | None]:
    """Return mean, Wilson interval of one model, and standard deviation of several."""
    shares = [one.share(column) for one in row]
    if len(row) > 1:
        return [float(np.mean(shares)), None, None, float(np.std(shares, ddof=1))]
    hits = row[0].hits(column)
    return [shares[0], *wilson_interval(int(hits.sum()), len(hits)), None]


def _shown_table(rows: list[Row]) -> Table:
    titles = _titles(rows)
    columns = [Column("model", "model")]
    columns += [Column(name, title, "markdown") for name, title in titles.items()]
    cells = [(row[0].name, *(_cell(row, name) for name in titles)) for row in rows]
    return Table(tuple(columns), tuple(cells))


def _cell(row: Row, column: str) -> str:
    mean, low, high, deviation = _numbers(row, column)
    if deviation is not None:
        return f"{mean:.4f} ± {deviation:.4f} (n = {len(row)})"
    return f"{mean:.4f} [{low:.3f}, {high:.3f}]"


def _paired_table(compared: tuple[Comparison, ...]) -> Table:
    columns = (
        Column("first", "first"),
        Column("second", "second"),
        Column("measure", "measure"),
        Column("difference", "first less second", "decimal"),
        Column("low", "95 % from", "decimal"),
        Column("high", "to", "decimal"),
        Column("test", "test"),
        Column("p_value", "p", "p_value"),
        Column("p_holm", "p (Holm)", "p_value"),
        Column("verdict", "first is"),
    )
    said = {1: "better", 0: "not measurably different", -1: "worse"}
    rows = tuple(
        (
            one.first,
            one.second,
            _MEASURES[one.measure],
            *one.paired[:3],
            one.paired.test,
            one.paired.p_value,
            one.p_holm,
            said[one.sign],
        )
        for one in compared
    )
    return Table(columns, rows, "Paired comparisons")


def _verdicts(found: Hardening, compared: tuple[Comparison, ...]) -> list[Finding]:
    """Say of each adversarial arm whether it helped, and what it cost, beside the control."""
    repeats, findings = len(found.arms[CONTROL]), []
    for one in compared:
        if one.first == THRESHOLD:
            lead = f"the input threshold {VERDICTS[one.sign]}: adaptive robust accuracy less "
            lead += "that of the model without it"
            findings.append(_paired_finding("helped_threshold", lead, one, 1))
        elif one.first in found.sources and one.measure == "adaptive":
            lead = f"{one.first} {VERDICTS[one.sign]}: adaptive robust accuracy less the control's"
            findings.append(_paired_finding(f"helped_{one.first}", lead, one, repeats))
        elif one.first in found.sources:
            said = {1: "gained clean accuracy", -1: "cost clean accuracy"}
            cost = said.get(one.sign, "cost no clean accuracy that could be measured")
            lead = f"{one.first} {cost}: less the control's"
            findings.append(_paired_finding(f"clean_{one.first}", lead, one, repeats))
    return findings


def _paired_finding(key: str, lead: str, one: Comparison, repeats: int) -> Finding:
    paired = one.paired
    test = f", {paired.test}, {p_phrase(paired.p_value)}"
    if repeats == 1:
        only = counted(paired.gained, "example")
        alone = f", {only} right with {one.first} alone, {paired.lost:,} with {one.second} alone"
        test = alone + test
    value = {**paired._asdict(), "p_holm": one.p_holm, "sign": one.sign}
    return Finding(key, f"{lead} {paired_text(paired)}{test}, {adjusted_text(one)}", value)


def _warnings(row: Row) -> list[Finding]:
    """Say where an easier attack flatters: a masked gradient, stale examples, overfitting."""
    if not row:
        return []
    means = {name: float(np.mean([one.share(name) for one in row])) for name in ATTACKED}
    name, adaptive, findings = row[0].name, means["adaptive"], []
    key = name.replace(" + ", "_").replace(" ", "_")
    for column, reason in (
        ("fresh", "its gradient misses what other attacks find"),
        ("stale", "examples made against the model before no longer fit this one"),
    ):
        gap = means[column] - adaptive
        enough = round(gap * len(row[0].clean) * len(row)) >= _LEAST_EXAMPLES
        if gap > _LEAST_GAP and enough:
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


def _settings(found: Hardening) -> list[Finding]:
    schedule, repeats = found.schedule, len(found.arms[CONTROL])
    training = {
        name: _settings_of(source.attack)
        for name, source in found.sources.items()
        if isinstance(source, AdversarialExamples)
    }
    trained = (
        f"Trained: {counted(found.num_updates, 'update')} of at most {schedule.batch_size} examples"
        f" an arm, Adam, learning rate {schedule.learning_rate:g}, {counted(repeats, 'repeat')}; "
        f"all arms from the weights before{pool_phrase(found)}"
    )
    if training:
        trained += (
            "; on the same batches in the same order, the control on them as they are, "
            + ", ".join(f"{name} on fresh `{text}`" for name, text in training.items())
            + "; a step size is a share of epsilon, of each attack the point of largest loss is "
            "kept"
        )
    value = {"updates": found.num_updates, "repeats": repeats, "arms": training}
    value |= {"pool_sizes": dict(found.pool_sizes), **dataclasses.asdict(schedule)}
    attacked = [] if found.budget is None else _attacked(found)
    return [Finding("trained", trained, value), *attacked]


def _attacked(found: Hardening) -> list[Finding]:
    attacks = found.attacks
    used = {name: _settings_of(getattr(attacks, name)) for name in vars(attacks)}
    attacked = (
        f"Attacked: stale by `{used['stale']}` against the model before; fresh by "
        f"`{used['fresh']}` by the row's true gradient; adaptive is the worst case of stale, "
        f"fresh, `{used['gradient']}`, which passes the threshold straight through, and "
        f"`{used['search']}`; an example that is wrong as it is counts as not "
        "robust, and a stronger attack may find more"
    )
    budget = {} if found.budget is None else dataclasses.asdict(found.budget)
    findings = [Finding("attacked", attacked, {**used, **budget})]
    if found.threshold is None:
        sentence = "The input threshold was left out: the values have no finite bounds"
        findings.append(Finding("no_threshold", sentence, True))
    return findings


def _tests(found: Hardening, number: int) -> Finding:
    """Say how the differences were tested, and what that does not cover."""
    repeats = len(found.arms[CONTROL])
    if repeats == 1:
        what = (
            "the exact McNemar test with the interval of Bonett and Price on the same test "
            "examples: they cover the sampling of the examples, not other orders of training "
            "(--repeats)"
        )
    else:
        what = (
            f"the paired t test and interval over {repeats} repeats (where all differ by the same, "
            "the exact McNemar test of the first): they cover the order of "
            "training, for these test examples"
            + (", these mined mistakes (one draw of folds)" if found.mined is not None else "")
            + " and this model before"
        )
        if repeats < _ENOUGH:
            what += ", and of so few repeats only large differences show"
        if found.threshold is not None:
            what += "; the threshold, which is not trained, by the exact McNemar test"
    sentence = (
        f"Tested: {counted(number, 'comparison')}, each by {what}; p-values are adjusted by Holm "
        "for all of them and verdicts follow from the adjusted ones at 5 %; intervals are of 95 %, "
        "each for itself; the test part was only measured, nothing was chosen by it"
    )
    return Finding("tested", sentence, {"comparisons": number})


def _settings_of(attack: Any) -> str:
    """Return an attack as it would be written in Python, without its defaults and its seed."""
    given = [
        f"{field.name}={getattr(attack, field.name)!r}"
        for field in dataclasses.fields(attack)
        if field.name in ("steps", "queries")
        or (field.name != "seed" and getattr(attack, field.name) != field.default)
    ]
    return f"{type(attack).__name__}({', '.join(given)})"


def _facts(rows: list[Row]) -> list[dict[str, Any]]:
    return [
        {
            "model": one.name,
            "repeat": repeat,
            **{name: one.share(name) for name in one.columns},
            "broken_by": dict(one.broken_by),
            "own": one.own,
        }
        for row in rows
        for repeat, one in enumerate(row, start=1)
    ]
