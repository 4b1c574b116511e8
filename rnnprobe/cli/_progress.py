"""Progress on stderr: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import click

if TYPE_CHECKING:
    from rnnprobe.records import SequenceDataset


class Progress:
    """Counts finished pieces of work.

    Args:
        what: What is counted, in the plural.
        total: How many there are.
        quiet: Show nothing.
    """

    def __init__(self, what: str, total: int | None, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._most = 0  # a trial that is trained for longer is an old one
        if not quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(what, total=total)

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def line(self, text: str, *, completed: int | None = None, total: int | None = None) -> None:
        """Say something, and how many pieces are done."""
        if self._quiet:
            return
        if self._bar:
            self._bar.console.print(text, markup=False, highlight=False)
            self._most = max(self._most, completed or 0)
            self._bar.update(self._task, completed=self._most, total=total)
        else:
            click.echo(text, err=True)


def say_notes(datasets: Sequence[SequenceDataset], *, quiet: bool) -> None:
    """Say on stderr what was done to the data, what is the same of several once."""
    notes = (f"{dataset.name}: {note}" for dataset in datasets for note in dataset.notes)
    for note in () if quiet else dict.fromkeys(notes):
        click.echo(note, err=True)
