"""The report of `rnnprobe train`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnnprobe._versions import made_by
from rnnprobe.records import Array, SequenceDataset
from rnnprobe.reports._common import accuracy_finding, data_phrase, guessing_findings
from rnnprobe.search.space import AXES, knows, value_text
from rnnprobe.specs import ModelSpec, Run, TrainSpec
from rnnprobe.table import Column, Finding, Report, Table, escape

_COLUMNS = (
    Column("epoch", "epoch", "integer"),
    Column("loss", "train loss", "decimal"),
    Column("accuracy", "train accuracy", "decimal"),
    Column("val_loss", "val. loss", "decimal"),
    Column("val_accuracy", "val. accuracy", "decimal"),
    Column("seconds", "seconds", "decimal", 1),
)
_SERIES = [column.key for column in _COLUMNS[1:]]


def train_report(
    run: Run, dataset: SequenceDataset, model_file: str | None, right: Array | None = None
) -> Report:
    """Return the table of epochs, best and last values, and the test part's loss and accuracy.

    Args:
        run: The record of the run.
        dataset: What it was trained on.
        model_file: Where the model was saved; None where it was not.
        right: bool (num_examples,), which test examples it gets right, where that is known.
    """
    epochs = zip(*(run.history[name] for name in _SERIES), strict=True)
    rows = tuple((number, *values) for number, values in enumerate(epochs, start=1))
    findings = []
    if run.status != "ok":
        findings.append(Finding("failed", f"Did not finish: {escape(run.message)}", run.message))
    elif rows:
        findings += _epoch_findings(run)
    if "test_accuracy" in run.metrics:
        lead = f"Test: loss {run.metrics['test_loss']:.4f}, accuracy"
        correct = int(run.metrics["test_correct"])
        findings.append(accuracy_finding("test", lead, correct, len(dataset.test)))
        if right is not None:
            findings += guessing_findings(right, dataset.test.y, dataset.class_names)
    settings = escape(settings_text(run.model, run.train))
    findings.append(Finding("settings", f"Settings: {settings}", run.to_dict()))
    if model_file is not None:
        epoch = int(run.metrics["epoch"])
        sentence = f"Model: {escape(model_file)}, as it was after epoch {epoch}"
        findings.append(Finding("model", sentence, model_file))
    return Report(
        command="train",
        caption=f"**Train** {_model_phrase(run)} on {data_phrase(dataset)}, seed {run.train.seed}",
        main=Table(_COLUMNS, rows),
        findings=tuple(findings),
        made_by=made_by(),
        facts={"digest": dataset.digest, "run": run.to_dict()},
    )


def _epoch_findings(run: Run) -> list[Finding]:
    history = run.history
    best = min(range(len(history["val_loss"])), key=history["val_loss"].__getitem__)
    last = len(history["val_loss"]) - 1
    findings = [
        Finding(key, f"{title} epoch {epoch + 1}: {_values(history, epoch)}", _at(history, epoch))
        for key, title, epoch in (("best", "Best", best), ("last", "Last", last))
    ]
    patience = run.train.early_stopping
    if patience and last - best >= patience:
        sentence = f"Stopped early, {last - best} epochs after the best"
        findings.append(Finding("stopped_early", sentence, True))
    return findings


def _at(history: Mapping[str, list[float]], epoch: int) -> dict[str, float]:
    return {"epoch": epoch + 1, **{name: history[name][epoch] for name in _SERIES}}


def _values(history: Mapping[str, list[float]], epoch: int) -> str:
    at = _at(history, epoch)
    return (
        f"train loss {at['loss']:.4f}, accuracy {at['accuracy']:.4f}; validation loss "
        f"{at['val_loss']:.4f}, accuracy {at['val_accuracy']:.4f}"
    )


def _model_phrase(run: Run) -> str:
    return f"{escape(run.model.cell)} ({run.parameters:,} parameters)"


def settings_text(model: ModelSpec, train: TrainSpec) -> str:
    """Return what differs from the records' defaults, and what everybody asks for, plain text."""
    always = {"units", "optimizer", "learning_rate", "batch_size"}
    parts = []
    chosen = {"cell": model.cell, "optimizer": train.optimizer}
    for record, default in ((model, ModelSpec()), (train, TrainSpec())):
        for name, value in vars(record).items():
            if name in ("cell", "seed", "epochs") or (name in AXES and not knows(chosen, name)):
                continue
            if name in always or value != getattr(default, name):
                parts.append(f"{name.replace('_', ' ')} {_text(value)}")
    return ", ".join(parts)


def _text(value: Any) -> str:
    return ",".join(map(value_text, value)) if isinstance(value, tuple) else value_text(value)
