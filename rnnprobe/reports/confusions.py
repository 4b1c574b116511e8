"""The report of `rnnprobe confusions`."""

from __future__ import annotations

from typing import Any

from rnnprobe._versions import made_by
from rnnprobe.confusions.pairs import ConfusedPair, Confusions
from rnnprobe.records import SequenceDataset
from rnnprobe.reports._common import accuracy_finding, data_phrase
from rnnprobe.table import Column, Finding, Report, Table

_SHOWN_EXAMPLES = 5

_PAIR_COLUMNS = (
    Column("rank", "#", "integer"),
    Column("true", "true"),
    Column("predicted", "predicted"),
    Column("count", "count", "integer"),
    Column("support", "of", "integer"),
    Column("share", "share", "decimal", 3),
    Column("low", "95 % from", "decimal", 3),
    Column("high", "to", "decimal", 3),
    Column("reverse", "reverse", "integer"),
    Column("mean_confidence", "mean confidence", "decimal", 2),
    Column("examples", "examples"),
)


def confusions_report(
    confusions: Confusions,
    *,
    title: str,
    top: int = 10,
    part: str = "test",
    dataset: SequenceDataset | None = None,
) -> Report:
    """Return the ranked pairs, the accuracy, and the most confident mistakes.

    Args:
        confusions: What was found.
        title: What was probed, Markdown.
        top: How many pairs and mistakes to list.
        part: The part of the data set.
        dataset: The data; None where predictions came from a file.
    """
    names = confusions.predictions.class_names
    shown = confusions.pairs[:top]
    total, mistakes = confusions.total, len(confusions.mistakes)
    on = f" on {data_phrase(dataset)}, {part} part" if dataset else ""
    pairs_note = f"Confused pairs: {len(confusions.pairs)}"
    if len(shown) < len(confusions.pairs):
        pairs_note += f", the {len(shown)} most frequent above (--top)"
    findings = (
        accuracy_finding("accuracy", "Accuracy:", confusions.correct, total),
        Finding("mistakes", f"Mistakes: {mistakes:,} of {total:,}", mistakes),
        Finding("num_pairs", pairs_note, len(confusions.pairs)),
    )
    return Report(
        command="confusions",
        caption=f"**Confusions** of {title}{on} (n = {total:,})",
        main=Table(_PAIR_COLUMNS, tuple(_row(i, pair, names) for i, pair in enumerate(shown, 1))),
        findings=findings,
        tables={"most_confident_mistakes": _mistakes_table(confusions, top, dataset, part)},
        made_by=made_by(),
        facts={
            "classes": list(names),
            "matrix": confusions.matrix.tolist(),
            "digest": dataset.digest if dataset else None,
        },
    )


def _row(rank: int, pair: ConfusedPair, names: tuple[str, ...]) -> tuple[Any, ...]:
    return (
        rank,
        names[pair.true],
        names[pair.predicted],
        pair.count,
        pair.support,
        pair.share,
        pair.interval.low,
        pair.interval.high,
        pair.reverse,
        pair.mean_confidence,
        pair.examples[:_SHOWN_EXAMPLES],
    )


def _mistakes_table(
    confusions: Confusions, top: int, dataset: SequenceDataset | None, part: str
) -> Table:
    predictions = confusions.predictions
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
    for index in confusions.mistakes[:top]:
        true, predicted = int(predictions.y[index]), int(predictions.predicted[index])
        row: tuple[Any, ...] = (
            index,
            names[true],
            names[predicted],
            float(probabilities[index, predicted]),
            float(probabilities[index, true]),
        )
        if dataset is not None and has_text:
            row = (*row, dataset.text(dataset.splits[part].x[index]))
        rows.append(row)
    return Table(tuple(columns), tuple(rows), "Most confident mistakes")
