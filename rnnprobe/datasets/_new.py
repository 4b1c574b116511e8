"""Reads examples that a model is to judge: as data sets are read, but they may have no labels."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rnnprobe.datasets._arrays import from_arrays, read_npz_arrays
from rnnprobe.datasets._csv import (
    CsvColumns,
    column_note,
    find_label,
    in_order,
    read_csv,
    read_frame,
    read_long,
    to_numbers,
    value_columns,
)
from rnnprobe.datasets._folder import decode_text, list_entries, read_example_files, read_folder
from rnnprobe.datasets._raw import RawData, RawSplit, texts
from rnnprobe.errors import DataError

_SUFFIXES = ("", "_train", "_val", "_test")
_FILLED = "\N{NO-BREAK SPACE}label"  # a column that no file has


@dataclass(frozen=True, eq=False)
class NewData:
    """Examples as they were read.

    Args:
        raw: All of them, the part `all`, or the parts that the source has; where `labelled` is
            False the labels mean nothing.
        labelled: Whether the source says the true classes.
        names: What the source calls each example of the part `all`; None where it has no names.
    """

    raw: RawData
    labelled: bool
    names: tuple[str, ...] | None = None


def read_new(
    path: Path,
    columns: CsvColumns | None = None,
    *,
    recalled: CsvColumns | None = None,
    values: Collection[str] | None = None,
    class_names: Collection[str] = (),
    takes_text: bool = False,
) -> NewData:
    """Read a file or folder of examples with or without labels.

    An `.npz` file holds `x` and, where it likes, `mask` or `lengths` and `y`; or parts as for
    `load_dataset`. A `.csv` file is read as by `load_dataset`, and may lack its label. A `.txt`
    file holds one text a line. A folder holds one example a file (`.npy`, `.txt` or pictures), or
    folders as for `load_dataset`; `.txt` files that are all called like classes hold one text a
    line of that class.

    Args:
        path: The file or folder.
        columns: Which columns of a CSV file mean what.
        recalled: Those of the model's own data, in the place of what `columns` do not name; its
            label may be missing.
        values: Names of the columns that hold values, in the model's order; None is theirs.
        class_names: Of the model.
        takes_text: Whether it reads text, so that the one column of a CSV file is one.

    Raises:
        DataError: It cannot be read, or is empty.
    """
    if not os.path.exists(path):
        raise DataError(
            f"There is no file or folder '{path}'; expected .npz, .csv, .txt, a folder, or a name "
            "of `rnnprobe data list`."
        )
    if columns is not None and path.suffix != ".csv":
        raise DataError(f"Columns are of a CSV file, but the data is '{path}'.")
    if path.is_dir():
        return _read_folder(path, class_names)
    if path.stat().st_size == 0:
        raise DataError(f"'{path}' is empty, or a pipe; give a file.")
    if path.suffix == ".npz":
        return _read_npz(path)
    if path.suffix == ".csv":
        known = with_recalled(columns, recalled)
        return _read_csv(path, known, columns or CsvColumns(), values, takes_text=takes_text)
    if path.suffix == ".txt":
        return read_lines(path.name, decode_text(path))
    raise DataError(
        f"Cannot tell what '{path}' is by its suffix '{path.suffix}'; expected .npz, .csv, .txt or "
        "a folder."
    )


def read_lines(name: str, content: str) -> NewData:
    """Return texts, one a line.

    Args:
        name: Where they are from, for messages.
        content: All lines.

    Raises:
        DataError: There are none, or a line is empty: leaving it out would number the rest anew.
    """
    lines = [line.strip() for line in content.rstrip().split("\n")]
    if lines == [""]:
        raise DataError(f"'{name}' has no text; expected one example a line.")
    if "" in lines:
        raise DataError(
            f"'{name}': line {lines.index('') + 1} is empty; expected one example a line."
        )
    return _unlabelled(name, RawSplit(texts(lines), np.zeros(len(lines), np.int32)), lines)


def _unlabelled(
    name: str,
    split: RawSplit,
    names: Collection[str] | None = None,
    notes: tuple[str, ...] = (),
) -> NewData:
    raw = RawData(name, {"all": split}, notes=notes)
    return NewData(raw, False, tuple(names) if names else None)


def _read_npz(path: Path) -> NewData:
    arrays = read_npz_arrays(path)
    bare = [ending for ending in _SUFFIXES if f"x{ending}" in arrays and f"y{ending}" not in arrays]
    labelled = not bare
    if bare and any(f"y{ending}" in arrays for ending in _SUFFIXES):
        raise DataError(f"'{path.name}' has no key 'y{bare[0]}', but labels of other parts.")
    for ending in bare:
        x = arrays[f"x{ending}"]
        if x.ndim == 0:
            raise DataError(f"'{path.name}': x{ending} is a single value, expected examples.")
        arrays[f"y{ending}"] = np.zeros(len(x), np.int32)
    return NewData(from_arrays(path.name, arrays), labelled)


def _read_folder(folder: Path, class_names: Collection[str]) -> NewData:
    folders, files = list_entries(folder)
    classes = bool(files) and all(
        file.suffix == ".txt" and file.stem in class_names for file in files
    )
    if folders or classes or not files:
        return NewData(read_folder(folder), labelled=True)
    split = read_example_files(folder, {folder.name: files})
    return _unlabelled(folder.name, split, [file.name for file in files])


def with_recalled(given: CsvColumns | None, recalled: CsvColumns | None) -> CsvColumns:
    """Return the columns that are given, and in the place of the others those of a model.

    Args:
        given: By the user.
        recalled: Of the model's own data.

    Example:
        >>> with_recalled(CsvColumns(label="kind"), CsvColumns(label="sort", text="line"))
        CsvColumns(label='kind', text='line', id=None, time=None)
    """
    given, recalled = given or CsvColumns(), recalled or CsvColumns()
    label = given.label or recalled.label
    kept = recalled if given.text is None and given.id is None else given
    return replace(kept, label=label)


def _read_csv(
    path: Path,
    columns: CsvColumns,
    given: CsvColumns,
    values: Collection[str] | None,
    *,
    takes_text: bool,
) -> NewData:
    frame = read_frame(path)
    if given.label is None and columns.label not in frame:
        columns = replace(columns, label=None)
    label = find_label(frame, columns)
    if takes_text and columns.text is None and columns.id is None:
        columns = replace(columns, text=_only_column(path, [str(c) for c in frame if c != label]))
    names = None
    if columns.text is not None and columns.text in frame:
        names = tuple(frame[columns.text])
    elif columns.id is not None and columns.id in frame:
        names = tuple(dict.fromkeys(frame[columns.id]))
    if label is not None:
        return NewData(read_csv(path, replace(columns, label=label), values), True, names)
    for column in (columns.text, columns.id, columns.time):
        if column is not None and column not in frame:
            raise DataError(f"'{path}' has no column '{column}'; it has {list(frame)}.")
    nothing = np.zeros(len(frame), np.int32)
    if columns.text is not None:
        return _unlabelled(path.name, RawSplit(texts(list(frame[columns.text])), nothing), names)
    frame = in_order(path, frame, [columns.id, columns.time], values)
    own = value_columns(frame, [columns.id, columns.time])
    note = column_note(own, long=columns.id is not None)
    if columns.id is not None and columns.time is not None:
        filled = frame.assign(**{_FILLED: ""})
        split = RawSplit(*read_long(path, filled, _FILLED, columns.id, columns.time))
    else:
        split = RawSplit(to_numbers(path, frame)[:, :, np.newaxis], nothing)
    return _unlabelled(path.name, split, names, (note,))


def _only_column(path: Path, columns: list[str]) -> str:
    if len(columns) != 1:
        raise DataError(
            f"The model reads texts, and '{path}' has the columns {columns}; say by --text-column "
            "which holds them."
        )
    return columns[0]
