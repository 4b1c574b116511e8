"""The report of `rnnprobe tune`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnnprobe._versions import made_by
from rnnprobe.records import SequenceDataset
from rnnprobe.reports._common import (
    accuracy_finding,
    data_phrase,
    guessing_findings,
    resume_command,
    train_command,
    unreadable_findings,
)
from rnnprobe.search.space import AXES, value_text
from rnnprobe.table import Column, Finding, Report, Table, escape

if TYPE_CHECKING:
    from rnnprobe.search.trials import Trial, TuneResult

_KINDS: dict[str, Any] = {
    "integer": "integer",
    "number": "general",
    "flag": "text",
    "name": "text",
}
_HOW = {
    "hyperband": "drawn at random, the better third of each bracket trained on",
    "bayesian": "the first at random, then by the bound of a Gaussian process",
    "random": "drawn at random",
}


def tune_report(
    result: TuneResult, dataset: SequenceDataset, model_file: str | None = None
) -> Report:
    """Return the table of trials, the best one's test accuracy, space and budget.

    Args:
        result: What the search found, whole or not.
        dataset: What it searched on.
        model_file: Where the best model was saved; None where it was not.
    """
    findings = []
    if len(result.trials) < result.budget or result.test is None:
        findings.append(_missing_finding(result))
    findings += unreadable_findings(result.unreadable)
    findings += _best_findings(result, dataset)
    findings += [
        Finding("space", f"Space: {escape(_space_phrase(result))}", result.space.values),
        Finding("budget", _budget_phrase(result), _budget(result)),
    ]
    lost = {t.number: t.run.message for t in result.trials if t.run.status != "ok"}
    if lost:
        listed = "; ".join(f"trial {number}: {escape(why)}" for number, why in lost.items())
        findings.append(Finding("did_not_finish", f"Did not finish: {listed}", lost))
    if model_file is not None:
        findings.append(Finding("model", f"Model: {escape(model_file)}", model_file))
    if result.best is not None:
        settings = {"epochs": result.best.epochs, "seed": result.seed}
        again = train_command(result.best.configuration, settings, dataset)
        findings.append(Finding("again", f"The same again: `{again}`", again))
    return Report(
        command="tune",
        caption=f"**Tune** by {result.tuner} on {data_phrase(dataset)}, seed {result.seed}",
        main=_trials_table(result),
        findings=tuple(findings),
        made_by=made_by(),
        facts={"digest": dataset.digest, "seed": result.seed, "tuner": result.tuner},
    )


def _missing_finding(result: TuneResult) -> Finding:
    """Say what is not there, and how to get it."""
    missing = result.budget - len(result.trials)
    sentence = f"Not complete: {len(result.trials)} of {result.budget} configurations were tried"
    goes_on = "goes on"
    if not missing:
        sentence = f"All {result.budget} configurations were begun; the best is not tested here"
        goes_on = "ends what is left, tests the best and saves its model"
    if result.run_dir is not None:
        sentence += f"; `{resume_command('tune', result.run_dir)}` {goes_on}"
    return Finding("missing", sentence, missing)


def _best_findings(result: TuneResult, dataset: SequenceDataset) -> list[Finding]:
    best = result.best
    if best is None:
        return []
    finished = [trial for trial in result.trials if trial.run.status == "ok"]
    best_of = ""
    if len(finished) > 1:
        best_of = f", the best of {len(finished)}, so this figure is optimistic"
    findings = [
        Finding(
            "best",
            f"Best on validation: trial {best.number}, accuracy {best.score[0]:.4f}{best_of}",
            {"trial": best.number, **best.configuration},
        )
    ]
    if result.test is not None:
        lead, remark = f"Test accuracy of trial {best.number}:", "; test examples chose nothing"
        correct, total = result.test.correct, result.test.total
        findings.append(accuracy_finding("test", lead, correct, total, remark))
        findings += guessing_findings(result.test.right, dataset.test.y, dataset.class_names)
    return findings


def _trials_table(result: TuneResult) -> Table:
    axes = ["cell", *(name for name in result.space.varied if name != "cell")]
    columns = (
        Column("trial", "#", "integer"),
        *(Column(name, name.replace("_", " "), _KINDS[AXES[name].kind]) for name in axes),
        Column("epochs", "epochs", "integer"),
        Column("val_accuracy", "val. accuracy", "decimal"),
        Column("seconds", "seconds", "decimal", 1),
        Column("parameters", "parameters", "integer"),
        Column("chosen", "chosen"),
        Column("status", "status"),
    )
    return Table(columns, tuple(_row(trial, axes) for trial in result.trials))


def _row(trial: Trial, axes: list[str]) -> tuple[Any, ...]:
    chosen = trial.chosen
    if trial.promoted_after:
        chosen += f", kept after {' and '.join(map(str, trial.promoted_after))}"
    status = "ok" if trial.run.status == "ok" else f"DNF {trial.run.message.split(':')[0]}"
    return (
        trial.number,
        *(trial.configuration[name] for name in axes),
        trial.epochs,
        trial.run.metrics.get("val_accuracy") if status == "ok" else None,
        trial.run.seconds,
        trial.run.parameters or None,
        chosen,
        status,
    )


def _space_phrase(result: TuneResult) -> str:
    listed = "; ".join(
        f"{name.replace('_', ' ')} {', '.join(map(value_text, values))}"
        for name, values in result.space.values.items()
        if len(values) > 1 or name in ("cell", "optimizer")
    )
    return f"{listed} ({result.space.size:,} configurations)"


def _budget(result: TuneResult) -> dict[str, float]:
    return {
        "trials": len(result.trials),
        "epochs": sum(trial.epochs for trial in result.trials),
        "most_epochs": result.epochs,
        "seconds": result.seconds,
    }


def _budget_phrase(result: TuneResult) -> str:
    budget = _budget(result)
    whole = " (the whole space)" if budget["trials"] == result.space.size else ""
    return (
        f"Budget: {budget['trials']} configurations{whole}, {_HOW[result.tuner]}; at most "
        f"{result.epochs} epochs each, {budget['epochs']} in all"
    ) + (f", {result.seconds:.0f} s" if result.seconds else "")
