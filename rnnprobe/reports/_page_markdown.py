"""The page as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rnnprobe import __version__
from rnnprobe.reports._page_text import printable
from rnnprobe.table import escape, markdown_table, to_markdown

if TYPE_CHECKING:
    from rnnprobe.reports.page import Chapter, Page


def render(page: Page, pictures: Mapping[str, str]) -> str:
    """Return the page; arguments as of `rnnprobe.reports.page.page_markdown`."""
    names = [name for chapter in page.chapters for name in chapter.pictures]
    twice = sorted({name for name in names if names.count(name) > 1})
    if pictures and twice:
        raise ValueError(f"Two chapters have a picture {', '.join(map(repr, twice))}.")
    parts = [f"<!-- Written by rnnprobe {__version__} -->", f"# {escape(page.title)}"]
    parts += _in_short(page.chapters)
    parts += ["This page:", _fenced(page.command), markdown_table(page.facts)]
    for chapter in page.chapters:
        parts += _chapter(chapter, pictures)
    return "\n\n".join([*parts, f"_{page.made_by}_"]) + "\n"


def _in_short(chapters: Sequence[Chapter]) -> Iterator[str]:
    """Yield what the top of the page repeats of each chapter."""
    if not chapters:
        return
    yield "**In short**"
    lines = []
    for chapter in chapters:
        found = chapter.main_finding
        said = "" if found is None else f": {found.sentence}"
        lines.append(f"- **{escape(chapter.title)}**{said}")
    yield "\n".join(lines)


def _chapter(chapter: Chapter, pictures: Mapping[str, str]) -> Iterator[str]:
    yield f"## {escape(chapter.title)}"
    if chapter.command:
        yield f"{chapter.lead}:"
        yield _fenced(chapter.command)
    # The page says once, in its last line, what it was made by.
    yield to_markdown(chapter.report).removesuffix(f"_{chapter.report.made_by}_\n").rstrip("\n")
    for name, picture in chapter.pictures.items():
        if name in pictures:
            words = escape(printable(picture.caption)).replace("]", "\\]")
            yield f"![{words}](<{_address(pictures[name])}>)"


def _address(path: str) -> str:
    from urllib.parse import quote

    return quote(path, safe="/.-_ ")


def _fenced(command: str) -> str:
    """Return a command as a block of code; a fence is longer than what stands in it."""
    line = printable(command)
    fence = "```"
    while fence in line:
        fence += "`"
    return f"{fence}sh\n{line}\n{fence}"
