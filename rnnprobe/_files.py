"""Writing files: whole or not at all, and never over somebody else's."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnnprobe.errors import OutputError

METADATA_ENTRY = "rnnprobe.json"
_MARKS = (b'"schema": "rnnprobe.', b"Software\x00rnnprobe", b"_Made by rnnprobe")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` that takes its place when the block ends well.

    Raises:
        OutputError: The folder does not exist or cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".rnnprobe-", suffix=path.suffix)
    except OSError as exc:
        raise OutputError(f"Cannot write '{path}': {exc.strerror or exc}.") from exc
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as exc:
        raise OutputError(f"Cannot write '{path}': {exc.strerror or exc}.") from exc
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole; a path that is no regular file (`/dev/stdout`) is written into."""
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def written_by_rnnprobe(path: Path, csv_header: str = "") -> bool:
    """Whether the file carries rnnprobe's mark: its metadata, schema, software tag or last line.

    Args:
        path: An existing file.
        csv_header: The first line a CSV of the same command would have; CSV has no other mark.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return METADATA_ENTRY in archive.namelist()
    content = path.read_bytes()
    if csv_header and content.startswith(csv_header.encode() + b"\n"):
        return True
    return any(mark in part for mark in _MARKS for part in (content[:4096], content[-4096:]))


def check_output(path: Path, *, force: bool = False, csv_header: str = "") -> None:
    """Refuse an output path before the work begins rather than after.

    Raises:
        OutputError: The folder is missing or cannot be written, the path is a folder, or a file
            is there that rnnprobe did not write and `force` is not given.
    """
    if path.is_dir():
        raise OutputError(f"Cannot write '{path}': it is a folder, expected a file name.")
    if path.exists() and not path.is_file():
        return
    if not path.parent.is_dir():
        raise OutputError(f"Cannot write '{path}': there is no folder '{path.parent}'.")
    with atomic_path(path.parent / f".rnnprobe-check-{os.getpid()}{path.suffix}") as probe:
        probe.touch()
    (path.parent / f".rnnprobe-check-{os.getpid()}{path.suffix}").unlink()
    if path.exists() and not force and not written_by_rnnprobe(path, csv_header):
        raise OutputError(
            f"'{path}' exists and rnnprobe did not write it; give --force to replace it, "
            "or another name."
        )
