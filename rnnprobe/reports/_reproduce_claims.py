"""What became of a report's conclusions, as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rnnprobe.experiments._reproduce import Reproduction
from rnnprobe.experiments._verdicts import Judgement, judge
from rnnprobe.reports._common import counted
from rnnprobe.table import Column, Finding, Section, Table

_NOTE = (
    "Each conclusion is asked of the measured values, and of 2,000 drawn tables, in which every "
    "value is moved by its noise: that of the test examples and, of a cell with several runs, that "
    "of seeds. It holds where at least 97.5 % of the drawn tables say so, does not hold where at "
    "most 2.5 % do, and is within noise between; the interval is the middle 95 % of what they say. "
    "(Each adds noise to a value that has some already, so the extreme of many cells comes out too "
    "far.) Read off its table: no sentence of the report, but put into words for rnnprobe from its "
    "numbers. Verdicts are not corrected for their number."
)

_PLURALS = {"holds": "hold", "does not hold": "do not hold"}


def claims_section(reproduction: Reproduction) -> Section | None:
    """Return the conclusions with their verdicts; None where there are none."""
    claims = reproduction.plan.experiment.claims
    if not claims:
        return None
    judged = [judge(reproduction, claim) for claim in claims]
    return Section("Conclusions", {"claims": _table(judged)}, (_finding(judged),), _NOTE)


def _table(judged: Sequence[Judgement]) -> Table:
    columns = (
        Column("whose", "whose"),
        Column("claim", "conclusion"),
        Column("verdict", "verdict"),
        Column("evidence", "what was seen"),
        Column("interval", "95 % interval", "markdown"),
        Column("remark", "remark"),
    )
    rows = tuple(
        (
            "read off its table" if one.claim.read_off else "the report's",
            one.claim.text,
            _verdict_text(one),
            one.evidence or None,
            _interval_text(one),
            _remark(one) or None,
        )
        for one in judged
    )
    return Table(columns, rows, "Conclusions: the report's, and what its table shows")


def _verdict_text(judged: Judgement) -> str:
    """Return the verdict, and how many of the cells that it is about were asked if not all."""
    if judged.verdict == "not measured" or judged.asked == judged.whole:
        return judged.verdict
    return f"{judged.verdict} (asked of {judged.asked} of {counted(judged.whole, 'cell')})"


def _interval_text(judged: Judgement) -> str | None:
    if judged.interval is None:
        return None
    low, high = judged.interval
    return f"{judged.claim.number} {low:.3g} to {high:.3g}"


def _remark(judged: Judgement) -> str:
    remarks = []
    if judged.verdict == "not seen here":
        remarks.append("nor do the published values of these cells show it; those of all cells do")
    if judged.shown is False:
        remarks.append("the report's own table does not show it")
    if judged.verdict == "within noise":
        remarks.append(f"holds in {judged.share:.0%} of the drawn tables")
    return "; ".join(remarks)


def _finding(judged: Sequence[Judgement]) -> Finding:
    counts = Counter(one.verdict for one in judged)
    told = ", ".join(
        f"{times} {_PLURALS.get(name, name) if times > 1 else name}"
        for name, times in counts.items()
    )
    value = [
        {
            "claim": one.claim.text,
            "read_off": one.claim.read_off,
            "verdict": one.verdict,
            "evidence": one.evidence,
            "asked": one.asked,
            "whole": one.whole,
            "low": one.interval[0] if one.interval else None,
            "high": one.interval[1] if one.interval else None,
            "share_of_tables": one.share,
            "shown_in_report": one.shown,
        }
        for one in judged
    ]
    return Finding("conclusions", f"Of {counted(len(judged), 'conclusion')}: {told}", value)
