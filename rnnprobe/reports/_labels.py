"""Suspected label errors as a table, and what may be said of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnprobe.confusions.folds import FoldSettings, OutOfFold
from rnnprobe.confusions.labels import Suspects
from rnnprobe.records import Array, SequenceDataset
from rnnprobe.reports._common import accuracy_finding, counted
from rnnprobe.statistics import wilson_interval
from rnnprobe.table import Column, Finding, Table, escape


def suspects_table(
    suspects: Suspects, dataset: SequenceDataset, top: int, opinion: Array | None = None
) -> Table:
    """Return the most suspect training examples.

    Args:
        suspects: What was found.
        dataset: Whose training part was judged.
        top: How many to list.
        opinion: bool (num_examples,), what `second_opinion` returned.
    """
    columns = [
        Column("example", "training example", "integer"),
        Column("label", "label"),
        Column("suspected", "suspected"),
        Column("label_probability", "probability of label", "decimal", 3),
        Column("suspected_probability", "of suspected", "decimal", 3),
        Column("margin", "margin", "decimal", 3),
        Column("fold", "fold", "integer"),
    ]
    if opinion is not None:
        columns.append(Column("cleanlab", "cleanlab too"))
    has_text = dataset.kind == "tokens"
    if has_text:
        columns.append(Column("text", "text"))
    predictions, names = suspects.out_of_fold.predictions, dataset.class_names
    rows = []
    for place, index in enumerate(suspects.index[:top].tolist()):
        label, suspected = int(predictions.y[index]), int(suspects.suspected[place])
        row: list[Any] = [index, names[label], names[suspected]]
        row += predictions.probabilities[index, [label, suspected]].tolist()
        row += [float(suspects.margin[place]), int(suspects.out_of_fold.fold[index]) + 1]
        if opinion is not None:
            row.append(bool(opinion[index]))
        if has_text:
            row.append(dataset.text(dataset.train.x[index]))
        rows.append(tuple(row))
    return Table(tuple(columns), tuple(rows), "Suspected labels, the most suspect first")


def suspects_findings(suspects: Suspects, opinion: Array | None = None) -> list[Finding]:
    """Say how many labels are suspected, by what, and how little that proves.

    Args:
        suspects: What was found.
        opinion: What `second_opinion` returned.
    """
    out_of_fold = suspects.out_of_fold
    total, number = len(out_of_fold.predictions.y), len(suspects)
    low, high = wilson_interval(number, total)
    value = {"suspects": number, "n": total, "low": low, "high": high}
    suspected = (
        f"Suspected labels: {number:,} of {total:,} training examples, "
        f"{number / total:.4f} [{low:.4f}, {high:.4f}]: another class reaches the mean probability "
        "that its own examples have, and is more probable than the label; a suspicion is no proof "
        "of an error, look at the examples"
    )
    findings = [Finding("suspects", suspected, value)]
    findings.append(_NO_OPINION if opinion is None else _agreement(suspects, opinion))
    right = total - len(out_of_fold.mistakes)
    lead = "Accuracy out of fold, on the training part:"
    remark = (
        "; of models trained on fewer examples than yours; the interval covers the sampling of "
        "the examples, not the noise of training"
    )
    findings.append(accuracy_finding("out_of_fold", lead, right, total, remark))
    findings.append(folds_finding(out_of_fold))
    return findings


_NO_OPINION = Finding(
    "cleanlab",
    "Second opinion: none, cleanlab is not installed; `pip install 'rnnprobe[labels]'` brings it",
    None,
)


def _agreement(suspects: Suspects, opinion: Array) -> Finding:
    both, theirs = int(opinion[suspects.index].sum()), int(opinion.sum())
    sentence = (
        f"Second opinion, cleanlab's `prune_by_noise_rate` on the same predictions: it suspects "
        f"{theirs:,}, among them {both:,} of these {len(suspects):,}; the same predictions, so no "
        "independent evidence"
    )
    return Finding("cleanlab", sentence, {"suspects": theirs, "both": both})


def folds_finding(out_of_fold: OutOfFold) -> Finding:
    """Say what was trained to get the predictions."""
    number, y = out_of_fold.num_folds, out_of_fold.predictions.y
    smallest = len(y) - int(np.bincount(out_of_fold.fold).max())
    updates = out_of_fold.settings.train.num_steps(smallest)
    sentence = (
        f"Folds: {number}, stratified by class, equal inputs in one; each predicted by a model of "
        f"this architecture, from fresh weights, trained on the other {number - 1}: "
        f"{settings_phrase(out_of_fold.settings)}, {counted(updates, 'update')} each, seed "
        f"{out_of_fold.seed}"
    )
    if out_of_fold.kept:
        kept = ", ".join(map(escape, out_of_fold.kept))
        sentence += f"; not made anew, so that they may have seen all examples: {kept}"
    counts = np.bincount(y, minlength=len(out_of_fold.predictions.class_names))
    names = out_of_fold.predictions.class_names
    rare = [escape(names[k]) for k in np.flatnonzero((counts > 0) & (counts < number))]
    if rare:
        sentence += f"; fewer examples than folds have {', '.join(rare)}"
    spec = out_of_fold.settings.train
    value = {
        "folds": number,
        "seed": out_of_fold.seed,
        "from_model": out_of_fold.settings.from_model,
        "left_out": list(out_of_fold.settings.left_out),
        "kept": list(out_of_fold.kept),
        "optimizer": spec.optimizer,
        "learning_rate": spec.learning_rate,
        "batch_size": spec.batch_size,
        "epochs": None if spec.steps else spec.epochs,
        "steps": spec.steps,
        "updates": updates,
    }
    return Finding("folds", sentence, value)


def settings_phrase(settings: FoldSettings) -> str:
    """Return how the models of the folds were trained, and whose settings these are."""
    spec = settings.train
    length = "" if spec.steps else f"{counted(spec.epochs, 'epoch')}, "
    phrase = (
        f"{spec.optimizer}, learning rate {spec.learning_rate:g}, batches of {spec.batch_size}, "
        f"{length}cross-entropy"
    )
    if not settings.from_model:
        return f"{phrase} (defaults: the model does not say how it was trained)"
    phrase += " (as the model was trained"
    without = " and ".join(settings.left_out)
    return phrase + (f", without {without})" if without else ")")
