"""Predictions from a file, for a model of any framework."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from rnnprobe.datasets._arrays import named_classes, read_npz_arrays
from rnnprobe.datasets._encode import encode_labels
from rnnprobe.datasets._raw import RawSplit
from rnnprobe.errors import DataError
from rnnprobe.records import Array, Predictions

_KEYS = {"y_true", "probabilities", "class_names"}
_TOLERANCE = 1e-3


def read_predictions(path: Path) -> Predictions:
    """Read `y_true` and probabilities from an `.npz` or `.csv` file.

    An npz file holds `y_true` (indices, one-hot rows or names), `probabilities` (num_examples,
    num_classes) and, where it likes, `class_names`. A CSV file has a column `y_true`, and one
    column of probabilities per class, headed by the class's name, in the order of the classes.

    Raises:
        DataError: The file is missing, unreadable, or its probabilities are none.
    """
    if not os.path.isfile(path):  # False for a name that is too long, where `is_file` raises
        raise DataError(f"There is no predictions file '{path}'.")
    if path.suffix == ".npz":
        y, probabilities, names = _from_npz(path)
    elif path.suffix == ".csv":
        y, probabilities, names = _from_csv(path)
    else:
        raise DataError(f"'{path}' ends with '{path.suffix}'; predictions are .npz or .csv.")
    fits = probabilities.ndim == 2 and y.shape[:1] == probabilities.shape[:1]
    if not fits or 0 in probabilities.shape:
        raise DataError(
            f"'{path}': probabilities have shape {probabilities.shape}, and y_true {y.shape}; "
            "expected (num_examples, num_classes), one row a label."
        )
    _check_probabilities(path, probabilities)
    names = names or tuple(str(label) for label in range(probabilities.shape[1]))
    if len(names) != probabilities.shape[1]:
        raise DataError(
            f"'{path}' has {len(names)} class names for {probabilities.shape[1]} columns."
        )
    if y.dtype.kind in "UO" and y.ndim == 1 and not set(y) <= set(names):
        y = _as_indices(path, y, names)
    encoded, _ = encode_labels({"test": RawSplit(y, y)}, names, names)
    return Predictions(encoded["test"].y, probabilities, names)


def _as_indices(path: Path, y: Array, names: tuple[str, ...]) -> Array:
    """Read labels that are not the names of the columns as their numbers."""
    if all(str(label).isdecimal() and int(label) < len(names) for label in y):
        return np.array([int(label) for label in y])
    stranger = next(str(label) for label in y if label not in names)
    raise DataError(
        f"'{path}' has the label {stranger!r}; expected a class, that is, the head of a column of "
        f"probabilities ({', '.join(names)}) or its number from 0."
    )


def _from_npz(path: Path) -> tuple[Array, Array, tuple[str, ...]]:
    arrays = read_npz_arrays(path)
    if not {"y_true", "probabilities"} <= set(arrays) <= _KEYS:
        raise DataError(
            f"'{path}' has the keys {sorted(arrays)}; expected y_true, probabilities and, where "
            "you like, class_names."
        )
    probabilities = arrays["probabilities"]
    if probabilities.dtype.kind not in "biuf":
        raise DataError(f"'{path}': probabilities are {probabilities.dtype}, expected numbers.")
    names = named_classes(path.name, arrays) or ()
    return arrays["y_true"], probabilities.astype(np.float64), names


def _from_csv(path: Path) -> tuple[Array, Array, tuple[str, ...]]:
    from rnnprobe.datasets._csv import read_frame, to_numbers

    frame = read_frame(path)
    if "y_true" not in frame:
        raise DataError(f"'{path}' has the columns {list(frame)}; expected y_true and the classes.")
    columns = frame.drop(columns="y_true")
    y = frame["y_true"].to_numpy(dtype=str)
    return y, to_numbers(path, columns), tuple(str(name) for name in columns)


def _check_probabilities(path: Path, probabilities: Array) -> None:
    inside = (probabilities >= 0) & (probabilities <= 1)  # NaN is not inside
    sums = np.abs(probabilities.sum(axis=1) - 1) <= _TOLERANCE
    wrong = np.flatnonzero(~(inside.all(axis=1) & sums))
    if len(wrong):
        raise DataError(
            f"'{path}': row {wrong[0]} of the probabilities is {probabilities[wrong[0]].tolist()}; "
            "expected numbers in [0, 1] that sum to 1 (logits must pass a softmax first)."
        )
