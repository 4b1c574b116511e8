"""Names to objects: tables of `name -> "module:object"`, so that listing a name imports nothing."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import os
import sys
from collections.abc import Mapping
from typing import Any

from rnnprobe.errors import DataError, RnnprobeError, UnknownNameError


def load_object(path: str) -> Any:
    """Return the object that `"package.module:name"` points to."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def unknown_name(kind: str, name: str, known: list[str], hint: str = "") -> UnknownNameError:
    """Return the error for a name that is in no table, with the nearest and all valid ones."""
    near = difflib.get_close_matches(name, known, n=1)
    did_you_mean = f" Did you mean '{near[0]}'?" if near else ""
    return UnknownNameError(
        f"Unknown {kind} '{name}'.{did_you_mean} Available: {', '.join(known)}.{hint}"
    )


def resolve(kind: str, name: str, table: Mapping[str, str]) -> Any:
    """Return what `name` stands for.

    Looked up in `table`, then in the entry points of the group `rnnprobe.<kind>s` (spaces as
    underscores), then read as the user's own `package.module:function`.

    Args:
        kind: What is named, in the singular ("cell"), for messages and the entry point group.
        name: The name to resolve.
        table: Known names and the objects they point to.

    Raises:
        UnknownNameError: No table, entry point or module has the name.
    """
    if name in table:
        return load_object(table[name])
    if ":" in name:
        return _load_users_object(kind, name)
    check_name(kind, name, table)
    return _entry_points(kind)[name].load()


def check_name(kind: str, name: str, table: Mapping[str, str]) -> None:
    """Refuse a name that `resolve` could not look up; the user's own are not imported.

    Raises:
        UnknownNameError: No table or entry point has the name.
    """
    if name in table or ":" in name:
        return
    known = sorted({*table, *_entry_points(kind).names})
    if name not in known:
        raise unknown_name(kind, name, known, " Your own is named as package.module:function.")


def call_users(kind: str, name: str, function: Any, *arguments: Any, **options: Any) -> Any:
    """Call what `name` stands for; what goes wrong in the user's own code is called so.

    Raises:
        DataError: The user's own function failed.
    """
    if ":" not in name:
        return function(*arguments, **options)
    try:
        return function(*arguments, **options)
    except RnnprobeError:
        raise
    except Exception as exc:
        raise DataError(f"The {kind} '{name}' failed: {type(exc).__name__}: {exc}") from exc


def _entry_points(kind: str) -> importlib.metadata.EntryPoints:
    return importlib.metadata.entry_points(group=f"rnnprobe.{kind.replace(' ', '_')}s")


def _load_users_object(kind: str, name: str) -> Any:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return load_object(name)
    except (ImportError, AttributeError, ValueError) as exc:
        raise UnknownNameError(
            f"Cannot load {kind} '{name}': {exc}. Expected package.module:function, "
            "importable from here."
        ) from exc
