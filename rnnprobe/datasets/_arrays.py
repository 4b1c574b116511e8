"""Reads `.npz` files, and in Python dicts of arrays and `tf.data.Dataset`s."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rnnprobe._text import is_utf8
from rnnprobe.datasets._raw import (
    PARTS,
    RawData,
    RawSplit,
    lengths_to_mask,
    pad,
    texts,
)
from rnnprobe.errors import DataError
from rnnprobe.records import Array

_SUFFIXES = {"all": "", "train": "_train", "validation": "_val", "test": "_test"}
_KEYS = [f"{stem}{suffix}" for suffix in _SUFFIXES.values() for stem in "xy"]
# What zipfile, zlib and NumPy raise for an archive whose bytes were changed: NotImplementedError
# for an unknown compression, RuntimeError for encryption, the last two for sizes beyond all.
_DAMAGED = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    MemoryError,
)


def read_npz_arrays(path: Path) -> dict[str, Array]:
    """Return all arrays of an npz file; pickled objects are never loaded.

    Raises:
        DataError: The file is no npz archive, is damaged, or holds pickled objects.
    """
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(
                    f"'{path}' holds a single array; expected an npz archive of {_KEYS}."
                )
            arrays = {name: archive[name] for name in archive.files}
    except _DAMAGED as exc:
        reason = str(exc) or type(exc).__name__
        raise DataError(f"Cannot read '{path}' as an npz archive: {reason}.") from exc
    except ValueError as exc:
        raise DataError(
            f"'{path}' holds pickled Python objects or is damaged. Pickles can run code and are "
            "not loaded; save plain arrays."
        ) from exc
    plain = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if plain:
        raise DataError(f"'{path}': the entry '{plain[0]}' is no array; expected .npy entries.")
    return arrays


def read_npz(path: Path) -> RawData:
    """Read an npz file with Keras's keys."""
    return from_arrays(path.name, read_npz_arrays(path))


def from_arrays(name: str, arrays: Mapping[str, Any]) -> RawData:
    """Return the data of a mapping with Keras's keys.

    Args:
        name: What the data set is called, also in errors.
        arrays: `x_train`, `y_train`, and as far as they exist `x_val`, `y_val`, `x_test`,
            `y_test`; or `x` and `y` alone, to be split. Beside each `x`, `mask` or `lengths` with
            the same ending; `class_names`.

    Raises:
        DataError: A key is missing or unknown.
    """
    known = {
        f"{stem}{suffix}" for suffix in _SUFFIXES.values() for stem in ("x", "y", "mask", "lengths")
    } | {"class_names"}
    unknown = sorted(set(arrays) - known)
    if unknown:
        raise DataError(f"'{name}' has unknown keys {unknown}; expected some of {sorted(known)}.")
    parts = {
        part: _raw_split(name, arrays, suffix)
        for part, suffix in _SUFFIXES.items()
        if f"x{suffix}" in arrays or f"y{suffix}" in arrays
    }
    if not parts or ("all" in parts and len(parts) > 1):
        raise DataError(
            f"'{name}' has the keys {sorted(arrays)}; expected x_train and y_train (x_val, y_val, "
            "x_test, y_test beside them), or x and y alone."
        )
    return RawData(name, parts, named_classes(name, arrays))


def named_classes(name: str, arrays: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return `class_names` out of a mapping of arrays, or None where it has none.

    Raises:
        DataError: They are not one text a class.
    """
    if "class_names" not in arrays:
        return None
    names = np.asarray(arrays["class_names"])
    if names.ndim != 1 or len(names) == 0 or names.dtype.kind not in "UOiu":
        raise DataError(
            f"'{name}': class_names are {names.dtype} {names.shape}, expected one text a class."
        )
    return tuple(map(str, names))


def _raw_split(name: str, arrays: Mapping[str, Any], suffix: str) -> RawSplit:
    for stem in ("x", "y"):
        if f"{stem}{suffix}" not in arrays:
            raise DataError(f"'{name}' has no key '{stem}{suffix}' beside its counterpart.")
    x, y = _examples(name, arrays[f"x{suffix}"]), np.asarray(arrays[f"y{suffix}"])
    for stem, array in (("x", x), ("y", y)):
        if array.ndim == 0:
            raise DataError(f"'{name}': {stem}{suffix} is a single value, expected one an example.")
    if len(x) != len(y):
        raise DataError(f"'{name}': x{suffix} has {len(x)} examples, but y{suffix} {len(y)}.")
    mask = _mask(name, arrays, suffix, x)
    if mask is not None and not mask.any(axis=1).all():
        empty = int((~mask.any(axis=1)).argmax())
        raise DataError(f"'{name}': example {empty} of x{suffix} has no step that counts.")
    if mask is not None and x.ndim == 2:  # tokens say by a 0 what does not count
        return RawSplit(np.where(mask, x, np.zeros_like(x)), y)
    return RawSplit(x, y, mask)


def _mask(name: str, arrays: Mapping[str, Any], suffix: str, x: Array) -> Array | None:
    """Return which steps count, by `mask` or `lengths`; None where neither is there."""
    mask_key, lengths_key = f"mask{suffix}", f"lengths{suffix}"
    if mask_key in arrays and lengths_key in arrays:
        raise DataError(f"'{name}' has both {mask_key} and {lengths_key}; expected one of them.")
    key = mask_key if mask_key in arrays else lengths_key
    if key not in arrays:
        return None
    if x.ndim < 2:
        raise DataError(f"'{name}': {key} is for steps, but x{suffix} has the shape {x.shape}.")
    given = np.asarray(arrays[key])
    if key == mask_key:
        if given.shape != x.shape[:2]:
            raise DataError(f"'{name}': {key} has shape {given.shape}, expected {x.shape[:2]}.")
        if given.dtype.kind not in "biuf" or not np.isin(given, (0, 1)).all():
            raise DataError(f"'{name}': {key} is {given.dtype}, expected True and False (1 and 0).")
        return given.astype(bool)
    whole = given.dtype.kind in "iu" or (
        given.dtype.kind == "f" and (given == np.floor(given)).all()
    )
    if given.shape != x.shape[:1] or not whole or (given > x.shape[1]).any():
        raise DataError(
            f"'{name}': {key} must be one whole number an example, at most {x.shape[1]}, the "
            f"number of steps; got {given.dtype} {given.shape}"
            + (f" up to {given.max(initial=0)}." if whole else ".")
        )
    return lengths_to_mask(given, x.shape[1])


def _examples(name: str, x: Any) -> Array:
    try:
        array = np.asarray(x)
    except ValueError as exc:
        raise DataError(
            f"'{name}': the examples differ in shape; pad them and give lengths."
        ) from exc
    if array.dtype.kind not in "USO":
        return array
    try:
        decoded = [text.decode() if isinstance(text, bytes) else text for text in array.tolist()]
    except ValueError as exc:  # bytes that are no UTF-8, or beyond the last character there is
        raise DataError(f"'{name}': a text of x is damaged or not UTF-8: {exc}.") from exc
    if array.ndim != 1 or not all(isinstance(text, str) for text in decoded):
        raise DataError(
            f"'{name}': x is {array.dtype} {array.shape}; expected numbers, or one text an example."
        )
    broken = [index for index, text in enumerate(decoded) if not is_utf8(text)]
    if broken:
        raise DataError(f"'{name}': text {broken[0]} of x holds what is no character (surrogate).")
    return texts([str(text) for text in decoded])


def from_parts(parts: Mapping[str, Any]) -> RawData:
    """Return the data of `train`, `validation` and `test` (or `all`) given in Python.

    Args:
        parts: Each value is `(x, y)`, `(x, y, mask)` or a `tf.data.Dataset` of `(x, y)`.

    Raises:
        DataError: A part is neither, or a `tf.data.Dataset` gives another order the second time.
    """
    unknown = sorted(set(parts) - {*PARTS, "all"})
    if unknown:
        raise DataError(
            f"Unknown parts {unknown}; expected 'train', 'validation', 'test' or 'all'."
        )
    return RawData("arrays", {part: _python_split(part, value) for part, value in parts.items()})


def _python_split(part: str, value: Any) -> RawSplit:
    if hasattr(value, "as_numpy_iterator"):
        return _collect(part, value)
    if not isinstance(value, tuple) or len(value) not in (2, 3):
        raise DataError(
            f"The part '{part}' is a {type(value).__name__}; expected (x, y), (x, y, mask) or a "
            "tf.data.Dataset."
        )
    arrays = dict(zip(("x", "y", "mask"), value, strict=False))
    return _raw_split(part, arrays, "")


def _collect(part: str, dataset: Any) -> RawSplit:
    """Read a `tf.data.Dataset` twice, since indices mean nothing where its order changes."""
    examples, first = _iterate(part, dataset)
    _, second = _iterate(part, dataset)
    if first != second:
        raise DataError(
            f"The tf.data.Dataset '{part}' gives another order the second time, so that the index "
            "of an example would mean nothing; pass it before .shuffle(), or with "
            "reshuffle_each_iteration=False."
        )
    if not examples:
        raise DataError(f"The tf.data.Dataset '{part}' is empty.")
    sequences, labels = zip(*examples, strict=True)
    mask = None
    if sequences[0].ndim == 2 and sequences[0].dtype.kind == "f":
        x, mask = pad(sequences)
    elif sequences[0].ndim == 1 and sequences[0].dtype.kind in "iu":
        x = np.zeros((len(sequences), max(map(len, sequences))), dtype=sequences[0].dtype)
        for row, tokens in zip(x, sequences, strict=True):
            row[: len(tokens)] = tokens
    else:
        x = _examples(part, list(sequences))
    return RawSplit(x, np.stack(labels), mask)


def _is_batched(part: str, dataset: Any) -> bool:
    """Tell batches from single examples by the declared shapes, never by the values."""
    specs = dataset.element_spec
    if not isinstance(specs, tuple) or len(specs) != 2:
        raise DataError(f"The tf.data.Dataset '{part}' must give (x, y).")
    x_shape, y_shape = (list(spec.shape) for spec in specs)
    if len(y_shape) != 1:
        return len(y_shape) == 2
    if x_shape and x_shape[0] is not None and x_shape[0] == y_shape[0]:
        raise DataError(
            f"The tf.data.Dataset '{part}' gives x {tuple(x_shape)} and y {tuple(y_shape)}: a "
            "batch, or one example with a one-hot label? Give it by .unbatch(), with class indices."
        )
    return y_shape[0] is None


def _iterate(part: str, dataset: Any) -> tuple[list[tuple[Array, Array]], bytes]:
    digest = hashlib.sha256()
    examples: list[tuple[Array, Array]] = []
    batched = _is_batched(part, dataset)
    for element in dataset.as_numpy_iterator():
        x, y = (np.asarray(value) for value in element)
        pairs = [(np.asarray(a), b) for a, b in zip(x, y, strict=True)] if batched else [(x, y)]
        for example, label in pairs:
            digest.update(np.ascontiguousarray(example).tobytes() + label.tobytes())
        examples += pairs
    return examples, digest.digest()
