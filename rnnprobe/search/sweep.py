"""`sweep`: every cell of a factorial, several times, in processes that may die."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rnnprobe.errors import OutputError
from rnnprobe.journal import read_experiment, read_results
from rnnprobe.records import SequenceDataset
from rnnprobe.search.results import CONFIRMED_CELLS, CellRun, SweepResult, cell_key
from rnnprobe.search.runs import Entry, open_runs
from rnnprobe.search.space import AXES, Configuration, SearchSpace, to_specs
from rnnprobe.search.task import Execution, TrialTask, damaged_run, experiment, file_name
from rnnprobe.specs import Run, TrainSpec, check_trainable

SETTINGS = ("epochs", "steps", "early_stopping", "class_weights", "checkpoints")

OnRun = Callable[[Run, int, int], None]


def sweep(
    dataset: SequenceDataset,
    space: SearchSpace | None = None,
    *,
    repeats: int = 1,
    confirm: int = 0,
    seed: int = 0,
    execution: Execution | None = None,
    on_run: OnRun | None = None,
    **settings: Any,
) -> SweepResult:
    """Train every configuration of a space, and say what came of each.

    Args:
        dataset: Trained on its training part; each run is measured on validation and test part.
        space: What to sweep; None is the one cell of all defaults.
        repeats: Runs per cell, with the seeds `seed`, `seed + 1`, ...; at least 1. Every cell is
            run once before any is run twice.
        confirm: Runs with fresh seeds of each of the three best cells, at least 0.
        seed: Of the first repeat.
        execution: How many processes, their limits, and the folder that keeps the results.
        on_run: Called with each run, how many are done, and how many there will be.
        **settings: Of all runs, the fields of `TrainSpec` that are no axes: `epochs` (10 where
            neither it nor `steps` is given), `steps`, `early_stopping`, `class_weights`,
            `checkpoints`.

    Returns:
        All runs; a run that did not finish says why. Equal whatever the number of workers, but
        for time and memory.

    Raises:
        OutputError: The run folder belongs to another experiment, or cannot be written.
        DataError: There are more checkpoints than updates.
        ValueError: A number is out of range, or the space has too many cells to try them all.

    Example:
        >>> import rnnprobe                                                     # doctest: +SKIP
        >>> space = rnnprobe.SearchSpace(units=[16, 32], learning_rate=[1e-3, 1e-2])
        ...                                                                     # doctest: +SKIP
        >>> data = rnnprobe.load_dataset("mnist-5k")                            # doctest: +SKIP
        >>> swept = rnnprobe.sweep(data, space, repeats=3, epochs=4)            # doctest: +SKIP
        >>> swept.frame.groupby("units").val_accuracy.mean()                    # doctest: +SKIP
    """
    space, execution = space or SearchSpace(), execution or Execution()
    plan = Plan(space, repeats, confirm, seed, settings)
    for task in plan.tasks():
        check_trainable(dataset, task.train, parts=("train", "validation", "test"))
    started = time.perf_counter()

    def tell(entry: Entry, done: int) -> None:
        if on_run:
            on_run(Run.from_dict(entry["run"]), done, plan.num_runs)

    described = {**plan.experiment(dataset), "outputs": execution.outputs}
    with open_runs(dataset, described, execution, tell) as runs:
        runs.make(plan.tasks())
        if confirm:
            runs.make(plan.confirming_tasks(runs.done))
    return replace(
        plan.result(runs.done, execution.run_dir),
        seconds=time.perf_counter() - started,
        unreadable=runs.unreadable,
    )


def load_sweep(run_dir: str | Path) -> SweepResult:
    """Return what a run folder holds of a sweep, whole or not.

    Raises:
        OutputError: It is no run folder of a sweep, or was damaged.

    Example:
        >>> import rnnprobe
        >>> swept = rnnprobe.load_sweep("rnnprobe-runs/sweep-20261121-101500")  # doctest: +SKIP
        >>> swept.frame[["units", "seed", "val_accuracy"]]                      # doctest: +SKIP
    """
    folder = Path(run_dir)
    described = read_experiment(folder)
    if described is None or described["command"] != "sweep":
        raise OutputError(f"'{folder}' is no run folder of a sweep.")
    entries, unreadable = read_results(folder)
    try:
        plan = Plan.of(described)
    except (KeyError, TypeError, ValueError) as exc:
        raise damaged_run(folder, exc) from exc
    done = {entry["key"]: entry for entry in entries}
    return replace(plan.result(done, folder), unreadable=unreadable)


@dataclass(frozen=True)
class Plan:
    """Which runs a sweep consists of.

    Args:
        space: What is swept.
        repeats: Runs per cell.
        confirm: Runs with fresh seeds of each of the best cells.
        seed: Of the first repeat.
        settings: Fields of `TrainSpec` that are no axes.
    """

    space: SearchSpace
    repeats: int
    confirm: int
    seed: int
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        for name, least in (("repeats", 1), ("confirm", 0), ("seed", 0)):
            value = getattr(self, name)
            if value < least:
                raise ValueError(f"`{name} >= {least}` must hold, but got {name}={value}.")
        unknown = sorted(set(self.settings) - set(SETTINGS))
        if unknown:
            raise ValueError(f"Unknown setting '{unknown[0]}', expected {', '.join(SETTINGS)}.")
        if "epochs" not in self.settings and "steps" not in self.settings:
            settings = {"epochs": TrainSpec.epochs, **self.settings}
            object.__setattr__(self, "settings", settings)
        for configuration in self.space.configurations:
            self.task(configuration, self.repeats + self.confirm)

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Plan:
        """Return the plan that `experiment` described."""
        fixed, wanted = described["fixed"], described["wanted"]
        space = SearchSpace(**fixed["axes"])
        return cls(space, wanted["repeats"], wanted["confirm"], fixed["seed"], fixed["settings"])

    def experiment(self, dataset: SequenceDataset) -> dict[str, Any]:
        """Return what a run folder says of itself; of what is fixed, a resumed run has the same."""
        axes = {n: v for n, v in self.space.values.items() if v != (AXES[n].default,)}
        wanted = {"repeats": self.repeats, "confirm": self.confirm}
        return experiment("sweep", axes, self.settings, self.seed, dataset, wanted)

    def task(self, configuration: Configuration, repeat: int) -> TrialTask:
        """Return one run; `repeat` counts from 1."""
        seed = self.seed + repeat - 1
        model, train = to_specs(configuration, seed=seed, **self.settings)
        name = file_name({name: configuration[name] for name in self.space.varied}, seed)
        return TrialTask(_key(configuration, seed), model, train, rank=repeat, name=name)

    def tasks(self) -> list[TrialTask]:
        """Return all runs, every cell's first one before any second one."""
        return [
            self.task(configuration, repeat)
            for repeat in range(1, self.repeats + 1)
            for configuration in self.space.configurations
        ]

    @property
    def num_runs(self) -> int:
        """How many runs there will be in all, if any cell can be chosen."""
        cells = len(self.space.configurations)
        return cells * self.repeats + min(cells, CONFIRMED_CELLS) * self.confirm

    def confirming_tasks(self, done: Mapping[str, Entry]) -> list[TrialTask]:
        """Return the runs with fresh seeds of the cells that came out best."""
        best = self.result(done).ranking()[:CONFIRMED_CELLS]
        fresh = range(self.repeats + 1, self.repeats + self.confirm + 1)
        return [self.task(cell.configuration, repeat) for repeat in fresh for cell in best]

    def result(self, done: Mapping[str, Entry], run_dir: Path | None = None) -> SweepResult:
        """Return the runs that are done, in the order of the plan."""
        everything = self.space.configurations
        result = SweepResult(
            space=self.space,
            repeats=self.repeats,
            seed=self.seed,
            settings=self.settings,
            runs=self._runs(done, range(1, self.repeats + 1), everything),
            run_dir=run_dir,
        )
        if not self.confirm or not result.complete:
            return result
        chosen = [cell.configuration for cell in result.ranking()[:CONFIRMED_CELLS]]
        best = [configuration for configuration in everything if configuration in chosen]
        fresh = range(self.repeats + 1, self.repeats + self.confirm + 1)
        again = self._runs(done, fresh, best)
        return replace(result, confirmations=again, confirm=self.confirm)

    def _runs(
        self, done: Mapping[str, Entry], repeats: range, configurations: Sequence[Configuration]
    ) -> tuple[CellRun, ...]:
        return tuple(
            CellRun(configuration, repeat, Run.from_dict(entry["run"]), entry["hits"])
            for repeat in repeats
            for configuration in configurations
            if (entry := done.get(_key(configuration, self.seed + repeat - 1)))
        )


def _key(configuration: Configuration, seed: int) -> str:
    return f"{cell_key(configuration)} seed={seed}"
