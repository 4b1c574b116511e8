"""Reads folders: one text file a class, or one folder a class."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path

import numpy as np

from rnnprobe.datasets._raw import PARTS, RawData, RawSplit, pad, texts
from rnnprobe.errors import DataError
from rnnprobe.records import Array

# What Pillow and NumPy raise for files whose bytes were changed, beside OSError.
_DAMAGED = (ValueError, EOFError, SyntaxError, OverflowError, MemoryError, struct.error, zlib.error)
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp")


def read_folder(
    folder: Path, name: str | None = None, only: Collection[str] | None = None
) -> RawData:
    """Read a folder.

    Args:
        folder: The folder.
        name: What the data set is called; None is the folder's name.
        only: Names of the entries that count; None is all.

    The layout decides: `NAME.txt` files are one class each with one example a line; folders are
    one class each with one example a file (`.txt`, `.npy` of (num_steps, num_features), or
    pictures). Folders called `train` and `test` (and `validation`) hold the parts.

    Raises:
        DataError: The folder is empty, mixes both layouts, or a file cannot be read.
    """
    called = name or folder.name
    folders, files = list_entries(folder, only)
    parts_of = {"val": "validation", **{part: part for part in PARTS}}
    found = {parts_of[path.name]: path for path in folders if path.name in parts_of}
    if "train" in found or "test" in found:
        if len(found) < len(folders) or files or not {"train", "test"} <= set(found):
            raise DataError(
                f"'{folder}' holds {sorted(path.name for path in (*folders, *files))[:8]}; "
                "expected train and test (and val) alone, or one folder a class."
            )
        read = {part: _read_classes(path) for part, path in found.items()}
        parts = {part: split for part, (split, _) in read.items()}
        notes = sorted({note for _, note in read.values()})
        return RawData(called, parts, notes=(*notes, "its folders are the parts"))
    split, note = _read_classes(folder, only)
    return RawData(called, {"all": split}, notes=(note,))


def list_entries(
    folder: Path, only: Collection[str] | None = None
) -> tuple[list[Path], list[Path]]:
    """Return the folders and the files in a folder, sorted, without hidden ones."""
    entries = sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and (only is None or path.name in only)
    )
    return [path for path in entries if path.is_dir()], [path for path in entries if path.is_file()]


def _read_classes(folder: Path, only: Collection[str] | None = None) -> tuple[RawSplit, str]:
    folders, files = list_entries(folder, only)
    if folders and files:
        raise DataError(
            f"'{folder}' holds folders ('{folders[0].name}') and files ('{files[0].name}'); "
            "expected one .txt file a class, or one folder a class."
        )
    if files:
        wrong = [path.name for path in files if path.suffix != ".txt"]
        if wrong:
            raise DataError(f"'{folder}' holds '{wrong[0]}'; expected one .txt file a class.")
        by_class = {path.stem: _lines(path) for path in files}
        return _text_split(folder, by_class), "read as one file a class, one example a line"
    if folders:
        by_class_files = {}
        for path in folders:
            nested, by_class_files[path.name] = list_entries(path)
            if nested:
                raise DataError(f"'{path}' is a class and holds the folder '{nested[0].name}'.")
        return read_example_files(folder, by_class_files), (
            "read as one folder a class, one example a file"
        )
    raise DataError(f"'{folder}' is empty; expected one .txt file a class, or one folder a class.")


def decode_text(path: Path) -> str:
    """Return a text file.

    Raises:
        DataError: It cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = exc.object[: exc.start].count(b"\n") + 1
        raise DataError(f"'{path}' is not UTF-8 in line {line}; save it as UTF-8.") from exc
    except OSError as exc:
        raise DataError(f"Cannot read '{path}': {exc.strerror}.") from exc


def _lines(path: Path) -> list[str]:
    stripped = (line.strip() for line in decode_text(path).split("\n"))
    return [line for line in stripped if line]


def _text_split(folder: Path, by_class: dict[str, list[str]]) -> RawSplit:
    for class_name, lines in by_class.items():
        if not lines:
            raise DataError(f"'{folder}': class '{class_name}' has no examples.")
    x = [line for lines in by_class.values() for line in lines]
    y = [name for name, lines in by_class.items() for _ in lines]
    return RawSplit(texts(x), np.array(y))


def read_example_files(folder: Path, by_class: dict[str, list[Path]]) -> RawSplit:
    """Return the examples of files, one each: `.txt`, `.npy` or pictures.

    Raises:
        DataError: A class has none, they are of several kinds, or one cannot be read.
    """
    for class_name, files in by_class.items():
        if not files:
            raise DataError(f"'{folder}': class '{class_name}' has no examples.")
    paths = [path for files in by_class.values() for path in files]
    y = np.array([name for name, files in by_class.items() for _ in files])
    suffixes = {".png" if p.suffix.lower() in _PICTURES else p.suffix.lower() for p in paths}
    if suffixes == {".txt"}:
        return RawSplit(texts([decode_text(path).strip() for path in paths]), y)
    if suffixes == {".npy"}:
        x, mask = pad([_array(path) for path in paths])
        return RawSplit(x, y, mask)
    if suffixes == {".png"}:
        return RawSplit(_stack_pictures(paths), y)
    raise DataError(
        f"'{folder}' holds files of {sorted(suffixes)}; expected all .txt, all .npy, or all "
        "pictures."
    )


def _array(path: Path) -> Array:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, zipfile.BadZipFile, *_DAMAGED) as exc:
        raise DataError(f"Cannot read '{path}' as an array: {exc}.") from exc
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
        raise DataError(f"'{path}' holds no array of numbers; expected (num_steps, num_features).")
    if array.ndim != 2 or array.shape[1] == 0:
        raise DataError(f"'{path}' has shape {array.shape}, expected (num_steps, num_features).")
    return array


def _stack_pictures(paths: list[Path]) -> Array:
    pictures = [_picture(path) for path in paths]
    shapes = {picture.shape: path for picture, path in zip(pictures, paths, strict=True)}
    if len(shapes) > 1:
        found = ", ".join(f"{shape} ('{path.name}')" for shape, path in shapes.items())
        raise DataError(f"Pictures must be of one size and kind, but got {found}.")
    return np.stack(pictures)


def _picture(path: Path) -> Array:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("L" if image.mode in ("1", "L", "I;16") else "RGB"))
    except (OSError, Image.DecompressionBombError, *_DAMAGED) as exc:
        raise DataError(f"Cannot read '{path}' as a picture: {exc}.") from exc
