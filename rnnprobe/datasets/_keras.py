"""The data sets that `keras.datasets` downloads once."""

from __future__ import annotations

import contextlib
import importlib
import sys

from rnnprobe.datasets._raw import RawData, RawSplit
from rnnprobe.errors import DataError

VALIDATION_HEAD = 5000  # as TensorFlow 1's MNIST loader split it, which the experiments used


def load_keras(name: str, class_names: tuple[str, ...], files: str) -> RawData:
    """Return one of Keras's picture data sets; the first 5,000 training images are validation.

    Args:
        name: Our name; Keras's has underscores.
        class_names: Names in the order of the labels.
        files: Which file Keras looks for and where, for the error without a network.

    Raises:
        DataError: The data set is not cached and cannot be downloaded.
    """
    module = importlib.import_module(f"keras.datasets.{name.replace('-', '_')}")
    try:
        with contextlib.redirect_stdout(sys.stderr):
            (x_train, y_train), (x_test, y_test) = module.load_data()
    except Exception as exc:  # Keras raises plain Exception when a download fails
        reason = str(exc).splitlines()[0]
        raise DataError(
            f"Cannot load '{name}': {reason}. Without a network put {files} "
            "(KERAS_HOME instead of ~/.keras where set), or give a file by --data PATH.npz."
        ) from exc
    parts = {
        "train": RawSplit(x_train, y_train.reshape(-1)),
        "test": RawSplit(x_test, y_test.reshape(-1)),
    }
    return RawData(name, parts, class_names, validation_head=VALIDATION_HEAD)
