"""Reports as tables, and the only place that turns them into Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rnnprobe._text import printable

_ESCAPES = {"\\": "\\\\", "|": "\\|", "`": "\\`", "*": "\\*", "[": "\\["}
_NOTHING = "–"
_ESCAPES |= {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        key: Its name in CSV and JSON.
        title: Its head in Markdown.
        kind: `text` is escaped and left-aligned; `integer`, `decimal` (fixed digits),
            `significant` (so many digits that count), `general` (shortest form, as for learning
            rates), `p_value` and `markdown` (as it is) are right-aligned.
        digits: Digits after the point of a `decimal`, or of a `significant` number.
        bracketed: Markdown shows it in brackets behind the column before it, title and cells, as
            the ends of an interval stand behind what they belong to.
    """

    key: str
    title: str
    kind: Literal["text", "markdown", "integer", "decimal", "significant", "general", "p_value"] = (
        "text"
    )
    digits: int = 4
    bracketed: bool = False


def interval_columns(
    key: str, title: str, kind: Literal["decimal", "significant"] = "decimal", digits: int = 3
) -> tuple[Column, Column, Column]:
    """Return the columns of a number and, behind it in brackets, of its 95 % interval."""
    return (
        Column(key, title, kind, digits),
        Column(f"{key}_low", "95 %", kind, digits, bracketed=True),
        Column(f"{key}_high", "", kind, digits, bracketed=True),
    )


@dataclass(frozen=True)
class Table:
    """Columns and rows; a cell is a raw value, None where there is none."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    title: str = ""

    def records(self) -> list[dict[str, Any]]:
        """Return one dict per row, by column key."""
        keys = [column.key for column in self.columns]
        return [dict(zip(keys, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Finding:
    """One sentence below the table, and the value it states.

    The sentence is Markdown: `escape` what comes from the user.
    """

    key: str
    sentence: str
    value: Any


@dataclass(frozen=True)
class Section:
    """One part of a report under a heading of its own.

    Args:
        title: The heading.
        tables: By key, below the sentences.
        findings: What was found.
        note: How to read it, Markdown, behind the tables; it says the same of all that is probed.
    """

    title: str
    tables: Mapping[str, Table]
    findings: tuple[Finding, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Report:
    """What a command prints.

    Args:
        command: Its name; JSON carries it in `schema`.
        caption: The first line, Markdown: what this is, on which data.
        main: The table that CSV holds.
        shown: What Markdown shows in its place; None shows the table itself.
        findings: Sentences below it.
        tables: More tables by key, below the findings.
        left_out: Keys of tables that JSON holds and Markdown does not show.
        sections: Parts under headings, in place of the table above and behind the sentences; JSON
            holds their tables and sentences with the others.
        made_by: The last line: versions.
        facts: More plain values for JSON alone.
    """

    command: str
    caption: str
    main: Table
    findings: tuple[Finding, ...] = ()
    tables: Mapping[str, Table] = field(default_factory=dict)
    made_by: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    shown: Table | None = None
    left_out: frozenset[str] = frozenset()
    sections: tuple[Section, ...] = ()


def escape(text: str) -> str:
    r"""Return `text` as it must be written in a Markdown table cell.

    Example:
        >>> escape("a|b <i>")
        'a\\|b &lt;i&gt;'
    """
    escaped = "".join(_ESCAPES.get(character, character) for character in text)
    return printable(escaped)


def p_text(p_value: float) -> str:
    """Return a p-value to two digits.

    Example:
        >>> [p_text(p) for p in (1.0, 0.0312, 3e-4, 2e-9)]
        ['1', '0.031', '0.0003', '< 0.0001']
    """
    return "< 0.0001" if p_value < 1e-4 else f"{p_value:.2g}"


def format_cell(value: Any, column: Column) -> str:
    """Return the Markdown text of one cell."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return _NOTHING
    if column.kind == "markdown":
        return str(value)
    if isinstance(value, float) and math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if column.kind == "decimal":
        return f"{value:.{column.digits}f}"
    if column.kind == "significant":
        return _significant(value, column.digits)
    if column.kind == "integer":
        return f"{value:d}"
    if column.kind == "general":
        return f"{value:g}"
    if column.kind == "p_value":
        return p_text(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(escape(str(part)) for part in value)
    return escape(str(value))


def _significant(value: float, digits: int) -> str:
    if 10**digits <= abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:#.{digits}g}".rstrip(".") if value else "0"


def markdown_table(table: Table) -> str:
    """Return a pipe table with a line of dashes that says how each column is aligned."""
    from tabulate import tabulate

    groups = column_groups(table.columns)
    rows = [
        [shown_cell(row[group], table.columns[group]) for group in groups] for row in table.rows
    ]
    return tabulate(
        rows,
        headers=[
            shown_head(table.columns[group], [row[place] for row in rows])
            for place, group in enumerate(groups)
        ],
        tablefmt="pipe",
        colalign=[
            "left" if table.columns[group.start].kind == "text" else "right" for group in groups
        ],
        disable_numparse=True,
    )


def column_groups(columns: Sequence[Column]) -> list[slice]:
    """Return which columns are shown as one: each with what stands in brackets behind it."""
    starts = [place for place, column in enumerate(columns) if not column.bracketed]
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(columns)], strict=True)]


def shown_cell(values: Sequence[Any], columns: Sequence[Column]) -> str:
    """Return the Markdown text of cells that are shown as one."""
    first, *more = (format_cell(v, column) for v, column in zip(values, columns, strict=True))
    inside = ", ".join(text for text in more if text != _NOTHING)
    return f"{first} [{inside}]" if inside else first


def shown_head(columns: Sequence[Column], cells: Sequence[str]) -> str:
    """Return the title, with what the brackets hold where a cell has some."""
    title, *more = (column.title for column in columns)
    inside = ", ".join(filter(None, more))
    return f"{title} [{inside}]" if any(cell.endswith("]") for cell in cells) and inside else title


def to_markdown(report: Report) -> str:
    """Return the whole report as Markdown, ending with a newline."""
    blocks = [report.caption]
    if not report.sections:
        first = report.shown or report.main
        if first.rows:
            blocks.append(markdown_table(first))
        elif first.columns:  # a report without a table has nothing that could be listed
            blocks.append("Nothing to list.")
    blocks += _listed(report.findings)
    blocks += _titled(report.tables, report.left_out)
    for section in report.sections:
        blocks.append(f"### {section.title}")
        blocks += _listed(section.findings)
        blocks += _titled(section.tables, report.left_out)
        blocks += [section.note] if section.note else []
    blocks.append(f"_{report.made_by}_")
    return "\n\n".join(blocks) + "\n"


def _listed(findings: Sequence[Finding]) -> list[str]:
    return ["\n".join(f"- {finding.sentence}" for finding in findings)] if findings else []


def _titled(tables: Mapping[str, Table], left_out: Collection[str]) -> list[str]:
    shown = [table for key, table in tables.items() if table.rows and key not in left_out]
    return [block for table in shown for block in (f"**{table.title}**", markdown_table(table))]


def to_csv(report: Report) -> str:
    """Return the main table as CSV with full precision; several values in a cell by spaces."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(column.key for column in report.main.columns)
    for row in report.main.rows:
        writer.writerow(
            " ".join(map(str, value)) if isinstance(value, list | tuple) else value for value in row
        )
    return text.getvalue()


def to_json(report: Report) -> str:
    """Return the whole report as JSON: full precision, null where there is no number."""
    findings = [*report.findings, *(one for part in report.sections for one in part.findings)]
    tables = dict(report.tables)
    for part in report.sections:
        tables |= part.tables
    document = {
        "schema": f"rnnprobe.{report.command}/1",
        "rows": report.main.records(),
        "findings": {finding.key: finding.value for finding in findings},
        "tables": {key: table.records() for key, table in tables.items()},
        "made_by": report.made_by,
        **report.facts,
    }
    return json.dumps(_finite(document), indent=2, ensure_ascii=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if hasattr(value, "item"):
        return _finite(value.item())
    return value


FORMATS = {"md": to_markdown, "csv": to_csv, "json": to_json}
