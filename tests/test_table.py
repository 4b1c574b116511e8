from __future__ import annotations

import csv
import html
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnprobe.table import (
    Column,
    Finding,
    Report,
    Section,
    Table,
    escape,
    interval_columns,
    markdown_table,
    to_csv,
    to_json,
    to_markdown,
)

NAMES = ["a|b", "007", "1e3", "nan", "line\nbreak", "<b>bold</b>", "🐍", "*star*", "`code`", "\\"]


def make_report(rows: tuple[tuple[object, ...], ...]) -> Report:
    columns = (Column("name", "name"), Column("share", "share", "decimal", 2))
    return Report("test", "**Test**", Table(columns, rows), made_by="Made by rnnprobe 0")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def unescape(text: str) -> str:
    return html.unescape(re.sub(r"\\([\\|`*\[])", r"\1", text))


@pytest.mark.parametrize("name", NAMES)
def test_any_name_stays_one_cell_of_one_row(name: str) -> None:
    text = markdown_table(make_report(((name, 0.5),)).main)
    lines = text.splitlines()
    assert len(lines) == 3
    shown, share = cells(lines[2])
    assert share == "0.50"
    assert unescape(shown) == name.replace("\n", "\\n")


@given(st.text())
def test_escape_leaves_no_row_cell_or_tag_behind(text: str) -> None:
    escaped = escape(text)
    assert len(escaped.splitlines()) <= 1
    assert "<" not in escaped
    assert not re.search(r"(?<!\\)(\\\\)*\|", escaped)


def test_numbers_are_right_aligned_and_fixed() -> None:
    header, rule, row = markdown_table(make_report((("a", 1.0),)).main).splitlines()
    assert cells(header) == ["name", "share"]
    assert cells(rule)[0].startswith(":-")
    assert cells(rule)[1].endswith("-:")
    assert cells(row) == ["a", "1.00"]


def test_missing_numbers_are_dashes_in_markdown_and_null_in_json() -> None:
    report = make_report((("a", float("nan")), ("b", None), ("c", float("inf"))))
    assert to_markdown(report).count("–") == 2
    assert [row["share"] for row in json.loads(to_json(report))["rows"]] == [None, None, None]


def test_csv_has_full_precision_and_reads_back() -> None:
    rows = tuple((name, 1 / 3) for name in NAMES)
    read = list(csv.reader(io.StringIO(to_csv(make_report(rows)))))
    assert read[0] == ["name", "share"]
    assert [(name, float(share)) for name, share in read[1:]] == list(rows)


def test_json_carries_schema_findings_and_tables() -> None:
    base = make_report((("a", 0.5),))
    report = Report(
        base.command, base.caption, base.main, (Finding("k", "K is 1", 1),), {"t": base.main}
    )
    document = json.loads(to_json(report))
    assert document["schema"] == "rnnprobe.test/1"
    assert document["findings"] == {"k": 1}
    assert document["tables"]["t"] == [{"name": "a", "share": 0.5}]


def test_ends_of_an_interval_stand_in_brackets_behind_their_number() -> None:
    columns = (
        *interval_columns("mean", "mean", digits=2),
        Column("n", "n", "integer"),
    )
    table = Table(columns, ((0.5, 0.25, 0.75, 8), (0.5, None, float("nan"), 1)))
    header, _, first, second = markdown_table(table).splitlines()
    assert cells(header) == ["mean [95 %]", "n"]
    assert cells(first) == ["0.50 [0.25, 0.75]", "8"]
    assert cells(second) == ["0.50", "1"]
    alone = markdown_table(Table(columns, table.rows[1:])).splitlines()
    assert cells(alone[0]) == ["mean", "n"]
    assert to_csv(Report("test", "", table)).splitlines()[:2] == [
        "mean,mean_low,mean_high,n",
        "0.5,0.25,0.75,8",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (45.934, "45.9"),
        (229.77, "230"),
        (1186.2, "1,186"),
        (float("inf"), "∞"),
        (1.0, "1.00"),
        (1.23e-9, "1.23e-09"),
    ],
)
def test_significant_digits_are_kept(value: float, text: str) -> None:
    table = Table((Column("x", "x", "significant", 3),), ((value,),))
    assert cells(markdown_table(table).splitlines()[2]) == [text]


def test_sections_stand_under_headings_and_json_holds_them_flat() -> None:
    base = make_report((("a", 0.5),))
    tables = {"one": Table(base.main.columns, base.main.rows, "One"), "two": base.main}
    section = Section("Gates", tables, (Finding("open", "All open", 3),))
    report = Report(
        "test",
        "**Test**",
        tables["one"],
        findings=(Finding("n", "n = 2", 2),),
        sections=(section,),
        left_out=frozenset({"two"}),
        made_by="Made by rnnprobe 0",
    )
    blocks = to_markdown(report).split("\n\n")
    assert blocks[:5] == ["**Test**", "- n = 2", "### Gates", "- All open", "**One**"]
    assert len(blocks) == 7
    document = json.loads(to_json(report))
    assert document["findings"] == {"n": 2, "open": 3}
    assert set(document["tables"]) == {"one", "two"}
