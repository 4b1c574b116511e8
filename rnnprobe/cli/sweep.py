"""`rnnprobe sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnprobe.cli._axes import axis_options, given_axes, length, length_options
from rnnprobe.cli._complete import some_of
from rnnprobe.cli._execution import address, execution, execution_options, resume_hint, runs_there
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
from rnnprobe.search import METRICS
from rnnprobe.search.space import AXES, SearchSpace, value_text

if TYPE_CHECKING:
    from rnnprobe.records import SequenceDataset
    from rnnprobe.search.results import SweepResult
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
    "--repeats", type=click.IntRange(min=1), default=1, show_default=True, help="Runs per cell."
)
@click.option(
    "--confirm",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Run the three best cells N more times with fresh seeds.",
)
@length_options
@click.option(
    "--checkpoints",
    type=click.IntRange(min=0),
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
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    from rnnprobe.journal import read_experiment
    from rnnprobe.search.pool import start_server
    from rnnprobe.search.sweep import Plan, load_sweep, sweep

    settings = length(options)
    if options["checkpoints"]:
        settings["checkpoints"] = options["checkpoints"]
    try:
        space = SearchSpace(**given_axes(options))
        Plan(space, options["repeats"], options["confirm"], options["seed"], settings)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    output = Output.prepare(options, _FIGURES)
    if how.listen is None:
        start_server(verbose=options["verbose"] > 0)
    else:
        with keras_at_work(options["verbose"]):
            import rnnprobe.search.chief  # noqa: F401  # brings KerasTuner, which brings Keras
    import scipy.special  # noqa: F401  # the report's; after Ctrl-C there is no time for it

    dataset = load_data(options)
    status = 0
    plan = Plan(space, options["repeats"], options["confirm"], options["seed"], settings)
    with Progress("runs", plan.num_runs, quiet=options["quiet"]) as progress:
        log = _Log(progress, plan, dataset, how)
        try:
            result = sweep(
                dataset,
                space,
                repeats=options["repeats"],
                confirm=options["confirm"],
                seed=options["seed"],
                execution=how,
                on_run=log,
                **settings,
            )
        except KeyboardInterrupt:
            if read_experiment(run_dir) is None:
                raise
            received()
            status = 130
            result = load_sweep(run_dir)
    _finish(result, dataset, output, options)
    if status:
        click.echo(resume_hint(options, "sweep", run_dir), err=True)
    elif not any(run.finished for run in result.runs):
        from rnnprobe.errors import TrainingError

        raise TrainingError(f"No run finished, of {len(result.runs)}; the table says why.")
    return status


class _Log:
    """Prints every run, the best so far and how long the rest takes; a resumed sweep's runs count.

    Args:
        progress: Where to.
        plan: The sweep.
        dataset: Its data.
        how: Its folder and workers.
    """

    def __init__(
        self, progress: Progress, plan: Plan, dataset: SequenceDataset, how: Execution
    ) -> None:
        from rnnprobe.cli._runs_left import RunsLeft
        from rnnprobe.experiments._shapes import Shape

        self._progress, self._varied, self._best = progress, plan.space.varied, Best()
        there = runs_there(how)
        for run in there.values():
            self._see(run)
        tasks = plan.tasks()
        missing = [(task.model, task.train) for task in tasks if task.key not in there]
        more = plan.num_runs - len(tasks)
        # Elsewhere nobody here knows how many are made at once.
        self._left = (
            None
            if how.listen
            else RunsLeft(missing, Shape.of(dataset), workers=how.num_workers, more=more)
        )

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


def _finish(
    result: SweepResult, dataset: SequenceDataset, output: Output, options: dict[str, Any]
) -> None:
    from rnnprobe.reports.sweep import sweep_report
    from rnnprobe.search.task import MODELS

    if not options["quiet"]:
        if result.unreadable:
            click.echo(
                f"{result.run_dir}: {result.unreadable} unreadable lines; what they held was "
                "run again.",
                err=True,
            )
        click.echo(f"results are kept in {result.run_dir}", err=True)
        if options["save_models"]:
            folder = Path(str(result.run_dir), MODELS)
            kept, finished = len(list(folder.glob("*.keras"))), sum(r.finished for r in result.runs)
            click.echo(f"models are kept in {folder}: {kept} of {finished} runs", err=True)
            if kept < finished:
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
