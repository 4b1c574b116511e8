"""What a saved model says of new examples, with labels or without."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnnprobe._archive import read_metadata
from rnnprobe.classifier import KerasClassifier
from rnnprobe.datasets import DATASETS
from rnnprobe.datasets._csv import CsvColumns
from rnnprobe.datasets._encode import (
    encode_array,
    encode_labels,
    encode_texts,
    is_pictures,
)
from rnnprobe.datasets._load import Encoding, load_dataset, source_columns
from rnnprobe.datasets._new import NewData, read_lines, read_new, with_recalled
from rnnprobe.datasets._raw import RawSplit
from rnnprobe.errors import DataError
from rnnprobe.models import load_model
from rnnprobe.opening import known_encoding
from rnnprobe.records import Array, Predictions, Split

_PART = "given"  # what messages call the examples
_MOST_CHARACTERS = 10


@dataclass(frozen=True, eq=False)
class NewPredictions:
    """What a model says of new examples.

    Args:
        model: The file's name.
        data: What the examples are called.
        predictions: Their probabilities; `y` means nothing where `labelled` is False.
        labelled: Whether the data say the true classes.
        part: Which part of the data; empty where they are all that there are.
        names: What the data call each example; None where they have no names.
        notes: How the examples were read, one sentence each.
    """

    model: str
    data: str
    predictions: Predictions
    labelled: bool
    part: str = ""
    names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Examples:
    """Examples as the model takes them; labels as they were read, None where there are none."""

    name: str
    x: Array
    mask: Array | None
    labels: RawSplit | None
    part: str = ""
    own_names: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    image_shape: tuple[int, int, int] | None = None
    notes: tuple[str, ...] = ()


def predict_new(
    path: str | Path,
    data: str,
    *,
    lines: str | None = None,
    part: str | None = None,
    layout: str | None = None,
    columns: CsvColumns | None = None,
    imports: Sequence[str] = (),
) -> NewPredictions:
    """Return what a saved model says of new examples.

    They are encoded as the model's own were: by its vocabulary, layout, classes and columns; the
    columns of a CSV file are put in the model's order. Of a model that rnnprobe did not save,
    classes are numbered from 0.

    Args:
        path: A `.keras` file.
        data: What to judge: the path of an `.npz` with `x`, of a `.csv`, of a `.txt` with a text a
            line, or of a folder with an example a file; or a data set as for
            `rnnprobe.load_dataset`.
        lines: Texts, one a line, in place of `data`, which then names them alone.
        part: `train`, `validation` or `test` of data that have parts or are cut as those that the
            model was trained on; None: `test` where there are parts, else all examples.
        layout: As for `rnnprobe.load_dataset`; None is the model's.
        columns: As for `rnnprobe.load_dataset`; those that it does not name are the model's.
        imports: As for `rnnprobe.load_model`.

    Raises:
        DataError: The data cannot be read, or do not fit the model, or have other classes.
        ModelError: The model cannot be read, or returns what is no number.

    Example:
        >>> found = predict_new("model.keras", "new.csv")          # doctest: +SKIP
        >>> found.predictions.predicted[:3]                        # doctest: +SKIP
        array([7, 2, 1])
    """
    model = load_model(path, imports)
    known = read_metadata(Path(path)) or {}
    encoding = known_encoding(Path(path), known)
    source: Mapping[str, Any] = known.get("data", {})
    if lines is None and (_is_data_set(data) or part is not None):
        found = _part_of_data_set(data, part or "test", layout, columns, encoding, source)
    else:
        found = _new_examples(data, lines, layout, columns, encoding, source)
    names = encoding.class_names
    classifier = KerasClassifier(model, image_shape=found.image_shape)
    logits = classifier.logits(found.x, found.mask)
    y, names = _labels(found, names, logits.shape[1])
    predictions = classifier.as_predictions(logits, Split(found.x, y, found.mask), names)
    return NewPredictions(
        Path(path).name,
        found.name,
        predictions,
        found.labels is not None,
        found.part,
        found.names,
        (*found.notes, *_scale_notes(found.x, known)),
    )


def _is_data_set(data: str) -> bool:
    return data in DATASETS or (":" in data and not os.path.exists(data))


def _new_examples(
    data: str,
    lines: str | None,
    layout: str | None,
    columns: CsvColumns | None,
    encoding: Encoding,
    source: Mapping[str, Any],
) -> _Examples:
    """Return examples that are a data set only in part: without labels, or without parts."""
    if lines is not None:
        new = read_lines(data, lines)
    else:
        new = read_new(
            Path(data),
            columns,
            recalled=source_columns(source),
            values=encoding.values,
            class_names=encoding.class_names or (),
            takes_text=encoding.vocabulary is not None,
        )
    examples = _chosen(new)
    if layout is not None:
        _refuse_layout(*examples)
    return _encoded(examples, layout or source.get("layout"), encoding.vocabulary)


def _chosen(new: NewData) -> tuple[NewData, RawSplit]:
    """Return the examples that are asked for: all, or the test part."""
    parts = new.raw.parts
    for name in ("all", "test"):
        if name in parts:
            return new, parts[name]
    raise DataError(f"'{new.raw.name}' has the parts {sorted(parts)}; name one by --split.")


def _part_of_data_set(
    data: str,
    part: str,
    layout: str | None,
    columns: CsvColumns | None,
    encoding: Encoding,
    source: Mapping[str, Any],
) -> _Examples:
    if Path(data).suffix == ".csv":
        columns = with_recalled(columns, source_columns(source))
    dataset = load_dataset(
        data,
        layout=layout or source.get("layout"),
        columns=columns,
        encoding=encoding,
        split=source.get("split"),
    )
    chosen = dataset.splits[part]
    return _Examples(
        dataset.name,
        chosen.x,
        chosen.mask,
        RawSplit(chosen.x, chosen.y),
        part,
        dataset.class_names,
        image_shape=dataset.image_shape if dataset.layout == "rows" else None,
        notes=dataset.notes,
    )


def _refuse_layout(new: NewData, split: RawSplit) -> None:
    """Refuse a layout that was asked for and means nothing."""
    if split.is_text or split.x.ndim < 3:
        raise DataError(
            f"A layout is for pictures, but '{new.raw.name}' holds "
            f"{'texts' if split.is_text else f'x of the shape {split.x.shape}'}."
        )


def _encoded(
    chosen: tuple[NewData, RawSplit], layout: str | None, vocabulary: Sequence[str] | None
) -> _Examples:
    """Return examples as the model takes them.

    Raises:
        DataError: There are none, or they hold what is no number, or texts that it cannot read.
    """
    new, split = chosen
    name, notes = new.raw.name, list(new.raw.notes)
    if len(split) == 0:
        raise DataError(f"'{name}' has no examples.")
    image_shape = None
    if split.is_text:
        if vocabulary is None:
            raise DataError(f"'{name}' holds texts, but the model knows no characters.")
        encoded, said = _encode_lines(name, split, vocabulary)
        notes += said
    else:
        if is_pictures(split.x, layout):
            shape = split.x.shape[1:]
            pictures = (shape[0], shape[1], shape[2] if len(shape) == 3 else 1)
            image_shape = pictures if layout in (None, "rows") else None
            notes += ["pixels divided by 255"] if split.x.dtype == np.uint8 else []
        encoded = encode_array(_PART, split, layout)
        _check_finite(name, encoded.x)
    return _Examples(
        name,
        encoded.x,
        encoded.mask,
        split if new.labelled else None,
        "" if "all" in new.raw.parts else "test",
        new.raw.class_names,
        new.names,
        image_shape,
        tuple(notes),
    )


def _encode_lines(
    name: str, split: RawSplit, vocabulary: Sequence[str]
) -> tuple[RawSplit, list[str]]:
    """Return texts as tokens, and which characters the model does not know."""
    empty = [index for index, text in enumerate(split.x) if not text]
    if empty:
        raise DataError(f"'{name}': text {empty[0]} is empty.")
    strangers = sorted(set("".join(split.x)) - set(vocabulary))
    notes = []
    if strangers:
        number = sum(any(c in strangers for c in text) for text in split.x)
        listed = " ".join(map(repr, strangers[:_MOST_CHARACTERS]))
        more = " ..." if len(strangers) > _MOST_CHARACTERS else ""
        notes.append(
            f"characters that the model never saw are read as unknown: {listed}{more}, in {number} "
            f"of {len(split)} texts"
        )
    return encode_texts(split, vocabulary, max(map(len, split.x))), notes


def _check_finite(name: str, x: Array) -> None:
    if x.dtype.kind != "f":
        return
    wrong = ~np.isfinite(x).all(axis=(1, 2))
    if wrong.any():
        raise DataError(
            f"{int(wrong.sum())} examples of '{name}' hold NaN, infinite or too large values, the "
            f"first is example {int(wrong.argmax())}."
        )


def _labels(
    found: _Examples, names: tuple[str, ...] | None, num_classes: int
) -> tuple[Array, tuple[str, ...]]:
    """Return int32 (num_examples,) true classes, zeros where there are none, and the classes."""
    numbers = tuple(map(str, range(num_classes)))
    if found.labels is None:
        return np.zeros(len(found.x), np.int32), names or numbers
    own = found.own_names
    if names is None and found.labels.y.dtype.kind not in "UO" and own is None:
        own = numbers
    encoded, classes = encode_labels({_PART: found.labels}, own, names)
    return encoded[_PART].y, classes


def _scale_notes(x: Array, known: Mapping[str, Any]) -> list[str]:
    """Say where the values are not on the scale that the model was trained on."""
    if "pixels divided by 255" not in known.get("preprocessing", ()):
        return []
    low, high = float(x.min()), float(x.max())
    if low >= 0 and high <= 1:
        return []
    return [
        f"values go from {low:g} to {high:g}, but the model was trained on pixels divided by 255, "
        "from 0 to 1"
    ]
