"""The one module that may import tensorflow (or jax, torch)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def make_deterministic() -> None:
    """Let equal seeds give equal numbers, also where TensorFlow sums in parallel."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of arrays as one compiled graph; on other backends as it is."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, reduce_retracing=True)  # type: ignore[no-any-return]
    return function
