"""`rnnprobe compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rnnprobe.cli._model import model_argument, model_data_options, models_at_work, split_option
from rnnprobe.cli._options import Command, Output, output_options
from rnnprobe.cli._several import open_several
from rnnprobe.cli._types import IntRange


@click.command("compare", cls=Command, short_help="Which of several models is better, and where.")
@model_argument("models", nargs=-1, required=True, metavar="MODEL MODEL...")
@split_option
@click.option(
    "--top",
    type=IntRange(min=1),
    default=10,
    show_default=True,
    help="How many pairs of classes to list that got better, and that got worse.",
)
@model_data_options
@output_options
def command(models: tuple[Path, ...], **options: Any) -> None:
    """Compare models on the same examples: accuracy, and the pairs of classes they mistake.

    Each MODEL is a .keras file; the first is the one whose mistakes the others are set against.
    Models that rnnprobe saved know their data; for any other, name the data by --data. Several
    seeds of each of two settings also say which settings are better.
    """
    if len(models) < 2:
        raise click.UsageError(f"Give two or more models to compare, but got '{models[0]}' alone.")
    output = Output.prepare(options)
    with models_at_work(models, options):
        from rnnprobe.confusions.comparison import compare_models

        several = open_several(models, options)

    from rnnprobe.reports.compare import compare_report

    report = compare_report(
        compare_models(several.predictions, several.groups()),
        names=several.names,
        kinds=several.kinds,
        seeds=several.seeds,
        groups=several.groups(),
        dataset=several.dataset,
        part=options["split"],
        top=options["top"],
    )
    output.emit(report)
