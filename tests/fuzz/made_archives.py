"""Archives of models and run folders that rnnprobe left, changed, with what opens them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fuzz_case import DATA, MODEL, Case
from hypothesis import strategies as st
from made_arrays import Draw, mutated, seldom, unzipped, zip_bytes


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
     ["a", "b", "c"], [1, 2, 3], float("nan"), 10**400, "\udcff", "0" * 3000, "gru", "values.npz"]
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
    if seldom(draw, 2) and arguments[0] not in ("train", "harden"):
        arguments += ["--data", DATA]
    if seldom(draw, 5):
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
        return Case(("report", "runs", *html), content)
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
    if what == "experiment":
        files["experiment.json"] = draw(_spoilt_line(files.get("experiment.json", b"{}")))
    elif what in ("results", "line", "swapped"):
        lines = files.get("results.jsonl", b"").splitlines()
        if what == "results" and lines:
            place = draw(st.integers(0, len(lines) - 1))
            lines[place] = draw(_spoilt_line(lines[place]))
        elif what == "line" and lines:
            odd = draw(st.sampled_from([*_ODD_LINES, lines[0]]))
            lines.insert(draw(st.integers(0, len(lines))), odd)
        elif what == "swapped":
            lines.reverse()
        if lines:
            files["results.jsonl"] = b"\n".join(lines) + b"\n"
    elif what == "missing" and len(files) > 1:
        del files[draw(st.sampled_from(sorted(files)))]
    elif what == "other":
        files["experiment.json"] = runs[draw(st.sampled_from(sorted(runs)))]["experiment.json"]
    elif what == "folder":
        files["notes.txt"] = b"mine"
    elif what in ("cut", "bytes"):
        name = draw(st.sampled_from(sorted(files)))
        if what == "cut":
            files[name] = files[name][: draw(st.integers(0, 1000)) * len(files[name]) // 1000]
        elif files[name]:
            files[name] = draw(mutated(files[name]))


_ODD_LINES = (
    b"", b"null", b"[]", b"{}", b'{"key": 1}', b"\xff", b"{", b'{"key": "x", "run": {}}',
    b"[" * 100_000, b'{"key": null, "run": null}', b"1" * 5000,
)  # fmt: skip


@st.composite
def _spoilt_line(draw: Draw, line: bytes) -> bytes:
    """A line of JSON in which something is changed, or what is no JSON as it is."""
    try:
        document = json.loads(line)
    except ValueError:
        return line
    return _as_json(draw(spoilt_json(document)))
