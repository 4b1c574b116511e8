"""`rnnprobe train`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from rnnprobe.cli._axes import axis_options, given_axes, length, length_options
from rnnprobe.cli._complete import one_of
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
from rnnprobe.search.space import SearchSpace, canonical, to_specs

if TYPE_CHECKING:
    from rnnprobe.records import SequenceDataset
    from rnnprobe.specs import ModelSpec, Run, TrainSpec
    from rnnprobe.training import Training


def _class_weights(
    ctx: click.Context, parameter: click.Parameter, text: str | None
) -> str | tuple[float, ...] | None:
    del parameter
    if text is None or text == "balanced":
        return text
    try:
        weights = tuple(float(weight) for weight in text.split(","))
    except ValueError:
        weights = ()
    if not any(weights) or not all(0 <= weight < math.inf for weight in weights):
        raise click.UsageError(
            f"--class-weights got '{text}', expected balanced, or one number a class like 1,1,2, "
            "not all 0.",
            ctx,
        )
    return weights


@click.command("train", cls=Command, short_help="Train one configuration.")
@axis_options(several=False)
@length_options
@click.option(
    "--class-weights",
    callback=_class_weights,
    shell_complete=one_of(("balanced",)),
    metavar="balanced|LIST",
    help="Weight of each class in the loss.",
)
@click.option(
    "--log-every",
    type=IntRange(min=1),
    metavar="N",
    help="Print loss and accuracy every N steps on stderr.",
)
@click.option(
    "--model-out",
    type=path_type(),
    default="model.keras",
    show_default=True,
    help="Where to save the model.",
)
@seed_option
@data_options("mnist-5k", "Data set: a name of `rnnprobe data list`, or a path.")
@plots_option
@output_options
def command(**options: Any) -> None:
    """Train one configuration and measure it on the test part."""
    settings: dict[str, Any] = length(options)
    try:
        space = SearchSpace(**given_axes(options))
        configuration = canonical({name: values[0] for name, values in space.values.items()})
        model_spec, train_spec = to_specs(
            configuration,
            **settings,
            class_weights=options["class_weights"],
            seed=options["seed"],
        )
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    output = Output.prepare(options, ("curves.png",))
    output.check_model(options["model_out"])
    dataset = load_data(options)
    with keras_at_work(options["verbose"]):
        from rnnprobe.models import save_model
        from rnnprobe.training import model_metadata

        run, training = _trained(dataset, model_spec, train_spec, options)
        finished = run.status == "ok"
        if finished:
            save_model(options["model_out"], training.model, model_metadata(dataset, run))

    from rnnprobe.reports._figures import curves_figure
    from rnnprobe.reports.train import train_report

    title = f"{model_spec.cell} on {dataset.name}"
    output.draw({"curves.png": curves_figure(run.history, title)} if output.plots else {})
    right = training.test.right if training.test else None
    saved = str(options["model_out"]) if finished else None
    output.emit(train_report(run, dataset, saved, right))
    if not finished:
        from rnnprobe.errors import TrainingError

        raise TrainingError(
            f"The run did not finish ({run.message}), so no model was saved; try a smaller "
            "--learning-rate, or --clip-norm 1."
        )


def _trained(
    dataset: SequenceDataset,
    model_spec: ModelSpec,
    train_spec: TrainSpec,
    options: dict[str, Any],
) -> tuple[Run, Training]:
    """Train with a line an epoch."""
    from rnnprobe.reports._common import counted
    from rnnprobe.training import Training

    num_train = len(dataset.train)
    updates = math.ceil(num_train / train_spec.batch_size)
    epochs = math.ceil(train_spec.num_steps(num_train) / updates)
    with Progress("epochs", epochs, quiet=options["quiet"]) as progress:
        log = _EpochLog(progress, epochs, may_stop=bool(options["early_stopping"]))
        every = options["log_every"]
        on_step = _StepLog(progress, every) if every else None
        try:
            training = Training(dataset, model_spec, train_spec, on_epoch=log, on_step=on_step)
            training.advance()
            training.finish()
            return training.tested(), training
        except KeyboardInterrupt:
            received()
            ended = f"{log.ended} of {counted(epochs, 'epoch')}"
            raise KeyboardInterrupt(f"Interrupted after {ended}; no model was saved.") from None


class _EpochLog:
    """Prints every epoch, the best so far and how long the rest takes.

    The best is that of the lowest validation loss, as in the report and for early stopping.

    Args:
        progress: Where to.
        total: The most epochs.
        may_stop: Training may stop early, so how long it takes is not known.
    """

    def __init__(self, progress: Progress, total: int, *, may_stop: bool) -> None:
        self._progress, self._total, self._may_stop = progress, total, may_stop
        self._left, self._best = TimeLeft(total), Best("best so far")
        self.ended = 0

    def __call__(self, epoch: int, values: Mapping[str, float]) -> None:
        self.ended = epoch
        loss = values["val_loss"]
        self._best.see((-loss,), f"validation loss {loss:.4f} (epoch {epoch})")
        left = self._left.after(seconds=values["seconds"])
        self._progress.line(
            f"epoch {epoch} of {self._total}: loss {values['loss']:.4f}, "
            f"accuracy {values['accuracy']:.4f}, validation loss {loss:.4f}, "
            f"accuracy {values['val_accuracy']:.4f}, {values['seconds']:.1f} s",
            completed=epoch,
            best=self._best.text,
            left=None if self._may_stop else left,
        )


class _StepLog:
    """Prints every so many steps; loss and accuracy are means since the epoch began."""

    def __init__(self, progress: Progress, every: int) -> None:
        self._progress, self._every = progress, every

    def __call__(self, step: int, values: Mapping[str, float]) -> None:
        if step % self._every == 0:
            self._progress.line(
                f"step {step}: loss {values['loss']:.4f}, accuracy {values['accuracy']:.4f}"
            )
