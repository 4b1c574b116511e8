"""Child processes that do tasks and may die: a death costs its own task and nothing else.

The children are forked from a server that has imported Keras and never computed anything with it
(where there is no forkserver, on Windows, each imports Keras itself). A child does many tasks; it
is replaced when it dies, when it says that it had enough, or when its task takes too long.

Nothing here imports Keras.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from rnnprobe._registry import load_object

_PRELOADED = ["rnnprobe.search._preload", "rnnprobe.search._child"]
_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_TO_DIE = 2.0
_FORKS = "forkserver" in multiprocessing.get_all_start_methods()


def start_server(*, verbose: bool = False) -> None:
    """Let the server begin to import Keras; the sooner, the less the first pool has to wait."""
    if _FORKS:
        multiprocessing.set_forkserver_preload(_PRELOADED)
        from multiprocessing.forkserver import ensure_running

        with _quiet_start(verbose=verbose):
            ensure_running()


class Task(Protocol):
    """What a child is asked to do; it is pickled."""

    @property
    def rank(self) -> int:
        """Tasks of a lower rank come first."""

    @property
    def affinity(self) -> Hashable:
        """Tasks of one affinity are cheaper one after the other in one child."""


class Done(NamedTuple):
    """What the child returned for a task."""

    task: Any
    value: Any


class Died(NamedTuple):
    """A task whose child died, or was killed because it took too long."""

    task: Any
    reason: str
    seconds: float


Work = Callable[[Any], tuple[Any, bool]]
"""Does one task; returns a value, and whether this process had better be replaced."""


@dataclass
class _Child:
    process: Any
    connection: Connection
    last_words: Path
    task: Any = None
    started: float = 0.0
    warm: set[Hashable] = field(default_factory=set)


class Pool:
    """Runs tasks in child processes, several at once.

    Args:
        start: `module:function`, called once in each child with `context`; returns its `Work`.
        context: Whatever `start` needs; it is pickled.
        workers: How many children at once.
        max_seconds: Wall time after which a task's child is killed; None lets it run.
        verbose: Let the children write to stderr.
    """

    def __init__(
        self,
        start: str,
        context: Any,
        *,
        workers: int,
        max_seconds: float | None = None,
        verbose: bool = False,
    ) -> None:
        self._start, self._context, self._verbose = start, context, verbose
        self._workers, self._max_seconds = workers, max_seconds
        self._queue: list[Any] = []
        self._children: list[_Child] = []
        self._scratch = tempfile.TemporaryDirectory(prefix="rnnprobe-")
        start_server(verbose=verbose)
        self._multiprocessing: Any
        self._multiprocessing = multiprocessing.get_context("forkserver" if _FORKS else "spawn")
        self._lifeline, self._lifeline_end = self._multiprocessing.Pipe(duplex=False)
        self._started = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.process.kill()
        for child in self._children:
            child.process.join()
        self._lifeline_end.close()
        self._lifeline.close()
        self._scratch.cleanup()

    def add(self, task: Task) -> None:
        """Queue a task."""
        self._queue.append(task)

    def outcomes(self) -> Iterator[Done | Died]:
        """Yield what became of each task, as they end; more may be added on the way."""
        while self._queue or any(child.task is not None for child in self._children):
            yield from self.poll()

    def poll(self) -> Iterator[Done | Died]:
        """Hand out what waits, and yield what ended; wait a little where nothing did."""
        self._hand_out()
        yield from self._collect()

    def _hand_out(self) -> None:
        for child in [c for c in self._children if c.task is None]:
            if not child.process.is_alive():  # while it waited: that is no task's fault
                self._remove(child)
            elif self._queue:
                self._give(child, self._choose(child))
        while self._queue and len(self._children) < self._workers:
            self._children.append(child := self._new_child())
            self._give(child, self._choose(child))

    def _choose(self, child: _Child) -> Any:
        """Of the lowest rank, take a task this child is warm for, or one that no other is."""
        others = set().union(*(c.warm for c in self._children if c is not child))

        def preference(index: int) -> tuple[int, bool, bool, int]:
            task = self._queue[index]
            return (task.rank, task.affinity not in child.warm, task.affinity in others, index)

        return self._queue.pop(min(range(len(self._queue)), key=preference))

    def _give(self, child: _Child, task: Any) -> None:
        child.task, child.started = task, time.monotonic()
        child.warm.add(task.affinity)
        with contextlib.suppress(OSError):  # it died meanwhile, which _collect will see
            child.connection.send(task)

    def _new_child(self) -> _Child:
        self._started += 1
        last_words = Path(self._scratch.name) / f"stderr-{self._started}"
        ours, theirs = self._multiprocessing.Pipe()
        stderr = None if self._verbose else last_words
        process = self._multiprocessing.Process(
            target=_serve,
            args=(theirs, self._lifeline, self._start, self._context, stderr),
            daemon=True,
        )
        with _quiet_start(verbose=self._verbose), _without_main_module():
            process.start()
        theirs.close()
        return _Child(process, ours, last_words)

    def _collect(self) -> Iterator[Done | Died]:
        busy = [child for child in self._children if child.task is not None]
        ready = wait([child.connection for child in busy], timeout=_SECONDS_BETWEEN_LOOKS)
        for child in busy:
            seconds = time.monotonic() - child.started
            if child.connection in ready:
                yield self._receive(child, seconds)
            elif self._max_seconds is not None and seconds > self._max_seconds:
                child.process.kill()
                limit = f"time: not done after {self._max_seconds:g} s (--max-seconds)"
                yield self._bury(child, limit, seconds)

    def _receive(self, child: _Child, seconds: float) -> Done | Died:
        try:
            value, leaves = child.connection.recv()
        except (EOFError, OSError):
            child.process.join(_SECONDS_TO_DIE)
            return self._bury(child, _cause_of_death(child), seconds)
        done = Done(child.task, value)
        child.task = None
        if leaves:
            self._remove(child)
        return done

    def _bury(self, child: _Child, reason: str, seconds: float) -> Died:
        self._remove(child)
        return Died(child.task, reason, seconds)

    def _remove(self, child: _Child) -> None:
        self._children.remove(child)
        child.process.kill()  # it has nothing more to say, and may be slow to end
        child.process.join()
        child.process.close()
        child.connection.close()
        child.last_words.unlink(missing_ok=True)


def _cause_of_death(child: _Child) -> str:
    code = child.process.exitcode or 0
    words = child.last_words.read_text("utf-8", "replace") if child.last_words.exists() else ""
    if "bad_alloc" in words:
        return "oom: the process ended because an allocation failed"
    if code == -9:
        return "killed: signal 9, as the system sends where memory runs out"
    if code < 0:
        return f"killed: signal {-code} ({signal.Signals(-code).name})"
    lines = [line for line in words.splitlines() if line.strip()]
    return f"killed: the process ended with status {code}" + (f": {lines[-1]}" if lines else "")


def _serve(
    connection: Connection, lifeline: Connection, start: str, context: Any, stderr: Path | None
) -> None:
    """Do tasks until the parent closes the connection, or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    if stderr is not None:
        os.dup2(os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    os.dup2(2, 1)
    threading.Thread(target=_die_with_parent, args=(lifeline,), daemon=True).start()
    work: Work = load_object(start)(context)
    leaves = False
    while not leaves:
        try:
            task = connection.recv()
        except EOFError:
            return
        value, leaves = work(task)
        connection.send((value, leaves))


def _die_with_parent(lifeline: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv_bytes()  # nothing is ever sent; it ends when the other end is closed
    os._exit(1)


@contextlib.contextmanager
def _without_main_module() -> Iterator[None]:
    """Keep a child from importing the script that started it, which has no use for it there."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _quiet_start(*, verbose: bool) -> Iterator[None]:
    """Keep what TensorFlow writes while it is imported from the parent's stderr."""
    if verbose:
        yield
        return
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    level = os.environ.get("TF_CPP_MIN_LOG_LEVEL")
    os.dup2(nowhere, 2)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = level or "3"
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
        if level is None:
            del os.environ["TF_CPP_MIN_LOG_LEVEL"]
