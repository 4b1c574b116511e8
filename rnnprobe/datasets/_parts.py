"""Cuts the parts that a source does not have."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnnprobe.datasets._raw import PARTS, VALIDATION_HEAD, RawData, RawSplit
from rnnprobe.datasets._split import random_indices, split_indices
from rnnprobe.errors import DataError

SPLIT_SEED = 0
_SHARES = {"test": 0.1, "validation": 0.1, "train": 0.8}
_SHARES_OF_TRAIN = {"validation": 0.1, "train": 0.9}


def three_parts(
    raw: RawData, parts: Mapping[str, RawSplit], num_classes: int, split: str | None
) -> tuple[dict[str, RawSplit], tuple[str, ...]]:
    """Return the three parts, in the order of `PARTS`, and what is to be said of the split.

    Args:
        raw: The source: its name and its own validation part.
        parts: Its parts, or `all`, with labels as int32 class indices.
        num_classes: How many classes there are.
        split: A name of `rnnprobe.datasets.SPLITS`, or None; see `load_dataset`.

    Raises:
        DataError: There are too few examples, or a part is missing that cannot be cut.
    """
    total = sum(len(part) for part in parts.values())
    if total < num_classes:
        raise DataError(f"There are {total} examples, fewer than the {num_classes} classes.")
    whole = parts["train"] if set(parts) == {"train"} else parts.get("all")
    needed = {"lines": whole is not None, "first-5000": set(parts) == {"train", "test"}}
    applied = split if split is not None and needed[split] else None
    found = dict(parts)
    if whole is not None:
        found = _cut_lines(whole) if applied == "lines" else _cut(whole, _SHARES)
    elif set(parts) == {"test"}:
        nothing = parts["test"].take(np.array([], dtype=np.int64))
        found = {"train": nothing, "validation": nothing, **parts}
    elif set(parts) == {"train", "test"}:
        found |= _validation_from_train(raw, parts["train"], applied)
    missing = [part for part in PARTS if part not in found]
    if missing:
        raise DataError(f"'{raw.name}' has the parts {sorted(found)} but no {missing[0]} part.")
    if len(found["test"]) == 0:
        each = "of them" if applied == "lines" else "of each class, equal ones together"
        raise DataError(
            f"The test part of '{raw.name}' is empty: {total} examples of {num_classes} classes "
            f"are too few to cut a tenth {each}; give the parts yourself (x_train, x_test, ...)."
        )
    notes = () if split is None else (_note(split, applied, parts, found),)
    return {part: found[part] for part in PARTS}, notes


def _validation_from_train(
    raw: RawData, train: RawSplit, applied: str | None
) -> dict[str, RawSplit]:
    head = raw.validation_head
    if applied == "first-5000":
        head = VALIDATION_HEAD
        if len(train) <= head:
            raise DataError(
                f"'{raw.name}' has {len(train):,} training examples, but the split first-5000 "
                f"needs more than {head:,}; give the validation part yourself (x_val, y_val), or "
                "in Python leave the split out."
            )
    if head is None:
        return _cut(train, _SHARES_OF_TRAIN)
    return {"train": train.take(slice(head, None)), "validation": train.take(slice(head))}


def _cut(split: RawSplit, shares: dict[str, float]) -> dict[str, RawSplit]:
    indices = split_indices(split.keys(), split.y, shares, SPLIT_SEED)
    return {part: split.take(chosen) for part, chosen in indices.items()}


def _cut_lines(split: RawSplit) -> dict[str, RawSplit]:
    indices = random_indices(len(split), _SHARES, SPLIT_SEED)
    return {part: split.take(chosen) for part, chosen in indices.items()}


def _note(
    split: str,
    applied: str | None,
    parts: Mapping[str, RawSplit],
    found: Mapping[str, RawSplit],
) -> str:
    """Say what was done; where it was done the sentence begins with `split NAME:`."""
    if applied is None:
        own = "no parts" if "all" in parts else f"the parts {', '.join(parts)}"
        return f"the split {split} does not apply and changes nothing: the source has {own}"
    if applied == "first-5000":
        head = f"{len(found['validation']):,}"
        return f"split {split}: the first {head} training examples are the validation part"
    train_keys, test_keys = set(found["train"].keys()), found["test"].keys()
    repeated = sum(key in train_keys for key in test_keys)
    sizes = " / ".join(f"{len(found[part]):,}" for part in PARTS)
    return (
        f"split {split}: all examples were shuffled and cut {sizes} without regard to classes or "
        f"equal inputs; {repeated:,} of {len(found['test']):,} test examples have an equal input "
        "in the training part"
    )
