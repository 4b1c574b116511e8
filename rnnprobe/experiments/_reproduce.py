"""Runs a published experiment on the sweep engine, so that it resumes and outlives its runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from rnnprobe.baselines import PICTURE_BASELINES
from rnnprobe.datasets._load import load_dataset
from rnnprobe.errors import DataError
from rnnprobe.experiments._limits import Limit, within
from rnnprobe.experiments._measures import value_of
from rnnprobe.experiments._record import Cell, Experiment
from rnnprobe.experiments._shapes import SHAPES
from rnnprobe.journal import read_results
from rnnprobe.records import SequenceDataset
from rnnprobe.search.runs import Entry, open_runs
from rnnprobe.search.task import MODELS, Execution, TrialTask, file_name, run_folder
from rnnprobe.specs import ModelSpec, Run, TrainSpec, check_trainable

Activations = Mapping[str, float]
OnRun = Callable[[str, Run, int, int], None]

_MODEL_FIELDS = {one.name for one in dataclasses.fields(ModelSpec)}


@dataclass(frozen=True, eq=False)
class Measured:
    """What came of one cell with one split of the data.

    Args:
        cell: The published cell.
        runs: As far as there are, one a seed.
        activations: Of each run that finished, in their order: mean and variance of layers'
            outputs over the test part, by name; empty where none are asked for, or a saved model
            is gone.
    """

    cell: Cell
    runs: tuple[Run, ...]
    activations: tuple[Activations, ...] = ()

    @cached_property
    def finished(self) -> tuple[Run, ...]:
        """The runs that finished."""
        return tuple(run for run in self.runs if run.status == "ok")

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why runs did not finish, each once."""
        dead = (run.message.partition(":")[0] for run in self.runs if run.status != "ok")
        return tuple(sorted(set(dead)))

    def values(self, key: str) -> list[float]:
        """Return a measure of each finished run that has it."""
        activations = self.activations or ({},) * len(self.finished)
        found = (value_of(r, key, a) for r, a in zip(self.finished, activations, strict=True))
        return [value for value in found if value is not None]


@dataclass(frozen=True, eq=False)
class Part:
    """What was measured with one split of the data.

    Args:
        split: Its name, None for rnnprobe's own.
        dataset: The data.
        cells: As far as they were to be run.
    """

    split: str | None
    dataset: SequenceDataset
    cells: tuple[Measured, ...]


@dataclass(frozen=True, eq=False)
class Reproduction:
    """A published experiment beside what was measured.

    Args:
        plan: What was published, and what of it was to be run.
        parts: One a split of the data; the first is the report's.
        folder: Where the runs are kept; None where they are not.
        unreadable: How many lines of the run folder were no results.
    """

    plan: Plan
    parts: tuple[Part, ...]
    folder: Path | None = None
    unreadable: int = 0

    @property
    def left_out(self) -> tuple[Cell, ...]:
        """The published cells that were not to be run."""
        kept = {id(cell) for cell in self.plan.cells}
        return tuple(cell for cell in self.plan.experiment.cells if id(cell) not in kept)

    @property
    def missing_models(self) -> int:
        """How many finished runs lack the saved model that measures need."""
        return sum(
            not found for part in self.parts for one in part.cells for found in one.activations
        )

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs."""
        return tuple(run for part in self.parts for cell in part.cells for run in cell.runs)


@dataclass(frozen=True, eq=False)
class Plan:
    """Which runs a reproduction consists of.

    Args:
        experiment: What was published.
        data: A name or path in the place of the experiment's data; None is its own.
        limits: Which cells are run.
        limit_examples: Keeps at most so many examples of each part.
        repeats: Runs per cell, with the seeds `seed`, `seed + 1`, ...
        seed: Of the first one.
    """

    experiment: Experiment
    data: str | None = None
    limits: tuple[Limit, ...] = ()
    limit_examples: int | None = None
    repeats: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("repeats", 1), ("seed", 0)):
            value = getattr(self, name)
            if value < least:
                raise ValueError(f"`{name} >= {least}` must hold, but got {name}={value}.")
        _ = self.cells

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The cells to be run.

        Raises:
            DataError: The limits leave none, or ask for what is no setting.
        """
        return tuple(within(self.experiment, self.limits))

    @property
    def num_runs(self) -> int:
        """How many runs there will be, over all splits."""
        return len(self.experiment.splits) * self.repeats * len(self.cells)

    def load_all(self) -> list[SequenceDataset]:
        """Load the data in each of the experiment's splits.

        Raises:
            DataError: They cannot be read or trained on, or the splits come to the same.
        """
        datasets = [self.load(split) for split in self.experiment.splits]
        if len({dataset.digest for dataset in datasets}) < len(datasets):
            raise DataError(
                f"'{datasets[0].name}' has parts of its own, but {self.experiment.name} splits it "
                f"in {len(datasets)} ways; give data without parts."
            )
        return datasets

    def load(self, split: str | None) -> SequenceDataset:
        """Load the data, split in one of the experiment's ways.

        Raises:
            DataError: They cannot be read or trained on, or are of another kind.
        """
        dataset = load_dataset(
            self.data or self.experiment.dataset, split=split, limit_examples=self.limit_examples
        )
        for cell in self.cells:
            model, train = self.specs(cell, self.seed)
            self._check_kind(dataset, model)
            check_trainable(dataset, train, parts=("train", "validation", "test"))
        return dataset

    def _check_kind(self, dataset: SequenceDataset, model: ModelSpec) -> None:
        expected = "tokens, like names" if model.embedding else "values, like mnist"
        fits = (dataset.kind == "tokens") == bool(model.embedding)
        if model.cell in PICTURE_BASELINES:
            expected, fits = "uint8 pictures, like cifar10-grey", dataset.image_shape is not None
        own = SHAPES.get(self.experiment.dataset)
        if own is not None:
            expected += f", of {own.num_classes} classes"
            fits &= dataset.num_classes == own.num_classes
        if not fits:
            raise DataError(
                f"{self.experiment.name} is about {expected}, but '{dataset.name}' has "
                f"{dataset.kind} of shape {dataset.test.x.shape[1:]} in {dataset.num_classes} "
                "classes; give other --data."
            )

    def specs(self, cell: Cell, seed: int) -> tuple[ModelSpec, TrainSpec]:
        """Return the records of one run."""
        settings: dict[str, Any] = {**self.experiment.settings, **cell.settings}
        model = {name: value for name, value in settings.items() if name in _MODEL_FIELDS}
        train = {name: value for name, value in settings.items() if name not in _MODEL_FIELDS}
        initializers = self.experiment.initializers
        return ModelSpec(**model, initializers=initializers), TrainSpec(**train, seed=seed)

    def task(self, cell: Cell, repeat: int) -> TrialTask:
        """Return one run; `repeat` counts from 1."""
        seed = self.seed + repeat - 1
        model, train = self.specs(cell, seed)
        name = file_name(cell.settings, seed)
        return TrialTask(name, model, train, rank=repeat, name=name)

    def tasks_of(self, cell: Cell) -> list[TrialTask]:
        """Return all runs of one cell with one split."""
        return [self.task(cell, repeat) for repeat in range(1, self.repeats + 1)]

    def tasks(self) -> list[TrialTask]:
        """Return all runs with one split, every cell's first one before any second one."""
        repeats = range(1, self.repeats + 1)
        return [self.task(cell, repeat) for repeat in repeats for cell in self.cells]

    def described(self, dataset: SequenceDataset) -> dict[str, Any]:
        """Return what a run folder says of itself."""
        experiment = self.experiment
        return {
            "command": "reproduce",
            "fixed": {
                "experiment": experiment.name,
                "settings": dict(experiment.settings),
                "initializers": dict(experiment.initializers),
                "seed": self.seed,
                "data": {"name": dataset.name, "digest": dataset.digest},
            },
            "wanted": {
                "repeats": self.repeats,
                "limit": ",".join(map(str, self.limits)) or None,
            },
            "source": dict(dataset.source),
        }

    def measured(
        self, done: Mapping[str, Entry], dataset: SequenceDataset, models: Path | None
    ) -> tuple[Measured, ...]:
        """Return what came of the cells.

        Args:
            done: What the journal holds, by key.
            dataset: What they were trained on.
            models: The folder of saved models; None where none are needed.
        """
        found = []
        for cell in self.cells:
            there = [task for task in self.tasks_of(cell) if task.key in done]
            runs = tuple(Run.from_dict(done[task.key]["run"]) for task in there)
            activations: tuple[Activations, ...] = ()
            if models is not None:
                files = [models / f"{task.name}.keras" for task in there]
                activations = tuple(
                    _activations(file, dataset)
                    for file, run in zip(files, runs, strict=True)
                    if run.status == "ok"
                )
            found.append(Measured(cell, runs, activations))
        return tuple(found)


def reproduce(
    plan: Plan,
    datasets: Sequence[SequenceDataset],
    *,
    execution: Execution | None = None,
    on_run: OnRun | None = None,
) -> Reproduction:
    """Run what a plan asks for, and set it beside what was published.

    Args:
        plan: Which runs.
        datasets: What `plan.load_all` gives.
        execution: How many processes, their limits, and the folder that keeps the results.
        on_run: Called with each run: what it was, the run, how many are done, and how many there
            will be.

    Raises:
        OutputError: The run folder belongs to another experiment, or cannot be written.
    """
    execution = execution or Execution()
    several = len(datasets) > 1
    labels = {task.key: cell.label() for cell in plan.cells for task in plan.tasks_of(cell)}
    before = 0

    def tell(split: str | None, entry: Entry, done: int) -> None:
        if on_run:
            label = labels[entry["key"]] + (f", {split_text(split)}" if several else "")
            on_run(label, Run.from_dict(entry["run"]), before + done, plan.num_runs)

    with run_folder(execution) as folder:
        for split, dataset in zip(plan.experiment.splits, datasets, strict=True):
            own = replace(
                execution,
                run_dir=part_folder(plan.experiment, folder, split),
                save_models=plan.experiment.saves_models,
            )
            with open_runs(dataset, plan.described(dataset), own, partial(tell, split)) as runs:
                runs.make(plan.tasks())
                before += runs.num_done
        found = load_reproduction(plan, datasets, folder)
    return replace(found, folder=execution.run_dir)


def load_reproduction(
    plan: Plan, datasets: Sequence[SequenceDataset], folder: Path
) -> Reproduction:
    """Return what a run folder holds of a reproduction, whole or not.

    Args:
        plan: Which runs there should be.
        datasets: As for `reproduce`.
        folder: The run folder.

    Raises:
        ModelError: A saved model cannot be read.
    """
    parts, unreadable = [], 0
    for split, dataset in zip(plan.experiment.splits, datasets, strict=True):
        place = part_folder(plan.experiment, folder, split)
        entries, bad = read_results(place)
        unreadable += bad
        done = {entry["key"]: entry for entry in entries}
        models = place / MODELS if plan.experiment.saves_models else None
        parts.append(Part(split, dataset, plan.measured(done, dataset, models)))
    return Reproduction(plan, tuple(parts), folder, unreadable)


def part_folder(experiment: Experiment, folder: Path, split: str | None) -> Path:
    """Return where the runs with one split are kept: those with the report's own in the folder."""
    return folder if split == experiment.splits[0] else folder / f"split-{split or 'own'}"


def split_text(split: str | None) -> str:
    """Return how data are split, in words."""
    return "equal inputs together" if split is None else f"split {split}"


def _activations(file: Path, dataset: SequenceDataset) -> Activations:
    """Return mean and variance of what each layer of a saved model returns, over the test part.

    Nothing where the model is gone.
    """
    if not file.exists():
        return {}
    from rnnprobe.classifier import KerasClassifier
    from rnnprobe.inspection.reading import read_signals
    from rnnprobe.models import load_model

    pictures = dataset.image_shape if dataset.layout == "rows" else None
    classifier = KerasClassifier(load_model(file), image_shape=pictures)
    split = dataset.test
    reading = read_signals(classifier, split.x, split.mask, gates=False)
    return {
        f"{signal.path}_{what}": signal.estimate(what).value
        for signal in reading.outputs
        for what in ("mean", "variance")
    }
