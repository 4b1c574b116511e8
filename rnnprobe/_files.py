"""Writing files: whole or not at all, and never over somebody else's."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnnprobe._text import is_utf8
from rnnprobe.errors import OutputError

METADATA_ENTRY = "rnnprobe.json"
_CSV_HEADS = (
    b"trial,cell,",
    b"cell,units,layers,bidirectional,",
    b"epoch,loss,accuracy,",
    b"rank,true,predicted,",
    b"model,repeats,examples,",
    b"norm,attack,epsilon,",
    b"model,cell,clean,",
    b"example,true,predicted,target,norm,",
    b"check,verdict,",
    b"example,class,steps,",
    b"example,predicted,confidence,p_",
    b"example,name,predicted,confidence,p_",
    b"example,true,predicted,confidence,p_",
    b"example,name,true,predicted,confidence,p_",
    b"name,what,network",
    b"start,converged,steps,",
    b"first,second,difference,",
    b"model,part,index,true,predicted,",
    b"layer,kind,",
    b"layer,signal,units,",
    b"layer,state,",
    b"model,layer,",
    b"share,correct,total,",
    b"model,share,correct,total,",
    b"step,n,integrated,",
    b"step,text,",
)
_PAGE_START = (
    b'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    b'<meta name="generator" content="rnnprobe '
)
_PAGE_END = b"</html>\n<!-- Written by rnnprobe -->"


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
        with temporary.open("rb") as written:
            os.fsync(written.fileno())  # or a power cut could leave the new name and no content
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


def written_by_rnnprobe(path: Path) -> bool:
    """Whether a file is one of ours from its first byte to its last, by its kind.

    An archive has our metadata or comment, a picture our software tag, JSON begins with our
    schema, CSV with the head of one of our tables, a page in HTML begins and ends with our marks,
    and Markdown begins with a caption, or as a page with our mark, and ends with our last line: a
    document into which somebody pasted a table is theirs.
    """
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                ours = archive.comment.startswith(b'{"schema": "rnnprobe.')
                return ours or METADATA_ENTRY in archive.namelist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError):  # damaged: who knows whose
            return False
    content = path.read_bytes()
    if content.startswith(b"\x89PNG"):
        return b"Software\x00rnnprobe" in content[:4096]
    if content.startswith((b'{\n  "schema": "rnnprobe.', *_CSV_HEADS)):
        return True
    if content.startswith(_PAGE_START):
        return content.rstrip().endswith(_PAGE_END)
    last_line = content.rstrip().rpartition(b"\n")[2]
    ours = content.startswith((b"**", b"<!-- Written by rnnprobe")) and last_line.startswith(
        b"_Made by rnnprobe"
    )
    return ours and content.count(b"_Made by rnnprobe") == 1


def check_output(path: Path, *, force: bool = False) -> None:
    """Refuse an output path before the work begins rather than after.

    Raises:
        OutputError: The folder is missing or cannot be written, the path is a folder, or a file
            is there that rnnprobe did not write and `force` is not given.
    """
    if not is_utf8(str(path)):
        raise OutputError(f"Cannot write {str(path)!r}: the name is not UTF-8.")
    # Those of `os.path` are False where Path's raise: for a name that is too long.
    if os.path.isdir(path):
        raise OutputError(f"Cannot write '{path}': it is a folder, expected a file name.")
    if os.path.exists(path) and not os.path.isfile(path):
        return
    if not os.path.isdir(path.parent):
        raise OutputError(f"Cannot write '{path}': there is no folder '{path.parent}'.")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
        theirs = path.exists() and not force and not written_by_rnnprobe(path)
    except OSError as exc:
        raise OutputError(f"Cannot write '{path}': {exc.strerror or exc}.") from exc
    if theirs:
        raise OutputError(
            f"'{path}' exists and rnnprobe did not write it; give --force to replace it, "
            "or another name."
        )
