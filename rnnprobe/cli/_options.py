"""Options that several commands share, and how a command begins and ends."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnprobe.cli import _complete
from rnnprobe.cli._config import read_config, refuse_unknown_variables, with_origin
from rnnprobe.cli._progress import downloads_told, say_notes
from rnnprobe.cli._types import IntRange, Texts, path_type
from rnnprobe.datasets import LAYOUTS, SUMMARIES
from rnnprobe.errors import RnnprobeError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rnnprobe.datasets._csv import CsvColumns
    from rnnprobe.records import SequenceDataset
    from rnnprobe.table import Report

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
FORMATS = ("md", "csv", "json")


class Command(click.Command):
    """A command whose errors end in one line and the status that belongs to them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            rest = super().parse_args(ctx, args)
        except click.UsageError as exc:
            raise with_origin(exc, ctx) from exc
        refuse_unknown_variables(ctx)
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as exc:
            if ctx.params.get("verbose", 0) >= 2:
                traceback.print_exc()
            raise failure(exc) from exc


class _Failure(click.ClickException):
    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # Click sets it so itself


def failure(exc: Exception) -> click.ClickException:
    """Return an error as the one line, and the status, that belong to it."""
    if isinstance(exc, RnnprobeError):
        return _Failure(str(exc), exc.exit_status)
    if isinstance(exc, MemoryError) or type(exc).__name__ == "ResourceExhaustedError":
        return _Failure("Out of memory; try fewer --units, or a smaller --batch-size.", 1)
    if isinstance(exc, OSError) and exc.errno == errno.ENOSPC:
        return _Failure(f"Cannot write: {exc.strerror}.", 1)
    reason = str(exc).strip().splitlines() or [""]
    return _Failure(
        f"{type(exc).__name__}: {reason[0]}. This is a fault of rnnprobe; -vv shows where.", 1
    )


def compose(*decorators: Decorator) -> Decorator:
    """Return several decorators as one."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


say_options = compose(
    click.option("-q", "--quiet", is_flag=True, help="No progress and no notes."),
    click.option("-v", "--verbose", count=True, help="Also Keras's own messages; -vv tracebacks."),
    click.option(
        "--config",
        type=path_type(exists=True, dir_okay=False),
        envvar="RNNPROBE_CONFIG",
        is_eager=True,
        expose_value=False,
        callback=read_config,
        help="TOML file with a table of defaults for each command.",
    ),
)

force_option = click.option(
    "--force", is_flag=True, help="Replace files that rnnprobe did not write."
)


def result_options(default: str) -> Decorator:
    """Return the options that say in which format a result goes where.

    Args:
        default: The format where neither it nor a file is named.
    """
    return compose(
        click.option(
            "--format",
            type=click.Choice(FORMATS),
            help=f"Format of the result.  [default: {default}]",
        ),
        click.option(
            "-o",
            "--output",
            type=path_type(),
            help="Write the result to this file; .md, .csv or .json picks the format.",
        ),
        force_option,
        say_options,
    )


output_options = result_options("md")

plots_option = click.option(
    "--plots",
    type=path_type(file_okay=False),
    metavar="DIR",
    help="Also draw pictures into this folder.",
)

column_options = compose(
    click.option("--label-column", help="CSV: the class.  [default: label or target]"),
    click.option("--text-column", help="CSV: the text.  [default: all numbers are a series]"),
    click.option("--id-column", help="CSV, long: what the rows of one example share."),
    click.option("--time-column", help="CSV, long: what orders the rows of one example."),
)

layout_option = click.option(
    "--layout", type=click.Choice(LAYOUTS), help="How pictures become sequences.  [default: rows]"
)

limit_option = click.option(
    "--limit-examples",
    type=IntRange(min=1),
    metavar="N",
    help="Use at most N examples of each part, stratified.",
)

seed_option = click.option(
    "--seed", type=IntRange(0, 2**32 - 1), default=0, show_default=True, help="Random seed."
)

import_option = click.option(
    "--import",
    type=Texts(os.pathsep),
    multiple=True,
    metavar="FILE|MODULE",
    shell_complete=_complete.modules,
    help="Import your registered Keras classes first; may be repeated.",
)


def data_options(default: str | None, help_text: str) -> Decorator:
    """Return the options that say which data to use.

    Args:
        default: The data set where none is named.
        help_text: Of `--data`.
    """
    return compose(
        click.option(
            "--data",
            default=default,
            show_default=default is not None,
            metavar="NAME|PATH",
            shell_complete=_complete.data,
            help=help_text,
        ),
        layout_option,
        limit_option,
        column_options,
    )


def csv_columns(options: dict[str, Any]) -> CsvColumns | None:
    """Return which columns were named, or None."""
    from rnnprobe.datasets._csv import CsvColumns

    named = {name: options[f"{name}_column"] for name in ("label", "text", "id", "time")}
    return CsvColumns(**named) if any(named.values()) else None


def load_data(options: dict[str, Any], **more: Any) -> SequenceDataset:
    """Load the data that the options name, and say on stderr what was done to it."""
    from rnnprobe.datasets._load import load_dataset

    with keras_for_data(options["data"], options):
        dataset = load_dataset(
            options["data"],
            layout=options["layout"],
            limit_examples=options["limit_examples"],
            columns=csv_columns(options),
            **more,
        )
    say_notes([dataset], quiet=options["quiet"])
    return dataset


@contextlib.contextmanager
def keras_for_data(data: str, options: dict[str, Any]) -> Iterator[None]:
    """Do `keras_at_work` where loading the data brings Keras, which may download it."""
    if ":" not in data and SUMMARIES.get(data, ("", "none"))[1] == "none":
        yield
        return
    with keras_at_work(options["verbose"]), downloads_told(quiet=options["quiet"]):
        yield


@dataclass(frozen=True)
class Output:
    """Where a command's result goes.

    Args:
        format_name: `md`, `csv` or `json`.
        path: A file, or None for standard output.
        plots: A folder for pictures, or None.
        force: Replace files that rnnprobe did not write.
        quiet: Do not say what was written.
    """

    format_name: str
    path: Path | None
    plots: Path | None
    force: bool
    quiet: bool

    @classmethod
    def prepare(cls, options: dict[str, Any], figures: tuple[str, ...] = ()) -> Output:
        """Settle the format and refuse what could not be written, before the work begins."""
        path, format_name = options["output"], options["format"]
        if path is not None and path.is_file() | (not path.exists()):
            format_name = _format_of(path, format_name)
        output = cls(
            format_name or "md", path, options.get("plots"), options["force"], options["quiet"]
        )
        if output.plots is not None:
            from rnnprobe.reports._figures import check_folder

            check_folder(output.plots, figures, force=output.force)
        export = options.get("export")
        if export is not None and export == path:
            raise click.UsageError(f"--export and --output both name '{path}'; give two names.")
        for file in (path, export):
            if file is not None:
                output.check(file)
        return output

    def check(self, path: Path) -> None:
        """Refuse a file that cannot or must not be written."""
        from rnnprobe._files import check_output

        check_output(path, force=self.force)

    def check_model(self, path: Path) -> None:
        """Refuse a model file that Keras or rnnprobe could not write."""
        if path.suffix != ".keras":
            raise click.UsageError(
                f"--model-out got '{path}', expected a name that ends with .keras."
            )
        self.check(path)

    def emit(self, report: Report) -> None:
        """Print the report, or write it."""
        from rnnprobe._files import write_text
        from rnnprobe.table import FORMATS

        text = FORMATS[self.format_name](report)
        if self.path is None:
            print_result(text)
            return
        write_text(self.path, text)
        self.wrote(self.path)

    def draw(self, figures: dict[str, Figure]) -> None:
        """Write the pictures, if a folder was named."""
        if self.plots is None:
            return
        from rnnprobe.reports._figures import save_figures

        for path in save_figures(self.plots, figures):
            self.wrote(path)

    def wrote(self, path: Path) -> None:
        """Say that a file was written."""
        if not self.quiet:
            click.echo(f"wrote {path}", err=True)


def _format_of(path: Path, format_name: str | None) -> str:
    suffix = path.suffix.removeprefix(".")
    if suffix not in FORMATS and format_name is None:
        raise click.UsageError(f"'{path}' ends with '{path.suffix}'; expected .md, .csv or .json.")
    if suffix in FORMATS and format_name not in (None, suffix):
        raise click.UsageError(f"--format {format_name} does not go with the file name '{path}'.")
    return format_name or suffix


def print_result(text: str) -> None:
    """Write to stdout; a reader that went away (`| head`) is no error."""
    try:
        click.echo(text, nl=False)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def keras_at_work(verbose: int) -> Iterator[None]:
    """Import Keras without TensorFlow's messages, and keep its prints out of stdout."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if verbose else "3")
    with _stderr_held_back(held=not verbose):
        import keras  # noqa: F401
    if not verbose:
        for name in ("tensorflow", "absl"):
            logging.getLogger(name).setLevel(logging.ERROR)
    with contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def _stderr_held_back(*, held: bool) -> Iterator[None]:
    """Hold back what C++ writes to stderr; show it after all if the block fails."""
    if not held:
        yield
        return
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except Exception:
            os.dup2(saved, 2)
            held_back.seek(0)
            os.write(2, held_back.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
