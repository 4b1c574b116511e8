"""When a classifier decides, as tables, sentences and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnprobe.inspection.decisions import (
    Decisions,
    Median,
    PairDecision,
    compare_flips,
    margin_course,
    median_of,
)
from rnnprobe.paired import compare_paired
from rnnprobe.records import Array
from rnnprobe.reports._common import counted, interval_text, p_phrase
from rnnprobe.reports._figures import BLUE, GREY, ORANGE, new_figure, plain
from rnnprobe.statistics import Interval
from rnnprobe.table import Column, Finding, Table, interval_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GREEN = "#009E73"  # Okabe and Ito, as the others
_POINT = 0.01
_LEVEL = 0.05

_SHARE_COLUMNS = (
    Column("share", "share read", "decimal", 1),
    Column("correct", "right", "integer"),
    Column("total", "of", "integer"),
    Column("accuracy", "accuracy", "decimal", 3),
    Column("low", "95 %", "decimal", 3, bracketed=True),
    Column("high", "", "decimal", 3, bracketed=True),
    *interval_columns("difference", "against the end"),
)

_PAIR_COLUMNS = (
    Column("true", "true"),
    Column("predicted", "predicted"),
    Column("mistakes", "mistakes", "integer"),
    *interval_columns("step", "mistakes part at step", digits=1),
    Column("step_share", "of length", "decimal", 2),
    Column("right", "right ones", "integer"),
    *interval_columns("right_step", "right ones part at step", digits=1),
    Column("right_step_share", "of length", "decimal", 2),
    Column("p_adjusted", "p (Holm)", "p_value"),
    Column("on_the_way", "mistakes once right", "integer"),
    Column("on_the_way_low", "share, 95 %", "decimal", 2, bracketed=True),
    Column("on_the_way_high", "", "decimal", 2, bracketed=True),
)


def decisions_tables(
    decisions: Decisions, pairs: Sequence[PairDecision], class_names: Sequence[str]
) -> dict[str, Table]:
    """Return the accuracy by share of the sequence, and when each pair parts.

    Args:
        decisions: What `decide` returned.
        pairs: What `pair_decisions` said of the pairs to show.
        class_names: One name a class.
    """
    end = decisions.right_by_share[-1][decisions.read]
    shares: list[tuple[Any, ...]] = []
    difference: tuple[float | None, ...]
    for row, right in zip(decisions.accuracy_by_share, decisions.right_by_share, strict=True):
        if row.interval is not None:
            against = compare_paired([right[decisions.read]], [end])
            difference = (against.difference, against.low, against.high)
            if row.share == 1:  # the end itself, which there is nothing to compare with
                difference = (None, None, None)
            shares.append((*row[:3], row.correct / row.total, *row.interval, *difference))
    return {
        "accuracy_by_share": Table(
            _SHARE_COLUMNS, tuple(shares), "Accuracy after a share of each sequence"
        ),
        "decisions_by_pair": Table(
            _PAIR_COLUMNS,
            tuple(_pair_row(pair, class_names) for pair in pairs),
            "Step from which on a pair's winner leads for good: mistakes, right examples",
        ),
    }


def _pair_row(pair: PairDecision, names: Sequence[str]) -> tuple[Any, ...]:
    return (
        names[pair.true],
        names[pair.predicted],
        *_median_cells(pair.mistakes),
        pair.mistakes_share,
        *_median_cells(pair.right),
        pair.right_share,
        pair.p_adjusted,
        pair.right_on_the_way,
        *(pair.on_the_way_interval or (None, None)),
    )


def _median_cells(median: Median) -> tuple[Any, ...]:
    return (median.number, median.value, *(median.interval or (None, None)))


def decisions_findings(
    decisions: Decisions, pairs: Sequence[PairDecision] = ()
) -> tuple[Finding, ...]:
    """Return the sentences on when it decided, the caveat last.

    Args:
        decisions: What `decide` returned.
        pairs: What `pair_decisions` said of the pairs shown.
    """
    if not decisions.read.any():
        return (_unread(decisions),)
    findings = [*_accuracy_findings(decisions), _steps_finding(decisions)]
    findings.append(_flips_finding(decisions))
    if pairs:
        findings.append(_pairs_finding(decisions, pairs))
    if not decisions.read.all():
        findings.append(_unread(decisions))
    return (*findings, _CAVEAT)


_CAVEAT = Finding(
    "decisions_caveat",
    "The head was trained on the last state alone: what it gives for an earlier one is how the "
    "model would answer if the sequence ended there, not all that it has stored",
    "trained on the last state",
)


def _unread(decisions: Decisions) -> Finding:
    number = int((~decisions.read).sum())
    verb = "has" if number == 1 else "have"
    return Finding(
        "decisions_without_steps",
        f"{counted(number, 'example')} {verb} no step that counts and took no part in this",
        number,
    )


def _accuracy_findings(decisions: Decisions) -> list[Finding]:
    rows = decisions.accuracy_by_share
    accuracies = np.array([row.correct / row.total for row in rows])
    final, total = float(accuracies[-1]), rows[-1].total
    labels = decisions.y[decisions.read]
    base = float(np.bincount(labels).max() / len(labels))
    if rows[-1].interval is None or rows[-1].interval.low <= base:
        sentence = (
            f"When it decided: the accuracy at the end, {final:.4f}, is not measurably above that "
            f"of always answering the most frequent class, {base:.4f}; there is nothing to follow"
        )
        return [Finding("half_of_accuracy", sentence, None)]
    half = rows[_from_where_on(accuracies >= (base + final) / 2)]
    most = _from_where_on(accuracies >= final - _POINT - 1e-12)
    read = decisions.read
    against = compare_paired(
        [decisions.right_by_share[most][read]], [decisions.right_by_share[-1][read]]
    )
    sentence = "Before the end the accuracy does not stay within 1 point of the final one"
    if most + 1 < len(rows):
        sentence = (
            f"From {_percent(rows[most].share)} of each sequence on it stays within 1 point of the "
            f"final one: {interval_text(rows[most].correct, total)}, a paired difference of "
            f"{100 * against.difference:+.1f} points "
            f"[{100 * against.low:+.1f}, {100 * against.high:+.1f}]"
        )
    return [
        Finding(
            "half_of_accuracy",
            f"When it decided: half of the way from always answering the most frequent class "
            f"({base:.4f}) to the final accuracy ({final:.4f}) is made, and kept, from "
            f"{_percent(half.share)} of each sequence on, where it is "
            f"{interval_text(half.correct, total)}; looked at in steps of 10 %, and chosen by "
            "these very numbers",
            {"share": half.share, "accuracy": half.correct / total, "final": final, "base": base},
        ),
        Finding(
            "all_but_one_point",
            sentence,
            {
                "share": rows[most].share,
                "difference": against.difference,
                "low": against.low,
                "high": against.high,
            },
        ),
    ]


def _from_where_on(flags: Array) -> int:
    """Return the first index from which on all are True; the last one is."""
    return int(len(flags) - np.argmin(np.append(flags[::-1], False)))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _steps_finding(decisions: Decisions) -> Finding:
    sides = {"right": decisions.right, "wrong": decisions.wrong}
    values, texts = {}, []
    for name, chosen in sides.items():
        steps = median_of(decisions.step[chosen])
        share = median_of(decisions.share[chosen])
        values[name] = {"n": steps.number, "step": steps.value, "share": share.value}
        values[name] |= dict(zip(("low", "high"), steps.interval or (None, None), strict=True))
        texts.append(f"{name} examples {_median_text(steps, share)}")
    return Finding(
        "decision_step",
        "Median decision step (the first one from which on the prediction stays the final one): "
        f"{'; '.join(texts)}",
        values,
    )


def _median_text(steps: Median, share: Median) -> str:
    if steps.value is None or share.value is None:
        return "none"
    text = f"{steps.value:g}{_interval(steps.interval, 'g')} (n = {steps.number:,})"
    return f"{text}, {_percent(share.value)} of the length"


def _interval(interval: Interval | None, form: str) -> str:
    return f" [{interval.low:{form}}, {interval.high:{form}}]" if interval else " [no interval]"


def _flips_finding(decisions: Decisions) -> Finding:
    flips = compare_flips(decisions)
    sides = {
        "right": (flips.right, flips.right_interval),
        "wrong": (flips.wrong, flips.wrong_interval),
    }
    texts = [
        f"{name} examples {mean:.2f}{_interval(interval, '.2f')}"
        for name, (mean, interval) in sides.items()
        if mean is not None
    ]
    sentence = "Changes of the predicted class on the way, mean: " + ", ".join(texts)
    value: dict[str, Any] = {name: mean for name, (mean, _) in sides.items()}
    if flips.difference is not None:
        low, high = flips.difference.interval
        sentence += (
            f"; wrong less right {flips.difference.difference:+.2f} "
            f"[{low:+.2f}, {high:+.2f}], {p_phrase(flips.difference.p_value)} (Welch's t test, by "
            "itself)"
        )
        value |= {"difference": flips.difference.difference, "low": low, "high": high}
        value["p_value"] = flips.difference.p_value
    if _same_length(decisions) is None:
        sentence += "; longer sequences have more steps to change at, which is not taken out"
    return Finding("flips", sentence, value)


def _pairs_finding(decisions: Decisions, pairs: Sequence[PairDecision]) -> Finding:
    tested = [pair for pair in pairs if pair.p_adjusted is not None]
    apart = sum(pair.p_adjusted < _LEVEL for pair in tested if pair.p_adjusted is not None)
    sentence = (
        "Pairs: two logits part at the step from which on the winner leads for good, the wrong "
        "class in mistakes, the true one in right examples of the same class"
    )
    if tested:
        sentence += (
            f"; mistakes part at another step than right ones in {apart} of "
            f"{counted(len(tested), 'pair')} (Mann-Whitney, exact where a group has fewer than "
            "eight, p < 0.05 after Holm's correction)"
        )
    if _same_length(decisions) is None:
        sentence += "; steps are counted from the start, lengths are not taken into account"
    on_the_way = sum(pair.right_on_the_way for pair in pairs)
    mistakes = sum(pair.mistakes.number for pair in pairs)
    if mistakes:
        sentence += (
            "; at some earlier step the true class was on top of all classes in "
            f"{interval_text(on_the_way, mistakes)} of their mistakes, which says little of a "
            "class that the model answers before it has seen much"
        )
    value = {"tested": len(tested), "apart": apart, "right_on_the_way": on_the_way}
    return Finding("decisions_by_pair", sentence, {**value, "mistakes": mistakes})


def _same_length(decisions: Decisions) -> int | None:
    lengths = np.unique(decisions.lengths[decisions.read])
    return int(lengths[0]) if len(lengths) == 1 else None


def decisions_figure(
    decisions: Decisions,
    pairs: Sequence[PairDecision],
    class_names: Sequence[str],
    title: str,
    *,
    top: int = 3,
) -> Figure:
    """Draw the accuracy by share of the sequence, and how the logits of pairs part.

    Args:
        decisions: What `decide` returned.
        pairs: What `pair_decisions` said; the first ones are drawn.
        class_names: One name a class.
        title: What was probed.
        top: How many pairs to draw, at most 3.
    """
    figure = new_figure(12.5, 4.2)
    left, right = figure.subplots(1, 2)
    if not decisions.read.any():
        left.set_title("no example has a step that counts", fontsize=10)
        right.set_axis_off()
        return figure
    _draw_accuracy(left, decisions)
    _draw_margins(right, decisions, pairs[:top], class_names)
    figure.suptitle(plain(title), fontsize=10)
    return figure


def _draw_accuracy(axes: Axes, decisions: Decisions) -> None:
    rows = decisions.accuracy_by_share
    shares = [row.share for row in rows]
    accuracies = [row.correct / row.total for row in rows]
    intervals = [row.interval or (np.nan, np.nan) for row in rows]
    low, high = zip(*intervals, strict=True)
    axes.fill_between(shares, low, high, color=BLUE, alpha=0.2, linewidth=0, label="95 % interval")
    axes.plot(shares, accuracies, color=BLUE, marker="o", markersize=4, label="accuracy")
    axes.axhline(accuracies[-1], color=GREY, linewidth=1, linestyle=":", label="at the end")
    axes.set_xlabel(_share_label(decisions))
    axes.set_ylabel("accuracy if the sequence ended there")
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    _share_axis(axes)
    axes.set_title(f"Accuracy on the way, n = {rows[0].total:,}", fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="best")


def _share_label(decisions: Decisions) -> str:
    length = _same_length(decisions)
    return "share of the sequence read" + (f" ({length} steps)" if length else "")


def _share_axis(axes: Axes) -> None:
    axes.set_xlim(0, 1.02)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.grid(alpha=0.3)


def _draw_margins(
    axes: Axes, decisions: Decisions, pairs: Sequence[PairDecision], names: Sequence[str]
) -> None:
    axes.axhline(0, color="black", linewidth=0.8)
    for pair, colour in zip(pairs, (BLUE, ORANGE, _GREEN), strict=False):
        course = margin_course(decisions, pair.true, pair.predicted)
        a, b = plain(names[pair.true]), plain(names[pair.predicted])
        mistakes = f"{a} taken for {b} (n = {course.num_mistakes:,})"
        right = f"{a} that is right, beside {b} (n = {course.num_right:,})"
        axes.plot(course.shares, course.mistakes, color=colour, linewidth=2, label=mistakes)
        axes.plot(course.shares, course.right, color=colour, linestyle="--", label=right)
    axes.set_xlabel(_share_label(decisions))
    axes.set_ylabel("logit of wrong − logit of true class, median")
    _share_axis(axes)
    if pairs:
        axes.set_title("Margin of the wrong class over the true one", fontsize=10)
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    else:
        axes.set_title("no confused pair", fontsize=10)
