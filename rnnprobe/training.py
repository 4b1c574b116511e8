"""One training run: build, fit, evaluate. The one place where global seeds are set."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import keras
import numpy as np

from rnnprobe._versions import versions
from rnnprobe.backend import make_deterministic
from rnnprobe.classifier import KerasClassifier
from rnnprobe.errors import DataError
from rnnprobe.models import build_loss, build_model, compile_model
from rnnprobe.records import ModelSpec, Run, SequenceDataset, Split, TrainSpec

OnEpoch = Callable[[int, Mapping[str, float]], None]
OnStep = Callable[[int, Mapping[str, float]], None]

_EVALUATION_BATCH = 512
_STEPS_BETWEEN_CHECKS = 100


class Trained(NamedTuple):
    """What `train` returns: the record of the run, and the model."""

    run: Run
    model: keras.Model


class Evaluation(NamedTuple):
    """A model on one part: mean loss, number right, number of examples."""

    loss: float
    correct: int
    total: int

    @property
    def accuracy(self) -> float:
        """Share right, in [0, 1]."""
        return self.correct / self.total


class Training:
    """A training run that can be advanced in stages, to the same end as in one.

    Weights and dropout follow from the seed, the order of the examples from seed and epoch.

    Args:
        dataset: What to train on; its validation part is measured after each epoch.
        model_spec: The architecture.
        train_spec: The settings.
        on_epoch: Called after each epoch with its number, from 1, and its metrics.
        on_step: Called after each update with its number, from 1, and the running mean of the
            epoch's loss and accuracy.

    Raises:
        DataError: The data has no training or no validation part.
    """

    def __init__(
        self,
        dataset: SequenceDataset,
        model_spec: ModelSpec,
        train_spec: TrainSpec,
        *,
        on_epoch: OnEpoch | None = None,
        on_step: OnStep | None = None,
    ) -> None:
        for part in ("train", "validation"):
            if len(dataset.splits[part]) == 0:
                raise DataError(f"'{dataset.name}' has no {part} part, which training needs.")
        make_deterministic()
        keras.utils.set_random_seed(train_spec.seed)
        self.dataset = dataset
        self.model_spec = model_spec
        self.train_spec = train_spec
        self.model = build_model(model_spec, dataset)
        compile_model(self.model, train_spec)
        self._best: tuple[float, int, list[Any]] | None = None
        self._ended = False
        self._recorder = _Recorder(train_spec, len(dataset.validation), on_epoch, on_step)

    @property
    def failed(self) -> str:
        """Why the run cannot go on; empty where it can."""
        return self._recorder.failed

    @property
    def epochs_done(self) -> int:
        """How many epochs were trained."""
        return len(self._recorder.history["loss"])

    def advance(self, epochs: int) -> None:
        """Train until `epochs` epochs are done in all, or the run stops by itself."""
        while self.epochs_done < epochs and not self._ended:
            epoch = self.epochs_done
            self._train_epoch(epoch)
            self._ended = self._stops_early(epoch) or self._recorder.ended

    def finish(self) -> None:
        """Give the model the weights of its best epoch, where early stopping was asked for."""
        self._ended = True
        if self._best is not None and not self.failed:
            self.model.set_weights(self._best[2])

    def _stops_early(self, epoch: int) -> bool:
        """Keep the weights of the best epoch, and say whether it was too long ago."""
        patience = self.train_spec.early_stopping
        if patience is None or self.failed:
            return False
        loss = self._recorder.history["val_loss"][-1]
        if self._best is None or loss < self._best[0]:
            self._best = (loss, epoch, self.model.get_weights())
        return epoch - self._best[1] >= patience

    def _train_epoch(self, epoch: int) -> None:
        # Ordered here and not by Keras: its order would follow from all that was drawn before, and
        # setting the global seed anew makes TensorFlow prepare its functions again (0.25 s).
        rng = np.random.default_rng([self.train_spec.seed, epoch])
        train = self.dataset.train.take(rng.permutation(len(self.dataset.train)))
        validation = self.dataset.validation
        self.model.fit(
            train.inputs,
            train.y,
            batch_size=self.train_spec.batch_size,
            initial_epoch=epoch,
            epochs=epoch + 1,
            validation_data=(validation.inputs, validation.y),
            validation_batch_size=_EVALUATION_BATCH,
            class_weight=_class_weights(self.train_spec, self.dataset),
            callbacks=[self._recorder],
            shuffle=False,
            verbose=0,
        )

    def run(self) -> Run:
        """Return the record of what was done so far."""
        history = {name: list(values) for name, values in self._recorder.history.items()}
        epoch = self._best[1] if self._best is not None else len(history["loss"]) - 1
        metrics = {n: values[epoch] for n, values in history.items() if values and n != "seconds"}
        return Run(
            dataset_digest=self.dataset.digest,
            model=self.model_spec,
            train=self.train_spec,
            status="dnf" if self.failed else "ok",
            history=history,
            metrics={"epoch": epoch + 1, **metrics},
            seconds=sum(history["seconds"]),
            peak_memory=_peak_memory(),
            parameters=self.model.count_params(),
            versions=versions(),
            message=self.failed,
        )


def train(
    dataset: SequenceDataset,
    model_spec: ModelSpec | None = None,
    train_spec: TrainSpec | None = None,
    *,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
) -> Trained:
    """Train one configuration and measure it on the test part.

    Args:
        dataset: What to train on.
        model_spec: The architecture; None is `ModelSpec()`, one LSTM of 64 units.
        train_spec: The settings; None is `TrainSpec()`.
        on_epoch: Called after each epoch with its number, from 1, and its metrics.
        on_step: Called after each update with its number, from 1, and running means.

    Returns:
        The record, whose `metrics` hold `test_loss`, `test_accuracy` and `test_correct` unless
        the loss stopped being a number (`status` is then `dnf`), and the model: of the last epoch,
        or of the best with early stopping.

    Raises:
        DataError: The data cannot be trained on.

    Example:
        >>> import rnnprobe
        >>> dataset = rnnprobe.load_dataset("mnist-5k")            # doctest: +SKIP
        >>> run, model = rnnprobe.train(dataset)                   # doctest: +SKIP
        >>> run.metrics["test_accuracy"]                           # doctest: +SKIP
        0.944
    """
    model_spec, train_spec = model_spec or ModelSpec(), train_spec or TrainSpec()
    training = Training(dataset, model_spec, train_spec, on_epoch=on_epoch, on_step=on_step)
    epochs = train_spec.epochs
    if train_spec.steps is not None:
        epochs = math.ceil(train_spec.steps / math.ceil(len(dataset.train) / train_spec.batch_size))
    training.advance(epochs)
    training.finish()
    run = training.run()
    if run.status == "ok":
        test = evaluate(training.model, dataset.test, train_spec.loss)
        measured = {
            "test_loss": test.loss,
            "test_accuracy": test.accuracy,
            "test_correct": test.correct,
        }
        run = Run(**{**vars(run), "metrics": {**run.metrics, **measured}})
    return Trained(run, training.model)


def evaluate(model: keras.Model, split: Split, loss: str = "cross-entropy") -> Evaluation:
    """Measure a model of logits on one part of a data set."""
    logits = KerasClassifier(model, output="logits").logits(split.x, split.mask)
    mean_loss = float(keras.ops.convert_to_numpy(build_loss(loss)(split.y, logits)))
    correct = int((logits.argmax(axis=1) == split.y).sum())
    return Evaluation(mean_loss, correct, len(split))


def model_metadata(
    dataset: SequenceDataset, run: Run, more_metrics: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Return what a saved model carries: data set, classes, vocabulary, settings, metrics."""
    return {
        "data": {**dataset.source, "name": dataset.name, "digest": dataset.digest},
        "class_names": list(dataset.class_names),
        "vocabulary": list(dataset.vocabulary) if dataset.vocabulary else None,
        "preprocessing": list(dataset.notes),
        "model": asdict(run.model),
        "train": asdict(run.train),
        "metrics": {**run.metrics, **(more_metrics or {})},
        "versions": dict(run.versions),
    }


class _Recorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes the history, stops at the last step or at a loss that is no number, and reports."""

    def __init__(
        self,
        train_spec: TrainSpec,
        num_validation: int,
        on_epoch: OnEpoch | None,
        on_step: OnStep | None,
    ) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {
            name: [] for name in ("loss", "accuracy", "val_loss", "val_accuracy", "seconds")
        }
        self.failed = ""
        self.ended = False
        self._last_step = train_spec.steps
        self._step = 0
        self._num_validation = num_validation
        self._on_epoch, self._on_step = on_epoch, on_step
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        del epoch, logs
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        del batch
        self._step += 1
        if self._step == self._last_step:
            self._end()
        # Reading a value waits for the device, so it is done no more often than needed.
        if self._on_step is None and self._step % _STEPS_BETWEEN_CHECKS:
            return
        values = {name: float(value) for name, value in (logs or {}).items()}
        self._check(values)
        if self._on_step:
            self._on_step(self._step, values)

    def _check(self, values: Mapping[str, float]) -> None:
        for name in ("loss", "val_loss"):
            value = values.get(name, 0.0)
            if not self.failed and not math.isfinite(value):
                what = "validation loss" if name == "val_loss" else "loss"
                self.failed = f"nan: the {what} is {value} at step {self._step}"
                self._end()

    def _end(self) -> None:
        self.ended = self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        values = {name: float(value) for name, value in (logs or {}).items()}
        self._check(values)
        values["seconds"] = time.perf_counter() - self._started
        # Keras's mean is a float32; the share of so many examples is known exactly.
        correct = round(values["val_accuracy"] * self._num_validation)
        values["val_accuracy"] = correct / self._num_validation
        for name, series in self.history.items():
            series.append(values[name])
        if self._on_epoch:
            self._on_epoch(epoch + 1, values)


def _class_weights(train_spec: TrainSpec, dataset: SequenceDataset) -> dict[int, float] | None:
    if train_spec.class_weights is None:
        return None
    if train_spec.class_weights == "balanced":
        counts = np.bincount(dataset.train.y, minlength=dataset.num_classes)
        present = np.maximum(counts, 1)
        weights = counts.sum() / (np.count_nonzero(counts) * present)
    else:
        weights = np.asarray(train_spec.class_weights, dtype=float)
    if len(weights) != dataset.num_classes:
        raise DataError(
            f"There are {len(weights)} class weights, but {dataset.num_classes} classes."
        )
    return {label: float(weight) for label, weight in enumerate(weights)}


def _peak_memory() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (2**20 if sys.platform == "darwin" else 2**10)
