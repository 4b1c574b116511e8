"""The report of `rnnprobe reproduce`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnnprobe._versions import made_by
from rnnprobe.experiments._record import Experiment, Measure
from rnnprobe.experiments._reproduce import Part, Plan, Reproduction
from rnnprobe.experiments._verdicts import Comparison
from rnnprobe.reports._common import data_phrase
from rnnprobe.reports._reproduce_claims import claims_section
from rnnprobe.reports._reproduce_findings import reproduce_findings
from rnnprobe.reports._reproduce_tables import (
    cells_table,
    main_table,
    measures_table,
    report_table,
)
from rnnprobe.reports._reproduce_texts import (
    compared,
    data_text,
    marks_sentence,
    n_phrase,
    report_order,
    split_title,
    tolerance_text,
    whose_data,
)
from rnnprobe.table import Finding, Report, Section, escape


def reproduce_report(reproduction: Reproduction) -> Report:
    """Return published and measured values side by side, and what follows from them.

    Args:
        reproduction: What `rnnprobe.experiments._reproduce.reproduce` or `load_reproduction`
            returned, whole or not.
    """
    sections = [_table_section(reproduction), _cells_section(reproduction)]
    claims = claims_section(reproduction)
    sections += [claims] if claims is not None else []
    sections += _protocol_sections(reproduction.plan)
    return Report(
        command="reproduce",
        caption=_caption(reproduction),
        main=main_table(reproduction),
        findings=reproduce_findings(reproduction),
        made_by=made_by(),
        sections=tuple(sections),
        facts=_facts(reproduction),
    )


def _caption(reproduction: Reproduction) -> str:
    plan = reproduction.plan
    experiment, parts = plan.experiment, reproduction.parts
    several = len(parts) > 1
    told = [
        data_phrase(part.dataset) + (f", {_split_phrase(experiment, part)}" if several else "")
        for part in parts
    ]
    return (
        f"**Reproduction** of {escape(experiment.name)} ({escape(experiment.source)}). "
        f"{escape(experiment.title)}; {n_phrase(plan)}. Data: {'; '.join(told)}; "
        f"{whose_data(reproduction)}."
    )


def _split_phrase(experiment: Experiment, part: Part) -> str:
    is_first = part.split == experiment.splits[0]
    return "the report's split" if is_first else escape(split_title(experiment, part))


def _table_section(reproduction: Reproduction) -> Section:
    note = _reading_note(reproduction, _compared_in_shape(reproduction))
    return Section("The report's table", {"report_table": report_table(reproduction)}, (), note)


def _compared_in_shape(reproduction: Reproduction) -> list[Comparison]:
    experiment = reproduction.plan.experiment
    shown = experiment.measures[:1] if experiment.columns else experiment.measures
    return [one for measure in shown for one in compared(reproduction, measure)]


def _reading_note(reproduction: Reproduction, comparisons: Sequence[Comparison]) -> str:
    experiment, repeats = reproduction.plan.experiment, reproduction.plan.repeats
    note = (
        f"A value agrees where it is within {_tolerances(experiment.measures)} of the published "
        "one. Further off it is within noise where one more run may be as far from the measured "
        "mean in 95 of 100 cases, by the number of examples that an accuracy is a share of"
    )
    if repeats > 1:
        note += f" and by the spread of {repeats} runs (Student's t)"
    else:
        note += "; of what is no accuracy one run tells no noise"
    note += f". {marks_sentence(comparisons)}" if marks_sentence(comparisons) else "."
    if len(reproduction.parts) > 1:
        note += (
            " The difference is that with the other split less that with the report's; its "
            "interval counts the noise of the test or validation examples of both (as independent, "
            f"for accuracies) and {'that of' if repeats > 1 else 'not that of'} seeds."
        )
    return note


def _tolerances(measures: Sequence[Measure]) -> str:
    """Return what counts as agreement, by measure where they differ."""
    by_text: dict[str, list[str]] = {}
    for measure in measures:
        by_text.setdefault(tolerance_text(measure), []).append(measure.title)
    if len(by_text) == 1:
        return next(iter(by_text))
    return ", ".join(f"{text} ({escape(', '.join(names))})" for text, names in by_text.items())


def _cells_section(reproduction: Reproduction) -> Section:
    tables = {"by_measure": measures_table(reproduction), "cells": cells_table(reproduction)}
    return Section("Cell by cell", tables)


def _protocol_sections(plan: Plan) -> list[Section]:
    """Return what the report says of its protocol, and what was chosen here."""
    listed = (
        ("given", "Protocol: what the report says, followed here", plan.experiment.given),
        ("chosen", "Protocol: what it does not say, chosen here", plan.experiment.chosen),
    )
    return [
        Section(
            title,
            {},
            tuple(
                Finding(f"{key}_{place}", escape(sentence), sentence)
                for place, sentence in enumerate(sentences, start=1)
            ),
        )
        for key, title, sentences in listed
        if sentences
    ]


def _facts(reproduction: Reproduction) -> dict[str, Any]:
    plan = reproduction.plan
    experiment = plan.experiment
    return {
        "experiment": experiment.name,
        "source": experiment.source,
        "title": experiment.title,
        "data": data_text(plan),
        "digests": {part.split or "own": part.dataset.digest for part in reproduction.parts},
        "limits": [str(limit) for limit in plan.limits],
        "limit_examples": plan.limit_examples,
        "repeats": plan.repeats,
        "seed": plan.seed,
        "settings": dict(experiment.settings),
        "initializers": dict(experiment.initializers),
        "measures": {measure.key: measure.title for measure in report_order(experiment)},
        "runs": [
            {"split": part.split or "own", **run.to_dict()}
            for part in reproduction.parts
            for cell in part.cells
            for run in cell.runs
        ],
    }
