"""The one module that may import tensorflow (or jax, torch)."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnprobe.errors import ModelError
from rnnprobe.records import Array, Split

if TYPE_CHECKING:
    import keras

_LINUX = sys.platform.startswith("linux")

TrainSteps = Callable[[Array], tuple[Array, Array]]


def make_deterministic() -> None:
    """Let equal seeds give equal numbers, also where TensorFlow sums in parallel."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def compiled(function: Callable[..., Any], *, free_steps: bool = False) -> Callable[..., Any]:
    """Return a function of arrays, or None in place of one, as one compiled graph.

    It is traced once for all numbers of examples and may be called by several threads. On other
    backends than TensorFlow the function is returned as it is.

    Args:
        function: Of arrays whose first axis is that of the examples.
        free_steps: Whether one trace serves all sizes of the second axis, too.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    # As in Keras's own `predict`, Python's `if` and `for` are not rewritten for tensors.
    traced = tf.function(function, reduce_retracing=True, autograph=False)

    def any_number(array: Array | None) -> Any:
        if array is None:
            return None
        steps = (None,) if free_steps and array.ndim > 1 else array.shape[1:2]
        return tf.TensorSpec((None, *steps, *array.shape[2:]), array.dtype)

    programs: dict[tuple[Any, ...], Any] = {}

    def call(*arrays: Array | None) -> Any:
        signature = tuple(map(any_number, arrays))
        if signature not in programs:  # to look it up in `traced` takes longer than a small batch
            programs[signature] = traced.get_concrete_function(*signature)
        given = (tf.constant(array) for array in arrays if array is not None)
        return programs[signature](*given)

    return call


def input_gradient(
    forward: Callable[..., Any], slope: Callable[..., Any], embeddings: Any = None
) -> Callable[..., Any]:
    """Return a function of examples, their mask or None, and more arrays, to be compiled.

    It returns what `forward` makes of examples and mask, and the gradient, with respect to the
    examples, of what changes with `forward` as `slope(outputs, *arrays)` says.

    Args:
        forward: Of examples and mask.
        slope: Of the outputs and the arrays; returns the gradient with respect to the outputs.
        embeddings: Where the examples are tokens: the Keras variable that they are looked up in;
            the gradient is then that of what was looked up, one row a token.

    Raises:
        ModelError: Another Keras backend than TensorFlow runs.
    """
    _require_tensorflow("Gradients")
    import tensorflow as tf

    def gradient(x: Any, mask: Any, *arrays: Any) -> tuple[Any, Any]:
        source = x if embeddings is None else embeddings.value
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(source)
            outputs = forward(x, mask)
        found = tape.gradient(
            outputs, source, slope(outputs, *arrays), unconnected_gradients="zero"
        )
        return outputs, found.values if isinstance(found, tf.IndexedSlices) else found

    return gradient


def tapped_gradients(function: Callable[..., tuple[Any, Any]]) -> tuple[Any, list[Any], Any]:
    """Return what a function makes, and how its first part changes with what it tapped on the way.

    To be called while a graph is traced. The function gets `tap`, which returns the tensor that it
    is given, as it is, and has its gradient taken.

    Args:
        function: Of `tap`; returns what is differentiated, and anything else.

    Returns:
        Its first part, one gradient a tap in the order of their calls, 0 where nothing depends on
        it, and the rest.

    Raises:
        ModelError: Another Keras backend than TensorFlow runs.
    """
    _require_tensorflow("Gradients")
    import tensorflow as tf

    tapped: list[Any] = []
    with tf.GradientTape(watch_accessed_variables=False) as tape:

        def tap(tensor: Any) -> Any:
            tapped.append(tf.identity(tensor))
            tape.watch(tapped[-1])
            return tapped[-1]

        value, rest = function(tap)
    return value, tape.gradient(value, tapped, unconnected_gradients="zero"), rest


def weight_update(
    model: keras.Model,
    forward: Callable[..., Any],
    loss: Callable[..., Any],
    optimizer: keras.optimizers.Optimizer,
) -> Callable[[Array, Array | None, Array], float]:
    """Return a compiled function of examples, their mask or None, and classes: one update.

    It gives the loss before the update, with the model's own penalties on its weights.

    Args:
        model: Its trainable weights are updated.
        forward: Of examples and mask; returns the logits as in training.
        loss: Of the classes and the logits; returns the mean over the examples.
        optimizer: Built for the model's trainable weights.

    Raises:
        ModelError: Another Keras backend than TensorFlow runs.
    """
    _require_tensorflow("Updates")
    import tensorflow as tf

    def update(x: Any, mask: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            value = loss(y, forward(x, mask))
            value = tf.add_n([value, *model.losses])
        weights = model.trainable_variables
        gradients = tape.gradient(value, [weight.value for weight in weights])
        optimizer.apply_gradients(list(zip(gradients, weights, strict=True)))
        return value

    run = compiled(update)
    return lambda x, mask, y: float(run(x, mask, y))


def _require_tensorflow(what: str) -> None:
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ModelError(
            f"{what} need Keras's TensorFlow backend, but this is '{keras.backend.backend()}'; "
            "set KERAS_BACKEND=tensorflow."
        )


def num_cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def use_threads(number: int) -> None:
    """Let one operation of TensorFlow use at most so many threads; before the first one only."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(number)
        tf.config.threading.set_inter_op_parallelism_threads(number)


def resident(split: Split) -> Any:
    """Return the examples of a part as `train_steps` wants them, to be shared by many models."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return split
    import tensorflow as tf

    with tf.device("CPU"):  # the whole training part may not fit the memory of a GPU
        return tf.nest.map_structure(tf.constant, (split.inputs, split.y))


def train_steps(
    model: keras.Model,
    examples: Any,
    class_weights: Mapping[int, float] | None,
    *,
    fuse: bool = False,
) -> TrainSteps:
    """Return the function that updates a compiled model, several steps a call.

    On TensorFlow the steps, and the choice of their examples, are one compiled graph: no Python
    runs between two updates. On other backends Keras trains batch by batch.

    Args:
        model: Compiled, of logits.
        examples: What it is trained on, from `resident`.
        class_weights: Weight of each class in the loss, or None.
        fuse: Let XLA fuse the operations of a step, where the model's only are such as it knows
            and no GPU is there, whose own recurrent kernels are faster.

    Returns:
        A function of int32 (num_steps, batch_size), the examples of each step, -1 for none, that
        returns float32 (num_steps,), the loss of each batch, and int32 (num_steps,), how many of
        its examples were right, both before the update.
    """
    import keras

    weights = None
    if class_weights is not None:
        weights = np.array([class_weights[label] for label in range(len(class_weights))], "float32")
    if keras.backend.backend() == "tensorflow":
        return _tensorflow_steps(model, examples, weights, fuse=fuse)
    return lambda order: _steps_by_keras(model, examples, weights, order)


def _tensorflow_steps(
    model: keras.Model, examples: Any, weights: Array | None, *, fuse: bool
) -> TrainSteps:
    import tensorflow as tf

    weight_of = None if weights is None else tf.constant(weights)

    def update(x: Any, y: Any, weight: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = model.compute_loss(x, y, logits, weight, training=True)
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_weights)
        model.optimizer.apply_gradients(list(zip(gradients, model.trainable_weights, strict=True)))
        return loss, tf.argmax(logits, axis=1, output_type=tf.int32) == y

    if fuse and not tf.config.list_physical_devices("GPU"):
        update = tf.function(update, jit_compile=True, autograph=False)

    def step(rows: Any) -> tuple[Any, Any]:
        # A batch is filled up with examples of no weight: another shape were another program.
        there = rows >= 0
        x, y = tf.nest.map_structure(lambda array: tf.gather(array, tf.maximum(rows, 0)), examples)
        share = tf.size(rows) / tf.math.count_nonzero(there, dtype=tf.int32)
        weight = tf.where(there, tf.cast(share, tf.float32), 0.0)
        if weight_of is not None:
            weight *= tf.gather(weight_of, y)
        loss, right = update(x, y, weight)
        return loss, tf.math.count_nonzero(right & there, dtype=tf.int32)

    def steps(order: Any) -> tuple[Any, Any]:
        num_steps = tf.shape(order)[0]

        def advance(index: Any, losses: Any, hits: Any) -> tuple[Any, Any, Any]:
            loss, right = step(order[index])
            losses = losses.write(index, tf.cast(loss, tf.float32))
            return index + 1, losses, hits.write(index, right)

        empty = (tf.TensorArray(tf.float32, num_steps), tf.TensorArray(tf.int32, num_steps))
        _, losses, hits = tf.while_loop(
            lambda index, *_: index < num_steps, advance, (tf.constant(0), *empty)
        )
        return losses.stack(), hits.stack()

    traced = tf.function(steps, autograph=False).get_concrete_function(
        tf.TensorSpec((None, None), tf.int32)
    )

    def run(order: Array) -> tuple[Array, Array]:
        losses, hits = traced(tf.constant(order, tf.int32))
        return losses.numpy(), hits.numpy()

    return run


def _steps_by_keras(
    model: keras.Model, split: Split, weights: Array | None, order: Array
) -> tuple[Array, Array]:
    losses, hits = [], []
    for filled in order:
        rows = filled[filled >= 0]
        batch = split.take(rows)
        sample_weight = None if weights is None else weights[batch.y]
        model.reset_metrics()
        logs = model.train_on_batch(batch.inputs, batch.y, sample_weight, return_dict=True)
        losses.append(float(logs["loss"]))
        hits.append(round(float(logs["accuracy"]) * len(rows)))
    return np.array(losses, "float32"), np.array(hits, "int32")


def reset_peak_memory() -> None:
    """Count the peak of `peak_memory` from here on, where the system can: Linux."""
    with contextlib.suppress(OSError):  # a container may forbid it
        if _LINUX:
            Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> float | None:
    """Return the largest resident memory of this process in MB; None where it is not known."""
    if _LINUX:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 2**10
    try:
        import resource
    except ImportError:  # Windows
        return None
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 2**20  # macOS: bytes
