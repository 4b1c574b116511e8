"""What a page says of a model or a run before its chapters: settings, data, versions, commands."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnprobe.errors import ModelError
from rnnprobe.journal import EXPERIMENT, RESULTS
from rnnprobe.records import SequenceDataset
from rnnprobe.reports._common import (
    counted,
    data_arguments,
    interval_text,
    train_command,
)
from rnnprobe.reports.train import settings_text
from rnnprobe.search.space import AXES, Value, canonical, value_text
from rnnprobe.specs import ModelSpec, Run, TrainSpec, specs_from_dict
from rnnprobe.table import Column, Table

if TYPE_CHECKING:
    from rnnprobe.opening import OpenedModel

Facts = list[tuple[str, str]]
Metadata = Mapping[str, Any]

_COLUMNS = (Column("what", "what"), Column("value", "value"))
_CURVES = ("loss", "accuracy", "val_loss", "val_accuracy", "seconds")
_NOT_KEPT = "not kept: the file was saved by an earlier version of rnnprobe, or another way"
_UNNAMED = "mnist-5k"  # which the commands that train take where none is named
_AGAIN = "again.keras"
_NO_OPTIONS = ("initializers", "cell_options", "embedding")


def facts_table(facts: Facts) -> Table:
    """Return facts as a table; what has no value is left out."""
    return Table(_COLUMNS, tuple((what, value) for what, value in facts if value))


def model_facts(path: Path, opened: OpenedModel, metadata: Metadata | None, *, part: str) -> Facts:
    """Return what a model's file says of it, and on what it is probed.

    Args:
        path: The file.
        opened: The same with its data.
        metadata: What rnnprobe wrote into it; None of any other.
        part: The part that it is probed on.
    """
    dataset = opened.dataset
    names = dataset.class_names
    layout = [f"layout {dataset.layout}"] if dataset.layout else []
    limited = [note for note in dataset.notes if note.startswith("limited")]
    whole = f"{part} part (n = {len(dataset.splits[part]):,})"
    return [
        ("file", str(path)),
        ("kind", opened.kind),
        ("parameters", f"{opened.model.count_params():,}"),
        ("classes", f"{len(names)}: {', '.join(names)}"),
        *_trained_facts(metadata, dataset),
        ("probed on", ", ".join([dataset.name, *layout, *limited, whole])),
        ("digest of the data", dataset.digest),
    ]


def _trained_facts(metadata: Metadata | None, dataset: SequenceDataset) -> Facts:
    """Return how a model was trained, as far as its file tells."""
    if metadata is None:
        return [("trained by", "something else than rnnprobe; the file does not say how")]
    facts: Facts = []
    if "train" in metadata:
        facts += _settings_facts(metadata)
    if "hardened" in metadata:
        facts.append(("hardened", _plain(metadata["hardened"])))
    data = metadata.get("data", {})
    if data:
        facts.append(("trained on", _data_text(data)))
    facts.append(("test accuracy when saved", _tested(metadata, dataset)))
    if "train" in metadata and not keeps_curves(metadata):
        facts.append(("training curves", _NOT_KEPT))
    facts.append(("versions when saved", _versions_text(metadata.get("versions", {}))))
    facts.append(("trained again by", train_again_command(metadata, dataset)))
    return facts


def _data_text(data: Mapping[str, Any]) -> str:
    return f"{data.get('name', 'without a name')}, digest {data.get('digest', 'not known')}"


def _tested(metadata: Metadata, dataset: SequenceDataset) -> str:
    """Return the accuracy that the file tells, with its interval; empty where n is not known."""
    accuracy = metadata.get("metrics", {}).get("test_accuracy")
    if accuracy is None or metadata.get("data", {}).get("digest") != dataset.digest:
        return ""
    total = len(dataset.test)
    return f"{interval_text(round(accuracy * total), total)}, its 95 % interval in brackets"


def trained_specs(metadata: Metadata) -> tuple[ModelSpec, TrainSpec]:
    """Return how a model was built and trained.

    Args:
        metadata: Of its file, with `model` and `train`.

    Raises:
        ModelError: They hold what this version of rnnprobe does not know.
    """
    for name, record in (("model", ModelSpec), ("train", TrainSpec)):
        strangers = sorted(set(metadata[name]) - {field.name for field in fields(record)})
        if strangers:
            raise ModelError(
                f"The rnnprobe.json inside the model has settings that this version of rnnprobe "
                f"does not know ('{strangers[0]}'); it was written by another version."
            )
    try:
        records = specs_from_dict(metadata)
    except (TypeError, ValueError) as exc:
        raise ModelError(
            f"The rnnprobe.json inside the model says how it was trained, but not rightly: {exc}."
        ) from exc
    return records["model"], records["train"]


def keeps_curves(metadata: Metadata) -> bool:
    """Whether the file of a model holds its curves of training, of every epoch."""
    history = metadata.get("history", {})
    lengths = {len(history.get(name, ())) for name in _CURVES}
    return len(lengths) == 1 and lengths != {0} and "epoch" in metadata.get("metrics", {})


def _settings_facts(metadata: Metadata) -> Facts:
    model, train = trained_specs(metadata)
    length = counted(train.steps, "step") if train.steps else counted(train.epochs, "epoch")
    text = f"{model.cell}, {settings_text(model, train)}, at most {length}"
    return [("settings", text), ("seed", str(train.seed))]


def _plain(values: Mapping[str, Any]) -> str:
    """Return nested plain values as text, the innermost ones by name."""
    told = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            value = f"({_plain(value)})"
        if value is not None:
            told.append(f"{name.replace('_', ' ')} {value}")
    return ", ".join(told)


def _versions_text(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def train_again_command(metadata: Metadata | None, dataset: SequenceDataset) -> str:
    """Return the command that trains a saved model again; empty where there is none.

    There is none for a model that was hardened, that no option describes (initializers, options of
    the cell), or whose data were in memory alone.

    Args:
        metadata: Of the model.
        dataset: Any; the metadata say of which name and where.
    """
    known = metadata or {}
    if "hardened" in known or not {"model", "train", "data"} <= set(known):
        return ""
    if not known["data"].get("data") or any(known["model"].get(name) for name in _NO_OPTIONS):
        return ""
    model, train = trained_specs(known)
    epochs = train.epochs
    if train.early_stopping is None:  # of a search, which may have ended a trial before
        epochs = int(known.get("metrics", {}).get("epoch", epochs))
    weights = train.class_weights
    settings = {
        "steps": train.steps,
        "epochs": None if train.steps else epochs,
        "early_stopping": train.early_stopping,
        "class_weights": ",".join(map(str, weights)) if isinstance(weights, tuple) else weights,
        "seed": train.seed,
        "model_out": _AGAIN,  # or it would take the place of a model.keras
    }
    named = replace(dataset, source=known["data"], notes=tuple(known.get("preprocessing", ())))
    return train_command(_configuration(model, train), settings, named)


def _configuration(model: ModelSpec, train: TrainSpec) -> dict[str, Value]:
    values: dict[str, Value] = {**vars(model), **vars(train)}
    return canonical({name: values[name] for name in AXES})


def run_facts(
    folder: Path,
    described: Mapping[str, Any],
    runs: Iterable[Run],
    wanted: int,
    commands: Facts,
) -> Facts:
    """Return what a run folder says of itself.

    Args:
        folder: The run folder.
        described: What `rnnprobe.journal.read_experiment` returned.
        runs: What it holds.
        wanted: How many runs or trials there should be.
        commands: What may be done with it, each with its command line, empty where there is none.
    """
    fixed, several = described["fixed"], list(runs)
    finished = sum(run.status == "ok" for run in several)
    axes = "; ".join(
        f"{name.replace('_', ' ')} {', '.join(map(value_text, values))}"
        for name, values in fixed.get("axes", {}).items()
    )
    what = "configurations" if described["command"] == "tune" else "runs"
    made = Counter(_versions_text(run.versions) for run in several)
    return [
        ("folder", str(folder)),
        ("command", described["command"]),
        ("experiment", fixed.get("experiment", "")),
        ("axes", axes),
        ("settings", _plain(fixed["settings"])),
        ("asked for", _plain(described["wanted"])),
        ("seed of the first run", str(fixed["seed"])),
        ("data", _data_text(fixed["data"])),
        (what, f"{len(several)} of {wanted} made, {finished} finished"),
        ("training time", f"{sum(run.seconds for run in several):,.0f} s, of all together"),
        (
            "versions",
            "; ".join(f"{text} ({n})" if len(made) > 1 else text for text, n in made.items()),
        ),
        ("when", _when(folder)),
        *commands,
    ]


def _when(folder: Path) -> str:
    """Return when the first and the last file of the run were written, by the system's clock."""
    times = [
        time.strftime("%Y-%m-%d %H:%M", time.gmtime((folder / name).stat().st_mtime))
        for name in (EXPERIMENT, RESULTS)
        if (folder / name).exists()
    ]
    return f"{' to '.join(times)} UTC, by the times of its files"


def run_again_command(
    described: Mapping[str, Any], dataset: SequenceDataset, *, with_models: bool, own_data: str = ""
) -> str:
    """Return the command that makes a run anew; empty where the command line cannot.

    Args:
        described: What `rnnprobe.journal.read_experiment` returned.
        dataset: Its data.
        with_models: Whether the models were kept.
        own_data: Name of the data that the command takes where none are named.
    """
    fixed, source = described["fixed"], dict(described["source"])
    settings = dict(fixed["settings"])
    if source.get("data") is None or settings.get("class_weights") is not None:
        return ""
    arguments = ["rnnprobe", described["command"]]
    if "experiment" in fixed:
        arguments.append(fixed["experiment"])
        settings = {}
        if source["data"] == own_data:
            source["data"] = None
        elif source["data"] == _UNNAMED:
            arguments += ["--data", _UNNAMED]
    for name, values in fixed.get("axes", {}).items():
        arguments += [AXES[name].option, ",".join(map(_exact, values))]
    more = {**settings, **described["wanted"], "seed": fixed["seed"] or None}
    more = {**more, "repeats": None} if more.get("repeats") == 1 else more
    more = {**more, "confirm": None} if more.get("confirm") == 0 else more
    for name, value in more.items():
        if value is not None:
            arguments += ["--" + name.replace("_", "-"), str(value)]
    if described["command"] == "tune":
        arguments += ["--model-out", _AGAIN]
    arguments += data_arguments(replace(dataset, source=source))
    return shlex.join(arguments + ["--save-models"] * with_models)


def _exact(value: Value) -> str:
    return repr(value) if isinstance(value, float) else value_text(value)
