"""What a result was made with."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from pathlib import Path

from rnnprobe import __version__


def versions() -> dict[str, str]:
    """Return the versions of rnnprobe, Keras and what Keras runs on, by package name."""
    keras = sys.modules.get("keras")
    loaded = keras.backend.backend() if keras else None
    backend = loaded or chosen_backend()
    return {"rnnprobe": __version__, "keras": _version("keras"), backend: _version(backend)}


def chosen_backend() -> str:
    """Return the backend that Keras will take: that of KERAS_BACKEND, or of its keras.json."""
    named = os.environ.get("KERAS_BACKEND")
    if named:
        return named
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    try:
        settings = json.loads((home / "keras.json").read_text("utf-8"))
        return str(settings.get("backend", "tensorflow"))
    except (OSError, ValueError, AttributeError):  # none, or what Keras itself cannot read
        return "tensorflow"


def made_by() -> str:
    """Return the last line of every report, by which its file is known as ours."""
    return "Made by " + ", ".join(f"{name} {version}" for name, version in versions().items())


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
