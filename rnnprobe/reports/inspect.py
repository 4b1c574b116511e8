"""What happens inside one model, or several, as a report."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from rnnprobe._versions import made_by
from rnnprobe.datasets._conflicts import split_keys
from rnnprobe.inspection.study import InspectionStudy
from rnnprobe.reports import _activations, _attribution, _gates
from rnnprobe.reports._activations import (
    activations_findings,
    activations_note,
    activations_tables,
)
from rnnprobe.reports._attribution import (
    attribution_findings,
    attribution_note,
    attribution_tables,
)
from rnnprobe.reports._common import data_phrase, interval_text, repeats_findings
from rnnprobe.reports._decisions import decisions_findings, decisions_tables
from rnnprobe.reports._gates import gates_findings, gates_note, gates_tables
from rnnprobe.reports._gradients import gradients_findings, gradients_note, gradients_tables
from rnnprobe.reports._signals import left_out_findings
from rnnprobe.reports._weights import weights_findings, weights_note, weights_tables
from rnnprobe.table import Column, Finding, Report, Section, Table, escape

Studies = Mapping[str, InspectionStudy]
Tables = dict[str, Table]

_TITLES = {
    "activations": "Activations",
    "gates": "Gates and states",
    "gradients": "Gradients through time",
    "decisions": "When it decided",
    "weights": "Weights",
    "attribution": "Attribution",
}
_JSON_ALONE = _activations.LEFT_OUT | _gates.LEFT_OUT | _attribution.LEFT_OUT
_MODEL = Column("model", "model")
_PAIRS = 10


def inspect_report(
    studies: Studies, *, parts: Sequence[str], in_full: Collection[str] = ()
) -> Report:
    """Return what was seen inside, part by part.

    Args:
        studies: By the model's name; all of the same part of the same data.
        parts: Names of `rnnprobe.inspection.PARTS`, in the order in which they are told.
        in_full: Of which parts Markdown shows all tables; of the others the first.
    """
    sections = [_section(name, studies, in_full=name in in_full) for name in parts]
    study = next(iter(studies.values()))
    more = {
        key
        for name, section in zip(parts, sections, strict=True)
        if name not in in_full
        for key in list(section.tables)[1:]
    }
    if any("gradients_beside" in section.tables for section in sections):
        more.add("gradients_by_step")  # which says the same
    of = escape(next(iter(studies))) if len(studies) == 1 else f"{len(studies)} models"
    split = study.dataset.splits[study.part]
    distinct = len(set(split_keys(split)))
    tables = [table for section in sections for table in section.tables.values()]
    return Report(
        command="inspect",
        caption=f"**Inspection** of {of} on {data_phrase(study.dataset)}, {study.part} part "
        f"(n = {len(split):,})",
        main=tables[0] if tables else Table((), ()),
        findings=(
            *_accuracies(studies),
            *repeats_findings(distinct, len(split)),
            *_left_out(studies),
        ),
        sections=tuple(sections),
        left_out=frozenset(more | _JSON_ALONE),
        made_by=made_by(),
        facts={"models": list(studies), "digest": study.dataset.digest},
    )


def _accuracies(studies: Studies) -> list[Finding]:
    found = []
    for name, study in studies.items():
        correct, total = study.confusions.correct, study.confusions.total
        of = f" of {escape(name)}" if len(studies) > 1 else ""
        key = _key("accuracy", name, studies)
        sentence = f"Accuracy{of}: {interval_text(correct, total)}"
        found.append(Finding(key, sentence, correct / total))
        if study.unmasked is not None:
            sentence = (
                f"The data's mask is handed to {escape(name)}, as by `model(x, mask=mask)`, which "
                "`model.predict(x)` cannot do: without it the accuracy is "
                f"{interval_text(study.unmasked, total)}"
            )
            found.append(Finding(_key("unmasked", name, studies), sentence, study.unmasked / total))
    return found


def _left_out(studies: Studies) -> list[Finding]:
    return [
        _of_model(finding, name, studies)
        for name, study in studies.items()
        if study.reading is not None
        for finding in left_out_findings(study.reading)
    ]


def _section(part: str, studies: Studies, *, in_full: bool) -> Section:
    """Return one part of all models: side by side where its tables can be joined."""
    untold = [
        Finding(_key(f"no_{part}", name, studies), _whose(name, studies) + escape(reason), reason)
        for name, study in studies.items()
        for reason in [study.not_told.get(part)]
        if reason
    ]
    told = {name: study for name, study in studies.items() if part not in study.not_told}
    if not told:
        return Section(_TITLES[part], {}, tuple(untold))
    if part == "gradients":
        flows = {name: study.gradients.flows for name, study in told.items() if study.gradients}
        tables = gradients_tables(flows)
        findings = [*gradients_findings(flows), *_left_out_of_gradients(told)]
    else:
        what = {name: _told(part, study, in_full=in_full) for name, study in told.items()}
        tables = _joined({name: tables for name, (tables, _) in what.items()}, studies)
        findings = _merged({name: found for name, (_, found) in what.items()}, studies)
    return Section(_TITLES[part], tables, (*untold, *findings), _note(part, told.values()))


def _note(part: str, studies: Collection[InspectionStudy]) -> str:
    """Return how a part is to be read."""
    readings = [study.reading for study in studies if study.reading is not None]
    if part == "activations":
        return activations_note(readings)
    if part == "gates":
        return gates_note(readings)
    if part == "gradients":
        return gradients_note([flow for study in studies if study.gradients
                               for flow in study.gradients.flows])  # fmt: skip
    if part == "weights":
        return weights_note([block for study in studies for block in study.weights or ()])
    explained = [study.explanation for study in studies if study.explanation is not None]
    return attribution_note(explained[0]) if part == "attribution" and explained else ""


def _merged(findings: Mapping[str, Sequence[Finding]], studies: Studies) -> list[Finding]:
    """Return the findings of all models by kind; once what is the same of all."""
    by_key: dict[str, dict[str, Finding]] = {}
    for name, ours in findings.items():
        for finding in ours:
            by_key.setdefault(finding.key, {})[name] = finding
    merged = []
    for found in by_key.values():
        first = next(iter(found.values()))
        same = {finding.sentence for finding in found.values()} == {first.sentence}
        if same and len(found) == len(studies):
            merged.append(first)
        else:
            merged += [_of_model(finding, name, studies) for name, finding in found.items()]
    return merged


def _left_out_of_gradients(studies: Studies) -> list[Finding]:
    found = []
    for name, study in studies.items():
        left_out = study.gradients.left_out if study.gradients else ()
        if left_out:
            layers = "; ".join(f"{escape(path)}: {escape(reason)}" for path, reason in left_out)
            sentence = f"{_whose(name, studies)}No gradients of {layers}"
            key = _key("gradients_left_out", name, studies)
            found.append(Finding(key, sentence, [path for path, _ in left_out]))
    return found


def _of_model(finding: Finding, name: str, studies: Studies) -> Finding:
    """Return a finding that says of which model it is, where there are several."""
    sentence = _whose(name, studies) + finding.sentence
    return Finding(_key(finding.key, name, studies), sentence, finding.value)


def _key(key: str, name: str, studies: Studies) -> str:
    return key if len(studies) == 1 else f"{key}: {name}"


def _whose(name: str, studies: Studies) -> str:
    return "" if len(studies) == 1 else f"{escape(name)}: "


def _joined(tables: Mapping[str, Tables], studies: Studies) -> Tables:
    """Return the tables of all models as one of each kind, the model's name in front."""
    if len(studies) == 1:
        return next(iter(tables.values()), {})
    by_key: dict[str, dict[str, Table]] = {}
    for name, ours in tables.items():
        for key, table in ours.items():
            by_key.setdefault(key, {})[name] = table
    return {key: _joined_table(found) for key, found in by_key.items()}


def _joined_table(tables: Mapping[str, Table]) -> Table:
    """Return the rows of all, with every column that one of them has."""
    columns = {column.key: column for table in tables.values() for column in table.columns}
    rows = [
        (name, *(record.get(key) for key in columns))
        for name, table in tables.items()
        for record in table.records()
    ]
    title = next(iter(tables.values())).title
    return Table((_MODEL, *columns.values()), tuple(rows), title)


def _told(part: str, study: InspectionStudy, *, in_full: bool) -> tuple[Tables, Sequence[Finding]]:
    """Return tables and sentences of one part of one model."""
    if part == "activations" and study.reading is not None:
        return activations_tables(study.reading), activations_findings(study.reading)
    if part == "gates" and study.reading is not None:
        return gates_tables(study.reading), gates_findings(study.reading)
    if part == "weights" and study.weights is not None:
        return weights_tables(study.weights), weights_findings(study.weights)
    if part == "decisions" and study.decisions is not None:
        pairs, names = study.pair_decisions[:_PAIRS], study.dataset.class_names
        tables = decisions_tables(study.decisions, pairs, names)
        return tables, decisions_findings(study.decisions, pairs if in_full else ())
    if part == "attribution" and study.explanation is not None:
        given = study.explanation, study.dataset, study.part
        return attribution_tables(*given), attribution_findings(*given)
    return {}, ()
