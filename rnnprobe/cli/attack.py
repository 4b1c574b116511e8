"""`rnnprobe attack`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnprobe._registry import check_name
from rnnprobe.attacks import ATTACKS
from rnnprobe.cli._complete import some_of
from rnnprobe.cli._model import (
    export_option,
    model_argument,
    model_data_options,
    models_at_work,
    open_named,
    split_option,
)
from rnnprobe.cli._options import Command, Output, output_options, plots_option, seed_option
from rnnprobe.cli._progress import Progress, counting
from rnnprobe.cli._several import refuse_other_data
from rnnprobe.cli._types import FloatRange
from rnnprobe.errors import UnknownNameError

if TYPE_CHECKING:
    from rnnprobe.attacks._study import AttackStudy
    from rnnprobe.opening import OpenedModel
    from rnnprobe.protocols import Attack
    from rnnprobe.records import Budget, Norm, Placement, SequenceDataset

NORMS: tuple[Norm, ...] = ("linf", "l2")
PLACEMENTS: tuple[Placement, ...] = ("free", "contiguous", "prefix", "suffix")
_FIGURES = ("gallery.png", "security_curve.png", "timesteps.png", "pairs.png")
_UNMET = 3


def _list_of(
    convert: Callable[[str], Any], expected: str, known: tuple[str, ...] = ()
) -> Callable[..., Any]:
    """Return a callback that reads a list separated by commas."""

    def parse(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Any:
        if text is None:
            return None
        parts = [part.strip() for part in text.split(",")]
        try:
            values = tuple(dict.fromkeys(convert(part) for part in parts))
        except UnknownNameError as exc:
            raise click.UsageError(str(exc), ctx) from exc
        except ValueError:
            values = ()
        if not values or (known and not set(values) <= set(known)):
            raise click.UsageError(f"{parameter.opts[0]} got '{text}', expected {expected}.", ctx)
        return values

    return parse


def _radius(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def _steps(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _name(text: str) -> str:
    if not text:
        raise ValueError(text)
    return text


def _attack_name(text: str) -> str:
    check_name("attack", _name(text), ATTACKS)
    return text


@click.command("attack", cls=Command, short_help="Fool it by small changes, and check the attack.")
@model_argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--attack",
    metavar="LIST",
    callback=_list_of(_attack_name, "a list of names like fgsm,pgd"),
    shell_complete=some_of(ATTACKS),
    help=f"Of {', '.join(ATTACKS)}, or your own module:class.  [default: fgsm,pgd,apgd; for "
    "tokens noise,hotflip]",
)
@click.option(
    "--epsilon",
    metavar="LIST",
    callback=_list_of(_radius, "numbers of at least 0 like 0.01,0.03"),
    help="Largest distances, in units of the data; for tokens how many may be replaced.  "
    "[default: 0.01,0.03,0.1 of the data's range; l2 0.3,1,3; tokens 1]",
)
@click.option(
    "--norm",
    metavar="LIST",
    callback=_list_of(_name, "linf, l2 or linf,l2", NORMS),
    shell_complete=some_of(NORMS),
    help="What measures the distance: linf, l2 or both.  [default: linf]",
)
@click.option(
    "--targeted",
    is_flag=True,
    help="Aim at a random wrong class for each example; adds the table of classes.",
)
@click.option(
    "--timesteps",
    metavar="LIST",
    callback=_list_of(_steps, "whole numbers of at least 1 like 1,2,4"),
    help="Also attack so many steps only, and each window of steps alone.",
)
@click.option(
    "--placement",
    metavar="LIST",
    callback=_list_of(_name, f"some of {', '.join(PLACEMENTS)}", PLACEMENTS),
    shell_complete=some_of(PLACEMENTS),
    help="With --timesteps: which steps may change.  [default: free,contiguous,prefix,suffix]",
)
@split_option
@export_option("Also write the attacked examples (.npz), or a line for each (.csv).")
@click.option(
    "--fail-under",
    type=FloatRange(0, 1),
    metavar="SHARE",
    help="End with status 3 if the robust accuracy is lower at the largest epsilon of a norm.",
)
@seed_option
@model_data_options
@plots_option
@output_options
def command(models: tuple[Path, ...], **options: Any) -> int:
    """Fool MODEL by small changes of its input, and check that the attacks were no weak ones.

    MODEL is a .keras file. One that rnnprobe saved knows its data; for any other, name the data by
    --data. Several models are compared, by their cells, under the same attacks.
    """
    _check_options(models, options)
    output = Output.prepare(options, _FIGURES if len(models) == 1 else ())
    if len(models) > 1:
        return _compare(models, output, options)
    return _attack(models[0], output, options)


def _check_options(models: tuple[Path, ...], options: dict[str, Any]) -> None:
    if options["placement"] and not options["timesteps"]:
        raise click.UsageError("--placement goes with --timesteps; give --timesteps 1,2,4 as well.")
    if options["targeted"] and options["fail_under"] is not None:
        raise click.UsageError("--fail-under is for robust accuracy; leave out --targeted.")
    if options["epsilon"] and not any(options["epsilon"]):
        raise click.UsageError("--epsilon got 0 alone, expected a number above 0 beside it.")
    if len(models) > 1:
        single = ("targeted", "timesteps", "export", "plots")
        given = [f"--{name}" for name in single if options[name]]
        if given:
            raise click.UsageError(f"{', '.join(given)}: give one MODEL alone.")
        if options["norm"] and len(options["norm"]) > 1:
            raise click.UsageError("Several models are compared in one norm; give --norm once.")


def _attacks_and_budgets(
    dataset: SequenceDataset, options: dict[str, Any]
) -> tuple[dict[str, Attack], list[list[Budget]]]:
    """Return the attacks by name, and of each norm the radii."""
    from rnnprobe.attacks._study import chosen_attacks, chosen_budgets

    targeted, seed = options["targeted"], options["seed"]
    return (
        chosen_attacks(dataset, options["attack"], targeted=targeted, seed=seed),
        chosen_budgets(dataset, options["norm"], options["epsilon"]),
    )


def _attack(path: Path, output: Output, options: dict[str, Any]) -> int:
    part = options["split"]
    with models_at_work((path,), options):
        opened = open_named(path, options)
        dataset = opened.dataset
        study = _study(opened, options)

        from rnnprobe.reports.attack import attack_report, worst_accuracy
        from rnnprobe.table import escape

        if output.plots:
            from rnnprobe.reports._probe_figures import attack_figures

            title = f"{opened.name} on {dataset.name}"
            output.draw(attack_figures(study, opened.classifier, dataset, title))
    if options["export"] is not None:
        from rnnprobe.reports.attack_export import export_examples

        export_examples(options["export"], study, dataset)
        output.wrote(options["export"])
    output.emit(attack_report(study, title=escape(opened.name), dataset=dataset, part=part))
    lowest = min(float(worst_accuracy(outcome)[-1]) for outcome in study.outcomes)
    return _gate(lowest, options["fail_under"])


def _study(opened: OpenedModel, options: dict[str, Any]) -> AttackStudy:
    from rnnprobe.attacks._study import num_pieces, study_attacks
    from rnnprobe.confusions.pairs import find_confusions

    dataset, part, targeted = opened.dataset, options["split"], options["targeted"]
    predictions = opened.predict(part)
    attacks, budgets = _attacks_and_budgets(dataset, options)
    timesteps, placements = options["timesteps"] or (), options["placement"] or PLACEMENTS
    total = num_pieces(attacks, budgets, timesteps=timesteps, placements=placements, pairs=targeted)
    with Progress("attacks and checks", total, quiet=options["quiet"]) as progress:
        return study_attacks(
            opened.classifier,
            dataset.splits[part],
            attacks,
            budgets,
            targeted=targeted,
            timesteps=timesteps,
            placements=placements,
            confusions=find_confusions(predictions).matrix if targeted else None,
            seed=options["seed"],
            begin=progress.begin,
            say=counting(progress, total, in_a_round=0),
        )


def _compare(paths: tuple[Path, ...], output: Output, options: dict[str, Any]) -> int:
    part, models, checks = options["split"], [], {}
    with models_at_work(paths, options):
        from rnnprobe.attacks._models import ModelRobustness
        from rnnprobe.attacks._study import study_attacks

        first: OpenedModel | None = None
        with Progress("models", len(paths), quiet=options["quiet"]) as progress:
            say = counting(progress, len(paths))
            for path in paths:
                opened = open_named(path, options)
                first = first or opened
                refuse_other_data(paths[0], first.dataset, path, opened.dataset, options)
                attacks, budgets = _attacks_and_budgets(opened.dataset, options)
                split = opened.dataset.splits[part]
                study = study_attacks(
                    opened.classifier,
                    split,
                    attacks,
                    budgets,
                    seed=options["seed"],
                    begin=partial(progress.begin, of=path.name),
                )
                models.append(ModelRobustness.of(str(path), opened.kind, study.outcomes[0]))
                checks[str(path)] = study.checks[0]
                shown = f"{models[-1].clean:.4f}, under attack {models[-1].robust[-1]:.4f}"
                say(f"{path}: accuracy {shown}")

    from rnnprobe.reports.attack_models import attack_models_report

    report = attack_models_report(
        models, budgets[0], checks, dataset=opened.dataset, attacks=tuple(attacks), part=part
    )
    output.emit(report)
    return _gate(min(model.robust[-1] for model in models), options["fail_under"])


def _gate(lowest: float, wanted: float | None) -> int:
    if wanted is None or lowest >= wanted:
        return 0
    click.echo(f"Robust accuracy {lowest:.4f} is under --fail-under {wanted:g}.", err=True)
    return _UNMET
