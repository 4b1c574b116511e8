"""Training one model again and again from chosen weights, on chosen examples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from rnnprobe._batches import keeps_state
from rnnprobe.classifier import KerasClassifier
from rnnprobe.errors import ModelError, TrainingError
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Split


@dataclass(frozen=True)
class Schedule:
    """How every run of a `Trainer` is trained.

    Args:
        epochs: Passes over the training part, at least 1; ignored where `steps` is given.
        steps: Number of updates in place of epochs, at least 1.
        batch_size: Examples per update, at least 1.
        learning_rate: Of Adam, above 0.
        seed: Of the order of the examples, the starts of the attacks, and dropout.
    """

    epochs: int = 3
    steps: int | None = None
    batch_size: int = 64
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "steps", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"`{name} >= 1` must hold, but got {name}={value!r}.")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(
                f"`learning_rate > 0` must hold, but got learning_rate={self.learning_rate!r}."
            )

    def num_updates(self, num_examples: int) -> int:
        """Return the number of updates on so many examples."""
        return self.steps or self.epochs * math.ceil(num_examples / self.batch_size)

    def batches(self, num_examples: int, repeat: int, num_updates: int) -> Iterator[Array]:
        """Yield int64 (at most batch_size,), each update's examples: a new order every epoch.

        Args:
            num_examples: To choose from, at least 1.
            repeat: With the seed it decides the order.
            num_updates: How many batches.
        """
        generator = np.random.default_rng([self.seed, repeat])
        left = num_updates
        while left:
            order = generator.permutation(num_examples)
            for start in range(0, num_examples, self.batch_size)[:left]:
                yield order[start : start + self.batch_size]
                left -= 1


class Source(Protocol):
    """What becomes of the examples of an update before they are trained on."""

    def __call__(self, model: Classifier, batch: Split, seed: int) -> Split:
        """Return the examples of one update.

        Args:
            model: As it is before the update.
            batch: The ordinary examples.
            seed: Of this update.
        """
        ...


def ordinary(model: Classifier, batch: Split, seed: int) -> Split:
    """Return the batch as it is: the source of the control."""
    del model, seed
    return batch


class Trainer:
    """Trains one model again and again from the weights that it was given with, or others.

    Args:
        classifier: The model; it is trained in place, see `restore`.
        train: The examples, at least one.
        schedule: The settings of all runs.
        optimizer: Not built; None is Adam with the schedule's learning rate.
        advice: What to do about a loss that is no number; ends its message.

    Raises:
        ModelError: The model has no weights to train or keeps its state between batches, or
            another Keras backend than TensorFlow runs.
    """

    def __init__(
        self,
        classifier: KerasClassifier,
        train: Split,
        schedule: Schedule,
        *,
        optimizer: keras.optimizers.Optimizer | None = None,
        advice: str = "try a smaller --learning-rate",
    ) -> None:
        self._classifier, self._train, self._schedule = classifier, train, schedule
        self._advice = advice
        model = classifier.model
        if not model.trainable_variables:
            raise ModelError("The model has no weights that can be trained: all are frozen.")
        stateful = [layer.name for layer in model._flatten_layers() if keeps_state(layer)]
        if stateful:
            raise ModelError(
                f"The layer '{stateful[0]}' is stateful: it carries its state from batch to batch, "
                "which means nothing for shuffled examples; build the model with stateful=False."
            )
        optimizer = optimizer or keras.optimizers.Adam(schedule.learning_rate)
        optimizer.build(model.trainable_variables)
        self._step = classifier.update_step(optimizer)
        self._variables: list[Any] = [*model.variables, *optimizer.variables]
        self._given = [np.array(keras.ops.convert_to_numpy(one)) for one in self._variables]

    def restore(self) -> None:
        """Give the model the weights that it came with."""
        for variable, value in zip(self._variables, self._given, strict=True):
            variable.assign(value)

    def run(
        self,
        name: str,
        source: Source = ordinary,
        repeat: int = 0,
        *,
        pool: Array | None = None,
        num_updates: int | None = None,
        weights: list[Array] | None = None,
    ) -> float:
        """Train from chosen weights, and leave the model as the run ends.

        Args:
            name: What is trained, for messages.
            source: What becomes of each batch.
            repeat: With the schedule's seed it decides order, starts and dropout.
            pool: int64, at least one index of the examples to train on, an example twice where it
                is to come twice as often; None: all of them once. An epoch passes it once.
            num_updates: None: as many as the schedule makes on all examples.
            weights: To start from, as `get_weights` returns them; None: the given ones.

        Returns:
            The mean loss of all updates.

        Raises:
            TrainingError: The loss or a weight stopped being a number.
        """
        self.restore()
        if weights is not None:
            self._classifier.model.set_weights(weights)
        pool = np.arange(len(self._train)) if pool is None else pool
        number = num_updates or self._schedule.num_updates(len(self._train))
        losses: list[float] = []
        for chosen in self._schedule.batches(len(pool), repeat, number):
            batch = self._train.take(pool[chosen])
            losses.append(self._update(name, source, batch, repeat, len(losses)))
        if not all(np.isfinite(weight).all() for weight in self._classifier.model.get_weights()):
            raise self._diverged(name, len(losses))
        return float(np.mean(losses))

    def _update(self, name: str, source: Source, batch: Split, repeat: int, done: int) -> float:
        """Make one update and return its loss."""
        entropy = np.random.SeedSequence([self._schedule.seed, repeat, done])
        seed = int(entropy.generate_state(1)[0])
        try:
            batch = source(self._classifier, batch, seed)
        except ModelError as exc:
            raise self._diverged(name, done) from exc
        self._seed_dropout(seed)
        loss = self._step(batch.x, batch.y, batch.mask)
        if not math.isfinite(loss):
            raise self._diverged(name, done + 1)
        return loss

    def _seed_dropout(self, seed: int) -> None:
        """Let all runs drop the same; Keras's random states also move when a model predicts."""
        states = [one for one in self._variables if one.name == "seed_generator_state"]
        for index, state in enumerate(states):
            state.assign([seed >> 1, index << 16])

    def _diverged(self, name: str, updates: int) -> TrainingError:
        return TrainingError(
            f"The {name} diverged: its loss was no number at update {updates}; {self._advice}."
        )
