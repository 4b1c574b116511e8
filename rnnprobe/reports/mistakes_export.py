"""The mistakes in a file: arrays with the examples themselves, or one line a mistake."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnprobe._archive import save_arrays
from rnnprobe._files import write_text
from rnnprobe.confusions.mistakes import UNKNOWN, Mistakes
from rnnprobe.records import Array, SequenceDataset

HEAD = ("model", "part", "index", "true", "predicted", "probability", "margin", "fold", "seed")


class Section(NamedTuple):
    """The mistakes of one model on one part of a data set."""

    model: str
    part: str
    mistakes: Mistakes


def export_mistakes(
    path: Path,
    sections: Sequence[Section],
    class_names: tuple[str, ...],
    dataset: SequenceDataset | None = None,
) -> None:
    """Write mistakes, those of each section the most confident first.

    A CSV has a line a mistake, classes by name; fold and seed are empty where there is none. An
    `.npz` holds the same columns as arrays, classes as numbers and -1 for no fold or seed, and
    `class_names`; with a data set also `x` (num_mistakes, ...), padded with zeros where parts have
    different numbers of steps, and `mask` where it has one.

    Args:
        path: Ends with `.npz` or `.csv`.
        sections: At least one.
        class_names: One name a class.
        dataset: The data; None where predictions came from a file.

    Raises:
        OutputError: The file cannot be written.
    """
    if path.suffix == ".csv":
        write_text(path, _lines(sections, class_names))
        return
    sizes = [len(one.mistakes) for one in sections]
    arrays: dict[str, Any] = {
        "model": np.repeat([one.model for one in sections], sizes),
        "part": np.repeat([one.part for one in sections], sizes),
        "class_names": np.array(class_names),
    }
    for name in HEAD[2:]:
        arrays[name] = np.concatenate([getattr(one.mistakes, name) for one in sections])
    metadata = {}
    if dataset is not None:
        arrays |= _examples(dataset, sections)
        metadata["digest"] = dataset.digest
    save_arrays(path, arrays, "rnnprobe.mistakes/1", metadata)


def _examples(dataset: SequenceDataset, sections: Sequence[Section]) -> dict[str, Array]:
    taken = [dataset.splits[one.part].take(one.mistakes.index) for one in sections]
    num_steps = max(split.x.shape[1] for split in taken)
    found = {"x": np.concatenate([_padded(split.x, num_steps) for split in taken])}
    masks = [split.mask for split in taken if split.mask is not None]
    if masks:
        found["mask"] = np.concatenate([_padded(mask, num_steps) for mask in masks])
    return found


def _padded(array: Array, num_steps: int) -> Array:
    more = [(0, 0)] * array.ndim
    more[1] = (0, num_steps - array.shape[1])
    return np.pad(array, more)


def _lines(sections: Sequence[Section], names: tuple[str, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for model, part, mistakes in sections:
        columns = (getattr(mistakes, name).tolist() for name in HEAD[2:])
        for index, true, predicted, probability, margin, fold, seed in zip(*columns, strict=True):
            known = ("" if number == UNKNOWN else number for number in (fold, seed))
            row = (index, names[true], names[predicted], probability, margin, *known)
            writer.writerow((model, part, *row))
    return text.getvalue()
