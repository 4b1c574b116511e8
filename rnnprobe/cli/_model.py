"""How commands that probe a saved model name it, its data and the part to look at."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnprobe.cli import _complete
from rnnprobe.cli._options import (
    Decorator,
    compose,
    csv_columns,
    data_options,
    import_option,
    keras_at_work,
)
from rnnprobe.cli._progress import downloads_told
from rnnprobe.cli._types import path_type

if TYPE_CHECKING:
    from rnnprobe.opening import OpenedModel
    from rnnprobe.records import SequenceDataset

split_option = click.option(
    "--split",
    type=click.Choice(("test", "validation", "train")),
    default="test",
    show_default=True,
    help="Part of the data.",
)

model_data_options = compose(
    import_option,
    data_options(None, "Data set, by name or path.  [default: what the model was trained on]"),
)


def export_option(help_text: str, suffixes: tuple[str, ...] = (".npz", ".csv")) -> Decorator:
    """Return the option that names a file for examples; `Output.prepare` checks it."""

    def check(ctx: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
        del parameter
        if path is not None and path.suffix not in suffixes:
            expected = " or ".join(suffixes)
            raise click.UsageError(
                f"--export got '{path}', expected a name that ends with {expected}.", ctx
            )
        return path

    return click.option(
        "--export", type=path_type(), metavar="FILE", callback=check, help=help_text
    )


def what_option(names: Sequence[str], help_text: str) -> Decorator:
    """Return the option that takes a list of names, and gives a tuple of them or None."""

    def check(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Any:
        del parameter
        if text is None:
            return None
        given = tuple(name.strip() for name in text.split(","))
        for name in given:
            if name not in names:
                from rnnprobe._registry import unknown_name

                raise click.UsageError(str(unknown_name("name in --what", name, list(names))), ctx)
        return given

    complete = _complete.some_of(names)
    return click.option(
        "--what", callback=check, metavar="LIST", shell_complete=complete, help=help_text
    )


def model_argument(name: str, **attributes: Any) -> Decorator:
    """Return the argument that names `.keras` files.

    Args:
        name: Of the parameter.
        **attributes: Of `click.argument`.
    """
    return click.argument(name, type=path_type(), shell_complete=_complete.models, **attributes)


@contextlib.contextmanager
def models_at_work(paths: Sequence[Path], options: dict[str, Any]) -> Iterator[None]:
    """As `keras_at_work`; models that are not there are told before Keras loads.

    Raises:
        click.UsageError: One file is named twice; it would be compared with itself.
        DataError: There is no such file.
        ModelError: It is no Keras archive.
    """
    from rnnprobe._archive import check_model_file

    if len({path.resolve() for path in paths}) < len(paths):
        raise click.UsageError("A MODEL is named twice; one file is one model.")
    for path in paths:
        check_model_file(path)
    with keras_at_work(options["verbose"]):
        yield


def open_named(
    path: Path, options: dict[str, Any], loaded: dict[str, SequenceDataset] | None = None
) -> OpenedModel:
    """Load the model and the data that the options name; inside `models_at_work`."""
    from rnnprobe.opening import open_model

    with downloads_told(quiet=options["quiet"]):
        return open_model(
            path,
            data=options["data"],
            layout=options["layout"],
            limit_examples=options["limit_examples"],
            columns=csv_columns(options),
            imports=options["import"],
            loaded=loaded,
        )
