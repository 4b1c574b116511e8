"""`rnnprobe harden`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnprobe.cli._model import model_data_options, open_named
from rnnprobe.cli._options import (
    Command,
    Output,
    keras_at_work,
    output_options,
    path_type,
    seed_option,
)
from rnnprobe.cli._progress import Progress
from rnnprobe.hardening import ARMS

if TYPE_CHECKING:
    from rnnprobe.hardening.experiment import Hardening
    from rnnprobe.opening import OpenedModel

_DEFAULT_EPOCHS = 3


def _names(ctx: click.Context, parameter: click.Parameter, text: str) -> tuple[str, ...]:
    del parameter
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in ARMS:
            from rnnprobe._registry import unknown_name

            raise click.UsageError(str(unknown_name("name in --with", name, list(ARMS))), ctx)
    if len(set(names)) < len(names):
        raise click.UsageError(f"--with got '{text}', expected each name once.", ctx)
    return names


class _Number(click.ParamType[float]):
    """A finite number above 0."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            self.fail(f"got '{value}', expected a number above 0.", param, ctx)
        return number


@click.command("harden", cls=Command, short_help="Train it to resist attacks, beside a control.")
@click.argument("model", type=path_type())
@click.option(
    "--with",
    callback=_names,
    default="pgd",
    show_default=True,
    metavar="LIST",
    help=f"What to train on, an arm each: {', '.join(ARMS)}.",
)
@click.option(
    "--epsilon",
    type=_Number(),
    metavar="NUMBER",
    help="Largest change.  [default: 0.03 times the range of the values; l2 the range]",
)
@click.option(
    "--norm",
    type=click.Choice(("linf", "l2")),
    default="linf",
    show_default=True,
    help="What measures a change: the largest of a value, or the root of the sum of squares.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help=f"Passes over the training part, in each arm.  [default: {_DEFAULT_EPOCHS}]",
)
@click.option("--steps", type=click.IntRange(min=1), help="Number of updates in place of epochs.")
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Examples per update.",
)
@click.option(
    "--learning-rate",
    type=_Number(),
    default=0.001,
    show_default=True,
    metavar="NUMBER",
    help="Of the optimizer, Adam.",
)
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How often to train each arm, with another order of the examples.",
)
@click.option(
    "--model-out",
    type=path_type(),
    metavar="FILE",
    help="Where to save the model of the last arm (its first repeat).",
)
@seed_option
@model_data_options
@output_options
def command(model: Path, **options: Any) -> None:
    """Train MODEL on examples that fool it, beside a control, and attack what came out.

    MODEL is a .keras file; it stays as it is. Each arm, and a control trained on ordinary
    examples, starts from its weights and makes the same number of updates. All are measured on the
    test part: clean, and under attacks of rising strength, of which the last one counts.
    """
    if options["epochs"] and options["steps"]:
        raise click.UsageError("Give --epochs or --steps, not both.")
    output = Output.prepare(options)
    target = options["model_out"]
    if target is not None:
        if target.resolve() == model.resolve():
            raise click.UsageError("--model-out names MODEL itself; give another name.")
        output.check_model(target)
    with keras_at_work(options["verbose"]):
        opened = open_named(model, options)
        found = _harden(opened, options)
        if target is not None:
            _save(target, model, opened, found, options["limit_examples"])

    from rnnprobe.reports.harden import harden_report
    from rnnprobe.table import escape

    file = None if target is None else str(target)
    output.emit(harden_report(found, opened.dataset, title=escape(opened.name), model_file=file))


def _harden(opened: OpenedModel, options: dict[str, Any]) -> Hardening:
    from rnnprobe.hardening.arms import Schedule
    from rnnprobe.hardening.experiment import budget_for, harden, num_lines

    names, repeats = options["with"], options["repeats"]
    budget = budget_for(opened.dataset, options["epsilon"], options["norm"])
    schedule = Schedule(
        epochs=options["epochs"] or _DEFAULT_EPOCHS,
        steps=options["steps"],
        batch_size=options["batch_size"],
        learning_rate=options["learning_rate"],
        seed=options["seed"],
    )
    total = num_lines(opened.dataset, names, repeats)
    with Progress("arms and measurements", total, quiet=options["quiet"]) as progress:
        said: list[str] = []

        def say(line: str) -> None:
            said.append(line)
            progress.line(line, completed=len(said), total=total)

        return harden(
            opened.classifier, opened.dataset, budget, names, schedule, repeats=repeats, say=say
        )


def _save(
    target: Path, source: Path, opened: OpenedModel, found: Hardening, limit: int | None
) -> None:
    from rnnprobe._archive import read_metadata
    from rnnprobe.hardening.experiment import hardened_metadata
    from rnnprobe.models import save_model

    opened.model.set_weights(found.weights)
    given = read_metadata(source) or {"model": {"cell": opened.kind}}
    save_model(target, opened.model, hardened_metadata(found, opened.dataset, given, limit))
