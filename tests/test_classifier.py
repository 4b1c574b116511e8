"""Any Keras classifier: Sequential, functional, subclassed; softmax, sigmoid, logits; masks."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

from rnnprobe import KerasClassifier, SequenceDataset, Split
from rnnprobe.errors import DataError, ModelError

X = np.random.default_rng(0).normal(size=(9, 5, 3)).astype(np.float32)
TOKENS = np.random.default_rng(0).integers(1, 8, size=(9, 5)).astype(np.int32)


class Subclassed(keras.Model):
    def __init__(self, activation: str | None = None) -> None:
        super().__init__()
        self.recurrent = layers.GRU(4)
        self.dense = layers.Dense(3, activation=activation)

    def call(self, x: object) -> object:
        return self.dense(self.recurrent(x))


def sequential(*head: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((5, 3)), layers.LSTM(4), *head])


def with_masking() -> keras.Model:
    inputs = keras.Input((None, 3))
    hidden = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(layers.Masking()(inputs))
    return keras.Model(inputs, layers.Dense(3)(layers.GRU(4)(hidden)))


def embedded() -> keras.Model:
    inputs = keras.Input((None,), dtype="int32")
    hidden = layers.LSTM(4)(layers.Embedding(8, 4, mask_zero=True)(inputs))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(hidden))


MODELS: dict[str, Callable[[], keras.Model]] = {
    "sequential logits": lambda: sequential(layers.Dense(3)),
    "softmax activation": lambda: sequential(layers.Dense(3, activation="softmax")),
    "softmax layer": lambda: sequential(layers.Dense(3), layers.Softmax()),
    "activation layer": lambda: sequential(layers.Dense(3), layers.Activation("softmax")),
    "nested": lambda: keras.Sequential([sequential(layers.Dense(3, activation="softmax"))]),
    "subclassed logits": Subclassed,
    "subclassed softmax": lambda: Subclassed("softmax"),
    "masking, bidirectional, stacked": with_masking,
    "embedding": embedded,
}


def probabilities(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """Return the model's own probabilities, whatever it returns."""
    raw = np.asarray(model.predict(x, verbose=0), dtype=float)
    if np.allclose(raw.sum(axis=1), 1) and (raw >= 0).all():
        return raw
    return np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", MODELS)
def test_probabilities_are_the_models_own(name: str) -> None:
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    x = TOKENS if name == "embedding" else X
    model(x)
    classifier = KerasClassifier(model, batch_size=4)
    predictions = classifier.predict(Split(x, np.zeros(9, np.int32)), ("a", "b", "c"))
    assert predictions.probabilities == pytest.approx(probabilities(model, x), abs=1e-5)
    assert classifier.num_classes == 3
    assert classifier.logits(x).dtype == np.float32


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_one_output_is_two_classes(activation: str | None) -> None:
    keras.utils.set_random_seed(0)
    model = sequential(layers.Dense(1, activation=activation))
    loss = keras.losses.BinaryCrossentropy(from_logits=activation is None)
    model.compile(loss=loss)
    raw = np.asarray(model.predict(X, verbose=0))[:, 0]
    expected = raw if activation else 1 / (1 + np.exp(-raw))
    classifier = KerasClassifier(model)
    assert classifier.num_classes == 2
    predictions = classifier.predict(Split(X, np.zeros(9, np.int32)), ("no", "yes"))
    assert predictions.probabilities[:, 1] == pytest.approx(expected, abs=1e-5)


def test_linear_outputs_with_the_usual_compile_mistake_are_still_logits() -> None:
    model = sequential(layers.Dense(3))
    model.compile(loss="sparse_categorical_crossentropy")  # from_logits forgotten
    raw = np.asarray(model.predict(X, verbose=0))
    assert KerasClassifier(model).logits(X) == pytest.approx(raw, abs=1e-6)


def test_a_given_output_kind_is_not_second_guessed() -> None:
    model = sequential(layers.Dense(3, activation="softmax"))
    raw = np.asarray(model.predict(X, verbose=0))
    assert KerasClassifier(model, output="logits").logits(X) == pytest.approx(raw, abs=1e-6)


def test_a_given_mask_reaches_a_model_with_one_input() -> None:
    keras.utils.set_random_seed(0)
    model = sequential(layers.Dense(3))
    lengths = 1 + np.arange(9) % 5
    mask = np.arange(5) < lengths[:, None]
    logits = KerasClassifier(model, batch_size=4).logits(X, mask)
    weights = model.get_weights()
    free = keras.Sequential([keras.Input((None, 3)), layers.LSTM(4), layers.Dense(3)])
    free.set_weights(weights)
    for row, length in enumerate(lengths):
        alone = KerasClassifier(free).logits(X[row : row + 1, :length])
        assert logits[row] == pytest.approx(alone[0], abs=1e-6)


def test_a_model_with_a_mask_input_sees_the_mask(masked: SequenceDataset) -> None:
    from rnnprobe import ModelSpec, build_model

    model = build_model(ModelSpec("gru", units=4), masked)
    split = masked.test
    expected = np.asarray(model.predict(split.inputs, verbose=0))
    assert KerasClassifier(model).logits(split.x, split.mask) == pytest.approx(expected, abs=1e-6)
    as_list = keras.Model([model.inputs[0], model.inputs[1]], model.outputs[0])
    assert KerasClassifier(as_list).logits(split.x, split.mask) == pytest.approx(expected, abs=1e-6)


def test_axes_are_never_mixed_up() -> None:
    for shape in ((3, 5), (15,), (5, 1, 3, 2)):
        model = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(3)])
        with pytest.raises(DataError, match="The model takes examples of shape"):
            KerasClassifier(model).logits(X)
    colour = keras.Sequential([keras.Input((5, 1, 3)), layers.Flatten(), layers.Dense(3)])
    expected = np.asarray(colour.predict(X.reshape(9, 5, 1, 3), verbose=0))
    rows = KerasClassifier(colour, image_shape=(5, 1, 3))
    assert rows.logits(X) == pytest.approx(expected, abs=1e-6)


def test_a_linear_single_output_is_a_logit_even_between_0_and_1() -> None:
    model = sequential(layers.Dense(1, kernel_initializer="zeros", bias_initializer="zeros"))
    model.layers[-1].bias.assign([0.5])
    assert KerasClassifier(model).logits(X)[:, 1] == pytest.approx(0.5)


def test_pictures_are_reshaped_for_a_convolutional_model() -> None:
    model = keras.Sequential(
        [keras.Input((5, 3, 1)), layers.Conv2D(2, 2), layers.Flatten(), layers.Dense(3)]
    )
    expected = np.asarray(model.predict(X[..., None], verbose=0))
    assert KerasClassifier(model).logits(X) == pytest.approx(expected, abs=1e-6)


def test_what_does_not_fit_is_said_in_one_line() -> None:
    model = sequential(layers.Dense(3))
    with pytest.raises(DataError, match=r"shape \(5, 3\), but the data has \(4, 3\)"):
        KerasClassifier(model).logits(X[:, :4])
    with pytest.raises(DataError, match="3 classes apart, but the data has 2"):
        KerasClassifier(model).predict(Split(X, np.zeros(9, np.int32)), ("a", "b"))
    sequences = keras.Sequential([keras.Input((5, 3)), layers.LSTM(4, return_sequences=True)])
    with pytest.raises(ModelError, match="one vector per example"):
        KerasClassifier(sequences)
    two = keras.Model(inputs := [keras.Input((3,)), keras.Input((3,))], layers.Add()(inputs))
    with pytest.raises(ModelError, match="expected one, or one and its mask"):
        KerasClassifier(two)
    model.set_weights([w * np.nan for w in model.get_weights()])
    with pytest.raises(ModelError, match="NaN or infinite"):
        KerasClassifier(model).logits(X)
    with pytest.raises(DataError, match="cannot take examples of shape"):
        KerasClassifier(Subclassed()).logits(TOKENS)
