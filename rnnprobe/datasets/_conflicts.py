"""Equal inputs, and what their labels leave to be learnt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rnnprobe.datasets._raw import example_keys
from rnnprobe.records import SequenceDataset, Split


def split_keys(split: Split) -> list[bytes]:
    """Return sixteen bytes per example, equal where the inputs are, also across parts."""
    if split.x.ndim == 2:  # padding may be longer in one part than in another
        return example_keys(split.x, split.x != 0)
    return example_keys(split.x, split.mask)


def dataset_keys(dataset: SequenceDataset) -> dict[str, list[bytes]]:
    """Return `split_keys` of each part, by its name."""
    return {part: split_keys(split) for part, split in dataset.splits.items()}


def look_up_accuracy(pairs: Iterable[tuple[bytes, int]]) -> tuple[float, int]:
    """Return the accuracy of a perfect look-up table, and how many inputs have several labels.

    Args:
        pairs: Key and label of each example, at least one.

    Example:
        >>> look_up_accuracy([(b"x", 0), (b"x", 0), (b"x", 1), (b"y", 1)])
        (0.75, 1)
    """
    labels_of: dict[bytes, Counter[int]] = {}
    for key, label in pairs:
        labels_of.setdefault(key, Counter())[label] += 1
    total = sum(counter.total() for counter in labels_of.values())
    best = sum(max(counter.values()) for counter in labels_of.values())
    return best / total, sum(len(counter) > 1 for counter in labels_of.values())
