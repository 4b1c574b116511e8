"""The report of `rnnprobe reproduce`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnprobe._versions import made_by
from rnnprobe.experiments._record import Measure
from rnnprobe.experiments._reproduce import Reproduction
from rnnprobe.experiments._verdicts import FEWEST
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
    is_own_data,
    marks_sentence,
    n_phrase,
    quick_look,
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
    sections += _protocol_sections(reproduction)
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
    experiment = plan.experiment
    several = len(reproduction.parts) > 1
    told = [
        data_phrase(part.dataset) + (f", {split_title(experiment, part)}" if several else "")
        for part in reproduction.parts
    ]
    return (
        f"**Reproduction** of {escape(experiment.name)} ({escape(experiment.source)}). "
        f"{escape(experiment.title)}; {n_phrase(plan)}. Data: {'; '.join(told)}; "
        f"{whose_data(reproduction)}."
    )


def _table_section(reproduction: Reproduction) -> Section:
    tables = {"report_table": report_table(reproduction)}
    return Section("The report's table", tables, (), _reading_note(reproduction))


def _reading_note(reproduction: Reproduction) -> str:
    experiment, repeats = reproduction.plan.experiment, reproduction.plan.repeats
    shown = experiment.measures[:1] if experiment.columns else experiment.measures
    num_test = len(reproduction.parts[0].dataset.test)
    note = (
        f"A value agrees where it is within {_tolerances(experiment.measures)} of the published "
        "one, a limit that was set for these experiments. Further off it is within noise if the "
        "published one could be one more run of ours, in 95 of 100 cases: by the number of "
        f"examples (of {num_test:,} in test: up to {1.96 * math.sqrt(0.5 / num_test):.2g}) and, "
        f"from {FEWEST} runs of a cell on, by their spread"
    )
    marks = marks_sentence([one for measure in shown for one in compared(reproduction, measure)])
    note += f". {marks}" if marks else "."
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


def _protocol_sections(reproduction: Reproduction) -> list[Section]:
    """Return what the report says of its protocol, and what was chosen here."""
    experiment = reproduction.plan.experiment
    titles = ("what the report says, followed here", "what it does not say, chosen here")
    if not is_own_data(reproduction):
        titles = (
            "what the report says; this run had other data or fewer examples, see above",
            "what it does not say, chosen for its own data; this run had other or fewer, see above",
        )
    return [
        Section(
            f"Protocol: {title}",
            {},
            tuple(
                Finding(f"{key}_{place}", escape(sentence), sentence)
                for place, sentence in enumerate(sentences, start=1)
            ),
        )
        for key, title, sentences in zip(
            ("given", "chosen"), titles, (experiment.given, experiment.chosen), strict=True
        )
        if sentences
    ]


def _facts(reproduction: Reproduction) -> dict[str, Any]:
    plan = reproduction.plan
    experiment = plan.experiment
    return {
        "experiment": experiment.name,
        "source": experiment.source,
        "title": experiment.title,
        "quick_look": quick_look(reproduction),
        "data": Path(plan.data or experiment.dataset).name,
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
