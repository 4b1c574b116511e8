"""What a sweep measured: runs, and the cells that they belong to."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnprobe.errors import ModelError
from rnnprobe.search.space import AXES, Configuration, SearchSpace
from rnnprobe.search.task import MODELS, file_name
from rnnprobe.specs import Run

if TYPE_CHECKING:
    import pandas as pd


CONFIRMED_CELLS = 3


@dataclass(frozen=True, eq=False)
class CellRun:
    """One run of one configuration.

    Args:
        configuration: A value per axis; None where the axis means nothing.
        repeat: From 1; the seed is the sweep's plus this less 1.
        run: What came of it.
        hits: Which validation examples were right: hexadecimal digits of packed bits; empty
            where the run did not finish.
    """

    configuration: Configuration
    repeat: int
    run: Run
    hits: str = ""

    @property
    def finished(self) -> bool:
        """Whether it was trained and measured to the end."""
        return self.run.status == "ok"

    @property
    def reason(self) -> str:
        """Why it did not finish, in one word: oom, killed, time, nan, error or lost."""
        return self.run.message.partition(":")[0]

    def value(self, metric: str) -> float:
        """Return a metric of a finished run: a key of its `metrics`, or `seconds`."""
        return self.run.seconds if metric == "seconds" else float(self.run.metrics[metric])


@dataclass(frozen=True, eq=False)
class Cell:
    """All runs of one configuration.

    Args:
        configuration: A value per axis; None where the axis means nothing.
        runs: One a repeat, as far as there are.
        repeats: How many runs there should be.
    """

    configuration: Configuration
    runs: tuple[CellRun, ...]
    repeats: int

    @cached_property
    def finished(self) -> tuple[CellRun, ...]:
        """The runs that finished."""
        return tuple(run for run in self.runs if run.finished)

    @property
    def complete(self) -> bool:
        """Whether every repeat finished."""
        return len(self.finished) == self.repeats

    def values(self, metric: str) -> list[float]:
        """Return a metric of each finished run."""
        return [run.value(metric) for run in self.finished]

    def mean(self, metric: str) -> float:
        """Return the mean of a metric over the finished runs, of which there must be one."""
        return statistics.fmean(self.values(metric))

    def deviation(self, metric: str) -> float | None:
        """Return the standard deviation over the finished runs; None of one run alone."""
        values = self.values(metric)
        return statistics.stdev(values) if len(values) > 1 else None

    @property
    def seconds(self) -> float:
        """The median training time of the finished runs."""
        return statistics.median(self.values("seconds"))

    @property
    def parameters(self) -> int:
        """The number of the model's parameters."""
        return self.finished[0].run.parameters


@dataclass(frozen=True, eq=False)
class SweepResult:
    """What a sweep measured.

    Args:
        space: What was swept.
        repeats: Runs per cell.
        seed: Of the first repeat.
        settings: Of all runs: `epochs`, `steps`, `early_stopping`, `checkpoints`.
        runs: All runs that there are, repeat by repeat in the order of the space.
        confirmations: Runs of the best cells with fresh seeds.
        confirm: How many of those each of the best cells should have.
        seconds: Wall time of this process; what was resumed is not in it.
        run_dir: Where the results are kept, or None.
        unreadable: How many lines of `results.jsonl` were no results; their trials ran again.
    """

    space: SearchSpace
    repeats: int
    seed: int
    settings: Mapping[str, Any]
    runs: tuple[CellRun, ...]
    confirmations: tuple[CellRun, ...] = ()
    confirm: int = 0
    seconds: float = 0.0
    run_dir: Path | None = None
    unreadable: int = 0

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All cells of the space in its order, also those without a run."""
        return _cells(self.space.configurations, self.runs, self.repeats)

    @cached_property
    def confirmed(self) -> tuple[Cell, ...]:
        """The cells that were run again, with the fresh runs alone."""
        keys = dict.fromkeys(cell_key(run.configuration) for run in self.confirmations)
        configurations = [c for c in self.space.configurations if cell_key(c) in keys]
        return _cells(configurations, self.confirmations, self.confirm)

    @property
    def wanted(self) -> int:
        """How many runs there should be; those that confirm only once there are cells to do so."""
        main = len(self.cells) * self.repeats
        return main + min(CONFIRMED_CELLS, len(self.ranking())) * self.confirm

    @property
    def complete(self) -> bool:
        """Whether every run was made, to whatever end."""
        return len(self.runs) + len(self.confirmations) == self.wanted

    def ranking(self) -> tuple[Cell, ...]:
        """Return the cells that may be chosen, the best mean validation accuracy first.

        A cell may be chosen when all its repeats finished; where no cell's did, when as many
        finished as of any. At equal accuracy the lower validation loss decides.
        """
        return self._ranking

    @cached_property
    def _ranking(self) -> tuple[Cell, ...]:
        most = max((len(cell.finished) for cell in self.cells), default=0)
        chosen = [cell for cell in self.cells if len(cell.finished) == most > 0]
        best_first = sorted(chosen, key=lambda c: (-c.mean("val_accuracy"), c.mean("val_loss")))
        return tuple(best_first)

    def model_file(self, run: CellRun) -> Path:
        """Return where the model of a run was saved.

        Args:
            run: One of this sweep that finished.

        Raises:
            ModelError: The run did not finish, or the sweep saved no models.

        Example:
            >>> best = swept.ranking()[0]                                   # doctest: +SKIP
            >>> model = rnnprobe.load_model(swept.model_file(best.runs[0]))  # doctest: +SKIP
        """
        axes = {name: run.configuration[name] for name in self.space.varied}
        name = file_name(axes, run.run.train.seed)
        if not run.finished:
            raise ModelError(f"The run '{name}' did not finish ({run.reason}) and left no model.")
        file = None if self.run_dir is None else self.run_dir / MODELS / f"{name}.keras"
        if file is None or not file.exists():
            raise ModelError(
                f"The sweep kept no model '{name}.keras' in the folder '{MODELS}' of its run "
                "folder; sweep with `Execution(run_dir=..., save_models=True)`."
            )
        return file

    @property
    def frame(self) -> pd.DataFrame:
        """One row a run: the axes, `seed`, `status`, `reason`, metrics, `seconds`, ..."""
        import pandas as pd

        rows = [
            {
                **run.configuration,
                "seed": run.run.train.seed,
                "status": run.run.status,
                "reason": run.reason,
                **run.run.metrics,
                "seconds": run.run.seconds,
                "peak_memory": run.run.peak_memory,
                "parameters": run.run.parameters or None,
            }
            for run in (*self.runs, *self.confirmations)
        ]
        return pd.DataFrame(rows, columns=None if rows else [*AXES, "seed", "status", "reason"])


def cell_key(configuration: Configuration) -> str:
    """Return a configuration as a line of text, the same for equal ones."""
    return " ".join(f"{name}={value}" for name, value in configuration.items() if value is not None)


def _cells(
    configurations: list[Configuration], runs: tuple[CellRun, ...], repeats: int
) -> tuple[Cell, ...]:
    by_key: dict[str, list[CellRun]] = {}
    for run in runs:
        by_key.setdefault(cell_key(run.configuration), []).append(run)
    return tuple(Cell(c, tuple(by_key.get(cell_key(c), ())), repeats) for c in configurations)
