"""Compiled models, so that training runs of one shape can share what TensorFlow traced."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import replace
from typing import Any, NamedTuple

import keras
import numpy as np

from rnnprobe.backend import TrainSteps, resident, train_steps
from rnnprobe.baselines import BASELINES
from rnnprobe.cells import CELLS
from rnnprobe.classifier import KerasClassifier
from rnnprobe.errors import DataError
from rnnprobe.models import build_model, compile_model
from rnnprobe.records import Array, SequenceDataset
from rnnprobe.specs import ModelSpec, TrainSpec

_KEPT = 6
# Measured on 2 cores, batch 32, a step fused by XLA against one that is not: lstm of 16 units 3.3
# times as fast, 64 2.1, 128 1.2, 256 0.95, 512 0.7; a cnn 0.5. Compiling takes 0.6 to 1.1 s more.
_MOST_FUSED_UNITS = 96


class Program(NamedTuple):
    """A compiled model with the functions that train and apply it.

    Args:
        model: Compiled, of logits.
        steps: Trains it, see `rnnprobe.backend.train_steps`.
        classifier: Applies it.
    """

    model: keras.Model
    steps: TrainSteps
    classifier: KerasClassifier


class Programs:
    """Keeps the programs of one data set that were used last, and starts them anew.

    A run on a used program ends in the same weights, bit for bit, as one on a new program: all
    that a run changes is set to what a newly built model has.

    Args:
        dataset: What is trained on.
    """

    def __init__(self, dataset: SequenceDataset) -> None:
        self._dataset = dataset
        self._examples = resident(dataset.train)
        self._programs: OrderedDict[Hashable, Program] = OrderedDict()

    def fresh(self, model_spec: ModelSpec, train_spec: TrainSpec) -> Program:
        """Return a program with the weights of a newly built model, by the seed set before."""
        model = build_model(model_spec, self._dataset)
        compile_model(model, train_spec)
        key = program_key(model_spec, train_spec)
        if key in self._programs:
            self._programs.move_to_end(key)
            set_state(self._programs[key].model, get_state(model))
            return self._programs[key]
        weights = class_weights(train_spec, self._dataset)
        fuse = model_spec.cell in CELLS and model_spec.units <= _MOST_FUSED_UNITS
        steps = train_steps(model, self._examples, weights, fuse=fuse)
        program = Program(model, steps, KerasClassifier(model, output="logits"))
        if not is_users(model_spec.cell):  # it may hold what is no variable
            self._programs[key] = program
            if len(self._programs) > _KEPT:
                self._programs.popitem(last=False)
        return program


def is_users(cell: str) -> bool:
    """Whether a cell is the user's own: a `module:function`, or of an entry point."""
    return cell not in CELLS and cell not in BASELINES


def program_key(model_spec: ModelSpec, train_spec: TrainSpec) -> str:
    """Return what the compiled functions depend on; the learning rate is a variable of theirs."""
    same = TrainSpec()
    free = ("learning_rate", "batch_size", "epochs", "steps", "early_stopping", "seed")
    train_spec = replace(train_spec, checkpoints=0, **{n: getattr(same, n) for n in free})
    return repr((model_spec, train_spec))


def get_state(model: keras.Model) -> list[Array]:
    """Return all that training changes: weights, optimizer, states of the random generators."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in _variables(model)]


def set_state(model: keras.Model, state: list[Array]) -> None:
    """Give a model what `get_state` returned of one like it."""
    for variable, value in zip(_variables(model), state, strict=True):
        variable.assign(value)


def _variables(model: keras.Model) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]


def class_weights(train_spec: TrainSpec, dataset: SequenceDataset) -> dict[int, float] | None:
    """Return the weight of each class, or None where all weigh the same.

    Raises:
        DataError: There are not as many weights as classes.
    """
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
