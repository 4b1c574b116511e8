"""One page with everything that was measured: chapters, each a command's report and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rnnprobe.table import Report, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rnnprobe.search.results import SweepResult


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with what a reader who cannot see it is told.

    Args:
        figure: Of matplotlib, without pyplot.
        caption: One plain sentence below it: what is drawn over what.
    """

    figure: Figure
    caption: str


@dataclass(frozen=True, eq=False)
class Chapter:
    """What one command measured.

    Args:
        title: Plain text, like `What it gets wrong`.
        command: The command line that prints this chapter alone; empty where there is none.
        report: What it prints.
        pictures: By file name, without the folder.
        sweep: Of a sweep, what the sortable heatmap is made of.
    """

    title: str
    command: str
    report: Report
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    sweep: SweepResult | None = None


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
