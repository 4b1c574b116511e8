"""`rnnprobe tune`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rnnprobe.cli._axes import axis_options, given_axes
from rnnprobe.cli._execution import entries_there, execution, execution_options, resume_hint
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
from rnnprobe.cli._time_left import TimeLeft
from rnnprobe.cli._types import IntRange, path_type
from rnnprobe.search import TUNERS
from rnnprobe.search.space import SearchSpace, value_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnnprobe.records import SequenceDataset
    from rnnprobe.search.task import Execution
    from rnnprobe.search.trials import Trial, TuneResult


@click.command("tune", cls=Command, short_help="Search for the best configuration.")
@axis_options(several=True, tuned=True)
@click.option(
    "--tuner", type=click.Choice(TUNERS), default="hyperband", show_default=True, help="Search."
)
@click.option(
    "--trials",
    type=IntRange(min=1),
    default=12,
    show_default=True,
    help="How many configurations to try.",
)
@click.option(
    "--epochs",
    type=IntRange(min=1),
    default=9,
    show_default=True,
    help="The most epochs per configuration.",
)
@click.option(
    "--model-out",
    type=path_type(),
    default="model.keras",
    show_default=True,
    help="Where to save the best model.",
)
@execution_options
@seed_option
@data_options("mnist-5k", "Data set: a name of `rnnprobe data list`, or a path.")
@plots_option
@output_options
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> int:
    """Search for the configuration with the best validation accuracy.

    Each axis takes a list (16,32,64) or a range (16..128:x2, 0..0.4:+0.2) that restricts the
    search. The best model is measured on the test part, once, and saved.
    """
    run_dir, how = execution(ctx, options)
    try:
        space = SearchSpace.for_tuning(**given_axes(options))
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    from rnnprobe.search.pool import start_server

    output = Output.prepare(options, ("trials.png",))
    output.check_model(options["model_out"])
    start_server(verbose=options["verbose"] > 0)
    dataset = load_data(options)
    with keras_at_work(options["verbose"]):
        result = _tuned(space, dataset, how, options)
        model_file = _save(result, dataset, options)

    from rnnprobe.reports._figures import trials_figure
    from rnnprobe.reports.tune import tune_report

    if not options["quiet"]:
        click.echo(f"results are kept in {run_dir}", err=True)
    if output.plots and result.best:
        curves = {t.number: list(t.run.history.get("val_accuracy", [])) for t in result.trials}
        output.draw({"trials.png": trials_figure(curves, result.best.number)})
    output.emit(tune_report(result, dataset, model_file))
    if model_file is None:
        click.echo(resume_hint(options, "tune", run_dir), err=True)
        return 130
    return 0


def _tuned(
    space: SearchSpace, dataset: SequenceDataset, how: Execution, options: dict[str, Any]
) -> TuneResult:
    """Return what the search came to; one that was interrupted has no model."""
    from rnnprobe.journal import read_experiment
    from rnnprobe.search.oracles import planned_epochs
    from rnnprobe.search.tuner import load_tune, tune

    length = {name: options[name] for name in ("trials", "epochs")}
    planned = planned_epochs(options["tuner"], space, **length)
    with Progress("trainings", len(planned), quiet=options["quiet"]) as progress:
        try:
            return tune(
                dataset,
                space,
                tuner=options["tuner"],
                seed=options["seed"],
                execution=how,
                on_trial=_Log(progress, planned, how),
                **length,
            )
        except KeyboardInterrupt:
            if how.run_dir is None or read_experiment(how.run_dir) is None:
                raise
            received()
            return load_tune(how.run_dir)


def _save(result: TuneResult, dataset: SequenceDataset, options: dict[str, Any]) -> str | None:
    """Save the best model where the search has one, and return its file."""
    if result.model is None or result.best is None or result.test is None:
        return None
    from rnnprobe.models import save_model
    from rnnprobe.training import model_metadata

    measured = {"test_loss": result.test.loss, "test_accuracy": result.test.accuracy}
    metadata = model_metadata(dataset, result.best.run, measured)
    save_model(options["model_out"], result.model, metadata)
    return str(options["model_out"])


class _Log:
    """Prints every training, the best so far and how long the rest takes.

    Args:
        progress: Where to.
        planned: For how many epochs each training goes on.
        how: Folder and workers; the trainings of a resumed search count.
    """

    def __init__(self, progress: Progress, planned: Sequence[int], how: Execution) -> None:
        from rnnprobe.search.trials import trial_of

        self._progress, self._best = progress, Best("best so far")
        # One that did not finish and was run again is there twice; the last counts.
        there = {entry["key"]: trial_of(entry) for entry in entries_there(how)}
        self._done = len(there)
        self._left = TimeLeft(planned, workers=how.num_workers)
        for trial in there.values():
            self._see(trial)
            self._left.leave_out(_own_epochs(trial))

    def _see(self, trial: Trial) -> None:
        if trial.run.status == "ok":
            values = ", ".join(
                f"{name.replace('_', ' ')} {value_text(value)}"
                for name, value in trial.configuration.items()
                if value is not None
            )
            told = f"{trial.score[0]:.4f} (trial {trial.number}: {values})"
            self._best.see(trial.score, told)

    def __call__(self, trial: Trial, total: int) -> None:
        self._see(trial)
        self._done += 1
        accuracy = f"validation accuracy {trial.score[0]:.4f}"
        outcome = accuracy if trial.run.status == "ok" else f"DNF {trial.run.message}"
        epochs = _own_epochs(trial)
        left = self._left.after(
            size=epochs,
            seconds=sum(trial.run.history.get("seconds", [])[-epochs:]),
            typical=trial.run.status == "ok",
        )
        self._progress.line(
            f"trial {trial.number} of {total}: epoch {trial.epochs}, {outcome}, "
            f"{trial.run.seconds:.1f} s",
            completed=self._done,
            best=self._best.text,
            left=left,
        )


def _own_epochs(trial: Trial) -> int:
    """Return for how many epochs a trial was trained since Hyperband let it go on."""
    return trial.epochs - (trial.promoted_after[-1] if trial.promoted_after else 0)
