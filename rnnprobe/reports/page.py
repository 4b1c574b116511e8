"""One page with everything that was measured: chapters, each a command's report and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rnnprobe.table import Finding, Report, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rnnprobe.search.results import SweepResult


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with what a reader who cannot see it is told.

    Args:
        figure: Of matplotlib, without pyplot.
        caption: One plain sentence below it: what is drawn over what. Plain text, no Markdown.
        section: The title of the report's section that it stands in; empty: before them all.
        in_html: Whether the HTML page draws it; the heatmap of a sweep is a table there.
    """

    figure: Figure
    caption: str
    section: str = ""
    in_html: bool = True


@dataclass(frozen=True, eq=False)
class Chapter:
    """What one command measured.

    Args:
        title: Plain text, like `What it gets wrong`.
        command: The command line that prints this chapter alone, or with `resumes` goes on with
            the run that it is of; empty where there is none.
        report: What it prints.
        pictures: By file name, without the folder; a name is used once on a page.
        sweep: Of a sweep, what the sortable heatmap is made of; `report` is its `sweep_report`.
        headline: The key of the finding that the top of the page repeats; empty: the first.
        resumes: Whether `command` trains what the run still lacks.
    """

    title: str
    command: str
    report: Report
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    sweep: SweepResult | None = None
    headline: str = ""
    resumes: bool = False

    @property
    def lead(self) -> str:
        """What stands before the command."""
        return "Goes on with this run" if self.resumes else "This chapter alone"

    @property
    def main_finding(self) -> Finding | None:
        """What the top of the page repeats; None where nothing was found.

        Raises:
            ValueError: The report has no finding of the key `headline`.
        """
        report = self.report
        findings = [*report.findings, *(one for part in report.sections for one in part.findings)]
        if self.headline:
            findings = [finding for finding in findings if finding.key == self.headline]
            if not findings:
                raise ValueError(f"No finding {self.headline!r} in '{self.title}'.")
        return findings[0] if findings else None


@dataclass(frozen=True, eq=False)
class Page:
    """What `rnnprobe report` writes.

    Args:
        title: Plain text: the name of the model or run.
        facts: Settings, data and digest, versions: two columns, what and value.
        chapters: In the order of the page.
        command: The command line that made the page.
        made_by: The last line: versions.
    """

    title: str
    facts: Table
    chapters: tuple[Chapter, ...]
    command: str
    made_by: str


def page_html(page: Page) -> str:
    """Return the page as one HTML document that loads nothing, pictures and all.

    Args:
        page: What was measured. Names in it may hold anything: they are escaped.

    Raises:
        ValueError: A headline or a section that the report of its chapter does not have.
    """
    from rnnprobe.reports._page_html import render

    return render(page)


def page_markdown(page: Page, pictures: Mapping[str, str] | None = None) -> str:
    """Return the page as Markdown: a heading a chapter, its tables, no pictures but links to them.

    Args:
        page: What was measured.
        pictures: The path of each picture by its file name, as seen from where the text will lie;
            None: no pictures.

    Raises:
        ValueError: Two chapters have a picture of one name, so that a path would be of either; or
            a headline that the report of its chapter does not have.
    """
    from rnnprobe.reports._page_markdown import render

    return render(page, pictures or {})
