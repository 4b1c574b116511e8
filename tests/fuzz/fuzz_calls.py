"""Calls the command line in this process, and captures and limits what it does."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fuzz_case import Case

SECONDS = 10.0
"""Of processor time, which a loaded machine does not stretch; of wall time ten times as many."""


class TookTooLong(BaseException):  # no command's `except Exception` may catch it
    """The watchdog's."""


def call(case: Case, folder: Path) -> tuple[Any, str, str]:
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


def forget() -> None:
    """Drop what Keras and user code that a case named left in this process."""
    if "keras" in sys.modules:
        import keras

        keras.utils.clear_session(free_memory=False)
