"""The metadata that rnnprobe adds to an archive, of Keras or NumPy: one more entry of it."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnprobe._fields import (
    INTEGER,
    LISTED,
    NOTHING,
    NUMBER,
    SOURCE,
    TABLE,
    TEXT,
    TRAIN,
    Fields,
    below,
    misfit,
)
from rnnprobe._files import METADATA_ENTRY, atomic_path
from rnnprobe._text import is_utf8
from rnnprobe.errors import DataError, ModelError
from rnnprobe.specs import TrainSpec

SCHEMA = "rnnprobe.model/1"
# What zipfile, zlib and json raise for an archive whose bytes were changed.
_DAMAGED = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    ValueError,
    OverflowError,
    RuntimeError,  # encrypted, or brackets in brackets without end
)
_FIELDS: Fields = {
    "data?": TABLE,
    "data.name?": TEXT,
    "data.digest?": TEXT,
    "data.values?": LISTED,
    "data.values.*": TEXT,
    **below("data", SOURCE),
    "class_names?": LISTED,
    "class_names.*": TEXT,
    "vocabulary?": (list, NOTHING),
    "vocabulary.*": TEXT,
    "model?": TABLE,
    "model.cell?": TEXT,
    "train?": TABLE,
    **below("train", TRAIN),
    "metrics?": TABLE,
    "metrics.*": NUMBER,
    "history?": TABLE,
    "history.*": LISTED,
    "history.*.*": NUMBER,
    "versions?": TABLE,
    "preprocessing?": LISTED,
    "preprocessing.*": TEXT,
    "hardened?": TABLE,
    "hardened.schedule": TABLE,
    "hardened.schedule.seed?": INTEGER,
}
_NEEDED: Fields = {
    "data": TABLE,
    "data.digest": TEXT,
    "class_names": LISTED,
    "vocabulary": (list, NOTHING),
    "model": TABLE,
    "model.cell": TEXT,
}


def add_metadata(path: Path, metadata: Mapping[str, Any]) -> None:
    """Add the entry `rnnprobe.json` to the archive at `path`."""
    with zipfile.ZipFile(path, "a") as archive:
        document = {"schema": SCHEMA, **metadata}
        archive.writestr(METADATA_ENTRY, json.dumps(document, ensure_ascii=False, indent=1))


def save_arrays(
    path: Path, arrays: Mapping[str, Any], schema: str, metadata: Mapping[str, Any]
) -> None:
    """Write arrays as an `.npz` file, whole or not at all, with a comment that marks it as ours.

    Args:
        path: The file, replaced where there is one.
        arrays: By name.
        schema: Says what the arrays are; begins with `rnnprobe.`.
        metadata: Plain values, for the comment; left out where they take more than 64 kB.

    Raises:
        OutputError: The file cannot be written.
    """
    import numpy as np

    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **arrays)
        with zipfile.ZipFile(temporary, "a") as archive:  # a further entry would be an odd array
            comment = json.dumps({"schema": schema, **metadata}).encode()
            short = len(comment) <= zipfile.ZIP_MAX_COMMENT
            archive.comment = comment if short else json.dumps({"schema": schema}).encode()


def trained_seed(metadata: Mapping[str, Any] | None) -> int | None:
    """Return the seed of a model's last training, in which it was hardened or trained.

    Args:
        metadata: What `read_metadata` returned.

    Returns:
        None where the file does not say.
    """
    known = metadata or {}
    last = known.get("hardened", {}).get("schedule") or known.get("train") or {}
    return last.get("seed")


def check_model_file(path: Path) -> None:
    """Refuse what is no whole `.keras` file, as far as can be told without Keras.

    Raises:
        DataError: No such file, or a name that Keras cannot read.
        ModelError: The file is no Keras archive, or its metadata are damaged.
    """
    if not os.path.exists(path):  # False for a name that is too long, where `exists` raises
        raise DataError(f"There is no model file '{path}'.")
    if not is_utf8(path.name):
        raise DataError(f"The name {path.name!r} is not UTF-8; rename the model.")
    if path.is_dir() or path.suffix != ".keras":
        raise ModelError(
            f"'{path}' is no .keras file; save the model by model.save('name.keras') of Keras 3."
        )
    read_metadata(path)


def read_metadata(path: Path) -> dict[str, Any] | None:
    """Return what `add_metadata` wrote, or None for an archive without it.

    Raises:
        ModelError: The file is no Keras archive, or its entry is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "config.json" not in names:
                raise ModelError(
                    f"'{path}' is a zip file but no Keras archive: it has no config.json."
                )
            if METADATA_ENTRY not in names:
                return None
            document = json.loads(archive.read(METADATA_ENTRY))
    except _DAMAGED as exc:
        raise ModelError(
            f"Cannot read '{path}' as a Keras archive: {exc}. "
            "Expected a file written by model.save('name.keras')."
        ) from exc
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ModelError(
            f"The rnnprobe.json inside '{path}' is not of schema {SCHEMA}; "
            "it was damaged or written by another version of rnnprobe."
        )
    wrong = (
        misfit(document, _FIELDS)
        or _wrong_training(document.get("train", {}))
        or _wrong_metric(document.get("metrics", {}))
    )
    if wrong is not None:
        raise _damaged(path, wrong)
    return document


def require_whole(path: Path, metadata: Mapping[str, Any]) -> None:
    """Refuse metadata that do not say how the model's data are encoded.

    Raises:
        ModelError: Something that `rnnprobe.training.model_metadata` writes is missing.
    """
    wrong = misfit(metadata, _NEEDED)
    if wrong is not None:
        raise _damaged(path, wrong)


def _damaged(path: Path, wrong: str) -> ModelError:
    return ModelError(
        f"The rnnprobe.json inside '{path}' was damaged: {wrong}. Save the model anew by "
        "model.save() of Keras, which leaves it out."
    )


def _wrong_training(train: Mapping[str, Any]) -> str | None:
    """Return which setting is out of its range, or None."""
    known = set(TrainSpec.__dataclass_fields__)
    try:
        TrainSpec(**{name: value for name, value in train.items() if name in known})
    except ValueError as exc:
        return f"in 'train' {str(exc).rstrip('.')}"
    return None


def _wrong_metric(metrics: Mapping[str, float]) -> str | None:
    """Return which metric cannot be measured, or None."""
    for name, value in metrics.items():
        told = f"'metrics.{name}' is {value}, expected"
        if name.endswith("accuracy") and not 0 <= value <= 1:
            return f"{told} 0 to 1"
        if name in ("epoch", "test_correct") and not (value >= 0 and float(value).is_integer()):
            return f"{told} a whole number"
    return None
