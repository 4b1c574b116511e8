"""What is wrong, or worth knowing, about a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rnnprobe.datasets._conflicts import look_up_accuracy, split_keys
from rnnprobe.records import Array, SequenceDataset, Split

Verdict = Literal["PASS", "WARN", "FAIL"]


@dataclass(frozen=True)
class Check:
    """One line of `rnnprobe data check`.

    Args:
        name: What was looked at.
        verdict: FAIL where nothing can be trained on it, WARN where results mean less.
        detail: What was found, plain text.
        value: The same for machines.
    """

    name: str
    verdict: Verdict
    detail: str
    value: Any


def check_dataset(dataset: SequenceDataset) -> tuple[Check, ...]:
    """Look at shapes, ranges, classes, lengths, NaN, duplicates and contradictory labels.

    Args:
        dataset: Loaded with `require_finite=False`, or NaN would have been refused.

    Example:
        >>> from rnnprobe.datasets._load import load_dataset
        >>> [check.name for check in check_dataset(load_dataset("mnist-5k"))][:3]
        ['shape', 'finite values', 'value range']
    """
    keys = {part: split_keys(split) for part, split in dataset.splits.items()}
    checks = [_shape(dataset)]
    if dataset.kind == "values":
        checks += [_finite(dataset), _range(dataset)]
    checks += [_lengths(dataset), _classes(dataset), _within(keys), _across(keys)]
    checks.append(_conflicts(dataset, keys))
    return tuple(checks)


def _shape(dataset: SequenceDataset) -> Check:
    shapes = {part: list(split.x.shape) for part, split in dataset.splits.items()}
    what = "tokens" if dataset.kind == "tokens" else "values"
    axes = "(examples, steps)" if what == "tokens" else "(examples, steps, features)"
    listed = ", ".join(f"{part} {tuple(shape)}" for part, shape in shapes.items())
    masked = ", with a mask" if dataset.test.mask is not None else ""
    detail = f"{what} {dataset.test.x.dtype} {axes}: {listed}{masked}"
    return Check("shape", "PASS", detail, shapes)


def _finite(dataset: SequenceDataset) -> Check:
    wrong = {p: int((~np.isfinite(s.x)).sum()) for p, s in dataset.splits.items()}
    total = sum(wrong.values())
    detail = "all finite"
    if total:
        detail = f"{total:,} values are NaN, infinite or too large: " + _by_part(wrong)
    return Check("finite values", "FAIL" if total else "PASS", detail, wrong)


def _range(dataset: SequenceDataset) -> Check:
    ranges = {p: _extremes(s) for p, s in dataset.splits.items() if len(s)}
    detail = ", ".join(f"{part} {low:g} to {high:g}" for part, (low, high) in ranges.items())
    constant = all(low == high for low, high in ranges.values())
    return Check("value range", "WARN" if constant else "PASS", detail, ranges)


def _extremes(split: Split) -> tuple[float, float]:
    values: Array = split.x if split.mask is None else split.x[split.mask]
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)


def _lengths(dataset: SequenceDataset) -> Check:
    lengths = np.concatenate([split.lengths for split in dataset.splits.values()])
    low, median, high = (int(q) for q in np.quantile(lengths, (0, 0.5, 1), method="nearest"))
    value = {"shortest": low, "median": median, "longest": high}
    if low == high:
        return Check("lengths", "PASS", f"all of {low} steps", value)
    detail = f"{low} to {high} steps, median {median}"
    return Check("lengths", "WARN" if low == 0 else "PASS", detail, value)


def _classes(dataset: SequenceDataset) -> Check:
    counts = {
        part: np.bincount(split.y, minlength=dataset.num_classes)
        for part, split in dataset.splits.items()
    }
    total = np.sum(list(counts.values()), axis=0)
    rarest, commonest = int(total.argmin()), int(total.argmax())
    names = dataset.class_names
    span = f"from {total[rarest]:,} ({names[rarest]}) to {total[commonest]:,} ({names[commonest]})"
    if total[rarest] == total[commonest]:
        span = f"{total[rarest]:,} each"
    detail = f"{dataset.num_classes} classes, examples: {span}"
    value = {part: count.tolist() for part, count in counts.items()}
    for part, count in counts.items():
        absent = [name for name, number in zip(names, count, strict=True) if not number]
        if absent and len(dataset.splits[part]):
            detail += f"; the {part} part lacks {', '.join(absent[:5])}"
            return Check("classes", "WARN", detail, value)
    return Check("classes", "PASS", detail, value)


def _within(keys: dict[str, list[bytes]]) -> Check:
    repeats = {part: len(k) - len(set(k)) for part, k in keys.items()}
    total = sum(repeats.values())
    detail = f"{total:,} repeated inputs: {_by_part(repeats)}" if total else "no input twice"
    return Check("duplicates within parts", "WARN" if total else "PASS", detail, repeats)


def _across(keys: dict[str, list[bytes]]) -> Check:
    sets = {part: set(k) for part, k in keys.items()}
    shared = {
        f"{first} and {second}": len(sets[first] & sets[second])
        for first, second in (("train", "validation"), ("train", "test"), ("validation", "test"))
    }
    total = sum(shared.values())
    detail = "no input on both sides of a split"
    if total:
        detail = f"{total:,} inputs leak: {_by_part(shared)}"
    return Check("duplicates across parts", "WARN" if total else "PASS", detail, shared)


def _conflicts(dataset: SequenceDataset, keys: dict[str, list[bytes]]) -> Check:
    labels = {part: split.y.tolist() for part, split in dataset.splits.items()}
    everything = [pair for part in keys for pair in zip(keys[part], labels[part], strict=True)]
    ceiling, contradictory = look_up_accuracy(everything)
    test_ceiling, _ = look_up_accuracy(zip(keys["test"], labels["test"], strict=True))
    value = {"inputs": contradictory, "ceiling": ceiling, "test_ceiling": test_ceiling}
    if not contradictory:
        return Check("equal inputs, different labels", "PASS", "none", value)
    detail = (
        f"{contradictory:,} inputs have several labels: no classifier can exceed {ceiling:.4f} on "
        f"all examples, {test_ceiling:.4f} on the test part"
    )
    return Check("equal inputs, different labels", "WARN", detail, value)


def _by_part(counts: dict[str, int]) -> str:
    return ", ".join(f"{part} {count:,}" for part, count in counts.items() if count)
