"""`rnnprobe confusions`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rnnprobe.cli._model import model_data_options, open_named, split_option
from rnnprobe.cli._options import (
    Command,
    Output,
    csv_columns,
    keras_at_work,
    output_options,
    path_type,
    plots_option,
)


@click.command("confusions", cls=Command, short_help="Rank the pairs of classes it mistakes.")
@click.argument("model", required=False, type=path_type())
@click.option(
    "--predictions",
    type=path_type(),
    metavar="FILE",
    help="In place of a model: .npz or .csv with y_true and probabilities.",
)
@split_option
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="How many pairs and mistakes to list.",
)
@model_data_options
@plots_option
@output_options
def command(model: Path | None, predictions: Path | None, **options: Any) -> None:
    """Rank the pairs of classes that MODEL mistakes for each other.

    MODEL is a .keras file. One that rnnprobe saved knows its data; for any other, name the data by
    --data.
    """
    if (model is None) == (predictions is None):
        raise click.UsageError("Give a MODEL, or --predictions FILE; one of them.")
    figures = ("confusion_matrix.png", "mistakes.png")
    output = Output.prepare(options, figures if model else figures[:1])
    if model is not None:
        _probe(model, output, options)
    elif predictions is not None:
        _read(predictions, output, options)


def _probe(path: Path, output: Output, options: dict[str, Any]) -> None:
    part = options["split"]
    with keras_at_work(options["verbose"]):
        from rnnprobe.confusions.pairs import find_confusions

        opened = open_named(path, options)
        dataset = opened.dataset
        confusions = find_confusions(opened.predict(part))

    from rnnprobe.reports._confusion_figures import confusion_matrix_figure, gallery_figure
    from rnnprobe.reports.confusions import confusions_report
    from rnnprobe.table import escape

    if output.plots:
        matrix = confusion_matrix_figure(confusions, f"{opened.name} on {dataset.name}")
        gallery = gallery_figure(confusions, dataset, part)
        output.draw({"confusion_matrix.png": matrix, "mistakes.png": gallery})
    report = confusions_report(
        confusions, title=escape(opened.name), top=options["top"], part=part, dataset=dataset
    )
    output.emit(report)


def _read(path: Path, output: Output, options: dict[str, Any]) -> None:
    given = [name for name in ("data", "layout", "limit_examples", "import") if options[name]]
    if given or options["split"] != "test" or csv_columns(options):
        raise click.UsageError("--predictions brings its own labels; name no data or model beside.")
    from rnnprobe.confusions.pairs import find_confusions
    from rnnprobe.confusions.predictions import read_predictions
    from rnnprobe.reports.confusions import confusions_report
    from rnnprobe.table import escape

    confusions = find_confusions(read_predictions(path))
    if output.plots:
        from rnnprobe.reports._confusion_figures import confusion_matrix_figure

        output.draw({"confusion_matrix.png": confusion_matrix_figure(confusions, path.name)})
    output.emit(confusions_report(confusions, title=escape(path.name), top=options["top"]))
