"""`tune`: KerasTuner's oracles choose, children train, the journal remembers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rnnprobe._registry import unknown_name
from rnnprobe.errors import OutputError, TrainingError
from rnnprobe.evaluation import evaluate
from rnnprobe.journal import Journal, read_experiment, read_results
from rnnprobe.records import SequenceDataset
from rnnprobe.search import TUNERS
from rnnprobe.search.hypermodel import sample
from rnnprobe.search.oracles import OBJECTIVE, build_oracle
from rnnprobe.search.pool import Pool
from rnnprobe.search.results import cell_key
from rnnprobe.search.space import AXES, SearchSpace, to_specs
from rnnprobe.search.task import (
    Execution,
    TrialTask,
    damaged_run,
    experiment,
    folder_for_data,
    outcome_entry,
    run_folder,
)
from rnnprobe.search.trials import Trial, TuneResult, read_test, trial_of, write_test
from rnnprobe.training import Training

STATES = "states"
_BY_BAYES = "Gaussian process"

Entry = Mapping[str, Any]


OnTrial = Callable[[Trial, int], None]


def tune(
    dataset: SequenceDataset,
    space: SearchSpace | None = None,
    *,
    tuner: str = "hyperband",
    trials: int = 12,
    epochs: int = 9,
    seed: int = 0,
    execution: Execution | None = None,
    on_trial: OnTrial | None = None,
) -> TuneResult:
    """Search a space for the configuration with the best validation accuracy.

    Args:
        dataset: Trained on its training part, chosen on its validation part; the best is
            measured on its test part, once.
        space: What to search; None is `SearchSpace.for_tuning()`.
        tuner: `hyperband`, `bayesian` or `random`.
        trials: How many distinct configurations, at least 1; a smaller space is searched whole.
        epochs: The most epochs per configuration, at least 1.
        seed: Of the search and of every training run, at least 0.
        execution: How many processes, their limits, and the folder that keeps the results. The
            trials do not depend on it, but those of `bayesian` on the number of workers: each is
            chosen by what is known when it starts.
        on_trial: Called with a trial whenever one was trained, and how many there will be.

    Raises:
        TrainingError: No trial finished.
        OutputError: The run folder belongs to another search, or cannot be written.

    Example:
        >>> import rnnprobe
        >>> dataset = rnnprobe.load_dataset("mnist-5k")                        # doctest: +SKIP
        >>> found = rnnprobe.tune(dataset, rnnprobe.SearchSpace(units=[16, 32]), trials=2)
        ...                                                                    # doctest: +SKIP
    """
    space, execution = space or SearchSpace.for_tuning(), execution or Execution()
    if execution.listen is not None:
        raise ValueError("A search has no workers elsewhere; give `listen` to a sweep.")
    wanted = Wanted(space, tuner, trials, epochs, seed, execution.num_workers)
    started = time.perf_counter()
    with run_folder(execution) as folder:
        described = {**wanted.experiment(dataset), "outputs": execution.outputs}
        journal = Journal(folder, described, resume=execution.resume)
        with journal, folder_for_data(folder) as scratch:
            (folder / STATES).mkdir(exist_ok=True)
            with execution.pool(dataset, scratch) as pool:
                search = _Search(wanted, dataset, journal, pool, scratch)
                search.run(on_trial, retry_dnf=execution.retry_dnf)
                result = wanted.result(search.entries, execution.run_dir)
                if result.best is None:
                    first = result.trials[0].run.message if result.trials else "none began"
                    raise TrainingError(
                        f"No trial finished, of {len(result.trials)}. The first: {first}."
                    )
                training = search.trained(result.best)
            test = evaluate(training.model, dataset.test, result.best.run.train.loss)
            write_test(folder, result.best, test)
            shutil.rmtree(folder / STATES)
    seconds = time.perf_counter() - started
    return replace(
        result,
        model=training.model,
        test=test,
        seconds=seconds,
        over=True,
        unreadable=journal.unreadable,
    )


def load_tune(run_dir: str | Path) -> TuneResult:
    """Return what a run folder holds of a search, whole or not, without a model.

    Raises:
        OutputError: It is no run folder of a search, or was damaged.

    Example:
        >>> import rnnprobe
        >>> found = rnnprobe.load_tune("rnnprobe-runs/tune-20261121-101500")   # doctest: +SKIP
        >>> found.best.run.model                                               # doctest: +SKIP
    """
    folder = Path(run_dir)
    described = read_experiment(folder)
    if described is None or described["command"] != "tune":
        raise OutputError(f"'{folder}' is no run folder of a search.")
    entries, unreadable = read_results(folder)
    try:
        wanted = Wanted.of(described["fixed"])
    except (KeyError, TypeError, ValueError) as exc:
        raise damaged_run(folder, exc) from exc
    result = wanted.result(entries, folder)
    # States of trials are kept until the best one was trained to its end.
    left = unreadable or (folder / STATES).exists()
    test = read_test(folder, result.best)
    over = len(result.trials) == result.budget and test is not None and not left
    return replace(result, test=test if over else None, over=over, unreadable=unreadable)


@dataclass(frozen=True)
class Wanted:
    """What a search is to do; arguments as of `tune`."""

    space: SearchSpace
    tuner: str
    trials: int
    epochs: int
    seed: int
    workers: int = 1

    def __post_init__(self) -> None:
        if self.tuner not in TUNERS:
            raise unknown_name("tuner", self.tuner, list(TUNERS))
        for name, least in (("trials", 1), ("epochs", 1), ("seed", 0)):
            value = getattr(self, name)
            if value < least:
                raise ValueError(f"`{name} >= {least}` must hold, but got {name}={value}.")

    @classmethod
    def of(cls, fixed: Mapping[str, Any]) -> Wanted:
        """Return what a run folder's description fixes, as `experiment` wrote it."""
        settings, space = fixed["settings"], SearchSpace.for_tuning(**fixed["axes"])
        return cls(space, settings["tuner"], settings["trials"], settings["epochs"], fixed["seed"])

    @property
    def budget(self) -> int:
        """How many configurations there will be."""
        return min(self.trials, self.space.size)

    def experiment(self, dataset: SequenceDataset) -> dict[str, Any]:
        """Return what a run folder says of itself."""
        settings: dict[str, Any] = {"tuner": self.tuner, "trials": self.trials}
        settings["epochs"] = self.epochs
        if self.tuner == "bayesian":
            settings["workers"] = self.workers
        axes = {n: v for n, v in self.space.values.items() if v != AXES[n].tuned}
        return experiment("tune", axes, settings, self.seed, dataset)

    def result(self, entries: Iterable[Entry], run_dir: Path | None) -> TuneResult:
        """Return the trials that these entries tell of; of one trial the last stage counts."""
        trials = {trial.number: trial for trial in map(trial_of, entries)}
        ordered = tuple(trials[number] for number in sorted(trials))
        return TuneResult(
            ordered, self.space, self.tuner, self.budget, self.epochs, self.seed, run_dir=run_dir
        )


@dataclass
class _Open:
    """A trial of KerasTuner's that has not been reported to it."""

    trial: Any
    told: dict[str, Any]
    task: TrialTask
    entry: Entry | None = None


class _Search:
    """Asks the oracle, trains, and reports, so that the same trials come whatever ends first."""

    def __init__(
        self,
        wanted: Wanted,
        dataset: SequenceDataset,
        journal: Journal,
        pool: Pool,
        scratch: Path,
    ) -> None:
        self._wanted, self._dataset, self._journal = wanted, dataset, journal
        self._pool = pool
        self._open: dict[str, _Open] = {}
        self._first: dict[str, dict[str, Any]] = {}
        """What is told of the trial that a trial of KerasTuner's belongs to, by its id."""
        self._known: dict[str, Entry] = {}
        self.entries: list[Entry] = []
        self._oracle = build_oracle(
            wanted.tuner,
            wanted.space,
            trials=wanted.budget,
            epochs=wanted.epochs,
            seed=wanted.seed,
        )
        self._oracle._set_project_dir(str(scratch), "oracle")

    def run(self, on_trial: OnTrial | None, *, retry_dnf: bool) -> None:
        """Try as many configurations as wanted."""
        for entry in self._journal.entries:
            if not (retry_dnf and entry["run"]["status"] != "ok"):
                self._known[entry["key"]] = entry
        self._begin_all()
        for outcome in self._pool.outcomes():
            told = next(o.told for o in self._open.values() if o.task is outcome.task)
            entry = {**outcome_entry(outcome, self._dataset.digest), "trial": told}
            self._journal.append(entry)
            self._end(outcome.task.key, entry)
            if on_trial:
                on_trial(trial_of(entry), self._wanted.budget)
            self._begin_all()

    def _begin_all(self) -> None:
        while self._room():
            trial = self._oracle.create_trial(f"trial-{len(self._first)}")
            if trial.status != "RUNNING":  # all were begun, or a round has to end first
                return
            opened = self._opened(trial)
            self._open[opened.task.key] = opened
            if opened.task.key in self._known:
                self._end(opened.task.key, self._known[opened.task.key])
            else:
                self._pool.add(opened.task)

    def _room(self) -> bool:
        """Whether one more trial may begin.

        Bayes hears of one more in their order whenever one more begins, and not of all that ended:
        a trial is chosen knowing all but the last `workers` less one, however fast they were.
        """
        if self._wanted.tuner != "bayesian":
            return sum(o.entry is None for o in self._open.values()) < self._wanted.workers
        if len(self._open) < self._wanted.workers:
            return True
        oldest = next(iter(self._open))
        if self._open[oldest].entry is None:
            return False
        self._report(self._open.pop(oldest))
        return True

    def _opened(self, trial: Any) -> _Open:
        values = trial.hyperparameters.values
        parent = values.get("tuner/trial_id")
        epochs = values.get("tuner/epochs", self._wanted.epochs)
        configuration = sample(self._wanted.space, trial.hyperparameters)
        if parent:
            told = dict(self._first[parent])
            told["promoted_after"] = [*told["promoted_after"], values["tuner/initial_epoch"]]
        else:
            numbers = {told["number"] for told in self._first.values()}
            told = {
                "number": len(numbers) + 1,
                "configuration": configuration,
                "chosen": self._chosen(trial),
                "promoted_after": [],
            }
        self._first[trial.trial_id] = told
        model, train = to_specs(configuration, epochs=epochs, seed=self._wanted.seed)
        state = self._state(told["number"])
        key = f"{cell_key(configuration)} seed={self._wanted.seed} epochs={epochs}"
        return _Open(trial, told, TrialTask(key, model, train, epochs, load=state, save=state))

    def _state(self, number: int) -> Path:
        return self._journal.folder / STATES / f"{number}.npz"

    def _chosen(self, trial: Any) -> str:
        bracket = trial.hyperparameters.values.get("tuner/bracket")
        if bracket is not None:
            return f"random, bracket {bracket}"
        initial = getattr(self._oracle, "num_initial_points", None)
        return "random" if initial is None or self._num_completed() < initial else _BY_BAYES

    def _num_completed(self) -> int:
        return sum(trial.status == "COMPLETED" for trial in self._oracle.trials.values())

    def _end(self, key: str, entry: Entry) -> None:
        self._open[key].entry = entry
        self.entries.append(entry)
        for ready in self._ready():
            self._report(self._open.pop(ready))
        self._forget()

    def _ready(self) -> list[str]:
        """Return what may be reported, such that the oracle's answers do not depend on speed.

        Random draws depend on no result. A round of Hyperband is reported as a whole, for
        KerasTuner would promote before it has ended. For Bayes see `_room`.
        """
        ended = [key for key, opened in self._open.items() if opened.entry is not None]
        if self._wanted.tuner == "bayesian":
            return []
        if self._wanted.tuner == "hyperband":
            running = {self._round(o) for o in self._open.values() if o.entry is None}
            return [key for key in ended if self._round(self._open[key]) not in running]
        return ended

    def _round(self, opened: _Open) -> tuple[int, int] | None:
        """Return bracket and round, unless nothing more depends on it."""
        for bracket in self._oracle._brackets:
            for number, stage in enumerate(bracket["rounds"]):
                if any(info["id"] == opened.trial.trial_id for info in stage):
                    return bracket["bracket_num"], number
        return None

    def _report(self, opened: _Open) -> None:
        # A trial that died counts as finished with the worst score: KerasTuner's Hyperband never
        # ends a bracket with a failed trial in it, and its Gaussian process would ignore it.
        metrics = opened.entry["run"]["metrics"] if opened.entry else {}
        died = not opened.entry or opened.entry["run"]["status"] != "ok"
        score = 0.0 if died else metrics[OBJECTIVE]
        self._oracle.update_trial(opened.trial.trial_id, {OBJECTIVE: score})
        opened.trial.status = "COMPLETED"
        self._oracle.end_trial(opened.trial)

    def _forget(self) -> None:
        """Drop states that are neither open to promotion nor the best of those that are not.

        An open one may still get worse, so it does not make the best of the others superfluous.
        """
        keep = {opened.told["number"] for opened in self._open.values()}
        for bracket in getattr(self._oracle, "_brackets", []):
            for stage in bracket["rounds"]:
                keep |= {self._first[info["id"]]["number"] for info in stage}
        trials = self._wanted.result(self.entries, None).trials
        closed = [trial for trial in trials if trial.number not in keep]
        if closed:
            keep.add(max(closed, key=lambda trial: trial.score).number)
        for trial in trials:
            if trial.number not in keep:
                self._state(trial.number).unlink(missing_ok=True)

    def trained(self, trial: Trial) -> Training:
        """Return the training of a trial as it ended; where its state was lost, it runs again."""
        state = self._state(trial.number)
        if not state.exists():
            # In a child, because the sums of more threads may differ in the last digit.
            run = trial.run
            self._pool.add(TrialTask("", run.model, run.train, trial.epochs, save=state))
            for _ in self._pool.outcomes():
                pass
        training = Training(self._dataset, trial.run.model, trial.run.train)
        training.load_if_whole(state)
        training.advance(trial.epochs)
        return training
