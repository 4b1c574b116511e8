"""`rnnprobe report`: a page holds what each command prints alone, of a model and of a run."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from conftest import Cli, make_values
from keras import layers
from PIL import Image

from rnnprobe import SearchSpace, SequenceDataset, load_dataset
from rnnprobe._archive import add_metadata, read_metadata
from rnnprobe.experiments import EXPERIMENTS
from rnnprobe.experiments._record import Cell, Experiment, Measure
from rnnprobe.experiments._reproduce import Plan as Reproducing
from rnnprobe.experiments._shapes import SHAPES, Shape
from rnnprobe.journal import Journal
from rnnprobe.search.sweep import Plan
from rnnprobe.search.task import MODELS
from rnnprobe.search.trials import TEST
from rnnprobe.search.tuner import STATES, Wanted
from rnnprobe.specs import Run, specs_from_dict

TINY = Experiment(
    name="tiny-page",
    title="A gru on a few values: test accuracy by units",
    source="report T",
    dataset="three-classes",
    settings={"cell": "gru", "batch_size": 32, "steps": 2},
    cells=(Cell({"units": 2}, {"test_accuracy": 0.4}), Cell({"units": 3}, {"test_accuracy": 0.5})),
    rows=("units",),
    columns=(),
    measures=(Measure("test_accuracy", "Test"),),
    claims=(),
    given=("A few updates.",),
    chosen=("All else.",),
)


ALONE, GOES_ON = "This chapter alone", "Goes on with this run"


def chapters(text: str, lead: str = ALONE) -> dict[str, tuple[str, str]]:
    """Return of each chapter the command that has this lead and the text below, by its heading."""
    found = {}
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        heading, _, rest = part.partition("\n")
        fenced = re.match(rf"\n{lead}:\n\n```sh\n(.*)\n```\n", rest)
        body = rest[fenced.end() :] if fenced else rest
        found[heading] = (fenced[1] if fenced else "", body.strip())
    return found


def without_seconds(text: str) -> str:
    """Return a report as it is however long it took, without its last line and links."""
    kept: list[str] = []
    timed: list[int] = []
    for line in text.strip().splitlines():
        if not line.startswith("|"):
            kept += [] if line.startswith(("_Made by", "![")) else [line]
            timed = []
        elif not re.fullmatch(r"[|:-]+", line):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            timed = timed or [n for n, cell in enumerate(cells) if cell == "seconds"] or [-1]
            kept.append(" | ".join(cell for n, cell in enumerate(cells) if n not in timed))
    return "\n".join(kept).strip()


def test_only_columns_of_seconds_are_taken_out() -> None:
    table = "|   n |   seconds | to - from |\n|----:|----------:|:---|\n|  -1 | 2.5 | a\\|b |"
    assert without_seconds(f"A-b\n\n{table}\n\n_Made by x_") == ("A-b\n\nn | to - from\n-1 | a\\|b")


def facts(text: str) -> dict[str, str]:
    rows = re.findall(r"^\| (.*?) +\| (.*?) +\|$", text.partition("\n## ")[0], re.M)
    return dict(rows)


def everything(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.fixture(scope="module")
def page(saved_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a page on `saved_model`, in both forms, with its pictures."""
    from rnnprobe.cli import run

    folder = tmp_path_factory.mktemp("page")
    with contextlib.chdir(folder):
        arguments = ["report", str(saved_model), "--html", "p.html", "-o", "p.md"]
        assert run([*arguments, "--plots", "pictures", "-q"]) == 0
    return folder


def test_each_chapter_is_what_its_command_prints(cli: Cli, page: Path, saved_model: Path) -> None:
    found = chapters((page / "p.md").read_text("utf-8"))
    assert list(found) == [
        "How it was trained",
        "What it gets wrong",
        "How easily it is fooled",
        "What happens inside",
    ]
    for (command, body), name in zip(
        list(found.values())[1:], ("confusions", "attack", "inspect"), strict=True
    ):
        assert shlex.split(command) == ["rnnprobe", name, str(saved_model)]
        alone = cli(*shlex.split(command)[1:])
        assert alone.status == 0, alone.err
        assert without_seconds(body) == without_seconds(alone.out)


def test_the_training_of_a_model_is_told_from_its_file(
    cli: Cli, page: Path, saved_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (page / "p.md").read_text("utf-8")
    alone, body = chapters(text)["How it was trained"]
    assert alone == ""
    command = facts(text)["trained again by"]
    assert " --model-out again.keras " in command
    monkeypatch.chdir(page)  # the paths of a page are those from where it was made
    before = saved_model.read_bytes()
    again = cli(*shlex.split(command)[1:], "-q")
    assert again.status == 0, again.err
    assert (page / "again.keras").exists()
    assert saved_model.read_bytes() == before
    trained, kept = saved_model.with_suffix(".md").read_text("utf-8"), without_seconds(body)
    for line in without_seconds(again.out).splitlines():
        assert "Model: " in line or line in kept
    assert without_seconds(trained).splitlines()[0] in kept
    assert facts(text)["seed"] == "0"


def test_both_forms_are_written_with_all_pictures(page: Path) -> None:
    html, text = ((page / name).read_text("utf-8") for name in ("p.html", "p.md"))
    drawn = {path.name for path in (page / "pictures").iterdir()}
    links = re.findall(r"^!\[(.*)\]\(<(.*)>\)$", text, re.M)
    assert {path for _, path in links} == {f"pictures/{name}" for name in drawn}
    assert all(caption.endswith(".") for caption, _ in links)
    assert {"train-curves.png", "attack-security_curve.png", "inspect-gates.png"} <= drawn
    for name in drawn:
        with Image.open(page / "pictures" / name) as picture:
            assert picture.format == "PNG"
    assert html.startswith("<!doctype html>")
    for heading in chapters(text):
        assert heading in html
    assert html.count("data:image") >= len(drawn)


def test_options_go_into_the_commands_and_choose_chapters(
    cli: Cli, saved_model: Path, values_npz: Path
) -> None:
    given = ("--data", values_npz, "--limit-examples", 30, "--split", "validation", "--seed", 3)
    done = cli("report", saved_model, *given, "--what", "confusions")
    assert done.status == 0, done.err
    assert "confusions done\n" in done.err
    found = chapters(done.out)
    assert list(found) == ["How it was trained", "What it gets wrong"]
    command, body = found["What it gets wrong"]
    assert shlex.split(command)[3:] == [str(part) for part in given]
    alone = cli(*shlex.split(command)[1:])
    assert without_seconds(body) == without_seconds(alone.out)
    first = re.search(r"^```sh\n(.*)$", done.out, re.M)
    assert first is not None
    assert first[1] == shlex.join(map(str, ["rnnprobe", "report", saved_model, *given[:4],
        "--what", "confusions", *given[4:]]))  # fmt: skip
    assert "limited to 30 examples a part" in facts(done.out)["probed on"]
    trained = found["How it was trained"][1]
    assert "other data than this page's" in trained
    assert "- Test:" not in trained


def test_what_cannot_be_told_is_a_sentence_and_no_failure(cli: Cli) -> None:
    x, y = make_values()
    np.savez("two.npz", x=x, y=y, class_names=["a", "b", "c"])
    never = keras.Sequential(
        [
            keras.Input((6, 3)),
            layers.Flatten(),
            layers.Dense(3, bias_initializer=keras.initializers.Constant(0.0)),
        ]
    )
    never.layers[-1].kernel.assign(np.zeros((18, 3)))
    never.layers[-1].bias.assign([9.0, 0.0, 0.0])
    never.save("never.keras")
    np.savez("wrong.npz", x=x, y=1 + y % 2, class_names=["a", "b", "c"])
    done = cli("report", "never.keras", "--data", "wrong.npz", "-q")
    assert done.status == 0, done.err
    found = chapters(done.out)
    assert next(iter(found)) == "What it gets wrong"
    attacked = found["How easily it is fooled"][1]
    assert attacked.startswith("**Attack** of never.keras could not be made\n\n- The model gets")
    assert re.search(r"- The model gets none of \d+ examples right", attacked)
    assert "- **How easily it is fooled**: The model gets none" in done.out
    assert "The model has no recurrent layer." in found["What happens inside"][1]
    assert "the file does not say how" in facts(done.out)["trained by"]


def test_a_hardened_or_earlier_model_has_no_curves(
    cli: Cli, saved_model: Path, tmp_path: Path
) -> None:
    known = read_metadata(saved_model) or {}
    earlier = {name: value for name, value in known.items() if name != "history"}
    hardened = {**known, "hardened": {"with": "pgd", "schedule": {"epochs": 2, "seed": 5}}}
    for name, metadata in (("earlier", earlier), ("hardened", hardened)):
        path = tmp_path / f"{name}.keras"
        keras.models.load_model(saved_model, compile=False).save(path)
        add_metadata(path, {n: v for n, v in metadata.items() if n != "schema"})
        done = cli("report", path, "--what", "confusions", "-q")
        assert list(chapters(done.out)) == ["What it gets wrong"], done.err
        told = facts(done.out)
        if name == "earlier":
            assert told["training curves"].startswith("not kept")
        else:
            assert told["hardened"] == "with pgd, schedule (epochs 2, seed 5)"
            assert "trained again by" not in told


def with_metadata(source: Path, path: Path, metadata: Mapping[str, Any]) -> Path:
    """Save the model again with other metadata."""
    keras.models.load_model(source, compile=False).save(path)
    add_metadata(path, {n: v for n, v in metadata.items() if n != "schema"})
    return path


def test_damaged_metadata_end_in_a_sentence(cli: Cli, saved_model: Path, tmp_path: Path) -> None:
    known = read_metadata(saved_model) or {}
    metrics, ask = known["metrics"], ("--what", "confusions", "-q")
    for number, (changed, said) in enumerate(
        (
            (
                {"metrics": {**metrics, "test_accuracy": 5}},
                "'metrics.test_accuracy' is 5, expected",
            ),
            ({"metrics": {**metrics, "test_accuracy": float("nan")}}, "'metrics.*' is nan"),
            ({"metrics": {**metrics, "epoch": 1.5}}, "'metrics.epoch' is 1.5, expected a whole"),
            ({"history": [1]}, "'history' is [1], expected dict"),
            ({"preprocessing": [1]}, "'preprocessing.*' is 1, expected str"),
            (
                {"model": {**known["model"], "colour": 1}},
                "settings that this version of rnnprobe does not know ('colour')",
            ),
        )
    ):
        path = with_metadata(saved_model, tmp_path / f"{number}.keras", {**known, **changed})
        done = cli("report", path, *ask)
        assert (done.status, done.out) == (1, ""), changed
        assert said in done.err
        assert done.err.count("\n") == 1
    for number, changed in enumerate(({"test_loss": None}, {"test_correct": 999})):
        told = {n: v for n, v in {**metrics, **changed}.items() if v is not None}
        path = with_metadata(saved_model, tmp_path / f"m{number}.keras", {**known, "metrics": told})
        done = cli("report", path, *ask)
        assert done.status == 0, done.err
        assert re.search(r"- Test: what the file tells does not fit its \d+ examples", done.out)


def test_a_model_that_says_little_is_opened_with_its_data_named(
    cli: Cli, saved_model: Path, values_npz: Path, tmp_path: Path
) -> None:
    path = with_metadata(saved_model, tmp_path / "little.keras", {"remark": "mine"})
    done = cli("report", path, "--data", values_npz, "--what", "confusions", "-q")
    assert done.status == 0, done.err
    refused = cli("report", path)
    assert refused.status == 2
    assert "does not say which data it was trained on; name it by --data" in refused.err


def test_what_runs_is_told_before_it(saved_model: Path) -> None:
    from rnnprobe.opening import open_model
    from rnnprobe.reports._chapters import Asked, Probing, model_chapters

    begun: list[str] = []
    asked = Asked(("attack", "confusions"), begin=begun.append)
    model_chapters(Probing(saved_model, open_model(saved_model, limit_examples=20), None, asked))
    assert begun[:2] == ["confusions", "attack"]
    assert begun[2].startswith("attack: fgsm, linf ")
    assert any(piece.endswith("checks of the attacks") for piece in begun)


def test_bad_input_is_one_line_before_the_work(cli: Cli, saved_model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("a")
    for arguments, reason in (
        (("missing",), "There is no run folder or model 'missing'"),
        (("folder",), "no run folder of rnnprobe"),
        (("mine.html",), "is no .keras file"),
        ((saved_model, "--html", "page.txt"), "--html got 'page.txt', expected"),
        ((saved_model, "-o", "page.html"), "--output got 'page.html', expected"),
        ((saved_model, "--html", "mine.html"), "rnnprobe did not write it"),
        ((saved_model, "-o", "no/page.md"), "there is no folder 'no'"),
        ((saved_model, "--what", "confusion"), "Did you mean 'confusions'?"),
        (("folder", "--layout", "rows"), "leave out --layout"),
    ):
        done = cli("report", *arguments)
        assert done.out == ""
        assert done.status in (1, 2), done
        assert reason in done.err
        assert done.err.count("\n") == 1
    assert (tmp_path / "mine.html").read_text() == "<p>mine</p>"


def entry(key: str, run: Run, hits: str = "", **more: Any) -> dict[str, Any]:
    return {"key": key, "run": run.to_dict(), "hits": hits, **more}


def run_of(saved_model: Path, task: Any, accuracy: float) -> Run:
    """Return a run of a task as if its model had been the saved one."""
    known: Mapping[str, Any] = read_metadata(saved_model) or {}
    metrics = {**known["metrics"], "val_accuracy": accuracy}
    return Run(
        dataset_digest=known["data"]["digest"],
        model=task.model,
        train=task.train,
        status="ok",
        history=known["history"],
        metrics=metrics,
        seconds=1.5,
        peak_memory=None,
        parameters=339,
        versions=known["versions"],
    )


@pytest.fixture
def dataset(values_npz: Path) -> SequenceDataset:
    return load_dataset(values_npz)


def write_sweep(folder: Path, dataset: SequenceDataset, saved_model: Path, count: int) -> Plan:
    """Write a sweep of two cells, twice each, as far as `count` runs."""
    plan = Plan(SearchSpace(cell="gru", units=[8, 9]), 2, 0, 0, {"epochs": 2})
    with Journal(folder, plan.experiment(dataset), resume=False) as journal:
        for number, task in enumerate(plan.tasks()[:count]):
            journal.append(entry(task.key, run_of(saved_model, task, 0.5 + 0.1 * number), "ff"))
    return plan


def test_a_sweep_is_told_with_the_model_of_its_best_cell(
    cli: Cli, dataset: SequenceDataset, saved_model: Path, tmp_path: Path
) -> None:
    plan = write_sweep(tmp_path / "run", dataset, saved_model, 4)
    best = next(task for task in plan.tasks() if task.model.units == 9)
    (tmp_path / "run" / MODELS).mkdir()
    shutil.copy(saved_model, tmp_path / "run" / MODELS / f"{best.name}.keras")
    before = everything(tmp_path / "run")
    done = cli("report", "run", "--what", "confusions", "--html", "p.html", "-o", "p.md")
    assert done.status == 0, done.err
    assert everything(tmp_path / "run") == before
    text = Path("p.md").read_text("utf-8")
    found = chapters(text)
    assert list(found) == ["What was swept", "What it gets wrong"]
    command, body = found["What was swept"]
    assert command == "rnnprobe sweep --run-dir run --resume"
    alone = cli(*shlex.split(command)[1:])
    assert alone.status == 0, alone.err
    assert without_seconds(body) == without_seconds(alone.out)
    command, body = found["What it gets wrong"]
    assert command == f"rnnprobe confusions run/models/{best.name}.keras"
    assert "the best of 2 cells by validation accuracy, seed 0, one of its 2 runs" in body
    assert cli(*shlex.split(command)[1:]).out.splitlines()[0] in body
    told = facts(text)
    assert told["runs"] == "4 of 4 made, 4 finished"
    made = told["made anew by"]
    assert made.startswith("rnnprobe sweep --cell gru --units 8,9 --epochs 2 --repeats 2 --data ")
    assert made.endswith("values.npz --save-models")
    html = Path("p.html").read_text("utf-8")
    assert "0.7000 ± 0.1414" in html
    # The heatmap is a table there.
    assert "<figcaption>Mean validation accuracy of each cell" not in html
    assert "<figcaption>Validation accuracy after each epoch" in html
    assert told["printed again by"] == "rnnprobe sweep --run-dir run --resume"
    assert "gone on with by" not in told


def test_an_interrupted_sweep_gives_its_table_so_far(
    cli: Cli, dataset: SequenceDataset, saved_model: Path, tmp_path: Path
) -> None:
    write_sweep(tmp_path / "run", dataset, saved_model, 1)
    with (tmp_path / "run" / "results.jsonl").open("ab") as file:
        file.write(b'{"key": "torn')
    before = everything(tmp_path / "run")
    done = cli("report", "run")
    assert done.status == 0, done.err
    assert everything(tmp_path / "run") == before
    assert facts(done.out)["runs"] == "1 of 4 made, 1 finished"
    assert facts(done.out)["gone on with by"] == "rnnprobe sweep --run-dir run --resume"
    assert "printed again by" not in facts(done.out)
    [(command, _)] = chapters(done.out, GOES_ON).values()
    assert command == "rnnprobe sweep --run-dir run --resume"
    assert "- The run folder has 1 line that cannot be read" in done.out


def test_options_of_models_are_refused_where_there_are_none(
    cli: Cli,
    dataset: SequenceDataset,
    saved_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_sweep(tmp_path / "run", dataset, saved_model, 1)
    refused = cli("report", "run", "--what", "attack", "--plots", "pictures")
    assert refused.status == 2
    assert "'run' keeps no model to probe; leave out --what" in refused.err
    (tmp_path / "settings.toml").write_text("[report]\nseed = 3\n")
    refused = cli("report", "run", "--config", "settings.toml")
    assert refused.status == 2
    assert "leave out --seed" in refused.err
    monkeypatch.setenv("RNNPROBE_REPORT_SPLIT", "train")
    assert "leave out --split" in cli("report", "run").err


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("fixed.axes.colour", ["red"]),
        ("fixed.axes.units", [0]),
        ("wanted.repeats", 0),
        ("fixed.settings.steps", -1),
    ],
)
def test_a_run_folder_that_says_what_cannot_be_is_refused_in_a_line(
    cli: Cli, dataset: SequenceDataset, saved_model: Path, tmp_path: Path, where: str, value: Any
) -> None:
    write_sweep(tmp_path / "run", dataset, saved_model, 1)
    path = tmp_path / "run" / "experiment.json"
    described = json.loads(path.read_text())
    *parents, last = where.split(".")
    place = described
    for name in parents:
        place = place[name]
    place[last] = value
    path.write_text(json.dumps(described))
    done = cli("report", "run")
    assert done.status == 2
    assert done.err.count("\n") == 1
    assert "it was damaged, or written by another version of rnnprobe" in done.err


def test_a_run_of_other_data_is_refused(
    cli: Cli, dataset: SequenceDataset, saved_model: Path, tmp_path: Path
) -> None:
    write_sweep(tmp_path / "run", dataset, saved_model, 2)
    x, y = make_values(seed=5)
    np.savez("other.npz", x=x, y=y)
    refused = cli("report", "run", "--data", "other.npz")
    assert refused.status == 2
    assert "'other.npz' is not what the run in 'run' was made on" in refused.err
    np.savez("moved.npz", **np.load(dataset.source["data"]))
    assert cli("report", "run", "--data", "moved.npz").status == 0
    described = json.loads((tmp_path / "run" / "experiment.json").read_text())
    described["source"]["data"] = None
    (tmp_path / "run" / "experiment.json").write_text(json.dumps(described))
    assert "was in memory alone; name it by --data" in cli("report", "run").err


def test_a_search_is_told_by_its_trials(
    cli: Cli, dataset: SequenceDataset, saved_model: Path, tmp_path: Path
) -> None:
    space = SearchSpace.for_tuning(cell="gru", units=[8], layers=1)
    wanted = Wanted(space, "random", 2, 2, 0, 1)
    plan = Plan(SearchSpace(cell="gru", units=[8, 9]), 1, 0, 0, {"epochs": 2})
    with Journal(tmp_path / "run", wanted.experiment(dataset), resume=False) as journal:
        for number, task in enumerate(plan.tasks(), start=1):
            configuration = plan.space.configurations[number - 1]
            told = {"number": number, "configuration": configuration, "chosen": "random"}
            run = run_of(saved_model, task, 0.1 * number)
            journal.append(entry(str(number), run, trial={**told, "promoted_after": []}))
    kept = tmp_path / "run" / TEST
    right = np.arange(len(dataset.test)) < 6
    hits = np.packbits(right).tobytes().hex()
    tested = {"trial": 2, "loss": 0.5, "correct": 6, "total": len(right), "hits": hits, "more": 1}
    kept.write_text(json.dumps(tested))
    done = cli("report", "run", "--plots", "p")
    assert done.status == 0, done.err
    found = chapters(done.out)
    assert list(found) == ["What was searched"]
    assert "Best on validation: trial 2, accuracy 0.2000" in done.out
    assert "- **What was searched**: Test accuracy of trial 2: 0.5000 [" in done.out
    assert "- Test accuracy of trial 2: 0.5000 [" in found["What was searched"][1]
    assert "--resume" not in done.out
    assert chapters(done.out)["What was searched"][0] == ""
    faults = {"trial": 1, "total": 99, "correct": 7, "hits": "?", "loss": None}
    for wrong in [*({name: value} for name, value in faults.items()), {"hits": hits + "00"}]:
        kept.write_text(json.dumps({**tested, **wrong}))
        assert "the best is not tested here; `rnnprobe tune --run-dir" in cli("report", "run").out
    kept.write_text(json.dumps(tested))
    results = tmp_path / "run" / "results.jsonl"
    whole = results.read_bytes()
    results.write_bytes(whole + b"{]\n")
    damaged = cli("report", "run").out
    assert "- The run folder has 1 line that cannot be read; their runs count as not" in damaged
    assert "Test accuracy" not in damaged
    results.write_bytes(whole)
    (tmp_path / "run" / STATES).mkdir()  # as it is while the search runs
    running = cli("report", "run")
    command, body = chapters(running.out, GOES_ON)["What was searched"]
    assert command == "rnnprobe tune --run-dir run --resume"
    assert f"`{command}` ends what is left, tests the best and saves its model" in body
    assert "![Validation accuracy of every trial after each epoch.](<p/tune-trials.png>)" in (
        done.out
    )
    made = facts(done.out)["made anew by"]
    assert "--tuner random --trials 2 --epochs 2 --model-out again.keras " in made


def test_a_reproduction_is_told_beside_what_was_published(
    cli: Cli, saved_model: Path, values_npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EXPERIMENTS, "tiny-page", f"{__name__}:TINY")
    monkeypatch.setitem(SHAPES, "three-classes", Shape(6, 3, 3, 60, 20, 20))
    plan = Reproducing(TINY, data=str(values_npz), seed=4)
    [dataset] = plan.load_all()
    with Journal(tmp_path / "run", plan.described(dataset), resume=False) as journal:
        for task in plan.tasks():
            journal.append(entry(task.key, run_of(saved_model, task, 0.5)))
    done = cli("report", "run")
    assert done.status == 0, done.err
    [(command, body)] = chapters(done.out).values()
    alone = cli(*shlex.split(command)[1:])
    assert alone.status == 0, alone.err
    assert without_seconds(body) == without_seconds(alone.out)
    told = facts(done.out)
    assert told["experiment"] == "tiny-page"
    assert shlex.split(told["made anew by"])[:5] == [
        "rnnprobe", "reproduce", "tiny-page", "--seed", "4",
    ]  # fmt: skip


def test_the_records_of_a_file_are_those_that_were_written(saved_model: Path) -> None:
    known = read_metadata(saved_model) or {}
    assert len(known["history"]["val_loss"]) == 2
    assert known["history"]["val_accuracy"][-1] == known["metrics"]["val_accuracy"]
    assert specs_from_dict(known)["model"].cell == "gru"
