"""What the fuzz run makes up: options, data files, archives, run folders, settings."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from fuzz_bench import FOLDERS, OUTPUTS, Case
from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

MODEL, OTHER_MODEL, DATA = "gru.keras", "other.keras", "values.npz"
CHECK, SHOW = ("data", "check"), ("data", "show")
TRAIN = ("train", "--cell", "rnn", "--units", "2", "--epochs", "1", "--limit-examples", "24")
SYNTHESIZE = ("synthesize", MODEL, "--target", "0", "--starts", "1", "--steps", "2")
ATTACK = ("attack", MODEL, "--attack", "fgsm", "--epsilon", "0.1")

SOME_TEXT = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(
        ["", " ", "-1", "0", "1e9999", "nan", "inf", "-inf", "None", "../..", "a" * 3000, "%s",
         "${HOME}", "é,ü", "\u202e", "1,,2", ",", "--", "-", "١", "\udcff", "|`*_<b>", "yes",
         "~", "*", "0x10", "1_000", "1/2", "9" * 4400, "1e400", "true", "a:b", ":", "\n"]
    ),
)  # fmt: skip
PATHS = st.sampled_from(
    ["theirs.md", "theirs.csv", "theirs.npz", "theirs.keras", "ours.md", "ours.json", "folder",
     "folder/inside.txt", "no/such/folder/x.md", "new.md", "new.json", "new.csv", "new.npz",
     "new.keras", "new", "", ".", "..", "link.md", "dangling.md", "loop.md", DATA, MODEL,
     "a" * 300, "new\udcff.md", "/dev/null", "ü \n.md", "folder/", "rnnprobe.toml", "-",
     "theirs.md/x", "runs"]
)  # fmt: skip
# Work grows with these, so a value that is taken must be small; what is refused may be anything.
_SMALL: Mapping[str, Sequence[str]] = {
    "units": ("1", "3", "0", "-1", "2.5", "x", "1..3:+1"),
    "layers": ("1", "2", "0", "x"),
    "epochs": ("1", "2", "0", "-1", "x", "1.5"),
    "steps": ("1", "2", "0", "-1", "x"),
    "starts": ("1", "2", "0", "x"),
    "repeats": ("1", "0", "x"),
    "folds": ("2", "0", "1", "x"),
    "trials": ("1", "0", "x"),
    "timesteps": ("1", "0", "7", "x", "1,1", "99"),
    "what": ("weights", "gates", "activations", "decisions", "gradients", "pairs", "classes",
             "slices", "calibration", "x", "", "weights,gates", "weights,weights", ","),
    "attacks": ("noise", "fgsm", "hotflip", "x", "", ":", "os:getcwd", "builtins:list", "math:pi",
                "noise,fgsm", "fgsm,fgsm", "no.such:thing", "os:", ":x"),
    "data": (DATA, "missing.npz", "", ".", "folder", "theirs.npz", "theirs.csv", "mnist-5k",
             "mnist-6k", "os:getcwd", "builtins:object", "builtins:list", "builtins:dict",
             "math:pi", "no.such:thing", ":", "a:b:c", MODEL, "theirs.md", "/dev/null",
             "bytes\udcff.npz"),
    "cell": ("rnn", "gru", "lstm", "dense", "cnn", "x", "os:getcwd", "builtins:dict", "math:pi",
             ":", "json:loads", "builtins:int", "no.such:thing"),
    "import": ("theirs.md", "os", "no.such", "x.py", "", "folder", "broken.py", "good.py", "..",
               "numpy.py", "\udcff.py"),
    "target": ("0", "1", "2", "3", "-1", "x", "", "1.0", "\udcff"),
    "pair": ("0,1", "1,1", "0", "", ",", "0,9", "x,y", "0,1,2"),
    "predictions": ("predictions.npz", "theirs.npz", "missing.npz", "folder", "theirs.csv", DATA),
    "config": ("rnnprobe.toml", "theirs.md", "missing.toml", "folder", "", "theirs.npz"),
    "chief": ("", "x", ":", "x:y", ":0", "a:99999", "[::1]"),
    "listen": ("", "x", ":", "x:y", "a:99999"),
    "run_dir": ("runs", "folder", "theirs.md", "", "no/such/run", "new"),
    "max_memory": ("1", "x", "", "-1GB", "1e400GB", "0", "nanGB", "1XB"),
    "limit": ("units<=128", "x", "", "units", "units<=", "units<=x", "all", "units<=1e999"),
    "name": ("lstm-optimizers", "x", ""),
    "class_weights": ("balanced", "1,1,1", "1,1", "0,0,0", "nan,1,1", "-1,1,1", "1e400,1,1", "x",
                      "1e38,1e38,1e38", "0,0,1"),
    "output": ("new.md", "new.md", "new.json", "new.csv", "ours.md", "ours.json", "theirs.md",
               "theirs.csv", "folder", "", "new", "no/such/x.md", "a" * 300 + ".md", "link.md",
               "dangling.md", "loop.md", "/dev/null", "new\udcff.md", "ours.md/x.md"),
    "export": ("new.npz", "new.npz", "new.csv", "new.csv", "theirs.npz", "theirs.csv", "ours.md",
               DATA, "folder", "", "no/such/x.npz", "a" * 300 + ".npz", "new\udcff.npz"),
    "model_out": ("new.keras", "new.keras", MODEL, "theirs.keras", "new", "", "folder",
                  "no/such/x.keras", "a" * 300 + ".keras", "new\udcff.keras"),
    "plots": ("new", "new", "new/deep", "folder", "theirs.md", "", "a" * 300, "new\udcff"),
    "layout": ("rows", "columns", "x"),
    "learning_rate": ("0.01", "1e30", "1e-300", "nan", "inf", "0", "x", "1..2:x0", "1..2:+0"),
}  # fmt: skip
_BASES: Sequence[tuple[str, ...]] = (
    (*CHECK, DATA),
    (*CHECK, DATA),
    (*SHOW, DATA, "--top", "2"),
    ("data", "list"),
    ("confusions", "--predictions", "predictions.npz"),
    ("confusions", MODEL),
    ("confusions", MODEL, OTHER_MODEL),
    ("inspect", MODEL, "--what", "weights"),
    ATTACK,
    SYNTHESIZE,
    (*TRAIN, "--data", DATA),
    ("compare", MODEL, OTHER_MODEL),
    ("predict", MODEL, DATA),
    ("predict", MODEL, DATA),
    # What starts processes, or is long, is to be refused: its data or its model is missing.
    ("sweep", "--data", "missing.npz"),
    ("tune", "--data", "missing.npz"),
    ("reproduce", "lstm-optimizers", "--data", "missing.npz"),
    ("reproduce", "--list"),
    ("harden", "missing.keras"),
    ("report", "missing.keras"),
    ("worker", "no address"),
)
_QUICK = 14  # of _BASES
_LONG = {"sweep", "tune", "reproduce", "harden", "report", "worker"}


def _seldom(draw: Draw, times: int) -> bool:
    """Return True about once in so many times and one."""
    # Not 0: Hypothesis draws the ends of a range more often than what is between.
    return bool(draw(st.integers(0, times)) == (times + 1) // 2)


def command_of(arguments: Sequence[str]) -> click.Command:
    """Return the Click command that arguments name first."""
    from rnnprobe.cli import cli

    found: click.Command = cli
    for name in arguments:
        if not isinstance(found, click.Group):
            break
        found = found.get_command(click.Context(found), name) or found
    return found


@st.composite
def option_cases(draw: Draw) -> Case:
    """A command that would work, with one to three options of any value."""
    base = draw(st.sampled_from(_BASES))
    command = command_of(base)
    options = [p for p in command.params if isinstance(p, click.Option)]
    arguments = list(base)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 2, 3]))):
        option = draw(st.sampled_from(options))
        if base[0] in _LONG and option.name in ("data", "chief", "listed"):
            continue
        arguments += draw(given_option(option))
    if _seldom(draw, 9):
        arguments.append(draw(st.one_of(PATHS, SOME_TEXT)))
    return Case(tuple(arguments))


@st.composite
def given_option(draw: Draw, option: click.Option) -> list[str]:
    """One option, its name and its value."""
    flags = [name for name in option.opts if name.startswith("-")]
    if option.is_flag or option.count:
        return [draw(st.sampled_from(flags))]
    value = draw(option_value(option))
    long = flags[-1] if flags[-1].startswith("--") else flags[0]
    return [long, value]


def option_value(option: click.Parameter) -> st.SearchStrategy[str]:
    """Return values of an option: mostly of its type, at its ends and beyond, else any text."""
    if option.name in _SMALL:
        return st.sampled_from(list(_SMALL[option.name]))
    kind = option.type
    nonsense = SOME_TEXT
    if isinstance(kind, click.IntRange | click.FloatRange) and kind.min is not None:
        # One in three is a good one, so that what comes after it is met, too.
        good = st.just(str(kind.min + (0 if kind.max is None else (kind.max - kind.min) / 2)))
        nonsense = st.one_of(
            good if isinstance(kind, click.FloatRange) else st.just("1"), SOME_TEXT
        )
    if isinstance(kind, click.Choice):
        choices = st.sampled_from([str(c) for c in kind.choices])
        return st.one_of(choices, choices, choices, nonsense)
    if isinstance(kind, click.Path):
        return PATHS
    if isinstance(kind, click.IntRange | click.FloatRange):
        ends = [end for end in (kind.min, kind.max) if end is not None]
        near = [str(end + step) for end in ends for step in (0, 0, 1, 1, -1)]
        return st.one_of(
            st.sampled_from([*near, "1", "2", "3", "5", "0.5", "0.9"]),
            st.sampled_from([*near, "nan", "inf", "1e3", str(2**31), str(2**64), "1e308"]),
            nonsense,
        )
    if option.name and option.name.endswith("_column"):
        return st.sampled_from(["label", "text", "id", "time", "x", "", "\udcff", "|"])
    numbers = "0 0.1 0.5,0.1 1 -0.1 nan inf 1e-300 1e300 none yes adam momentum linf linf,l2 free"
    return st.one_of(st.sampled_from(numbers.split()), nonsense)


# --- arrays ---------------------------------------------------------------------------------

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
    if first is not None and shape and not _seldom(draw, 3):
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
    if _seldom(draw, 4):
        return {"x": x, "y": np.eye(classes)[y].astype(draw(st.sampled_from(["f4", "i8"])))}
    return {"x": x, "y": y.astype(draw(st.sampled_from(["i4", "i8", "u1", "f4", "U3"])))}


@st.composite
def npz_content(draw: Draw) -> dict[str, Any]:
    """Arrays by Keras's keys, right but for up to two things."""
    size = draw(st.sampled_from([30, 30, 30, 40, 2, 1, 0, 40, 60, 60, 60]))
    content = draw(_good_data(size))
    if _seldom(draw, 3):
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
    ending = key[1:]
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
    if what == "stranger":
        return {draw(st.sampled_from(["z", "x_", "file/../y", "", "x_dev"])): array}
    if what == "labels" and kind == "y":
        label = draw(st.sampled_from([-1, 7, 1.5, np.nan, 2**40, 1e300]))
        spoilt = np.array(np.ones(size), dtype="f8")
        if size:
            spoilt[-1] = label
        return {key: spoilt}
    if what == "object":
        return {key: np.array([{"a": 1}] * size + [None], dtype=object)}
    if what == "same":
        return {key: np.zeros_like(array)}
    if what == "wide" and array.ndim == 3:
        return {key: np.repeat(array, 40, axis=2)}
    return {key: array[::-1]}


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


_EVIL = (
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


_BOMBS = (
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
    if _seldom(draw, 4) and chosen[0] != "predict":
        chosen += ["--limit-examples", draw(st.sampled_from(["1", "2", "5", "20"]))]
    if _seldom(draw, 5):
        chosen += ["--layout", draw(st.sampled_from(["rows", "columns", "pixels"]))]
    if _seldom(draw, 5):
        output = draw(st.sampled_from(["new.md", "ours.md", "ours.md", "new.json", "theirs.md"]))
        chosen += ["-o", output] if "--format" not in chosen else []
    return chosen


@st.composite
def npz_cases(draw: Draw) -> Case:
    """A made-up npz file and a command that reads it."""
    what = draw(st.sampled_from(["content"] * 6 + ["mutated", "evil", "bomb"] + ["content"] * 6))
    if what == "evil":
        content = draw(st.sampled_from(_EVIL))
    elif what == "bomb":
        content = draw(st.sampled_from(_BOMBS))
    else:
        content = npz_bytes(draw(npz_content()), compressed=draw(st.booleans()))
        if what == "mutated":
            content = draw(mutated(content))
    return Case(tuple(draw(_data_commands("made.npz"))), {"made.npz": content})


# --- csv ------------------------------------------------------------------------------------

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
    if _seldom(draw, 11):
        content = draw(mutated(content)) if content else content
    options: list[list[str]] = []
    has = {name for name in ("id", "time", "text") if name in text.split("\n")[0]}
    if {"id", "time"} <= has and not _seldom(draw, 5):
        options += [["--id-column", "id"], ["--time-column", "time"]]
    elif "text" in has and not _seldom(draw, 5):
        options += [["--text-column", "text"]]
    if _seldom(draw, 5):
        option = draw(st.sampled_from(["--label-column", "--text-column", "--id-column"]))
        options += [[option, draw(st.sampled_from(["label", "a", "id", "time", "zz", "text"]))]]
    return Case(tuple(draw(_data_commands("made.csv", options=options))), {"made.csv": content})


# --- folders --------------------------------------------------------------------------------


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


# --- predictions ----------------------------------------------------------------------------


@st.composite
def prediction_cases(draw: Draw) -> Case:
    """A file of predictions, right but for one thing."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    size, classes = draw(
        st.sampled_from([(30, 3)] * 6 + [(1, 2), (0, 2), (5, 1), (8, 2), (40, 12), (40, 12)])
    )
    probabilities = rng.dirichlet(np.ones(classes), size) if size else np.zeros((0, classes))
    if size and _seldom(draw, 5):
        probabilities = np.eye(classes)[rng.integers(0, classes, size)]
    y: np.ndarray = rng.integers(0, classes, size)
    content: dict[str, Any] = {"y_true": y, "probabilities": probabilities}
    what = draw(st.sampled_from(
        ["right"] * 3
        + ["y", "p", "names", "wrong names", "constant", "float", "one-hot", "text"]
        + ["right"] * 2
    ))  # fmt: skip
    names = [f"n{i}" for i in range(classes)]
    if what == "y":
        content["y_true"] = draw(arrays(first=size))
    elif what == "p":
        content["probabilities"] = draw(arrays(first=size))
    elif what == "names":
        content["class_names"] = np.array(
            draw(st.sampled_from([names, names[:-1], names[:1] * classes]))
        )
    elif what == "wrong names":
        content["class_names"] = draw(arrays())
    elif what == "constant":
        content["y_true"] = np.zeros(size, int)
    elif what == "float":
        content["y_true"] = y + draw(st.sampled_from([0.0, 0.5, np.nan, -1.0, 99.0]))
    elif what == "one-hot" and size:
        content["y_true"] = np.eye(classes)[y]
    elif what == "text":
        content["y_true"] = np.array([str(label) for label in y])
    file, suffix = b"", ".npz"
    if draw(st.booleans()) and what in ("right", "constant", "float", "text"):
        suffix = ".csv"
        head = ",".join(["y_true", *names])
        rows = [
            ",".join(map(str, [label, *row]))
            for label, row in zip(content["y_true"].tolist(), probabilities.tolist(), strict=True)
        ]
        file = "\n".join([head, *rows]).encode()
    else:
        file = npz_bytes(content)
    if _seldom(draw, 6) and file:
        file = draw(mutated(file))
    arguments = ["confusions", "--predictions", f"made{suffix}"]
    for extra in draw(st.lists(st.sampled_from(
        [("--format", "json"), ("--format", "csv"), ("--plots", "pictures"), ("--top", "1"),
         ("--export", "new.npz"), ("--export", "new.csv"), ("--export", "theirs.csv"),
         ("-o", "new.md"), ("-o", "theirs.md"), ("--force",), ("--seed", "1"), ("-q",)]
    ), max_size=2, unique=True)):  # fmt: skip
        arguments += extra
    return Case(tuple(arguments), {f"made{suffix}": file})


# --- archives -------------------------------------------------------------------------------


def unzipped(content: bytes) -> dict[str, bytes]:
    """Return the entries of an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def settled(document: Any) -> Any:
    """Return what a run left without what differs from one time to the next."""
    if isinstance(document, list):
        return [settled(item) for item in document]
    if not isinstance(document, dict):
        return document
    fixed: dict[str, Any] = {"peak_memory": 100.0, "versions": {"rnnprobe": "0"}}
    found = {key: fixed.get(key, settled(value)) for key, value in document.items()}
    seconds, data = found.get("seconds"), found.get("data")
    if seconds is not None:
        found["seconds"] = [1.0] * len(seconds) if isinstance(seconds, list) else 1.0
    if isinstance(data, str):
        found["data"] = data.rpartition("/")[2]  # of which every case has a copy
    return found


def settled_lines(path: Path) -> bytes:
    """Return a file of a run folder, `settled`."""
    text = path.read_text("utf-8")
    documents = text.splitlines() if path.suffix == ".jsonl" else [text]
    return b"".join(_as_json(settled(json.loads(line))) + b"\n" for line in documents)


_VALUES = st.sampled_from(
    [None, 0, -1, 1, 2, 1.5, True, "", "x", [], {}, [1], {"a": 1}, 10**12, "nan", ["a", "b"],
     ["a", "b", "c"], [1, 2, 3], float("nan"), "\udcff", "0" * 3000, "gru", "values.npz"]
)  # fmt: skip


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to everything inside a JSON value."""
    found = [path] if path else []
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        found += _places(item, (*path, key))
    return found


@st.composite
def spoilt_json(draw: Draw, document: Any, *, times: int = 2) -> Any:
    """A JSON value in which something is changed, left out or added."""
    document = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, times))):
        # A level first, then a place of it, or those deep inside would be all that is drawn.
        places = _places(document)
        if not places:
            break
        level = draw(st.sampled_from(sorted({len(place) for place in places})))
        *way, last = draw(st.sampled_from([place for place in places if len(place) == level]))
        inside = document
        for key in way:
            inside = inside[key]
        what = draw(st.sampled_from(["change", "change", "drop", "add", "rename"]))
        if what == "change":
            inside[last] = draw(_VALUES)
        elif what == "drop":
            del inside[last]
        elif isinstance(inside, dict):
            if what == "rename":
                inside[f"{last}x"] = inside.pop(last)
            else:
                inside[draw(st.sampled_from(["x", "units", "schema", "split"]))] = draw(_VALUES)
    return document


def _as_json(document: Any) -> bytes:
    return json.dumps(document).encode("utf-8", "surrogatepass")


_LAMBDA = {
    "module": "keras.layers", "class_name": "Lambda", "registered_name": None,
    "config": {"name": "evil", "function": {"class_name": "__lambda__", "config": {
        "code": "4wEAAAAAAAAAAAAAAAAAAAA=", "defaults": None, "closure": None}}},
}  # fmt: skip
_LAYERS = (
    _LAMBDA,
    {"module": "os", "class_name": "system", "registered_name": None, "config": {"command": "x"}},
    {"module": "builtins", "class_name": "exec", "config": {}},
    {"module": "keras.layers", "class_name": "NoSuchLayer", "config": {}},
    {"module": "mine", "class_name": "Mine", "registered_name": "mine>Mine", "config": {}},
    {"module": "keras.layers", "class_name": "Dense", "config": {"units": -1}},
    {"module": "keras.layers", "class_name": "Flatten", "config": {"name": "f"}},
)


@st.composite
def archive_cases(draw: Draw, model: bytes) -> Case:
    """A real model's archive, changed, and a quick command that opens it."""
    entries = unzipped(model)
    what = draw(st.sampled_from(
        ["bytes", "bytes", "config", "config", "layer", "metadata", "metadata", "metadata", "drop",
         "weights", "deep metadata", "zip"]
    ))  # fmt: skip
    if what == "bytes":
        content = draw(mutated(model))
    else:
        _spoil_archive(draw, what, entries)
        content = zip_bytes(entries)
    arguments = list(draw(st.sampled_from(
        [("confusions", "made.keras"), ("confusions", "made.keras"),
         ("inspect", "made.keras", "--what", "weights"),
         ("attack", "made.keras", "--attack", "noise", "--epsilon", "0.1"),
         ("synthesize", "made.keras", "--target", "0", "--starts", "1", "--steps", "1"),
         ("compare", MODEL, "made.keras"), ("confusions", "made.keras", MODEL),
         ("harden", "made.keras", "--steps", "0"),
         ("train", "--data", "missing.npz", "--model-out", "made.keras")]
    )))  # fmt: skip
    if _seldom(draw, 2) and arguments[0] not in ("train", "harden"):
        arguments += ["--data", DATA]
    if _seldom(draw, 5):
        arguments += ["--limit-examples", "9"]
    return Case(tuple(arguments), {"made.keras": content})


def _spoil_archive(draw: Draw, what: str, entries: dict[str, bytes]) -> None:
    config, metadata = json.loads(entries["config.json"]), json.loads(entries["rnnprobe.json"])
    if what == "config":
        entries["config.json"] = _as_json(draw(spoilt_json(config)))
    elif what == "layer":
        layers = config["config"]["layers"]
        layer = dict(draw(st.sampled_from(_LAYERS)))
        place = draw(st.integers(0, len(layers) - 1))
        inbound = layers[place].get("inbound_nodes", [])
        layers[place] = {**layer, "name": layers[place].get("name"), "inbound_nodes": inbound}
        entries["config.json"] = _as_json(config)
    elif what == "metadata":
        entries["rnnprobe.json"] = _as_json(draw(spoilt_json(metadata)))
    elif what == "deep metadata":
        entries["rnnprobe.json"] = draw(st.sampled_from(
            [b"", b"[]", b"null", b"{}", b'{"schema": "rnnprobe.model/1"}', b"{" * 100_000,
             b"[" * 100_000, b"\xff", b'{"schema": "rnnprobe.model/2"}', b"NaN"]
        ))  # fmt: skip
    elif what == "drop":
        del entries[draw(st.sampled_from(sorted(entries)))]
    elif what == "weights":
        weights = entries["model.weights.h5"]
        entries["model.weights.h5"] = draw(mutated(weights))
    else:
        name = draw(st.sampled_from(["../evil", "/evil", "a/b", "config.json.bak"]))
        entries[name] = b"x"


# --- run folders ----------------------------------------------------------------------------


@st.composite
def run_folder_cases(draw: Draw, runs: Mapping[str, Mapping[str, bytes]]) -> Case:
    """A run folder that a command left, changed, and the command that goes on with it.

    Args:
        draw: Hypothesis's.
        runs: By command the files of a run folder that is complete.
    """
    command = draw(st.sampled_from(sorted(runs)))
    files = dict(runs[command])
    for _ in range(draw(st.integers(1, 2))):
        what = draw(st.sampled_from(
            ["experiment", "experiment", "experiment", "results", "results", "line", "cut",
             "missing", "swapped", "other", "bytes", "folder"]
        ))  # fmt: skip
        _spoil_run(draw, what, files, runs)
    asked = draw(
        st.sampled_from([command] * 8 + ["sweep", "tune", "reproduce", "report", "report"])
    )
    content: Mapping[str, bytes | None] = {f"runs/{name}": held for name, held in files.items()}
    if asked == "report":
        html = draw(st.sampled_from([(), ("--html", "new.html"), ("--html", "theirs.html")]))
        return Case(("report", "runs", *html), {**content, "theirs.html": b"<p>mine</p>"})
    arguments = [asked, "--run-dir", "runs", "--resume"]
    extra = draw(st.sampled_from(
        [(), (), (), ("-q",), ("--format", "json"), ("--format", "csv"), ("--data", DATA),
         ("--seed", "1"), ("--retry-dnf",), ("--units", "2"), ("-o", "theirs.md")]
    ))  # fmt: skip
    if asked == "tune":
        arguments += ["--model-out", "new.keras"]
    if asked != "reproduce" or extra[:1] not in (("--units",), ("--data",)):
        arguments += extra
    # What is to be run again ends at once, and not well.
    arguments += ["--workers", "1", "--max-seconds", "0.001"]
    return Case(tuple(arguments), content)


def _spoil_run(
    draw: Draw,
    what: str,
    files: dict[str, bytes],
    runs: Mapping[str, Mapping[str, bytes]],
) -> None:
    experiment = files.get("experiment.json", b"{}")
    lines = files.get("results.jsonl", b"").splitlines()
    if what == "experiment":
        try:
            document = json.loads(experiment)
        except ValueError:
            return
        files["experiment.json"] = _as_json(draw(spoilt_json(document)))
    elif what == "results" and lines:
        place = draw(st.integers(0, len(lines) - 1))
        try:
            entry = json.loads(lines[place])
        except ValueError:
            return
        lines[place] = _as_json(draw(spoilt_json(entry)))
        files["results.jsonl"] = b"\n".join(lines) + b"\n"
    elif what == "line" and lines:
        lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(
            [b"", b"null", b"[]", b"{}", b'{"key": 1}', b"\xff", b"{", b'{"key": "x", "run": {}}',
             lines[0], b"[" * 100_000, b'{"key": null, "run": null}', b"1" * 5000]
        )))  # fmt: skip
        files["results.jsonl"] = b"\n".join(lines) + b"\n"
    elif what == "cut":
        name = draw(st.sampled_from(sorted(files)))
        files[name] = files[name][: draw(st.integers(0, 1000)) * len(files[name]) // 1000]
    elif what == "missing" and len(files) > 1:
        del files[draw(st.sampled_from(sorted(files)))]
    elif what == "swapped" and len(lines) > 1:
        files["results.jsonl"] = b"\n".join(reversed(lines)) + b"\n"
    elif what == "other":
        files["experiment.json"] = runs[draw(st.sampled_from(sorted(runs)))]["experiment.json"]
    elif what == "bytes":
        name = draw(st.sampled_from(sorted(files)))
        if files[name]:
            files[name] = draw(mutated(files[name]))
    elif what == "folder":
        files["notes.txt"] = b"mine"


# --- settings -------------------------------------------------------------------------------

_TOML_VALUES = st.one_of(
    st.integers(-3, 3), st.booleans(), st.floats(allow_nan=False), SOME_TEXT,
    st.lists(st.integers(0, 3), max_size=3), st.just({"a": 1}),
)  # fmt: skip


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{a = 1}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value.encode("utf-8", "replace").decode())
    return repr(value)


@st.composite
def setting_cases(draw: Draw) -> Case:
    """Defaults from a TOML file and from the environment, for a quick command."""
    base = list(draw(st.sampled_from(_BASES[:_QUICK])))
    command = command_of(base)
    path = [base[0], base[1]] if base[0] == "data" else [base[0]]
    options = [
        p for p in command.params
        if isinstance(p, click.Option) and p.name not in ("data", "config", "listed", "verbose")
    ]  # fmt: skip
    chosen = draw(st.lists(st.sampled_from(options), max_size=3, unique_by=lambda o: str(o.name)))
    by_file = draw(st.booleans())
    written: list[tuple[str, str]] = []
    environment: dict[str, str] = {}
    for option in chosen:
        key = max(option.opts, key=len).removeprefix("--")
        by_type = draw(option_value(option)) if not option.is_flag else "true"
        value = draw(st.one_of(st.just(by_type), st.just(by_type), _TOML_VALUES))
        if option.name in _SMALL:
            value = by_type
        written.append((key, _toml(value)))
        # A value of the environment is bytes without NUL; a surrogate stands for an odd one.
        text = str(value).replace("\0", "")
        environment["_".join(["RNNPROBE", *path, str(option.name)]).upper().replace("-", "_")] = (
            text
        )
    files: dict[str, bytes | None] = {}
    if by_file:
        environment = {}
        body = "\n".join(f"{key} = {value}" for key, value in written)
        table = draw(st.sampled_from([".".join(path)] * 6 + ["x", "data", "", "train"]))
        text = (f"[{table}]\n" if table else "") + body
        content = text.encode("utf-8", "replace")
        if _seldom(draw, 9) and content:
            content = draw(mutated(content))
        files["made.toml"] = content
        base += ["--config", "made.toml"]
    given = [json.loads(v) if v.startswith('"') else v for _, v in written]
    outputs = [
        str(value) for option, value in zip(chosen, given, strict=True)
        if any(name in (*OUTPUTS, *FOLDERS) for name in option.opts)
    ]  # fmt: skip
    force = any(option.name == "force" for option in chosen)
    return Case(tuple(base), files, {}, environment, tuple(outputs), force)
