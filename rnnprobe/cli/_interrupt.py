"""Ctrl-C that arrives.

Python raises KeyboardInterrupt wherever the main thread happens to be. Inside a finalizer or a
callback from C++ it is printed and forgotten, and a long training would go on.
"""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SECONDS_UNTIL_REPEATED = 1.5
_ended = threading.Event()


def received() -> None:
    """Say that the interrupt has arrived, so that it is not repeated while work is wound up."""
    _ended.set()


@contextmanager
def interruptible() -> Iterator[None]:
    """Repeat an interrupt until it ends the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _ended.clear()
    main_thread = threading.get_ident()

    def repeat() -> None:
        while not _ended.wait(_SECONDS_UNTIL_REPEATED):
            if hasattr(signal, "pthread_kill"):  # wakes a main thread that waits, too
                signal.pthread_kill(main_thread, signal.SIGINT)
            else:
                _thread.interrupt_main()

    def handle(signal_number: int, frame: FrameType | None) -> None:
        del signal_number, frame
        if not repeater.is_alive() and not _ended.is_set():
            repeater.start()
        raise KeyboardInterrupt

    repeater = threading.Thread(target=repeat, daemon=True)
    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        _ended.set()
        signal.signal(signal.SIGINT, previous)
