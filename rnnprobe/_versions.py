"""What a result was made with."""

from __future__ import annotations

import importlib.metadata
import os
import sys

from rnnprobe import __version__


def versions() -> dict[str, str]:
    """Return the versions of rnnprobe, Keras and what Keras runs on, by package name."""
    keras = sys.modules.get("keras")
    loaded = keras.backend.backend() if keras else None
    backend = loaded or os.environ.get("KERAS_BACKEND", "tensorflow")
    return {"rnnprobe": __version__, "keras": _version("keras"), backend: _version(backend)}


def made_by() -> str:
    """Return the last line of every report, by which its file is known as ours."""
    return "Made by " + ", ".join(f"{name} {version}" for name, version in versions().items())


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
