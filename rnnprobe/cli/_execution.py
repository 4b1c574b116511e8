"""How trials run: the options that `sweep`, `tune` and `reproduce` share."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from rnnprobe._text import printable
from rnnprobe.cli._complete import one_of
from rnnprobe.cli._options import Decorator, compose
from rnnprobe.cli._types import FloatRange, path_type
from rnnprobe.search.space import AXES

if TYPE_CHECKING:
    from rnnprobe.search.task import Execution
    from rnnprobe.specs import Run

_RUNS = Path("rnnprobe-runs")


def _workers(ctx: click.Context, parameter: click.Parameter, text: str) -> int | None:
    del parameter
    if text == "auto":
        return None
    if not text.isdecimal() or not int(text):
        raise click.UsageError(f"--workers got '{text}', expected auto or a number above 0.", ctx)
    return int(text)


def _memory(ctx: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    if text is None or ctx.resilient_parsing:  # completion by Tab does without NumPy
        return None
    from rnnprobe.search.limits import parse_memory

    try:
        return parse_memory(text)
    except ValueError as exc:
        raise click.UsageError(f"{parameter.opts[0]} {exc}.", ctx) from exc


machine_options: Decorator = compose(
    click.option(
        "--workers",
        callback=_workers,
        shell_complete=one_of(("auto",)),
        default="auto",
        show_default=True,
        metavar="auto|N",
        help="Trials at once; auto: one a core, as memory allows, or one on a GPU.",
    ),
    click.option(
        "--max-seconds",
        type=FloatRange(min=0, min_open=True),
        metavar="S",
        help="End a trial that takes longer.",
    ),
    click.option(
        "--max-memory",
        callback=_memory,
        metavar="SIZE",
        help="Memory of a trial beyond Keras and the data, like 2GB.  [default: its share]",
    ),
)

execution_options: Decorator = compose(
    machine_options,
    click.option(
        "--run-dir",
        type=path_type(file_okay=False),
        metavar="DIR",
        help=f"Folder that keeps the results.  [default: a new one in {_RUNS}]",
    ),
    click.option("--resume", is_flag=True, help="Go on with the run in --run-dir."),
    click.option("--retry-dnf", is_flag=True, help="Run again what did not finish."),
)


def address(ctx: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    """Return `host:port`; a port alone is one of this machine."""
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        name = parameter.opts[0] if isinstance(parameter, click.Option) else "The address"
        raise click.UsageError(f"{name} got '{text}', expected HOST:PORT or PORT.", ctx)
    return f"{host or '127.0.0.1'}:{port}"


def execution(ctx: click.Context, options: dict[str, Any]) -> tuple[Path, Execution]:
    """Return the run folder, which is given a name here if need be, and how trials run.

    Of a run that is resumed, `options` take what is not given from its folder.
    """
    from rnnprobe.search.task import Execution

    run_dir = options["run_dir"]
    for name in ("resume", "retry_dnf"):
        if options[name] and run_dir is None:
            option = "--" + name.replace("_", "-")
            raise click.UsageError(
                f"{option} needs --run-dir, the folder of the run to go on with."
            )
    if options["retry_dnf"] and not options["resume"]:
        raise click.UsageError("--retry-dnf goes with --resume.")
    if options["resume"]:
        _recall(ctx, options, run_dir)
    run_dir = run_dir or _new_folder(str(ctx.info_name))
    return run_dir, Execution(
        listen=options.get("listen"),
        say=lambda text: None if options["quiet"] else click.echo(printable(text), err=True),
        workers=options["workers"],
        max_seconds=options["max_seconds"],
        max_memory=options["max_memory"],
        run_dir=run_dir,
        resume=options["resume"],
        retry_dnf=options["retry_dnf"],
        save_models=options.get("save_models", False),
        model_out=options.get("model_out"),
        verbose=options["verbose"] > 0,
    )


def _new_folder(command: str) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder, number = _RUNS / f"{command}-{stamp}", 1
    while folder.exists():
        number += 1
        folder = _RUNS / f"{command}-{stamp}-{number}"
    return folder


def entries_there(how: Execution) -> list[dict[str, Any]]:
    """Return what the folder of a run that is resumed holds, less what is run again."""
    from rnnprobe.journal import read_results

    if not how.resume or how.run_dir is None:
        return []
    entries, _ = read_results(Path(how.run_dir))
    return [e for e in entries if not how.retry_dnf or e["run"]["status"] == "ok"]


def runs_there(how: Execution) -> dict[str, Run]:
    """Return by key the runs of `entries_there`."""
    from rnnprobe.specs import Run

    return {entry["key"]: Run.from_dict(entry["run"]) for entry in entries_there(how)}


def resume_hint(options: dict[str, Any], command: str, run_dir: Path) -> str:
    """Return the last line after Ctrl-C."""
    from rnnprobe.reports._common import resume_command

    line = f"Interrupted. To go on: {resume_command(command, run_dir)}"
    if options["retry_dnf"]:
        line += " --retry-dnf"
    return line + (f" --listen {options['listen']}" if options.get("listen") else "")


def _recall(ctx: click.Context, options: dict[str, Any], run_dir: Path) -> None:
    """Take what is not given on the command line from the run that is resumed.

    What is given and differs is refused later, when the folder is opened.
    """
    from rnnprobe.journal import other_run, read_experiment

    given = {name for name in options if ctx.get_parameter_source(name) != ParameterSource.DEFAULT}
    experiment = read_experiment(run_dir)
    begins, what = ({"name"}, "the experiment") if "name" in options else (set(AXES), "the axes")
    if experiment is None and not given & begins:
        raise click.UsageError(
            f"There is nothing to resume in '{run_dir}'; to begin there, name {what}.", ctx
        )
    if experiment is None:
        return
    if experiment["command"] != ctx.info_name:
        raise other_run(run_dir, "its command", experiment["command"], ctx.info_name)
    remembered = _remembered(experiment)
    if "name" in given and options["name"] != remembered["name"]:
        raise other_run(run_dir, "its experiment", remembered["name"], options["name"])
    if experiment["source"].get("data") is None and "data" not in given:
        raise click.UsageError(
            f"The data of the run in '{run_dir}' was in memory alone; name it by --data.", ctx
        )
    if options.get("listen"):
        remembered.pop("save_models", None)  # of runs on this machine alone
    if given & {"epochs", "steps"}:
        given |= {"epochs", "steps"}
    options.update({n: v for n, v in remembered.items() if n in options and n not in given})


def _remembered(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run folder says of the options that it was begun with."""
    fixed, source = experiment["fixed"], experiment["source"]
    columns = source.get("columns") or {}
    outputs = dict(experiment.get("outputs", {}))
    if "model_out" in outputs:
        outputs["model_out"] = Path(outputs["model_out"])
    return {
        **outputs,
        "name": fixed.get("experiment"),
        **fixed.get("axes", {}),
        **fixed["settings"],
        "seed": fixed["seed"],
        **experiment["wanted"],
        **{name: source.get(name) for name in ("data", "layout", "limit_examples")},
        **{f"{name}_column": column for name, column in columns.items()},
    }
