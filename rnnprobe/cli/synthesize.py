"""`rnnprobe synthesize`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnprobe.cli._model import (
    export_option,
    model_argument,
    model_data_options,
    models_at_work,
    open_named,
)
from rnnprobe.cli._options import Command, Output, output_options, plots_option, seed_option
from rnnprobe.cli._progress import Progress
from rnnprobe.cli._time_left import TimeLeft
from rnnprobe.cli._types import FloatRange, IntRange

if TYPE_CHECKING:
    from rnnprobe.attacks._synthesis import Synthesis

_EVERY = 100  # steps between two lines of progress


@click.command("synthesize", cls=Command, short_help="Make inputs that it takes for a class.")
@model_argument("model")
@click.option(
    "--target", required=True, metavar="CLASS", help="The class to be taken for, by name or index."
)
@click.option(
    "--source",
    type=IntRange(min=0),
    metavar="INDEX",
    help="Stay close to this example of the test part.",
)
@click.option(
    "--cost",
    type=click.Choice(("cross-entropy", "sum-of-squares")),
    default="cross-entropy",
    show_default=True,
    help="What is descended.",
)
@click.option(
    "--starts",
    type=IntRange(min=1),
    default=20,
    show_default=True,
    help="From how many draws of noise.",
)
@click.option(
    "--steps",
    type=IntRange(min=1),
    default=500,
    show_default=True,
    help="Largest number of steps from each.",
)
@click.option(
    "--confidence",
    type=FloatRange(0, 1, min_open=True, max_open=True),
    default=0.99,
    show_default=True,
    help="Probability of the class from which a start has converged.",
)
@click.option(
    "--source-weight",
    type=FloatRange(0, 1e6),
    help="With --source: weight of the squared distance to it, at first.  [default: 0.05]",
)
@export_option("Also write the inputs, one a start, to this .npz file.", (".npz",))
@seed_option
@model_data_options
@plots_option
@output_options
def command(model: Path, **options: Any) -> None:
    """Make inputs from noise that MODEL takes for a class.

    With --source each also stays close to that test example. MODEL is a .keras file. One that
    rnnprobe saved knows its data; for any other, name the data by --data.
    """
    if options["source"] is None and options["source_weight"] is not None:
        raise click.UsageError("--source-weight goes with --source INDEX; give both or neither.")
    output = Output.prepare(options, ("synthesized.png",))
    _synthesize(model, output, options)


def _synthesize(path: Path, output: Output, options: dict[str, Any]) -> None:
    with models_at_work((path,), options):
        from rnnprobe.attacks._synthesis_study import class_index, synthesize_class

        opened = open_named(path, options)
        dataset = opened.dataset
        target = class_index(options["target"], dataset.class_names)
        settings = _settings(options)
        with Progress("steps", settings.steps, quiet=options["quiet"]) as progress:
            left = TimeLeft(settings.steps // _EVERY)

            def on_step(step: int, converged: int) -> None:
                if step and step % _EVERY == 0:
                    text = f"step {step} of {settings.steps}: {converged} of {settings.starts} made"
                    progress.line(text, completed=step, left=left.after())

            study = synthesize_class(
                opened.classifier,
                dataset,
                target,
                source=options["source"],
                settings=settings,
                on_step=on_step,
            )
    from rnnprobe.reports.synthesize import synthesize_report
    from rnnprobe.table import escape

    report = synthesize_report(study, title=escape(opened.name), dataset=dataset)
    if output.plots:
        from rnnprobe.reports._synthesis_figures import synthesis_figure

        output.draw({"synthesized.png": synthesis_figure(study, dataset)})
    if options["export"] is not None:
        study.result.save(options["export"], target, report.facts)
        output.wrote(options["export"])
    output.emit(report)


def _settings(options: dict[str, Any]) -> Synthesis:
    from rnnprobe.attacks._synthesis import Synthesis

    given = {name: options[name] for name in ("starts", "steps", "cost", "confidence", "seed")}
    if options["source_weight"] is not None:
        given["source_weight"] = options["source_weight"]
    return Synthesis(**given)
