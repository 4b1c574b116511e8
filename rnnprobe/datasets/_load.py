"""`load_dataset`: any source to a `SequenceDataset`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from rnnprobe._registry import call_users, resolve, unknown_name
from rnnprobe._text import is_utf8
from rnnprobe.datasets import DATASETS, LAYOUTS, SPLITS
from rnnprobe.datasets._arrays import from_arrays, from_parts, read_npz
from rnnprobe.datasets._csv import CsvColumns, read_csv
from rnnprobe.datasets._encode import (
    build_vocabulary,
    check_texts,
    encode_array,
    encode_labels,
    encode_texts,
    is_pictures,
)
from rnnprobe.datasets._folder import read_folder
from rnnprobe.datasets._parts import SPLIT_SEED, three_parts
from rnnprobe.datasets._raw import PARTS, RawData, RawSplit
from rnnprobe.datasets._split import stratified_subset
from rnnprobe.errors import DataError
from rnnprobe.records import Array, Bounds, SequenceDataset, Split


@dataclass(frozen=True)
class Encoding:
    """What a model already knows about its inputs, so that new data is read in the same way.

    Args:
        class_names: Its classes, in the order of its outputs.
        vocabulary: The text of its tokens.
        values: Names of the columns of a CSV file that hold its values, in their order; None of
            other data, and where its file does not say.
    """

    class_names: tuple[str, ...] | None = None
    vocabulary: tuple[str, ...] | None = None
    values: tuple[str, ...] | None = None


def load_dataset(
    data: Any = "mnist-5k",
    *,
    layout: str | None = None,
    limit_examples: int | None = None,
    columns: CsvColumns | None = None,
    encoding: Encoding | None = None,
    require_finite: bool = True,
    split: str | None = None,
) -> SequenceDataset:
    """Load a data set by name, by path, or from Python.

    Args:
        data: A name of `rnnprobe.datasets.DATASETS`; the path of an `.npz`, a `.csv` or a folder;
            `package.module:function` that returns one of the following; a dict with Keras's keys
            (`x_train`, ...); a dict of `train`, `validation`, `test` (or `all`), each `(x, y)`,
            `(x, y, mask)` or a `tf.data.Dataset`; `(x, y)` alone; a `SequenceDataset`.
        layout: How pictures become sequences, one of `rnnprobe.datasets.LAYOUTS`; None is `rows`.
        limit_examples: Keeps at most so many examples of each part, stratified.
        columns: Which columns of a CSV file mean what.
        encoding: Classes and vocabulary of a model that is to see the data.
        require_finite: Refuse NaN and infinite values.
        split: How parts are cut where the source does not have them, one of
            `rnnprobe.datasets.SPLITS`; parts that it has are kept. None cuts a source without
            parts, or with a training part alone, 80/10/10, stratified by class, equal inputs on
            one side, always alike; and from a training part beside a test part the validation
            part in the same way, a tenth (of `mnist`, `fashion-mnist` and `cifar10` the first
            5,000 examples). `first-5000`: a training part beside a test part gives its first
            5,000 examples, as TensorFlow 1's MNIST loader did; a source with all three parts,
            without parts, or with one part alone is read as by None. `lines`: a source without
            parts, or with a training part alone, is shuffled and cut 80/10/10 without regard to
            classes, and equal inputs may stand in two parts; any other is read as by None. A note
            says what was done.

    Returns:
        The data in three parts.

    Raises:
        DataError: The data cannot be read or is inconsistent, or there are too few examples for
            the split; the message says where.
        UnknownNameError: `data` is neither a known name nor an existing path, or there is no such
            layout or split.

    Example:
        >>> dataset = load_dataset("mnist-5k", limit_examples=100)
        >>> dataset.train.x.shape, dataset.class_names[:3]
        ((100, 28, 28), ('0', '1', '2'))
    """
    if layout is not None and layout not in LAYOUTS:
        raise unknown_name("layout", layout, list(LAYOUTS))
    if split is not None and split not in SPLITS:
        raise unknown_name("split", split, list(SPLITS))
    raw = _read(data, columns, encoding.values if encoding else None)
    if isinstance(raw, SequenceDataset):
        if layout is not None or encoding is not None or split is not None:
            raise DataError(
                f"'{raw.name}' is encoded already; a layout, encoding or split comes too late."
            )
        return raw if limit_examples is None else limited(raw, limit_examples)
    dataset = _assemble(raw, layout, encoding or Encoding(), require_finite, split)
    if limit_examples is not None:
        dataset = limited(dataset, limit_examples)
    is_path = isinstance(data, str | Path) and str(data) not in DATASETS and os.path.exists(data)
    source = {
        "data": str(Path(data).resolve()) if is_path else data if isinstance(data, str) else None,
        "layout": layout,
        "limit_examples": limit_examples,
        "columns": asdict(columns) if columns else None,
        "split": split,
        "split_seed": SPLIT_SEED,
        **({"values": list(raw.columns)} if raw.columns else {}),
    }
    return replace(dataset, source=source)


def limited(dataset: SequenceDataset, size: int) -> SequenceDataset:
    """Return the data set with at most `size` examples a part, stratified by class."""
    splits = {
        part: split.take(stratified_subset(split.y, size, SPLIT_SEED))
        for part, split in dataset.splits.items()
    }
    return replace(
        dataset,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        digest=_digest(splits, dataset.class_names),
        notes=(*dataset.notes, f"limited to {size} examples a part"),
    )


def _read(
    data: Any, columns: CsvColumns | None, values: Collection[str] | None = None
) -> RawData | SequenceDataset:
    if columns is not None and Path(str(data)).suffix != ".csv":
        raise DataError(f"Columns are of a CSV file, but the data is '{data}'.")
    if isinstance(data, SequenceDataset):
        return data
    if isinstance(data, tuple) or hasattr(data, "as_numpy_iterator"):
        return from_parts({"all": data})
    if isinstance(data, Mapping):
        return from_parts(data) if set(data) & {*PARTS, "all"} else from_arrays("arrays", data)
    if not isinstance(data, str | Path):
        raise DataError(
            f"The data is a {type(data).__name__}; expected a name, a path, a dict of arrays or "
            "parts, (x, y), a tf.data.Dataset or a SequenceDataset."
        )
    if not is_utf8(str(data)):
        raise DataError(f"The name {str(data)!r} is not UTF-8; rename the data.")
    # `os.path.exists` is False where `Path.exists` raises: for a name that is too long, or a loop.
    if isinstance(data, Path) or (
        data not in DATASETS and (":" not in data or os.path.exists(data))
    ):
        if str(data) in ("", "."):
            raise DataError("The data has an empty name; expected a name or a path.")
        return _read_path(Path(data), columns or CsvColumns(), values)
    load = resolve("dataset", data, DATASETS)
    loaded = _load_known(data, load) if data in DATASETS else call_users("data set", data, load)
    if isinstance(loaded, RawData | SequenceDataset):
        return loaded
    raw = _read(loaded, columns)
    return replace(raw, name=data)


def _load_known(name: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except DataError as exc:
        if not os.path.exists(name):
            raise
        raise DataError(f"{exc} What lies here under that name is './{name}'.") from exc


def _read_path(path: Path, columns: CsvColumns, values: Collection[str] | None) -> RawData:
    if not os.path.exists(path):
        hint = " There is no such file." if path.suffix or len(path.parts) > 1 else ""
        raise unknown_name("data set", str(path), list(DATASETS), hint)
    if path.is_dir():
        return read_folder(path)
    if path.stat().st_size == 0:
        raise DataError(f"'{path}' is empty, or a pipe; give a file.")
    if path.suffix == ".npz":
        return read_npz(path)
    if path.suffix == ".csv":
        return read_csv(path, columns, values)
    raise DataError(
        f"Cannot tell what '{path}' is by its suffix '{path.suffix}'; expected .npz, .csv or a "
        "folder."
    )


def _assemble(
    raw: RawData,
    layout: str | None,
    encoding: Encoding,
    require_finite: bool,
    split: str | None,
) -> SequenceDataset:
    parts, class_names = encode_labels(raw.parts, raw.class_names, encoding.class_names)
    parts, said = three_parts(raw, parts, len(class_names), split)
    notes = [*raw.notes, *said]
    vocabulary = encoding.vocabulary
    image_shape = None
    example = parts["test"]
    _check_alike(parts)
    if example.is_text:
        parts, vocabulary = _encode_texts(parts, vocabulary)
    else:
        if is_pictures(example.x, layout):
            shape = example.x.shape[1:]
            image_shape = (shape[0], shape[1], shape[2] if len(shape) == 3 else 1)
        elif layout is not None:
            raise DataError(f"A layout is for pictures, but x has the shape {example.x.shape}.")
        if example.x.dtype == np.uint8 and image_shape:
            notes.append("pixels divided by 255")
        parts = {part: encode_array(part, read, layout) for part, read in parts.items()}
    if require_finite:
        _check_finite(parts)
    any_mask = any(read.mask is not None for read in parts.values())
    splits = {part: _split(read, any_mask) for part, read in parts.items()}
    _check_shapes(splits)
    return SequenceDataset(
        name=raw.name,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        class_names=class_names,
        digest=_digest(splits, class_names),
        bounds=_bounds(splits, image_shape is not None and example.x.dtype == np.uint8),
        vocabulary=vocabulary,
        image_shape=image_shape,
        layout=(layout or "rows") if image_shape else None,
        notes=tuple(notes),
    )


def _encode_texts(
    parts: dict[str, RawSplit], vocabulary: Sequence[str] | None
) -> tuple[dict[str, RawSplit], tuple[str, ...]]:
    check_texts(parts)
    characters = tuple(vocabulary) if vocabulary else build_vocabulary(parts["train"])
    num_steps = max(len(text) for split in parts.values() for text in split.x)
    encoded = {part: encode_texts(split, characters, num_steps) for part, split in parts.items()}
    return encoded, characters


def _check_alike(parts: Mapping[str, RawSplit]) -> None:
    """Refuse parts that would be encoded in different ways."""
    kinds = {
        part: f"{'text' if split.is_text else split.x.dtype} of {split.x.ndim} axes"
        for part, split in parts.items()
        if len(split)
    }
    if len(set(kinds.values())) > 1:
        raise DataError(f"The parts must be of one type and number of axes, but got {kinds}.")


def _check_finite(parts: Mapping[str, RawSplit]) -> None:
    for part, split in parts.items():
        if split.x.dtype.kind != "f":
            continue
        wrong = ~np.isfinite(split.x).all(axis=(1, 2))
        if wrong.any():
            raise DataError(
                f"{int(wrong.sum())} examples of the {part} part hold NaN, infinite or too large "
                f"values, the first is example {int(wrong.argmax())}; `rnnprobe data check` counts "
                "them."
            )


def _split(split: RawSplit, masked: bool) -> Split:
    """Return a part with a mask where any part has one: of all steps, where it has none itself."""
    mask = split.mask
    if masked and mask is None:
        mask = np.ones(split.x.shape[:2], dtype=bool)
    return Split(split.x, split.y, mask)


def _check_shapes(splits: Mapping[str, Split]) -> None:
    features = {part: s.x.shape[2:] for part, s in splits.items() if len(s)}
    steps = {part: s.x.shape[1:2] for part, s in splits.items() if len(s)}
    may_differ = splits["test"].x.ndim == 2 or splits["test"].mask is not None
    if len(set(features.values())) > 1 or (len(set(steps.values())) > 1 and not may_differ):
        shapes = {part: s.x.shape for part, s in splits.items()}
        raise DataError(f"The parts must have examples of one shape, but got {shapes}.")


def _bounds(splits: Mapping[str, Split], unit: bool) -> Bounds | None:
    part = splits["train"] if len(splits["train"]) else splits["test"]
    if part.x.dtype.kind != "f":
        return None
    if unit:
        return Bounds(0.0, 1.0)
    values: Array = part.x if part.mask is None else part.x[part.mask]
    finite = values[np.isfinite(values)]
    return Bounds(float(finite.min()), float(finite.max())) if finite.size else None


def _digest(splits: Mapping[str, Split], class_names: tuple[str, ...]) -> str:
    digest = hashlib.sha256("\0".join(class_names).encode())
    for split in splits.values():
        for array in (split.x, split.y, split.mask):
            if array is not None:
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def load_again(source: Mapping[str, Any], data: str | None = None) -> SequenceDataset:
    """Load what `SequenceDataset.source` tells of, or the same from elsewhere.

    Args:
        source: Of the data set as it was first loaded; what it lacks is as by default.
        data: A name or path in the place of the one it was loaded from.

    Raises:
        DataError: As for `load_dataset`, or the source was damaged.
    """
    limit = source.get("limit_examples")
    if limit is not None and limit < 1:
        raise _meaningless(f"limit_examples={limit}")
    return load_dataset(
        data or source["data"],
        layout=source.get("layout"),
        limit_examples=limit,
        columns=source_columns(source),
        split=source.get("split"),  # models saved by earlier versions do not have it
    )


def source_columns(source: Mapping[str, Any]) -> CsvColumns | None:
    """Return which columns of a CSV file meant what, None where none were named.

    Args:
        source: As for `load_again`.

    Raises:
        DataError: The source was damaged.
    """
    columns = source.get("columns") or {}
    strangers = sorted(set(columns) - {field.name for field in fields(CsvColumns)})
    if strangers:
        raise _meaningless(f"the column '{strangers[0]}'")
    return CsvColumns(**columns) if columns else None


def _meaningless(what: str) -> DataError:
    return DataError(f"The file says {what} of its data, which means nothing; it was damaged.")
