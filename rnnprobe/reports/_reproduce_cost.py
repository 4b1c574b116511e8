"""What `rnnprobe reproduce` says before it starts, and what there is to reproduce."""

from __future__ import annotations

from rnnprobe._registry import load_object
from rnnprobe._versions import made_by
from rnnprobe.datasets import DATASETS
from rnnprobe.experiments import EXPERIMENTS
from rnnprobe.experiments._cost import Forecast, forecast
from rnnprobe.experiments._limits import Limit
from rnnprobe.experiments._record import Experiment
from rnnprobe.experiments._reproduce import Plan
from rnnprobe.experiments._shapes import SHAPES
from rnnprobe.reports._common import counted
from rnnprobe.reports._reproduce_texts import some_of
from rnnprobe.search.task import Execution
from rnnprobe.table import Column, Finding, Report, Table

_WORKERS = 2
_SMALL = Limit("units", "<=", 128)
_NAMES = (
    Column("name", "name"),
    Column("what", "what"),
    Column("report", "report"),
    Column("cells", "cells", "integer"),
    Column("runs", "runs", "integer"),
    Column("data", "data"),
)
_NUMBERS = (
    Column("seconds", "estimated time", "decimal", 0),
    Column("seconds_small", f"with {_SMALL}", "decimal", 0),
    Column("memory", "memory of a run", "integer"),
)


def experiments_report() -> Report:
    """Return one line per experiment: what it is, and about what it costs."""
    rows, shown = [], []
    for path in EXPERIMENTS.values():
        one: Experiment = load_object(path)
        whole, small = _costs(one)
        names = (one.name, one.title, one.source, len(one.cells), len(whole.costs), one.dataset)
        rows.append((*names, whole.seconds, small, whole.memory))
        short = None if small is None else duration_text(small)
        shown.append((*names, duration_text(whole.seconds), short, memory_text(whole.memory)))
    texts = tuple(Column(one.key, one.title, "markdown") for one in _NUMBERS)
    return Report(
        command="reproduce-list",
        caption="**Published experiments** for `rnnprobe reproduce NAME`",
        main=Table((*_NAMES, *_NUMBERS), tuple(rows)),
        shown=Table((*_NAMES, *texts), tuple(shown)),
        findings=_list_findings(),
        made_by=made_by(),
    )


def _costs(experiment: Experiment) -> tuple[Forecast, float | None]:
    """Return what an experiment costs, and the seconds of its small cells where that differs."""
    shapes = [SHAPES[experiment.dataset]] * len(experiment.splits)
    whole = forecast(Plan(experiment), shapes, workers=_WORKERS)
    levels = {cell.settings["units"] for cell in experiment.cells if "units" in cell.settings}
    if {_SMALL.allows({"units": level}) for level in levels} != {True, False}:
        return whole, None
    small = forecast(Plan(experiment, limits=(_SMALL,)), shapes, workers=_WORKERS)
    return whole, small.seconds


def _list_findings() -> tuple[Finding, ...]:
    return (
        Finding(
            "estimate",
            f"Times are estimates, which may be wrong by a factor of three: of one run a cell, "
            f"{_WORKERS} runs at once, on a core each; memory is that of the largest run beyond "
            "Keras and the data, as for `--max-memory`",
            {"workers": _WORKERS},
        ),
        Finding(
            "limit",
            f'`--limit "{_SMALL}"` runs a part of the cells, `--repeats N` each of them N times',
            str(_SMALL),
        ),
    )


def plan_notes(plan: Plan) -> list[str]:
    """Return what is to be reproduced, and from what data if not the report's, as plain lines."""
    experiment = plan.experiment
    notes = [f"{experiment.name}: {experiment.title}; {experiment.source}"]
    if plan.data not in (None, experiment.dataset):
        quick = ": this is a quick look, which reproduces nothing" if plan.data in DATASETS else ""
        notes.append(f"the data is {plan.data!r} in the place of {experiment.dataset}{quick}")
    if plan.limit_examples is not None:
        notes.append(
            f"at most {counted(plan.limit_examples, 'example')} of each part are used: a quick "
            "look, which reproduces nothing"
        )
    return notes


def forecast_notes(plan: Plan, cost: Forecast, execution: Execution) -> list[str]:
    """Return how many runs there will be and what they take, as plain lines.

    Args:
        plan: Which runs.
        cost: What those take that are still to be made.
        execution: How many run at once, and the memory that each may have.
    """
    notes = [_runs_note(plan, cost)]
    if not cost.costs:
        return notes
    notes.append(
        f"estimated: {duration_text(cost.seconds)} with {counted(cost.workers, 'run')} at once, "
        f"up to {memory_text(cost.memory)} a run beyond Keras and the data"
    )
    allowed = execution.memory_of_a_trial()
    large = {} if allowed is None else cost.larger_than(allowed)
    if allowed is not None and large:
        remedy = "; --workers 1 leaves more to each" if cost.workers > 1 else ""
        remedy = "; a larger --max-memory lets them run" if execution.max_memory else remedy
        notes.append(
            f"warning: {counted(len(large), 'cell')} may need up to "
            f"{memory_text(max(large.values()))}, but a run may have {memory_text(allowed)}: "
            f"{some_of(list(large))}; they are tried, and may not finish (DNF oom, or killed)"
            f"{remedy}"
        )
    return notes


def _runs_note(plan: Plan, cost: Forecast) -> str:
    whole, kept, splits = len(plan.experiment.cells), len(plan.cells), len(plan.experiment.splits)
    cells = counted(kept, "cell")
    if plan.limits:
        cells = f"{kept} of {cells if kept == whole else counted(whole, 'cell')} "
        cells += f"({', '.join(map(str, plan.limits))}; {whole - kept} left out)"
    told = f"{cells}, {counted(plan.num_runs, 'run')}"
    parts = [f"{plan.repeats} seeds"] if plan.repeats > 1 else []
    parts += [f"{splits} splits of the data"] if splits > 1 else []
    if parts:
        told += f" ({', '.join(parts)})"
    if cost.num_there:
        told += f"; {cost.num_there} are there, {len(cost.costs)} to be made"
    return told


def duration_text(seconds: float) -> str:
    """Return about how long something takes, in the unit that fits.

    Example:
        >>> [duration_text(seconds) for seconds in (0.2, 40, 110, 5400, 400_000)]
        ['under 1 s', '40 s', '2 min', '1.5 h', '4.6 days']
    """
    if seconds < 1:
        return "under 1 s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def memory_text(memory: int) -> str:
    """Return an amount of memory.

    Example:
        >>> memory_text(300_000_000), memory_text(2_500_000_000)
        ('300 MB', '2.5 GB')
    """
    return f"{memory / 1e6:.0f} MB" if memory < 1e9 else f"{memory / 1e9:.1f} GB"
