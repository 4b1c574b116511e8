from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from rnnprobe import load_dataset
from rnnprobe.datasets._check import Check, check_dataset


def checks_of(arrays: dict[str, np.ndarray]) -> dict[str, Check]:
    dataset = load_dataset(arrays, require_finite=False)
    return {check.name: check for check in check_dataset(dataset)}


def parts(
    x_train: list[list[int]], x_test: list[list[int]], **labels: list[int]
) -> dict[str, object]:
    return {
        "x_train": np.array(x_train), "y_train": np.array(labels["train"]),
        "x_val": np.array(x_test), "y_val": np.array(labels["test"]),
        "x_test": np.array(x_test), "y_test": np.array(labels["test"]),
    }  # fmt: skip


def test_duplicates_and_contradictions_are_counted() -> None:
    arrays = parts([[1, 2], [1, 2], [3, 4]], [[1, 2], [5, 6]], train=[0, 1, 1], test=[1, 0])
    checks = checks_of(arrays)
    assert checks["duplicates within parts"].value["train"] == 1
    assert checks["duplicates across parts"].value == {
        "train and validation": 1,
        "train and test": 1,
        "validation and test": 2,
    }
    conflict = checks["equal inputs, different labels"]
    assert conflict.verdict == "WARN"
    assert conflict.value["inputs"] == 1
    assert conflict.value["ceiling"] == pytest.approx(6 / 7)  # a look-up table misses one (1, 2)
    assert conflict.value["test_ceiling"] == 1.0


def test_the_ceiling_equals_a_look_up_table() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(1, 7, size=(200, 2)), rng.integers(0, 3, size=200)
    checks = checks_of({"x": x, "y": y})
    by_input = {tuple(row): Counter() for row in x}
    for row, label in zip(x, y, strict=True):
        by_input[tuple(row)][label] += 1
    right = sum(counter.most_common(1)[0][1] for counter in by_input.values())
    assert checks["equal inputs, different labels"].value["ceiling"] == pytest.approx(right / 200)


def test_nan_fails_and_is_counted() -> None:
    x = np.ones((20, 2, 1), np.float32)
    x[3] = np.nan
    checks = checks_of({"x_test": x, "y_test": np.arange(20) % 2})
    assert checks["finite values"].verdict == "FAIL"
    assert checks["finite values"].value["test"] == 2


def test_a_class_missing_from_a_part_is_a_warning() -> None:
    arrays = parts([[1, 2], [3, 4]], [[5, 6]], train=[0, 1], test=[0])
    checks = checks_of(arrays)
    assert checks["classes"].verdict == "WARN"
    assert "the validation part lacks 1" in checks["classes"].detail


def test_clean_data_passes_everything(values: object) -> None:
    assert {check.verdict for check in check_dataset(values)} == {"PASS"}  # type: ignore[arg-type]
