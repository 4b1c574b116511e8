"""`rnnprobe confusions`."""

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
    open_named,
    split_option,
    what_option,
)
from rnnprobe.cli._options import (
    Command,
    Output,
    csv_columns,
    output_options,
    plots_option,
    seed_option,
)
from rnnprobe.cli._progress import Progress, counting
from rnnprobe.cli._types import IntRange, path_type
from rnnprobe.confusions import DEFAULT_PROBES, PROBES

if TYPE_CHECKING:
    from rnnprobe.records import SequenceDataset
    from rnnprobe.reports.mistakes_export import Section

_FIGURES = (
    "confusion_matrix.png",
    "mistakes.png",
    "pairs.png",
    "reliability.png",
    "decisions.png",
)
_MODELS_FIGURES = ("stability.png",)


@click.command("confusions", cls=Command, short_help="Rank the pairs of classes it mistakes.")
@model_argument("models", metavar="[MODEL]...", nargs=-1)
@click.option(
    "--predictions",
    type=path_type(),
    metavar="FILE",
    help="In place of a model: .npz or .csv with y_true and probabilities.",
)
@split_option
@what_option(
    PROBES,
    f"What to ask beside the pairs, and print in full: {', '.join(PROBES)}; labels trains a "
    "model for each fold.  [default: all but labels, in sentences]",
)
@click.option(
    "--folds",
    type=IntRange(min=2),
    help="For labels: in how many parts the training examples are left out in turn.  [default: 5]",
)
@click.option(
    "--top",
    type=IntRange(min=1),
    default=10,
    show_default=True,
    help="How many pairs and mistakes to list.",
)
@export_option("Also write all mistakes, .npz or .csv; with labels those out of fold, too.")
@seed_option
@model_data_options
@plots_option
@output_options
def command(models: tuple[Path, ...], predictions: Path | None, **options: Any) -> None:
    """Rank the pairs of classes that MODEL mistakes for each other.

    MODEL is a .keras file. One that rnnprobe saved knows its data; for any other, name the data by
    --data. Several MODELs, best of equal settings and different seeds, tell which pairs are
    confused by all of them and which by one alone.
    """
    if (not models) == (predictions is None):
        raise click.UsageError("Give a MODEL, or --predictions FILE; one of them.")
    _check_options(models, options)
    if predictions is not None:
        _read(predictions, options)
    elif len(models) == 1:
        _probe(models[0], options)
    else:
        _set_side_by_side(models, options)


def _check_options(models: tuple[Path, ...], options: dict[str, Any]) -> None:
    what = options["what"]
    if len(models) != 1 and what is not None:
        raise click.UsageError("--what is asked of one MODEL alone.")
    source = click.get_current_context().get_parameter_source("seed")
    if len(models) > 1 and source == ParameterSource.COMMANDLINE:
        raise click.UsageError("--seed is of no use for several MODELs; leave it out.")
    if options["folds"] is not None and "labels" not in (what or ()):
        raise click.UsageError("--folds goes with --what labels.")


def _export(
    output: Output,
    path: Path | None,
    sections: Sequence[Section],
    class_names: tuple[str, ...],
    dataset: SequenceDataset | None = None,
) -> None:
    if path is None:
        return
    from rnnprobe.reports.mistakes_export import export_mistakes

    export_mistakes(path, sections, class_names, dataset)
    output.wrote(path)


def _probe(path: Path, options: dict[str, Any]) -> None:
    output = Output.prepare(options, _FIGURES)
    with models_at_work((path,), options):
        from rnnprobe._archive import read_metadata, trained_seed
        from rnnprobe.confusions.folds import fold_settings
        from rnnprobe.confusions.mistakes import mistakes_of
        from rnnprobe.confusions.study import study_confusions

        opened = open_named(path, options)
        metadata, folds = read_metadata(path), options["folds"] or 5
        trains = "labels" in (options["what"] or ())
        what, total = ("folds", folds) if trains else (f"probing {opened.name}", None)
        with Progress(what, total, quiet=options["quiet"]) as progress:
            study = study_confusions(
                opened.classifier,
                opened.dataset,
                options["split"],
                options["what"] or DEFAULT_PROBES,
                num_folds=folds,
                settings=fold_settings(metadata),
                seed=options["seed"],
                say=counting(progress, folds),
            )

    from rnnprobe.reports.confusions import confusions_report
    from rnnprobe.reports.mistakes_export import Section
    from rnnprobe.table import escape

    if output.plots:
        from rnnprobe.reports._probe_figures import confusions_figures

        output.draw(confusions_figures(study, f"{opened.name} on {opened.dataset.name}"))
    mistakes = mistakes_of(study.confusions.predictions, seed=trained_seed(metadata))
    sections = [Section(opened.name, options["split"], mistakes)]
    if study.suspects is not None:
        found = study.suspects.out_of_fold
        mistakes = mistakes_of(found.predictions, seed=found.seed, fold=found.fold)
        sections.append(Section(opened.name, "train", mistakes))
    _export(output, options["export"], sections, opened.dataset.class_names, opened.dataset)
    in_full = options["what"] or ()
    output.emit(
        confusions_report(study, title=escape(opened.name), top=options["top"], in_full=in_full)
    )


def _set_side_by_side(paths: tuple[Path, ...], options: dict[str, Any]) -> None:
    from rnnprobe.cli._several import open_several

    output = Output.prepare(options, _MODELS_FIGURES)
    with models_at_work(paths, options):
        several = open_several(paths, options)

    from rnnprobe.confusions.mistakes import mistakes_of
    from rnnprobe.confusions.stability import find_stable
    from rnnprobe.reports._stability_figure import stability_figure
    from rnnprobe.reports.confusions_models import confusions_models_report
    from rnnprobe.reports.mistakes_export import Section

    stability = find_stable(several.predictions)
    if output.plots:
        figure = stability_figure(
            stability,
            names=several.names,
            title=f"{len(several.names)} models on {several.dataset.name}",
            same_settings=several.same_settings,
        )
        output.draw({"stability.png": figure})
    sections = [
        Section(name, options["split"], mistakes_of(predictions, seed=seed))
        for name, predictions, seed in zip(
            several.names, several.predictions, several.seeds, strict=True
        )
    ]
    dataset, part = several.dataset, options["split"]
    _export(output, options["export"], sections, dataset.class_names, dataset)
    output.emit(
        confusions_models_report(
            stability,
            names=several.names,
            same_settings=several.same_settings,
            dataset=dataset,
            part=part,
            top=options["top"],
        )
    )


def _read(path: Path, options: dict[str, Any]) -> None:
    given = [name for name in ("data", "layout", "limit_examples", "import") if options[name]]
    if given or options["split"] != "test" or csv_columns(options):
        raise click.UsageError("--predictions brings its own labels; name no data or model beside.")
    output = Output.prepare(options, ("confusion_matrix.png", "reliability.png"))
    from rnnprobe.confusions.mistakes import mistakes_of
    from rnnprobe.confusions.predictions import read_predictions
    from rnnprobe.confusions.study import study_predictions
    from rnnprobe.reports.confusions import confusions_report
    from rnnprobe.reports.mistakes_export import Section
    from rnnprobe.table import escape

    predictions = read_predictions(path)
    study = study_predictions(predictions, seed=options["seed"])
    if output.plots:
        from rnnprobe.reports._probe_figures import confusions_figures

        output.draw(confusions_figures(study, path.name))
    sections = [Section(path.name, "test", mistakes_of(predictions))]
    _export(output, options["export"], sections, predictions.class_names)
    output.emit(confusions_report(study, title=escape(path.name), top=options["top"]))
