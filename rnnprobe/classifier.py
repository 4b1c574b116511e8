"""Any Keras model as a `Classifier`: logits for a batch of sequences."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from rnnprobe._batches import each_batch, explained, in_batches
from rnnprobe._signature import (
    ACTIVATIONS,
    Output,
    activated_head,
    declared_output,
    declared_width,
    embedding_layer,
    fit_shape,
    input_specs,
    mask_makers,
    observed_output,
    to_logits,
)
from rnnprobe._states import read_states
from rnnprobe._tracing import recording, without_activation
from rnnprobe.backend import compiled, input_gradient, weight_update
from rnnprobe.errors import DataError, ModelError
from rnnprobe.losses import Loss
from rnnprobe.records import Array, Predictions, Split


class KerasClassifier:
    """A Keras model that returns one score per class, whoever built it.

    Args:
        model: Sequential, functional or subclassed; built. Its one input is the sequence, or it
            has a second one, of type bool: the mask. Where its input has axes of size 1 more or
            less (28x28x1 for 28x28), examples are reshaped.
        output: What the model returns: `logits`, `softmax` probabilities, one `sigmoid`
            probability, or one `logit` of the second class. None finds out from the last layer's
            activation or the compiled loss, else from the first outputs: rows that are
            probabilities and sum to 1 are `softmax`.
        image_shape: (height, width, channels) where examples are pictures laid out in rows, so
            that a model that takes pictures may have them.
        batch_size: Examples per forward pass.

    Attributes:
        num_classes: The number of outputs, or 2 where the model has one.

    Raises:
        ModelError: The output is not one vector per example.

    Example:
        >>> import rnnprobe
        >>> classifier = rnnprobe.KerasClassifier(model)           # doctest: +SKIP
        >>> classifier.logits(dataset.test.x).shape                # doctest: +SKIP
        (500, 10)
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        output: Output | None = None,
        image_shape: tuple[int, int, int] | None = None,
        batch_size: int = 512,
    ) -> None:
        self.model = model
        self.batch_size = batch_size
        self._image_shape = image_shape
        self._inputs = input_specs(model)
        self._takes_mask = len(self._inputs) == 2
        self._width: int | None = declared_width(model)
        self._head = activated_head(model) if output in (None, *ACTIVATIONS.values()) else None
        self._output = output or declared_output(model)
        if self._head is not None:
            self._output = "logit" if self._width == 1 else "logits"
        self._mask_makers = mask_makers(model)
        free_steps = bool(self._inputs) and self._inputs[0][1][:1] == (None,)
        self._compiled = functools.partial(compiled, free_steps=free_steps)
        self._forward = self._compiled(lambda x, mask: self._call(x, mask))
        self._masks = self._compiled(self._record_masks)
        self._gradients: dict[tuple[type[Loss], bool], Callable[..., Any]] = {}

    @property
    def head(self) -> Any:
        """The layer whose softmax, or single sigmoid, is left out for the logits; None if none."""
        return self._head

    @property
    def ignores_masks(self) -> bool:
        """Whether `predict` has no way to take the data's mask: no input for it, no `Masking`."""
        return not self._takes_mask and not self._mask_makers

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        if self._width is None:
            raise ModelError(
                "The number of outputs of a subclassed model is known after its first prediction."
            )
        return max(self._width, 2)

    def logits(self, x: Array, mask: Array | None = None) -> Array:
        """Return float32 (num_examples, num_classes).

        Of probabilities the logarithm is returned, which is the logits up to a constant per
        example; of a single output z the two logits 0 and z.

        Args:
            x: float32 (num_examples, num_steps, num_features) or int32 (num_examples, num_steps).
            mask: bool (num_examples, num_steps), True at the steps that count; None: all.

        Raises:
            DataError: The examples do not fit the model's input.
            ModelError: The model does not return one vector per example.
        """
        return self._as_logits(self._run(self._forward, x, mask)[0])

    def loss_gradient(self, x: Array, loss: Loss, mask: Array | None = None) -> tuple[Array, Array]:
        """Return the logits, and how each example's loss changes with its own values.

        The gradient passes the model as it is when it predicts, without dropout, and from the
        logits of a softmax or sigmoid where the last layer has one. It is compiled once per kind
        of loss; batches are shared among the processor's cores.

        Args:
            x: As for `logits`.
            loss: A record of `rnnprobe.losses`, one label an example.
            mask: As for `logits`.

        Returns:
            float32 (num_examples, num_classes), and float32 like `x`; of tokens (num_examples,
            num_steps, embedding_size), at the embedding, 0 at what is no part of it.

        Raises:
            DataError: The examples do not fit the model's input.
            ModelError: The model returns what is no number, or its embedding cannot be found.

        Example:
            >>> from rnnprobe.losses import CrossEntropy
            >>> logits, gradient = classifier.loss_gradient(x, CrossEntropy(y))  # doctest: +SKIP
        """
        if self._output is None:
            self.logits(x, mask)
        tokens = np.issubdtype(x.dtype, np.integer)
        key = (type(loss), tokens)
        if key not in self._gradients:
            self._gradients[key] = self._compiled(
                input_gradient(
                    lambda *given: to_logits(keras.ops, self._call(*given), self._output),
                    lambda logits, *arrays: loss.logit_gradient(keras.ops, logits, *arrays),
                    embedding_layer(self.model).embeddings if tokens else None,
                )
            )
        logits, gradient = self._run(self._gradients[key], x, mask, *loss.arrays, threads=True)
        self._check(logits)
        if not tokens:
            return logits, gradient.reshape(x.shape)
        size = embedding_layer(self.model).output_dim
        if gradient.size != x.size * size:
            raise ModelError("The model looks its tokens up more than once; no gradient for them.")
        return logits, gradient.reshape(*x.shape, size)

    def update_step(
        self, optimizer: keras.optimizers.Optimizer
    ) -> Callable[[Array, Array, Array | None], float]:
        """Return a compiled function that trains the model itself by one step.

        It takes examples and mask as `logits` does, with int32 (num_examples,) classes between
        them, and returns the loss before the step: the mean cross-entropy of the logits, with
        dropout, and the model's own penalties on its weights.

        Args:
            optimizer: Built for the model's trainable weights.

        Raises:
            ModelError: Another Keras backend than TensorFlow runs.

        Example:
            >>> optimizer = keras.optimizers.Adam()                # doctest: +SKIP
            >>> optimizer.build(model.trainable_variables)         # doctest: +SKIP
            >>> loss = classifier.update_step(optimizer)(x, y, None)  # doctest: +SKIP
        """
        call = weight_update(
            self.model,
            lambda *given: to_logits(keras.ops, self._call(*given, training=True), self._output),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            optimizer,
        )

        def step(x: Array, y: Array, mask: Array | None) -> float:
            if self._output is None:
                self.logits(x, mask)
            inputs, given_mask = self._arguments(x, mask)
            with explained(x, mask):
                return call(inputs, given_mask, y)

        return step

    def embedding_matrix(self) -> Array:
        """Return float32 (num_tokens, embedding_size), what the model looks its tokens up in.

        Raises:
            ModelError: The model has no embedding, or several.
        """
        return np.asarray(keras.ops.convert_to_numpy(embedding_layer(self.model).embeddings))

    def counted_steps(self, x: Array, mask: Array | None = None) -> Array:
        """Return bool (num_examples, num_steps), True at the steps that count for the model.

        Those of the mask, and of what the model itself leaves out (`Masking`, or a layer of the
        user's that computes a mask). Of tokens 0 is padding in any case.

        Args:
            x: As for `logits`.
            mask: As for `logits`.
        """
        counted = np.ones(x.shape[:2], bool) if mask is None else np.array(mask)
        if x.ndim == 2:
            counted &= x != 0
        if self._mask_makers:
            for found in self._run(self._masks, x, mask):
                if found.shape == counted.shape:
                    counted &= found
        return counted

    def read_states(
        self, x: Array, mask: Array | None = None, *, logits: Array | None = None
    ) -> tuple[Array, Array]:
        """Return the logits that the model's own head gives for every state, and which count.

        All hidden states of the last recurrent layer pass what follows it, one by one as if each
        were the last. The head was trained on the last state alone: what it gives for an earlier
        one is what the model would answer if the sequence ended there.

        Args:
            x: As for `logits`.
            mask: As for `logits`.
            logits: What `logits` returned of these examples, where it is known; saves a pass.

        Returns:
            float32 (num_examples, num_states, num_classes), a state a step, fewer where a layer
            before it shortens the sequence; at the last state that counts they are `logits`, at
            one that does not they mean nothing. And bool (num_examples, num_states), True at the
            states that the layer is told to read: padding that the model does not mask counts.

        Raises:
            DataError: The examples do not fit the model's input.
            ModelError: The head takes more than one state of one forward recurrent layer.
        """
        final = self.logits(x, mask) if logits is None else logits
        return read_states(self, x, mask, final)

    def observer(
        self, body: Callable[..., Any], *, batch_size: int | None = None
    ) -> Callable[..., Iterator[tuple[Array, Any]]]:
        """Return a function that finds something out, in one graph, while the model predicts.

        It takes examples and mask as `logits` does, and more arrays of one row an example; it
        yields, batch by batch, int64 (num_rows,) indices and what `body` returned. It raises
        DataError where the examples do not fit the model's input.

        Args:
            body: Is traced with `forward`, which makes the logits of a batch of examples and its
                mask or None; with such a batch and mask; with batches of the other arrays; and
                with bool (batch_size,), False at what only fills a batch up for a model of one
                batch size. Layers may do something else while it calls `forward`. Returns tensors
                in any nest.
            batch_size: Examples in a batch, at most; None: as many as `logits` takes.
        """

        def forward(*given: Any) -> Any:
            return to_logits(keras.ops, self._call(*given), self._output)

        run = self._compiled(functools.partial(body, forward))

        def observe(x: Array, mask: Array | None, *arrays: Array) -> Iterator[tuple[Array, Any]]:
            if self._output is None:
                self.logits(x[:1], None if mask is None else mask[:1])
            given = [*self._arguments(x, mask), *arrays]
            with explained(x, mask):
                yield from each_batch(run, given, self.model, size=batch_size or self.batch_size)

        return observe

    def _as_logits(self, scores: Array) -> Array:
        if scores.ndim != 2 or scores.shape[1] < 1:
            raise ModelError(
                f"The model returns {scores.shape}, expected (num_examples, num_classes): one "
                "vector per example (is return_sequences set in the last recurrent layer?)."
            )
        self._check(scores)
        self._width = scores.shape[1]
        self._output = self._output or observed_output(scores)
        return np.asarray(to_logits(np, scores.astype(np.float32), self._output))

    def _check(self, scores: Array) -> None:
        if not np.isfinite(scores).all():
            raise ModelError("The model returns NaN or infinite values; it cannot be judged.")

    def own_predictions(self, x: Array, mask: Array | None = None) -> Array:
        """Return int64 (num_examples,), the classes by the model's own `predict`, unchanged.

        Args:
            x: As for `logits`.
            mask: As for `logits`.
        """
        inputs, mask = self._arguments(x, mask)
        if mask is not None and not self._takes_mask:  # which `predict` has no way to take
            outputs = self.model(inputs, mask=mask, training=False)
        else:
            outputs = self.model.predict(self._inputs_of(inputs, mask), verbose=0)
        scores = np.asarray(keras.ops.convert_to_numpy(outputs))
        if scores.shape[1] > 1:
            return np.asarray(scores.argmax(axis=1))
        is_logit = self._head is None and self._output == "logit"
        return np.asarray(scores[:, 0] > (0 if is_logit else 0.5)).astype(np.int64)

    def predict(self, split: Split, class_names: tuple[str, ...]) -> Predictions:
        """Return the probabilities for one part of a data set.

        Raises:
            DataError: The part has another number of classes or another shape than the model.
        """
        return self.as_predictions(self.logits(split.x, split.mask), split, class_names)

    def as_predictions(
        self, logits: Array, split: Split, class_names: tuple[str, ...]
    ) -> Predictions:
        """Return what `predict` does, of logits that are known already.

        Raises:
            DataError: The part has another number of classes than the model.
        """
        if logits.shape[1] != len(class_names):
            raise DataError(
                f"The model tells {logits.shape[1]} classes apart, but the data has "
                f"{len(class_names)}."
            )
        shifted = logits.astype(np.float64)
        exponentials = np.exp(shifted - shifted.max(axis=1, keepdims=True))
        return Predictions(
            split.y, exponentials / exponentials.sum(axis=1, keepdims=True), class_names
        )

    def _arguments(self, x: Array, mask: Array | None) -> tuple[Array, Array | None]:
        if mask is None and self._takes_mask:
            mask = np.ones(x.shape[:2], dtype=bool)
        expected = self._inputs[0][1] if self._inputs else x.shape[1:]
        return fit_shape(x, expected, self._image_shape), mask

    def _run(
        self,
        function: Callable[..., Any],
        x: Array,
        mask: Array | None,
        *arrays: Array,
        threads: bool = False,
    ) -> list[Array]:
        """Return what a compiled function makes of the examples, batch by batch."""
        given = [*self._arguments(x, mask), *arrays]
        with explained(x, mask):
            return in_batches(function, given, self.model, size=self.batch_size, threads=threads)

    def _record_masks(self, x: Any, mask: Any) -> list[Any]:
        found: list[Any] = []
        with contextlib.ExitStack() as stack:
            for layer in self._mask_makers:
                stack.enter_context(recording(layer, found))
            self._apply(x, mask, training=False)
        return found

    def _call(self, x: Any, mask: Any = None, *, training: bool = False) -> Any:
        with without_activation(self._head):
            # Half precision has no room for the tiny numbers that keep logarithms finite.
            return keras.ops.cast(self._apply(x, mask, training), "float32")

    def _apply(self, x: Any, mask: Any, training: bool) -> Any:
        if mask is not None and not self._takes_mask:
            with warnings.catch_warnings():
                # Keras says so of every Sequential model, and hands the mask on all the same.
                warnings.filterwarnings("ignore", ".*passed an input with a mask", UserWarning)
                return self.model(x, mask=mask, training=training)
        return self.model(self._inputs_of(x, mask), training=training)

    def _inputs_of(self, x: Any, mask: Any) -> Any:
        if not self._takes_mask:
            return x
        named = dict(zip((name for name, _ in self._inputs), (x, mask), strict=True))
        is_dict = isinstance(self.model.input, dict)
        return named if is_dict else [named[tensor.name] for tensor in self.model.inputs]
