"""The page as HTML: what the template needs, and the template."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from rnnprobe import __version__
from rnnprobe.reports._page_pictures import PictureView, inlined
from rnnprobe.reports._page_sweep import SweepView, sweep_view
from rnnprobe.reports._page_tables import Tables, TableView
from rnnprobe.reports._page_text import blocks, inline, printable, sentence
from rnnprobe.table import Report, Table

if TYPE_CHECKING:
    from jinja2 import Environment

    from rnnprobe.reports.page import Chapter, Page

_LONG_NOTE = 300


class SectionView(NamedTuple):
    """A part of a chapter under a heading of its own."""

    identity: str
    title: Markup
    findings: tuple[Markup, ...]
    tables: tuple[TableView, ...]
    pictures: tuple[PictureView, ...]
    note: Markup
    folded: bool


class ChapterView(NamedTuple):
    """A chapter; `shown` is its first table, none where the heatmap or sections stand for it."""

    identity: str
    title: str
    command: str
    lead: str
    caption: Markup
    headline: Markup | None
    shown: tuple[TableView, ...]
    findings: tuple[Markup, ...]
    sweep: SweepView | None
    nothing: bool
    tables: tuple[TableView, ...]
    pictures: tuple[PictureView, ...]
    sections: tuple[SectionView, ...]


def render(page: Page) -> str:
    """Return the page as one HTML document."""
    tables = Tables()
    facts = tables.view(page.facts, "Settings and data")
    chapters = [
        _chapter(chapter, f"chapter-{number}", tables)
        for number, chapter in enumerate(page.chapters, start=1)
    ]
    style, script = _asset("page.css"), _asset("page.js")
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=printable(page.title),
            facts=facts,
            chapters=chapters,
            command=printable(page.command),
            made_by=printable(page.made_by),
            version=__version__,
            style=Markup(style),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            policy=_policy(style, script),
        )
    )


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("rnnprobe.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _asset(name: str) -> str:
    folder = importlib.resources.files("rnnprobe.reports") / "templates"
    return (folder / name).read_text("utf-8")


def _policy(style: str, script: str) -> str:
    """Return a policy that lets the browser load nothing but our own style, script and pictures."""
    style_hash, script_hash = map(_hashed, (style, script))
    return (
        f"default-src 'none'; img-src data:; style-src {style_hash}; script-src {script_hash}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hashed(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _chapter(chapter: Chapter, identity: str, tables: Tables) -> ChapterView:
    report, title = chapter.report, printable(chapter.title)
    titles = {section.title for section in report.sections}
    lost = {picture.section for picture in chapter.pictures.values()} - titles - {""}
    if lost:
        raise ValueError(f"No section {', '.join(map(repr, sorted(lost)))} in '{chapter.title}'.")
    sweep = sweep_view(chapter.sweep, report, f"{identity}-cell") if chapter.sweep else None
    first = report.shown or report.main
    left_to = bool(report.sections) or (sweep is not None and sweep.replaces)
    shown = () if left_to or not first.rows else (tables.view(first, title),)
    return ChapterView(
        identity,
        title,
        printable(chapter.command),
        chapter.lead,
        inline(report.caption),
        None if chapter.main_finding is None else sentence(chapter.main_finding.sentence),
        shown,
        tuple(sentence(finding.sentence) for finding in report.findings),
        sweep,
        not left_to and not first.rows and bool(first.columns),
        tuple(_titled(report.tables, report, tables)),
        _pictures(chapter, ""),
        tuple(_sections(chapter, identity, tables)),
    )


def _titled(some: Mapping[str, Table], report: Report, tables: Tables) -> Iterator[TableView]:
    for key, table in some.items():
        if table.rows and key not in report.left_out:
            yield tables.view(table, key)


def _pictures(chapter: Chapter, section: str) -> tuple[PictureView, ...]:
    here = (one for one in chapter.pictures.values() if one.section == section)
    return tuple(inlined(one) for one in here if one.in_html)


def _sections(chapter: Chapter, identity: str, tables: Tables) -> Iterator[SectionView]:
    for number, section in enumerate(chapter.report.sections, start=1):
        yield SectionView(
            f"{identity}-{number}",
            inline(section.title),
            tuple(sentence(finding.sentence) for finding in section.findings),
            tuple(_titled(section.tables, chapter.report, tables)),
            _pictures(chapter, section.title),
            blocks(section.note),
            len(section.note) > _LONG_NOTE,
        )
