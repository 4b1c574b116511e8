"""What several reports say in the same way."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnprobe.paired import guessing
from rnnprobe.records import Array, SequenceDataset
from rnnprobe.search.space import AXES, Configuration, value_text
from rnnprobe.statistics import wilson_interval
from rnnprobe.table import Finding, escape, p_text

_ALWAYS_NAMED = ("cell", "units", "learning_rate")  # which everybody asks for


def data_phrase(dataset: SequenceDataset) -> str:
    """Return the name, sizes and digest of a data set as Markdown."""
    sizes = " / ".join(f"{len(split):,}" for split in dataset.splits.values())
    layout = f", layout {dataset.layout}" if dataset.layout not in (None, "rows") else ""
    limited = "".join(f", {note}" for note in dataset.notes if note.startswith("limited"))
    split = _split_name(dataset)
    cut = f", split {split}" if split else ""
    return (
        f"{escape(dataset.name)} ({sizes} train / validation / test{layout}{cut}{limited}, "
        f"digest {dataset.digest})"
    )


def _split_name(dataset: SequenceDataset) -> str | None:
    """Return the `split` of `load_dataset` where it cut the data, else None."""
    split = dataset.source.get("split")
    done = any(note.startswith(f"split {split}:") for note in dataset.notes)
    return str(split) if done else None


def counted(number: int, what: str) -> str:
    """Return a number of things, with what they are in the singular or plural."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def data_arguments(dataset: SequenceDataset) -> list[str]:
    """Return the options that name the data set again; its default name needs none."""
    source = dataset.source
    columns = source.get("columns") or {}
    values = {
        "data": None if source.get("data") == "mnist-5k" else source.get("data"),
        "layout": source.get("layout"),
        "limit-examples": source.get("limit_examples"),
        **{f"{name}-column": column for name, column in columns.items()},
    }
    if values["data"] and os.path.isabs(values["data"]):
        values["data"] = _here(values["data"])
    given = {name: value for name, value in values.items() if value is not None}
    return [part for name, value in given.items() for part in (f"--{name}", str(value))]


def _here(path: str) -> str:
    """Return a path from here; `./names` where `names` alone would be a data set's name."""
    relative = os.path.relpath(path)
    return os.path.join(".", relative) if os.sep not in relative else relative


def train_command(
    configuration: Configuration, settings: Mapping[str, Any], dataset: SequenceDataset
) -> str:
    """Return the command that trains a configuration to the same weights.

    Args:
        configuration: A value per axis; the default is left out, but of cell, units and rate.
        settings: More options by name with underscores; None is left out.
        dataset: What to train on. No option names its split; a remark at the end does.
    """
    arguments = ["rnnprobe", "train"]
    for name, value in configuration.items():
        if value is not None and (name in _ALWAYS_NAMED or value != AXES[name].default):
            text = repr(value) if isinstance(value, float) else value_text(value)
            arguments += [AXES[name].option, text]
    for name, value in settings.items():
        if value is not None:
            arguments += ["--" + name.replace("_", "-"), str(value)]
    split = _split_name(dataset)
    remark = f"  # in Python, on load_dataset(..., split={split!r})" if split else ""
    return shlex.join([*arguments, *data_arguments(dataset)]) + remark


def resume_command(command: str, run_dir: Path) -> str:
    """Return the command that goes on with a run."""
    return shlex.join(["rnnprobe", command, "--run-dir", str(run_dir), "--resume"])


def unreadable_findings(number: int) -> list[Finding]:
    """Say that lines of a run folder are no results; nothing where all are."""
    if not number:
        return []
    lines = counted(number, "line")
    sentence = f"The run folder has {lines} that cannot be read; their runs count as not made"
    return [Finding("unreadable", sentence, number)]


def repeats_findings(num_distinct: int, total: int) -> list[Finding]:
    """Say that some examples are no evidence of their own; nothing where all inputs differ.

    Args:
        num_distinct: Distinct inputs of the part.
        total: Its examples.
    """
    if num_distinct == total:
        return []
    sentence = (
        f"Repeated inputs: the {total:,} examples are {num_distinct:,} distinct inputs; equal ones "
        "are answered alike, yet intervals and tests take all examples as independent, so they "
        "claim more than the data allow"
    )
    return [Finding("repeats", sentence, {"examples": total, "distinct": num_distinct})]


def p_phrase(p_value: float) -> str:
    """Return a p-value for a sentence, like `p = 0.031` or `p < 0.0001`."""
    text = p_text(p_value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def interval_text(correct: int, total: int) -> str:
    """Return an accuracy with its 95 % Wilson interval and the counts behind it."""
    low, high = wilson_interval(correct, total)
    return f"{correct / total:.4f} [{low:.4f}, {high:.4f}] ({correct:,} of {total:,})"


def accuracy_finding(key: str, lead: str, correct: int, total: int, remark: str = "") -> Finding:
    """Return the sentence that states an accuracy, with its interval as value."""
    low, high = wilson_interval(correct, total)
    value = {"accuracy": correct / total, "low": low, "high": high, "n": total}
    return Finding(key, f"{lead} {interval_text(correct, total)}{remark}", value)


def guessing_findings(right: Array, y: Array, names: Sequence[str]) -> list[Finding]:
    """Return the sentence on a classifier that is no better than one answer, as far as can be told.

    Args:
        right: bool (num_examples,), which examples it gets right; one at least.
        y: int64 (num_examples,), their classes.
        names: Of the classes.
    """
    paired = guessing(right, y)
    if paired.sign > 0:
        return []
    counts = np.bincount(y)
    share = float(counts.max() / len(y))
    verdict = "Worse than guessing" if paired.sign else "Cannot be told from guessing"
    sentence = (
        f"{verdict}: always answering '{escape(names[int(counts.argmax())])}' is right in "
        f"{share:.4f} of these examples ({paired.test}, {p_phrase(paired.p_value)})"
    )
    return [Finding("guessing", sentence, {"share": share, "p": paired.p_value})]
