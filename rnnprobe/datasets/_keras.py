"""The data sets that `keras.datasets` downloads once."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from rnnprobe.datasets._raw import VALIDATION_HEAD, RawData, RawSplit
from rnnprobe.errors import DataError


def keras_home() -> Path:
    """Return the folder of Keras's cache."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()


def keep_wrong_file(file_name: str, checksum: str) -> None:
    """Refuse a cached file of another checksum before Keras sees it, since Keras would delete it.

    Args:
        file_name: Below the folder `datasets` of Keras's cache.
        checksum: SHA-256 of the right file, hexadecimal.

    Raises:
        DataError: A file is there and is another one.
    """
    path = keras_home() / "datasets" / file_name
    if not path.is_file():
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != checksum:
        raise DataError(
            f"'{path}' has the sha256 {found}, expected {checksum}; move it away, or use it as it "
            "is by --data PATH."
        )


def load_keras(
    name: str, class_names: tuple[str, ...], files: str, checksums: Mapping[str, str] | None = None
) -> RawData:
    """Return one of Keras's picture data sets; the first 5,000 training images are validation.

    Args:
        name: Our name; Keras's has underscores.
        class_names: Names in the order of the labels.
        files: Which file Keras looks for and where, for the error without a network.
        checksums: SHA-256 by name of the cached files that Keras would delete if they differ.

    Raises:
        DataError: The data set is not cached and cannot be downloaded.
    """
    for file_name, checksum in (checksums or {}).items():
        keep_wrong_file(file_name, checksum)
    module = importlib.import_module(f"keras.datasets.{name.replace('-', '_')}")
    try:
        with contextlib.redirect_stdout(sys.stderr):
            (x_train, y_train), (x_test, y_test) = module.load_data()
    except Exception as exc:  # Keras raises plain Exception when a download fails
        reason = (str(exc).splitlines() or [type(exc).__name__])[0]
        raise DataError(
            f"Cannot load '{name}': {reason}. Without a network put {files} "
            "(KERAS_HOME instead of ~/.keras where set), or give a file by --data PATH.npz."
        ) from exc
    parts = {
        "train": RawSplit(x_train, y_train.reshape(-1)),
        "test": RawSplit(x_test, y_test.reshape(-1)),
    }
    return RawData(name, parts, class_names, validation_head=VALIDATION_HEAD)
