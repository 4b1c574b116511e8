"""What flows between the parts of rnnprobe: frozen records of plain values and NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Kind = Literal["values", "tokens"]
Norm = Literal["linf", "l2", "edits"]
Placement = Literal["free", "contiguous", "prefix", "suffix"]


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def require(condition: bool, invariant: str, **received: object) -> None:
    """Raise a `ValueError` that states the invariant and what was received instead."""
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

    Example:
        >>> part = Split(np.zeros((2, 5, 3), np.float32), np.array([0, 1], np.int32))
        >>> len(part), part.lengths
        (2, array([5, 5]))
    """

    x: Array
    y: Array
    mask: Array | None = None

    def __post_init__(self) -> None:
        require(self.x.ndim in (2, 3), "x.ndim in (2, 3)", shape=self.x.shape)
        require(self.y.shape == self.x.shape[:1], "y.shape == x.shape[:1]", y=self.y.shape)
        object.__setattr__(self, "x", _read_only(self.x))
        object.__setattr__(self, "y", _read_only(self.y))
        if self.mask is not None:
            require(
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
    """The interval that values of an input lie in, ends included.

    Example:
        >>> Bounds(0, 1).upper
        1
    """

    lower: float
    upper: float

    def __post_init__(self) -> None:
        require(self.lower <= self.upper, "lower <= upper", lower=self.lower, upper=self.upper)


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

    Example:
        >>> Budget(0.03, "linf", Bounds(0, 1), num_steps_allowed=4, placement="prefix").epsilon
        0.03
    """

    epsilon: float
    norm: Norm
    bounds: Bounds
    num_steps_allowed: int | None = None
    placement: Placement = "free"

    def __post_init__(self) -> None:
        require(self.epsilon >= 0, "epsilon >= 0", epsilon=self.epsilon)
        for name, kind in (("norm", Norm), ("placement", Placement)):
            value, known = getattr(self, name), get_args(kind)
            require(value in known, f"{name} in {known}", **{name: value})
        allowed = self.num_steps_allowed
        if allowed is not None:
            require(allowed >= 1, "num_steps_allowed >= 1", num_steps_allowed=allowed)


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

    Example:
        >>> import rnnprobe
        >>> data = rnnprobe.load_dataset("mnist-5k")
        >>> data.num_classes, data.kind, data.train.x.shape
        (10, 'values', (4000, 28, 28))
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
        require(
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
