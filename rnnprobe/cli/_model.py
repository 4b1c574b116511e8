"""How commands that probe a saved model name it, its data and the part to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnprobe.cli._options import compose, csv_columns, data_options, import_option

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


def open_named(
    path: Path, options: dict[str, Any], loaded: dict[str, SequenceDataset] | None = None
) -> OpenedModel:
    """Load the model and the data that the options name; inside `keras_at_work`."""
    from rnnprobe.opening import open_model

    return open_model(
        path,
        data=options["data"],
        layout=options["layout"],
        limit_examples=options["limit_examples"],
        columns=csv_columns(options),
        imports=options["import"],
        loaded=loaded,
    )
