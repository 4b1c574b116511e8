"""The mistakes in a file: arrays with the examples themselves, or one line a mistake."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rnnprobe._archive import save_arrays
from rnnprobe._files import write_text
from rnnprobe.confusions.mistakes import UNKNOWN, Mistakes
from rnnprobe.records import SequenceDataset

HEAD = ("model", "part", "index", "true", "predicted", "probability", "margin", "fold", "seed")


def export_mistakes(
    path: Path,
    mistakes: Mapping[str, Mistakes],
    class_names: tuple[str, ...],
    part: str,
    dataset: SequenceDataset | None = None,
) -> None:
    """Write mistakes by model, the most confident first.

    A CSV has a line a mistake, classes by name; fold and seed are empty where there is none. An
    `.npz` holds the same columns as arrays, classes as numbers and -1 for no fold or seed, and
    `class_names`; with a data set also `x` (num_mistakes, ...), and `mask` where it has one.

    Args:
        path: Ends with `.npz` or `.csv`.
        mistakes: By the name of the model, of the same part.
        class_names: One name a class.
        part: The part of the data set.
        dataset: The data; None where predictions came from a file.

    Raises:
        OutputError: The file cannot be written.
    """
    if path.suffix == ".csv":
        write_text(path, _lines(mistakes, class_names, part))
        return
    columns = {
        name: np.concatenate([getattr(one, name) for one in mistakes.values()]) for name in HEAD[2:]
    }
    arrays: dict[str, Any] = {
        "model": np.repeat(list(mistakes), [len(one) for one in mistakes.values()]),
        "part": np.full(len(columns["index"]), part),
        **columns,
        "class_names": np.array(class_names),
    }
    metadata = {"schema": "rnnprobe.mistakes/1"}
    if dataset is not None:
        split = dataset.splits[part].take(columns["index"])
        arrays["x"] = split.x
        if split.mask is not None:
            arrays["mask"] = split.mask
        metadata["digest"] = dataset.digest
    save_arrays(path, arrays, metadata)


def _lines(mistakes: Mapping[str, Mistakes], names: tuple[str, ...], part: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for model, one in mistakes.items():
        columns = (getattr(one, name).tolist() for name in HEAD[2:])
        for index, true, predicted, probability, margin, fold, seed in zip(*columns, strict=True):
            known = ("" if number == UNKNOWN else number for number in (fold, seed))
            row = (index, names[true], names[predicted], probability, margin, *known)
            writer.writerow((model, part, *row))
    return text.getvalue()
