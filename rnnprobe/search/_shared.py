"""A data set in files that many processes map into memory, so that it is there once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rnnprobe.records import Array, SequenceDataset, Split

_NONE = np.arange(0)


@dataclass(frozen=True)
class SharedDataset:
    """A data set without its arrays, which lie in a folder; small to pickle.

    Args:
        empty: The data set with parts of no examples.
        folder: Holds `train-x.npy` and so on.
    """

    empty: SequenceDataset
    folder: Path

    @classmethod
    def write(cls, dataset: SequenceDataset, folder: Path) -> SharedDataset:
        """Write the arrays into an existing folder."""
        for part, split in dataset.splits.items():
            for name, array in _arrays(split).items():
                np.save(folder / f"{part}-{name}.npy", array)
        return cls(_with_parts(dataset, lambda part: dataset.splits[part].take(_NONE)), folder)

    def load(self) -> SequenceDataset:
        """Return the data set, its arrays mapped from the files."""
        return _with_parts(self.empty, self._mapped)

    def _mapped(self, part: str) -> Split:
        names = _arrays(self.empty.splits[part])
        files = {name: self.folder / f"{part}-{name}.npy" for name in names}
        return Split(**{name: np.load(file, mmap_mode="r") for name, file in files.items()})


def _with_parts(dataset: SequenceDataset, part: Callable[[str], Split]) -> SequenceDataset:
    return replace(dataset, train=part("train"), validation=part("validation"), test=part("test"))


def _arrays(split: Split) -> dict[str, Array]:
    arrays = {"x": split.x, "y": split.y, "mask": split.mask}
    return {name: array for name, array in arrays.items() if array is not None}
