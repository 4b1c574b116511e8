from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Cli

# Most of what a sweep does hangs on no cell; this one is ready in a fifth of the time of another.
GRID = ["sweep", "--cell", "dense", "--units", "2,3,4", "--learning-rate", "0.01,0.03"]
MARK = "RNNPROBE_TEST_MARK"


@pytest.fixture
def grid(values_npz: Path) -> list[str]:
    """A sweep of six cells, a second or so."""
    return [*GRID, "--data", str(values_npz), "--epochs", "2"]


def rows(text: str) -> list[dict[str, str]]:
    """The table without what depends on time, and on times."""
    table = list(csv.DictReader(io.StringIO(text)))
    for row in table:
        del row["seconds"]
    return table


def squeezed(text: str) -> str:
    return re.sub(" +", " ", text)


def family(mark: str) -> list[int]:
    """Processes that were started, by whatever way, with a mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def start(arguments: list[str], folder: Path, mark: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rnnprobe", *arguments],
        cwd=folder,
        env={**os.environ, MARK: mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.02)


def lines(run: Path) -> int:
    path = run / "results.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_the_pivot_and_what_follows_from_it(cli: Cli, grid: list[str], tmp_path: Path) -> None:
    result = cli(*grid, "--repeats", 2, "--confirm", 1, "--checkpoints", 2, "--plots", "pictures")
    assert result.status == 0
    assert "|   units |   learning rate 0.01 |   learning rate 0.03 |" in result.out
    assert "n = 2 (seeds 0 to 1)" in result.out
    for said in (
        "Best on validation: units", "the best of 6 cells", "Its test accuracy: ",
        "Run again with fresh seeds: units", "(n = 1); ", "Best learning rate by units:",
        "exact analysis of variance of the complete factorial, 12 runs",
        "`rnnprobe train --cell dense --units", "Accuracy against time",
        "| Train 1 | Train 2 | Test |",
    ):  # fmt: skip
        assert said in squeezed(result.out), said
    assert "run 15 of 15: units" in result.err
    assert "results are kept in rnnprobe-runs/sweep-" in result.err
    for name in ("heatmap", "curves", "front"):
        picture = tmp_path / "pictures" / f"{name}.png"
        assert picture.read_bytes().startswith(b"\x89PNG")


def test_csv_has_a_row_a_cell_and_json_every_run(cli: Cli, grid: list[str]) -> None:
    table = rows(cli(*grid, "--format", "csv", "-q").out)
    assert len(table) == 6
    assert {row["finished"] for row in table} == {"1"}
    document = json.loads(cli(*grid, "--format", "json", "-q").out)
    assert document["schema"] == "rnnprobe.sweep/1"
    assert [run["units"] for run in document["runs"]] == [2, 2, 3, 3, 4, 4]
    for row, run in zip(table, document["runs"], strict=True):
        assert float(row["val_accuracy"]) == run["metrics"]["val_accuracy"]


def test_the_same_bytes_whatever_the_number_of_workers(cli: Cli, grid: list[str]) -> None:
    grid += ["--cell", "rnn", "--units", "2,3"]
    results = [cli(*grid, "--format", "csv", "-q", "--workers", n).out for n in (1, 2)]
    assert rows(results[0]) == rows(results[1])


def test_rows_columns_and_metric_are_chosen(cli: Cli, grid: list[str]) -> None:
    run = ["sweep", "--run-dir", "run", "--resume", "-q"]
    assert cli(*grid, "--optimizer", "adam,sgd", "--run-dir", "run", "-q").status == 0
    out = squeezed(cli(*run).out)
    assert "| units | optimizer | learning rate 0.01 | learning rate 0.03 |" in out
    out = squeezed(cli(*run, "--rows", "learning-rate", "--columns", "units,optimizer").out)
    assert "| learning rate | 2, adam | 2, sgd |" in out
    out = cli(*run, "--rows", "optimizer", "--columns", "units", "--metric", "val_loss").out
    assert "over all values of learning rate" in out
    assert "| adam        |" in out
    out = cli(*run, "--metric", "test_accuracy").out
    assert "nothing may be chosen by it" in out
    assert "≈" not in out
    assert "| **" not in out


def test_cells_that_know_no_units_collapse(cli: Cli, tmp_path: Path, pictures_npz: Path) -> None:
    arguments = ["--data", pictures_npz, "--epochs", 1, "-q", "--format", "csv"]
    table = rows(cli("sweep", "--cell", "rnn,cnn", "--units", "2,3", *arguments).out)
    assert [(row["cell"], row["units"]) for row in table] == [
        ("rnn", "2"),
        ("rnn", "3"),
        ("cnn", ""),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rows", "colour"], "--rows got 'colour', expected axes like units"),
        (["--workers", "0"], "--workers got '0', expected auto or a number above 0"),
        (["--max-memory", "much"], "--max-memory got 'much', expected an amount of memory like"),
        (["--resume"], "--resume needs --run-dir"),
        (["--resume", "--run-dir", "x"], "There is nothing to resume in 'x'"),
        (["--listen", "8000", "--workers", "2"], "Workers elsewhere have their own limits"),
        (["--run-dir", "x", "--retry-dnf"], "--retry-dnf goes with --resume"),
        (["--epochs", "2", "--steps", "3"], "Give --epochs or --steps, not both"),
        (["--units", "4..2:x2"], "--units got the range '4..2:x2'"),
        (["--checkpoints", "2000"], "There are 2000 checkpoints, but only"),
        (["--cell", "cnn", "--units", "3"], "--units means nothing for the cell cnn"),
        (["--seed", "4294967295", "--repeats", "2"], "`0 <= seed < 2**32` must hold"),
    ],
)
def test_wrong_use_is_one_line(cli: Cli, values_npz: Path, arguments: list[str], said: str) -> None:
    result = cli("sweep", "--data", values_npz, *arguments)
    assert result.status == 2
    assert said in result.err
    assert "Traceback" not in result.err
    assert not Path("x").exists()


def test_data_with_one_validation_example_has_a_report(cli: Cli, values_npz: Path) -> None:
    arguments = ["--data", values_npz, "--limit-examples", 1, "--epochs", 1, "-q"]
    result = cli("sweep", "--cell", "dense", "--units", "2,3", *arguments)
    assert result.status == 0
    assert "Cannot be told from it: 1 of 1 other cell" in result.out


def test_none_is_a_value_like_any_other(cli: Cli, grid: list[str]) -> None:
    out = squeezed(cli(*GRID, *grid[len(GRID) :], "--clip-norm", "none,0.5", "-q").out)
    assert "| 2 | none |" in out
    assert "clip norm" in out.partition("Of the variance")[2].partition("\n")[0]


def test_no_run_finished_is_status_one_with_the_table(cli: Cli, values_npz: Path) -> None:
    result = cli("sweep", "--cell", "cnn", "--data", values_npz)
    assert result.status == 1
    assert "DNF error" in result.out
    assert "No run finished, of 1" in result.err


def test_a_run_folder_is_resumed_by_its_name_alone_and_refuses_other_axes(
    cli: Cli, grid: list[str]
) -> None:
    whole = cli(*grid, "--run-dir", "run", "--format", "csv", "-q")
    again = cli("sweep", "--run-dir", "run", "--resume", "--format", "csv")
    assert rows(again.out) == rows(whole.out)
    assert "run 1 of" not in again.err
    refused = cli(*grid, "--run-dir", "run")
    assert refused.status == 2
    assert "holds a run already; give --resume" in refused.err
    other = cli("sweep", "--units", "2,5", "--run-dir", "run", "--resume")
    assert other.status == 2
    assert "another experiment: --units is 2,3,4 there and 2,5 here" in other.err
    more = cli("sweep", "--run-dir", "run", "--resume", "--repeats", 2, "--format", "csv")
    assert "run 12 of 12" in more.err
    assert {row["finished"] for row in rows(more.out)} == {"2"}


def test_a_bayesian_search_is_resumed_with_the_workers_it_had(cli: Cli, values_npz: Path) -> None:
    arguments = ["--cell", "dense", "--units", "2..9:+1", "--layers", "1", "--dropout", "0"]
    arguments += ["--tuner", "bayesian", "--trials", 5, "--epochs", 1, "--workers", 3]
    whole = cli("tune", *arguments, "--data", values_npz, "--run-dir", "run", "--format", "csv")
    path = Path("run/results.jsonl")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    again = cli("tune", "--run-dir", "run", "--resume", "--format", "csv")
    assert again.status == whole.status == 0
    assert rows(again.out) == rows(whole.out)


def test_a_parent_that_is_killed_leaves_no_children_and_is_resumed(
    cli: Cli, grid: list[str], tmp_path: Path
) -> None:
    """At three moments; what comes out in the end is what an undisturbed run says."""
    undisturbed = cli(*grid, "--repeats", 3, "--format", "csv", "-q").out
    run = tmp_path / "run"
    arguments = [*grid, "--repeats", "3", "--run-dir", str(run), "--format", "csv"]
    for number, done in enumerate((0, 3, 8)):
        mark = f"{os.getpid()}-{number}"
        process = start([*arguments, "--resume"], tmp_path, mark)
        wait_for(lambda process=process, done=done: lines(run) >= done > 0 or (
            not done and len(family(mark)) > 1  # noqa: B023
        ))  # fmt: skip
        process.kill()
        process.communicate()
        wait_for(lambda mark=mark: not family(mark))
    before = lines(run)
    assert 8 <= before < 18
    resumed = cli(*arguments, "--resume")
    assert resumed.status == 0
    assert resumed.err.count("\nrun ") + resumed.err.startswith("run ") == 18 - before
    assert rows(resumed.out) == rows(undisturbed)


def test_the_models_of_a_sweep_are_kept_where_asked_for(cli: Cli, values_npz: Path) -> None:
    grid = ["sweep", "--cell", "rnn,gru", "--units", "2", "--data", values_npz, "--epochs", "1"]
    done = cli(*grid, "--repeats", 2, "--run-dir", "run", "--save-models", "--format", "json")
    assert done.status == 0
    assert "models are kept in run/models" in done.err
    models = sorted(Path("run/models").iterdir())
    assert [path.name for path in models] == [
        f"cell={cell},seed={seed}.keras" for cell in ("gru", "rnn") for seed in (0, 1)
    ]
    (first,) = [run for run in json.loads(done.out)["runs"] if run["cell"] == "gru"][:1]
    said = json.loads(cli("confusions", models[0], "--format", "json").out)["findings"]
    assert said["accuracy"]["accuracy"] == first["metrics"]["test_accuracy"]
    more = cli("sweep", "--run-dir", "run", "--resume", "--repeats", 3, "--confirm", 1)
    assert "models are kept in run/models: 8 of 8 runs" in more.err  # as it was begun
    assert cli(*grid, "--run-dir", "late").status == 0
    late = cli("sweep", "--run-dir", "late", "--resume", "--repeats", 2, "--save-models")
    assert "models are kept in late/models: 2 of 4 runs" in late.err
    assert "runs made before, without --save-models, left no model" in late.err
    wrong = cli(*grid, "--save-models", "--listen", "8786")
    assert wrong.status == 2
    assert "Models are saved in the run folder of a sweep on this machine alone" in wrong.err


def test_ctrl_c_prints_what_there_is_and_says_how_to_go_on(
    values_npz: Path, tmp_path: Path
) -> None:
    # Examples in one batch are soon done, one by one a run takes a minute: none ends by itself.
    grid = [*GRID, "--data", str(values_npz), "--epochs", "800", "--run-dir", "run"]
    grid += ["--batch-size", "96,1"]
    mark = f"{os.getpid()}-interrupted"
    process = start(grid, tmp_path, mark)
    wait_for(lambda: lines(tmp_path / "run") >= 1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all processes get it
    started = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - started < 10
    assert process.returncode == 130
    assert "runs are missing; `rnnprobe sweep --run-dir run --resume` makes them" in out
    assert err.rstrip().endswith("To go on: rnnprobe sweep --run-dir run --resume")
    assert "Traceback" not in err
    wait_for(lambda: not family(mark))


def test_ctrl_c_before_the_first_run_ends_is_clean(values_npz: Path, tmp_path: Path) -> None:
    mark = f"{os.getpid()}-early"
    process = start([*GRID, "--data", str(values_npz), "--run-dir", "run"], tmp_path, mark)
    wait_for((tmp_path / "run" / "experiment.json").exists)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    wait_for(lambda: not family(mark))
