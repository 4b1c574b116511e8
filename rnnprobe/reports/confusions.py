"""The report of `rnnprobe confusions` on one model."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rnnprobe._versions import made_by
from rnnprobe.confusions import PROBES
from rnnprobe.confusions.study import ConfusionStudy
from rnnprobe.reports._classes import classes_finding, classes_table
from rnnprobe.reports._common import accuracy_finding, data_phrase, guessing_findings
from rnnprobe.reports._confusion_tables import (
    asymmetry_finding,
    calibration_findings,
    calibration_table,
    ceiling_findings,
    excess_finding,
    for_reading,
    pair_table,
    slices_finding,
    slices_table,
)
from rnnprobe.reports._decisions import decisions_findings, decisions_tables
from rnnprobe.table import Column, Finding, Report, Table, escape

_TABLES = {
    "classes": ("classes",),
    "slices": ("slices",),
    "calibration": ("calibration",),
    "decisions": ("accuracy_by_share", "decisions_by_pair"),
}


def confusions_report(
    study: ConfusionStudy, *, title: str, top: int = 10, in_full: Collection[str] = PROBES
) -> Report:
    """Return the ranked pairs, the most confident mistakes, and what else was asked for.

    Args:
        study: What was found.
        title: What was probed, Markdown.
        top: How many pairs, mistakes and suspected labels to list.
        in_full: Of which probes Markdown shows the tables, beside the sentences.
    """
    confusions, dataset = study.confusions, study.dataset
    names = confusions.predictions.class_names
    on = f" on {data_phrase(dataset)}, {study.part} part" if dataset else ""
    main = pair_table(confusions, top, study.conflicts)
    tables = {"most_confident_mistakes": _mistakes_table(study, top), **_more_tables(study, top)}
    left_out = {key for name, keys in _TABLES.items() if name not in in_full for key in keys}
    return Report(
        command="confusions",
        caption=f"**Confusions** of {title}{on} (n = {confusions.total:,})",
        main=main,
        shown=for_reading(main),
        findings=tuple(_findings(study, top, in_full)),
        tables=tables,
        left_out=frozenset(left_out),
        made_by=made_by(),
        facts={
            "classes": list(names),
            "matrix": confusions.matrix.tolist(),
            "digest": dataset.digest if dataset else None,
        },
    )


def _findings(study: ConfusionStudy, top: int, in_full: Collection[str]) -> list[Finding]:
    confusions = study.confusions
    total, mistakes = confusions.total, len(confusions.mistakes)
    predictions, names = confusions.predictions, confusions.predictions.class_names
    pairs_note = f"Confused pairs, from true to predicted class: {len(confusions.pairs)}"
    if top < len(confusions.pairs):
        pairs_note += f", the most frequent above (--top {top})"
    findings: list[Finding | None] = [
        accuracy_finding("accuracy", "Accuracy:", confusions.correct, total),
        *guessing_findings(predictions.predicted == predictions.y, predictions.y, names),
        *(ceiling_findings(study.conflicts, confusions) if study.conflicts else ()),
        Finding("mistakes", f"Mistakes: {mistakes:,} of {total:,}", mistakes),
        Finding("num_pairs", pairs_note, len(confusions.pairs)),
        asymmetry_finding(confusions),
        excess_finding(confusions),
    ]
    if study.classes is not None:
        findings.append(classes_finding(study.classes, confusions.predictions.class_names))
    if study.slices is not None:
        findings.append(slices_finding(study.slices))
    if study.calibration is not None:
        findings += calibration_findings(study.calibration)
    if study.decisions is not None:
        pairs = study.pair_decisions if "decisions" in in_full else ()
        findings += decisions_findings(study.decisions, pairs)
    if study.undecided:
        sentence = f"When it decided cannot be told. {escape(study.undecided)}"
        findings.append(Finding("undecided", sentence, study.undecided))
    if study.suspects is not None:
        from rnnprobe.reports._labels import suspects_findings  # brings Keras

        findings += suspects_findings(study.suspects, study.opinion)
    return [finding for finding in findings if finding is not None]


def _more_tables(study: ConfusionStudy, top: int) -> dict[str, Table]:
    tables: dict[str, Table] = {}
    if study.classes is not None:
        names = study.confusions.predictions.class_names
        tables["classes"] = classes_table(study.classes, names)
    if study.decisions is not None:
        names = study.confusions.predictions.class_names
        tables |= decisions_tables(study.decisions, study.pair_decisions[:top], names)
    if study.slices is not None:
        found = slices_table(study.slices)
        if found is not None:
            tables["slices"] = found
    if study.calibration is not None:
        tables["calibration"] = calibration_table(study.calibration)
    if study.suspects is not None and study.dataset is not None:
        from rnnprobe.reports._labels import suspects_table

        tables["suspects"] = suspects_table(study.suspects, study.dataset, top, study.opinion)
    return tables


def _mistakes_table(study: ConfusionStudy, top: int) -> Table:
    predictions, dataset = study.confusions.predictions, study.dataset
    names, probabilities = predictions.class_names, predictions.probabilities
    has_text = dataset is not None and dataset.kind == "tokens"
    columns = [
        Column("example", "example", "integer"),
        Column("true", "true"),
        Column("predicted", "predicted"),
        Column("confidence", "confidence", "decimal", 3),
        Column("true_probability", "probability of true", "decimal", 3),
    ]
    if has_text:
        columns.append(Column("text", "text"))
    rows = []
    for index in study.confusions.mistakes[:top]:
        true, predicted = int(predictions.y[index]), int(predictions.predicted[index])
        row: tuple[Any, ...] = (
            index,
            names[true],
            names[predicted],
            float(probabilities[index, predicted]),
            float(probabilities[index, true]),
        )
        if dataset is not None and has_text:
            row = (*row, dataset.text(dataset.splits[study.part].x[index]))
        rows.append(row)
    return Table(tuple(columns), tuple(rows), "Most confident mistakes")
