"""A page on one model: what its file says, and what every probe says of it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnprobe._versions import made_by
from rnnprobe.errors import DataError, ModelError
from rnnprobe.records import SequenceDataset
from rnnprobe.reports._chapters_captions import captioned
from rnnprobe.reports._chapters_facts import (
    facts_table,
    keeps_curves,
    model_facts,
    train_again_command,
    trained_specs,
)
from rnnprobe.reports._figures import curves_figure
from rnnprobe.reports.page import Chapter, Page
from rnnprobe.reports.train import train_report
from rnnprobe.specs import Run
from rnnprobe.table import Finding, Report, Table, escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rnnprobe.opening import OpenedModel

PROBED = ("confusions", "attack", "inspect")
"""The chapters of a model that are measured, by the command that prints each alone."""

_TITLES = {
    "confusions": "What it gets wrong",
    "attack": "How easily it is fooled",
    "inspect": "What happens inside",
}
_HEADLINES = {"confusions": "accuracy", "attack": "worst_", "inspect": "gradients"}


@dataclass(frozen=True, eq=False)
class Probing:
    """What is probed, and how the commands that probe it are written.

    Args:
        path: The model's file.
        opened: The same with its data.
        metadata: What rnnprobe wrote into the file; None of any other.
        part: The part of the data.
        seed: As the commands take it.
        arguments: More options of these commands, those that say which model and data.
        say: Called with a line of progress, and with how many chapters are done.
    """

    path: Path
    opened: OpenedModel
    metadata: Mapping[str, Any] | None
    part: str = "test"
    seed: int = 0
    arguments: tuple[str, ...] = ()
    say: Callable[[str, int], None] = lambda text, done: None

    @property
    def title(self) -> str:
        """What pictures say was probed."""
        return f"{self.opened.name} on {self.opened.dataset.name}"

    def command(self, name: str) -> str:
        """Return the command line that prints a chapter alone."""
        more = [] if self.part == "test" else ["--split", self.part]
        more += [] if self.seed == 0 else ["--seed", str(self.seed)]
        return shlex.join(["rnnprobe", name, str(self.path), *self.arguments, *more])


def model_page(probing: Probing, what: Collection[str] = PROBED, *, command: str) -> Page:
    """Probe a model and return the page on it.

    Args:
        probing: The model.
        what: Which of `PROBED`.
        command: The command line that makes the page.

    Raises:
        DataError: The part is empty, or does not fit the model.
        ModelError: The model returns what is no number.
    """
    opened = probing.opened
    chapters = model_chapters(probing, what)
    training = training_chapter(opened, probing.metadata)
    facts = model_facts(probing.path, opened, probing.metadata, part=probing.part)
    return Page(
        title=opened.name,
        facts=facts_table(facts),
        chapters=(*([training] if training else ()), *chapters),
        command=command,
        made_by=made_by(),
    )


def model_chapters(probing: Probing, what: Collection[str] = PROBED) -> tuple[Chapter, ...]:
    """Return what every probe says, as its command prints it; why, where one cannot tell.

    Args:
        probing: The model.
        what: Which of `PROBED`.

    Raises:
        DataError: The part is empty, or does not fit the model.
        ModelError: The model returns what is no number.
    """
    probes = {"confusions": _confusions, "attack": _attack, "inspect": _inspect}
    probing.opened.predict(probing.part)  # what no probe could do without is no chapter's matter
    found: list[Chapter] = []
    for name in (name for name in PROBED if name in what):
        try:
            report, figures = probes[name](probing, len(found))
        except (DataError, ModelError) as exc:
            report, figures = _untold(name, probing.opened, str(exc)), {}
        found.append(
            Chapter(
                _TITLES[name],
                probing.command(name),
                report,
                captioned(name, figures),
                headline=_headline(report, _HEADLINES[name]),
            )
        )
        probing.say(f"{name} done", len(found))
    return tuple(found)


def _headline(report: Report, begins: str) -> str:
    """Return the key of the first finding that begins so; empty where there is none."""
    findings = [*report.findings, *(one for part in report.sections for one in part.findings)]
    return next((finding.key for finding in findings if finding.key.startswith(begins)), "")


def _untold(name: str, opened: OpenedModel, reason: str) -> Report:
    """Return the report of a probe that cannot be made, with the one sentence why."""
    return Report(
        command=name,
        caption=f"**{name.capitalize()}** of {escape(opened.name)}: cannot be told",
        main=Table((), ()),
        findings=(Finding("untold", escape(reason), reason),),
        made_by=made_by(),
    )


def _confusions(probing: Probing, done: int) -> tuple[Report, dict[str, Figure]]:
    from rnnprobe.confusions.study import study_confusions
    from rnnprobe.reports._probe_figures import confusions_figures
    from rnnprobe.reports.confusions import confusions_report

    del done
    opened = probing.opened
    study = study_confusions(opened.classifier, opened.dataset, probing.part, seed=probing.seed)
    report = confusions_report(study, title=escape(opened.name), in_full=())
    return report, confusions_figures(study, probing.title)


def _attack(probing: Probing, done: int) -> tuple[Report, dict[str, Figure]]:
    from rnnprobe.attacks._study import chosen_attacks, chosen_budgets, study_attacks
    from rnnprobe.reports._probe_figures import attack_figures
    from rnnprobe.reports.attack import attack_report

    opened, dataset = probing.opened, probing.opened.dataset
    study = study_attacks(
        opened.classifier,
        dataset.splits[probing.part],
        chosen_attacks(dataset, seed=probing.seed),
        chosen_budgets(dataset),
        seed=probing.seed,
        say=lambda text: probing.say(f"attack: {text}", done),
    )
    report = attack_report(study, title=escape(opened.name), dataset=dataset, part=probing.part)
    return report, attack_figures(study, opened.classifier, dataset, probing.title)


def _inspect(probing: Probing, done: int) -> tuple[Report, dict[str, Figure]]:
    from rnnprobe.inspection import PARTS
    from rnnprobe.inspection.study import study_inspection
    from rnnprobe.reports._inspect_figures import inspect_figures, shared_figures
    from rnnprobe.reports.inspect import inspect_report

    opened = probing.opened
    study = study_inspection(
        opened.classifier,
        opened.dataset,
        probing.part,
        seed=probing.seed,
        say=lambda looked: probing.say(f"inspect: {' and '.join(looked)}", done),
    )
    studies = {opened.name: study}
    figures = inspect_figures(study, probing.title) | shared_figures(studies)
    return inspect_report(studies, parts=PARTS), figures


def training_chapter(opened: OpenedModel, metadata: Mapping[str, Any] | None) -> Chapter | None:
    """Return what the file keeps of the training; None where it keeps no curves of these weights.

    Args:
        opened: The model.
        metadata: Of its file.
    """
    known = metadata or {}
    whole = {"data", "model", "train", "versions"} <= set(known) and keeps_curves(known)
    whole = whole and {"name", "digest"} <= set(known["data"])
    if "hardened" in known or not whole:
        return None
    run = _run_of(opened, known)
    report = _train_report(run, opened, known)
    figure = curves_figure(run.history, f"{run.model.cell} on {known['data']['name']}")
    return Chapter(
        "How it was trained",
        train_again_command(known, opened.dataset),
        report,
        captioned("train", {"curves.png": figure}),
        headline=_headline(report, "test"),
    )


def _run_of(opened: OpenedModel, known: Mapping[str, Any]) -> Run:
    history = known["history"]
    model, train = trained_specs(known)
    return Run(
        dataset_digest=known["data"]["digest"],
        model=model,
        train=train,
        status="ok",
        history=history,
        metrics=known["metrics"],
        seconds=sum(history["seconds"]),
        peak_memory=None,
        parameters=opened.model.count_params(),
        versions=known["versions"],
    )


def _train_report(run: Run, opened: OpenedModel, known: Mapping[str, Any]) -> Report:
    """Return the report of the training; of other data than the model's no test is told."""
    dataset: SequenceDataset = opened.dataset
    metrics = dict(run.metrics)
    if dataset.digest == run.dataset_digest:
        if "test_accuracy" in metrics and "test_correct" not in metrics:
            metrics["test_correct"] = round(metrics["test_accuracy"] * len(dataset.test))
        return train_report(replace(run, metrics=metrics), dataset, opened.name)
    metrics.pop("test_accuracy", None)
    report = train_report(replace(run, metrics=metrics), dataset, opened.name)
    data = f"{escape(known['data']['name'])} (digest {run.dataset_digest})"
    caption = (
        f"**Train** {escape(run.model.cell)} ({run.parameters:,} parameters) on {data}, other data "
        f"than this page's, seed {run.train.seed}"
    )
    return replace(report, caption=caption, facts={**report.facts, "digest": run.dataset_digest})
