from __future__ import annotations

import numpy as np
import pytest

from rnnprobe import Bounds, ModelSpec, Split, TrainSpec
from rnnprobe.records import Predictions
from rnnprobe.statistics import wilson_interval


def test_arrays_of_a_split_are_read_only_and_the_callers_are_not() -> None:
    x, y = np.zeros((2, 3, 1), np.float32), np.zeros(2, np.int32)
    split = Split(x, y)
    with pytest.raises(ValueError, match="read-only"):
        split.x[0] = 1
    x[0] = 1
    assert split.x[0, 0, 0] == 1


def test_lengths_count_masked_steps_and_tokens() -> None:
    y = np.zeros(2, np.int32)
    mask = np.array([[True, False], [True, True]])
    assert Split(np.zeros((2, 2, 1)), y, mask).lengths.tolist() == [1, 2]
    assert Split(np.array([[3, 0], [1, 2]]), y).lengths.tolist() == [1, 2]
    assert Split(np.zeros((2, 5, 1)), y).lengths.tolist() == [5, 5]


@pytest.mark.parametrize(
    ("record", "field", "value"),
    [
        (ModelSpec, "units", 0),
        (ModelSpec, "layers", 0),
        (ModelSpec, "dropout", 1.2),
        (ModelSpec, "recurrent_dropout", -0.1),
        (ModelSpec, "embedding", 0),
        (TrainSpec, "learning_rate", 0.0),
        (TrainSpec, "learning_rate", float("nan")),
        (TrainSpec, "batch_size", 0),
        (TrainSpec, "epochs", 0),
        (TrainSpec, "steps", 0),
        (TrainSpec, "momentum", 1.0),
        (TrainSpec, "weight_decay", -1.0),
        (TrainSpec, "clip_norm", 0.0),
        (TrainSpec, "early_stopping", 0),
        (TrainSpec, "seed", -1),
    ],
)
def test_specs_refuse_values_out_of_range(record: type, field: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"`.*{field}.*` must hold, but got {field}="):
        record(**{field: value})


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"y.shape == x.shape\[:1\]"):
        Split(np.zeros((2, 3, 1)), np.zeros(3))
    with pytest.raises(ValueError, match=r"mask.shape == x.shape\[:2\]"):
        Split(np.zeros((2, 3, 1)), np.zeros(2), np.ones((2, 2), bool))
    with pytest.raises(ValueError, match="lower <= upper"):
        Bounds(1, 0)
    with pytest.raises(ValueError, match="num_classes"):
        Predictions(np.zeros(2), np.zeros((2, 3)), ("a", "b"))


@pytest.mark.parametrize(("successes", "trials"), [(0, 7), (7, 7), (3, 10), (9703, 10000)])
def test_wilson_equals_its_closed_form(successes: int, trials: int) -> None:
    z = 1.959963984540054
    p = successes / trials
    centre = (p + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2))
    interval = wilson_interval(successes, trials)
    assert interval == pytest.approx((centre - half, centre + half), abs=1e-12)
    assert 0 <= interval.low <= p <= interval.high <= 1
    assert interval.low < interval.high
