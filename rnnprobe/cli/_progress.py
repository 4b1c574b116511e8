"""Progress on stderr: a line that moves on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TextIO, cast

import click

from rnnprobe._text import printable
from rnnprobe.cli._time_left import TimeLeft, clock_text, left_text

if TYPE_CHECKING:
    from rnnprobe.records import SequenceDataset

_DOWNLOADING = "Downloading data from"  # Keras says so
_BAR = 20  # characters
_LEAST_FOR_A_BAR = 100  # columns


class _State(NamedTuple):
    """What the moving line tells."""

    completed: int = 0
    total: int | None = None
    now: str = ""
    best: str = ""


class Progress:
    """Shows what runs, how much of it is done, how long it still takes and the best so far.

    On a terminal one line at the bottom moves, so that a long piece shows that it lives, and a
    line for each finished piece scrolls above it. Elsewhere, and on a terminal that cannot move,
    only the latter are written, with the best and the time left at their end.

    Args:
        what: What is counted, in the plural; or without a total what is done.
        total: How many there are, or None.
        quiet: Show nothing.
    """

    def __init__(self, what: str, total: int | None, *, quiet: bool) -> None:
        self._what, self._quiet = printable(what), quiet
        self._state = _State(total=total)
        self._most = 0  # a trial that is trained for longer is an old one
        self._started = self._left_since = time.monotonic()
        self._seconds_left: float | None = None
        self._live: Any = None
        if not quiet and _moves():
            from rich.console import Console
            from rich.live import Live

            self._started = self._left_since = time.monotonic()  # importing took a while
            self._console = Console(stderr=True)
            self._live = Live(
                console=self._console,
                get_renderable=self._renderable,
                refresh_per_second=4,
                transient=True,
            )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def begin(self, piece: str, *, of: str = "") -> None:
        """Name the piece that runs now, and what it is a piece of; only a terminal shows it."""
        self._state = self._state._replace(now=printable(f"{of}: {piece}" if of else piece))

    def line(
        self,
        text: str,
        *,
        completed: int | None = None,
        total: int | None = None,
        best: str = "",
        left: float | None = None,
    ) -> None:
        """Say that a piece is finished.

        Args:
            text: What came of it.
            completed: How many are.
            total: How many there are, where it was not known before.
            best: What the best so far is, in words, if anything is.
            left: Seconds until all are done, if they are known.
        """
        if self._quiet:
            return
        text, best = printable(text), printable(best)
        if not self._live:
            told = [part for part in (text, best, left_text(left)) if part]
            click.echo("; ".join(told), err=True)
            return
        from rich.text import Text

        self._most = max(self._most, completed or 0)
        self._seconds_left, self._left_since = left, time.monotonic()
        self._state = self._state._replace(
            completed=self._most,
            total=total or self._state.total,
            best=best or self._state.best,
        )
        self._console.print(Text(text), soft_wrap=True)

    def _renderable(self) -> Any:
        from rich.text import Text

        now = time.monotonic()
        left = self._seconds_left and max(self._seconds_left - (now - self._left_since), 0.0)
        line = status(self._what, self._state, now - self._started, left, self._console.width)
        return Text(line, no_wrap=True, overflow="ellipsis")


def status(what: str, state: _State, elapsed: float, left: float | None, width: int) -> str:
    """Return the line that moves; it is cut at the terminal's edge, so what matters stands first.

    Args:
        what: What is counted.
        state: How far it is.
        elapsed: Seconds since it began.
        left: Seconds until it ends, if they are known.
        width: Columns of the terminal.

    Example:
        >>> status("runs", _State(3, 12, best="best so far 0.9"), 83.0, 170.0, 40)
        'runs 3/12  1:23  about 3 min left  best so far 0.9'
    """
    parts = [what]
    if state.total:
        done = min(state.completed, state.total)
        parts = [f"{what} {done}/{state.total}"]
        if width >= _LEAST_FOR_A_BAR:
            filled = _BAR * done // state.total
            parts.append("#" * filled + "-" * (_BAR - filled))
    elif state.completed:
        parts = [f"{what} {state.completed}"]
    parts += [clock_text(elapsed), left_text(left), state.now, state.best]
    return "  ".join(part for part in parts if part)


class _WithoutBars(io.TextIOBase):
    """Writes what it gets but for bars that move, of which a log has no use."""

    def __init__(self, stream: TextIO, *, quiet: bool) -> None:
        self._stream, self._quiet = stream, quiet

    def write(self, text: str) -> int:
        is_bar = any(control in text for control in "\r\b\x1b")
        if not is_bar and not (self._quiet and text.startswith(_DOWNLOADING)):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()


@contextlib.contextmanager
def downloads_told(*, quiet: bool) -> Iterator[None]:
    """Let Keras show a download on a terminal, name it in a log, and say nothing when quiet."""
    if _moves() and not quiet:
        yield
        return
    stream = cast("TextIO", _WithoutBars(sys.stderr, quiet=quiet))
    with contextlib.redirect_stderr(stream), contextlib.redirect_stdout(stream):
        yield


def _moves() -> bool:
    """Return whether stderr is a terminal on which a line can be written anew."""
    moving = os.name == "nt" or os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    return moving and sys.stderr.isatty()


def counting(
    progress: Progress,
    total: int,
    *,
    in_a_round: int = 1,
    clock: Callable[[], float] = time.monotonic,
) -> Callable[[str], None]:
    """Return what shows a line and counts it as one of so many pieces, made in turn.

    Args:
        progress: Where to.
        total: How many there are.
        in_a_round: How many in turn take about as long as as many others do; 0 where none do, so
            that the time left cannot be told.
        clock: Seconds, of any beginning.
    """
    left, done = TimeLeft(total // in_a_round if in_a_round else 0, clock=clock), 0

    def say(line: str) -> None:
        nonlocal done
        done += 1
        seconds = left.after() if in_a_round and done % in_a_round == 0 else None
        progress.line(line, completed=done, total=total, left=seconds)

    return say


class Best:
    """The best so far, and what it was.

    Args:
        what: What stands before it.

    Example:
        >>> best = Best("best so far")
        >>> best.see((0.9,), "0.9000 (units 64)")
        >>> best.see((0.8,), "0.8000 (units 32)")
        >>> best.text
        'best so far 0.9000 (units 64)'
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._score: tuple[float, ...] | None = None
        self.text = ""

    def see(self, score: tuple[float, ...], text: str) -> None:
        """Hear of one more; of equal ones the first stays."""
        if self._score is None or score > self._score:
            self._score, self.text = score, f"{self._what} {text}"


def say_notes(datasets: Sequence[SequenceDataset], *, quiet: bool) -> None:
    """Say on stderr what was done to the data, what is the same of several once."""
    notes = (f"{dataset.name}: {note}" for dataset in datasets for note in dataset.notes)
    for note in () if quiet else dict.fromkeys(notes):
        click.echo(printable(note), err=True)
