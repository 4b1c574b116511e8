"""`rnnprobe harden`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnprobe.cli._complete import some_of
from rnnprobe.cli._model import (
    export_option,
    model_argument,
    model_data_options,
    models_at_work,
    open_named,
)
from rnnprobe.cli._options import Command, Output, output_options, seed_option
from rnnprobe.cli._progress import Progress, counting
from rnnprobe.cli._types import IntRange, path_type
from rnnprobe.hardening import ARMS, MISTAKES

if TYPE_CHECKING:
    from rnnprobe.hardening.experiment import Hardening
    from rnnprobe.hardening.mistakes import Mined
    from rnnprobe.opening import OpenedModel
    from rnnprobe.records import Norm

_DEFAULT_EPOCHS = 3
_DEFAULT_FOLDS = 5
_NORMS: tuple[Norm, ...] = ("linf", "l2")


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


@click.command("harden", cls=Command, short_help="Train it on attacks or mistakes, with a control.")
@model_argument("model")
@click.option(
    "--with",
    callback=_names,
    shell_complete=some_of(ARMS),
    default="pgd",
    show_default=True,
    metavar="LIST",
    help=f"What to train on: {', '.join(ARMS)}. Of {MISTAKES} there are several arms.",
)
@click.option(
    "--epsilon",
    type=_Number(),
    metavar="NUMBER",
    help="Largest change.  [default: 0.03 times the range of the values; l2 the range]",
)
@click.option(
    "--norm",
    type=click.Choice(_NORMS),
    help="What measures a change: the largest of a value, or the root of the sum of squares.  "
    f"[default: {_NORMS[0]}]",
)
@click.option(
    "--folds",
    type=IntRange(min=2),
    metavar="N",
    help=f"For {MISTAKES}: folds of the training part, each predicted by a model trained on the "
    f"others.  [default: {_DEFAULT_FOLDS}]",
)
@export_option(f"For {MISTAKES}: write those that are trained on; .npz or .csv.")
@click.option(
    "--epochs",
    type=IntRange(min=1),
    help=f"Passes over the training part, in each arm.  [default: {_DEFAULT_EPOCHS}]",
)
@click.option("--steps", type=IntRange(min=1), help="Number of updates in place of epochs.")
@click.option(
    "--batch-size",
    type=IntRange(min=1),
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
    type=IntRange(min=1),
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
    """Train MODEL on examples that fool it, or on its mistakes, beside a control.

    MODEL is a .keras file; it stays as it is. Each arm, and a control trained on ordinary
    examples, starts from its weights and makes the same number of updates. With pgd or fgsm all
    are measured on the test part: clean, and under attacks of rising strength, of which the last
    one counts. With mistakes, those of models of the same architecture on training examples that
    they had not seen, accuracy is measured; finding no gain is a result.
    """
    _check_options(options)
    output = Output.prepare(options)
    target, export = options["model_out"], options["export"]
    if target is not None:
        if target.resolve() == model.resolve():
            raise click.UsageError("--model-out names MODEL itself; give another name.")
        output.check_model(target)
    with models_at_work((model,), options):
        opened = open_named(model, options)
        mined = _mine(model, opened, options) if MISTAKES in options["with"] else None
        if export is not None and mined is not None:
            _export(export, opened, mined)
            output.wrote(export)
        found = _harden(opened, mined, options)
        if target is not None:
            _save(target, model, opened, found, options["limit_examples"])

    from rnnprobe.reports.harden import harden_report
    from rnnprobe.table import escape

    file = None if target is None else str(target)
    output.emit(harden_report(found, opened.dataset, title=escape(opened.name), model_file=file))


def _check_options(options: dict[str, Any]) -> None:
    """Refuse options that would do nothing, and a file name of no known kind."""
    if options["epochs"] and options["steps"]:
        raise click.UsageError("Give --epochs or --steps, not both.")
    adversarial = [name for name in ARMS if name != MISTAKES]
    if options["with"] == (MISTAKES,):
        for name in ("epsilon", "norm"):
            if options[name] is not None:
                raise click.UsageError(f"--{name} goes with --with {' or '.join(adversarial)}.")
    if MISTAKES not in options["with"]:
        for name in ("folds", "export"):
            if options[name] is not None:
                raise click.UsageError(f"--{name} goes with --with {MISTAKES}.")


def _mine(path: Path, opened: OpenedModel, options: dict[str, Any]) -> Mined:
    from rnnprobe._archive import read_metadata
    from rnnprobe.confusions.folds import fold_settings
    from rnnprobe.hardening.mistakes import mine

    total = options["folds"] or _DEFAULT_FOLDS
    with Progress("folds", total, quiet=options["quiet"]) as progress:
        return mine(
            opened.classifier,
            opened.dataset,
            fold_settings(read_metadata(path)),
            num_folds=total,
            seed=options["seed"],
            say=counting(progress, total),
        )


def _export(path: Path, opened: OpenedModel, mined: Mined) -> None:
    from rnnprobe.confusions.mistakes import mistakes_of
    from rnnprobe.reports.mistakes_export import Section, export_mistakes

    found = mined.out_of_fold
    mistakes = mistakes_of(found.predictions, seed=found.seed, fold=found.fold)
    names = opened.dataset.class_names
    export_mistakes(path, [Section(opened.name, "train", mistakes)], names, opened.dataset)


def _harden(opened: OpenedModel, mined: Mined | None, options: dict[str, Any]) -> Hardening:
    from rnnprobe.hardening.experiment import budget_for, harden, num_lines
    from rnnprobe.hardening.trainer import Schedule

    names, repeats = options["with"], options["repeats"]
    budget = None
    if names != (MISTAKES,):
        budget = budget_for(opened.dataset, options["epsilon"], options["norm"] or _NORMS[0])
    schedule = Schedule(
        epochs=options["epochs"] or _DEFAULT_EPOCHS,
        steps=options["steps"],
        batch_size=options["batch_size"],
        learning_rate=options["learning_rate"],
        seed=options["seed"],
    )
    total = num_lines(opened.dataset, names, repeats, mined)
    with Progress("arms and measurements", total, quiet=options["quiet"]) as progress:
        say = counting(progress, total, in_a_round=total // repeats if repeats > 1 else 0)
        return harden(
            opened.classifier,
            opened.dataset,
            budget,
            names,
            schedule,
            repeats=repeats,
            mined=mined,
            say=say,
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
