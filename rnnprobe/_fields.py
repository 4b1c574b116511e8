"""Whether plain values that came out of a file are of the kinds that they were written as."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

NOTHING = type(None)
TEXT, INTEGER, NUMBER, TABLE, LISTED = (str,), (int,), (int, float), (dict,), (list,)

Fields = Mapping[str, tuple[type, ...]]
"""Kinds by path, names joined by dots; `*` is every item, `?` at the end that it may be missing.

A number has to be finite, and no larger than a float can be.
"""

SOURCE: Fields = {
    "data?": (str, NOTHING),
    "layout?": (str, NOTHING),
    "limit_examples?": (int, NOTHING),
    "columns?": (dict, NOTHING),
    "columns.*": (str, NOTHING),
    "split?": (str, NOTHING),
    "values?": (list, NOTHING),
    "values.*": TEXT,
}
"""What `SequenceDataset.source` holds."""

TRAIN: Fields = {
    "optimizer?": TEXT,
    "learning_rate?": NUMBER,
    "batch_size?": INTEGER,
    "epochs?": INTEGER,
    "steps?": (int, NOTHING),
    "momentum?": NUMBER,
    "weight_decay?": (int, float, NOTHING),
    "clip_norm?": (int, float, NOTHING),
    "loss?": TEXT,
    "early_stopping?": (int, NOTHING),
    "class_weights?": (str, list, NOTHING),
    "seed?": INTEGER,
    "checkpoints?": INTEGER,
}
"""What `TrainSpec` holds."""


def below(name: str, fields: Fields) -> Fields:
    """Return fields as those of a value inside another.

    Example:
        >>> below("data", {"digest": TEXT})
        {'data.digest': (<class 'str'>,)}
    """
    return {f"{name}.{path}": kinds for path, kinds in fields.items()}


def misfit(document: Any, fields: Fields) -> str | None:
    """Return what is wrong with a document, as half a sentence, or None.

    Args:
        document: What `json.loads` returned.
        fields: What it must hold; what else it holds is not looked at.

    Example:
        >>> misfit({"seed": "one"}, {"seed": INTEGER, "name?": TEXT})
        "'seed' is 'one', expected int"
        >>> misfit({}, {"seed": INTEGER})
        "'seed' is missing"
    """
    document = document if isinstance(document, dict) else {}
    for path, kinds in fields.items():
        optional = path.endswith("?")
        keys = path.removesuffix("?").split(".")
        for found, value in _values(document, keys):
            if found and not _is_of(value, kinds):
                expected = " or ".join("null" if k is NOTHING else k.__name__ for k in kinds)
                finite = "finite " if isinstance(value, kinds) and not _is_finite(value) else ""
                shown = str(repr(value))[:40]
                return f"'{'.'.join(keys)}' is {shown}, expected {finite}{expected}"
            if not found and not optional:
                return f"'{'.'.join(keys)}' is missing"
    return None


def _values(document: Any, keys: Sequence[str]) -> Iterator[tuple[bool, Any]]:
    """Yield whether something is at a place, and what; nothing where the place is not there."""
    first, *rest = keys
    if first == "*" and isinstance(document, dict | list):
        items = document.values() if isinstance(document, dict) else document
        for item in items:
            yield from _values(item, rest) if rest else [(True, item)]
    elif isinstance(document, dict) and first != "*":
        if not rest:
            yield first in document, document.get(first)
        elif first in document:
            yield from _values(document[first], rest)


def _is_of(value: Any, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, bool):  # which Python takes for a number
        return bool in kinds
    return isinstance(value, kinds) and _is_finite(value)


def _is_finite(value: Any) -> bool:
    """Whether a value is no number, or one that a float can hold."""
    return not isinstance(value, int | float) or abs(value) <= sys.float_info.max
