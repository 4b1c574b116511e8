"""`rnnprobe reproduce`."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from rnnprobe.cli import _complete
from rnnprobe.cli._execution import execution, execution_options, resume_hint
from rnnprobe.cli._interrupt import received
from rnnprobe.cli._options import (
    Command,
    Output,
    keras_at_work,
    keras_for_data,
    limit_option,
    output_options,
    plots_option,
    seed_option,
)
from rnnprobe.cli._progress import Progress, say_notes
from rnnprobe.cli._types import IntRange, Texts
from rnnprobe.experiments import EXPERIMENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnnprobe.cli._runs_left import RunsLeft
    from rnnprobe.experiments._reproduce import Plan, Reproduction
    from rnnprobe.records import SequenceDataset
    from rnnprobe.search.task import Execution
    from rnnprobe.specs import Run

_NO_LIMIT = ("", "all")
_WITH_LIST = {"list", "format", "output", "force", "quiet", "verbose", "config"}


def _known(ctx: click.Context, parameter: click.Parameter, name: str | None) -> str | None:
    del parameter
    if name is not None and name not in EXPERIMENTS:
        from rnnprobe._registry import unknown_name

        raise click.UsageError(str(unknown_name("experiment", name, list(EXPERIMENTS))), ctx)
    return name


def _joined(ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> str | None:
    del ctx, parameter
    return ",".join(texts) if texts else None


@click.command("reproduce", cls=Command, short_help="Run a published experiment again.")
@click.argument(
    "name", required=False, callback=_known, shell_complete=_complete.one_of(EXPERIMENTS)
)
@click.option("--list", is_flag=True, help="List the experiments and what they cost.")
@click.option(
    "--limit",
    type=Texts("\n"),
    multiple=True,
    callback=_joined,
    metavar="CONDITION",
    help='Run only the cells that meet it, like "units<=128"; several by commas, or repeated; '
    "all: every cell, also where --resume remembers a condition.",
)
@click.option(
    "--repeats",
    type=IntRange(min=1),
    default=1,
    show_default=True,
    help="Runs per cell, each with a seed of its own.",
)
@execution_options
@seed_option
@click.option(
    "--data",
    metavar="NAME|PATH",
    shell_complete=_complete.data,
    help="Other data.  [default: that of the experiment]",
)
@limit_option
@plots_option
@output_options
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> int:
    """Run a published experiment and print what it found beside what was published.

    NAME is one of `rnnprobe reproduce --list`. With --resume the name, and what else is not given,
    come from the run folder.
    """
    if options["list"]:
        return _list(ctx, options)
    run_dir, how = execution(ctx, options)
    plan = _plan(ctx, options)
    output = Output.prepare(options, _figure_names(plan, options))
    from rnnprobe.search.pool import start_server

    start_server(verbose=options["verbose"] > 0)
    result, was_interrupted = _run(plan, how, run_dir, options)
    _finish(result, run_dir, output, options)
    if was_interrupted:
        click.echo(resume_hint(options, "reproduce", run_dir), err=True)
        return 130
    if not any(run.status == "ok" for run in result.runs):
        from rnnprobe.errors import TrainingError

        raise TrainingError(f"No run finished, of {len(result.runs)}; the table says why.")
    return 0


def _run(
    plan: Plan, how: Execution, run_dir: Path, options: dict[str, Any]
) -> tuple[Reproduction, bool]:
    """Return what came of it, and whether Ctrl-C ended it."""
    import rnnprobe.reports.reproduce  # noqa: F401  # after Ctrl-C there is no time for it
    from rnnprobe.experiments._reproduce import load_reproduction, reproduce
    from rnnprobe.journal import read_experiment

    datasets = _load(plan, options)
    left = _begin(plan, datasets, how, options)
    progress = Progress("runs", plan.num_runs, quiet=options["quiet"])
    say = partial(_say, progress, left)
    with _keras_for_models(plan, options), progress:
        try:
            return reproduce(plan, datasets, execution=how, on_run=say), False
        except KeyboardInterrupt:
            if read_experiment(run_dir) is None:
                raise
            received()
            return load_reproduction(plan, datasets, run_dir), True


def _list(ctx: click.Context, options: dict[str, Any]) -> int:
    for parameter in ctx.command.params:
        given = ctx.get_parameter_source(str(parameter.name)) == ParameterSource.COMMANDLINE
        if given and parameter.name not in _WITH_LIST:
            raise click.UsageError(
                f"--list lists all experiments; leave out {parameter.human_readable_name}."
                if isinstance(parameter, click.Argument)
                else f"--list takes no {parameter.opts[0]}; leave one of them out."
            )
    output = Output.prepare({**options, "plots": None})
    from rnnprobe.reports._reproduce_cost import experiments_report

    output.emit(experiments_report())
    return 0


def _plan(ctx: click.Context, options: dict[str, Any]) -> Plan:
    if options["name"] is None:
        raise click.UsageError(
            "Name an experiment; `rnnprobe reproduce --list` lists what there is.", ctx
        )
    from rnnprobe._registry import load_object, unknown_name
    from rnnprobe.experiments._limits import parse_limits
    from rnnprobe.experiments._reproduce import Plan

    if options["name"] not in EXPERIMENTS:  # of a run folder, by another version
        raise unknown_name("experiment", options["name"], list(EXPERIMENTS))
    text = options["limit"]
    try:
        limits = () if text is None or text.strip() in _NO_LIMIT else parse_limits(text)
    except ValueError as exc:
        raise click.UsageError(f"--limit {exc}.", ctx) from exc
    plan = Plan(
        load_object(EXPERIMENTS[options["name"]]),
        data=options["data"],
        limits=limits,
        limit_examples=options["limit_examples"],
        repeats=options["repeats"],
        seed=options["seed"],
    )
    try:
        plan.tasks()
    except ValueError as exc:
        raise click.UsageError(str(exc), ctx) from exc
    return plan


def _figure_names(plan: Plan, options: dict[str, Any]) -> tuple[str, ...]:
    if options["plots"] is None:
        return ()
    from rnnprobe.reports._reproduce_figures import figure_names

    return tuple(figure_names(plan.experiment))


def _load(plan: Plan, options: dict[str, Any]) -> list[SequenceDataset]:
    from rnnprobe.reports._reproduce_cost import plan_notes

    _tell(plan_notes(plan), options)
    with keras_for_data(plan.data or plan.experiment.dataset, options):
        datasets = plan.load_all()
    say_notes(datasets, quiet=options["quiet"])
    return datasets


def _begin(
    plan: Plan, datasets: Sequence[SequenceDataset], how: Execution, options: dict[str, Any]
) -> RunsLeft:
    """Say what there is to be done, and return what tells how long the rest takes."""
    from rnnprobe.cli._runs_left import RunsLeft
    from rnnprobe.experiments._cost import forecast
    from rnnprobe.experiments._shapes import Shape
    from rnnprobe.reports._reproduce_cost import forecast_notes

    shapes = [Shape.of(dataset) for dataset in datasets]
    cost = forecast(
        plan,
        shapes,
        workers=how.num_workers,
        folder=how.run_dir if how.resume else None,
        retry_dnf=how.retry_dnf,
    )
    _tell(forecast_notes(plan, cost, how), options)
    return RunsLeft(cost.runs, shapes[0], workers=cost.workers)


def _tell(notes: Sequence[str], options: dict[str, Any]) -> None:
    for note in () if options["quiet"] else notes:
        click.echo(note, err=True)


def _keras_for_models(
    plan: Plan, options: dict[str, Any]
) -> contextlib.AbstractContextManager[None]:
    """Import Keras where saved models are read in the end."""
    if plan.experiment.saves_models:
        return keras_at_work(options["verbose"])
    return contextlib.nullcontext()


def _say(progress: Progress, left: RunsLeft, cell: str, run: Run, done: int, total: int) -> None:
    accuracy = run.metrics.get("test_accuracy", 0.0)
    outcome = f"test accuracy {accuracy:.4f}" if run.status == "ok" else f"DNF {run.message}"
    progress.line(
        f"run {done} of {total}: {cell}, seed {run.train.seed}: {outcome}, {run.seconds:.1f} s",
        completed=done,
        total=total,
        left=left.after(run),
    )


def _finish(result: Reproduction, run_dir: Path, output: Output, options: dict[str, Any]) -> None:
    from rnnprobe.reports.reproduce import reproduce_report

    if not options["quiet"]:
        click.echo(f"results are kept in {run_dir}", err=True)
    if output.plots is not None:
        from rnnprobe.reports._reproduce_figures import reproduce_figures

        output.draw(reproduce_figures(result))
    output.emit(reproduce_report(result))
