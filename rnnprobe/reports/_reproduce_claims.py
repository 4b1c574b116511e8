"""What became of a report's conclusions, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnnprobe.experiments._reproduce import Reproduction
from rnnprobe.experiments._verdicts import Judgement, judge
from rnnprobe.table import Column, Finding, Section, Table

_NOTE = (
    "A conclusion is asked of the measured cells, and of 2,000 tables drawn from their noise: each "
    "mean plus its standard error times a draw of Student's t of its runs (of one run alone: the "
    "noise of the examples of an accuracy, and none of what is no accuracy). It holds where 97.5 % "
    "of these tables or more say so, does not hold where 2.5 % or fewer do, and is within noise "
    "between; the noise is unknown of one run of what is no accuracy. The interval is the middle "
    "95 % of the number that decides. The verdicts are not corrected for their number."
)

_PLURALS = {"holds": "hold", "does not hold": "do not hold"}


def claims_section(reproduction: Reproduction) -> Section | None:
    """Return the report's conclusions with their verdicts; None where it draws none."""
    claims = reproduction.plan.experiment.claims
    if not claims:
        return None
    judged = [judge(reproduction, claim) for claim in claims]
    return Section(
        "What the report concludes",
        {"claims": _table(judged)},
        tuple(_findings(judged)),
        _NOTE,
    )


def _table(judged: Sequence[Judgement]) -> Table:
    columns = (
        Column("claim", "conclusion of the report"),
        Column("verdict", "verdict"),
        Column("evidence", "what was seen"),
        Column("interval", "95 % of the number that decides", "markdown"),
        Column("remark", "remark"),
    )
    rows = tuple(
        (
            one.claim.text,
            one.verdict,
            one.evidence or None,
            _interval_text(one),
            _remark(one) or None,
        )
        for one in judged
    )
    return Table(columns, rows, "Conclusions of the report, asked of the measured cells")


def _interval_text(judged: Judgement) -> str | None:
    if judged.interval is None:
        return None
    low, high = judged.interval
    return f"{low:.3g} to {high:.3g}"


def _remark(judged: Judgement) -> str:
    remarks = []
    if judged.verdict == "not seen here":
        remarks.append("nor do the published values of these cells show it; those of all cells do")
    elif judged.verdict == "not measured":
        remarks.append("it needs cells that have no finished run")
    if judged.shown is False:
        remarks.append("the report's own table does not show it")
    elif judged.shown is None and judged.verdict != "not measured":
        remarks.append("the report's table cannot tell")
    if judged.verdict == "within noise" and judged.share is not None:
        remarks.append(f"so in {judged.share:.0%} of the drawn tables")
    return "; ".join(remarks)


def _findings(judged: Sequence[Judgement]) -> list[Finding]:
    counts: dict[str, int] = {}
    for one in judged:
        counts[one.verdict] = counts.get(one.verdict, 0) + 1
    told = ", ".join(
        f"{number} {_PLURALS.get(name, name) if number > 1 else name}"
        for name, number in counts.items()
    )
    noun = "conclusion" if len(judged) == 1 else "conclusions"
    sentence = f"Of {len(judged)} {noun}: {told}"
    value: list[dict[str, Any]] = [
        {
            "claim": one.claim.text,
            "verdict": one.verdict,
            "evidence": one.evidence,
            "low": one.interval[0] if one.interval else None,
            "high": one.interval[1] if one.interval else None,
            "share_of_tables": one.share,
            "shown_in_report": one.shown,
        }
        for one in judged
    ]
    return [Finding("conclusions", sentence, value)]
