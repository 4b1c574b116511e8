"""Arms of the experiment: one model trained on from the same weights, each on other examples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import keras
import numpy as np

from rnnprobe.attacks.pgd import PGD
from rnnprobe.classifier import KerasClassifier
from rnnprobe.errors import ModelError, TrainingError
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Budget, Split


@dataclass(frozen=True)
class Schedule:
    """How every arm is trained.

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

    def batches(self, num_examples: int, repeat: int) -> Iterator[Array]:
        """Yield the indices of each update's examples: a new order every epoch.

        Args:
            num_examples: Of the training part, at least 1.
            repeat: With the seed it decides the order.
        """
        generator = np.random.default_rng([self.seed, repeat])
        left = self.num_updates(num_examples)
        while left:
            order = generator.permutation(num_examples)
            for start in range(0, num_examples, self.batch_size)[:left]:
                yield order[start : start + self.batch_size]
                left -= 1


class Source(Protocol):
    """What an arm is trained on."""

    def __call__(self, model: Classifier, batch: Split, seed: int) -> Split:
        """Return the examples of one update.

        Args:
            model: As it is before the update.
            batch: The ordinary examples, the same in every arm.
            seed: Of this update.
        """
        ...


def ordinary(model: Classifier, batch: Split, seed: int) -> Split:
    """Return the batch as it is: the source of the control."""
    del model, seed
    return batch


@dataclass(frozen=True)
class AdversarialExamples:
    """The batch, changed so that the model as it is just then errs.

    Args:
        attack: What changes it; its seed is replaced at each update.
        budget: How much it may change.
    """

    attack: PGD
    budget: Budget

    def __call__(self, model: Classifier, batch: Split, seed: int) -> Split:
        """Return the changed examples; see `Source`."""
        attack = replace(self.attack, seed=seed)
        x = attack(model, batch.x, batch.y, self.budget, mask=batch.mask)
        return Split(x, batch.y, batch.mask)


def pgd_source(budget: Budget) -> AdversarialExamples:
    """Return adversarial training by projected gradient ascent.

    References:
        Madry, Makelov, Schmidt, Tsipras and Vladu, Towards deep learning models resistant to
        adversarial attacks, ICLR 2018, https://arxiv.org/abs/1706.06083
    """
    return AdversarialExamples(PGD(steps=7, step_size=0.25, stop_early=False), budget)


def fgsm_source(budget: Budget) -> AdversarialExamples:
    """Return adversarial training by one step of 1.25 epsilon from a random start.

    Unlike in the paper the point of largest loss is trained on, of the example, the start and the
    end; the paper takes the end.

    References:
        Wong, Rice and Kolter, Fast is better than free: revisiting adversarial training, ICLR
        2020, https://arxiv.org/abs/2001.03994
    """
    return AdversarialExamples(PGD(steps=1, step_size=1.25, stop_early=False), budget)


class Trainer:
    """Trains one model again and again from the weights that it was given with.

    Args:
        classifier: The model; it is trained in place, see `restore`.
        train: The ordinary examples, at least one.
        schedule: The settings of all arms.

    Raises:
        ModelError: The model has no weights to train, or another Keras backend than TensorFlow
            runs.
    """

    def __init__(self, classifier: KerasClassifier, train: Split, schedule: Schedule) -> None:
        self._classifier, self._train, self._schedule = classifier, train, schedule
        model = classifier.model
        if not model.trainable_variables:
            raise ModelError("The model has no weights that can be trained: all are frozen.")
        optimizer = keras.optimizers.Adam(schedule.learning_rate)
        optimizer.build(model.trainable_variables)
        self._step = classifier.update_step(optimizer)
        self._variables: list[Any] = [*model.variables, *optimizer.variables]
        self._given = [np.array(keras.ops.convert_to_numpy(one)) for one in self._variables]

    def restore(self) -> None:
        """Give the model the weights that it came with."""
        for variable, value in zip(self._variables, self._given, strict=True):
            variable.assign(value)

    def run(self, name: str, source: Source, repeat: int = 0) -> float:
        """Train one arm from the given weights, and leave the model as the arm ends.

        Args:
            name: The arm's, for messages.
            source: What it is trained on.
            repeat: With the schedule's seed it decides order, starts and dropout.

        Returns:
            The mean loss of all updates.

        Raises:
            TrainingError: The loss or a weight stopped being a number.
        """
        self.restore()
        losses: list[float] = []
        for rows in self._schedule.batches(len(self._train), repeat):
            entropy = np.random.SeedSequence([self._schedule.seed, repeat, len(losses)])
            seed = int(entropy.generate_state(1)[0])
            try:
                batch = source(self._classifier, self._train.take(rows), seed)
            except ModelError as exc:
                raise self._diverged(name, len(losses)) from exc
            self._seed_dropout(seed)
            losses.append(self._step(batch.x, batch.y, batch.mask))
            if not math.isfinite(losses[-1]):
                raise self._diverged(name, len(losses))
        if not all(np.isfinite(weight).all() for weight in self._classifier.model.get_weights()):
            raise self._diverged(name, len(losses))
        return float(np.mean(losses))

    def _seed_dropout(self, seed: int) -> None:
        """Let all arms drop the same; Keras's random states also move when a model predicts."""
        states = [one for one in self._variables if one.name == "seed_generator_state"]
        for index, state in enumerate(states):
            state.assign([seed >> 1, index << 16])

    def _diverged(self, name: str, updates: int) -> TrainingError:
        return TrainingError(
            f"The arm '{name}' diverged: its loss was no number at update {updates}; try a "
            "smaller --learning-rate."
        )
