"""Both kernels of a layer drawn as one matrix, as TensorFlow 1's cells drew them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from rnnprobe.datasets._load import load_dataset
from rnnprobe.errors import DataError
from rnnprobe.models import build_model
from rnnprobe.specs import ModelSpec

JOINT = {"joint_kernel_initializer": "glorot_uniform"}


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("lstm", 4)])
def test_both_kernels_are_uniform_within_one_limit_of_each_layer(cell: str, gates: int) -> None:
    data = load_dataset("mnist-5k", limit_examples=20)
    spec = ModelSpec(cell, units=64, layers=2, bidirectional=True, initializers=JOINT)
    weights = {w.path: np.array(w) for w in build_model(spec, data).weights}
    kernels = {path: values for path, values in weights.items() if path.endswith("kernel")}
    assert len(kernels) == 2 * 2 * 2 + 1, "two a direction and layer, and the output's"
    del kernels["logits/kernel"]
    assert {values.shape[0] for values in kernels.values()} == {28, 64, 128}
    for path, values in kernels.items():
        num_inputs = kernels[f"{path.rpartition('/')[0]}/kernel"].shape[0]
        limit = math.sqrt(6 / (num_inputs + 64 + gates * 64))
        assert 0.98 * limit < np.abs(values).max() <= limit, path
        assert np.std(values) == pytest.approx(limit / math.sqrt(3), rel=0.05), path
    assert len({values.tobytes() for values in kernels.values()}) == len(kernels), (
        "none drawn twice"
    )


@pytest.mark.parametrize(
    ("cell", "more", "says"),
    [
        ("gru", {}, "of the cells rnn and lstm, but got 'glorot_uniform' of 'gru'"),
        ("rnn", {"joint_kernel_initializer": "zeros"}, "is glorot_uniform"),
        ("rnn", {"kernel_initializer": "zeros"}, "takes the place of kernel_initializer"),
        ("lstm", {"recurrent_initializer": "zeros"}, "takes the place of recurrent_initializer"),
    ],
)
def test_what_it_is_not_for_is_refused(cell: str, more: dict[str, Any], says: str) -> None:
    data = load_dataset("mnist-5k", limit_examples=20)
    with pytest.raises(DataError, match=says):
        build_model(ModelSpec(cell, units=2, initializers={**JOINT, **more}), data)
