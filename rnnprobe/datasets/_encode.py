"""From what was read to arrays a model takes: labels, texts, pictures, values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from rnnprobe._text import is_utf8
from rnnprobe.datasets._layout import lay_out
from rnnprobe.datasets._raw import RawSplit
from rnnprobe.errors import DataError
from rnnprobe.records import Array

_LARGEST_LABEL = np.iinfo(np.int32).max
PADDING, UNKNOWN = "", "\N{REPLACEMENT CHARACTER}"


def encode_labels(
    parts: Mapping[str, RawSplit],
    own_names: Sequence[str] | None,
    wanted_names: Sequence[str] | None,
) -> tuple[dict[str, RawSplit], tuple[str, ...]]:
    """Return the parts with int32 class indices, and the class names.

    Args:
        parts: Labels are integers, one-hot rows or names.
        own_names: The names that integer labels stand for, where the data says so.
        wanted_names: The classes of a model, whose order counts; None takes the data's own.

    Raises:
        DataError: Labels are out of range, unknown, not whole, or of fewer than two classes.
    """
    flat = {part: _flatten(part, split.y) for part, split in parts.items()}
    if any(y.dtype.kind in "UO" for y in flat.values()):
        names = sorted({str(label) for y in flat.values() for label in y})
        index = {name: i for i, name in enumerate(names)}
        flat = {p: np.array([index[str(label)] for label in y]) for p, y in flat.items()}
    else:
        names = list(own_names or wanted_names or _names_of_integers(flat))
        for part, y in flat.items():
            wrong = np.flatnonzero((y < 0) | (y >= len(names)))
            if len(wrong):
                raise DataError(
                    f"Label {y[wrong[0]]} of example {wrong[0]} in the {part} part is out of "
                    f"range; expected 0 to {len(names) - 1} ({len(names)} classes)."
                )
    for listed in (names, wanted_names or ()):
        odd = [name for name in listed if not is_utf8(name)]
        if odd:
            raise DataError(f"The class name {odd[0]!r} is not UTF-8; give it another.")
        if len(listed) != len(set(listed)):
            raise DataError(f"Class names must differ, but got {list(listed)}.")
    if wanted_names is not None and list(wanted_names) != names:
        flat = _reorder(flat, names, wanted_names)
        names = list(wanted_names)
    if len(names) < 2:
        raise DataError(f"A classifier needs two classes or more, but the data has only {names}.")
    encoded = {part: replace(split, y=flat[part].astype(np.int32)) for part, split in parts.items()}
    return encoded, tuple(names)


def _flatten(part: str, y: Array) -> Array:
    if y.dtype.kind == "S":
        y = _decoded(part, y)
    if y.dtype.kind not in "biufUO":
        raise DataError(
            f"Labels of the {part} part are {y.dtype}; expected class indices, one-hot rows or "
            "names."
        )
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2:
        one_hot = y.dtype.kind in "biuf" and y.shape[1] > 0 and np.isin(y, (0, 1)).all()
        if not one_hot or not (y.sum(axis=1) == 1).all():
            raise DataError(
                f"Labels of the {part} part have shape {y.shape} but are not one-hot; expected "
                "one 1 and zeros in each row, or class indices."
            )
        y = y.argmax(axis=1)
    if y.ndim != 1:
        raise DataError(
            f"Labels of the {part} part have shape {y.shape}, expected (num_examples,)."
        )
    if y.dtype.kind in "UO":
        return y
    if y.dtype.kind == "f" and not (y == np.round(y)).all():
        raise DataError(f"Labels of the {part} part are not whole numbers; expected class indices.")
    huge = np.abs(y.astype(np.float64)) > _LARGEST_LABEL
    if huge.any():
        raise DataError(
            f"Label {y[huge.argmax()]} of example {huge.argmax()} in the {part} part is no class "
            "index; number the classes from 0."
        )
    return y.astype(np.int64)


def _decoded(part: str, y: Array) -> Array:
    try:
        return np.char.decode(y, "utf-8")
    except UnicodeDecodeError as exc:
        raise DataError(f"Labels of the {part} part are bytes, but not UTF-8: {exc}.") from exc


def _names_of_integers(flat: Mapping[str, Array]) -> list[str]:
    found = {int(label) for y in flat.values() for label in np.unique(y)}
    if not found:
        raise DataError("The data has no examples.")
    if found != set(range(len(found))):
        listed = ", ".join(str(label) for label in sorted(found)[:12])
        raise DataError(
            f"Labels are {listed}, which is not 0 to {len(found) - 1} without gaps; number them "
            "so, or add class_names that say how many classes there are."
        )
    return [str(label) for label in range(len(found))]


def _reorder(
    flat: Mapping[str, Array], names: Sequence[str], wanted: Sequence[str]
) -> dict[str, Array]:
    strangers = [name for name in names if name not in wanted]
    if strangers:
        raise DataError(
            f"The data has the class {strangers[0]!r}, which the model does not know; its classes "
            f"are {list(wanted)}."
        )
    order = np.array([list(wanted).index(name) for name in names])
    return {part: order[y] for part, y in flat.items()}


def build_vocabulary(split: RawSplit) -> tuple[str, ...]:
    """Return the characters of the training texts, sorted, after padding and the unknown."""
    return (PADDING, UNKNOWN, *sorted({character for text in split.x for character in text}))


def encode_texts(split: RawSplit, vocabulary: Sequence[str], num_steps: int) -> RawSplit:
    """Return the texts as int32 (num_texts, num_steps) tokens, one a character, padded by 0."""
    index = {character: token for token, character in enumerate(vocabulary)}
    unknown = index.get(UNKNOWN, 1)
    x = np.zeros((len(split), num_steps), dtype=np.int32)
    for row, text in zip(x, split.x, strict=True):
        row[: len(text)] = [index.get(character, unknown) for character in text]
    return replace(split, x=x)


def check_texts(parts: Mapping[str, RawSplit]) -> None:
    """Refuse texts without a character."""
    for part, split in parts.items():
        empty = [i for i, text in enumerate(split.x) if not text]
        if empty:
            raise DataError(f"Text {empty[0]} of the {part} part is empty.")


def _to_float32(x: Array) -> Array:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, which is looked for
        return x.astype(np.float32)


def is_pictures(x: Array, layout: str | None) -> bool:
    """Whether an array holds pictures: bytes, four axes, or a layout that was asked for."""
    return x.ndim == 4 or (x.ndim == 3 and (x.dtype == np.uint8 or layout is not None))


def encode_array(part: str, split: RawSplit, layout: str | None) -> RawSplit:
    """Return an array as float32 (n, num_steps, num_features) or int32 (n, num_steps) tokens.

    Raises:
        DataError: The axes could mean several things, or tokens are negative.
    """
    x = split.x
    if 0 in x.shape[1:]:
        raise DataError(
            f"x of the {part} part has the shape {x.shape}; its examples hold nothing. Expected at "
            "least one step and one feature."
        )
    if is_pictures(x, layout) and x.dtype.kind in "fiub":
        pictures = x if x.ndim == 4 else x[..., np.newaxis]
        if split.mask is not None and layout not in (None, "rows"):
            raise DataError(
                f"The {part} part has a mask, which is of rows; --layout {layout} has other steps."
            )
        scaled = _to_float32(pictures)
        if x.dtype == np.uint8:
            scaled /= 255
        return replace(split, x=lay_out(scaled, layout or "rows"))
    if x.ndim == 3 and x.dtype.kind in "fiub":
        return replace(split, x=_to_float32(x))
    if x.ndim == 2 and x.dtype.kind in "iu" and x.dtype.itemsize > 1:
        if x.min(initial=0) < 0:
            raise DataError(f"x of the {part} part holds the token {x.min()}; expected 0 or more.")
        if x.max(initial=0) > np.iinfo(np.int32).max:
            raise DataError(
                f"x of the {part} part holds the token {x.max()}, beyond the largest int32; number "
                "the tokens from 1 (or save values as float)."
            )
        return replace(split, x=x.astype(np.int32))
    raise DataError(
        f"x of the {part} part is {x.dtype} {x.shape}; expected float (examples, steps, features), "
        "integer (examples, steps) tokens, or uint8 (examples, height, width[, channels]) pictures."
    )
