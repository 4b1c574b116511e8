"""Types of options and arguments whose errors are ours."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import click

from rnnprobe._text import is_utf8


class _NamedPath(click.Path):
    """A path that is not empty, as `Path("")` would be the current folder, and can be a name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("got an empty name, expected a path.", param, ctx)
        if not is_utf8(str(value)):
            self.fail(f"{str(value)!r} is not UTF-8; rename it.", param, ctx)
        try:
            os.stat(value)
        except OSError as exc:
            if exc.errno in (errno.ENAMETOOLONG, errno.ELOOP):
                self.fail(f"'{value}': {exc.strerror}.", param, ctx)
        return super().convert(value, param, ctx)


class IntRange(click.IntRange):
    """As Click's, but called an integer in errors and help, not an integer range."""

    name = "integer"


class FloatRange(click.FloatRange):
    """As Click's, but called a number in errors and help, not a float range."""

    name = "number"


class Texts(click.types.StringParamType):
    """Texts that an environment variable holds several of, which may hold spaces themselves.

    Args:
        separator: What stands between two.
    """

    def __init__(self, separator: str) -> None:
        self._separator = separator

    def split_envvar_value(self, rv: str) -> list[str]:
        return [text for text in rv.split(self._separator) if text]


def path_type(**options: Any) -> click.Path:
    """Return the type of an option that names a file or folder."""
    return _NamedPath(path_type=Path, **options)
