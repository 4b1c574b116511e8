"""`rnnprobe inspect`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from rnnprobe.cli._model import (
    export_option,
    model_argument,
    model_data_options,
    models_at_work,
    split_option,
    what_option,
)
from rnnprobe.cli._options import Command, Output, output_options, plots_option, seed_option
from rnnprobe.cli._progress import Progress
from rnnprobe.cli._types import IntRange
from rnnprobe.inspection import PARTS, SEVERAL_PARTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rnnprobe.inspection.study import InspectionStudy

_FIGURES = {
    "activations": ("activations.png",),
    "gates": ("gates.png",),
    "gradients": ("gradients.png",),
    "decisions": ("decisions.png",),
    "weights": ("first_layer.png", "weights.png"),
    "attribution": ("attribution.png",),
}
_SHARED = "gradients.png"  # one picture for all models


@click.command("inspect", cls=Command, short_help="Look inside, layer by layer and step by step.")
@model_argument("models", metavar="MODEL...", nargs=-1, required=True)
@what_option(
    PARTS,
    f"What to look at, and print in full: {', '.join(PARTS)}; attribution of one MODEL alone.  "
    "[default: all that apply, the main tables]",
)
@split_option
@click.option(
    "--pair",
    metavar="TRUE,PREDICTED",
    help="For attribution: the classes whose logits are compared, over all mistakes of the one for "
    "the other.  [default: the pair that is mistaken most often]",
)
@click.option(
    "--example",
    type=IntRange(min=0),
    metavar="INDEX",
    help="For attribution: this example of the part, from 0, in place of a pair's mistakes; "
    "without --pair its predicted class less the next.",
)
@export_option("Also write the arrays, by step and unit, .npz.", (".npz",))
@seed_option
@model_data_options
@plots_option
@output_options
def command(models: tuple[Path, ...], **options: Any) -> None:
    """Look inside MODEL: activations, gates, gradients, decisions, weights, attribution.

    MODEL is a .keras file. One that rnnprobe saved knows its data; for any other, name the data by
    --data. Several MODELs stand side by side.
    """
    parts = _parts(models, options)
    figures = _figure_names(models, parts)
    output = Output.prepare(options, tuple(name for names in figures for name in names.values()))
    if output.format_name == "csv" and len(parts) > 1:
        raise click.UsageError(f"CSV holds one table; name one part: --what {parts[0]}.")
    with models_at_work(models, options):
        studies = _studies(models, parts, options)
        _refuse_nothing(studies, parts)

    from rnnprobe.reports.inspect import inspect_report

    if output.plots:
        output.draw(_figures(studies, figures))
    if options["export"] is not None:
        from rnnprobe.reports.inspect_export import export_inspection

        export_inspection(options["export"], studies)
        output.wrote(options["export"])
    output.emit(inspect_report(studies, parts=parts, in_full=options["what"] or ()))


def _parts(models: Sequence[Path], options: dict[str, Any]) -> tuple[str, ...]:
    """Return what is asked for, and refuse options that would do nothing."""
    what = options["what"]
    if len(models) > 1 and "attribution" in (what or ()):
        raise click.UsageError("--what attribution is asked of one MODEL alone.")
    default = PARTS if len(models) == 1 else SEVERAL_PARTS
    parts = tuple(name for name in PARTS if name in (what or default))
    source = click.get_current_context().get_parameter_source("seed")
    given = [f"--{name}" for name in ("pair", "example") if options[name] is not None]
    given += ["--seed"] if source == ParameterSource.COMMANDLINE else []
    if given and "attribution" not in parts:
        raise click.UsageError(f"{given[0]} goes with --what attribution, of one MODEL.")
    if options["export"] is not None and parts == ("weights",):
        raise click.UsageError(
            "--export has nothing of --what weights: the model itself holds them."
        )
    return parts


def _studies(
    models: Sequence[Path], parts: Sequence[str], options: dict[str, Any]
) -> dict[str, InspectionStudy]:
    from rnnprobe.cli._several import each_opened, named_error, names_of
    from rnnprobe.inspection.study import study_inspection

    studies: dict[str, InspectionStudy] = {}
    done: list[str] = []
    with Progress("parts", len(models) * len(parts), quiet=options["quiet"]) as progress:
        for name, (path, opened) in zip(
            names_of(models), each_opened(models, options), strict=True
        ):

            def say(looked: tuple[str, ...], path: Path = path) -> None:
                done.extend(looked)
                progress.line(f"{path}: {' and '.join(looked)} done", completed=len(done))

            progress.begin(path.name)
            with named_error(path):
                pair = options["pair"] and _classes(options["pair"], opened.dataset.class_names)
                studies[name] = study_inspection(
                    opened.classifier,
                    opened.dataset,
                    options["split"],
                    parts,
                    example=options["example"],
                    pair=pair,
                    seed=options["seed"],
                    say=say,
                )
            del opened  # its weights are not needed any more
    return studies


def _refuse_nothing(studies: dict[str, InspectionStudy], parts: Sequence[str]) -> None:
    """Refuse models of which nothing that was asked for can be told."""
    from rnnprobe.errors import ModelError

    if all(set(study.not_told) >= set(parts) for study in studies.values()):
        reasons = [reason for study in studies.values() for reason in study.not_told.values()]
        raise ModelError(" ".join(dict.fromkeys(reasons)))


def _classes(text: str, names: Sequence[str]) -> tuple[int, int]:
    """Return the two classes of `--pair`; a name may hold commas itself."""
    from rnnprobe.inspection.explanation import find_class

    parts = text.split(",")
    splits = [(",".join(parts[:i]), ",".join(parts[i:])) for i in range(1, len(parts))]
    if not splits:
        raise click.UsageError(f"--pair got '{text}', expected two classes: TRUE,PREDICTED.")
    known = [pair for pair in splits if set(pair) <= set(names)]
    true, predicted = (find_class(name.strip(), names) for name in (known or splits)[0])
    if true == predicted:
        raise click.UsageError(f"--pair got '{text}', expected two different classes.")
    return true, predicted


def _figure_names(models: Sequence[Path], parts: Sequence[str]) -> list[dict[str, str]]:
    """Return of each model the file name of each picture; several models share one of gradients."""
    stems = [path.stem for path in models]
    if len(models) > 1:
        stems = [
            f"{stem}-" if stems.count(stem) == 1 else f"{number}-{stem}-"
            for number, stem in enumerate(stems, start=1)
        ]
    else:
        stems = [""]
    return [
        {
            name: name if name == _SHARED else stem + name
            for part in parts
            for name in _FIGURES[part]
        }
        for stem in stems
    ]


def _figures(
    studies: dict[str, InspectionStudy], names: Sequence[dict[str, str]]
) -> dict[str, Figure]:
    from rnnprobe.reports._inspect_figures import inspect_figures, shared_figures

    found: dict[str, Figure] = {}
    for (title, study), called in zip(studies.items(), names, strict=True):
        figures = inspect_figures(study, f"{title} on {study.dataset.name}")
        found |= {called[name]: figure for name, figure in figures.items()}
    return found | shared_figures(studies)
