"""How much of the machine a trial may have."""

from __future__ import annotations

import contextlib
import math
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from rnnprobe.backend import num_cores
from rnnprobe.errors import DataError

_UNITS = {"": 2**20, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_MEMORY_OF_A_CHILD = 2**30
_LINUX = sys.platform.startswith("linux")


def parse_memory(text: str) -> int:
    """Return a number of bytes from `500MB`, `2GB`, `1.5g`; without a unit, megabytes.

    Raises:
        ValueError: It is no amount of memory.

    Example:
        >>> parse_memory("1.5GB")
        1610612736
    """
    match = re.fullmatch(r"(\d+\.?\d*)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    if not match or not float(match[1]):
        raise ValueError(f"got '{text}', expected an amount of memory like 500MB or 2GB")
    return int(float(match[1]) * _UNITS[match[2]])


def available_memory() -> int | None:
    """Return how many bytes are free for new processes; None where the system does not tell."""
    if not _LINUX:
        return None
    meminfo = Path("/proc/meminfo").read_text()
    free = int(meminfo.partition("MemAvailable:")[2].split()[0]) * 2**10
    with contextlib.suppress(OSError, ValueError):  # a container may have less
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        free = min(free, limit - int((group / "memory.current").read_text()))
    return free


def automatic_workers() -> int:
    """Return how many trials to run at once: a core each, as memory allows; one on a GPU."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") not in ("", "-1") and any(
        Path("/dev").glob("nvidia[0-9]*")
    ):
        return 1
    free = available_memory()
    fitting = math.inf if free is None else free // _MEMORY_OF_A_CHILD
    return int(max(1, min(num_cores(), fitting)))


def check_memory_limit() -> None:
    """Refuse a limit where the system does not enforce it.

    Raises:
        DataError: This is not Linux.
    """
    if not _LINUX:
        raise DataError("--max-memory works on Linux only; leave it out here.")


@contextlib.contextmanager
def memory_limit(limit: int | None) -> Iterator[None]:
    """Let this process allocate at most `limit` more bytes inside the block; only on Linux."""
    if limit is None or not _LINUX:
        yield
        return
    import resource

    used = int(Path("/proc/self/status").read_text().partition("VmData:")[2].split()[0]) * 2**10
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (used + limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
