"""Settings of a model and its training, and what came of a run: frozen records of plain values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rnnprobe.errors import DataError
from rnnprobe.records import SequenceDataset, require


@dataclass(frozen=True)
class ModelSpec:
    """One architecture, in plain values.

    Args:
        cell: A name of `rnnprobe.cells` or `rnnprobe.baselines`, or `package.module:function`.
        units: Units of each layer, at least 1.
        layers: Number of stacked layers, at least 1.
        bidirectional: Whether each layer reads the sequence in both directions.
        dropout: Share of a layer's inputs dropped in training, in [0, 1).
        recurrent_dropout: Share of the recurrent state dropped in training, in [0, 1).
        embedding: Size of the token embedding; None chooses min(64, number of tokens).
        initializers: Keras initializer configurations by the cell's argument name, for example
            `{"kernel_initializer": "he_normal"}`; `output_kernel_initializer` and
            `output_bias_initializer` are the last layer's, `joint_kernel_initializer` see `cells`.
        cell_options: More keyword arguments of the cell's layer.

    Example:
        >>> ModelSpec("gru", units=128, layers=2, dropout=0.2).bidirectional
        False
    """

    cell: str = "lstm"
    units: int = 64
    layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    embedding: int | None = None
    initializers: Mapping[str, Any] = field(default_factory=dict)
    cell_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(self.units >= 1, "units >= 1", units=self.units)
        require(self.layers >= 1, "layers >= 1", layers=self.layers)
        require(0 <= self.dropout < 1, "0 <= dropout < 1", dropout=self.dropout)
        require(
            0 <= self.recurrent_dropout < 1,
            "0 <= recurrent_dropout < 1",
            recurrent_dropout=self.recurrent_dropout,
        )
        if self.embedding is not None:
            require(self.embedding >= 1, "embedding >= 1", embedding=self.embedding)


@dataclass(frozen=True)
class TrainSpec:
    """How one model is trained, in plain values.

    Args:
        optimizer: A name of `rnnprobe.optimizers.OPTIMIZERS`.
        learning_rate: Above 0.
        batch_size: Examples per update, at least 1.
        epochs: Passes over the training part, at least 1; ignored where `steps` is given.
        steps: Number of updates in place of epochs; None trains by epochs.
        momentum: For the optimizer `momentum`, in [0, 1).
        weight_decay: Decoupled weight decay; None is the optimizer's own default (0.004 for
            adamw, none for the others).
        clip_norm: Largest norm of the gradient of all weights together; None does not clip.
        loss: `cross-entropy` or `mean-squared-error` (of probabilities against one-hot labels).
        early_stopping: Epochs without a better validation loss after which training stops and
            the best weights are restored; None never stops.
        class_weights: None, `balanced` (inverse class frequency), or one weight a class.
        seed: Seed of weights, order and dropout, in [0, 2**32 - 1]; 0 is one like any other.
        checkpoints: At how many even points of training its accuracy is noted, over the updates
            since the point before.

    Example:
        >>> TrainSpec(learning_rate=3e-3, batch_size=64, epochs=2).num_steps(num_examples=100)
        4
    """

    optimizer: str = "adam"
    learning_rate: float = 1e-3
    batch_size: int = 32
    epochs: int = 10
    steps: int | None = None
    momentum: float = 0.9
    weight_decay: float | None = None
    clip_norm: float | None = None
    loss: str = "cross-entropy"
    early_stopping: int | None = None
    class_weights: Literal["balanced"] | tuple[float, ...] | None = None
    seed: int = 0
    checkpoints: int = 0

    def __post_init__(self) -> None:
        rate = self.learning_rate
        require(rate > 0 and math.isfinite(rate), "learning_rate > 0", learning_rate=rate)
        require(self.batch_size >= 1, "batch_size >= 1", batch_size=self.batch_size)
        require(self.epochs >= 1, "epochs >= 1", epochs=self.epochs)
        require(0 <= self.momentum < 1, "0 <= momentum < 1", momentum=self.momentum)
        require(0 <= self.seed < 2**32, "0 <= seed < 2**32", seed=self.seed)
        require(self.checkpoints >= 0, "checkpoints >= 0", checkpoints=self.checkpoints)
        if self.steps is not None:
            require(self.steps >= 1, "steps >= 1", steps=self.steps)
        if self.weight_decay is not None:
            require(self.weight_decay >= 0, "weight_decay >= 0", weight_decay=self.weight_decay)
        if self.clip_norm is not None:
            require(self.clip_norm > 0, "clip_norm > 0", clip_norm=self.clip_norm)
        patience = self.early_stopping
        if patience is not None:
            require(patience >= 1, "early_stopping >= 1", early_stopping=patience)

    def num_steps(self, num_examples: int) -> int:
        """Return the number of updates on so many examples, where nothing ends the run before."""
        return self.steps or self.epochs * math.ceil(num_examples / self.batch_size)


@dataclass(frozen=True)
class Run:
    """One training run and what came of it; plain values, so that JSON holds it.

    Args:
        dataset_digest: `SequenceDataset.digest` of what it was trained on.
        model: The architecture.
        train: The training settings.
        status: `ok`, or `dnf` where it did not finish.
        history: One list per metric, one value per epoch: `loss`, `accuracy` (over the epoch,
            while training), `val_loss`, `val_accuracy`, `seconds`.
        metrics: What was measured of the model as it was left, by name: at `epoch`, the last one
            or with early stopping the best one; on the test part; `train_1` to `train_N`, the
            training accuracy up to each of N checkpoints, `minibatch_1` ... that of one minibatch.
        seconds: Wall time of training.
        peak_memory: Largest resident memory of the process so far, in MB, or in a search during
            the run; None where the system does not tell.
        parameters: Number of the model's parameters.
        versions: Package versions by name.
        message: Why it did not finish; empty where it did.

    Example:
        >>> import rnnprobe
        >>> run, model = rnnprobe.train(data)                                  # doctest: +SKIP
        >>> run.metrics["val_accuracy"], run.seconds                           # doctest: +SKIP
        >>> Run.from_dict(json.loads(json.dumps(run.to_dict()))) == run        # doctest: +SKIP
        True
    """

    dataset_digest: str
    model: ModelSpec
    train: TrainSpec
    status: Literal["ok", "dnf"]
    history: Mapping[str, list[float]]
    metrics: Mapping[str, float]
    seconds: float
    peak_memory: float | None
    parameters: int
    versions: Mapping[str, str]
    message: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the record as nested plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Run:
        """Return the record that `to_dict` gave, also after a way through JSON."""
        return cls(**{**values, **specs_from_dict(values)})


def specs_from_dict(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the records `model` and `train` of what `dataclasses.asdict` and JSON made of them."""
    train = dict(values["train"])
    if isinstance(train.get("class_weights"), list):
        train["class_weights"] = tuple(train["class_weights"])
    return {"model": ModelSpec(**values["model"]), "train": TrainSpec(**train)}


def check_trainable(dataset: SequenceDataset, train: TrainSpec, parts: Sequence[str]) -> None:
    """Refuse a data set without the parts that are needed, and too many checkpoints.

    Raises:
        DataError: A part has no examples, or there are fewer updates than checkpoints.
    """
    for part in parts:
        if len(dataset.splits[part]) == 0:
            raise DataError(f"'{dataset.name}' has no {part} part, which training needs.")
    num_steps = train.num_steps(len(dataset.train))
    if train.checkpoints > num_steps:
        raise DataError(
            f"There are {train.checkpoints} checkpoints, but only {num_steps} updates; give fewer "
            "checkpoints."
        )
