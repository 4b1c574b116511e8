"""Options for what can be varied in training, and for how long it is trained."""

from __future__ import annotations

from typing import Any

import click

from rnnprobe.cli import _complete
from rnnprobe.cli._options import Decorator, compose
from rnnprobe.cli._types import IntRange
from rnnprobe.search.space import AXES, Axis, known_names, parse_axis, value_text

_DEFAULT_EPOCHS = 10

length_options = compose(
    click.option(
        "--epochs",
        type=IntRange(min=1),
        help=f"Passes over the training part.  [default: {_DEFAULT_EPOCHS}]",
    ),
    click.option("--steps", type=IntRange(min=1), help="Number of updates in place of epochs."),
    click.option(
        "--early-stopping",
        type=IntRange(min=1),
        metavar="N",
        help="Stop after N epochs without a better validation loss; keep the best weights.",
    ),
)


def axis_options(*, several: bool, tuned: bool = False) -> Decorator:
    """Return one option per axis of a search.

    Args:
        several: Whether an option takes lists and ranges; otherwise one value.
        tuned: Whether an axis that is not named has the values that `tune` tries.
    """

    def parse(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Any:
        if text is None:
            return None
        try:
            values = parse_axis(AXES[str(parameter.name)], str(text))
        except ValueError as exc:
            raise click.UsageError(str(exc), ctx) from exc
        if several or len(values) == 1:
            return values
        raise click.UsageError(f"{parameter.opts[0]} takes one value here, got '{text}'.", ctx)

    def option(name: str) -> Decorator:
        axis = AXES[name]
        default = ",".join(map(value_text, axis.tuned if tuned else (axis.default,)))
        names = f": {', '.join(known_names(axis))}" if axis.kind == "name" else ""
        return click.option(
            axis.option,
            name,
            callback=parse,
            metavar="LIST" if several else "VALUE",
            shell_complete=_completion(axis, several=several),
            help=f"{axis.help}{names}.  [default: {default}]",
        )

    return compose(*(option(name) for name in AXES))


def _completion(axis: Axis, *, several: bool) -> _complete.Completion:
    names = known_names(axis) if axis.kind == "name" else []
    names += ["yes", "no"] if axis.kind == "flag" else []
    return _complete.some_of(names) if several else _complete.one_of(names)


def length(options: dict[str, Any]) -> dict[str, int]:
    """Return `epochs` or `steps`, and `early_stopping` where it is given."""
    if options["epochs"] and options["steps"]:
        raise click.UsageError("Give --epochs or --steps, not both.")
    lasts = {name: options[name] for name in ("steps", "early_stopping") if options[name]}
    return lasts if options["steps"] else {"epochs": options["epochs"] or _DEFAULT_EPOCHS, **lasts}


def given_axes(options: dict[str, Any]) -> dict[str, Any]:
    """Return the axes that were given, out of a command's options."""
    return {name: options[name] for name in AXES if options.get(name) is not None}
