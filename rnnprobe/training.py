"""One training run: build, fit, evaluate. The one place where global seeds are set."""

from __future__ import annotations

import contextlib
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import keras
import numpy as np

from rnnprobe._files import atomic_path
from rnnprobe._versions import versions
from rnnprobe.backend import make_deterministic, peak_memory
from rnnprobe.errors import ModelError
from rnnprobe.evaluation import Evaluation, measure
from rnnprobe.programs import Programs, get_state, is_users, set_state
from rnnprobe.records import Array, SequenceDataset
from rnnprobe.specs import ModelSpec, Run, TrainSpec, check_trainable

OnEpoch = Callable[[int, Mapping[str, float]], None]
OnStep = Callable[[int, Mapping[str, float]], None]

_HISTORY = ("loss", "accuracy", "val_loss", "val_accuracy", "seconds")
_SECONDS_PER_CALL = 0.25


class Trained(NamedTuple):
    """What `train` returns: the record of the run, and the model."""

    run: Run
    model: keras.Model


class Training:
    """A training run that can be advanced in stages, to the same end as in one.

    Weights and dropout follow from the seed, the order of the examples from seed and epoch.

    Args:
        dataset: What to train on; its validation part is measured after each epoch.
        model_spec: The architecture.
        train_spec: The settings.
        programs: Compiled models of this data set to share; the model then belongs to the next
            run of its shape as well.
        on_epoch: Called after each epoch with its number, from 1, and its metrics.
        on_step: Called for each update with its number, from 1, and the mean of the epoch's loss
            and accuracy so far; a few updates at a time.

    Raises:
        DataError: The data has no training or no validation part, or there are more checkpoints
            than updates.
    """

    def __init__(
        self,
        dataset: SequenceDataset,
        model_spec: ModelSpec,
        train_spec: TrainSpec,
        *,
        programs: Programs | None = None,
        on_epoch: OnEpoch | None = None,
        on_step: OnStep | None = None,
    ) -> None:
        check_trainable(dataset, train_spec, parts=("train", "validation"))
        self.dataset = dataset
        self.model_spec = model_spec
        self.train_spec = train_spec
        make_deterministic()
        set_seed(train_spec.seed, users_code=is_users(model_spec.cell))
        self._program = (programs or Programs(dataset)).fresh(model_spec, train_spec)
        self.model = self._program.model
        self.failed = ""
        """Why the run cannot go on; empty where it can."""
        self.history: dict[str, list[float]] = {name: [] for name in _HISTORY}
        self._right: list[int] = []  # of each update, as the sizes
        self._sizes: list[int] = []
        self._best: tuple[float, int, list[Array]] | None = None
        self._hits = b""
        self._ended = False
        self.test: Evaluation | None = None
        """The model on the test part, once `tested` was called."""
        self._steps_per_call = 1
        self._on_epoch, self._on_step = on_epoch, on_step

    @property
    def _steps_per_epoch(self) -> int:
        return math.ceil(len(self.dataset.train) / self.train_spec.batch_size)

    @property
    def epochs_done(self) -> int:
        """How many epochs were trained."""
        return len(self.history["loss"])

    @property
    def hits(self) -> bytes:
        """Which validation examples were right at the epoch of `run`, see `Evaluation`."""
        return self._hits

    def advance(self, epochs: int | None = None) -> None:
        """Train until `epochs` epochs are done in all, or the run stops by itself.

        Args:
            epochs: None trains to the end.
        """
        if epochs is None:
            num_steps = self.train_spec.num_steps(len(self.dataset.train))
            epochs = math.ceil(num_steps / self._steps_per_epoch)
        while self.epochs_done < epochs and not self._ended:
            self._train_epoch(self.epochs_done)

    def finish(self) -> None:
        """Give the model the weights of its best epoch, where early stopping was asked for."""
        self._ended = True
        if self._best is not None and not self.failed:
            self.model.set_weights(self._best[2])

    def _train_epoch(self, epoch: int) -> None:
        started = time.perf_counter()
        losses, right, sizes = self._update_all(epoch)
        measured = None if self.failed else self._validate()
        if measured is None:
            self._ended = True
            return
        values = {
            "loss": float(np.average(losses, weights=sizes)),
            "accuracy": sum(right) / sum(sizes),
            "val_loss": measured.loss,
            "val_accuracy": measured.accuracy,
            "seconds": time.perf_counter() - started,
        }
        for name, series in self.history.items():
            series.append(values[name])
        self._ended = self._stops_early(epoch, measured) or (
            self.train_spec.steps is not None and len(self._right) >= self.train_spec.steps
        )
        if self._on_epoch:
            self._on_epoch(epoch + 1, values)

    def _update_all(self, epoch: int) -> tuple[list[float], list[int], list[int]]:
        """Make the updates of one epoch; return loss, number right and size of each batch."""
        losses: list[float] = []
        right: list[int] = []
        sizes: list[int] = []
        for batches in self._batches(epoch):
            started = time.perf_counter()
            batch_losses, batch_right = self._program.steps(batches)
            seconds = (time.perf_counter() - started) / len(batches)
            # So many that the calls cost nothing, so few that Ctrl-C arrives.
            most = max(1, int(_SECONDS_PER_CALL / max(seconds, 1e-6)))
            self._steps_per_call = min(2 * self._steps_per_call, most)
            losses += batch_losses.tolist()
            right += batch_right.tolist()
            sizes += (batches >= 0).sum(axis=1).tolist()
            self._report_steps(losses, right, sizes, len(batches))
            bad = np.flatnonzero(~np.isfinite(batch_losses))
            good = int(bad[0]) if bad.size else len(batches)
            self._right += batch_right[:good].tolist()
            self._sizes += (batches[:good] >= 0).sum(axis=1).tolist()
            if bad.size:
                step = len(self._right) + 1
                self.failed = f"nan: the loss is {batch_losses[good]} at step {step}"
                break
        return losses, right, sizes

    def _batches(self, epoch: int) -> Iterator[Array]:
        """Yield int32 (num_steps, batch_size): the examples of the next steps, -1 for none."""
        # Ordered here and not by Keras: its order would follow from all that was drawn before, and
        # setting the global seed anew makes TensorFlow prepare its functions again (0.25 s).
        rng = np.random.default_rng([self.train_spec.seed, epoch])
        order = rng.permutation(len(self.dataset.train)).astype(np.int32)
        size = min(self.train_spec.batch_size, len(order))
        missing = self._steps_per_epoch * size - len(order)
        filled = np.pad(order, (0, missing), constant_values=-1)
        left = (self.train_spec.steps or math.inf) - epoch * self._steps_per_epoch
        batches = filled.reshape(-1, size)[: int(min(left, self._steps_per_epoch))]
        done = 0
        while done < len(batches):
            chosen = batches[done : done + self._steps_per_call]
            done += len(chosen)
            yield chosen

    def _report_steps(
        self, losses: list[float], right: list[int], sizes: list[int], latest: int
    ) -> None:
        if self._on_step is None:
            return
        seen = np.cumsum(sizes)
        mean_losses = np.cumsum(np.multiply(losses, sizes)) / seen
        accuracies = np.cumsum(right) / seen
        for index in range(len(losses) - latest, len(losses)):
            step = len(self._right) + index - (len(losses) - latest) + 1
            values = {"loss": float(mean_losses[index]), "accuracy": float(accuracies[index])}
            self._on_step(step, values)

    def _validate(self) -> Evaluation | None:
        validation = self.dataset.validation
        try:
            measured = measure(self._program.classifier, validation, self.train_spec.loss)
        except ModelError:
            # What build_model built returns logits of the right shape: they are not finite.
            loss = math.nan
        else:
            loss = measured.loss
        if math.isfinite(loss):
            return measured
        self.failed = f"nan: the validation loss is {loss} at step {len(self._right)}"
        return None

    def _stops_early(self, epoch: int, measured: Evaluation) -> bool:
        """Keep the weights of the best epoch, and say whether it was too long ago."""
        patience = self.train_spec.early_stopping
        if patience is None:
            self._hits = measured.hits
            return False
        if self._best is None or measured.loss < self._best[0]:
            self._best = (measured.loss, epoch, self.model.get_weights())
            self._hits = measured.hits
        return epoch - self._best[1] >= patience

    def save(self, path: Path) -> None:
        """Write all that `load_if_whole` needs to go on, whole or not at all."""
        best = self._best or (0.0, -1, [])
        told = {
            "failed": self.failed,
            "history": self.history,
            "right": self._right,
            "sizes": self._sizes,
            "ended": self._ended,
            "best": best[:2],
            "hits": self._hits.hex(),
        }
        arrays: dict[str, Any] = {"told": np.array(json.dumps(told))}
        arrays |= {f"state_{n}": value for n, value in enumerate(get_state(self.model))}
        arrays |= {f"best_{n}": value for n, value in enumerate(best[2])}
        with atomic_path(path) as temporary:
            np.savez(temporary, **arrays)

    def load_if_whole(self, path: Path) -> None:
        """Go on from what a run of the same settings saved, or stay where the file is unusable."""
        with contextlib.suppress(OSError, ValueError, KeyError, BadZipFile):
            self._load(path)

    def _load(self, path: Path) -> None:
        with path.open("rb") as file, np.load(file) as saved:
            told = json.loads(str(saved["told"]))
            arrays = {name: saved[name] for name in saved.files}
        set_state(self.model, _numbered(arrays, "state"))
        self.failed, self.history = told["failed"], told["history"]
        self._right, self._sizes, self._ended = told["right"], told["sizes"], told["ended"]
        self._hits = bytes.fromhex(told["hits"])
        loss, epoch = told["best"]
        self._best = (loss, epoch, _numbered(arrays, "best")) if epoch >= 0 else None

    def run(self) -> Run:
        """Return the record of what was done so far."""
        history = {name: list(values) for name, values in self.history.items()}
        epoch = self._best[1] if self._best is not None else len(history["loss"]) - 1
        metrics = {n: values[epoch] for n, values in history.items() if values and n != "seconds"}
        return Run(
            dataset_digest=self.dataset.digest,
            model=self.model_spec,
            train=self.train_spec,
            status="dnf" if self.failed else "ok",
            history=history,
            metrics={"epoch": epoch + 1, **metrics, **self._checkpoints()},
            seconds=sum(history["seconds"]),
            peak_memory=peak_memory(),
            parameters=self.model.count_params(),
            versions=versions(),
            message=self.failed,
        )

    def _checkpoints(self) -> dict[str, float]:
        """Return the training accuracy up to each checkpoint that was reached, and at it."""
        number, metrics = self.train_spec.checkpoints, {}
        num_steps = self.train_spec.num_steps(len(self.dataset.train))
        for point in range(number):
            first, end = (round(num_steps * p / number) for p in (point, point + 1))
            if end <= len(self._right):
                share = sum(self._right[first:end]) / sum(self._sizes[first:end])
                metrics[f"train_{point + 1}"] = share
                last = end - 1 if self._sizes[end - 1] == max(self._sizes) else max(end - 2, 0)
                metrics[f"minibatch_{point + 1}"] = self._right[last] / self._sizes[last]
        return metrics

    def tested(self) -> Run:
        """Return the record with `test_loss`, `test_accuracy`, `test_correct`, if it finished."""
        run = self.run()
        if run.status != "ok":
            return run
        self.test = test = measure(
            self._program.classifier, self.dataset.test, self.train_spec.loss
        )
        measured = {
            "test_loss": test.loss,
            "test_accuracy": test.accuracy,
            "test_correct": test.correct,
        }
        return replace(run, metrics={**run.metrics, **measured})


def set_seed(seed: int, *, users_code: bool) -> None:
    """Let what Keras draws follow from the seed.

    Keras's layers draw by Python's generator. The seeds of TensorFlow and NumPy are for what the
    user's code may draw; TensorFlow's makes it prepare all its functions again (0.2 s).

    Args:
        seed: In [0, 2**32 - 1].
        users_code: Whether layers draw that are not Keras's own.
    """
    if users_code:
        keras.utils.set_random_seed(seed)
    else:
        random.seed(seed)


def _numbered(arrays: Mapping[str, Array], name: str) -> list[Array]:
    count = sum(key.startswith(f"{name}_") for key in arrays)
    return [arrays[f"{name}_{number}"] for number in range(count)]


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
    training.advance()
    training.finish()
    return Trained(training.tested(), training.model)


def model_metadata(
    dataset: SequenceDataset, run: Run, more_metrics: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Return what a saved model carries: data, classes, vocabulary, settings, curves."""
    return {
        "data": {**dataset.source, "name": dataset.name, "digest": dataset.digest},
        "class_names": list(dataset.class_names),
        "vocabulary": list(dataset.vocabulary) if dataset.vocabulary else None,
        "preprocessing": list(dataset.notes),
        "model": asdict(run.model),
        "train": asdict(run.train),
        "metrics": {**run.metrics, **(more_metrics or {})},
        "history": {name: list(values) for name, values in run.history.items()},
        "versions": dict(run.versions),
    }
