"""Cells of the user's own, alone and stacked, against the same cells unrolled by hand."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from rnnprobe.classifier import KerasClassifier
from rnnprobe.inspection.gradients import gradients_through_time
from rnnprobe.inspection.reading import read_signals

NUM_EXAMPLES, STEPS, FEATURES, CLASSES = 4, 5, 2, 3


class Together(layers.Layer):
    """A cell whose state is its output, and which must be told whether it is trained."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.state_size = units

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(shape=(input_shape[-1], self.state_size))
        self.recurrent = self.add_weight(shape=(self.state_size, self.state_size))

    def call(self, inputs, states, training):
        state = ops.tanh(inputs @ self.kernel + states[0] @ self.recurrent)
        return (state / 2 if training else state), [state]


class Trained(Together):
    """As `Together`; Keras cannot stack a cell that does without a default."""

    def call(self, inputs, states, training=True):
        return super().call(inputs, states, training)


class Readout(Together):
    """A cell whose output is made from its state within the step."""

    def call(self, inputs, states):
        state, after = super().call(inputs, states, training=False)
        return ops.tanh(2 * state), after


class TwoStates(layers.LSTMCell):
    """A cell with two states, one made from the other within the step."""

    def call(self, inputs, states, training=False):
        i, f, c, o = ops.split(inputs @ self.kernel + states[0] @ self.recurrent_kernel, 4, 1)
        memory = ops.sigmoid(f) * states[1] + ops.sigmoid(i) * ops.tanh(c)
        hidden = ops.sigmoid(o) * ops.tanh(memory)
        return hidden, [hidden, memory]


def classifier_of(*cells: Any) -> KerasClassifier:
    """Return a model with weights that no symmetry hides."""
    layer = layers.RNN(cells[0] if len(cells) == 1 else list(cells), name="own")
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), layer, layers.Dense(CLASSES)])
    rng = np.random.default_rng(len(model.weights))
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape) * 0.7)
    return KerasClassifier(model)


def examples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(NUM_EXAMPLES, STEPS, FEATURES)).astype(np.float32)
    return x, rng.integers(0, CLASSES, NUM_EXAMPLES).astype(np.int32)


def nudged_step(cell: Any, inputs: Any, states: Any, nudge: dict[int, Any]) -> Any:
    """Return output and states of one cell; `nudge` is what is added to which state."""
    if type(cell) is layers.LSTMCell:
        sums = inputs @ cell.kernel + states[0] @ cell.recurrent_kernel + cell.bias
        i, f, c, o = tf.split(sums, 4, axis=1)
        memory = tf.sigmoid(f) * states[1] + tf.sigmoid(i) * tf.tanh(c) + nudge.get(1, 0)
        hidden = tf.sigmoid(o) * tf.tanh(memory) + nudge.get(0, 0)
        return hidden, [hidden, memory]
    if isinstance(cell, Together) and not isinstance(cell, Readout):
        output, after = cell(inputs, states, training=False)
    else:
        output, after = cell(inputs, states)
    return (output + nudge[0], [output + nudge[0]]) if 0 in nudge else (output, list(after))


def unrolled_norms(model: keras.Model, cell: int, state: int) -> np.ndarray:
    """Return the gradients of a state of one of the cells, float (num_examples, num_steps)."""
    (x, y), (layer, head) = examples(), model.layers
    cells = getattr(layer.cell, "cells", [layer.cell])
    sizes = [keras.tree.flatten(one.state_size) for one in cells]
    states = [[tf.zeros((len(x), size)) for size in own] for own in sizes]
    nudges = [tf.zeros((len(x), sizes[cell][state])) for _ in range(STEPS)]
    with tf.GradientTape() as tape:
        tape.watch(nudges)
        for step, nudge in enumerate(nudges):
            output = x[:, step]
            for number, one in enumerate(cells):
                added = {state: nudge} if number == cell else {}
                output, states[number] = nudged_step(one, output, states[number], added)
        losses = keras.losses.sparse_categorical_crossentropy(y, head(output), from_logits=True)
        loss = tf.reduce_sum(losses)
    return np.stack([np.linalg.norm(one, axis=1) for one in tape.gradient(loss, nudges)], axis=1)


def test_the_state_of_an_unknown_cell_is_followed_where_it_is_the_output() -> None:
    classifier = classifier_of(Together(3))
    (flow,), left_out = gradients_through_time(classifier, *examples())
    assert flow.norms == pytest.approx(unrolled_norms(classifier.model, 0, 0), rel=1e-4)
    assert (flow.state, flow.kind, left_out) == ("state", "RNN", ())


@pytest.mark.parametrize(
    ("cell", "names"), [(Readout, ["state"]), (TwoStates, ["state 1", "state 2"])]
)
def test_states_of_which_an_unknown_cell_makes_more_within_the_step_are_told(
    cell: Any, names: list[str]
) -> None:
    classifier, (x, y) = classifier_of(cell(3)), examples()
    flows, ((path, reason),) = gradients_through_time(classifier, x, y)
    assert flows == () and path == "own"
    assert reason == (
        f"{', '.join(names)}: the cell's own formula may make its output, or another state, from "
        "it within the step, which cannot be tapped"
    )
    assert [gate.name for gate in read_signals(classifier, x, outputs=False).gates] == names


def test_in_stacked_cells_each_state_keeps_its_own_gradient() -> None:
    cells = [layers.GRUCell(2), TwoStates(4), Trained(3), Readout(3), layers.LSTMCell(2)]
    classifier = classifier_of(*cells)
    flows, left_out = gradients_through_time(classifier, *examples())
    paths = [f"own/{cell.name}" for cell in cells]
    assert [path for path, _ in left_out] == [paths[1], paths[3]]
    followed = [(0, 0), (2, 0), (4, 0), (4, 1)]
    assert [flow.path for flow in flows] == [paths[cell] for cell, _ in followed]
    for flow, (cell, state) in zip(flows, followed, strict=True):
        expected = unrolled_norms(classifier.model, cell, state)
        assert expected.min() > 0
        assert flow.norms == pytest.approx(expected, rel=1e-4)
    assert not any(np.allclose(a.norms, b.norms) for a, b in itertools.combinations(flows, 2))
