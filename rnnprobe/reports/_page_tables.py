"""Tables of a report as the page's template wants them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

from markupsafe import Markup

from rnnprobe.reports._page_text import inline
from rnnprobe.table import Column, Table, column_groups, shown_cell, shown_head

TALL = 25
_NUMBER = re.compile(r"[*\s]*([-−]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?)")


class CellView(NamedTuple):
    """One cell.

    Args:
        text: What is read.
        sort: The raw number that sorts it, as JavaScript reads it; None where text sorts it or
            there is no value.
    """

    text: Markup
    sort: str | None


class HeadView(NamedTuple):
    """The head of a column, and whether numbers stand in it."""

    text: Markup
    numeric: bool


class TableView(NamedTuple):
    """One table.

    Args:
        identity: Its id on the page.
        caption: Its title.
        captioned: Whether the title is seen, or for screen readers alone.
        heads: Of the columns.
        rows: The first cell of each is its head.
        tall: Whether it scrolls in a frame of its own.
    """

    identity: str
    caption: Markup
    captioned: bool
    heads: tuple[HeadView, ...]
    rows: tuple[tuple[CellView, ...], ...]
    tall: bool


class Tables:
    """Makes the tables of one page, each with an id of its own."""

    def __init__(self) -> None:
        self._ids = (f"table-{number}" for number in count(1))

    def identity(self) -> str:
        """Return an id that no other table has."""
        return next(self._ids)

    def view(self, table: Table, untitled: str) -> TableView:
        """Return a table as the template wants it.

        Args:
            table: What is shown.
            untitled: Plain text that names a table without a title to a screen reader.
        """
        groups = column_groups(table.columns)
        texts = [[shown_cell(row[g], table.columns[g]) for g in groups] for row in table.rows]
        heads = tuple(
            HeadView(
                inline(shown_head(table.columns[group], [row[place] for row in texts])),
                table.columns[group.start].kind != "text",
            )
            for place, group in enumerate(groups)
        )
        caption = inline(table.title) if table.title else Markup("{}").format(untitled)
        rows = tuple(
            tuple(_cells(texts[number], row, table.columns, groups))
            for number, row in enumerate(table.rows)
        )
        tall = len(rows) > TALL
        return TableView(self.identity(), caption, bool(table.title), heads, rows, tall)


def _cells(
    texts: Sequence[str], row: Sequence[Any], columns: Sequence[Column], groups: Sequence[slice]
) -> Iterator[CellView]:
    for text, group in zip(texts, groups, strict=True):
        yield CellView(inline(text), sort_key(row[group.start], columns[group.start]))


def sort_key(value: Any, column: Column) -> str | None:
    """Return the raw number that sorts a cell, None where there is none.

    Example:
        >>> sort_key(0.5, Column("share", "share", "decimal"))
        '0.5'
        >>> sort_key("**0.9120 ± 0.01**", Column("cell", "cell", "markdown"))
        '0.9120'
    """
    if column.kind == "markdown":
        found = _NUMBER.match(str(value))
        return found[1].replace(",", "").replace("−", "-") if found else None
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, bool) or not isinstance(plain, int | float) or plain != plain:
        return None
    if plain in (float("inf"), float("-inf")):
        return "Infinity" if plain > 0 else "-Infinity"
    return repr(plain)
