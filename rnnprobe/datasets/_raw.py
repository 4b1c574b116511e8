"""What a reader of data hands over, before it is checked, encoded, laid out and split."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnnprobe.errors import DataError
from rnnprobe.records import Array

PARTS = ("train", "validation", "test")
VALIDATION_HEAD = 5000  # as TensorFlow 1's MNIST loader split it, which the experiments used


@dataclass(frozen=True, eq=False)
class RawSplit:
    """Examples as they were read.

    Args:
        x: Any numeric array (num_examples, ...), or an object array of texts (num_examples,).
        y: Class indices, one-hot rows, or class names, (num_examples, ...).
        mask: bool (num_examples, num_steps) or None.
    """

    x: Array
    y: Array
    mask: Array | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def is_text(self) -> bool:
        """Whether the examples are texts."""
        return self.x.dtype == object

    def take(self, indices: Array | slice) -> RawSplit:
        """Return the examples at `indices`, in that order; of a slice nothing is copied."""
        mask = None if self.mask is None else self.mask[indices]
        return RawSplit(self.x[indices], self.y[indices], mask)

    def keys(self) -> list[bytes]:
        """Return a short digest per example; equal inputs have equal ones."""
        if self.is_text:
            return [text.encode() for text in self.x]
        return example_keys(self.x, self.mask)


@dataclass(frozen=True, eq=False)
class RawData:
    """All that a source holds.

    Args:
        name: What the data set is called.
        parts: `train`, `validation` and `test` as far as the source has them, or `all`.
        class_names: Names in the order of integer labels; None where the labels themselves tell.
        validation_head: How many first training examples are the validation part.
        notes: Sentences about what the reader chose.
        columns: Names of the columns that hold the values, in their order; empty where the
            source has none.
    """

    name: str
    parts: dict[str, RawSplit]
    class_names: tuple[str, ...] | None = None
    validation_head: int | None = None
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


def texts(lines: Sequence[str]) -> Array:
    """Return texts as an object array (num_texts,)."""
    array = np.empty(len(lines), dtype=object)
    array[:] = lines
    return array


def example_keys(x: Array, mask: Array | None = None) -> list[bytes]:
    """Return sixteen bytes per example that are equal where the counted steps are."""
    rows = np.ascontiguousarray(x)
    counted = rows if mask is None else [row[keep] for row, keep in zip(rows, mask, strict=True)]
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in counted]


def pad(sequences: Sequence[Array]) -> tuple[Array, Array | None]:
    """Return sequences (num_steps, num_features) as one array, and a mask where they differ."""
    widths = {sequence.shape[1:] for sequence in sequences}
    if len(widths) > 1:
        raise DataError(f"Every example must have the same features, but got shapes {widths}.")
    lengths = np.array([len(sequence) for sequence in sequences])
    if lengths.min() == 0:
        raise DataError(f"Example {int(lengths.argmin())} has no steps; expected at least one.")
    x = np.zeros((len(sequences), lengths.max(), *widths.pop()), dtype=np.float32)
    for row, sequence in zip(x, sequences, strict=True):
        row[: len(sequence)] = sequence
    if (lengths == lengths[0]).all():
        return x, None
    return x, lengths_to_mask(lengths, int(lengths.max()))


def lengths_to_mask(lengths: Array, num_steps: int) -> Array:
    """Return bool (num_examples, num_steps), True for the first `lengths` steps."""
    return np.asarray(np.arange(num_steps) < np.asarray(lengths)[:, None])
