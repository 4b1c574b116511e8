"""`rnnprobe data`: list, check and show data sets."""

from __future__ import annotations

from typing import Any

import click

from rnnprobe.cli import _complete
from rnnprobe.cli._options import (
    Command,
    Output,
    column_options,
    layout_option,
    limit_option,
    load_data,
    output_options,
    plots_option,
)
from rnnprobe.cli._types import IntRange


@click.group("data", short_help="List, check and show data sets.")
def command() -> None:
    """List, check and show data sets."""


@command.command("list", cls=Command)
@output_options
def list_command(**options: Any) -> None:
    """List the data sets that --data knows by name."""
    output = Output.prepare(options)
    from rnnprobe.reports.data import list_report

    output.emit(list_report())


@command.command("check", cls=Command)
@click.argument("data", metavar="NAME|PATH", shell_complete=_complete.data)
@layout_option
@limit_option
@column_options
@output_options
def check_command(**options: Any) -> None:
    """Look for what is wrong with a data set; status 2 if it cannot be used as it is."""
    output = Output.prepare(options)
    from rnnprobe.datasets._check import check_dataset
    from rnnprobe.reports.data import check_report

    dataset = load_data(options, require_finite=False)
    checks = check_dataset(dataset)
    output.emit(check_report(dataset, checks))
    if any(check.verdict == "FAIL" for check in checks):
        click.get_current_context().exit(2)


@command.command("show", cls=Command)
@click.argument("data", metavar="NAME|PATH", shell_complete=_complete.data)
@click.option(
    "--split",
    type=click.Choice(("train", "validation", "test")),
    default="train",
    show_default=True,
    help="Part of the data.",
)
@click.option(
    "--top",
    type=IntRange(min=1),
    default=10,
    show_default=True,
    help="How many examples to show.",
)
@layout_option
@limit_option
@column_options
@plots_option
@output_options
def show_command(**options: Any) -> None:
    """Show the first examples of a data set."""
    output = Output.prepare(options, ("examples.png",))
    from rnnprobe.reports._figures import examples_figure
    from rnnprobe.reports.data import show_report

    dataset = load_data(options)
    part, top = options["split"], options["top"]
    output.draw({"examples.png": examples_figure(dataset, part, top)} if output.plots else {})
    output.emit(show_report(dataset, part, top))
