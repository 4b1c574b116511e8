from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rnnprobe.datasets._split import split_indices, stratified_subset

SHARES = {"test": 0.1, "validation": 0.1, "train": 0.8}
examples = st.lists(st.tuples(st.integers(0, 15), st.integers(0, 3)), max_size=80)


@given(examples, st.integers(0, 5))
def test_every_example_is_in_one_part_and_equal_inputs_together(
    drawn: list[tuple[int, int]], seed: int
) -> None:
    keys = [bytes([value]) for value, _ in drawn]
    y = np.array([label for _, label in drawn], dtype=np.int64)
    parts = split_indices(keys, y, SHARES, seed)
    everything = sorted(index for indices in parts.values() for index in indices)
    assert everything == list(range(len(drawn)))
    sides = {key: {part for part in parts if key in {keys[i] for i in parts[part]}} for key in keys}
    assert all(len(side) == 1 for side in sides.values())


def test_distinct_inputs_are_cut_exactly_and_stratified() -> None:
    y = np.repeat([0, 1, 2], [100, 50, 10])
    parts = split_indices([bytes([i]) for i in range(160)], y, SHARES, 0)
    for part, counts in {
        "train": [80, 40, 8],
        "validation": [10, 5, 1],
        "test": [10, 5, 1],
    }.items():
        assert np.bincount(y[parts[part]]).tolist() == counts


def test_repeated_inputs_are_as_likely_in_one_part_as_in_another() -> None:
    keys = [bytes([i // 4]) for i in range(200)] + [bytes([50 + i]) for i in range(200)]
    y = np.zeros(400, np.int64)
    shares = [(split_indices(keys, y, SHARES, seed)["test"] < 200).mean() for seed in range(200)]
    assert abs(np.mean(shares) - 0.5) < 0.03


def test_another_seed_gives_another_split() -> None:
    keys, y = [bytes([i]) for i in range(100)], np.zeros(100, np.int64)
    first, again, other = (split_indices(keys, y, SHARES, seed)["test"] for seed in (0, 0, 1))
    assert first.tolist() == again.tolist() != other.tolist()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 60))
def test_a_subset_has_its_size_and_the_classes_in_proportion(labels: list[int], size: int) -> None:
    y = np.array(labels)
    chosen = stratified_subset(y, size, 0)
    taken = min(size, len(y))
    assert len(set(chosen.tolist())) == len(chosen) == taken
    for label in np.unique(y):
        expected = (y == label).sum() * taken / len(y)
        assert abs((y[chosen] == label).sum() - expected) <= len(np.unique(y))
