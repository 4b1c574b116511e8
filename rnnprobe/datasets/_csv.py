"""Reads CSV: a text column, numeric columns as one series a row, or long tables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rnnprobe.datasets._raw import RawData, RawSplit, pad, texts
from rnnprobe.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_MOST_COLUMNS = 6
_LABEL_COLUMNS = ("label", "target")


@dataclass(frozen=True)
class CsvColumns:
    """Which columns of a CSV file mean what.

    Args:
        label: The class; None takes a column called `label` or `target`.
        text: The text to classify; None takes the numeric columns.
        id: In long tables, what the rows of one example share.
        time: In long tables, what the rows of one example are ordered by.

    Raises:
        DataError: Columns that do not go together are named.

    Example:
        >>> CsvColumns(label="gesture", id="series", time="second").text is None
        True
    """

    label: str | None = None
    text: str | None = None
    id: str | None = None
    time: str | None = None

    def __post_init__(self) -> None:
        if (self.id is None) != (self.time is None):
            raise DataError("A long table needs both an id column and a time column.")
        if self.text is not None and self.id is not None:
            raise DataError("Give a text column, or an id and a time column, not both.")


def read_csv(path: Path, columns: CsvColumns, order: Collection[str] | None = None) -> RawData:
    """Read a CSV file.

    Args:
        path: The file.
        columns: Which columns mean what.
        order: Names of the columns of values, as they are to be read; None is as they stand.

    Raises:
        DataError: The file cannot be read, a column is missing, or a value is no number; or there
            are other columns than those of `order`.
    """
    frame = read_frame(path)
    label = _label_column(path, frame, columns)
    for column in (label, columns.text, columns.id, columns.time):
        if column is not None and column not in frame:
            raise DataError(f"'{path}' has no column '{column}'; it has {list(frame)}.")
    empty = np.flatnonzero((frame[label] == "").to_numpy())
    if len(empty):
        raise DataError(f"'{path}': row {empty[0] + 2} has no label in column '{label}'.")
    if columns.text is not None:
        lines = RawSplit(texts(list(frame[columns.text])), frame[label].to_numpy(dtype=str))
        return RawData(path.name, {"all": lines})
    frame = in_order(path, frame, [label, columns.id, columns.time], order)
    if columns.id is not None and columns.time is not None:
        x, y, mask = read_long(path, frame, label, columns.id, columns.time)
    else:
        values = to_numbers(path, frame.drop(columns=label))
        x, y, mask = values[:, :, np.newaxis], frame[label].to_numpy(dtype=str), None
    own = value_columns(frame, [label, columns.id, columns.time])
    notes = (column_note(own, long=columns.id is not None),)
    return RawData(path.name, {"all": RawSplit(x, y, mask)}, notes=notes, columns=own)


def value_columns(frame: pd.DataFrame, others: Collection[str | None]) -> tuple[str, ...]:
    """Return the names of all columns but some."""
    return tuple(str(column) for column in frame if column not in others)


def column_note(columns: Sequence[str], *, long: bool) -> str:
    """Return the sentence that says which columns are read as what, in which order."""
    listed = ", ".join(columns[:_MOST_COLUMNS]) + ", ..." * (len(columns) > _MOST_COLUMNS)
    if long:
        return f"each step is read as {len(columns)} values: {listed}"
    return f"each row is read as a series of {len(columns)} steps: {listed}"


def in_order(
    path: Path,
    frame: pd.DataFrame,
    others: Collection[str | None],
    order: Collection[str] | None,
) -> pd.DataFrame:
    """Return a frame with its columns of values in an order that is given.

    Args:
        path: The file, for messages.
        frame: What it holds.
        others: Columns that hold no values; they come first.
        order: Names of the columns of values; None leaves the frame as it is.

    Raises:
        DataError: There are other columns of values than these.
    """
    if order is None:
        return frame
    own = value_columns(frame, others)
    if set(own) != set(order):
        missing = [name for name in order if name not in own]
        stranger = [name for name in own if name not in order]
        said = f"has no column '{missing[0]}'" if missing else f"has a column '{stranger[0]}'"
        listed = ", ".join(map(repr, list(order)[:_MOST_COLUMNS]))
        more = ", ..." * (len(order) > _MOST_COLUMNS)
        raise DataError(
            f"'{path}' {said}, but the model was trained on the columns {listed}{more}; give "
            "these, in any order."
        )
    return frame[[*(name for name in frame if name in others), *order]]


def read_frame(path: Path) -> pd.DataFrame:
    """Return a CSV file as a frame of texts.

    Raises:
        DataError: The file cannot be read, is not UTF-8, or has no rows.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise DataError(f"'{path}' is not UTF-8 (byte {exc.start}); save it as UTF-8.") from exc
    except (OSError, ValueError) as exc:  # pandas' parser errors are ValueErrors
        reason = (str(exc).strip().splitlines() or [type(exc).__name__])[0]
        raise DataError(f"Cannot read '{path}' as CSV: {reason}.") from exc
    if frame.empty:
        raise DataError(f"'{path}' has no rows below its header.")
    # Else pandas takes the first column for names of the rows, and moves all others.
    if not isinstance(frame.index, pd.RangeIndex):
        raise DataError(f"'{path}': the rows have more fields than the header.")
    return frame


def find_label(frame: pd.DataFrame, columns: CsvColumns) -> str | None:
    """Return which column holds the class: the one named, else the first of the usual names."""
    if columns.label is not None:
        return columns.label
    return next((column for column in _LABEL_COLUMNS if column in frame), None)


def _label_column(path: Path, frame: pd.DataFrame, columns: CsvColumns) -> str:
    label = find_label(frame, columns)
    if label is None:
        raise DataError(
            f"'{path}' has the columns {list(frame)}; say by --label-column which holds the class."
        )
    return label


def to_numbers(path: Path, frame: pd.DataFrame) -> np.ndarray:
    """Return all columns as float64 (num_rows, num_columns); `nan` stays NaN.

    Raises:
        DataError: There is no column, or a value is no number.
    """
    import pandas as pd

    if frame.shape[1] == 0:
        raise DataError(f"'{path}' has no column beside the label.")
    for column in frame:
        numbers = pd.to_numeric(frame[column], errors="coerce")
        wrong = np.flatnonzero((numbers.isna() & (frame[column].str.lower() != "nan")).to_numpy())
        if len(wrong):
            value = frame[column].iloc[wrong[0]]
            mend = (
                "a column of texts is named by --text-column; several rows an example need "
                "--id-column and --time-column."
                if value.strip()
                else "fill in what is missing, or leave the row out."
            )
            raise DataError(
                f"'{path}': row {wrong[0] + 2}, column '{column}' holds {value!r}, expected a "
                f"number; {mend}"
            )
    return np.asarray(frame.astype(np.float64))


def read_long(
    path: Path, frame: pd.DataFrame, label: str, id_column: str, time_column: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return float32 (num_examples, num_steps, num_features), labels, and the mask or None.

    Raises:
        DataError: The rows of one id have several labels, or two of one time.
    """
    numbers = to_numbers(path, frame.drop(columns=[label, id_column]))
    time_index = list(frame.drop(columns=[label, id_column])).index(time_column)
    times, features = numbers[:, time_index], np.delete(numbers, time_index, axis=1)
    if features.shape[1] == 0:
        raise DataError(f"'{path}' has no column of values beside label, id and time.")
    sequences, labels = [], []
    ids, labels_of_rows = frame[id_column].to_numpy(dtype=str), frame[label].to_numpy(dtype=str)
    rows_of: dict[str, list[int]] = {}
    for row, example in enumerate(ids):
        rows_of.setdefault(example, []).append(row)
    for example, rows in rows_of.items():
        classes = sorted(set(labels_of_rows[rows]))
        if len(classes) > 1:
            told = " and ".join(f"'{one}'" for one in classes)
            raise DataError(f"'{path}': the rows of id '{example}' have the labels {told}.")
        if len(set(times[rows])) < len(rows):
            raise DataError(f"'{path}': id '{example}' has two rows of one time.")
        order = np.argsort(times[rows])
        sequences.append(features[np.asarray(rows)[order]])
        labels.append(classes[0])
    x, mask = pad(sequences)
    return x, np.array(labels), mask
