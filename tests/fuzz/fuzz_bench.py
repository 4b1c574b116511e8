"""Runs one case of a fuzz run in this process, and says what it did that no command may do.

A finding is a sentence. A case goes on after a finding, so that one run finds all there are; what
is needed to repeat each is kept in the folder `RNNPROBE_FUZZ_KEEP`, where that is given.
"""

from __future__ import annotations

import contextlib
import csv
import faulthandler
import io
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 10.0
"""Of processor time, which a loaded machine does not stretch; of wall time ten times as many."""

OUTPUTS = ("-o", "--output", "--html", "--export", "--model-out")
FOLDERS = ("--plots", "--run-dir")
LINKS = {"link.md": "theirs.md", "dangling.md": "nowhere.md", "loop.md": "loop.md"}
"""Symbolic links that every case finds."""

_MARKS = ("This is a fault of rnnprobe", "Traceback (most recent call last)")
_STATUSES = {0, 1, 2, 3}


class TookTooLong(BaseException):  # no command's `except Exception` may catch it
    """The watchdog's."""


@dataclass(frozen=True)
class Case:
    """One call of the command line.

    Args:
        arguments: After `rnnprobe`.
        files: Content by name, written into the folder of the case before; None is a folder.
        links: Symbolic links, target by name.
        environment: Variables that are set meanwhile.
        outputs: What may be written beside what the arguments name.
        force: Whether `--force` is said elsewhere than in the arguments.
    """

    arguments: tuple[str, ...]
    files: Mapping[str, bytes | None] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    force: bool = False


@dataclass
class Tally:
    """What became of the cases of a family."""

    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    slowest: float = 0.0
    findings: dict[str, list[str]] = field(default_factory=dict)


class Bench:
    """Runs cases, each in a fresh folder that holds what `common` holds.

    Args:
        folder: Where the folders of the cases are made.
        common: Files that every case finds, by name; they are copied.
    """

    def __init__(self, folder: Path, common: Mapping[str, bytes | None]) -> None:
        self._folder, self._common = folder, common
        self._number = 0
        self.tallies: dict[str, Tally] = {}
        keep = os.environ.get("RNNPROBE_FUZZ_KEEP")
        self._keep = Path(keep).resolve() if keep else None

    def run(self, family: str, case: Case) -> int | None:
        """Run a case and note what is wrong with it; returns its status."""
        self._number += 1
        folder = self._folder / f"case-{self._number}"
        folder.mkdir()
        _lay_out(folder, {**self._common, **case.files}, {**LINKS, **case.links})
        before = snapshot(folder)
        tally = self.tallies.setdefault(family, Tally())
        started = time.process_time()
        status, out, err = _call(case, folder)
        seconds = time.process_time() - started
        tally.seconds += seconds
        tally.slowest = max(tally.slowest, seconds)
        tally.statuses[_outcome(status, err)] += 1
        reason = next((line for line in err.splitlines() if line.startswith("Error:")), "")
        tally.reasons[_signature(reason)[:90]] += bool(reason)
        found = _judge(case, status, out, err)
        found += _judge_files(case, folder, before, snapshot(folder), status)
        for finding in found:
            kept = self._kept(family, case, folder, finding, err)
            tally.findings.setdefault(_signature(finding), []).append(f"{finding}\n    {kept}")
        shutil.rmtree(folder, ignore_errors=True)
        _forget()
        return status

    def settle(self, family: str) -> None:
        """Print what became of the family's cases, and fail where something was found."""
        tally = self.tallies.get(family, Tally())
        total = tally.statuses.total()
        shares = ", ".join(
            f"{outcome} {count} ({count / max(total, 1):.0%})"
            for outcome, count in sorted(tally.statuses.items())
        )
        print(  # noqa: T201  # what the long run is made for
            f"\n{family}: {total} cases: {shares}; {tally.seconds:.0f} s of processor time, "
            f"the slowest {tally.slowest:.1f} s; {len(+tally.reasons)} different errors"
        )
        for reason, count in (+tally.reasons).most_common(8):
            print(f"    {count} times {reason}")  # noqa: T201
        if tally.findings:
            listed = "\n".join(
                f"{len(cases)} times: {cases[0]}" for cases in tally.findings.values()
            )
            raise AssertionError(f"{family}: {len(tally.findings)} findings\n{listed}")

    def _kept(self, family: str, case: Case, folder: Path, finding: str, err: str) -> str:
        line = "rnnprobe " + " ".join(map(shlex.quote, case.arguments))
        if case.environment:
            line = f"{dict(case.environment)} {line}"
        if self._keep is None:
            return line
        signature = re.sub(r"\W+", "-", _signature(finding))[:60]
        target = self._keep / f"{family}-{signature}"
        if not target.exists():
            _lay_out(target, {**self._common, **case.files}, case.links, parents=True)
            text = f"{line}\n\n{finding}\n\n{err}\n"
            (target / "FINDING.txt").write_text(text, "utf-8", "backslashreplace")
        return f"{line}  [{target}]"


def snapshot(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Return kind and content of everything below a folder, by its path."""
    found: dict[str, tuple[str, bytes]] = {}
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(root, name)
            relative = str(path.relative_to(folder))
            if path.is_symlink():
                found[relative] = ("link", os.readlink(path).encode("utf-8", "surrogateescape"))
            elif path.is_dir():
                found[relative] = ("folder", b"")
            else:
                found[relative] = ("file", path.read_bytes())
    return found


def _lay_out(
    folder: Path,
    files: Mapping[str, bytes | None],
    links: Mapping[str, str],
    *,
    parents: bool = False,
) -> None:
    if parents:
        folder.mkdir(parents=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(content)
    for name, target in links.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)


def _call(case: Case, folder: Path) -> tuple[Any, str, str]:
    """Return status, or what was raised, and what stood on stdout and stderr."""
    from rnnprobe.cli import run

    with (
        contextlib.chdir(folder),
        _environment(case.environment),
        _captured() as captured,
        _watched(),
    ):
        try:
            status: Any = run(case.arguments)
        except (Exception, TookTooLong, SystemExit) as exc:
            status = exc
    out, err = captured
    return status, out, err


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    previous = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(previous)


@contextlib.contextmanager
def _captured() -> Iterator[list[str]]:
    """Capture the file descriptors themselves, with Python's own error handlers on them."""
    texts: list[str] = []
    streams = sys.stdout, sys.stderr
    saved = [os.dup(1), os.dup(2)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(  # noqa: SIM115
            2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
        )
        try:
            yield texts
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):
                    stream.flush()
            sys.stdout, sys.stderr = streams
            for place, descriptor in enumerate(saved, start=1):
                os.dup2(descriptor, place)
                os.close(descriptor)
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode("utf-8", "backslashreplace"))


@contextlib.contextmanager
def _watched() -> Iterator[None]:
    """Raise after too much processor time, or wall time; dump the stack where even that hangs."""

    def too_long(number: int, frame: Any) -> None:
        del frame
        raise TookTooLong("processor time" if number == signal.SIGPROF else "wall time")

    previous = {s: signal.signal(s, too_long) for s in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, 10 * SECONDS)
    faulthandler.dump_traceback_later(20 * SECONDS, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        for number, handler in previous.items():
            signal.signal(number, handler)


def _forget() -> None:
    """Drop what Keras and user code that a case named left in this process."""
    if "keras" in sys.modules:
        import keras

        keras.utils.clear_session(free_memory=False)


def _outcome(status: Any, err: str) -> str:
    if status == 2 and re.search(r" See 'rnnprobe.*--help'\.$", err.rstrip()):
        return "2 at the options"
    return str(status) if isinstance(status, int) else type(status).__name__


def _judge(case: Case, status: Any, out: str, err: str) -> list[str]:
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


def _judge_files(
    case: Case,
    folder: Path,
    before: Mapping[str, tuple[str, bytes]],
    after: Mapping[str, tuple[str, bytes]],
    status: Any,
) -> list[str]:
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
        elif kind == "file" and not force and not _ours(content) and not _journal(name):
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


def _ours(content: bytes) -> bool:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        from rnnprobe._files import written_by_rnnprobe

        return written_by_rnnprobe(Path(file.name))


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


def _signature(finding: str) -> str:
    """Return a finding without what differs from case to case."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", finding)
    return re.sub(r"[-+]?\d[\d.e+,]*", "N", text)[:110]
