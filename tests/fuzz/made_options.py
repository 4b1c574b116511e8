"""Options of the command line, on it, in a file of settings and in the environment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
from fuzz_case import DATA, FOLDERS, MODEL, OTHER_MODEL, OUTPUTS, Case
from hypothesis import strategies as st
from made_arrays import Draw, mutated, seldom

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
    ["theirs.md", "theirs.csv", "theirs.html", "theirs.npz", "theirs.keras", "ours.md",
     "ours.json", "folder",
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
    "attack": ("noise", "fgsm", "hotflip", "x", "", ":", "os:getcwd", "builtins:list", "math:pi",
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
               "theirs.csv", "theirs.html", "folder", "", "new", "no/such/x.md", "a" * 300 + ".md",
               "link.md",
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
        if base[0] in _LONG and option.name in ("data", "chief", "list"):
            continue
        arguments += draw(given_option(option))
    if seldom(draw, 9):
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
        if isinstance(p, click.Option) and p.name not in ("data", "config", "list", "verbose")
    ]  # fmt: skip
    chosen = draw(st.lists(st.sampled_from(options), max_size=3, unique_by=lambda o: str(o.name)))
    values = [draw(_setting(option)) for option in chosen]
    written = [
        (max(option.opts, key=len).removeprefix("--"), _toml(value))
        for option, value in zip(chosen, values, strict=True)
    ]
    files: dict[str, bytes | None] = {}
    environment: dict[str, str] = {}
    if draw(st.booleans()):
        files["made.toml"] = draw(_settings_file(path, written))
        base += ["--config", "made.toml"]
    else:
        for option, value in zip(chosen, values, strict=True):
            name = "_".join(["RNNPROBE", *path, str(option.name)]).upper().replace("-", "_")
            # A value of the environment is bytes without NUL; a surrogate stands for an odd one.
            environment[name] = str(value).replace("\0", "")
    given = [json.loads(v) if v.startswith('"') else v for _, v in written]
    outputs = [
        str(value) for option, value in zip(chosen, given, strict=True)
        if any(name in (*OUTPUTS, *FOLDERS) for name in option.opts)
    ]  # fmt: skip
    force = any(option.name == "force" for option in chosen)
    return Case(tuple(base), files, {}, environment, tuple(outputs), force)


@st.composite
def _setting(draw: Draw, option: click.Option) -> Any:
    by_type = "true" if option.is_flag else draw(option_value(option))
    if option.name in _SMALL:
        return by_type
    return draw(st.one_of(st.just(by_type), st.just(by_type), _TOML_VALUES))


@st.composite
def _settings_file(draw: Draw, path: Sequence[str], written: Sequence[tuple[str, str]]) -> bytes:
    body = "\n".join(f"{key} = {value}" for key, value in written)
    table = draw(st.sampled_from([".".join(path)] * 6 + ["x", "data", "", "train"]))
    text = (f"[{table}]\n" if table else "") + body
    content = text.encode("utf-8", "replace")
    spoilt: bytes = draw(mutated(content)) if seldom(draw, 9) and content else content
    return spoilt
