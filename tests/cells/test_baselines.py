"""The baselines against plain NumPy, and what they refuse."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from rnnprobe import ModelSpec, SequenceDataset, build_model, load_dataset
from rnnprobe.baselines import BASELINES, PICTURE_BASELINES
from rnnprobe.errors import DataError

TUTORIAL = {
    "kernel_initializer": {"class_name": "TruncatedNormal", "config": {"stddev": 0.1}},
    "bias_initializer": {"class_name": "Constant", "config": {"value": 0.1}},
}


def pictures_of(*shape: int, num_examples: int = 20) -> SequenceDataset:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, size=(num_examples, *shape), dtype=np.uint8)
    return load_dataset({"x_test": x, "y_test": np.arange(num_examples) % 2})


@pytest.fixture(scope="module")
def digits() -> SequenceDataset:
    return pictures_of(28, 28, num_examples=2)


def convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return ReLU of a 5x5 correlation that keeps (height, width, channels), by its definition."""
    height, width, _ = x.shape
    padded = np.pad(x, ((2, 2), (2, 2), (0, 0)))
    result = np.empty((height, width, kernel.shape[-1]))
    for row in range(height):
        for column in range(width):
            window = padded[row : row + 5, column : column + 5]
            result[row, column] = np.tensordot(window, kernel, 3) + bias
    return np.maximum(result, 0)


def pool(x: np.ndarray) -> np.ndarray:
    """Return the largest of each 2x2 block; at an odd end of what is there of it."""
    rows, columns = (range(0, size, 2) for size in x.shape[:2])
    return np.array([[x[r : r + 2, c : c + 2].max((0, 1)) for c in columns] for r in rows])


def test_the_cnn_relu_is_its_definition_also_on_odd_sides_and_colours() -> None:
    """With random weights in every kernel and bias."""
    dataset = pictures_of(7, 5, 3, num_examples=3)
    model = build_model(ModelSpec("cnn-relu", dropout=0.5), dataset)
    rng = np.random.default_rng(1)
    model.set_weights([0.1 * rng.normal(size=w.shape) for w in model.get_weights()])
    k1, b1, k2, b2, k3, b3, k4, b4 = (w.astype(float) for w in model.get_weights())
    logits = np.asarray(model.predict(dataset.test.x, verbose=0))
    for x, found in zip(dataset.test.x, logits, strict=True):
        picture = x.reshape(7, 5, 3).astype(float)
        features = pool(convolve(pool(convolve(picture, k1, b1)), k2, b2)).reshape(-1)
        assert features.shape == (2 * 2 * 64,)
        expected = np.maximum(features @ k3 + b3, 0) @ k4 + b4
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_the_cnn_relu_has_the_parameters_of_the_tutorial(digits: SequenceDataset) -> None:
    model = build_model(ModelSpec("cnn-relu"), digits)
    hidden = (25 * 1 + 1) * 32 + (25 * 32 + 1) * 64 + (7 * 7 * 64 + 1) * 1024
    assert model.count_params() == hidden + (1024 + 1) * 2
    names = [layer.name for layer in model.layers if layer.weights]
    assert names == ["convolution_1", "convolution_2", "dense_1", "logits"]


def test_dropout_stands_right_before_the_logits(digits: SequenceDataset) -> None:
    model = build_model(ModelSpec("cnn-relu", dropout=0.25), digits)
    assert isinstance(model.layers[-2], keras.layers.Dropout)
    assert model.layers[-2].rate == 0.25
    assert sum(isinstance(layer, keras.layers.Dropout) for layer in model.layers) == 1


@pytest.mark.parametrize("as_objects", [False, True])
def test_initializers_reach_all_hidden_layers_and_none_repeats_another_s_draws(
    as_objects: bool,
) -> None:
    initializers: dict[str, Any] = dict(TUTORIAL)
    if as_objects:
        initializers = {k: keras.initializers.get(v) for k, v in TUTORIAL.items()}
    # Pictures whose second kernel has 25 x 32 x 64 values, as has the first part of the third.
    spec = ModelSpec("cnn-relu", initializers=initializers)
    model = build_model(spec, pictures_of(8, 8, num_examples=2))
    firsts, used = [], []
    for name in ("convolution_1", "convolution_2", "dense_1"):
        layer = model.get_layer(name)
        kernel, bias = layer.get_weights()
        assert bias == pytest.approx(0.1)
        assert abs(kernel).max() <= 0.2
        # A normal distribution cut at two standard deviations has 0.8796 of its spread.
        assert kernel.std() == pytest.approx(0.08796, rel=0.1)
        assert kernel.mean() == pytest.approx(0, abs=0.012)
        firsts.append(kernel.reshape(-1)[:5].tolist())
        used.append(layer.kernel_initializer)
    assert len({repr(first) for first in firsts}) == 3
    assert len({id(initializer) for initializer in used}) == 3
    assert (model.get_layer("logits").get_weights()[1] == 0).all(), "the output layer's are its own"


@pytest.mark.parametrize("name", BASELINES)
def test_the_output_layer_s_initializers_are_taken_and_unknown_ones_refused(
    name: str, digits: SequenceDataset
) -> None:
    output = {"output_kernel_initializer": "zeros", "output_bias_initializer": "ones"}
    kernel, bias = (
        build_model(ModelSpec(name, initializers=output), digits).get_layer("logits").get_weights()
    )
    assert (kernel == 0).all()
    assert (bias == 1).all()
    for wrong in ("recurrent_initializer", "output_initializer", "joint_kernel_initializer"):
        spec = ModelSpec(name, initializers={**output, wrong: "ones"})
        with pytest.raises(DataError, match=f"The {name} has no initializer '{wrong}'; expected"):
            build_model(spec, digits)
    with pytest.raises(DataError, match=f"The {name} has no cell options, but got 'activation'"):
        build_model(ModelSpec(name, cell_options={"activation": "tanh"}), digits)


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "cnn-relu"])
def test_a_baseline_of_fixed_initializers_refuses_others(
    name: str, digits: SequenceDataset
) -> None:
    with pytest.raises(DataError, match=f"The {name} has no initializer 'kernel_initializer'"):
        build_model(ModelSpec(name, initializers=TUTORIAL), digits)


@pytest.mark.parametrize("name", PICTURE_BASELINES)
def test_what_is_no_picture_in_rows_or_too_small_is_refused(
    name: str, values: SequenceDataset, names: SequenceDataset
) -> None:
    for dataset in (values, names):
        with pytest.raises(DataError, match=f"The {name} reads pictures in the layout rows"):
            build_model(ModelSpec(name), dataset)
    x = np.zeros((2, 14, 14), np.uint8)
    columns = load_dataset({"x_test": x, "y_test": np.arange(2)}, layout="columns")
    with pytest.raises(DataError, match=f"The {name} reads .* has the layout columns"):
        build_model(ModelSpec(name), columns)
    smallest = {"cnn": 12, "cnn-relu": 4}[name]
    build_model(ModelSpec(name), pictures_of(smallest, 14))
    with pytest.raises(DataError, match=f"of {smallest}x{smallest} or more, got {smallest - 1}x14"):
        build_model(ModelSpec(name), pictures_of(smallest - 1, 14))
