"""The rules of the house: who imports whom, what is public, what --help loads."""

from __future__ import annotations

import ast
import doctest
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import rnnprobe
from rnnprobe.cli import COMMANDS

PACKAGE = Path(rnnprobe.__file__).parent

# A module may import modules of its own row and of the rows above it.
ROWS = (
    ("errors", "records", "specs", "protocols", "statistics", "table", "journal", "_registry",
     "_fields", "_files", "_text", "_archive", "_versions", "optimizers", "losses", "paired",
     "__init__"),
    ("datasets", "attacks"),
    ("backend", "cells", "baselines", "_batches", "_signature", "_states", "_tracing"),
    ("models",),
    ("classifier",),
    ("programs", "evaluation"),
    ("training", "opening", "prediction"),
    ("confusions", "inspection", "hardening"),
    ("search",),
    ("experiments",),
    ("reports",),
    ("cli", "__main__"),
)  # fmt: skip
LEAVES = {"rnnprobe.search.space": "cells", "rnnprobe.search": "cells"}
"""Modules of plain data and the standard library, which the command line reads for --help."""


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."), path


def row_of(module: str) -> int:
    name = LEAVES.get(module.removesuffix(".__init__"), module.removeprefix("rnnprobe."))
    first = name.split(".")[0]
    return next(number for number, row in enumerate(ROWS) if first in row)


def imports_of(path: Path) -> Iterator[str]:
    """Return what a module imports, also inside functions, but not for types alone."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize(("name", "path"), list(modules()), ids=[name for name, _ in modules()])
def test_modules_import_only_rows_above(name: str, path: Path) -> None:
    own = row_of(f"rnnprobe.{name}")
    for imported in imports_of(path):
        if imported == "rnnprobe" or not imported.startswith("rnnprobe"):
            continue
        assert row_of(imported) <= own, f"{name} imports {imported}"


def test_only_backend_imports_tensorflow_and_only_search_imports_keras_tuner() -> None:
    for name, path in modules():
        roots = {imported.split(".")[0] for imported in imports_of(path)}
        assert "tensorflow" not in roots or name == "backend"
        assert "keras_tuner" not in roots or name.startswith("search.")


def test_nobody_imports_the_command_line() -> None:
    for name, path in modules():
        if not name.startswith("cli") and name != "__main__":
            assert not any(imported.startswith("rnnprobe.cli") for imported in imports_of(path))


def test_public_names_exist_and_have_docstrings_with_an_example() -> None:
    assert rnnprobe.__all__ == sorted(rnnprobe.__all__)
    for name in rnnprobe.__all__:
        assert ">>> " in getattr(rnnprobe, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = rnnprobe.nothing


@pytest.mark.parametrize("name", [name for name, _ in modules() if name != "__main__"])
def test_examples_in_docstrings_run(name: str) -> None:
    module = importlib.import_module(f"rnnprobe.{name}".removesuffix(".__init__"))
    assert doctest.testmod(module).failed == 0


HELP = [[], *([command] for command in COMMANDS), *(["data", sub] for sub in ("check", "show"))]


@pytest.fixture(scope="module")
def started() -> set[str]:
    """What a virtual environment's own start-up files import, which is not ours."""
    code = "import sys; print(*{m.partition('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("arguments", HELP, ids=" ".join)
def test_help_imports_only_click_and_the_standard_library(
    arguments: list[str], started: set[str]
) -> None:
    code = (
        "import sys\n"
        "from rnnprobe.cli import run\n"
        f"assert run({[*arguments, '--help']}) == 0\n"
        "top = {m.partition('.')[0] for m in sys.modules} - set(sys.stdlib_module_names)\n"
        "print('LOADED', *sorted(m for m in top if not m.startswith('_')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.rsplit("LOADED", 1)[1].split())
    assert loaded - started == {"click", "rnnprobe"}
    assert "Usage: rnnprobe" in done.stdout


def test_every_command_and_option_has_help_and_every_command_is_in_the_readme() -> None:
    import click

    from rnnprobe.cli import cli as group

    readme = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
    context = click.Context(group)
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        assert command.help
        assert f"rnnprobe {name}" in readme
        subcommands = command.commands.values() if isinstance(command, click.Group) else [command]
        for one in subcommands:
            for parameter in one.params:
                if isinstance(parameter, click.Option):
                    assert parameter.help, f"{name} {parameter.name}"
