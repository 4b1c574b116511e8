"""Arrays and the bytes of files: right ones, odd ones, and damaged ones."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]


def seldom(draw: Draw, times: int) -> bool:
    """Return True about once in so many times and one."""
    # Not 0: Hypothesis draws the ends of a range more often than what is between.
    return bool(draw(st.integers(0, times)) == (times + 1) // 2)


_DTYPES = ("f4", "f8", "f2", "i4", "i8", "u1", "i1", "u8", "?", "c8", "U3", "S3", "M8[s]", "m8[s]",
           "V4", ">f4", "f8f8", "longdouble")  # fmt: skip


def _array(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    if dtype == "f8f8":
        return np.zeros(shape, dtype=[("a", "f8"), ("b", "f8")])
    size = int(np.prod(shape))
    if dtype in ("U3", "S3"):
        words = np.array(["a", "bc", "", "é", "\x00", "x y"])
        chosen = rng.choice(words, size).reshape(shape)
        return chosen if dtype == "U3" else np.char.encode(chosen, "utf-8")
    if dtype in ("M8[s]", "m8[s]", "V4"):
        return rng.integers(0, 255, (*shape, 8 if dtype != "V4" else 4)).astype("u1").view(
            dtype
        ).reshape(shape)  # fmt: skip
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        return rng.integers(0, 20, shape).astype(kind)
    if kind.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    return (rng.normal(size=shape) * 3).astype(kind)


@st.composite
def arrays(draw: Draw, first: int | None = None) -> np.ndarray:
    """Any array of up to four axes."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    axes = draw(st.integers(0, 4))
    shape = [draw(st.sampled_from([0, 1, 2, 3, 5])) for _ in range(axes)]
    if first is not None and shape and not seldom(draw, 3):
        shape[0] = first
    return _array(rng, draw(st.sampled_from(_DTYPES)), tuple(shape))


@st.composite
def _good_data(draw: Draw, size: int) -> dict[str, Any]:
    """Arrays that make sense: values, pictures, tokens or texts."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    classes = draw(st.sampled_from([2, 3]))
    kind = draw(st.sampled_from(["values", "values", "pictures", "tokens", "texts", "colour"]))
    x: np.ndarray
    if kind == "values":
        x = rng.normal(size=(size, 4, 3)).astype(draw(st.sampled_from(["f4", "f8", "f2"])))
    elif kind == "pictures":
        x = rng.integers(0, 256, (size, 5, 4)).astype("u1")
    elif kind == "colour":
        x = rng.integers(0, 256, (size, 4, 3, 3)).astype("u1")
    elif kind == "tokens":
        x = rng.integers(1, 9, (size, 5)).astype(draw(st.sampled_from(["i4", "i8", "u2"])))
    else:
        x = np.array(["".join(rng.choice(list("abcé "), rng.integers(1, 6))) for _ in range(size)])
    y = np.arange(size) % classes
    if seldom(draw, 4):
        return {"x": x, "y": np.eye(classes)[y].astype(draw(st.sampled_from(["f4", "i8"])))}
    return {"x": x, "y": y.astype(draw(st.sampled_from(["i4", "i8", "u1", "f4", "U3"])))}


@st.composite
def npz_content(draw: Draw) -> dict[str, Any]:
    """Arrays by Keras's keys, right but for up to two things."""
    size = draw(st.sampled_from([30, 30, 30, 40, 2, 1, 0, 40, 60, 60, 60]))
    content = draw(_good_data(size))
    if seldom(draw, 3):
        content = {f"{k}_{part}": v for part in ("train", "test") for k, v in content.items()}
    keys = list(content)
    for _ in range(draw(st.sampled_from([0, 1, 1, 2, 1, 0]))):
        key = draw(st.sampled_from(keys))
        kind = key[0]
        if key not in content:
            continue
        content |= draw(_spoilt(kind, key, content[key], size))
        content = {k: v for k, v in content.items() if v is not None}
    return content


@st.composite
def _spoilt(draw: Draw, kind: str, key: str, array: np.ndarray, size: int) -> dict[str, Any]:
    what = draw(st.sampled_from(
        ["any", "drop", "nan", "short", "lengths", "mask", "names", "stranger", "labels", "huge",
         "order", "object", "same", "wide"]
    ))  # fmt: skip
    if what in ("lengths", "mask", "names", "stranger"):
        return draw(_beside(what, key[1:], array, size))
    if what == "any":
        return {key: draw(arrays(first=size))}
    if what == "drop":
        return {key: None}
    if what in ("nan", "huge") and array.dtype.kind == "f" and array.size:
        spoilt = array.astype("f8")
        spoilt.reshape(-1)[draw(st.integers(0, array.size - 1))] = draw(
            st.sampled_from([np.nan, np.inf, -np.inf, 1e39, 1e300, -0.0, 5e-324])
        )
        return {key: spoilt}
    if what == "short":
        return {key: array[: max(0, len(array) - draw(st.integers(1, 3)))]}
    if what == "labels" and kind == "y":
        spoilt = np.array(np.ones(size), dtype="f8")
        spoilt[-1:] = draw(st.sampled_from([-1, 7, 1.5, np.nan, 2**40, 1e300]))
        return {key: spoilt}
    if what == "object":
        return {key: np.array([{"a": 1}] * size + [None], dtype=object)}
    if what == "same":
        return {key: np.zeros_like(array)}
    if what == "wide" and array.ndim == 3:
        return {key: np.repeat(array, 40, axis=2)}
    return {key: array[::-1]}


@st.composite
def _beside(draw: Draw, what: str, ending: str, array: np.ndarray, size: int) -> dict[str, Any]:
    """One more array: of lengths, a mask, names of the classes, or what nobody knows."""
    if what == "lengths":
        lengths = draw(st.one_of(
            arrays(first=size),
            st.just(np.ones(size)),
            st.sampled_from([-1, 0, 1, 3, 99, 2**40]).map(lambda n: np.full(size, n)),
            st.sampled_from([1.5, np.nan, np.inf]).map(lambda n: np.full(size, n)),
        ))  # fmt: skip
        return {f"lengths{ending}": lengths}
    if what == "mask":
        steps = 4 if array.ndim < 2 else array.shape[1]
        mask = np.random.default_rng(0).integers(0, 2, (size, steps)).astype(bool)
        mask[:, :1] = True
        return {f"mask{ending}": draw(st.one_of(arrays(first=size), st.just(mask)))}
    if what == "names":
        names = draw(st.sampled_from(
            [np.array(["a", "b", "c"]), np.array(["a", "b"]), np.array(["a", "a", "b"]),
             np.array(["", "|", "\n"]), np.array("a"), np.array([1, 2, 3]), np.array([[1, 2]]),
             np.array([]), np.array(["**x**", "<b>", "é" * 200])]
        ))  # fmt: skip
        return {"class_names": names}
    return {draw(st.sampled_from(["z", "x_", "file/../y", "", "x_dev"])): array}


class _Bomb:
    """Leaves a file behind where a pickle of it is loaded."""

    def __reduce__(self) -> Any:
        return (open, ("pickle-was-loaded", "w"))


def npz_bytes(content: Mapping[str, Any], *, compressed: bool = False) -> bytes:
    """Return arrays as an npz file; an array of objects is pickled."""
    file = io.BytesIO()
    names = {name or "arr": value for name, value in content.items()}
    (np.savez_compressed if compressed else np.savez)(file, **names)
    return file.getvalue()


EVIL = (
    pickle.dumps(_Bomb()),
    npz_bytes({"x": np.array([_Bomb()], dtype=object), "y": np.zeros(1)}),
    b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"\x93NUMPY\x01\x00", b"", b"\0" * 50,
)  # fmt: skip


def zip_bytes(entries: Mapping[str, bytes]) -> bytes:
    """Return an archive of entries."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name)  # of one date, always
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return file.getvalue()


def unzipped(content: bytes) -> dict[str, bytes]:
    """Return the entries of an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


BOMBS = (
    zip_bytes({"x.npy": b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, "
                      b"'shape': (100000000000, 10), }" + b" " * 40 + b"\n", "y.npy": b""}),
    zip_bytes({"x.npy": bytes(3_000_000), "y.npy": bytes(10)}),
    zip_bytes({"x": b"text", "y": b"text"}),
    zip_bytes({"x.npy": b"text", "y.npy": b""}),
    zip_bytes({"../x.npy": npz_bytes({}), "y.npy": b""}),
)  # fmt: skip


@st.composite
def mutated(draw: Draw, content: bytes) -> bytes:
    """Bytes with some of them changed, left out or cut off."""
    spoilt = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        if not spoilt:
            break
        # By share, so that a file that is a byte longer elsewhere is spoilt in the same places.
        place = draw(st.integers(0, 999)) * len(spoilt) // 1000
        what = draw(st.sampled_from(["change", "change", "cut", "drop", "insert", "zeros"]))
        if what == "change":
            spoilt[place] = draw(st.integers(0, 255))
        elif what == "cut":
            del spoilt[place:]
        elif what == "drop":
            del spoilt[place : place + draw(st.integers(1, 20))]
        elif what == "insert":
            spoilt[place:place] = draw(st.binary(min_size=1, max_size=8))
        else:
            spoilt[place : place + 8] = bytes(8)
    return bytes(spoilt)
