"""What a run costs, from its settings and the shape of the data alone; nothing is loaded or built.

Good for an order of magnitude: a run may take three times as long, or a third of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rnnprobe.experiments._reproduce import Plan, part_folder
from rnnprobe.experiments._shapes import Shape
from rnnprobe.journal import read_results
from rnnprobe.specs import ModelSpec, TrainSpec

# Fitted to runs of lstm (16 to 2048 units), gru, rnn and cnn-relu on MNIST's rows, and of lstm on
# surnames, in one thread each on a server core with AVX-512, whose processor time they took. The
# rate is under what one core does alone, since two trials at once slow each other down.
SECONDS_OF_START = 2.5  # building and compiling
_SECONDS_OF_STEP = 8e-5  # of an update, for each time step and layer
_OPERATIONS_PER_SECOND = 7e10
_ROWS_OF_WEIGHTS = 16  # reading the weights takes as long as so many examples in an update
_BYTES_PER_SECOND = 4e9  # that an optimizer reads and writes
_BYTES_OF_START = 300_000_000
_COPIES_OF_WEIGHTS = 5  # the weights, their gradient and its sum, two slots of the optimizer
_COPIES_OF_STATES = 8  # numbers kept of a gate at a step, for the way back

_BYTES = 4
_GATES = {"rnn": 1, "gru": 3, "lstm": 4}
_FILTERS, _PATCH, _DENSE = (32, 64), 25, 1024  # of cnn-relu
_EVALUATED = 512  # examples at once
_DEFAULT_EMBEDDING = 64


class Cost(NamedTuple):
    """What a run takes.

    Args:
        seconds: In a process with one thread.
        memory: Bytes beyond Keras and the data, as `Execution.max_memory` counts them.
    """

    seconds: float
    memory: int


class _Size(NamedTuple):
    """Of a model: its weights, the operations of an example's way forward, numbers kept of it."""

    weights: int
    operations: int
    states: int
    sequential_steps: int


def run_cost(model: ModelSpec, train: TrainSpec, shape: Shape) -> Cost:
    """Estimate what one run takes, measuring on the validation and test parts included.

    Seconds: those of the start; for each update three times the operations of the way forward,
    for the batch and some examples more, over a rate, the optimizer's reading and writing of all
    weights, and a fixed time for every time step; the operations of evaluation. With early
    stopping it is what the run may take.
    Bytes: those of the start, copies of the weights, and what is kept of a batch at all steps.

    Args:
        model: The architecture.
        train: The settings.
        shape: Of the data.

    Raises:
        ValueError: There is no estimate for such a cell.

    Example:
        >>> from rnnprobe.experiments._shapes import SHAPES
        >>> small, large = (
        ...     run_cost(ModelSpec("lstm", units), TrainSpec(), SHAPES["mnist"])
        ...     for units in (64, 128)
        ... )
        >>> small.seconds < large.seconds
        True
    """
    size = _size(model, shape)
    batch = min(train.batch_size, shape.num_train)
    updates = train.num_steps(shape.num_train)
    epochs = math.ceil(updates / math.ceil(shape.num_train / batch))
    evaluated = epochs * shape.num_validation + shape.num_test
    update = (
        3 * size.operations * (batch + _ROWS_OF_WEIGHTS) / _OPERATIONS_PER_SECOND
        + _COPIES_OF_WEIGHTS * _BYTES * size.weights / _BYTES_PER_SECOND
        + size.sequential_steps * _SECONDS_OF_STEP
    )
    evaluation = evaluated * size.operations / _OPERATIONS_PER_SECOND
    kept = max(batch * _COPIES_OF_STATES, min(_EVALUATED, evaluated)) * size.states
    memory = _BYTES_OF_START + _BYTES * (_COPIES_OF_WEIGHTS * size.weights + kept)
    return Cost(SECONDS_OF_START + updates * update + evaluation, memory)


def _size(model: ModelSpec, shape: Shape) -> _Size:
    if model.cell == "cnn-relu":
        return _size_of_cnn(shape)
    if model.cell not in _GATES:
        raise ValueError(f"There is no estimate of what the cell '{model.cell}' costs.")
    gates, directions = _GATES[model.cell], 1 + model.bidirectional
    features, weights, operations = shape.num_features, 0, 0
    if shape.num_tokens:
        features = model.embedding or min(_DEFAULT_EMBEDDING, shape.num_tokens)
        weights = features * shape.num_tokens
    for _ in range(model.layers):
        kernel = directions * gates * model.units * (features + model.units)
        weights += kernel
        operations += 2 * shape.num_steps * kernel
        features = directions * model.units
    output = features * shape.num_classes
    sequential = shape.num_steps * model.layers * directions
    states = sequential * gates * model.units
    return _Size(weights + output, operations + 2 * output, states, sequential)


def _size_of_cnn(shape: Shape) -> _Size:
    """Of the convolutions' outputs each is kept before and after ReLU and pooling."""
    first, second = _FILTERS
    pixels = shape.num_steps * shape.num_features
    dense, output = pixels // 16 * second * _DENSE, _DENSE * shape.num_classes
    convolutions = _PATCH * first * (pixels + pixels // 4 * second)
    weights = _PATCH * first * (1 + second) + dense + output
    states = pixels * first + pixels // 4 * second
    return _Size(weights, 2 * (convolutions + dense + output), states, 1)


class Forecast(NamedTuple):
    """What the runs of a reproduction take that are still to be made.

    Args:
        costs: Of each such run, with the label of its cell.
        num_there: How many runs the folder holds already.
        workers: How many run at once.
        runs: The same runs as `costs`: architecture and settings.
    """

    costs: tuple[tuple[str, Cost], ...]
    num_there: int
    workers: int
    runs: tuple[tuple[ModelSpec, TrainSpec], ...] = ()

    @property
    def work(self) -> float:
        """Seconds of all runs, one after the other."""
        return sum(cost.seconds for _, cost in self.costs)

    @property
    def seconds(self) -> float:
        """Seconds until all are done, on a core each for as many as run at once."""
        longest = max((cost.seconds for _, cost in self.costs), default=0.0)
        return max(self.work / self.workers, longest)

    @property
    def memory(self) -> int:
        """Bytes of the largest run; 0 where there are none."""
        return max((cost.memory for _, cost in self.costs), default=0)

    def larger_than(self, memory: int) -> dict[str, int]:
        """Return the cells with a run that needs more bytes, and how many, by label."""
        return {label: cost.memory for label, cost in self.costs if cost.memory > memory}


def forecast(
    plan: Plan,
    shapes: Sequence[Shape],
    *,
    workers: int = 2,
    folder: Path | None = None,
    retry_dnf: bool = False,
) -> Forecast:
    """Estimate what a reproduction takes.

    Args:
        plan: Which runs.
        shapes: Of the data, one a split of the experiment, in their order.
        workers: How many runs at once.
        folder: Its runs that are there need not be made.
        retry_dnf: Those that did not finish are made again.
    """
    costs, runs, num_there = [], [], 0
    for split, shape in zip(plan.experiment.splits, shapes, strict=True):
        done: set[str] = set()
        if folder is not None:
            entries, _ = read_results(part_folder(plan.experiment, folder, split))
            dead = {e["key"] for e in entries if retry_dnf and e["run"]["status"] != "ok"}
            done = {entry["key"] for entry in entries} - dead
        for cell in plan.cells:
            for task in plan.tasks_of(cell):
                if task.key in done:
                    num_there += 1
                else:
                    costs.append((cell.label(), run_cost(task.model, task.train, shape)))
                    runs.append((task.model, task.train))
    return Forecast(tuple(costs), num_there, workers, tuple(runs))
