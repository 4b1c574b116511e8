"""`rnnprobe report`."""

from __future__ import annotations

import contextlib
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from rnnprobe.cli import _complete
from rnnprobe.cli._model import (
    model_data_options,
    models_at_work,
    open_named,
    split_option,
    what_option,
)
from rnnprobe.cli._options import (
    Command,
    force_option,
    plots_option,
    print_result,
    say_options,
    seed_option,
)
from rnnprobe.cli._progress import Progress, say_notes
from rnnprobe.cli._types import path_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rnnprobe.reports._chapters import Asked
    from rnnprobe.reports._chapters_runs import RunFolder
    from rnnprobe.reports.page import Chapter, Page

_PROBED = ("confusions", "attack", "inspect")
_OF_MODELS = ("what", "split", "seed", "limit_examples", "import")
_OF_DATA = ("layout", "label_column", "text_column", "id_column", "time_column")


@click.command("report", cls=Command, short_help="All that was measured, on one page.")
@click.argument(
    "source", metavar="RUN_DIR|MODEL", type=path_type(), shell_complete=_complete.models
)
@click.option(
    "--html",
    type=path_type(),
    metavar="FILE",
    help="Write one HTML page that needs no network; Markdown then only with -o.",
)
@click.option(
    "-o",
    "--output",
    type=path_type(),
    metavar="FILE",
    help="Write the page as Markdown to this .md file.  [default: standard output]",
)
@what_option(
    _PROBED, f"Chapters on the model, beside its training: {', '.join(_PROBED)}.  [default: all]"
)
@split_option
@seed_option
@model_data_options
@plots_option
@force_option
@say_options
def command(source: Path, **options: Any) -> None:
    """Put all that was measured on one page.

    RUN_DIR is a folder of sweep, tune or reproduce, whole or interrupted; nothing is written into
    it. Where a sweep kept its models, that of the best cell is probed too. MODEL is a .keras file:
    the page holds its training, and what confusions, attack and inspect print, with their pictures.
    """
    target = _Target.prepare(options)
    _check_source(source, options)
    with models_at_work(() if source.is_dir() else (source,), options):
        page = (_run_page if source.is_dir() else _model_page)(source, options)
    target.emit(page)


@dataclass(frozen=True)
class _Target:
    """Where the page goes: an HTML file, a Markdown file, pictures beside it."""

    html: Path | None
    markdown: Path | None
    plots: Path | None
    quiet: bool

    @classmethod
    def prepare(cls, options: dict[str, Any]) -> _Target:
        """Refuse what could not be written, before the work begins."""
        from rnnprobe._files import check_output

        html, markdown, plots = (options[name] for name in ("html", "output", "plots"))
        for name, path, suffix in (("--html", html, ".html"), ("--output", markdown, ".md")):
            if path is None:
                continue
            if path.suffix != suffix and (path.is_file() or not path.exists()):
                raise click.UsageError(
                    f"{name} got '{path}', expected a name that ends with {suffix}."
                )
            check_output(path, force=options["force"])
        if plots is not None:
            from rnnprobe.reports._chapters_captions import PICTURES
            from rnnprobe.reports._figures import check_folder

            check_folder(plots, PICTURES, force=options["force"])
        return cls(html, markdown, plots, options["quiet"])

    def emit(self, page: Page) -> None:
        """Write the page; Markdown to standard output where no file is named."""
        from rnnprobe._files import write_text
        from rnnprobe.reports.page import page_html, page_markdown

        links = self._draw(page)
        if self.html is not None:
            write_text(self.html, page_html(page))
            self._wrote(self.html)
        if self.markdown is not None:
            write_text(self.markdown, page_markdown(page, links))
            self._wrote(self.markdown)
        elif self.html is None:
            print_result(page_markdown(page, links))

    def _draw(self, page: Page) -> dict[str, str]:
        """Write the pictures, and return by name where they are seen from the Markdown."""
        if self.plots is None:
            return {}
        from rnnprobe.reports._figures import save_figures

        figures = {n: p.figure for one in page.chapters for n, p in one.pictures.items()}
        for path in save_figures(self.plots, figures):
            self._wrote(path)
        start = self.markdown.parent if self.markdown is not None else Path()
        folder = Path(os.path.relpath(self.plots, start)).as_posix()
        return {name: f"{folder}/{name}" for name in figures}

    def _wrote(self, path: Path) -> None:
        if not self.quiet:
            click.echo(f"wrote {path}", err=True)


def _check_source(source: Path, options: dict[str, Any]) -> None:
    """Refuse what is neither a run folder nor a model, and options that would do nothing."""
    if not os.path.exists(source):
        raise click.UsageError(f"There is no run folder or model '{source}'.")
    if not source.is_dir():
        return
    given = [_option(name) for name in _OF_DATA if options[name] is not None]
    if given:
        raise click.UsageError(f"A run knows how its data are read; leave out {given[0]}.")


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _own_command(source: Path, options: dict[str, Any]) -> str:
    """Return the command line that makes the page again."""
    arguments = ["rnnprobe", "report", str(source), *_arguments(options)]
    if options["what"] is not None:
        arguments += ["--what", ",".join(options["what"])]
    arguments += [] if options["split"] == "test" else ["--split", options["split"]]
    arguments += [] if options["seed"] == 0 else ["--seed", str(options["seed"])]
    for name in ("html", "output", "plots"):
        arguments += [] if options[name] is None else [_option(name), str(options[name])]
    return shlex.join(arguments)


def _model_page(path: Path, options: dict[str, Any]) -> Page:
    from rnnprobe._archive import read_metadata
    from rnnprobe.reports._chapters import Probing, model_page

    opened = open_named(path, options)
    say_notes([opened.dataset], quiet=options["quiet"])
    with _asked(options) as asked:
        probing = Probing(path, opened, read_metadata(path), asked)
        return model_page(probing, command=_own_command(path, options))


@contextlib.contextmanager
def _asked(options: dict[str, Any]) -> Iterator[Asked]:
    """Give what is asked of a model, with a line of progress while it is probed."""
    from rnnprobe.reports._chapters import Asked

    what = options["what"] or _PROBED
    with Progress("chapters", len(set(what)), quiet=options["quiet"]) as progress:
        yield Asked(
            what,
            options["split"],
            options["seed"],
            _arguments(options),
            progress.begin,
            lambda text, done: progress.line(text, completed=done),
        )


def _arguments(options: dict[str, Any]) -> tuple[str, ...]:
    """Return the options that say again which model and data are probed."""
    names = ("data", "layout", "limit_examples", *_OF_DATA[1:])
    given = [(_option(name), options[name]) for name in names if options[name] is not None]
    given += [("--import", name) for name in options["import"]]
    return tuple(str(part) for pair in given for part in pair)


def _run_page(folder: Path, options: dict[str, Any]) -> Page:
    from rnnprobe.reports._chapters_runs import read_run, run_page

    run = read_run(folder, options["data"])
    say_notes(run.datasets, quiet=options["quiet"])
    chapters: tuple[Chapter, ...] = ()
    if run.model is not None:
        chapters = _chapters_on_model(run, run.model, options)
    else:
        _refuse_options_of_models(folder)
    return run_page(run, chapters, command=_own_command(folder, options))


def _refuse_options_of_models(folder: Path) -> None:
    """Refuse options that would do nothing since there is no model to look into."""
    context = click.get_current_context()
    for name in _OF_MODELS:
        if context.get_parameter_source(name) != ParameterSource.DEFAULT:
            raise click.UsageError(
                f"'{folder}' keeps no model to probe; leave out {_option(name)}."
            )


def _chapters_on_model(run: RunFolder, path: Path, options: dict[str, Any]) -> tuple[Chapter, ...]:
    from rnnprobe.reports._chapters_runs import probed_chapters

    with _asked(options) as asked:
        return probed_chapters(
            run,
            path,
            asked,
            limit_examples=options["limit_examples"],
            imports=options["import"],
            moved=options["data"] is not None,
        )
