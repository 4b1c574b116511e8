"""What the children of the tests' pools do, and cells that kill whoever builds them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import keras


class Job(NamedTuple):
    """A task whose fate is told in advance."""

    name: str
    fate: str
    rank: int = 0
    affinity: str = ""


def start(context: str) -> Callable[[Job], tuple[Any, bool]]:
    """Return what does a job; says who did it."""

    def work(job: Job) -> tuple[Any, bool]:
        if job.fate == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if job.fate == "aborts":
            os.write(2, b"terminate called after throwing std::bad_alloc\n")
            os.abort()
        if job.fate == "exits":
            os.write(2, b"some last words\n")
            os._exit(3)
        if job.fate == "hangs":
            time.sleep(600)
        if job.fate == "lingers":
            threading.Thread(target=time.sleep, args=(60,)).start()
        if job.fate == "slow":
            time.sleep(0.2)
        return (context, job.name, os.getpid()), job.fate in ("leaves", "lingers")

    return work


def fails_to_start(context: str) -> Callable[[Job], tuple[Any, bool]]:
    """Fail in every child."""
    raise RuntimeError(f"no {context} today")


def killed(units: int, **options: Any) -> keras.layers.Layer:
    """Kill the process, as the system does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)
    return keras.layers.GRU(units, **options)


def hangs(units: int, **options: Any) -> keras.layers.Layer:
    """Never come back."""
    time.sleep(600)
    return keras.layers.GRU(units, **options)


def fails(units: int, **options: Any) -> keras.layers.Layer:
    """Raise what no one expects."""
    raise RuntimeError(f"nothing works with {units} units")
