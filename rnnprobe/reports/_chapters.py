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


@dataclass(frozen=True)
class Asked:
    """What is asked of a model.

    Args:
        what: Which of `PROBED`.
        part: The part of the data.
        seed: As the commands take it.
        arguments: More options of these commands, those that say which model and data.
        begin: Called with the name of each piece of the work before it.
        say: Called with a line of progress, and with how many chapters are done.
    """

    what: Collection[str] = PROBED
    part: str = "test"
    seed: int = 0
    arguments: tuple[str, ...] = ()
    begin: Callable[[str], None] = lambda text: None
    say: Callable[[str, int], None] = lambda text, done: None


@dataclass(frozen=True, eq=False)
class Probing:
    """What is probed, and what is asked of it.

    Args:
        path: The model's file.
        opened: The same with its data.
        metadata: What rnnprobe wrote into the file; None of any other.
        asked: What is asked.
    """

    path: Path
    opened: OpenedModel
    metadata: Mapping[str, Any] | None
    asked: Asked = Asked()

    @property
    def title(self) -> str:
        """What pictures say was probed."""
        return f"{self.opened.name} on {self.opened.dataset.name}"

    def command(self, name: str) -> str:
        """Return the command line that prints a chapter alone."""
        asked = self.asked
        more = [] if asked.part == "test" else ["--split", asked.part]
        more += [] if asked.seed == 0 else ["--seed", str(asked.seed)]
        return shlex.join(["rnnprobe", name, str(self.path), *asked.arguments, *more])


def model_page(probing: Probing, *, command: str) -> Page:
    """Probe a model and return the page on it.

    Args:
        probing: The model.
        command: The command line that makes the page.

    Raises:
        DataError: The part is empty, or does not fit the model.
        ModelError: The model returns what is no number.
    """
    opened = probing.opened
    chapters = model_chapters(probing)
    training = training_chapter(opened, probing.metadata)
    facts = model_facts(probing.path, opened, probing.metadata, part=probing.asked.part)
    return Page(
        title=opened.name,
        facts=facts_table(facts),
        chapters=(*([training] if training else ()), *chapters),
        command=command,
        made_by=made_by(),
    )


def model_chapters(probing: Probing) -> tuple[Chapter, ...]:
    """Return what every probe says, as its command prints it; why, where one cannot tell.

    Args:
        probing: The model.

    Raises:
        DataError: The part is empty, or does not fit the model.
        ModelError: The model returns what is no number.
    """
    probes = {"confusions": _confusions, "attack": _attack, "inspect": _inspect}
    asked = probing.asked
    probing.opened.predict(asked.part)  # what no probe could do without is no chapter's matter
    found: list[Chapter] = []
    for name in (name for name in PROBED if name in asked.what):
        asked.begin(name)
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
        asked.say(f"{name} done", len(found))
    return tuple(found)


def _headline(report: Report, begins: str) -> str:
    """Return the key of the first finding that begins so, or of the first; empty without any."""
    findings = [*report.findings, *(one for part in report.sections for one in part.findings)]
    keys = [finding.key for finding in findings]
    return next((key for key in keys if key.startswith(begins)), keys[0] if keys else "")


def _untold(name: str, opened: OpenedModel, reason: str) -> Report:
    """Return the report of a probe that cannot be made, with the one sentence why."""
    return Report(
        command=name,
        caption=f"**{name.capitalize()}** of {escape(opened.name)} could not be made",
        main=Table((), ()),
        findings=(Finding("untold", escape(reason), reason),),
        made_by=made_by(),
    )


def _confusions(probing: Probing, done: int) -> tuple[Report, dict[str, Figure]]:
    from rnnprobe.confusions.study import study_confusions
    from rnnprobe.reports._probe_figures import confusions_figures
    from rnnprobe.reports.confusions import confusions_report

    del done
    opened, asked = probing.opened, probing.asked
    study = study_confusions(opened.classifier, opened.dataset, asked.part, seed=asked.seed)
    report = confusions_report(study, title=escape(opened.name), in_full=())
    return report, confusions_figures(study, probing.title)


def _attack(probing: Probing, done: int) -> tuple[Report, dict[str, Figure]]:
    from rnnprobe.attacks._study import chosen_attacks, chosen_budgets, study_attacks
    from rnnprobe.reports._probe_figures import attack_figures
    from rnnprobe.reports.attack import attack_report

    opened, dataset, asked = probing.opened, probing.opened.dataset, probing.asked
    study = study_attacks(
        opened.classifier,
        dataset.splits[asked.part],
        chosen_attacks(dataset, seed=asked.seed),
        chosen_budgets(dataset),
        seed=asked.seed,
        begin=lambda piece: asked.begin(f"attack: {piece}"),
        say=lambda text: asked.say(f"attack: {text}", done),
    )
    report = attack_report(study, title=escape(opened.name), dataset=dataset, part=asked.part)
    return report, attack_figures(study, opened.classifier, dataset, probing.title)


def _inspect(probing: Probing, done: int) -> tuple[Report, dict[str, Figure]]:
    from rnnprobe.inspection import PARTS
    from rnnprobe.inspection.study import study_inspection
    from rnnprobe.reports._inspect_figures import inspect_figures, shared_figures
    from rnnprobe.reports.inspect import inspect_report

    opened, asked = probing.opened, probing.asked
    study = study_inspection(
        opened.classifier,
        opened.dataset,
        asked.part,
        seed=asked.seed,
        say=lambda looked: asked.say(f"inspect: {' and '.join(looked)}", done),
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
        "",  # `rnnprobe train` would not print this but train anew
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
    tested = metrics.pop("test_accuracy", None)
    if dataset.digest == run.dataset_digest:
        return _with_test(run, tested, opened)
    report = train_report(replace(run, metrics=metrics), dataset, opened.name)
    data = f"{escape(known['data']['name'])} (digest {run.dataset_digest})"
    caption = (
        f"**Train** {escape(run.model.cell)} ({run.parameters:,} parameters) on {data}, other data "
        f"than this page's, seed {run.train.seed}"
    )
    return replace(report, caption=caption, facts={**report.facts, "digest": run.dataset_digest})


def _with_test(run: Run, tested: float | None, opened: OpenedModel) -> Report:
    """Return the report of the training; why it holds no test, where the file tells it in part."""
    dataset, name = opened.dataset, opened.name
    metrics, total = dict(run.metrics), len(dataset.test)
    if tested is not None:
        metrics.setdefault("test_correct", round(tested * total))
    if tested is None or ("test_loss" in metrics and metrics["test_correct"] <= total):
        right = None
        if tested is not None:
            predictions = opened.predict("test")
            right = predictions.predicted == predictions.y
        return train_report(replace(run, metrics=metrics), dataset, name, right)
    metrics.pop("test_accuracy")
    report = train_report(replace(run, metrics=metrics), dataset, name)
    sentence = f"Test: what the file tells does not fit its {total:,} examples, or lacks the loss"
    return replace(report, findings=(*report.findings, Finding("test_untold", sentence, None)))
