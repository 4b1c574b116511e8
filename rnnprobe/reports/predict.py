"""The report of `rnnprobe predict`."""

from __future__ import annotations

from rnnprobe._versions import made_by
from rnnprobe.prediction import NewPredictions
from rnnprobe.reports._common import accuracy_finding, guessing_findings
from rnnprobe.table import Column, Finding, Report, Table, escape


def predict_report(found: NewPredictions) -> Report:
    """Return class and probabilities of each example.

    Args:
        found: What `predict_new` returned.
    """
    predictions = found.predictions
    names, total = predictions.class_names, len(predictions.y)
    findings = [
        Finding(f"note_{number}", f"Note: {escape(note)}", note)
        for number, note in enumerate(found.notes, start=1)
    ]
    if found.labelled:
        correct = int((predictions.predicted == predictions.y).sum())
        remark = "" if found.part else "; examples that the model was trained on, if any, count too"
        findings = [
            accuracy_finding("accuracy", "Accuracy:", correct, total, remark),
            *guessing_findings(predictions.predicted == predictions.y, predictions.y, names),
            *findings,
        ]
    of = f"{escape(found.data)}, {found.part} part" if found.part else escape(found.data)
    return Report(
        command="predict",
        caption=f"**Predictions** of {escape(found.model)} on {of} (n = {total:,})",
        main=_table(found),
        findings=tuple(findings),
        made_by=made_by(),
        facts={
            "model": found.model,
            "data": found.data,
            "part": found.part,
            "classes": list(names),
        },
    )


def _table(found: NewPredictions) -> Table:
    """Return one row an example; no class can be called like a column, as each begins with p_."""
    predictions = found.predictions
    classes = predictions.class_names
    columns = [Column("example", "example", "integer")]
    columns += [Column("name", "name")] if found.names is not None else []
    columns += [Column("true", "true")] if found.labelled else []
    columns += [Column("predicted", "predicted"), Column("confidence", "confidence", "decimal")]
    columns += [Column(f"p_{name}", escape(name), "decimal") for name in classes]
    rows = []
    for index, probabilities in enumerate(predictions.probabilities.tolist()):
        row: list[object] = [index]
        row += [found.names[index]] if found.names is not None else []
        row += [classes[predictions.y[index]]] if found.labelled else []
        row += [classes[predictions.predicted[index]], max(probabilities), *probabilities]
        rows.append(tuple(row))
    return Table(tuple(columns), tuple(rows))
