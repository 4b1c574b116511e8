"""`rnnprobe worker`."""

from __future__ import annotations

import os
from typing import Any

import click

from rnnprobe._text import printable
from rnnprobe.cli import _complete
from rnnprobe.cli._execution import address, machine_options
from rnnprobe.cli._options import Command, keras_at_work, say_options
from rnnprobe.cli._progress import downloads_told


@click.command("worker", cls=Command, short_help="Make runs for a sweep on another machine.")
@click.argument("chief", metavar="HOST:PORT", callback=address)
@click.option(
    "--data",
    metavar="NAME|PATH",
    shell_complete=_complete.data,
    help="Where the chief's data set is found here.  [default: as at the chief]",
)
@machine_options
@say_options
def command(**options: Any) -> None:
    """Train what `rnnprobe sweep --listen HOST:PORT` asks for, until it has nothing more.

    The data is loaded here, by the chief's name or path, and must have the chief's digest.
    """
    from rnnprobe.search.pool import start_server
    from rnnprobe.search.task import Execution

    execution = Execution(
        workers=options["workers"],
        max_seconds=options["max_seconds"],
        max_memory=options["max_memory"],
        verbose=options["verbose"] > 0,
    )
    # Before any call to the chief: gRPC's threads do not survive a fork.
    start_server(verbose=execution.verbose)
    os.environ.setdefault("GRPC_VERBOSITY", "INFO" if options["verbose"] else "ERROR")
    with keras_at_work(options["verbose"]):
        from rnnprobe.search.worker import work

        say = (lambda text: None) if options["quiet"] else _say
        with downloads_told(quiet=options["quiet"]):
            done = work(options["chief"], data=options["data"], execution=execution, say=say)
    say(f"The sweep is over; trials trained here: {done}.")


def _say(text: str) -> None:
    click.echo(printable(text), err=True)
