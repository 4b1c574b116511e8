"""The metadata that rnnprobe adds to an archive, of Keras or NumPy: one more entry of it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnprobe._files import METADATA_ENTRY, atomic_path
from rnnprobe.errors import ModelError

SCHEMA = "rnnprobe.model/1"


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
    except (OSError, zipfile.BadZipFile, ValueError) as exc:
        raise ModelError(
            f"Cannot read '{path}' as a Keras archive: {exc}. "
            "Expected a file written by model.save('name.keras')."
        ) from exc
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ModelError(
            f"The rnnprobe.json inside '{path}' is not of schema {SCHEMA}; "
            "it was damaged or written by another version of rnnprobe."
        )
    return document
