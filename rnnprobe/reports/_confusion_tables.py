"""Tables and sentences about the statistics of one model's mistakes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from rnnprobe.confusions.calibration import Calibration
from rnnprobe.confusions.conflicts import Conflicts
from rnnprobe.confusions.pairs import ConfusedPair, Confusions
from rnnprobe.confusions.slices import LEAST_EXAMPLES, Slice, SliceFamily
from rnnprobe.reports._common import counted, p_phrase, repeats_findings
from rnnprobe.statistics import wilson_interval
from rnnprobe.table import Column, Finding, Table, escape

_SHOWN_EXAMPLES = 5
_SHOWN_SYMBOLS = 3
_NAMED = 5  # so many pairs or slices are named in a sentence
_LEVEL = 0.05

PAIR_COLUMNS = (
    Column("rank", "#", "integer"),
    Column("true", "true"),
    Column("predicted", "predicted"),
    Column("count", "count", "integer"),
    Column("support", "of", "integer"),
    Column("distinct", "distinct", "integer"),
    Column("share", "share", "decimal", 3),
    Column("low", "95 % from", "decimal", 3),
    Column("high", "to", "decimal", 3),
    Column("reverse", "reverse", "integer"),
    Column("asymmetry_p", "differs from reverse, p", "p_value"),
    Column("expected", "expected", "decimal", 1),
    Column("excess_p", "more than expected, p", "p_value"),
    Column("mean_confidence", "mean confidence", "decimal", 2),
    Column("conflicts", "so labelled elsewhere", "integer"),
    Column("examples", "examples"),
)

_SLICE_COLUMNS = (
    Column("family", "by"),
    Column("slice", "examples"),
    Column("n", "n", "integer"),
    Column("errors", "errors", "integer"),
    Column("share", "share", "decimal", 3),
    Column("low", "95 % from", "decimal", 3),
    Column("high", "to", "decimal", 3),
    Column("other_share", "of the others", "decimal", 3),
    Column("p", "differs, p", "p_value"),
    Column("share_by_class", "by class alone", "decimal", 3),
    Column("padding", "padding", "decimal", 2),
)

_BIN_COLUMNS = (
    Column("above", "confidence above", "decimal", 3),
    Column("up_to", "up to", "decimal", 3),
    Column("n", "n", "integer"),
    Column("mean_confidence", "mean confidence", "decimal", 3),
    Column("accuracy", "accuracy", "decimal", 3),
    Column("low", "95 % from", "decimal", 3),
    Column("high", "to", "decimal", 3),
)


def pair_row(
    rank: int, pair: ConfusedPair, names: Sequence[str], conflicts: Conflicts | None = None
) -> tuple[Any, ...]:
    """Return one row of `PAIR_COLUMNS`.

    Args:
        rank: From 1.
        pair: What was confused.
        names: Of the classes.
        conflicts: Of the same part; None where the data is not known.
    """
    low, high = pair.interval
    key = (pair.true, pair.predicted)
    return (
        rank,
        names[pair.true],
        names[pair.predicted],
        pair.count,
        pair.support,
        None if conflicts is None else conflicts.distinct_by_pair[key],
        pair.share,
        low,
        high,
        pair.reverse,
        pair.asymmetry_p,
        pair.expected,
        pair.excess_p,
        pair.mean_confidence,
        None if conflicts is None else conflicts.by_pair.get(key, 0),
        pair.examples[:_SHOWN_EXAMPLES],
    )


def pair_table(
    confusions: Confusions, top: int | None = None, conflicts: Conflicts | None = None
) -> Table:
    """Return the most frequent pairs in all columns; None for `top` lists all."""
    names = confusions.predictions.class_names
    shown = enumerate(confusions.pairs[:top], start=1)
    return Table(PAIR_COLUMNS, tuple(pair_row(i, pair, names, conflicts) for i, pair in shown))


def for_reading(table: Table) -> Table:
    """Return a table without the columns that say nothing in any row."""
    places = {column.key: index for index, column in enumerate(table.columns)}

    def says_something(key: str, row: tuple[Any, ...]) -> bool:
        value = row[places[key]]
        if key == "distinct":
            return value not in (None, row[places["count"]])
        return bool(value) if key == "conflicts" else value is not None

    kept = [
        index
        for key, index in places.items()
        if not table.rows or any(says_something(key, row) for row in table.rows)
    ]
    columns = tuple(table.columns[index] for index in kept)
    rows = tuple(tuple(row[index] for index in kept) for row in table.rows)
    return dataclasses.replace(table, columns=columns, rows=rows)


def asymmetry_finding(confusions: Confusions) -> Finding | None:
    """Say which pairs are confused more often one way than back; None where none was tested."""
    tests = confusions.num_asymmetry_tests
    if tests == 0:
        return None
    names = confusions.predictions.class_names
    found = sorted(
        (
            pair
            for pair in confusions.pairs
            if pair.asymmetry_p is not None
            and pair.asymmetry_p < _LEVEL
            and pair.share > (pair.reverse_share or 0.0)
        ),
        key=lambda pair: pair.asymmetry_p or 0.0,
    )
    how = (
        "Fisher's exact test of the two shares, two-sided, adjusted by Holm for "
        f"{counted(tests, 'pair')} of classes confused at all"
    )
    if not found:
        sentence = (
            f"One-sided: none of {counted(tests, 'pair')} of classes is confused measurably more "
            f"often one way than the other ({how}); with few mistakes only a large difference "
            "would show"
        )
        return Finding("asymmetry", sentence, {"tests": tests, "pairs": []})
    listed = [
        f"{_pair_text(pair, names)} {pair.count:,} of {pair.support:,}, back {pair.reverse:,} of "
        f"{pair.reverse_support:,} ({p_phrase(pair.asymmetry_p or 0.0)})"
        for pair in found[:_NAMED]
    ]
    return Finding(
        "asymmetry",
        f"One-sided: {_listed(listed, len(found))}; {how}",
        {"tests": tests, "pairs": [_names(pair, names) for pair in found]},
    )


def excess_finding(confusions: Confusions) -> Finding | None:
    """Say which mistakes are more frequent than blind ones; None where nothing was expected."""
    tests = confusions.num_excess_tests
    if tests == 0:
        return None
    names = confusions.predictions.class_names
    found = sorted(
        (p for p in confusions.pairs if p.excess_p is not None and p.excess_p < _LEVEL),
        key=lambda pair: pair.excess_p or 0.0,
    )
    how = (
        "expected if each class erred as often and attracted as many mistakes as here, but "
        "otherwise blindly; one-sided binomial test, adjusted by Holm for "
        f"{tests:,} kinds of mistakes that could occur"
    )
    if not found:
        sentence = (
            f"More than expected: none of {counted(tests, 'kind')} of mistakes measurably ({how}); "
            "the test is a cautious one, and with few mistakes only a large excess would show"
        )
        return Finding("excess", sentence, {"tests": tests, "pairs": []})
    listed = [
        f"{_pair_text(pair, names)} {pair.count:,}, expected {pair.expected:.1f} "
        f"({p_phrase(pair.excess_p or 0.0)})"
        for pair in found[:_NAMED]
    ]
    return Finding(
        "excess",
        f"More than expected: {_listed(listed, len(found))}; {how}",
        {"tests": tests, "pairs": [_names(pair, names) for pair in found]},
    )


def slices_table(families: Sequence[SliceFamily]) -> Table | None:
    """Return the slices with their errors; None without any.

    Of single symbols those that differ measurably, and three at least.
    """
    rows = []
    for family in families:
        shown = list(family.slices)
        if family.key == "symbol":
            shown = sorted(shown, key=lambda one: (one.p_value, -abs(one.share - one.other_share)))
            found = sum(one.p_value < _LEVEL for one in shown)
            shown = shown[: max(found, _SHOWN_SYMBOLS)]
        for one in shown:
            low, high = one.interval
            rows.append(
                (
                    family.key,
                    one.name,
                    one.num_examples,
                    one.errors,
                    one.share,
                    low,
                    high,
                    one.other_share,
                    one.p_value,
                    one.share_by_class,
                    one.padding,
                )
            )
    if not rows:
        return None
    table = Table(_SLICE_COLUMNS, tuple(rows), "Errors by kind of sequence")
    return for_reading(table)


def slices_finding(families: Sequence[SliceFamily]) -> Finding:
    """Say which slices are mistaken more or less often than the others."""
    tests = sum(family.num_tests for family in families)
    if tests == 0:
        sentence = (
            "Kinds of sequences: nothing to tell apart, the examples differ neither in length nor "
            "in being known from training"
        )
        return Finding("slices", sentence, {"tests": 0, "slices": []})
    found = [(family, one) for family in families for one in family.slices if one.p_value < _LEVEL]
    found.sort(key=lambda pair: pair[1].p_value)
    keys = ", ".join(
        family.key + f" (in at least {LEAST_EXAMPLES} examples)" * (family.key == "symbol")
        for family in families
    )
    how = (
        f"by {keys}: Fisher's exact test of each against the others of its kind, two-sided, "
        f"adjusted by Holm for {counted(tests, 'test')}; by class alone is what the classes in a "
        "slice would give if nothing else mattered"
    )
    value = {
        "tests": tests,
        "slices": [{"family": family.key, **_facts(one)} for family, one in found],
    }
    if not found:
        sentence = (
            "Kinds of sequences: none is mistaken measurably more or less often than the others "
            f"({how}); where examples are few only a large difference would show"
        )
        return Finding("slices", sentence, value)
    listed = []
    for family, one in found[:_NAMED]:
        lead = "rarest symbol " if family.key == "rarest symbol" else ""
        lead = "a rare symbol " if family.key == "place of a rare symbol" else lead
        low, high = one.interval
        listed.append(
            f"{lead}{escape(one.name)} {one.share:.3f} [{low:.3f}, {high:.3f}] against "
            f"{one.other_share:.3f} ({p_phrase(one.p_value)}), by class alone "
            f"{one.share_by_class:.3f}"
        )
    sentence = f"Kinds of sequences, share of errors: {_listed(listed, len(found))}; {how}"
    return Finding("slices", sentence, value)


def calibration_table(calibration: Calibration) -> Table:
    """Return accuracy beside mean confidence, of the bins that hold an example."""
    rows = []
    for index, interval in enumerate(calibration.intervals):
        if interval is not None:
            numbers = (calibration.mean_confidence[index], calibration.accuracy[index])
            ends = calibration.edges[index : index + 2].tolist()
            count = int(calibration.counts[index])
            rows.append((*ends, count, *map(float, numbers), *interval))
    return Table(_BIN_COLUMNS, tuple(rows), "Accuracy by confidence")


def calibration_findings(calibration: Calibration) -> tuple[Finding, ...]:
    """Say how far confidence and accuracy are apart, and whether chance explains it."""
    low, high = calibration.gap_interval
    apart = "more than chance" if calibration.p_value < _LEVEL else "no more than chance explains"
    error = (
        f"Expected calibration error {calibration.error:.4f}, {apart}: a perfectly calibrated "
        f"model with these confidences would show {calibration.error_by_chance:.4f} on average, "
        f"in 95 % of cases at most {calibration.error_by_chance_high:.4f}, "
        f"{p_phrase(calibration.p_value)} (mean distance of accuracy and confidence, the "
        f"probability of the predicted class, over {len(calibration.counts)} bins of equal width)"
    )
    said = "no measurable over- or underconfidence"
    if low > 0:
        said = "too confident on average"
    elif high < 0:
        said = "not confident enough on average"
    gap = (
        f"Mean confidence less accuracy {calibration.gap:+.4f} [{low:+.4f}, {high:+.4f}]: {said}; "
        f"Brier score {calibration.brier:.4f} (0 to 2), log loss {calibration.log_loss:.4f}"
    )
    value = {
        "error": calibration.error,
        "error_by_chance": calibration.error_by_chance,
        "error_by_chance_high": calibration.error_by_chance_high,
        "p_value": calibration.p_value,
        "num_bins": len(calibration.counts),
    }
    means = {
        "gap": calibration.gap,
        "low": low,
        "high": high,
        "brier": calibration.brier,
        "log_loss": calibration.log_loss,
    }
    return Finding("calibration_error", error, value), Finding("confidence", gap, means)


def ceiling_findings(conflicts: Conflicts, confusions: Confusions) -> tuple[Finding, ...]:
    """Say what equal inputs with different labels leave to be reached, and what they explain."""
    mistakes, explained = len(confusions.mistakes), len(conflicts.explained)
    value: dict[str, Any] = {"ceiling": conflicts.ceiling, "inputs": conflicts.num_inputs}
    findings = []
    if conflicts.num_inputs:
        sentence = (
            f"Ceiling: {counted(conflicts.num_inputs, 'input')} of this part "
            f"{'has' if conflicts.num_inputs == 1 else 'have'} several labels, so at most "
            f"{conflicts.most_right:,} of its {conflicts.total:,} examples can be right, "
            f"{conflicts.ceiling:.4f}; {confusions.correct:,} are, {confusions.accuracy:.4f}"
        )
    else:
        sentence = "Ceiling: no input of this part has several labels, all could be right"
    findings.append(Finding("ceiling", sentence, value))
    if mistakes and explained:
        low, high = wilson_interval(explained, mistakes)
        sentence = (
            f"Contradictory labels: of {counted(mistakes, 'mistake')}, {explained:,} "
            f"({explained / mistakes:.3f} [{low:.3f}, {high:.3f}]) gave an input a label under "
            "which it stands elsewhere in the data; the input alone does not tell which is meant"
        )
        share = {"explained": explained, "share": explained / mistakes, "low": low, "high": high}
        findings.append(Finding("contradictions", sentence, share))
    return (*findings, *repeats_findings(conflicts.num_distinct, conflicts.total))


def _pair_text(pair: ConfusedPair, names: Sequence[str]) -> str:
    return f"{escape(names[pair.true])} taken for {escape(names[pair.predicted])}"


def _names(pair: ConfusedPair, names: Sequence[str]) -> list[str]:
    return [names[pair.true], names[pair.predicted]]


def _listed(shown: Sequence[str], total: int) -> str:
    more = f"; and {total - len(shown):,} more" if total > len(shown) else ""
    return "; ".join(shown) + more


def _facts(one: Slice) -> dict[str, Any]:
    low, high = one.interval
    return {**dataclasses.asdict(one), "share": one.share, "low": low, "high": high}
