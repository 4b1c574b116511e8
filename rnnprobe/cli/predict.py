"""`rnnprobe predict`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from rnnprobe._text import printable
from rnnprobe.cli import _complete
from rnnprobe.cli._model import model_argument, models_at_work
from rnnprobe.cli._options import (
    Command,
    Output,
    column_options,
    csv_columns,
    import_option,
    layout_option,
    result_options,
)

_STANDARD_INPUT = "-"


@click.command("predict", cls=Command, short_help="Class and probabilities of new examples.")
@model_argument("model")
@click.argument("data", metavar="DATA|-", shell_complete=_complete.data)
@click.option(
    "--split",
    type=click.Choice(("test", "validation", "train")),
    help="Part of DATA with labels.  [default: test where it has parts, else all]",
)
@import_option
@layout_option
@column_options
@result_options("csv")
def command(model: Path, data: str, **options: Any) -> None:
    """Say the class of new examples, and the probability of each class.

    MODEL is a .keras file. DATA is an .npz with x, a .csv, a .txt with a text a line, a folder with
    an example a file, or a data set's name; labels in it become a column. - reads texts, one a
    line, from standard input. Vocabulary, layout and classes are those that MODEL was trained with.
    """
    if options["output"] is None and options["format"] is None:
        options["format"] = "csv"
    output = Output.prepare(options)
    lines = None
    if data == _STANDARD_INPUT:
        if options["split"] is not None or csv_columns(options) is not None:
            raise click.UsageError("Standard input has no parts or columns; leave them out.")
        lines = _standard_input()
    with models_at_work((model,), options):
        from rnnprobe.prediction import predict_new

        found = predict_new(
            model,
            "standard input" if lines is not None else data,
            lines=lines,
            part=options["split"],
            layout=options["layout"],
            columns=csv_columns(options),
            imports=options["import"],
        )
    from rnnprobe.reports.predict import predict_report

    for note in () if options["quiet"] else found.notes:
        click.echo(printable(f"{found.data}: {note}"), err=True)
    output.emit(predict_report(found))


def _standard_input() -> str:
    """Return what is written to standard input."""
    from rnnprobe.errors import DataError

    content = sys.stdin.buffer.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content[: exc.start].count(b"\n") + 1
        raise DataError(f"Standard input is not UTF-8 in line {line}.") from exc
