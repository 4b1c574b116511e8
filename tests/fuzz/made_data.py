"""Files and folders of data, and of predictions, with the commands that read them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from fuzz_case import MODEL, Case
from hypothesis import strategies as st
from made_arrays import BOMBS, EVIL, Draw, arrays, mutated, npz_bytes, npz_content, seldom
from made_options import CHECK, SHOW, TRAIN


@st.composite
def _data_commands(draw: Draw, name: str, *, options: Sequence[Sequence[str]] = ()) -> list[str]:
    """A quick command that reads a data file."""
    readers: list[list[str]] = [
        [*CHECK, name], [*CHECK, name], [*CHECK, name, "--format", "json"],
        [*SHOW, name], [*SHOW, name, "--plots", "pictures"], [*SHOW, name, "--format", "csv"],
        [*TRAIN, "--data", name, "--model-out", "new.keras"],
        [*TRAIN, "--data", name, "--format", "json"],
        ["confusions", MODEL, "--data", name],
        ["predict", MODEL, name], ["predict", MODEL, name, "--format", "json"],
    ]  # fmt: skip
    chosen = list(draw(st.sampled_from(readers)))
    for extra in options:
        chosen += extra
    if seldom(draw, 4) and chosen[0] != "predict":
        chosen += ["--limit-examples", draw(st.sampled_from(["1", "2", "5", "20"]))]
    if seldom(draw, 5):
        chosen += ["--layout", draw(st.sampled_from(["rows", "columns", "pixels"]))]
    if seldom(draw, 5):
        output = draw(st.sampled_from(["new.md", "ours.md", "ours.md", "new.json", "theirs.md"]))
        chosen += ["-o", output] if "--format" not in chosen else []
    return chosen


@st.composite
def npz_cases(draw: Draw) -> Case:
    """A made-up npz file and a command that reads it."""
    what = draw(st.sampled_from(["content"] * 6 + ["mutated", "evil", "bomb"] + ["content"] * 6))
    if what == "evil":
        content = draw(st.sampled_from(EVIL))
    elif what == "bomb":
        content = draw(st.sampled_from(BOMBS))
    else:
        content = npz_bytes(draw(npz_content()), compressed=draw(st.booleans()))
        if what == "mutated":
            content = draw(mutated(content))
    return Case(tuple(draw(_data_commands("made.npz"))), {"made.npz": content})


_CELLS = st.one_of(
    st.integers(-5, 5).map(str),
    st.sampled_from(["1.5", "-2e3", "nan", "NaN", "inf", "", " ", "x", "2024-01-01", "1e400",
                     "9" * 400, "é", "1,5", '"', "'", "\x00", "TRUE", "1_0", " 3 ", "=1+1"]),
)  # fmt: skip


@st.composite
def csv_text(draw: Draw) -> str:
    """A table, mostly one that makes sense."""
    kind = draw(st.sampled_from(["series", "series", "text", "text", "chaos", "long", "long"]))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    size = draw(st.sampled_from([30, 30, 30, 3, 1, 0, 40, 40, 40]))
    if kind == "series":
        head = ["label", "a", "b", "c"]
        rows = [[f"c{i % 2}", *(f"{v:.3f}" for v in rng.normal(size=3))] for i in range(size)]
    elif kind == "text":
        head = ["label", "text"]
        words = ["".join(rng.choice(list("abé \"',"), rng.integers(1, 7))) for _ in range(size)]
        rows = [[f"c{i % 2}", '"' + w.replace('"', '""') + '"'] for i, w in enumerate(words)]
    elif kind == "long":
        head = ["id", "time", "value", "label"]
        rows = [
            [f"e{i}", str(t), f"{rng.normal():.2f}", f"c{i % 2}"]
            for i in range(size) for t in range(rng.integers(1, 4))
        ]  # fmt: skip
        if draw(st.booleans()):
            rng.shuffle(rows)
    else:
        head = draw(st.lists(_CELLS, max_size=4))
        rows = [draw(st.lists(_CELLS, max_size=5)) for _ in range(min(size, 6))]
    for _ in range(draw(st.sampled_from([0, 0, 1, 2, 1, 0, 0]))):
        what = draw(st.sampled_from(["cell", "cell", "head", "ragged", "short"]))
        if what == "cell" and rows and rows[0]:
            row = rows[draw(st.integers(0, len(rows) - 1))]
            if row:
                row[draw(st.integers(0, len(row) - 1))] = draw(_CELLS)
        elif what == "head" and head:
            new = draw(st.sampled_from(["label", "target", "", "a", "Unnamed: 0", "text", "id"]))
            head[draw(st.integers(0, len(head) - 1))] = new
        elif what == "short" and rows and rows[0]:
            rows[draw(st.integers(0, len(rows) - 1))].pop()
        elif what == "ragged" and rows:
            rows[draw(st.integers(0, len(rows) - 1))] += ["1", "2"]
    separator = draw(st.sampled_from([","] * 8 + [";", "\t"] + [","] * 8))
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    return end.join(separator.join(row) for row in [head, *rows]) + draw(st.sampled_from(["", end]))


@st.composite
def csv_cases(draw: Draw) -> Case:
    """A made-up CSV file, options that name columns, and a command that reads it."""
    text = draw(csv_text())
    encoding = draw(
        st.sampled_from(["utf-8"] * 9 + ["utf-8-sig", "utf-16", "latin-1"] + ["utf-8"] * 9)
    )
    content = text.encode(encoding, "replace")
    if seldom(draw, 11):
        content = draw(mutated(content)) if content else content
    options: list[list[str]] = []
    has = {name for name in ("id", "time", "text") if name in text.split("\n")[0]}
    if {"id", "time"} <= has and not seldom(draw, 5):
        options += [["--id-column", "id"], ["--time-column", "time"]]
    elif "text" in has and not seldom(draw, 5):
        options += [["--text-column", "text"]]
    if seldom(draw, 5):
        option = draw(st.sampled_from(["--label-column", "--text-column", "--id-column"]))
        options += [[option, draw(st.sampled_from(["label", "a", "id", "time", "zz", "text"]))]]
    return Case(tuple(draw(_data_commands("made.csv", options=options))), {"made.csv": content})


def npy_bytes(array: np.ndarray) -> bytes:
    """Return an array as an npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def png_bytes(shape: tuple[int, ...], seed: int = 0, kind: str = "PNG", mode: str = "") -> bytes:
    """Return a random picture."""
    from PIL import Image

    pixels = np.random.default_rng(seed).integers(0, 256, shape).astype("u1")
    picture = Image.fromarray(pixels)
    file = io.BytesIO()
    (picture.convert(mode) if mode else picture).save(file, kind)
    return file.getvalue()


_LINES = ("anna", "otto", "ü", "a b", "\ufeffx", "x" * 60, "", "  ", "\x00", "\u2028y", "|*|")


@st.composite
def folder_cases(draw: Draw) -> Case:
    """A made-up folder of texts, arrays or pictures, and a command that reads it."""
    kind = draw(st.sampled_from(["lines", "lines", "texts", "arrays", "pictures", "pictures"]))
    seed = draw(st.integers(0, 99))
    rng = np.random.default_rng(seed)
    count = draw(st.sampled_from([14, 14, 14, 14, 3, 1, 14, 14, 14]))
    files: dict[str, bytes | None] = {}
    links: dict[str, str] = {}
    prefix = draw(st.sampled_from(["made"] * 4 + ["made/train"] + ["made"] * 3))
    classes = draw(st.sampled_from([["a", "b"], ["a", "b"], ["a"], ["a", "b", "c d"], ["é", "|"]]))
    for name in classes:
        for number in range(count):
            letters = "".join(rng.choice(list("abcdefgé"), rng.integers(2, 6)))
            path = f"{prefix}/{name}/{number}"
            if kind == "lines":
                old = files.get(f"{prefix}/{name}.txt") or b""
                files[f"{prefix}/{name}.txt"] = old + letters.encode() + b"\n"
            elif kind == "texts":
                files[f"{path}.txt"] = letters.encode()
            elif kind == "arrays":
                steps = int(rng.integers(1, 4))
                files[f"{path}.npy"] = npy_bytes(rng.normal(size=(steps, 2)).astype("f4"))
            else:
                files[f"{path}.png"] = png_bytes((5, 4), seed=1000 * seed + number + ord(name[0]))
    if prefix == "made/train" and draw(st.booleans()):
        files |= {k.replace("train", "test"): v for k, v in files.items()}
    for _ in range(draw(st.sampled_from([0, 1, 1, 2, 1, 0]))):
        _spoil_folder(draw, files, links)
    return Case(tuple(draw(_data_commands("made"))), files, links)


_PICTURES = (
    ("PNG", ""), ("JPEG", ""), ("GIF", ""), ("BMP", ""), ("PNG", "1"), ("PNG", "P"), ("PNG", "L"),
    ("TIFF", "F"), ("PNG", "RGBA"), ("PNG", "LA"), ("TIFF", "CMYK"),
)  # fmt: skip


def _spoil_folder(draw: Draw, files: dict[str, bytes | None], links: dict[str, str]) -> None:
    name = draw(st.sampled_from(sorted(files)))
    content = files[name] or b""
    what = draw(st.sampled_from(
        ["empty", "mutated", "binary", "line", "stranger", "nested", "loop", "dangling", "array",
         "picture", "hidden", "odd name", "suffix"]
    ))  # fmt: skip
    parent = name.rpartition("/")[0]
    if what == "empty":
        files[name] = b""
    elif what == "mutated" and content:
        files[name] = draw(mutated(content))
    elif what == "binary":
        files[name] = draw(st.binary(max_size=40))
    elif what == "line":
        files[name] = content + draw(st.sampled_from(_LINES)).encode() + b"\n"
    elif what == "stranger":
        files[f"{parent}/{draw(st.sampled_from(['x.doc', 'x', 'Thumbs.db', 'y.PNG']))}"] = b"x"
    elif what == "nested":
        files[f"{parent}/deep/er/file.txt"] = b"text"
    elif what == "loop":
        links[f"{parent}/loop{draw(st.sampled_from(['', '.txt', '.npy', '.png']))}"] = "."
    elif what == "dangling":
        links[f"{parent}/gone{draw(st.sampled_from(['', '.txt', '.npy', '.png']))}"] = "nowhere"
    elif what == "array":
        files[f"{parent}/odd.npy"] = npy_bytes(draw(arrays()))
    elif what == "picture":
        kind, mode = draw(st.sampled_from(_PICTURES))
        shape = draw(st.sampled_from([(5, 4), (5, 4, 3), (1, 1)]))
        files[f"{parent}/odd.png"] = png_bytes(shape, 1, kind, mode)
    elif what == "hidden":
        files[f"{parent}/.hidden"] = b"x"
    elif what == "odd name":
        files[f"{parent}/x\udcff.txt"] = b"text\n"
    elif what == "suffix":
        files[name + ".bak"] = content


@st.composite
def prediction_cases(draw: Draw) -> Case:
    """A file of predictions, right but for one thing."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    size, classes = draw(
        st.sampled_from([(30, 3)] * 6 + [(1, 2), (0, 2), (5, 1), (8, 2), (40, 12), (40, 12)])
    )
    probabilities = rng.dirichlet(np.ones(classes), size) if size else np.zeros((0, classes))
    if size and seldom(draw, 5):
        probabilities = np.eye(classes)[rng.integers(0, classes, size)]
    y: np.ndarray = rng.integers(0, classes, size)
    content: dict[str, Any] = {"y_true": y, "probabilities": probabilities}
    what = draw(st.sampled_from(
        ["right"] * 3
        + ["y", "p", "names", "wrong names", "constant", "float", "one-hot", "text"]
        + ["right"] * 2
    ))  # fmt: skip
    names = [f"n{i}" for i in range(classes)]
    content |= draw(_spoilt_predictions(what, y, names))
    if draw(st.booleans()) and what in ("right", "constant", "float", "text"):
        suffix = ".csv"
        rows = [["y_true", *names]]
        for label, row in zip(content["y_true"].tolist(), probabilities.tolist(), strict=True):
            rows.append([label, *row])
        file = "\n".join(",".join(map(str, row)) for row in rows).encode()
    else:
        suffix, file = ".npz", npz_bytes(content)
    if seldom(draw, 6) and file:
        file = draw(mutated(file))
    arguments = ["confusions", "--predictions", f"made{suffix}"]
    for extra in draw(st.lists(st.sampled_from(_EXTRAS), max_size=2, unique=True)):
        arguments += extra
    return Case(tuple(arguments), {f"made{suffix}": file})


_EXTRAS = (
    ("--format", "json"), ("--format", "csv"), ("--plots", "pictures"), ("--top", "1"),
    ("--export", "new.npz"), ("--export", "new.csv"), ("--export", "theirs.csv"),
    ("-o", "new.md"), ("-o", "theirs.md"), ("--force",), ("--seed", "1"), ("-q",),
)  # fmt: skip


@st.composite
def _spoilt_predictions(draw: Draw, what: str, y: np.ndarray, names: list[str]) -> dict[str, Any]:
    size, classes = len(y), len(names)
    if what == "y":
        return {"y_true": draw(arrays(first=size))}
    if what == "p":
        return {"probabilities": draw(arrays(first=size))}
    if what == "names":
        chosen = draw(st.sampled_from([names, names[:-1], names[:1] * classes]))
        return {"class_names": np.array(chosen)}
    if what == "wrong names":
        return {"class_names": draw(arrays())}
    if what == "constant":
        return {"y_true": np.zeros(size, int)}
    if what == "float":
        return {"y_true": y + draw(st.sampled_from([0.0, 0.5, np.nan, -1.0, 99.0]))}
    if what == "one-hot" and size:
        return {"y_true": np.eye(classes)[y]}
    if what == "text":
        return {"y_true": np.array([str(label) for label in y])}
    return {}
