"""What flows between the parts of rnnprobe: frozen records of plain values and NumPy arrays."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from rnnprobe.errors import DataError

Array = npt.NDArray[Any]
Kind = Literal["values", "tokens"]
Norm = Literal["linf", "l2", "edits"]
Placement = Literal["free", "contiguous", "prefix", "suffix"]


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _require(condition: bool, invariant: str, **received: object) -> None:
    if not condition:
        got = ", ".join(f"{name}={value!r}" for name, value in received.items())
        raise ValueError(f"`{invariant}` must hold, but got {got}.")


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set.

    Args:
        x: float32 (num_examples, num_steps, num_features), or int32 (num_examples, num_steps)
            tokens, of which 0 is padding.
        y: int32 (num_examples,), class indices.
        mask: bool (num_examples, num_steps), True at the steps that count; None where all do.
    """

    x: Array
    y: Array
    mask: Array | None = None

    def __post_init__(self) -> None:
        _require(self.x.ndim in (2, 3), "x.ndim in (2, 3)", shape=self.x.shape)
        _require(self.y.shape == self.x.shape[:1], "y.shape == x.shape[:1]", y=self.y.shape)
        object.__setattr__(self, "x", _read_only(self.x))
        object.__setattr__(self, "y", _read_only(self.y))
        if self.mask is not None:
            _require(
                self.mask.shape == self.x.shape[:2],
                "mask.shape == x.shape[:2]",
                mask=self.mask.shape,
                x=self.x.shape,
            )
            object.__setattr__(self, "mask", _read_only(self.mask))

    def __len__(self) -> int:
        return len(self.y)

    @property
    def inputs(self) -> Array | dict[str, Array]:
        """What a model of `build_model` takes: the array, or a dict with its mask."""
        return self.x if self.mask is None else {"x": self.x, "mask": self.mask}

    @property
    def lengths(self) -> Array:
        """int64 (num_examples,): the number of steps that count."""
        if self.mask is not None:
            return np.asarray(self.mask.sum(axis=1))
        if self.x.ndim == 2:
            return np.asarray((self.x != 0).sum(axis=1))
        return np.full(len(self), self.x.shape[1])

    def take(self, indices: Array) -> Split:
        """Return the examples at `indices`, in that order."""
        mask = None if self.mask is None else self.mask[indices]
        return Split(self.x[indices], self.y[indices], mask)


@dataclass(frozen=True)
class Bounds:
    """The interval that values of an input lie in, ends included."""

    lower: float
    upper: float

    def __post_init__(self) -> None:
        _require(self.lower <= self.upper, "lower <= upper", lower=self.lower, upper=self.upper)


@dataclass(frozen=True)
class Budget:
    """How much an attack may change of one example.

    Args:
        epsilon: Largest distance from the given example, at least 0, in units of the data; for
            tokens how many may be replaced.
        norm: What measures the distance over all steps and features: `linf` the largest change,
            `l2` the root of the sum of squares; `edits` for tokens, how many differ.
        bounds: The interval of a changed value; for tokens of those that may be put in.
        num_steps_allowed: How many steps may change; None: all that count.
        placement: Which these may be: any (`free`), a `contiguous` run, the first (`prefix`) or
            the last (`suffix`).
    """

    epsilon: float
    norm: Norm
    bounds: Bounds
    num_steps_allowed: int | None = None
    placement: Placement = "free"

    def __post_init__(self) -> None:
        _require(self.epsilon >= 0, "epsilon >= 0", epsilon=self.epsilon)
        for name, kind in (("norm", Norm), ("placement", Placement)):
            value, known = getattr(self, name), get_args(kind)
            _require(value in known, f"{name} in {known}", **{name: value})
        allowed = self.num_steps_allowed
        if allowed is not None:
            _require(allowed >= 1, "num_steps_allowed >= 1", num_steps_allowed=allowed)


@dataclass(frozen=True, eq=False)
class SequenceDataset:
    """A classification data set of sequences, in three parts.

    Args:
        name: What it is called in tables.
        train: The part that is trained on.
        validation: The part that choices are made on.
        test: The part that is reported on, and never chosen on.
        class_names: One name a class; `y` indexes it.
        digest: Sixteen hexadecimal digits of the SHA-256 over all arrays and names.
        bounds: The interval of the values; None for tokens.
        vocabulary: The text of each token (0 is padding, 1 an unknown one); None for values and
            where the tokens' meaning is not known.
        image_shape: (height, width, channels) where each example is a picture.
        layout: How the pictures were laid out as sequences; None where they are none.
        source: How `load_dataset` makes it again; plain values.
        notes: What was done to the data on the way, one sentence each.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    digest: str
    bounds: Bounds | None = None
    vocabulary: tuple[str, ...] | None = None
    image_shape: tuple[int, int, int] | None = None
    layout: str | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def kind(self) -> Kind:
        """`tokens` for integer sequences, `values` for sequences of feature vectors."""
        return "tokens" if self.test.x.ndim == 2 else "values"

    @property
    def num_tokens(self) -> int:
        """How many tokens an embedding needs; 0 for values."""
        if self.vocabulary is not None:
            return len(self.vocabulary)
        if self.kind == "values":
            return 0
        return 1 + max(int(split.x.max(initial=0)) for split in self.splits.values())

    @property
    def variable_length(self) -> bool:
        """Whether examples may differ in length: tokens, or values with a mask."""
        return self.kind == "tokens" or self.test.mask is not None

    @property
    def splits(self) -> dict[str, Split]:
        """The three parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def text(self, x: Array) -> str:
        """Return the text of one example's tokens, int32 (num_steps,), without its padding."""
        if self.vocabulary is None:
            return " ".join(str(token) for token in x if token)
        return "".join(self.vocabulary[token] for token in x if token)


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
        _require(self.units >= 1, "units >= 1", units=self.units)
        _require(self.layers >= 1, "layers >= 1", layers=self.layers)
        _require(0 <= self.dropout < 1, "0 <= dropout < 1", dropout=self.dropout)
        _require(
            0 <= self.recurrent_dropout < 1,
            "0 <= recurrent_dropout < 1",
            recurrent_dropout=self.recurrent_dropout,
        )
        if self.embedding is not None:
            _require(self.embedding >= 1, "embedding >= 1", embedding=self.embedding)


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
        _require(rate > 0 and math.isfinite(rate), "learning_rate > 0", learning_rate=rate)
        _require(self.batch_size >= 1, "batch_size >= 1", batch_size=self.batch_size)
        _require(self.epochs >= 1, "epochs >= 1", epochs=self.epochs)
        _require(0 <= self.momentum < 1, "0 <= momentum < 1", momentum=self.momentum)
        _require(0 <= self.seed < 2**32, "0 <= seed < 2**32", seed=self.seed)
        _require(self.checkpoints >= 0, "checkpoints >= 0", checkpoints=self.checkpoints)
        if self.steps is not None:
            _require(self.steps >= 1, "steps >= 1", steps=self.steps)
        if self.weight_decay is not None:
            _require(self.weight_decay >= 0, "weight_decay >= 0", weight_decay=self.weight_decay)
        if self.clip_norm is not None:
            _require(self.clip_norm > 0, "clip_norm > 0", clip_norm=self.clip_norm)
        patience = self.early_stopping
        if patience is not None:
            _require(patience >= 1, "early_stopping >= 1", early_stopping=patience)

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


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a classifier says about a set of labelled examples.

    Args:
        y: int32 (num_examples,), true classes.
        probabilities: float64 (num_examples, num_classes), rows sum to 1.
        class_names: One name a class.
    """

    y: Array
    probabilities: Array
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        shape = (len(self.y), len(self.class_names))
        _require(
            self.probabilities.shape == shape,
            "probabilities.shape == (num_examples, num_classes)",
            probabilities=self.probabilities.shape,
            expected=shape,
        )
        object.__setattr__(self, "y", _read_only(self.y))
        object.__setattr__(self, "probabilities", _read_only(self.probabilities))

    @property
    def predicted(self) -> Array:
        """int64 (num_examples,): the most probable class, the first one at a tie."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def confidence(self) -> Array:
        """float64 (num_examples,): the probability of the predicted class, in [0, 1]."""
        return np.asarray(self.probabilities.max(axis=1))
