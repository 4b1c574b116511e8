"""`tune`: a KerasTuner search whose trials rnnprobe trains and records itself."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.errors import FatalError

from rnnprobe._registry import unknown_name
from rnnprobe._versions import versions
from rnnprobe.errors import TrainingError
from rnnprobe.records import Run, SequenceDataset
from rnnprobe.search import TUNERS
from rnnprobe.search.hypermodel import sample
from rnnprobe.search.oracles import OBJECTIVE, build_oracle
from rnnprobe.search.space import Configuration, SearchSpace, to_specs
from rnnprobe.training import Evaluation, Training, evaluate


@dataclass(frozen=True, eq=False)
class Trial:
    """One configuration that was tried.

    Args:
        number: From 1, in the order of their first start.
        configuration: A value per axis; None where the axis means nothing.
        chosen: How it came to be tried.
        run: What came of it; `seconds` adds all its stages up, tracing included.
        promoted_after: Numbers of epochs after which Hyperband let it go on.
    """

    number: int
    configuration: Configuration
    chosen: str
    run: Run
    promoted_after: tuple[int, ...] = ()

    @property
    def epochs(self) -> int:
        """Epochs that it was trained for."""
        return len(self.run.history["loss"])

    @property
    def score(self) -> tuple[float, float]:
        """What decides: validation accuracy of the last epoch, then the lower validation loss."""
        if self.run.status != "ok":
            return (-1.0, 0.0)
        return (self.run.metrics["val_accuracy"], -self.run.metrics["val_loss"])


@dataclass(frozen=True, eq=False)
class TuneResult:
    """What a search found.

    Args:
        trials: All configurations in the order of their start.
        best: The one with the best validation accuracy.
        model: Its model.
        test: That model on the test part, which chose nothing.
        space: What was searched.
        tuner: How.
        epochs: The most epochs per configuration.
        seed: Of the search and of every training run.
        seconds: Wall time of the search.
    """

    trials: tuple[Trial, ...]
    best: Trial
    model: keras.Model
    test: Evaluation
    space: SearchSpace
    tuner: str
    epochs: int
    seed: int
    seconds: float


OnTrial = Callable[[Trial, int], None]


def tune(
    dataset: SequenceDataset,
    space: SearchSpace | None = None,
    *,
    tuner: str = "hyperband",
    trials: int = 12,
    epochs: int = 9,
    seed: int = 0,
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
        on_trial: Called with a trial whenever one was trained, and how many there will be.

    Raises:
        TrainingError: No trial finished.

    Example:
        >>> import rnnprobe
        >>> dataset = rnnprobe.load_dataset("mnist-5k")                        # doctest: +SKIP
        >>> found = rnnprobe.tune(dataset, rnnprobe.SearchSpace(units=[16, 32]), trials=2)
        ...                                                                    # doctest: +SKIP
    """
    if tuner not in TUNERS:
        raise unknown_name("tuner", tuner, list(TUNERS))
    for name, value, least in (("trials", trials, 1), ("epochs", epochs, 1), ("seed", seed, 0)):
        if value < least:
            raise ValueError(f"`{name} >= {least}` must hold, but got {name}={value}.")
    space = space or SearchSpace.for_tuning()
    started = time.perf_counter()
    oracle = build_oracle(tuner, space, trials=min(trials, space.size), epochs=epochs, seed=seed)
    with tempfile.TemporaryDirectory(prefix="rnnprobe-") as directory:
        engine = _RecordingTuner(oracle, directory=directory, project_name="tune")
        engine.prepare(dataset, space, epochs, seed, min(trials, space.size), on_trial)
        try:
            engine.search()
        except FatalError as exc:
            raise exc.__cause__ or exc from None
    best = engine.best
    if best is None:
        first = next(iter(engine.records.values())).run.message if engine.records else "none began"
        raise TrainingError(f"No trial finished, of {len(engine.records)}. The first: {first}.")
    model = engine.trainings[best.number].model
    return TuneResult(
        trials=tuple(engine.records.values()),
        best=best,
        model=model,
        test=evaluate(model, dataset.test, best.run.train.loss),
        space=space,
        tuner=tuner,
        epochs=epochs,
        seed=seed,
        seconds=time.perf_counter() - started,
    )


class _RecordingTuner(BaseTuner):
    """Runs the oracle's trials in this process.

    Not `keras_tuner.Tuner`, whose `run_trial` imports tensorboard, writes every checkpoint and
    keeps the best epoch alone.
    """

    def prepare(
        self,
        dataset: SequenceDataset,
        space: SearchSpace,
        epochs: int,
        seed: int,
        expected: int,
        on_trial: OnTrial | None,
    ) -> None:
        """Say what to train; KerasTuner's constructor has no room for it."""
        self.dataset, self.space, self.epochs, self.seed = dataset, space, epochs, seed
        self.expected, self.on_trial = expected, on_trial
        self.records: dict[int, Trial] = {}
        self.trainings: dict[int, Training] = {}
        self._number_of: dict[str, int] = {}

    def run_trial(self, trial: Any, *fit_args: Any, **fit_kwargs: Any) -> dict[str, float]:
        """Train a new configuration, or one that Hyperband promotes for longer.

        Whatever else goes wrong than the training itself ends the search: KerasTuner would take
        it for a failed trial and go on.
        """
        del fit_args, fit_kwargs
        try:
            return self._run_trial(trial)
        except Exception as exc:
            raise FatalError(str(exc)) from exc

    def _run_trial(self, trial: Any) -> dict[str, float]:
        values = trial.hyperparameters.values
        parent = values.get("tuner/trial_id")
        number = self._number_of[parent] if parent else len(self.records) + 1
        self._number_of[trial.trial_id] = number
        epochs = values.get("tuner/epochs", self.epochs)
        if parent:
            record = self.records[number]
            record = replace(record, promoted_after=(*record.promoted_after, record.epochs))
        else:
            record = self._begin(number, trial)
        record = self._train(record, epochs)
        self.records[number] = record
        self._forget()
        if self.on_trial:
            self.on_trial(record, self.expected)
        # A trial that died counts as finished with the worst score: KerasTuner's Hyperband never
        # ends a bracket with a failed trial in it, and its Gaussian process would ignore it.
        return {OBJECTIVE: max(record.score[0], 0.0)}

    def _begin(self, number: int, trial: Any) -> Trial:
        configuration = sample(self.space, trial.hyperparameters)
        model_spec, train_spec = to_specs(configuration, epochs=self.epochs, seed=self.seed)
        run = Run(
            dataset_digest=self.dataset.digest,
            model=model_spec,
            train=train_spec,
            status="dnf",
            history={"loss": []},
            metrics={},
            seconds=0.0,
            peak_memory=None,
            parameters=0,
            versions=versions(),
        )
        return Trial(number, configuration, self._chosen(trial), run)

    def _chosen(self, trial: Any) -> str:
        bracket = trial.hyperparameters.values.get("tuner/bracket")
        if bracket is not None:
            return f"random, bracket {bracket}"
        initial = getattr(self.oracle, "num_initial_points", None)
        if initial is not None and len(self.records) >= initial:
            return "Gaussian process"
        return "random"

    def _train(self, record: Trial, epochs: int) -> Trial:
        started = time.perf_counter()
        number = record.number
        try:
            if number not in self.trainings:
                self.trainings[number] = Training(self.dataset, record.run.model, record.run.train)
            training = self.trainings[number]
            training.advance(epochs)
            run = training.run()
        except Exception as exc:  # whatever kills one trial must not end the search
            reason = "oom" if _is_out_of_memory(exc) else "error"
            run = replace(record.run, status="dnf", message=f"{reason}: {_first_line(exc)}")
        seconds = record.run.seconds + time.perf_counter() - started
        trained = replace(run.train, epochs=epochs)
        return replace(record, run=replace(run, train=trained, seconds=seconds))

    @property
    def best(self) -> Trial | None:
        """The finished trial with the best score, the first one at a tie."""
        finished = [record for record in self.records.values() if record.run.status == "ok"]
        return max(finished, key=lambda record: record.score, default=None)

    def _forget(self) -> None:
        """Drop models that are neither open to promotion nor the best of those that are not.

        An open one may still get worse, so it does not make the best of the others superfluous.
        """
        keep = set()
        for bracket in getattr(self.oracle, "_brackets", []):
            for stage in bracket["rounds"]:
                keep |= {self._number_of.get(info["id"]) for info in stage}
        closed = [record for number, record in self.records.items() if number not in keep]
        if closed:
            keep.add(max(closed, key=lambda record: record.score).number)
        self.trainings = {n: training for n, training in self.trainings.items() if n in keep}


def _is_out_of_memory(exc: Exception) -> bool:
    return isinstance(exc, MemoryError) or type(exc).__name__ == "ResourceExhaustedError"


def _first_line(exc: Exception) -> str:
    lines = str(exc).strip().splitlines()
    return f"{type(exc).__name__}: {lines[0]}" if lines else type(exc).__name__
