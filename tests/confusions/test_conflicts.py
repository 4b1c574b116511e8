from __future__ import annotations

import numpy as np
import pytest

from rnnprobe import SequenceDataset, load_dataset
from rnnprobe.confusions.conflicts import find_conflicts
from rnnprobe.datasets._conflicts import dataset_keys
from rnnprobe.records import Predictions


def contradictory(kind: str) -> SequenceDataset:
    """Return four inputs, 0 to 3; in the test part 0 has the labels 0, 0, 1, and 1 has 1."""
    shapes = {"train": [0, 2, 3, 3], "validation": [1, 2], "test": [0, 0, 0, 1, 2, 3]}
    labels = {"train": [0, 1, 0, 2], "validation": [2, 0], "test": [0, 0, 1, 1, 2, 1]}
    words = np.array([[1, 2, 3], [3, 2, 1], [2, 2, 0], [2, 0, 0]])
    inputs = words if kind == "tokens" else np.stack([words, words**2], axis=2).astype(float)
    return load_dataset(
        {part: (inputs[shapes[part]], np.array(labels[part])) for part in shapes},
    )


def said(dataset: SequenceDataset, classes: list[int]) -> Predictions:
    p = np.full((len(classes), 3), 0.1)
    p[np.arange(len(classes)), classes] = 0.8
    return Predictions(dataset.test.y, p, dataset.class_names)


@pytest.mark.parametrize("kind", ["tokens", "values"])
def test_mistakes_are_explained_by_the_same_input_with_that_label_in_any_part(kind: str) -> None:
    dataset = contradictory(kind)
    # Wrong: 2 (has 0 in test), 3 (has 2 in validation), 4 (has 1 in training), 5 (2 in training).
    found = find_conflicts(dataset, "test", said(dataset, [0, 0, 0, 2, 1, 2]))
    assert (found.ceiling, found.most_right, found.num_inputs) == (pytest.approx(5 / 6), 5, 1)
    assert found.explained == (2, 3, 4, 5)
    assert found.by_pair == {(1, 0): 1, (1, 2): 2, (2, 1): 1}
    assert found.num_distinct == 4
    assert found.distinct_by_pair == {(1, 0): 1, (1, 2): 2, (2, 1): 1}
    same = find_conflicts(dataset, "test", said(dataset, [1, 1, 1, 1, 2, 1]))
    assert same.distinct_by_pair == {(0, 1): 1}  # twice the same input


def test_a_mistake_no_other_label_explains_is_the_models_own() -> None:
    dataset = contradictory("values")
    found = find_conflicts(
        dataset, "test", said(dataset, [2, 2, 1, 0, 2, 1]), keys=dataset_keys(dataset)
    )
    assert found.explained == ()
    assert found.by_pair == {}
    right = find_conflicts(dataset, "test", said(dataset, dataset.test.y.tolist()))
    assert right.explained == ()


def test_explained_mistakes_equal_a_search_by_brute_force() -> None:
    rng = np.random.default_rng(0)
    parts = {
        part: (rng.integers(1, 3, (size, 4)), np.arange(size) % 3)
        for part, size in (("train", 20), ("validation", 10), ("test", 30))
    }
    dataset = load_dataset(parts)
    predictions = said(dataset, rng.integers(0, 3, 30).tolist())
    expected = tuple(
        index
        for index, (x, y, other) in enumerate(
            zip(dataset.test.x, predictions.y, predictions.predicted, strict=True)
        )
        if y != other
        and any(
            (row == x).all() and label == other
            for split in dataset.splits.values()
            for row, label in zip(split.x, split.y, strict=True)
        )
    )
    found = find_conflicts(dataset, "test", predictions)
    assert found.explained == expected
    assert sum(found.by_pair.values()) == len(expected) > 0


def test_predictions_of_another_part_are_refused() -> None:
    dataset = contradictory("values")
    with pytest.raises(ValueError, match="but got 6 and 2"):
        find_conflicts(dataset, "validation", said(dataset, [0] * 6))
