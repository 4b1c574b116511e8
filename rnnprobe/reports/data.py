"""The reports of `rnnprobe data`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnprobe._versions import made_by
from rnnprobe.datasets import SUMMARIES
from rnnprobe.datasets._check import Check
from rnnprobe.records import SequenceDataset
from rnnprobe.reports._common import data_phrase
from rnnprobe.table import Column, Finding, Report, Table, escape


def list_report() -> Report:
    """Return the data sets that are known by name."""
    columns = (Column("name", "name"), Column("what", "what"), Column("network", "network needed"))
    rows = tuple((name, *summary) for name, summary in SUMMARIES.items())
    own = "Your own: --data PATH of an .npz, a .csv, or a folder; or package.module:function"
    return Report(
        command="data-list",
        caption="**Data sets** for `--data`",
        main=Table(columns, rows),
        findings=(Finding("own", escape(own), None),),
        made_by=made_by(),
    )


def check_report(dataset: SequenceDataset, checks: Sequence[Check]) -> Report:
    """Return one line per check, and the examples per class and part."""
    columns = (Column("check", "check"), Column("verdict", "verdict"), Column("found", "found"))
    rows = tuple((check.name, check.verdict, check.detail) for check in checks)
    notes = tuple(
        Finding(f"note_{number}", f"Note: {escape(note)}", note)
        for number, note in enumerate(dataset.notes, start=1)
    )
    return Report(
        command="data-check",
        caption=f"**Data** {data_phrase(dataset)}",
        main=Table(columns, rows),
        findings=notes,
        tables={"classes": _class_table(dataset)},
        made_by=made_by(),
        facts={
            "digest": dataset.digest,
            "checks": {check.name: check.value for check in checks},
        },
    )


def _class_table(dataset: SequenceDataset) -> Table:
    columns = (
        Column("class", "class"),
        *(Column(part, part, "integer") for part in dataset.splits),
    )
    counts = [
        np.bincount(split.y, minlength=dataset.num_classes) for split in dataset.splits.values()
    ]
    rows = tuple(
        (name, *(int(count[label]) for count in counts))
        for label, name in enumerate(dataset.class_names)
    )
    return Table(columns, rows, "Examples per class")


def show_report(dataset: SequenceDataset, part: str, top: int) -> Report:
    """Return the first examples of a part: their classes, lengths, and texts or values."""
    split = dataset.splits[part]
    columns = [
        Column("example", "example", "integer"),
        Column("class", "class"),
        Column("steps", "steps", "integer"),
    ]
    if dataset.kind == "tokens":
        columns.append(Column("text", "text"))
    else:
        columns += [Column(name, name, "decimal", 3) for name in ("lowest", "mean", "highest")]
    rows = tuple(
        (index, dataset.class_names[split.y[index]], int(length), *_content(dataset, part, index))
        for index, length in enumerate(split.lengths[:top])
    )
    vocabulary = dataset.vocabulary
    findings = [Finding("classes", f"Classes: {dataset.num_classes}", list(dataset.class_names))]
    if vocabulary:
        characters = "".join(vocabulary[2:])
        sentence = f"Vocabulary: {len(vocabulary)} tokens, after padding and unknown "
        findings.append(Finding("vocabulary", sentence + escape(characters), list(vocabulary)))
    return Report(
        command="data-show",
        caption=f"**Data** {data_phrase(dataset)}, first of the {part} part",
        main=Table(tuple(columns), rows),
        findings=tuple(findings),
        made_by=made_by(),
        facts={"digest": dataset.digest},
    )


def _content(dataset: SequenceDataset, part: str, index: int) -> tuple[Any, ...]:
    split = dataset.splits[part]
    if dataset.kind == "tokens":
        return (dataset.text(split.x[index]),)
    values = split.x[index] if split.mask is None else split.x[index][split.mask[index]]
    return float(values.min()), float(values.mean()), float(values.max())
