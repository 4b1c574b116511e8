"""Predictions of the training part by models that never saw the examples they predict."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import keras
import numpy as np

from rnnprobe.backend import make_deterministic
from rnnprobe.classifier import KerasClassifier
from rnnprobe.datasets._conflicts import split_keys
from rnnprobe.errors import DataError, ModelError, TrainingError
from rnnprobe.hardening.trainer import Schedule, Trainer
from rnnprobe.models import compile_model
from rnnprobe.records import Array, Predictions, SequenceDataset, Split
from rnnprobe.specs import TrainSpec
from rnnprobe.training import set_seed

Say = Callable[[str], None]
_OUTPUT_LOOK = 64  # examples that show whether a model returns probabilities or logits
_SEEDS = 2**32


@dataclass(frozen=True)
class FoldSettings:
    """How the models of the folds are trained.

    Args:
        train: Optimizer, learning rate, batch size, epochs or steps, momentum, weight decay and
            clipping count; the loss is cross-entropy, every example weighs the same, all epochs
            are trained, and the seed is that of `out_of_fold`.
        from_model: Whether they are those that the model itself was trained with.
        left_out: What the model was trained with and the folds are not, in words.
    """

    train: TrainSpec
    from_model: bool = False
    left_out: tuple[str, ...] = ()


DEFAULT_SETTINGS = FoldSettings(TrainSpec(batch_size=64))
"""Where a model does not say how it was trained: Adam .001, 10 epochs of batches of 64."""


def fold_settings(metadata: Mapping[str, Any] | None) -> FoldSettings:
    """Return the settings that a saved model was trained with, as far as folds can be.

    Of a model that stopped early the number of epochs is that of its best one: a fold has no
    part of its own to stop by.

    Args:
        metadata: What `rnnprobe._archive.read_metadata` gave; None, or without `train`, gives
            `DEFAULT_SETTINGS`.

    Example:
        >>> fold_settings({"train": {"optimizer": "sgd", "epochs": 3}}).train.optimizer
        'sgd'
    """
    given = dict((metadata or {}).get("train") or {})
    if not given:
        return DEFAULT_SETTINGS
    known = {field.name for field in fields(TrainSpec)}
    spec = TrainSpec(**{name: value for name, value in given.items() if name in known})
    left_out = []
    if spec.loss != "cross-entropy":
        left_out.append(f"the loss {spec.loss}")
    if spec.class_weights is not None:
        left_out.append("class weights")
    plain = replace(
        spec, loss="cross-entropy", class_weights=None, early_stopping=None, checkpoints=0
    )
    if spec.early_stopping is not None:
        left_out.append("early stopping")
        best = int((metadata or {}).get("metrics", {}).get("epoch", spec.epochs))
        plain = replace(plain, epochs=max(1, best), steps=None)
    return FoldSettings(plain, from_model=True, left_out=tuple(left_out))


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """What models say about training examples that each of them was not trained on.

    Args:
        predictions: Of the training part, in its order.
        fold: int64 (num_examples,), from 0: the fold of each example, whose model was trained on
            all others and predicted it.
        num_folds: How many, at least 2.
        seed: Of folds, weights, order and dropout.
        settings: How each fold's model was trained.
        kept: Names of layers that were not made anew and so may have seen all examples.
    """

    predictions: Predictions
    fold: Array
    num_folds: int
    seed: int
    settings: FoldSettings
    kept: tuple[str, ...] = ()

    @property
    def mistakes(self) -> Array:
        """int64 (num_mistakes,): the examples that were taken for another class, ascending."""
        return np.flatnonzero(self.predictions.predicted != self.predictions.y)


def deal_folds(split: Split, num_folds: int, seed: int) -> Array:
    """Return int64 (num_examples,), the fold of each example, stratified by class.

    The distinct inputs of a class are shuffled, and each goes to the fold that has fewest examples
    of the class, among these to that which has fewest at all. Equal inputs are of one fold, so
    that no model has seen what it predicts; they count for the class of the first of them.

    Args:
        split: The examples.
        num_folds: At least 2.
        seed: Of the shuffle.

    Raises:
        DataError: There are fewer distinct inputs than folds.
    """
    if num_folds < 2:
        raise ValueError(f"`num_folds >= 2` must hold, but got num_folds={num_folds!r}.")
    groups: dict[bytes, list[int]] = {}
    for index, key in enumerate(split_keys(split)):
        groups.setdefault(key, []).append(index)
    if len(groups) < num_folds:
        raise DataError(
            f"{num_folds} folds need as many distinct training examples, but there are "
            f"{len(groups)}; give fewer folds."
        )
    by_class: dict[int, list[list[int]]] = {}
    for members in groups.values():
        by_class.setdefault(int(split.y[members[0]]), []).append(members)
    generator = np.random.default_rng(seed)
    fold = np.zeros(len(split), np.int64)
    sizes = np.zeros(num_folds, np.int64)
    for label in sorted(by_class):
        of_class = np.zeros(num_folds, np.int64)
        for position in generator.permutation(len(by_class[label])):
            members = by_class[label][position]
            chosen = int(np.lexsort((sizes, of_class))[0])
            fold[members] = chosen
            of_class[chosen] += len(members)
            sizes[chosen] += len(members)
    return fold


def out_of_fold(
    classifier: KerasClassifier,
    dataset: SequenceDataset,
    settings: FoldSettings | None = None,
    *,
    num_folds: int = 5,
    seed: int = 0,
    say: Say | None = None,
) -> OutOfFold:
    """Predict every training example by a model that was trained on the others.

    For each fold a model of the same architecture starts from fresh weights, is trained on the
    other folds and predicts its own; the validation and test parts are not touched. Layers
    without a weight that can be trained (frozen ones, a normalisation that was adapted) keep what
    they have, but for a batch normalisation. Afterwards the model has its own weights again.

    Args:
        classifier: Gives the architecture.
        dataset: Its training part is predicted.
        settings: How the models are trained, see `fold_settings`; None is `DEFAULT_SETTINGS`.
        num_folds: At least 2; each model is trained on all but one.
        seed: Decides folds, first weights, order and dropout.
        say: Called with a line after each fold.

    Raises:
        DataError: The data does not fit the model, or has too few examples for the folds.
        ModelError: The model cannot be made anew, or has no weights to train.
        TrainingError: A fold's loss stopped being a number.

    Example:
        >>> found = out_of_fold(classifier, dataset)               # doctest: +SKIP
        >>> found.predictions.probabilities.shape                  # doctest: +SKIP
        (4000, 10)

    References:
        M. Stone, "Cross-Validatory Choice and Assessment of Statistical Predictions", Journal of
        the Royal Statistical Society B 36 (1974).
        https://doi.org/10.1111/j.2517-6161.1974.tb00994.x
    """
    settings, say = settings or DEFAULT_SETTINGS, say or (lambda line: None)
    train, model = dataset.train, classifier.model
    fold = deal_folds(train, num_folds, seed)
    make_deterministic()
    # What kind of scores the model returns is settled by its own weights, not by fresh ones.
    classifier.predict(train.take(np.arange(min(_OUTPUT_LOOK, len(train)))), dataset.class_names)
    starts = [_fresh_weights(model, seed, number) for number in range(num_folds)]
    trainer = _trainer(classifier, train, settings, seed)
    probabilities = np.zeros((len(train), dataset.num_classes))
    try:
        for number, weights in enumerate(starts):
            started, others, own = time.perf_counter(), *_sides(fold, number)
            told = f"fold {number + 1} of {num_folds}"
            updates = settings.train.num_steps(len(others))
            loss = trainer.run(
                f"model of {told}", repeat=number, pool=others, num_updates=updates, weights=weights
            )
            found = _predicted(classifier, train.take(own), dataset.class_names, told)
            probabilities[own] = found.probabilities
            accuracy = float((found.predicted == found.y).mean())
            seconds = time.perf_counter() - started
            say(f"{told}: mean loss {loss:.4f}, accuracy {accuracy:.4f}, {seconds:.1f} s")
    finally:
        trainer.restore()
    predictions = Predictions(train.y, probabilities, dataset.class_names)
    kept = tuple(layer.name for layer in _kept_layers(model))
    return OutOfFold(predictions, fold, num_folds, seed, settings, kept)


def _predicted(
    classifier: KerasClassifier, part: Split, class_names: tuple[str, ...], told: str
) -> Predictions:
    try:
        return classifier.predict(part, class_names)
    except ModelError as exc:
        raise TrainingError(
            f"The model of {told} diverged: after training it returns what is no number."
        ) from exc


def _sides(fold: Array, number: int) -> tuple[Array, Array]:
    """Return the examples that a fold's model is trained on, and those that it predicts."""
    return np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def _trainer(
    classifier: KerasClassifier, train: Split, settings: FoldSettings, seed: int
) -> Trainer:
    spec = settings.train
    schedule = Schedule(batch_size=spec.batch_size, learning_rate=spec.learning_rate, seed=seed)
    shell = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    compile_model(shell, spec)  # which knows how a TrainSpec becomes an optimizer
    optimizer = type(shell.optimizer).from_config(shell.optimizer.get_config())
    whose = "the model's own" if settings.from_model else "the default"
    advice = f"{whose} learning rate, {spec.learning_rate:g} with {spec.optimizer}, is too large"
    return Trainer(classifier, train, schedule, optimizer=optimizer, advice=advice)


def _fresh_weights(model: keras.Model, seed: int, number: int) -> list[Array]:
    """Return weights as `get_weights` does, as a newly built model of a fold has them.

    An initializer to which the model's author gave a seed of its own draws the same in all folds.
    """
    drawn = np.random.SeedSequence([seed, number]).generate_state(1)[0]
    set_seed(int(drawn) % _SEEDS, users_code=True)
    given = model.get_weights()
    try:
        fresh = keras.models.clone_model(model).get_weights()
    except Exception as exc:  # Keras's, or any of the user's own classes
        reason = " ".join(str(exc).split())[:200]
        raise ModelError(
            f"The model cannot be built anew for each fold: {type(exc).__name__}: {reason}."
        ) from exc
    if [one.shape for one in fresh] != [one.shape for one in given]:
        raise ModelError(
            f"The model cannot be built anew for each fold: from its configuration come "
            f"{len(fresh)} weights where it has {len(given)}; give its class get_config, and "
            "build its layers in build."
        )
    kept = {id(weight) for layer in _kept_layers(model) for weight in layer.weights}
    return [
        own if id(weight) in kept else new
        for weight, own, new in zip(model.weights, given, fresh, strict=True)
    ]


def _kept_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers whose weights training would not bring back if they were made anew."""
    return [
        layer
        for layer in model._flatten_layers(include_self=False, recursive=True)
        if layer.weights
        and not layer.trainable_variables
        and not (layer.trainable and isinstance(layer, keras.layers.BatchNormalization))
    ]
