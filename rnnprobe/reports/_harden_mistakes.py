"""What `rnnprobe harden --with mistakes` says of the mistakes and of what became of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnprobe.hardening.arms import CONTROL
from rnnprobe.hardening.comparison import Comparison, compare
from rnnprobe.hardening.evaluation import ERRORS
from rnnprobe.hardening.experiment import BEFORE, Hardening
from rnnprobe.hardening.mistakes import ONLY, SUBSET, TIMES, WITHOUT, Mined
from rnnprobe.paired import Paired, guessing
from rnnprobe.records import SequenceDataset
from rnnprobe.reports._common import counted, p_phrase
from rnnprobe.reports._labels import folds_finding
from rnnprobe.statistics import wilson_interval
from rnnprobe.table import Column, Finding, Table, escape

VERDICTS = {1: "**helped**", 0: "**neither helped nor harmed** measurably", -1: "**did harm**"}
_SHOWN_PAIRS = 10
_KEYS = {ONLY: "mistakes_only", TIMES: "mistakes_x5", WITHOUT: "without_suspects"}
_WHOSE = {CONTROL: "the control's", SUBSET: "the random subset's"}


def mined_findings(found: Hardening, compared: tuple[Comparison, ...]) -> list[Finding]:
    """Return the answer, the verdicts with their numbers, and what was mined from what.

    Args:
        found: What `harden` found; without mined mistakes there is nothing to say.
        compared: All comparisons.
    """
    mined = found.mined
    if mined is None:
        return []
    clean = [one for one in compared if one.measure == "clean" and one.second in _WHOSE]
    ours = [one for one in clean if one.first in _KEYS]
    findings = [_answer(ours), *(_verdict(one) for one in ours)]
    findings += [_mined(mined), _pairs(mined), folds_finding(mined.out_of_fold)]
    if WITHOUT not in found.arms:
        number = len(mined.suspects)
        why = "every label is suspected" if number else "no label is suspected"
        sentence = f"The arm '{WITHOUT}' was left out: {why}, so that it would be "
        sentence += "empty" if number else "the control"
        findings.append(Finding("no_suspects", sentence, True))
    return findings


def _answer(ours: list[Comparison]) -> Finding:
    """Answer the question that the arms were made for, by the comparisons with the control."""
    signs = {one.first: one.sign for one in ours if one.second == CONTROL}
    named = {
        sign: " and ".join(name for name in (ONLY, TIMES) if signs[name] == sign)
        for sign in (1, -1)
    }
    question = (
        "Can the misclassified training examples be made into a training set that raises test "
        "accuracy? "
    )
    if named[1]:
        answer = f"Here yes: {named[1]} did better than the control"
    elif signs[ONLY] == signs[TIMES] == -1:
        answer = "Here no: both they alone and five times as often among all did harm"
    else:
        answer = "No gain was measured here, neither of them alone nor of all with them five times "
        answer += "as often" + f"; {named[-1]} did harm" * bool(named[-1])
    return Finding("answer", question + answer, {name: signs[name] for name in (ONLY, TIMES)})


def _verdict(one: Comparison) -> Finding:
    paired = one.paired
    sentence = (
        f"{one.first} {VERDICTS[one.sign]} beside the {one.second}: test accuracy less "
        f"{_WHOSE[one.second]} {paired_text(paired)}, {paired.test}, "
        f"{p_phrase(paired.p_value)}, {adjusted_text(one)}"
    )
    key = f"{_KEYS[one.first]}_{one.second.replace(' ', '_')}"
    return Finding(key, sentence, {**paired._asdict(), "p_holm": one.p_holm, "sign": one.sign})


def adjusted_text(one: Comparison) -> str:
    """Return the adjusted p-value; where it takes back what the interval says, that it does."""
    taken_back = ", which is not below 0.05" if one.paired.sign and not one.sign else ""
    return f"adjusted {p_phrase(one.p_holm)}{taken_back}"


def _mined(mined: Mined) -> Finding:
    number, total = len(mined.mistakes), mined.num_examples
    low, high = wilson_interval(number, total)
    sentence = (
        f"Mined: {counted(number, 'mistake')} out of fold among {total:,} training examples, "
        f"{number / total:.4f} [{low:.4f}, {high:.4f}]; "
        f"{counted(len(mined.suspects), 'suspected label')} among them, which may be right all the "
        "same"
    )
    predictions = mined.out_of_fold.predictions
    if guessing(predictions.predicted == predictions.y, predictions.y).sign <= 0:
        sentence += "; the folds' models cannot be told from guessing, so mistakes mean little"
    if mined.absent:
        names = ", ".join(escape(name) for name in mined.absent)
        sentence += f"; no mistake is of the class {names}, which the mistakes alone do not teach"
    value: dict[str, Any] = {"mistakes": number, "n": total, "low": low, "high": high}
    value |= {"suspects": len(mined.suspects), "absent": list(mined.absent)}
    return Finding("mined", sentence, value)


def _pairs(mined: Mined) -> Finding:
    held = sum(pair.count for pair in mined.pairs)
    sentence = (
        f"Mined pairs: the {counted(len(mined.pairs), 'most frequent pair')} of true and predicted "
        f"class, as few as together hold at least half of the mined mistakes ({held:,} of "
        f"{len(mined.mistakes):,}); a test example counts for them where it is of a pair's true "
        "class and taken for its predicted one; all further mistakes are the other ones"
    )
    names = mined.out_of_fold.predictions.class_names
    value = [[names[pair.true], names[pair.predicted], pair.count] for pair in mined.pairs]
    return Finding("pairs", sentence, value)


def paired_text(paired: Paired) -> str:
    """Return a difference with its interval."""
    return f"{paired.difference:+.4f} [{paired.low:+.4f}, {paired.high:+.4f}]"


def pool_phrase(found: Hardening) -> str:
    """Return which examples the arms of mined mistakes pass, to go on a sentence; else nothing."""
    if found.mined is None:
        return ""
    sizes = found.pool_sizes
    phrase = (
        f"; an epoch of the control passes all {sizes[CONTROL]:,} training examples, of {ONLY} the "
        f"{sizes[ONLY]:,}, of {SUBSET} as many of each class, drawn from all anew in each repeat, "
        f"of {TIMES} all with each mistake five times ({sizes[TIMES]:,})"
    )
    if WITHOUT in sizes:
        phrase += f", of {WITHOUT} all but these ({sizes[WITHOUT]:,})"
    return phrase


def mined_tables(found: Hardening, dataset: SequenceDataset) -> dict[str, Table]:
    """Return the effects on the mined pairs and elsewhere, and the pairs one by one."""
    if found.mined is None:
        return {}
    return {
        "effects": _effects_table(found),
        "mined_pairs": _pairs_table(found, found.mined, dataset),
    }


def _effects_table(found: Hardening) -> Table:
    columns = (
        Column("arm", "arm"),
        Column("mistakes", "mistakes"),
        Column("difference", "less the control's", "decimal"),
        Column("low", "95 % from", "decimal"),
        Column("high", "to", "decimal"),
    )
    control = found.arms[CONTROL]
    titles = dict(zip(ERRORS, ("of mined pairs", "all others"), strict=True))
    rows = [
        (name, titles[column], *compare(column, found.rows[name], control)[:3])
        for name in (BEFORE, *found.pool_sizes)
        if name != CONTROL
        for column in ERRORS
    ]
    title = "Share of test examples wrong, less the control's: below 0 is better; not tested"
    return Table(columns, tuple(rows), title)


def _pairs_table(found: Hardening, mined: Mined, dataset: SequenceDataset) -> Table:
    """Return how many test examples each row takes for the other class of each mined pair."""
    y, names = dataset.test.y, dataset.class_names
    measured = {name: row for name, row in found.rows.items() if name in (BEFORE, *found.arms)}
    columns = [
        Column("true", "true"),
        Column("predicted", "taken for"),
        Column("mined", "out of fold", "integer"),
        Column("support", "of", "integer"),
        Column("test_support", "test examples", "integer"),
    ]
    columns += [
        Column(name.replace(" ", "_"), name, "integer" if len(row) == 1 else "decimal", 1)
        for name, row in measured.items()
    ]
    rows = []
    for pair in mined.pairs[:_SHOWN_PAIRS]:
        theirs = y == pair.true
        cells: list[Any] = [names[pair.true], names[pair.predicted], pair.count, pair.support]
        cells.append(int(theirs.sum()))
        for row in measured.values():
            counts = [int((one.predicted[theirs] == pair.predicted).sum()) for one in row]
            cells.append(counts[0] if len(row) == 1 else float(np.mean(counts)))
        rows.append(tuple(cells))
    title = "Mined pairs: training examples mistaken out of fold, and test examples by each model"
    if len(found.arms[CONTROL]) > 1:
        title += ", mean over the repeats"
    if len(mined.pairs) > _SHOWN_PAIRS:
        title += f"; the {_SHOWN_PAIRS} most frequent of {len(mined.pairs)}"
    return Table(tuple(columns), tuple(rows), title)
