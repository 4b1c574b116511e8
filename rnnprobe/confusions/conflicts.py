"""Equal inputs: which mistakes are none of the classifier's, and which are the same again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rnnprobe.datasets._conflicts import dataset_keys, look_up_accuracy
from rnnprobe.records import Predictions, SequenceDataset


@dataclass(frozen=True)
class Conflicts:
    """What equal inputs, and their labels, mean for the mistakes on one part of a data set.

    Args:
        total: Examples of the part.
        ceiling: Largest accuracy on the part of anything that gives equal inputs equal answers,
            in (0, 1].
        num_inputs: Inputs of the part that stand in it with several labels.
        explained: Indices of the mistakes whose input stands somewhere in the data, in any part,
            with the predicted label; ascending.
        by_pair: How many these are by (true, predicted) class; pairs without one are left out.
        num_distinct: Distinct inputs of the part.
        distinct_by_pair: How many distinct inputs the mistakes of each pair are.
    """

    total: int
    ceiling: float
    num_inputs: int
    explained: tuple[int, ...]
    by_pair: Mapping[tuple[int, int], int]
    num_distinct: int
    distinct_by_pair: Mapping[tuple[int, int], int]

    @property
    def most_right(self) -> int:
        """How many examples of the part can be right at most."""
        return round(self.ceiling * self.total)


def find_conflicts(
    dataset: SequenceDataset,
    part: str,
    predictions: Predictions,
    *,
    keys: Mapping[str, Sequence[bytes]] | None = None,
) -> Conflicts:
    """Find the ceiling of accuracy on a part, and the mistakes that contradictory labels explain.

    Args:
        dataset: The data, all parts of which are searched.
        part: The part that was predicted.
        predictions: Of that part, at least one example.
        keys: `dataset_keys(dataset)` where it is known; hashing the data takes most of the time.

    Raises:
        ValueError: The predictions are not as many as the part's examples.

    Example:
        >>> from rnnprobe.datasets._load import load_dataset
        >>> x, y = np.ones((4, 2, 1)), np.array([0, 0, 0, 1])
        >>> dataset = load_dataset({part: (x, y) for part in ("train", "validation", "test")})
        >>> p = np.tile([0.9, 0.1], (4, 1))
        >>> found = find_conflicts(dataset, "test", Predictions(y, p, dataset.class_names))
        >>> found.ceiling, found.num_inputs, found.explained, dict(found.by_pair)
        (0.75, 1, (3,), {(1, 0): 1})
    """
    if len(predictions.y) != len(dataset.splits[part]):
        raise ValueError(
            f"`len(predictions.y) == len(dataset.splits[{part!r}])` must hold, but got "
            f"{len(predictions.y)} and {len(dataset.splits[part])}."
        )
    keys = dataset_keys(dataset) if keys is None else keys
    own = keys[part]
    ceiling, num_inputs = look_up_accuracy(zip(own, predictions.y.tolist(), strict=True))
    mistakes = np.flatnonzero(predictions.predicted != predictions.y).tolist()
    wanted = {own[index] for index in mistakes}
    known = {
        (key, label)
        for name, split in dataset.splits.items()
        for key, label in zip(keys[name], split.y.tolist(), strict=True)
        if key in wanted
    }
    y, predicted = predictions.y.tolist(), predictions.predicted.tolist()
    explained = tuple(index for index in mistakes if (own[index], predicted[index]) in known)
    different = {(own[index], y[index], predicted[index]) for index in mistakes}
    return Conflicts(
        total=len(y),
        ceiling=ceiling,
        num_inputs=num_inputs,
        explained=explained,
        by_pair=Counter((y[index], predicted[index]) for index in explained),
        num_distinct=len(set(own)),
        distinct_by_pair=Counter((true, taken_for) for _, true, taken_for in different),
    )
