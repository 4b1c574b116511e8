"""Splits: stratified by class with equal inputs together, or of the examples as they come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnprobe.records import Array


def split_indices(
    keys: Sequence[bytes], y: Array, shares: dict[str, float], seed: int
) -> dict[str, Array]:
    """Return the indices of each part, ascending.

    Equal inputs stay in one part, with the class of the first of them. Within a class the
    distinct inputs are shuffled and laid end to end; each goes to the part in whose share its
    middle falls, so that often repeated inputs are as likely in one part as in another.

    Args:
        keys: One digest per example; equal inputs have equal ones.
        y: int (num_examples,), classes.
        shares: Share of each part, in [0, 1]; they sum to 1.
        seed: Seed of the shuffle.
    """
    groups: dict[bytes, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    by_class: dict[int, list[list[int]]] = {}
    for members in groups.values():
        by_class.setdefault(int(y[members[0]]), []).append(members)
    rng = np.random.default_rng(seed)
    bounds = np.cumsum(list(shares.values()))[:-1]
    dealt: dict[str, list[int]] = {part: [] for part in shares}
    for label in sorted(by_class):
        shuffled = [by_class[label][i] for i in rng.permutation(len(by_class[label]))]
        sizes = np.array([len(members) for members in shuffled])
        middles = (np.cumsum(sizes) - sizes / 2) / sizes.sum()
        for members, part in zip(shuffled, np.searchsorted(bounds, middles), strict=True):
            dealt[list(shares)[part]] += members
    return {part: np.array(sorted(indices), dtype=np.int64) for part, indices in dealt.items()}


def random_indices(num_examples: int, shares: dict[str, float], seed: int) -> dict[str, Array]:
    """Return the indices of each part, ascending; neither classes nor equal inputs count.

    The examples are shuffled and laid end to end; each goes to the part in whose share its middle
    falls.

    Args:
        num_examples: How many there are.
        shares: Share of each part, in [0, 1]; they sum to 1.
        seed: Seed of the shuffle.
    """
    order = np.random.default_rng(seed).permutation(num_examples)
    bounds = np.cumsum(list(shares.values()))[:-1]
    number = np.searchsorted(bounds, (np.arange(num_examples) + 0.5) / num_examples)
    return {part: np.sort(order[number == place]) for place, part in enumerate(shares)}


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
