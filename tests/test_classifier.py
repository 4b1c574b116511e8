"""Any Keras classifier: Sequential, functional, subclassed; softmax, sigmoid, logits; masks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from keras import layers

from rnnprobe import KerasClassifier, SequenceDataset, Split
from rnnprobe.errors import DataError, ModelError
from rnnprobe.losses import CrossEntropy, LogOdds, Margin

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


def gradient_oracle(model: keras.Model, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the gradient of the cross-entropy by finite differences of `predict`."""
    size = x[0].size
    steps = 1e-2 * np.eye(size, dtype=np.float32).reshape(size, 1, *x.shape[1:])
    points = np.stack([x + steps, x - steps]).reshape(-1, *x.shape[1:])
    chances = probabilities(model, points)[np.arange(len(points)), np.tile(y, 2 * size)]
    after, before = -np.log(chances).reshape(2, size, len(x))
    return ((after - before) / 2e-2).T.reshape(x.shape)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "embedding"])
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    x, y = X[:4], np.array([0, 1, 2, 0], np.int32)
    model(x)
    classifier = KerasClassifier(model)
    logits, gradient = classifier.loss_gradient(x, CrossEntropy(y))
    assert gradient.dtype == logits.dtype == np.float32
    assert logits == pytest.approx(classifier.logits(x), abs=1e-5)
    assert gradient == pytest.approx(gradient_oracle(model, x, y), abs=2e-3)
    many, longer = np.tile(x, (40, 1, 1)), np.tile(y, 40)
    again = classifier.loss_gradient(many, CrossEntropy(longer))[1]
    assert again == pytest.approx(np.tile(gradient, (40, 1, 1)), abs=1e-5), "in threads"


def test_one_sigmoid_has_the_gradient_of_its_logit() -> None:
    keras.utils.set_random_seed(0)
    model = sequential(layers.Dense(1, activation="sigmoid"))
    _, gradient = KerasClassifier(model).loss_gradient(X, CrossEntropy(np.ones(9, np.int32)))
    z = keras.layers.Dense(1)
    linear = sequential(z)
    linear.set_weights(model.get_weights())
    _, expected = KerasClassifier(linear).loss_gradient(X, CrossEntropy(np.ones(9, np.int32)))
    assert gradient == pytest.approx(expected, abs=1e-6)
    assert np.abs(gradient).max() > 0


def test_tokens_have_their_gradient_at_the_embedding_and_none_at_padding() -> None:
    keras.utils.set_random_seed(0)
    classifier = KerasClassifier(embedded())
    tokens = TOKENS.copy()
    tokens[:, 3:] = 0
    y = np.zeros(9, np.int32)
    logits, gradient = classifier.loss_gradient(tokens, CrossEntropy(y))
    assert gradient.shape == (9, 5, 4)
    assert (gradient[:, 3:] == 0).all()
    matrix = classifier.embedding_matrix()
    replaced, loss = tokens.copy(), CrossEntropy(y)
    replaced[:, 1] = 1 + tokens[:, 1] % 7
    step = 1e-2 * (matrix[replaced[:, 1]] - matrix[tokens[:, 1]])
    embedding = next(x for x in classifier.model.layers if isinstance(x, layers.Embedding))
    moved = matrix.copy()
    moved[tokens[0, 1]] += step[0]
    embedding.set_weights([moved])
    places = tokens[0] == tokens[0, 1]
    change = loss.values(classifier.logits(tokens))[0] - loss.values(logits)[0]
    assert change == pytest.approx(float((gradient[0][places] @ step[0]).sum()), abs=1e-4)


def test_logits_are_those_before_the_softmax_however_sure_the_model_is() -> None:
    for head in ([layers.Dense(3, activation="softmax")], [layers.Dense(3), layers.Softmax()]):
        model = sequential(*head)
        weights = model.get_weights()
        model.set_weights([*weights[:-2], weights[-2] * 3000, weights[-1]])
        before = model.predict(X, verbose=0)
        logits = KerasClassifier(model).logits(X)
        assert np.abs(logits).max() > 90
        assert (model.predict(X, verbose=0) == before).all(), "the model stays as it was"


def test_functional_models_that_end_in_an_operation_are_read_by_their_outputs() -> None:
    inputs = keras.Input((5, 3))
    dense = layers.Dense(3)(layers.GRU(4)(inputs))
    soft = layers.Dense(3, activation="softmax")(layers.GRU(4)(inputs))
    for outputs in (keras.ops.softmax(dense), keras.ops.log(soft)):
        model = keras.Model(inputs, outputs)
        classifier = KerasClassifier(model)
        split = Split(X, np.zeros(9, np.int32))
        found = classifier.predict(split, ("a", "b", "c")).probabilities
        assert found == pytest.approx(probabilities(model, X), abs=1e-5)
        assert (classifier.own_predictions(X) == found.argmax(axis=1)).all()


def test_threads_leave_the_users_model_as_it_was() -> None:
    model = sequential(layers.Dense(3, activation="softmax"))
    classifier = KerasClassifier(model)
    y = np.zeros(9, np.int32)
    kinds = (CrossEntropy, Margin, LogOdds)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(classifier.loss_gradient, X, kind(y)) for kind in kinds]
        waiting.append(pool.submit(classifier.logits, X))
        found = [done.result() for done in waiting]
    assert model.layers[-1].activation is keras.activations.softmax
    for logits, _ in found[:-1]:
        assert logits == pytest.approx(found[-1], abs=1e-6)


def test_steps_that_a_model_masks_behind_other_layers_are_known() -> None:
    inputs = keras.Input((5, 3))
    hidden = layers.Rescaling(2.0, offset=1.0)(layers.GaussianNoise(0.5)(inputs))
    outputs = layers.Dense(3)(layers.LSTM(4)(layers.Masking(1.0)(hidden)))
    x = X.copy()
    x[:3, 2:] = 0
    counted = KerasClassifier(keras.Model(inputs, outputs)).counted_steps(x)
    assert not counted[:3, 2:].any()
    assert counted.sum() == 9 * 5 - 9


def test_models_of_one_batch_size_and_with_a_state_are_read() -> None:
    inputs = keras.Input(batch_shape=(4, 5, 3))
    outputs = layers.Dense(3)(layers.GRU(4, stateful=True)(inputs))
    model = keras.Model(inputs, outputs)
    classifier = KerasClassifier(model)
    y = np.zeros(9, np.int32)
    first, gradient = classifier.loss_gradient(X, CrossEntropy(y))
    assert first.shape == (9, 3) and gradient.shape == X.shape
    assert classifier.logits(X) == pytest.approx(first, abs=1e-6), "its state is reset"


def test_token_models_of_one_length_are_read() -> None:
    inputs = keras.Input((5,), dtype="int32")
    hidden = layers.GRU(4, unroll=True)(layers.Embedding(8, 4)(inputs))
    classifier = KerasClassifier(keras.Model(inputs, layers.Dense(3)(hidden)))
    assert classifier.logits(TOKENS).shape == (9, 3)


def test_half_precision_has_logits_in_float32() -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5, 3))
    gru = layers.GRU(4, dtype="mixed_float16")
    outputs = layers.Dense(3, activation="softmax", dtype="mixed_float16")(gru(inputs))
    classifier = KerasClassifier(keras.Model(inputs, outputs))
    logits, gradient = classifier.loss_gradient(X, LogOdds(np.zeros(9, np.int32)))
    assert logits.dtype == gradient.dtype == np.float32
    assert np.abs(gradient).sum(axis=(1, 2)).min() > 0


def free(*stack: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((None, 3)), *stack])


def with_a_deep_head() -> keras.Model:
    recurrent = [layers.LSTM(5, return_sequences=True), layers.GRU(4)]
    head = [layers.Dense(5), layers.BatchNormalization(), layers.Dropout(0.5)]
    return free(*recurrent, *head, layers.Dense(3, activation="softmax"))


STEPWISE: dict[str, Callable[[], keras.Model]] = {
    "simple": lambda: free(layers.SimpleRNN(4), layers.Dense(3)),
    "stacked, deep head, softmax": with_a_deep_head,
    "nested, one sigmoid": lambda: keras.Sequential(
        [free(layers.GRU(4)), keras.Sequential([layers.Dense(1, activation="sigmoid")])]
    ),
    "several cells behind a convolution": lambda: free(
        layers.Conv1D(4, 2, padding="causal"),
        layers.RNN([layers.GRUCell(3), layers.LSTMCell(4)]),
        layers.Dense(3),
    ),
    "subclassed": Subclassed,
}


@pytest.mark.parametrize("name", STEPWISE)
def test_logits_at_a_step_are_those_of_the_sequence_up_to_it(name: str) -> None:
    keras.utils.set_random_seed(0)
    model = STEPWISE[name]()
    model(X)
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.1, 1, w.shape) * (w + 0.3) for w in model.get_weights()])
    classifier = KerasClassifier(model, batch_size=4)
    found, counted = classifier.read_states(X)
    assert found.dtype == np.float32
    assert found.shape == (9, 5, classifier.num_classes)
    assert counted.shape == (9, 5) and counted.all()
    for length in range(1, 6):
        expected = classifier.logits(X[:, :length])
        assert found[:, length - 1] == pytest.approx(expected, abs=1e-5)
    assert (found[:, -1] == classifier.logits(X)).all(), "to the last digit"
    before = np.asarray(model(X))
    assert before.shape[0] == 9, "the model stays as it was"


def test_logits_at_a_token_are_those_of_the_word_up_to_it() -> None:
    keras.utils.set_random_seed(0)
    tokens = TOKENS.copy()
    tokens[:3, 3:] = tokens[4] = tokens[5, :2] = tokens[6, 1] = 0  # behind, all, before, between
    classifier = KerasClassifier(embedded())
    found, counted = classifier.read_states(tokens)
    assert (counted == (tokens != 0)).all()
    for row, step in np.argwhere(counted):
        begun = np.where(np.arange(5) <= step, tokens[row], 0)
        expected = classifier.logits(begun[np.newaxis])[0]
        assert found[row, step] == pytest.approx(expected, abs=1e-5)


class TakingAnything(layers.GRU):
    def call(self, sequences: object, initial_state: object = None, **options: object) -> object:
        return super().call(sequences, initial_state, **options)


def test_a_mask_that_a_layer_takes_among_other_options_counts() -> None:
    x, mask = keras.Input((5, 3), name="x"), keras.Input((5,), dtype="bool", name="mask")
    model = keras.Model([x, mask], layers.Dense(3)(TakingAnything(4)(x, mask=mask)))
    given = np.tile(np.arange(5) < 3, (len(X), 1))
    assert (KerasClassifier(model).read_states(X, given)[1] == given).all()


def test_padding_that_a_model_reads_counts_for_it() -> None:
    words = keras.Sequential([keras.Input((5,), dtype="int32"), layers.Embedding(8, 4)])
    classifier = KerasClassifier(keras.Sequential([words, layers.GRU(4), layers.Dense(3)]))
    tokens = TOKENS.copy()
    tokens[:, 3:] = 0
    found, counted = classifier.read_states(tokens)
    assert counted.all()
    assert (found[:, -1] == classifier.logits(tokens)).all()


@pytest.mark.parametrize("window", [1, 3])
def test_examples_of_one_token_do_not_make_a_model_look_ahead(window: int) -> None:
    """Nor those that a convolution's window takes in as a whole."""
    reading = [layers.Embedding(8, 4)] + [layers.Conv1D(4, window)] * (window > 1)
    stack = [keras.Input((5,), dtype="int32"), *reading, layers.LSTM(4), layers.Dense(3)]
    tokens = TOKENS.copy()
    tokens[:3, 1:] = tokens[3:5, 2:] = 0
    classifier = KerasClassifier(keras.Sequential(stack))
    found, counted = classifier.read_states(tokens)
    assert counted.shape == (9, 6 - window) and counted.all()
    assert (found[:, -1] == classifier.logits(tokens)).all()


def test_a_model_that_looks_ahead_is_refused_beside_examples_of_one_token() -> None:
    inputs = keras.Input((5,), dtype="int32")
    vectors = layers.Embedding(8, 4)(inputs)
    model = keras.Model(inputs, layers.Dense(3)(behind_the_mean(vectors)))
    tokens = TOKENS.copy()
    tokens[:3, 1:] = 0
    with pytest.raises(ModelError, match="changes with the last step of the sequence"):
        KerasClassifier(model).read_states(tokens)


def test_states_are_read_in_as_many_examples_as_memory_has_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from rnnprobe import _batches

    classifier = KerasClassifier(sequential(layers.Dense(3)))
    whole = classifier.read_states(X)
    sizes: list[int] = []

    class Watched(KerasClassifier):
        def observer(self, body: object, *, batch_size: int | None = None) -> object:
            sizes.append(batch_size or 0)
            return super().observer(body, batch_size=batch_size)

    monkeypatch.setattr(_batches, "_BATCH_BYTES", 4 * 2 * (2 * 4 + 3) * 5 * 2)
    parts = Watched(classifier.model).read_states(X)
    assert sizes == [2]
    assert (parts[1] == whole[1]).all() and parts[0] == pytest.approx(whole[0], abs=1e-6)


def test_logits_by_step_follow_a_mask(masked: SequenceDataset) -> None:
    from rnnprobe import ModelSpec, build_model

    keras.utils.set_random_seed(0)
    x, mask = masked.test.x, masked.test.mask
    assert mask is not None
    two_inputs = build_model(ModelSpec("gru", units=4, layers=2), masked)
    for model in (two_inputs, free(layers.LSTM(4), layers.Dense(3))):
        classifier = KerasClassifier(model)
        found, counted = classifier.read_states(x, mask)
        assert (counted == mask).all()
        for length in (1, 2, 4):
            cut = mask & (np.arange(6) < length)
            rows = mask[:, length - 1]
            expected = classifier.logits(x, cut)[rows]
            assert found[rows, length - 1] == pytest.approx(expected, abs=1e-5)


def test_logits_by_step_of_one_batch_size_with_a_state() -> None:
    inputs = keras.Input(batch_shape=(4, 5, 3))
    model = keras.Model(inputs, layers.Dense(3)(layers.GRU(4, stateful=True)(inputs)))
    stateless = free(layers.GRU(4), layers.Dense(3))
    stateless.set_weights(model.get_weights()[:5])
    found = KerasClassifier(model).read_states(X)[0]
    assert found == pytest.approx(KerasClassifier(stateless).read_states(X)[0], abs=1e-5)


def test_a_convolution_with_strides_leaves_fewer_states() -> None:
    model = free(layers.Conv1D(4, 2, strides=2), layers.GRU(4), layers.Dense(3))
    classifier = KerasClassifier(model)
    found = classifier.read_states(X)[0]
    assert found.shape == (9, 2, 3)
    assert found[:, 0] == pytest.approx(classifier.logits(X[:, :2]), abs=1e-5)


def combined(what: Callable[..., object]) -> keras.Model:
    inputs = keras.Input((5, 3))
    return keras.Model(inputs, layers.Dense(3)(what(inputs)))


def beside_the_mean(x: object) -> object:
    return layers.Concatenate()([layers.GRU(4)(x), layers.GlobalAveragePooling1D()(x)])


def behind_the_mean(x: object) -> object:
    mean = layers.RepeatVector(5)(layers.GlobalAveragePooling1D()(x))
    return layers.GRU(4)(layers.Concatenate()([x, mean]))


def called_twice(x: object) -> object:
    gru = layers.GRU(4)
    return layers.Add()([gru(x), gru(layers.Rescaling(2.0)(x))])


UNREADABLE: dict[str, Callable[..., object]] = {
    "no recurrent layer of Keras's": layers.Flatten(),
    r"every recurrent layer \('g'\) returns all its states": lambda x: layers.Flatten()(
        layers.GRU(4, return_sequences=True, name="g")(x)
    ),
    r"2 recurrent layers that return one state \('a', 'b'\), not 1": lambda x: layers.Add()(
        [layers.GRU(4, name="a")(x), layers.LSTM(4, name="b")(x)]
    ),
    "the layer 'both' is bidirectional": lambda x: layers.GRU(4)(
        layers.Bidirectional(layers.GRU(4, return_sequences=True), name="both")(x)
    ),
    "the layer 'back' reads the sequence backwards": layers.GRU(4, go_backwards=True, name="back"),
    r"'s' returns its inner states, too \(return_state\)": lambda x: layers.LSTM(
        4, return_state=True, name="s"
    )(x)[1],
    "does not take a state alone as one example": beside_the_mean,
    "the first state of the layer '.*' changes with the last step": behind_the_mean,
    "calls its layer '.*' 2 times, expected once": called_twice,
    "at the last state of the layer '.*' it gives other logits": lambda x: layers.UnitNormalization(
        axis=0
    )(layers.GRU(4)(x)),
}


@pytest.mark.parametrize("message", UNREADABLE)
def test_a_head_that_takes_more_than_one_forward_state_is_refused(message: str) -> None:
    keras.utils.set_random_seed(0)
    classifier = KerasClassifier(combined(UNREADABLE[message]))
    with pytest.raises(ModelError, match=f"cannot be applied to every hidden state: .*{message}"):
        classifier.read_states(X)
