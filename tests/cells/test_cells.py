"""Every cell and baseline of the tables by the same tests, and the cells against plain NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rnnprobe import ModelSpec, SequenceDataset, build_model
from rnnprobe.baselines import BASELINE_AXES, BASELINES, PICTURE_BASELINES
from rnnprobe.cells import CELLS
from rnnprobe.errors import UnknownNameError

NAMES = [*CELLS, *BASELINES]


def fitting(name: str, values: SequenceDataset, pictures: SequenceDataset) -> SequenceDataset:
    return pictures if name in PICTURE_BASELINES else values


def predict(model: keras.Model, inputs: Any) -> np.ndarray:
    return np.asarray(model.predict(inputs, verbose=0))


@pytest.mark.parametrize("name", NAMES)
def test_conformance(
    name: str, values: SequenceDataset, pictures: SequenceDataset, tmp_path: Path
) -> None:
    dataset = fitting(name, values, pictures)
    outputs = []
    for _ in range(2):
        keras.utils.set_random_seed(0)
        model = build_model(ModelSpec(name, units=5, layers=2, dropout=0.2), dataset)
        outputs.append(predict(model, dataset.test.inputs))
    assert outputs[0].shape == (len(dataset.test), dataset.num_classes)
    assert (outputs[0] == outputs[1]).all(), "the same seed gives the same weights"
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert predict(again, dataset.test.inputs) == pytest.approx(outputs[0], abs=1e-6)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in PICTURE_BASELINES])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_never_changes_the_output(
    name: str, bidirectional: bool, masked: SequenceDataset, names: SequenceDataset
) -> None:
    keras.utils.set_random_seed(0)
    model = build_model(ModelSpec(name, units=5, layers=2, bidirectional=bidirectional), masked)
    split = masked.test
    together = predict(model, split.inputs)
    for row, length in enumerate(split.lengths):
        alone = {"x": split.x[row : row + 1, :length], "mask": np.ones((1, length), bool)}
        assert predict(model, alone)[0] == pytest.approx(together[row], abs=1e-6)
    tokens = build_model(ModelSpec(name, units=5, bidirectional=bidirectional), names)
    x = names.test.x[:3]
    assert predict(tokens, np.pad(x, ((0, 0), (0, 4)))) == pytest.approx(
        predict(tokens, x), abs=1e-6
    )


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def step_rnn(x: np.ndarray, h: np.ndarray, w: list[np.ndarray]) -> np.ndarray:
    kernel, recurrent, bias = w
    return np.asarray(np.tanh(x @ kernel + h @ recurrent + bias))


def step_gru(x: np.ndarray, h: np.ndarray, w: list[np.ndarray]) -> np.ndarray:
    kernel, recurrent, (input_bias, recurrent_bias) = w
    x_z, x_r, x_h = np.split(x @ kernel + input_bias, 3)
    h_z, h_r, h_h = np.split(h @ recurrent + recurrent_bias, 3)
    z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
    return z * h + (1 - z) * np.tanh(x_h + r * h_h)


def lstm(x: np.ndarray, w: list[np.ndarray], units: int) -> np.ndarray:
    kernel, recurrent, bias = w
    h = c = np.zeros(units)
    for x_t in x:
        i, f, g, o = np.split(x_t @ kernel + h @ recurrent + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
    return h


def last_state(name: str, x: np.ndarray, w: list[np.ndarray], units: int) -> np.ndarray:
    if name == "lstm":
        return lstm(x, w, units)
    step = {"rnn": step_rnn, "gru": step_gru}[name]
    h = np.zeros(units)
    for x_t in x:
        h = step(x_t, h, w)
    return h


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_is_its_textbook_recurrence(name: str, masked: SequenceDataset) -> None:
    """With random weights in every matrix and bias, so that swapped gates cannot hide."""
    model = build_model(ModelSpec(name, units=4), masked)
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=w.shape).astype(np.float32) for w in model.get_weights()])
    *cell, output_kernel, output_bias = (w.astype(float) for w in model.get_weights())
    logits = predict(model, masked.test.inputs)
    for row, length in enumerate(masked.test.lengths):
        h = last_state(name, masked.test.x[row, :length].astype(float), cell, 4)
        assert logits[row] == pytest.approx(h @ output_kernel + output_bias, abs=1e-4)


def test_options_and_initializers_reach_the_layers(values: SequenceDataset) -> None:
    spec = ModelSpec(
        "lstm",
        units=4,
        recurrent_dropout=0.3,
        initializers={"kernel_initializer": "ones", "output_bias_initializer": "ones"},
        cell_options={"unit_forget_bias": False},
    )
    model = build_model(spec, values)
    layer = model.layers[1]
    assert layer.recurrent_dropout == 0.3
    assert not layer.unit_forget_bias
    assert (layer.get_weights()[0] == 1).all()
    assert (model.get_layer("logits").get_weights()[1] == 1).all()


def test_a_users_own_cell_is_named_by_its_module(values: SequenceDataset) -> None:
    model = build_model(ModelSpec("test_cells:build_relu", units=4), values)
    assert model.layers[1].activation is keras.activations.relu
    with pytest.raises(UnknownNameError, match="Did you mean 'lstm'"):
        build_model(ModelSpec("lstn"), values)


def test_a_cell_may_come_by_an_entry_point(
    values: SequenceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package of somebody else's that declares `relu = "test_cells:build_relu"`."""
    (tmp_path / "other-1.0.dist-info").mkdir()
    (tmp_path / "other-1.0.dist-info" / "METADATA").write_text("Name: other\nVersion: 1.0\n")
    (tmp_path / "other-1.0.dist-info" / "entry_points.txt").write_text(
        "[rnnprobe.cells]\nrelu = test_cells:build_relu\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    model = build_model(ModelSpec("relu", units=4), values)
    assert model.layers[1].activation is keras.activations.relu


def build_relu(units: int, **options: Any) -> keras.layers.Layer:
    return keras.layers.SimpleRNN(units, activation="relu", **options)


def test_lenet_5_has_the_parameters_of_the_paper_s_layers() -> None:
    from rnnprobe import load_dataset

    model = build_model(ModelSpec("cnn"), load_dataset("mnist-5k"))
    # 6 and 16 filters of 5x5 (all maps connected), 400 inputs to 120, 84 and 10 units.
    expected = (25 + 1) * 6 + (6 * 25 + 1) * 16 + (400 + 1) * 120 + (120 + 1) * 84 + (84 + 1) * 10
    assert model.count_params() == expected == 61706


def test_the_axes_a_baseline_knows_are_the_ones_that_change_it(
    values: SequenceDataset, pictures: SequenceDataset
) -> None:
    assert set(BASELINE_AXES) == set(BASELINES) >= set(PICTURE_BASELINES)
    for name, axes in BASELINE_AXES.items():
        dataset = fitting(name, values, pictures)
        plain = build_model(ModelSpec(name), dataset).to_json()
        changes = {"units": 7, "layers": 3, "dropout": 0.5, "bidirectional": True}
        for axis, value in changes.items():
            spec = ModelSpec(name, **{axis: value})  # type: ignore[arg-type]
            config = build_model(spec, dataset)
            same = len(config.layers) == len(keras.models.model_from_json(plain).layers)
            same &= config.count_params() == build_model(ModelSpec(name), dataset).count_params()
            assert same == (axis not in axes), f"{name} {axis}"
