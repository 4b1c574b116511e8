"""Splits that are stratified by class and never tear equal inputs apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnprobe.records import Array


def split_indices(
    keys: Sequence[bytes], y: Array, shares: dict[str, float], seed: int
) -> dict[str, Array]:
    """Return the indices of each part, ascending.

    Equal inputs stay in one part, with the class of the first of them. Within a class the
    distinct inputs are shuffled and dealt to the parts until each has its share.

    Args:
        keys: One digest per example; equal inputs have equal ones.
        y: int (num_examples,), classes.
        shares: Share of each part but the first named, which takes the rest; the first has 0.
        seed: Seed of the shuffle.
    """
    groups: dict[bytes, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    by_class: dict[int, list[list[int]]] = {}
    for members in groups.values():
        by_class.setdefault(int(y[members[0]]), []).append(members)
    rng = np.random.default_rng(seed)
    rest, *cut = shares
    dealt: dict[str, list[int]] = {part: [] for part in shares}
    for label in sorted(by_class):
        members_of = [by_class[label][i] for i in rng.permutation(len(by_class[label]))]
        total = sum(len(members) for members in members_of)
        room = {part: round(total * shares[part]) for part in cut}
        for members in members_of:
            part = next((p for p in cut if len(members) <= room[p]), rest)
            dealt[part] += members
            if part != rest:
                room[part] -= len(members)
    return {part: np.array(sorted(indices), dtype=np.int64) for part, indices in dealt.items()}


def stratified_subset(y: Array, size: int, seed: int) -> Array:
    """Return `size` indices, ascending, with the classes in the proportions of `y`.

    Each example is ranked within its class in random order; those of the smallest relative rank
    are taken.

    Args:
        y: int (num_examples,), classes.
        size: How many, at most all are taken.
        seed: Seed of the random order.
    """
    rng = np.random.default_rng(seed)
    rank = np.empty(len(y))
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        rank[members] = (rng.permutation(len(members)) + 0.5) / len(members)
    return np.sort(np.argsort(rank, kind="stable")[:size])
