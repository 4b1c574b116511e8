"""A page on a run folder: what it holds, as the command that made it prints it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnprobe._archive import read_metadata
from rnnprobe._registry import load_object, unknown_name
from rnnprobe._versions import made_by
from rnnprobe.datasets._load import limited, load_again
from rnnprobe.errors import DataError, ModelError, OutputError
from rnnprobe.experiments import EXPERIMENTS
from rnnprobe.journal import EXPERIMENT, read_experiment
from rnnprobe.opening import open_model
from rnnprobe.records import SequenceDataset
from rnnprobe.reports._chapters import Asked, Probing, model_chapters
from rnnprobe.reports._chapters_captions import captioned
from rnnprobe.reports._chapters_facts import Facts, facts_table, run_again_command, run_facts
from rnnprobe.reports._common import counted, data_arguments, resume_command
from rnnprobe.reports.page import Chapter, Page
from rnnprobe.search.results import CellRun, SweepResult
from rnnprobe.search.task import MODELS, damaged_run
from rnnprobe.specs import Run
from rnnprobe.table import Finding, escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Chapters = tuple[Chapter, ...]


@dataclass(frozen=True, eq=False)
class RunFolder:
    """What a run folder holds, with its data.

    Args:
        folder: The folder; nothing is written into it.
        described: What it says of itself.
        datasets: Its data, one a split; of a reproduction alone more than one.
        chapter: What its command prints, without its pictures.
        draw: Draws these.
        runs: All runs that there are.
        wanted: How many there should be.
        complete: Whether nothing is left to train.
        own_data: Name of the data where none are named; empty where the command has a default.
        model: The run whose saved model stands for the best cell, and its file; None where no
            model was kept.
        remark: Which one that is, plain text; or why there is none.
    """

    folder: Path
    described: Mapping[str, Any]
    datasets: Sequence[SequenceDataset]
    chapter: Chapter
    draw: Callable[[], Mapping[str, Figure]]
    runs: tuple[Run, ...]
    wanted: int
    complete: bool
    own_data: str = ""
    model: Path | None = None
    remark: str = ""


def read_run(folder: Path, data: str | None = None) -> RunFolder:
    """Read a run folder, of an interrupted run as far as it went.

    Args:
        folder: Of `sweep`, `tune` or `reproduce`.
        data: Where the data are now, if elsewhere than they were; they must be the same.

    Raises:
        OutputError: It is no run folder.
        DataError: The data are not found, or are not those of the run.
    """
    described = read_experiment(folder) if (folder / EXPERIMENT).exists() else None
    if described is None:
        raise OutputError(f"'{folder}' is no run folder of rnnprobe: it has no {EXPERIMENT}.")
    readers: dict[str, Callable[..., RunFolder]] = {
        "sweep": _read_sweep,
        "tune": _read_tune,
        "reproduce": _read_reproduction,
    }
    command = described.get("command")
    if command not in readers:
        raise OutputError(f"'{folder}' holds a run of '{command}', of which nothing is reported.")
    if data is None and described["source"].get("data") is None:
        raise DataError(
            f"The data of the run in '{folder}' was in memory alone; name it by --data."
        )
    return readers[command](folder, described, data)


def _same_data(folder: Path, described: Mapping[str, Any], dataset: SequenceDataset) -> None:
    there = described["fixed"]["data"]["digest"]
    if dataset.digest != there:
        raise DataError(
            f"'{dataset.name}' is not what the run in '{folder}' was made on: its digest was "
            f"{there} and is {dataset.digest} now; name the same data by --data."
        )


def _load(folder: Path, described: Mapping[str, Any], data: str | None) -> SequenceDataset:
    dataset = load_again(described["source"], data)
    _same_data(folder, described, dataset)
    return dataset


def _read_sweep(folder: Path, described: Mapping[str, Any], data: str | None) -> RunFolder:
    from rnnprobe.reports._sweep_figures import sweep_figures
    from rnnprobe.reports.sweep import sweep_report
    from rnnprobe.search.analysis import METRIC
    from rnnprobe.search.sweep import load_sweep

    dataset = _load(folder, described, data)
    result = load_sweep(folder)
    chapter = Chapter(
        "What was swept",
        resume_command("sweep", folder),
        sweep_report(result, dataset),
        sweep=result,
        resumes=not result.complete,
    )
    runs = tuple(run.run for run in (*result.runs, *result.confirmations))
    model, remark = _best_model(result)
    return RunFolder(
        folder,
        described,
        (dataset,),
        chapter,
        lambda: sweep_figures(result, None, None, METRIC),
        runs,
        result.wanted,
        result.complete,
        model=model,
        remark=remark,
    )


def _best_model(result: SweepResult) -> tuple[Path | None, str]:
    """Return the model of the best cell's first run and which one it is, or why there is none."""
    ranking = result.ranking()
    if not ranking:
        return None, ""
    run: CellRun = ranking[0].finished[0]
    which = f"one of its {counted(len(ranking[0].finished), 'run')} that finished"
    remark = (
        f"the best of {counted(len(ranking), 'cell')} by validation accuracy, seed "
        f"{run.run.train.seed}, {which}; what is found of it need not hold for another seed"
    )
    try:
        return result.model_file(run), remark
    except ModelError:
        kept = any(Path(str(result.run_dir), MODELS).glob("*.keras"))
        return None, "kept, but not that of the best cell's first run" if kept else ""


def _read_tune(folder: Path, described: Mapping[str, Any], data: str | None) -> RunFolder:
    from rnnprobe.reports._figures import trials_figure
    from rnnprobe.reports.tune import tune_report
    from rnnprobe.search.tuner import load_tune

    dataset = _load(folder, described, data)
    result = load_tune(folder)
    if result.test is not None and result.test.total != len(dataset.test):  # a damaged one
        result = replace(result, test=None, over=False)

    def draw() -> dict[str, Figure]:
        if result.best is None:
            return {}
        curves = {t.number: list(t.run.history.get("val_accuracy", [])) for t in result.trials}
        return {"trials.png": trials_figure(curves, result.best.number)}

    chapter = Chapter(
        "What was searched",
        # Of one that is over it would train the best again.
        "" if result.over else resume_command("tune", folder),
        tune_report(result, dataset),
        headline="test" if result.test else "best" if result.best else "",
        resumes=not result.over,
    )
    runs = tuple(trial.run for trial in result.trials)
    remark = "not in the folder: a search saves its best one by --model-out"
    return RunFolder(
        folder,
        described,
        (dataset,),
        chapter,
        draw,
        runs,
        result.budget,
        result.over,
        remark=remark,
    )


def _read_reproduction(folder: Path, described: Mapping[str, Any], data: str | None) -> RunFolder:
    from rnnprobe.experiments._limits import parse_limits
    from rnnprobe.experiments._reproduce import Plan, load_reproduction
    from rnnprobe.reports._reproduce_figures import reproduce_figures
    from rnnprobe.reports.reproduce import reproduce_report

    fixed, wanted, source = (described[name] for name in ("fixed", "wanted", "source"))
    name = fixed.get("experiment")
    if name not in EXPERIMENTS:  # by another version
        raise unknown_name("experiment", str(name), list(EXPERIMENTS))
    experiment = load_object(EXPERIMENTS[name])
    try:
        plan = Plan(
            experiment,
            data=data or source["data"],
            limits=parse_limits(wanted["limit"]) if wanted["limit"] else (),
            limit_examples=source.get("limit_examples"),
            repeats=wanted["repeats"],
            seed=fixed["seed"],
        )
    except (KeyError, ValueError) as exc:
        raise damaged_run(folder, exc) from exc
    datasets = plan.load_all()
    _same_data(folder, described, datasets[0])
    result = load_reproduction(plan, datasets, folder)
    complete = len(result.runs) == plan.num_runs
    chapter = Chapter(
        "What was published, and what was measured",
        resume_command("reproduce", folder),
        reproduce_report(result),
        resumes=not complete,
    )
    return RunFolder(
        folder,
        described,
        datasets,
        chapter,
        lambda: reproduce_figures(result),
        result.runs,
        plan.num_runs,
        complete,
        experiment.dataset,
    )


def probed_chapters(
    run: RunFolder,
    file: Path,
    asked: Asked,
    *,
    limit_examples: int | None = None,
    imports: Sequence[str] = (),
    moved: bool = False,
) -> Chapters:
    """Return what every probe says of the model of a sweep's best cell.

    Args:
        run: The sweep.
        file: Its model.
        asked: What is asked of it; its arguments are made here.
        limit_examples: Keeps at most so many examples of each part.
        imports: As for `rnnprobe.load_model`.
        moved: Whether the data lie elsewhere than the model's file says.

    Raises:
        ModelError: The model cannot be read.
    """
    metadata = read_metadata(file)
    source = (metadata or {}).get("data", {})
    whole = run.datasets[0]
    dataset = whole if limit_examples is None else limited(whole, limit_examples)
    # What the run was made on, wherever it lies now.
    opened = open_model(file, imports=imports, loaded={repr(source): dataset})
    arguments = data_arguments(whole) if moved else []
    if limit_examples is not None:
        arguments += ["--limit-examples", str(limit_examples)]
    for name in imports:
        arguments += ["--import", name]
    probing = Probing(file, opened, metadata, replace(asked, arguments=tuple(arguments)))
    remark = Finding("which_model", f"Model: {escape(f'{file.name}, of {run.remark}')}", str(file))
    return tuple(
        replace(one, report=replace(one.report, findings=(remark, *one.report.findings)))
        for one in model_chapters(probing)
    )


def run_page(run: RunFolder, chapters: Sequence[Chapter] = (), *, command: str) -> Page:
    """Return the page on a run folder.

    Args:
        run: What `read_run` returned.
        chapters: Of its model, where one was probed.
        command: The command line that makes the page.
    """
    models = run.folder / MODELS
    again = run_again_command(
        run.described,
        run.datasets[0],
        with_models=run.described["command"] == "sweep" and models.is_dir(),
        own_data=run.own_data,
    )
    name = run.described["command"]
    resume = resume_command(name, run.folder)
    commands = [("made anew by", again), ("gone on with by", "" if run.complete else resume)]
    if run.complete and name != "tune":
        commands.append(("printed again by", resume))
    facts: Facts = run_facts(run.folder, run.described, run.runs, run.wanted, commands)
    facts.append(("model", f"{run.model}, of {run.remark}" if run.model else run.remark))
    told = replace(run.chapter, pictures=captioned(name, run.draw()))
    return Page(
        title=run.folder.resolve().name,
        facts=facts_table(facts),
        chapters=(told, *chapters),
        command=command,
        made_by=made_by(),
    )
