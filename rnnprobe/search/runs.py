"""The runs of an experiment: each made once, written down as it ends, and never made again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnnprobe.journal import Journal
from rnnprobe.records import SequenceDataset
from rnnprobe.search.pool import Pool
from rnnprobe.search.task import (
    Execution,
    TrialTask,
    folder_for_data,
    outcome_entry,
    run_folder,
)

if TYPE_CHECKING:
    from rnnprobe.search.chief import Chief

Entry = Mapping[str, Any]
"""What the journal keeps of a run: its `key`, its `run` as plain values, and the `hits`."""

OnEntry = Callable[[Entry, int], None]
"""Told of each run that was made, and how many of those asked for are done."""


class Runs:
    """Makes the runs that are missing, and writes down each as it ends.

    Args:
        journal: The run folder.
        pool: Where they are made.
        digest: Of the data set.
        retry_dnf: Make those again that did not finish.
        on_entry: See `OnEntry`.

    Attributes:
        done: What is there, by key.
    """

    def __init__(
        self,
        journal: Journal,
        pool: Pool | Chief,
        digest: str,
        *,
        retry_dnf: bool,
        on_entry: OnEntry,
    ) -> None:
        self._journal, self._pool = journal, pool
        self._digest, self._on_entry = digest, on_entry
        self._planned: set[str] = set()
        self.done: dict[str, Entry] = {
            entry["key"]: entry
            for entry in journal.entries
            if not retry_dnf or entry["run"]["status"] == "ok"
        }

    def make(self, tasks: Sequence[TrialTask]) -> None:
        """Run what is missing of these."""
        self._planned |= {task.key for task in tasks}
        for task in tasks:
            if task.key not in self.done:
                self._pool.add(task)
        for outcome in self._pool.outcomes():
            entry = outcome_entry(outcome, self._digest)
            self._journal.append(entry)
            self.done[entry["key"]] = entry
            self._on_entry(entry, self.num_done)

    @property
    def num_done(self) -> int:
        """How many of the planned runs are there."""
        return len(self._planned & set(self.done))

    @property
    def unreadable(self) -> int:
        """How many lines of the journal were no results."""
        return self._journal.unreadable


@contextlib.contextmanager
def open_runs(
    dataset: SequenceDataset,
    described: Mapping[str, Any],
    execution: Execution,
    on_entry: OnEntry,
) -> Iterator[Runs]:
    """Open the run folder and the children that train.

    Args:
        dataset: What is trained on.
        described: What the run folder says of itself, see `rnnprobe.search.task.experiment`.
        execution: How many processes, their limits, and the folder.
        on_entry: See `OnEntry`.

    Raises:
        OutputError: The run folder belongs to another experiment, or cannot be written.
    """
    with run_folder(execution) as folder:
        chief = execution.chief(described)
        journal = Journal(folder, described, resume=execution.resume)
        with (
            journal,
            folder_for_data(folder) as data,
            chief or execution.pool(dataset, data) as pool,
        ):
            yield Runs(
                journal,
                pool,
                dataset.digest,
                retry_dnf=execution.retry_dnf,
                on_entry=on_entry,
            )
