"""What no command may do: the findings of one case."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fuzz_case import FOLDERS, OURS, OUTPUTS, Case

_MARKS = ("This is a fault of rnnprobe", "Traceback (most recent call last)")
_STATUSES = {0, 1, 2, 3}


def judge(case: Case, status: Any, out: str, err: str) -> list[str]:
    """Return what is wrong with a status and what was written to stdout and stderr."""
    found = []
    if isinstance(status, BaseException):
        return [f"raised {type(status).__name__}: {status}"]
    if status not in _STATUSES:
        found.append(f"status {status}")
    verbose = sum(
        argument.count("v") for argument in case.arguments if argument[:2] == "-v"
    ) + case.arguments.count("--verbose")
    for mark in _MARKS[: 1 if verbose > 1 else None]:
        if mark in err:
            line = next(line for line in reversed(err.splitlines()) if mark in line)
            found.append(f"on stderr: {line}")
    errors = sum(line.startswith("Error:") for line in err.splitlines())
    failed_checks = status == 2 and case.arguments[:2] == ("data", "check") and "FAIL" in out
    wanted = 1 if status in (1, 2) and not failed_checks else 0
    if "rnnprobe" in err and status == 2 and not errors and err.startswith("Usage:"):
        wanted = 0  # no arguments at all: the help
    if "-o" in case.arguments and status == 2 and not errors:
        wanted = 0  # the failed checks are in the file
    if errors != wanted and not (verbose > 1):
        found.append(f"{errors} lines begin with Error: on stderr, status {status}")
    problem = None if "--help" in case.arguments or "-h" in case.arguments else _torn(out)
    if problem:
        found.append(f"stdout is not whole: {problem}")
    return found


def _torn(text: str) -> str | None:
    """Return what is wrong with a report, which may be empty."""
    if not text:
        return None
    if not text.endswith("\n"):
        return f"it ends with {text[-40:]!r}"
    if text.startswith("{"):
        try:
            json.loads(text, parse_constant=_refuse)
        except ValueError as exc:
            return f"no JSON: {exc}"
        return None
    last = text.rstrip().splitlines()[-1]
    if text.startswith("<!doctype"):
        return None if last == "<!-- Written by rnnprobe -->" else f"the last line is {last[:60]!r}"
    if text.startswith(("**", "<!--")):
        return None if last.startswith("_Made by rnnprobe") else f"the last line is {last[:60]!r}"
    if text.startswith(("rnnprobe ", "Usage:")):
        return None
    rows = list(csv.reader(io.StringIO(text)))
    uneven = len({len(row) for row in rows}) > 1
    return f"CSV of uneven rows, beginning {text[:60]!r}" if uneven else None


def _refuse(name: str) -> None:
    raise ValueError(f"the number {name}")


def _named(case: Case) -> tuple[set[str], set[str]]:
    """Return the files, and the folders, that a case may write."""
    given = {os.path.normpath(name) for name in case.outputs}
    files, folders = set(given), {"rnnprobe-runs", *given}
    arguments = case.arguments
    for option, value in itertools.pairwise(arguments):
        if option in OUTPUTS:
            files.add(os.path.normpath(value))
        if option in FOLDERS:
            folders.add(os.path.normpath(value))
    if arguments[:1] in (("train",), ("tune",)):
        files.add("model.keras")
    return files, folders


def judge_files(
    case: Case,
    folder: Path,
    before: Mapping[str, tuple[str, bytes]],
    after: Mapping[str, tuple[str, bytes]],
    status: Any,
) -> list[str]:
    """Return what is wrong with the files that are there after a case."""
    found = []
    files, folders = _named(case)
    force = case.force or "--force" in case.arguments

    def may_write(name: str) -> bool:
        inside = any(name == f or name.startswith(f + os.sep) or f == "." for f in folders)
        above = any(f.startswith(name + os.sep) for f in folders)
        return name in files or inside or above

    for name, (kind, content) in before.items():
        if after.get(name) == (kind, content):
            continue
        if not may_write(name):
            found.append(f"changed '{name}', which is no output")
        elif kind == "file" and not force and name not in OURS and not _journal(name):
            found.append(f"replaced '{name}', which is somebody else's")
    for name, (kind, content) in after.items():
        if ".rnnprobe-" in name and name not in before:
            found.append(f"left '{name}' over")
        elif name not in before and not may_write(name):
            if "__pycache__" not in name:
                found.append(f"made '{name}', which is no output")
        elif kind == "file" and before.get(name) != (kind, content) and not _journal(name):
            problem = _broken(Path(folder, name), content)
            if problem:
                found.append(f"wrote '{name}' in part: {problem} (status {status})")
    return found


def _journal(name: str) -> bool:
    """Whether a file is one of a run folder, which grow."""
    return Path(name).name in ("experiment.json", "results.jsonl") or "/states/" in name


def _broken(path: Path, content: bytes) -> str | None:
    """Return why a file that was written is not whole."""
    if path.suffix in (".keras", ".npz"):
        try:
            with zipfile.ZipFile(path) as archive:
                bad = archive.testzip()
        except zipfile.BadZipFile as exc:
            return str(exc)
        return None if bad is None else f"entry {bad}"
    if path.suffix == ".png":
        return None if content.rstrip().endswith(b"IEND\xaeB`\x82") else "no end of a PNG"
    if not content:
        return "empty"
    return _torn(content.decode("utf-8", "backslashreplace"))
