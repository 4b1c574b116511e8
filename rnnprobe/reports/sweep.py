"""The report of `rnnprobe sweep`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnnprobe._versions import made_by
from rnnprobe.records import SequenceDataset
from rnnprobe.reports._common import (
    accuracy_finding,
    counted,
    data_phrase,
    resume_command,
    train_command,
    unreadable_findings,
)
from rnnprobe.reports._pivot import (
    TITLES,
    Layout,
    axis_title,
    key,
    keys,
    number,
    pivot_table,
)
from rnnprobe.search.analysis import METRIC, front, importance, losses, within_noise
from rnnprobe.search.results import Cell, SweepResult
from rnnprobe.search.space import AXES, level_text, value_text
from rnnprobe.specs import TrainSpec
from rnnprobe.table import Column, Finding, Report, Table, escape

_KINDS: dict[str, Any] = {"integer": "integer", "number": "general", "flag": "text", "name": "text"}
_LISTED = 8
_WORTH_NAMING = 0.01


def sweep_report(
    result: SweepResult,
    dataset: SequenceDataset,
    *,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    metric: str = METRIC,
) -> Report:
    """Return the pivot table of a sweep and what follows from it.

    Args:
        result: The sweep, whole or not.
        dataset: What was trained on.
        rows: Axes down the pivot table; None: all that vary but those across.
        columns: Axes across; None: the learning rate, or the last that varies.
        metric: A name of `rnnprobe.search.results.METRICS`. Whatever it is, cells are chosen by
            validation accuracy.
    """
    tied = within_noise(result, len(dataset.validation))
    best = tied[0] if tied else None
    layout = Layout.of(result, rows, columns, metric)
    chosen_by = metric == METRIC
    shown = pivot_table(result, layout, best if chosen_by else None, tied[1:] if chosen_by else [])
    findings = _progress_findings(result)
    if best is not None:
        findings += _best_findings(result, best, tied, dataset)
        findings += _comparison_findings(result, layout)
        settings = {**result.settings, "seed": best.finished[0].run.train.seed}
        again = train_command(best.configuration, _without_defaults(settings), dataset)
        findings.append(Finding("again", f"The best cell again, once: `{again}`", again))
    return Report(
        command="sweep",
        caption=_caption(result, layout, dataset),
        main=_cells_table(result, tied),
        shown=shown,
        findings=tuple(findings),
        tables=_tables(result),
        made_by=made_by(),
        facts={
            "digest": dataset.digest,
            "axes": result.space.values,
            "repeats": result.repeats,
            "seed": result.seed,
            "settings": result.settings,
            "runs": [{**run.configuration, **run.run.to_dict()} for run in result.runs],
        },
    )


def _without_defaults(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "checkpoints"}


def _caption(result: SweepResult, layout: Layout, dataset: SequenceDataset) -> str:
    varied = result.space.varied
    fixed = [
        f"{axis_title(name)} {value_text(values[0])}"
        for name, values in result.space.values.items()
        if name not in varied and (name == "cell" or values[0] != AXES[name].default)
    ]
    steps, epochs = result.settings.get("steps"), result.settings.get("epochs", TrainSpec.epochs)
    length = counted(steps, "step") if steps else counted(epochs, "epoch")
    spread = ", mean ± standard deviation" if result.repeats > 1 else ""
    seeds = f"seed {result.seed}"
    if result.repeats > 1:
        seeds = f"n = {result.repeats} (seeds {result.seed} to {result.seed + result.repeats - 1})"
    text = (
        f"**Sweep** on {data_phrase(dataset)}, {escape(', '.join([*fixed, length]))}: "
        f"{TITLES[layout.metric]}{spread}, {seeds}"
    )
    others = layout.averaged_over(result)
    if others:
        text += f", over all values of {', '.join(map(axis_title, others))}"
    if layout.metric == METRIC and len(result.cells) > 1:
        text += "; bold is the best cell, ≈ cannot be told from it"
    if layout.metric.startswith("test"):
        text += "; nothing may be chosen by it"
    return text


def _phrase(result: SweepResult, cell: Cell) -> str:
    """Name a cell by what varies."""
    parts = [
        f"{axis_title(name)} {level_text(name, cell.configuration[name])}"
        for name in result.space.varied
        if cell.configuration[name] is not None or AXES[name].optional
    ]
    return escape(", ".join(parts)) or escape(str(cell.configuration["cell"]))


def _measured(cell: Cell, metric: str) -> str:
    deviation = cell.deviation(metric)
    spread = f" ± {number(deviation, metric)}" if deviation is not None else ""
    return f"{number(cell.mean(metric), metric)}{spread}"


def _value(cell: Cell, metric: str = METRIC) -> dict[str, Any]:
    return {
        **cell.configuration,
        metric: cell.mean(metric),
        f"{metric}_sd": cell.deviation(metric),
        "n": len(cell.finished),
    }


def _progress_findings(result: SweepResult) -> list[Finding]:
    findings = []
    made = (*result.runs, *result.confirmations)
    if len(made) < result.wanted:
        missing = result.wanted - len(made)
        sentence = f"Not complete: {missing:,} of {result.wanted:,} runs are missing"
        if result.run_dir is not None:
            sentence += f"; `{resume_command('sweep', result.run_dir)}` makes them"
        findings.append(Finding("missing", sentence, missing))
    findings += unreadable_findings(result.unreadable)
    dead = [run for run in made if not run.finished]
    if dead:
        reasons = {r: sum(run.reason == r for run in dead) for r in {run.reason for run in dead}}
        listed = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
        first = escape(dead[0].run.message)
        sentence = f"Did not finish: {len(dead)} of {len(made)} runs ({listed}); the first: "
        findings.append(Finding("did_not_finish", sentence + first, reasons))
    return findings


def _best_findings(
    result: SweepResult, best: Cell, tied: list[Cell], dataset: SequenceDataset
) -> list[Finding]:
    candidates = len(result.ranking())
    phrase = _phrase(result, best)
    best_of = ""
    if candidates > 1:
        best_of = f", the best of {candidates} cells, so this figure is optimistic"
    said = f"Best on validation: {phrase}, accuracy {_measured(best, METRIC)}{best_of}"
    findings = [Finding("best", said, _value(best)), _test_finding(best, dataset)]
    if result.confirmed:
        findings.append(_confirmation_finding(result))
    if candidates > 1:
        findings.append(_tied_finding(result, tied))
    if len(tied) > 1:
        cheapest = min(tied, key=lambda cell: cell.seconds)
        findings.append(
            Finding(
                "cheapest",
                f"The cheapest of these: {_phrase(result, cheapest)}, accuracy "
                f"{_measured(cheapest, METRIC)}, {cheapest.seconds:.1f} s a run and "
                f"{cheapest.parameters:,} parameters (the best: {best.seconds:.1f} s and "
                f"{best.parameters:,})",
                {**_value(cheapest), "seconds": cheapest.seconds},
            )
        )
    return findings


def _test_finding(best: Cell, dataset: SequenceDataset) -> Finding:
    if len(best.finished) == 1:
        correct = int(best.values("test_correct")[0])
        remark = "; test examples chose nothing"
        return accuracy_finding("test", "Its test accuracy:", correct, len(dataset.test), remark)
    sentence = (
        f"Its test accuracy: {_measured(best, 'test_accuracy')} (n = {len(best.finished)}, "
        f"{len(dataset.test):,} examples); test examples chose nothing"
    )
    return Finding("test", sentence, _value(best, "test_accuracy"))


def _confirmation_finding(result: SweepResult) -> Finding:
    parts = []
    for cell in result.confirmed:
        if cell.finished:
            parts.append(
                f"{_phrase(result, cell)}: validation {_measured(cell, METRIC)}, "
                f"test {_measured(cell, 'test_accuracy')} (n = {len(cell.finished)})"
            )
        else:
            parts.append(f"{_phrase(result, cell)}: DNF {cell.runs[0].reason}")
    sentence = f"Run again with fresh seeds: {'; '.join(parts)}"
    values = [_value(cell) for cell in result.confirmed if cell.finished]
    return Finding("confirmed", sentence, values)


def _tied_finding(result: SweepResult, tied: list[Cell]) -> Finding:
    others = tied[1:]
    what = "seeds and examples" if result.repeats > 1 else "examples"
    how = f"t test at 5 % for the noise of {what}, Holm's correction"
    if result.repeats == 1:
        how += "; with one run a cell the noise of training is not in it"
    elif result.repeats == 2:
        how += "; two runs a cell tell large differences alone"
    compared = counted(len(result.ranking()) - 1, "other cell")
    left_out = len(result.cells) - len(result.ranking())
    if left_out:
        how += f"; {counted(left_out, 'cell')} with fewer finished runs not compared"
    if not others:
        sentence = f"The {compared} compared with it: worse by more than chance explains ({how})"
        return Finding("tied", sentence, [])
    listed = "; ".join(_phrase(result, cell) for cell in others[:_LISTED])
    more = f"; and {len(others) - _LISTED} more" if len(others) > _LISTED else ""
    sentence = f"Cannot be told from it: {len(others)} of {compared} ({how}): {listed}{more}"
    return Finding("tied", sentence, [_value(cell) for cell in others])


def _comparison_findings(result: SweepResult, layout: Layout) -> list[Finding]:
    findings = []
    if len(layout.columns) == 1 and layout.rows:
        findings += _best_column(result, layout)
    shares = importance(result)
    if shares is not None:
        exact = f"exact analysis of variance of the complete factorial, {shares.runs} runs"
        if result.repeats == 1:
            exact += "; with one run a cell the noise of seeds is in all of them"
        substitute = (
            f"not every run of a complete factorial is there, so this is what an additive model of "
            f"the {shares.runs} finished runs loses without the axis; what is missing is not "
            "missing at random"
        )
        sentence = f"Of the variance of validation accuracy: {_shares_text(shares.shares)} "
        sentence += f"({exact if shares.exact else substitute})"
        value = {" x ".join(axes) or "seed": share for axes, share in shares.shares.items()}
        findings.append(Finding("importance", sentence, {"exact": shares.exact, "shares": value}))
    return findings


def _best_column(result: SweepResult, layout: Layout) -> list[Finding]:
    across = layout.columns[0]
    ranked: dict[tuple[Any, ...], list[Any]] = {row: [] for row in keys(result.cells, layout.rows)}
    for cell in result.ranking():
        ranked[key(cell, layout.rows)].append(cell.configuration[across])
    best = {row: values[0] for row, values in ranked.items() if len(set(values)) > 1}
    if not best:
        return []
    parts = []
    for level in dict.fromkeys(best.values()):
        at = [
            " ".join(map(level_text, layout.rows, row))
            for row, value in best.items()
            if value == level
        ]
        parts.append(f"{level_text(across, level)} at {', '.join(at)}")
    down = ", ".join(map(axis_title, layout.rows))
    sentence = f"Best {axis_title(across)} by {down}: {escape('; '.join(parts))}"
    value = [
        {**dict(zip(layout.rows, row, strict=True)), across: value} for row, value in best.items()
    ]
    return [Finding("best_of_each_row", sentence, value)]


def _shares_text(shares: dict[tuple[str, ...], float]) -> str:
    named = {a: s for a, s in shares.items() if len(a) == 1 or (a and s >= _WORTH_NAMING)}
    parts = [
        f"{' with '.join(map(axis_title, axes))} {share:.1%}"
        for axes, share in sorted(named.items(), key=lambda item: -item[1])
    ]
    small = [share for axes, share in shares.items() if len(axes) > 1 and axes not in named]
    if small:
        parts.append(f"other interactions {sum(small):.1%}")
    if shares.get((), 0.0):
        parts.append(f"seeds {shares[()]:.1%}")
    return ", ".join(parts)


def _cells_table(result: SweepResult, tied: list[Cell]) -> Table:
    """One row a cell, for CSV and JSON; the same columns whatever was swept."""
    checkpoints = [f"train_{n + 1}" for n in range(result.settings.get("checkpoints", 0))]
    measured = ("val_accuracy", "val_loss", "test_accuracy", "test_loss", *checkpoints)
    ranking = result.ranking()
    keys_ = [*AXES, "repeats", "finished", "reasons"]
    keys_ += [name for metric in measured for name in (metric, f"{metric}_sd")]
    keys_ += ["seconds", "parameters", "cannot_be_told_from_best"]
    rows = []
    for cell in result.cells:
        reasons = sorted({run.reason for run in cell.runs if not run.finished})
        known = {
            **cell.configuration,
            "repeats": cell.repeats,
            "finished": len(cell.finished),
            "reasons": reasons,
        }
        if cell.finished:
            for metric in measured:
                if all(metric in run.run.metrics for run in cell.finished):
                    known |= {metric: cell.mean(metric), f"{metric}_sd": cell.deviation(metric)}
            known |= {"seconds": cell.seconds, "parameters": cell.parameters}
            if cell in ranking:
                known["cannot_be_told_from_best"] = cell in tied
        rows.append(tuple(known.get(name) for name in keys_))
    return Table(tuple(Column(name, name) for name in keys_), tuple(rows))


def _tables(result: SweepResult) -> dict[str, Table]:
    tables = {}
    checkpoints = result.settings.get("checkpoints", 0)
    if checkpoints:
        tables["checkpoints"] = _checkpoints_table(result, checkpoints)
    if len(result.ranking()) > 1:
        tables["front"] = _front_table(result)
    lost = losses(result)
    if lost:
        columns = (
            Column("axis", "axis"),
            Column("level", "level"),
            Column("lost", "did not finish", "integer"),
            Column("runs", "of runs", "integer"),
            Column("reasons", "reasons"),
        )
        rows = tuple(
            (axis_title(x.axis), level_text(x.axis, x.level), x.lost, x.runs, x.reasons)
            for x in lost
        )
        tables["did_not_finish"] = Table(columns, rows, "Runs that did not finish, by level")
    return tables


def _axis_columns(result: SweepResult) -> tuple[list[str], tuple[Column, ...]]:
    axes = result.space.varied or ["cell"]
    return axes, tuple(Column(n, axis_title(n), _KINDS[AXES[n].kind]) for n in axes)


def _front_table(result: SweepResult) -> Table:
    axes, heads = _axis_columns(result)
    columns = (
        *heads,
        Column("seconds", "seconds", "decimal", 1),
        Column("val_accuracy", "val. accuracy", "decimal"),
        Column("parameters", "parameters", "integer"),
    )
    rows = tuple(
        (*key(cell, axes), cell.seconds, cell.mean(METRIC), cell.parameters)
        for cell in front(result)
    )
    title = (
        "Accuracy against time: cells that no other beats in both (median seconds of training, "
        "several runs at once)"
    )
    return Table(columns, rows, title)


def _checkpoints_table(result: SweepResult, checkpoints: int) -> Table:
    axes, heads = _axis_columns(result)
    metrics = [f"train_{number + 1}" for number in range(checkpoints)] + ["test_accuracy"]
    titles = [f"Train {number + 1}" for number in range(checkpoints)] + ["Test"]
    columns = (*heads, *(Column(m, t, "markdown") for m, t in zip(metrics, titles, strict=True)))
    rows = tuple(
        (*key(cell, axes), *(_checkpoint(cell, metric) for metric in metrics))
        for cell in result.cells
    )
    title = (
        f"Training accuracy at {checkpoints} even points, each over the updates since the one "
        "before; test accuracy at the end"
    )
    return Table(columns, rows, title)


def _checkpoint(cell: Cell, metric: str) -> str:
    if not cell.finished:
        reasons = sorted({run.reason for run in cell.runs})
        return f"DNF {', '.join(reasons)}" if reasons else "–"
    if any(metric not in run.run.metrics for run in cell.finished):
        return "–"
    return _measured(cell, metric)
