"""What a child process is asked to train, and how trials are run at all; no Keras here."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rnnprobe._versions import versions
from rnnprobe.errors import OutputError
from rnnprobe.journal import EXPERIMENT
from rnnprobe.records import SequenceDataset
from rnnprobe.search._shared import SharedDataset
from rnnprobe.search.limits import automatic_workers, available_memory, check_memory_limit
from rnnprobe.search.pool import Died, Done, Pool
from rnnprobe.search.space import value_text
from rnnprobe.specs import ModelSpec, Run, TrainSpec, specs_from_dict

if TYPE_CHECKING:
    from rnnprobe.search.chief import Chief

MODELS = "models"
"""The folder of a run folder that keeps models."""

_SHARE_OF_FREE_MEMORY = 0.9


@dataclass(frozen=True)
class Execution:
    """How and where the trials of a search run; none of it changes what comes out.

    Args:
        workers: Child processes at once; None: a core each, as memory allows, or one on a GPU.
        max_seconds: Wall time after which a trial is ended; None lets it run.
        max_memory: Bytes that a trial may allocate beyond Keras and the data; None: its share of
            the memory that is free at the start. Only Linux enforces it.
        run_dir: Folder that keeps the results, so that the search can be resumed; None keeps none.
        resume: Go on with what `run_dir` holds.
        retry_dnf: Run trials again that did not finish.
        save_models: Keep the model of each run in the folder `models` of `run_dir`, where
            `SweepResult.model_file` finds it; of a sweep on this machine alone.
        model_out: Where the command line saves the best model of a search; nothing is saved here,
            but the run folder remembers it for `--resume`.
        verbose: Let the children write to stderr.
        listen: `host:port` where `rnnprobe worker` may join; the trials then run there, and not
            here. Of a sweep alone.
        lease: Seconds without a sign of life after which a worker loses its trial.
        say: Told which workers join and go.

    Example:
        >>> Execution(workers=2, max_seconds=600, run_dir=Path("run"), resume=True).num_workers
        2
    """

    workers: int | None = None
    max_seconds: float | None = None
    max_memory: int | None = None
    run_dir: Path | None = None
    resume: bool = False
    retry_dnf: bool = False
    save_models: bool = False
    model_out: Path | None = None
    verbose: bool = False
    listen: str | None = None
    lease: float = 30.0
    say: Callable[[str], None] = field(default=lambda text: None, repr=False)

    def __post_init__(self) -> None:
        for name in ("workers", "max_seconds", "max_memory"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"`{name} > 0` must hold, but got {name}={value}.")
        if self.max_memory is not None:
            check_memory_limit()
        if self.listen is not None and (self.workers or self.max_seconds or self.max_memory):
            raise ValueError("Workers elsewhere have their own limits; give them to each of them.")
        if self.save_models and (self.listen is not None or self.run_dir is None):
            raise ValueError("Models are saved in the run folder of a sweep on this machine alone.")

    @property
    def outputs(self) -> dict[str, Any]:
        """What a run folder remembers of the models that it was to leave."""
        if self.save_models:
            return {"save_models": True}
        return {} if self.model_out is None else {"model_out": str(self.model_out)}

    @cached_property
    def num_workers(self) -> int:
        """How many children run at once."""
        return self.workers or automatic_workers()

    def memory_of_a_trial(self) -> int | None:
        """Return how many bytes a trial may allocate that begins now; None where none is known."""
        free = available_memory()
        if self.max_memory is not None or free is None:
            return self.max_memory
        return int(_SHARE_OF_FREE_MEMORY * free / self.num_workers)

    def chief(self, experiment: Mapping[str, Any]) -> Chief | None:
        """Return the chief of workers elsewhere, where one is wanted.

        Raises:
            OutputError: It cannot listen at its address.
        """
        if self.listen is None:
            return None
        from rnnprobe.search.chief import Chief

        return Chief(self.listen, experiment, lease=self.lease, say=self.say)

    def pool(self, dataset: SequenceDataset, folder: Path) -> Pool:
        """Return the children that train on a data set.

        Args:
            dataset: Shared through files.
            folder: Where these files go; it must outlive the pool.
        """
        return Pool(
            "rnnprobe.search._child:start",
            ChildContext(
                SharedDataset.write(dataset, folder),
                os.getcwd(),
                self.memory_of_a_trial(),
                bool(self.max_memory),
                self._models_folder(),
            ),
            workers=self.num_workers,
            max_seconds=self.max_seconds,
            verbose=self.verbose,
        )

    def _models_folder(self) -> Path | None:
        if not self.save_models or self.run_dir is None:
            return None
        folder = (self.run_dir / MODELS).absolute()
        folder.mkdir(exist_ok=True)
        return folder


class ChildContext(NamedTuple):
    """What every child is told: data, working directory, limits, where models are saved."""

    dataset: SharedDataset
    directory: str
    max_memory: int | None
    limit_was_given: bool
    models: Path | None


@dataclass(frozen=True)
class TrialTask:
    """One configuration to train, or a stage of its training.

    Args:
        key: What its result is filed under.
        model: The architecture.
        train: The settings.
        epochs: Where this stage ends; None trains to the end and measures on the test part.
        load: State of the stage before; without the file all is trained again, to the same end.
        save: Where the state goes; None saves none.
        rank: Tasks of a lower rank come first.
        name: What the file of its model is called, where models are saved.
    """

    key: str
    model: ModelSpec
    train: TrainSpec
    epochs: int | None = None
    load: Path | None = None
    save: Path | None = None
    rank: int = 0
    name: str = ""

    @property
    def affinity(self) -> Hashable:
        """What decides whether two trials share a compiled program."""
        train = self.train
        return repr((self.model, train.optimizer, train.momentum, train.weight_decay, train.loss))

    def to_json(self) -> str:
        """Return what a worker elsewhere needs; states are files of this machine."""
        plain = dataclasses.asdict(replace(self, load=None, save=None))
        return json.dumps(plain)

    @classmethod
    def from_json(cls, text: str) -> TrialTask:
        """Return the task that `to_json` gave."""
        plain = json.loads(text)
        return cls(**{**plain, **specs_from_dict(plain)})


class TrialOutcome(NamedTuple):
    """What came of a task.

    `hits` tells the validation examples that were right, as hexadecimal digits of packed bits.
    """

    run: Run
    hits: str


def dead_run(task: TrialTask, dataset_digest: str, message: str, seconds: float) -> Run:
    """Return the record of a trial that did not finish; `message` begins with the reason."""
    return Run(
        dataset_digest=dataset_digest,
        model=task.model,
        train=task.train,
        status="dnf",
        history={},
        metrics={},
        seconds=seconds,
        peak_memory=None,
        parameters=0,
        versions=versions(),
        message=message,
    )


def file_name(settings: Mapping[str, Any], seed: int) -> str:
    """Return what the file of a run's model is called, without its suffix."""
    told = {n: repr(v) if isinstance(v, float) else value_text(v) for n, v in settings.items()}
    text = ",".join(f"{name}={value}" for name, value in {**told, "seed": seed}.items())
    return re.sub(r"[^\w=.,+-]", "_", text)


def outcome_entry(outcome: Done | Died, dataset_digest: str) -> dict[str, Any]:
    """Return what the journal keeps of a task: its `key`, its `run`, and the `hits`."""
    task = outcome.task
    if isinstance(outcome, Died):
        run = dead_run(task, dataset_digest, outcome.reason, outcome.seconds)
        trial = TrialOutcome(run, "")
    else:
        trial = outcome.value
    return {"key": task.key, "run": trial.run.to_dict(), "hits": trial.hits}


def experiment(
    command: str,
    axes: Mapping[str, Any],
    settings: Mapping[str, Any],
    seed: int,
    dataset: SequenceDataset,
    wanted: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what a run folder says of itself.

    Args:
        command: What was called.
        axes: Their values, where they are not the command's defaults.
        settings: What else decides what comes out.
        seed: Of the first run.
        dataset: What is trained on; its digest must stay the same, its source is a reminder.
        wanted: How many runs; it may change when the run is resumed.
    """
    return {
        "command": command,
        "fixed": {
            "axes": {name: list(values) for name, values in axes.items()},
            "settings": dict(settings),
            "seed": seed,
            "data": {"name": dataset.name, "digest": dataset.digest},
        },
        "wanted": dict(wanted or {}),
        "source": dict(dataset.source),
    }


def damaged_run(folder: Path, exc: Exception) -> OutputError:
    """Return the error for a run folder that says what no run could be."""
    return OutputError(
        f"Cannot read '{folder / EXPERIMENT}': {type(exc).__name__} {exc}; it was damaged, or "
        "written by another version of rnnprobe."
    )


@contextlib.contextmanager
def run_folder(execution: Execution) -> Iterator[Path]:
    """Give the folder that keeps the results, or one that is dropped at the end."""
    if execution.run_dir is not None:
        yield execution.run_dir
        return
    with tempfile.TemporaryDirectory(prefix="rnnprobe-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def folder_for_data(folder: Path) -> Iterator[Path]:
    """Give a folder for what can be made again; what a killed process left there is dropped."""
    path = folder / "scratch"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
