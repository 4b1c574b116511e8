"""`rnnprobe sweep`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnprobe.cli._axes import axis_options, given_axes, length, length_options
from rnnprobe.cli._complete import some_of
from rnnprobe.cli._execution import (
    address,
    entries_there,
    execution,
    execution_options,
    resume_hint,
    runs_there,
)
from rnnprobe.cli._interrupt import received
from rnnprobe.cli._options import (
    Command,
    Output,
    data_options,
    keras_at_work,
    load_data,
    output_options,
    plots_option,
    seed_option,
)
from rnnprobe.cli._progress import Best, Progress
from rnnprobe.cli._types import IntRange
from rnnprobe.search import METRICS
from rnnprobe.search.space import AXES, SearchSpace, value_text

if TYPE_CHECKING:
    from rnnprobe.cli._runs_left import RunsLeft
    from rnnprobe.records import SequenceDataset
    from rnnprobe.search.results import CellRun, SweepResult
    from rnnprobe.search.sweep import Plan
    from rnnprobe.search.task import Execution
    from rnnprobe.specs import Run

_OPTIONS = tuple(name.replace("_", "-") for name in AXES)
_FIGURES = ("heatmap.png", "curves.png", "front.png")


def _axis_names(
    ctx: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(name.strip().replace("-", "_") for name in text.split(","))
    unknown = [name for name in names if name not in AXES]
    if unknown:
        options = ", ".join(_OPTIONS)
        raise click.UsageError(
            f"{parameter.opts[0]} got '{unknown[0]}', expected axes like units: {options}.", ctx
        )
    return names


@click.command("sweep", cls=Command, short_help="Try every combination, several times.")
@axis_options(several=True)
@click.option(
    "--repeats", type=IntRange(min=1), default=1, show_default=True, help="Runs per cell."
)
@click.option(
    "--confirm",
    type=IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Run the three best cells N more times with fresh seeds.",
)
@length_options
@click.option(
    "--checkpoints",
    type=IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Also show the training accuracy at N even points of training.",
)
@click.option(
    "--rows",
    callback=_axis_names,
    metavar="AXES",
    shell_complete=some_of(_OPTIONS),
    help="Axes down the table.",
)
@click.option(
    "--columns",
    callback=_axis_names,
    metavar="AXES",
    shell_complete=some_of(_OPTIONS),
    help="Axes across the table.",
)
@click.option(
    "--metric",
    type=click.Choice(METRICS),
    default="val_accuracy",
    show_default=True,
    help="What stands in the table.",
)
@execution_options
@click.option(
    "--listen",
    callback=address,
    metavar="HOST:PORT",
    help="Let the runs be made by `rnnprobe worker` elsewhere.  [host: 127.0.0.1]",
)
@click.option(
    "--save-models", is_flag=True, help="Keep the model of each run in the folder of the run."
)
@seed_option
@data_options("mnist-5k", "Data set: a name of `rnnprobe data list`, or a path.")
@plots_option
@output_options
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> int:
    """Train every combination of the axes and print the table of accuracies.

    Each axis takes one value, a list (16,32,64) or a range (16..128:x2, 0..0.4:+0.2). Cells are
    chosen by validation accuracy; test accuracy is shown beside the chosen one.
    """
    try:
        run_dir, how = execution(ctx, options)
        plan = _plan(options)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    from rnnprobe.search.pool import start_server

    output = Output.prepare(options, _FIGURES)
    if how.listen is None:
        start_server(verbose=options["verbose"] > 0)
    else:
        with keras_at_work(options["verbose"]):
            import rnnprobe.search.chief  # noqa: F401  # brings KerasTuner, which brings Keras
    import scipy.special  # noqa: F401  # the report's; after Ctrl-C there is no time for it

    dataset = load_data(options)
    result, interrupted = _swept(plan, dataset, how, quiet=options["quiet"])
    _finish(result, dataset, output, options)
    if interrupted:
        click.echo(resume_hint(options, "sweep", run_dir), err=True)
        return 130
    if not any(run.finished for run in result.runs):
        from rnnprobe.errors import TrainingError

        raise TrainingError(f"No run finished, of {len(result.runs)}; the table says why.")
    return 0


def _plan(options: dict[str, Any]) -> Plan:
    from rnnprobe.search.sweep import Plan

    settings = length(options)
    if options["checkpoints"]:
        settings["checkpoints"] = options["checkpoints"]
    space = SearchSpace(**given_axes(options))
    return Plan(space, options["repeats"], options["confirm"], options["seed"], settings)


def _swept(
    plan: Plan, dataset: SequenceDataset, how: Execution, *, quiet: bool
) -> tuple[SweepResult, bool]:
    """Return what the sweep came to, and whether it was interrupted."""
    from rnnprobe.journal import read_experiment
    from rnnprobe.search.sweep import load_sweep, sweep

    with Progress("runs", plan.num_runs, quiet=quiet) as progress:
        log = _Log(progress, plan, dataset, how)
        try:
            result = sweep(
                dataset,
                plan.space,
                repeats=plan.repeats,
                confirm=plan.confirm,
                seed=plan.seed,
                execution=how,
                on_run=log,
                **plan.settings,
            )
        except KeyboardInterrupt:
            if how.run_dir is None or read_experiment(how.run_dir) is None:
                raise
            received()
            return load_sweep(how.run_dir), True
    return result, False


class _Log:
    """Prints every run, the best one so far and how long the rest takes.

    The runs of a resumed sweep count. The table goes by the means of cells.

    Args:
        progress: Where to.
        plan: The sweep.
        dataset: Its data.
        how: Its folder and workers.
    """

    def __init__(
        self, progress: Progress, plan: Plan, dataset: SequenceDataset, how: Execution
    ) -> None:
        self._progress, self._varied = progress, plan.space.varied
        self._best = Best("best run so far")
        for run in runs_there(how).values():
            self._see(run)
        # Elsewhere nobody here knows how many are made at once.
        self._left = None if how.listen else runs_left(plan, dataset, how)

    def _see(self, run: Run) -> None:
        if run.status == "ok":
            accuracy = run.metrics["val_accuracy"]
            self._best.see((accuracy,), f"{accuracy:.4f} ({self._name(run)})")

    def _name(self, run: Run) -> str:
        values = {**vars(run.model), **vars(run.train)}
        cell = "".join(f"{n.replace('_', ' ')} {value_text(values[n])}, " for n in self._varied)
        return f"{cell}seed {run.train.seed}"

    def __call__(self, run: Run, done: int, total: int) -> None:
        self._see(run)
        accuracy = f"validation accuracy {run.metrics.get('val_accuracy', 0.0):.4f}"
        outcome = accuracy if run.status == "ok" else f"DNF {run.message}"
        self._progress.line(
            f"run {done} of {total}: {self._name(run)}: {outcome}, {run.seconds:.1f} s",
            completed=done,
            total=total,
            best=self._best.text,
            left=None if self._left is None else self._left.after(run),
        )


def runs_left(plan: Plan, dataset: SequenceDataset, how: Execution) -> RunsLeft:
    """Return how long the runs take that are not there; what is there says which are confirmed."""
    from rnnprobe.cli._runs_left import RunsLeft
    from rnnprobe.experiments._shapes import Shape

    tasks = plan.tasks()
    more = plan.num_runs - len(tasks)
    ended = {entry["key"]: entry for entry in entries_there(replace(how, retry_dnf=False))}
    if all(task.key in ended for task in tasks):
        tasks, more = tasks + plan.confirming_tasks(ended), 0
    there = runs_there(how)
    missing = [(task.model, task.train) for task in tasks if task.key not in there]
    return RunsLeft(missing, Shape.of(dataset), workers=how.num_workers, more=more)


def _keeps_model(result: SweepResult, run: CellRun) -> bool:
    from rnnprobe.errors import ModelError

    try:
        result.model_file(run)
    except ModelError:
        return False
    return True


def _finish(
    result: SweepResult, dataset: SequenceDataset, output: Output, options: dict[str, Any]
) -> None:
    from rnnprobe.reports.sweep import sweep_report
    from rnnprobe.search.task import MODELS

    if not options["quiet"]:
        click.echo(f"results are kept in {result.run_dir}", err=True)
        if options["save_models"]:
            folder = Path(str(result.run_dir), MODELS)
            finished = [r for r in (*result.runs, *result.confirmations) if r.finished]
            kept = sum(_keeps_model(result, run) for run in finished)
            click.echo(f"models are kept in {folder}: {kept} of {len(finished)} runs", err=True)
            if kept < len(finished):
                click.echo("runs made before, without --save-models, left no model", err=True)
    report = sweep_report(
        result,
        dataset,
        rows=options["rows"],
        columns=options["columns"],
        metric=options["metric"],
    )
    if output.plots is not None:
        from rnnprobe.reports._sweep_figures import sweep_figures

        output.draw(sweep_figures(result, options["rows"], options["columns"], options["metric"]))
    output.emit(report)
