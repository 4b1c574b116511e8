"""The report of `rnnprobe compare`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnprobe._versions import made_by
from rnnprobe.confusions.comparison import (
    Change,
    Comparison,
    GroupDifference,
    ModelDifference,
)
from rnnprobe.datasets._conflicts import split_keys
from rnnprobe.records import Predictions, SequenceDataset
from rnnprobe.reports._common import counted, data_phrase, p_phrase, repeats_findings
from rnnprobe.statistics import wilson_interval
from rnnprobe.table import Column, Finding, Report, Table, escape

_MOST_SENTENCES = 3
_BETTER = {1: "better", -1: "worse", 0: "no measurable difference"}
_MORE = {1: "more often", -1: "less often", 0: "no measurable change"}

_DIFFERENCE_COLUMNS = (
    Column("first", "first"),
    Column("second", "second"),
    Column("difference", "second less first", "decimal"),
    Column("low", "95 % from", "decimal"),
    Column("high", "to", "decimal"),
    Column("only_first", "right in first alone", "integer"),
    Column("only_second", "in second alone", "integer"),
    Column("p_value", "p", "p_value"),
    Column("p_holm", "p (Holm)", "p_value"),
    Column("verdict", "the second is"),
)
_MODEL_COLUMNS = (
    Column("model", "model"),
    Column("cell", "cell"),
    Column("seed", "seed", "integer"),
    Column("correct", "correct", "integer"),
    Column("accuracy", "accuracy", "decimal"),
    Column("low", "95 % from", "decimal"),
    Column("high", "to", "decimal"),
)


def compare_report(
    comparison: Comparison,
    *,
    names: Sequence[str],
    kinds: Sequence[str],
    seeds: Sequence[int | None],
    groups: Sequence[Sequence[int]],
    dataset: SequenceDataset,
    part: str = "test",
    top: int = 10,
) -> Report:
    """Return the differences between models, and which mistakes came and went.

    Args:
        comparison: What was found.
        names: The models' names, as the user writes them.
        kinds: Their cells.
        seeds: Their seeds; None where it is not known.
        groups: Those that `comparison.groups` compares.
        dataset: The data of all.
        part: The part of the data.
        top: How many pairs to list of those that got better, and of those that got worse.
    """
    shown = [escape(name) for name in names]
    table = Table(_DIFFERENCE_COLUMNS, tuple(_difference_rows(comparison, names)))
    tables = {
        "models": _models_table(comparison, names, kinds, seeds),
        "groups": _groups_table(comparison, names, groups),
        "less_often": _pairs_table(comparison, names, -1, top),
        "more_often": _pairs_table(comparison, names, 1, top),
        "classes": _classes_table(comparison, names),
    }
    findings = [
        *_verdicts(comparison, shown),
        *_alike(comparison.predictions, shown),
        *_changed(comparison, shown[0]),
        *_settings(comparison, shown, groups),
        *repeats_findings(len(set(split_keys(dataset.splits[part]))), comparison.total),
    ]
    return Report(
        command="compare",
        caption=f"**Compare** {len(names)} models on {data_phrase(dataset)}, {part} part "
        f"(n = {comparison.total:,}): accuracy on the same examples, with 95 % intervals",
        main=table,
        shown=_compact(table),
        findings=tuple(findings),
        tables=tables,
        made_by=made_by(),
        facts={
            "digest": dataset.digest,
            "pair_changes": _facts(comparison.pairs, names, dataset.class_names),
            "class_changes": _facts(comparison.classes, names, dataset.class_names),
        },
    )


def _facts(
    changes: Sequence[Change], names: Sequence[str], classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Return every change as plain values, also those that no table shows."""
    return [
        {
            **dataclasses.asdict(change),
            "model": names[change.model],
            "true": classes[change.true],
            "predicted": None if change.predicted is None else classes[change.predicted],
        }
        for change in changes
    ]


def _difference_rows(comparison: Comparison, names: Sequence[str]) -> list[tuple[Any, ...]]:
    return [
        (
            names[found.first],
            names[found.second],
            found.paired.difference,
            found.paired.low,
            found.paired.high,
            found.paired.lost,
            found.paired.gained,
            found.paired.p_value,
            found.adjusted,
            _BETTER[found.sign],
        )
        for found in comparison.differences
    ]


def _compact(table: Table) -> Table:
    """Return the differences with their intervals in one cell."""
    columns = (
        *_DIFFERENCE_COLUMNS[:2],
        Column("difference", "second less first", "markdown"),
        *_DIFFERENCE_COLUMNS[5:7],
        *_DIFFERENCE_COLUMNS[7:],
    )
    rows = [(*row[:2], _signed(*row[2:5]), *row[5:]) for row in table.rows]
    return Table(columns, tuple(rows))


def _signed(difference: float, low: float, high: float) -> str:
    return f"{difference:+.4f} [{low:+.4f}, {high:+.4f}]"


def _models_table(
    comparison: Comparison,
    names: Sequence[str],
    kinds: Sequence[str],
    seeds: Sequence[int | None],
) -> Table:
    total = comparison.total
    rows = [
        (name, kind, seed, correct, correct / total, *wilson_interval(correct, total))
        for name, kind, seed, correct in zip(names, kinds, seeds, comparison.correct, strict=True)
    ]
    return Table(_MODEL_COLUMNS, tuple(rows), "The models")


def _groups_table(
    comparison: Comparison, names: Sequence[str], groups: Sequence[Sequence[int]]
) -> Table:
    columns = (
        Column("first", "first settings"),
        Column("second", "second settings"),
        Column("seeds", "seeds of each", "integer"),
        Column("difference", "second less first", "decimal"),
        Column("low", "95 % from", "decimal"),
        Column("high", "to", "decimal"),
        Column("standard_error", "standard error", "decimal"),
        Column("p_value", "p", "p_value"),
        Column("p_holm", "p (Holm)", "p_value"),
        Column("verdict", "the second are"),
    )
    rows = [
        (
            [names[index] for index in groups[found.first][: found.models]],
            [names[index] for index in groups[found.second][: found.models]],
            found.models,
            found.difference.difference,
            *found.difference.interval,
            found.difference.standard_error,
            found.difference.p_value,
            found.adjusted,
            _BETTER[found.sign],
        )
        for found in comparison.groups
    ]
    return Table(columns, tuple(rows), "Settings against settings, over seeds and examples")


def _pairs_table(comparison: Comparison, names: Sequence[str], sign: int, top: int) -> Table:
    """Return the pairs that another model confuses less or more often, the measured ones first."""
    chosen = [c for c in comparison.pairs if np.sign(c.after - c.before) == sign]
    chosen.sort(key=lambda change: (change.sign == 0, -abs(change.after - change.before)))
    often = "more often" if sign > 0 else "less often"
    title = f"Pairs confused {often} than by {escape(names[0])}"
    if len(chosen) > top:
        title += f", {top} of {len(chosen)} (--top)"
    columns = (
        Column("model", "model"),
        Column("true", "true"),
        Column("predicted", "predicted"),
        *_change_columns(),
    )
    classes = comparison.predictions[0].class_names
    rows = [
        (
            names[change.model],
            classes[change.true],
            classes[change.predicted or 0],
            *_change_cells(change),
        )
        for change in chosen[:top]
    ]
    return Table(columns, tuple(rows), title)


def _classes_table(comparison: Comparison, names: Sequence[str]) -> Table:
    """Return every class of which another model gets measurably more or fewer wrong."""
    classes = comparison.predictions[0].class_names
    rows = [
        (names[change.model], classes[change.true], *_change_cells(change))
        for change in comparison.classes
        if change.sign
    ]
    columns = (Column("model", "model"), Column("true", "true"), *_change_columns())
    title = f"Classes that are wrong less or more often than with {escape(names[0])}"
    return Table(columns, tuple(rows), title)


def _change_columns() -> tuple[Column, ...]:
    return (
        Column("support", "of", "integer"),
        Column("before", "before", "integer"),
        Column("after", "after", "integer"),
        Column("gone", "gone", "integer"),
        Column("new", "new", "integer"),
        Column("p_value", "p", "p_value"),
        Column("p_holm", "p (Holm)", "p_value"),
        Column("verdict", "verdict"),
    )


def _change_cells(change: Change) -> tuple[Any, ...]:
    adjusted = change.adjusted
    verdict = "too few to test" if adjusted is None else _MORE[change.sign]
    p_value = None if adjusted is None else change.p_value
    counts = (change.support, change.before, change.after, change.gone, change.new)
    return (*counts, p_value, adjusted, verdict)


def _verdicts(comparison: Comparison, names: Sequence[str]) -> list[Finding]:
    """Say of each other model whether it is better than the first, or of many in one list."""
    against_first = [found for found in comparison.differences if found.first == 0]
    number = len(comparison.differences)
    many = len(against_first) > _MOST_SENTENCES
    findings = _listed(against_first, names) if many else []
    if not many:
        findings = [_verdict(found, names, corrected=number > 1) for found in against_first]
    test = "exact McNemar test on the same examples"
    own = ""
    if number > 1:
        test += f", Holm's correction over all {number} pairs of models"
        own = ", each by itself, so that one may leave out 0 where the corrected test sees nothing"
    sentence = (
        f"Test: {test}; intervals: Bonett and Price{own}. Both are for these very models on other "
        "examples of the same kind. No measurable difference is not equality: the interval says "
        "how large one may still be"
    )
    return [*findings, Finding("test", sentence, test)]


def _verdict(found: ModelDifference, names: Sequence[str], *, corrected: bool) -> Finding:
    paired, name, baseline = found.paired, names[found.second], names[0]
    lead = {
        1: f"{name} is **better** than {baseline}",
        -1: f"{name} is **worse** than {baseline}",
        0: f"**No measurable difference** between {baseline} and {name}",
    }[found.sign]
    sentence = (
        f"{lead}: accuracy {_signed(*paired[:3])}, {counted(paired.gained, 'example')} right with "
        f"{name} alone, {paired.lost:,} with {baseline} alone, "
        f"{p_phrase(found.adjusted)}{' (Holm)' if corrected else ''}"
    )
    value = {**paired._asdict(), "p_holm": found.adjusted, "sign": found.sign}
    return Finding(f"second_{found.second}", sentence, value)


def _listed(found: Sequence[ModelDifference], names: Sequence[str]) -> list[Finding]:
    lists = {sign: [names[one.second] for one in found if one.sign == sign] for sign in _BETTER}
    text = "; ".join(
        f"{_BETTER[sign]}: {', '.join(members)}" for sign, members in lists.items() if members
    )
    value = {_BETTER[sign]: members for sign, members in lists.items()}
    return [Finding("against_first", f"Beside {names[0]}: {text}", value)]


def _alike(predictions: Sequence[Predictions], names: Sequence[str]) -> list[Finding]:
    """Say which models give every example the same class."""
    pairs = [
        (names[first], names[second])
        for second in range(len(predictions))
        for first in range(second)
        if np.array_equal(predictions[first].predicted, predictions[second].predicted)
    ]
    if not pairs:
        return []
    text = "; ".join(f"{first} and {second}" for first, second in pairs)
    sentence = f"The same answer to every example: {text}. Are they copies of one model?"
    return [Finding("alike", sentence, pairs)]


def _changed(comparison: Comparison, baseline: str) -> list[Finding]:
    """Say how many pairs and classes changed measurably, and what was tested."""
    findings = []
    each = " over all other models" if len(comparison.predictions) > 2 else ""
    for key, what, changes in (
        ("pairs", "Confused pairs", comparison.pairs),
        ("classes", "Mistakes by class", comparison.classes),
    ):
        tested = sum(change.adjusted is not None for change in changes)
        less, more = (sum(change.sign == sign for change in changes) for sign in (-1, 1))
        sentence = (
            f"{what} beside {baseline}: {less:,} less often, {more:,} more often, of {tested:,} "
            f"that could be tested (six or more examples gone or new), of {len(changes):,}{each}; "
            "exact McNemar test on the examples of the class, Holm's correction over those tested"
        )
        value = {"less_often": less, "more_often": more, "tested": tested}
        findings.append(Finding(f"changed_{key}", sentence, value))
    return findings


def _settings(
    comparison: Comparison, names: Sequence[str], groups: Sequence[Sequence[int]]
) -> list[Finding]:
    """Say what is known of the settings, apart from these very models."""
    if not comparison.groups:
        sentence = (
            "This says which model is better, not which settings: another seed may turn it round. "
            "For that, compare two or more seeds of each of two settings, all in one call"
        )
        if groups and len(groups[0]) == len(names):
            sentence = (
                "The models share their settings and differ in the seed alone: a difference is one "
                "between seeds, and says nothing of the settings"
            )
        return [Finding("settings", sentence, None)]
    findings = [
        _settings_finding(found, [[names[i] for i in group[: found.models]] for group in groups])
        for found in comparison.groups
    ]
    used = {
        index
        for found in comparison.groups
        for group in (found.first, found.second)
        for index in groups[group][: found.models]
    }
    left = [name for index, name in enumerate(names) if index not in used]
    note = f"; in no group of equal size: {', '.join(left)}" if left else ""
    number = len(comparison.groups)
    corrected = ""
    if number > 1:
        corrected = f", Holm's correction over {number} pairs of settings; intervals each by itself"
    sentence = (
        "Settings are compared over seeds and examples together (examples crossed with the "
        "settings, seeds nested in them; t test and 95 % interval by "
        f"Satterthwaite{corrected}){note}"
    )
    return [*findings, Finding("settings", sentence, left)]


def _settings_finding(found: GroupDifference, groups: Sequence[Sequence[str]]) -> Finding:
    first, second = groups[found.first], groups[found.second]
    said = {1: "are **better** than", -1: "are **worse** than"}
    said[0] = "do **not measurably differ** from"
    sentence = (
        f"The settings of {', '.join(second)} {said[found.sign]} those of {', '.join(first)}: "
        f"mean accuracy {_signed(found.difference.difference, *found.difference.interval)}, "
        f"standard error {found.difference.standard_error:.4f}, {p_phrase(found.adjusted)}"
        f"{' (Holm)' if len(groups) > 2 else ''}"
    )
    low, high = found.difference.interval
    value = {**found.difference._asdict(), "p_holm": found.adjusted, "sign": found.sign}
    del value["interval"]
    value |= {"low": low, "high": high}
    return Finding(f"settings_{found.first}_{found.second}", sentence, value)
