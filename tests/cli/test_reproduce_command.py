from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from conftest import Cli

from rnnprobe.cli import cli as group
from rnnprobe.experiments import EXPERIMENTS
from rnnprobe.experiments._claims import Best
from rnnprobe.experiments._record import Cell, Experiment, Measure
from rnnprobe.experiments._shapes import SHAPES, Shape

# Two updates a run; the cells share what TensorFlow compiles, but for those of 3 units.
TINY = Experiment(
    name="tiny",
    title="An rnn on a few values: test accuracy by units and learning rate",
    source="report T",
    dataset="three-classes",
    settings={"cell": "rnn", "batch_size": 32, "steps": 2},
    cells=tuple(
        Cell({"units": units, "learning_rate": rate}, {"test_accuracy": published})
        for units, rate, published in ((2, 0.01, 0.4), (2, 0.03, 0.5), (2, 0.1, 0.6), (3, 0.01, 1))
    ),
    rows=("units",),
    columns=("learning_rate",),
    measures=(Measure("test_accuracy", "Test"),),
    claims=(Best("The largest rate is best", {"learning_rate": 0.1}),),
    given=("A few updates.",),
    chosen=("All else.",),
)
ENDLESS = replace(
    TINY,
    name="endless",
    cells=(Cell({"steps": 2}), Cell({"steps": 10**7})),
    settings={"cell": "rnn", "units": 2, "batch_size": 32},
    rows=("steps",),
    columns=(),
    claims=(),
)
PICTURES = replace(
    TINY,
    name="pictures",
    dataset="two-pictures",
    cells=(Cell({"learning_rate": 0.01}, {"simple_rnn_mean": 0.1}),),
    rows=("learning_rate",),
    columns=(),
    measures=(
        Measure("test_accuracy", "Test"),
        Measure("simple_rnn_mean", "mean", 0.25, relative=True, counted=None),
    ),
    claims=(),
    splits=(None, "lines"),
)


@pytest.fixture(autouse=True)
def with_tiny_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add experiments that take a second to the table."""
    for name in ("tiny", "endless", "pictures"):
        monkeypatch.setitem(EXPERIMENTS, name, f"{__name__}:{name.upper()}")
    monkeypatch.setitem(SHAPES, "three-classes", Shape(6, 3, 3, 60, 20, 20))
    monkeypatch.setitem(SHAPES, "two-pictures", Shape(16, 16, 2, 60, 20, 20))


@pytest.fixture
def tiny(values_npz: Path) -> list[str]:
    """The command that runs two of its cells."""
    return ["reproduce", "tiny", "--data", str(values_npz), "--limit", "learning-rate<0.1"]


def measured(text: str) -> list[tuple[str, ...]]:
    """Return of each row of CSV: units, learning rate, what was measured."""
    rows = csv.DictReader(io.StringIO(text))
    return [(row["units"], row["learning_rate"], row["measured"]) for row in rows]


def lines(run: Path) -> int:
    path = run / "results.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.02)


def test_it_says_what_it_will_do_and_prints_measured_beside_published(
    cli: Cli, tiny: list[str], values_npz: Path
) -> None:
    done = cli(*tiny, "--limit", "units=2", "--run-dir", "run")
    assert done.status == 0, done.err
    before, _, runs = done.err.partition("run 1 of 2: ")
    assert "tiny: An rnn on a few values" in before
    assert "report T" in before
    assert f"the data is '{values_npz}' in the place of three-classes" in before
    assert "2 of 4 cells (learning_rate<0.1, units=2; 2 left out), 2 runs" in before
    assert "estimated: " in before
    assert "units 2, learning rate 0.0" in runs
    assert " left" not in runs.partition("\n")[2]
    assert "seed 0: test accuracy 0." in runs
    assert "results are kept in run\n" in runs
    assert "**Reproduction** of tiny" in done.out
    for row in ("0.4", "0.5"):
        assert f"[{row}" in done.out
    assert "[1" not in done.out


def test_a_folder_is_resumed_by_its_name_alone_with_other_limits_and_repeats(
    cli: Cli, tiny: list[str], values_npz: Path
) -> None:
    first = cli(*tiny, "--run-dir", "run", "--seed", 5, "--format", "csv", "--limit", "units=2")
    assert first.status == 0, first.err
    resume = ("reproduce", "--run-dir", "run", "--resume", "--format", "csv")
    assert cli(*resume, "-q") == first._replace(err="")
    again = cli(*resume)
    assert again.out == first.out
    assert "run 1 of" not in again.err
    assert "2 are there, 0 to be made" in again.err
    assert "estimated" not in again.err
    more = cli(*resume, "--repeats", 2, "--limit", "all")
    assert "4 cells, 8 runs (2 seeds); 2 are there, 6 to be made" in more.err
    assert more.err.count(" of 8: units ") == 6
    assert lines(Path("run")) == 8
    fewer = cli(*resume, "--limit", "learning_rate=0.03", "--limit", "units=2", "--repeats", 1)
    assert measured(fewer.out) == measured(first.out)[1:]
    assert "1 of 4 cells (learning_rate=0.03, units=2; 3 left out)" in fewer.err
    every = cli(*resume, "--limit", "", "-q")
    assert measured(every.out)[:2] == measured(first.out)
    assert [row[:2] for row in measured(every.out)[2:]] == [("2", "0.1"), ("3", "0.01")]
    assert lines(Path("run")) == 8


def test_a_folder_of_another_experiment_or_command_or_data_is_refused_in_fitting_words(
    cli: Cli, tiny: list[str], values_npz: Path, tmp_path: Path
) -> None:
    refused = "The run folder 'run' holds another experiment: "
    described = {
        "schema": "rnnprobe.run/1",
        "command": "reproduce",
        "fixed": {
            "experiment": "tiny",
            "settings": dict(TINY.settings),
            "initializers": {},
            "seed": 0,
            "data": {"name": "values.npz", "digest": "0" * 16},
        },
        "wanted": {"repeats": 1, "limit": None},
        "source": {"data": str(values_npz)},
    }
    Path("run").mkdir()

    def resumed(*arguments: object, **changed: object) -> str:
        Path("run/experiment.json").write_text(json.dumps({**described, **changed}))
        done = cli(*arguments, "--run-dir", "run", "--resume")
        assert done.status == 2
        assert done.out == ""
        return done.err

    other = resumed("reproduce", "endless")
    assert f"{refused}its experiment is tiny there and endless here" in other
    assert f"{refused}its command is reproduce there and sweep here" in resumed("sweep")
    other = resumed("reproduce", command="sweep")
    assert f"{refused}its command is sweep there and reproduce here" in other
    assert f"{refused}--seed is 0 there and 1 here" in resumed("reproduce", "--seed", 1)
    assert f"{refused}the data's digest is 0000000000000000 there" in resumed("reproduce")
    fixed = {**described["fixed"], "settings": {**TINY.settings, "batch_size": 64}}  # type: ignore[dict-item]
    other = resumed("reproduce", fixed=fixed)
    assert f"{refused}the experiment's batch size is 64 there and 32 here" in other
    gone = resumed("reproduce", fixed={**described["fixed"], "experiment": "gone"})  # type: ignore[dict-item]
    assert "Unknown experiment 'gone'" in gone


def test_measures_of_saved_models_with_two_splits_and_pictures_of_them(
    cli: Cli, pictures_npz: Path
) -> None:
    done = cli(
        "reproduce", "pictures", "--data", pictures_npz, "--run-dir", "run", "--plots", "plots",
        "--format", "json",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert "1 cell, 2 runs (2 splits of the data)" in done.err
    assert done.err.count("pixels divided by 255") == 1
    assert "split lines: all examples were shuffled" in done.err
    assert "run 1 of 2: learning rate 0.01, equal inputs together, seed 0: " in done.err
    assert "run 2 of 2: learning rate 0.01, split lines, seed 0: " in done.err
    (model,) = Path("run/models").iterdir()
    assert model.name == "learning_rate=0.01,seed=0.keras"
    document = json.loads(done.out)
    assert document["schema"] == "rnnprobe.reproduce/1"
    (own,) = [row for row in document["rows"]
              if row["measure"] == "simple_rnn_mean" and row["split"] == "own"]  # fmt: skip
    assert -1 < own["measured"] < 1
    drawn = list(Path("plots").glob("*.png"))
    assert drawn
    assert all(f"wrote plots/{path.name}" in done.err for path in drawn)


def test_no_run_finished_is_status_one_with_the_table(cli: Cli, values_npz: Path) -> None:
    limits = ("--limit", "units=3", "--max-seconds", 0.001)
    done = cli("reproduce", "tiny", "--data", values_npz, *limits)
    assert done.status == 1
    assert "No run finished, of 1; the table says why" in done.err
    assert "DNF time" in done.out
    assert "**Reproduction** of tiny" in done.out


def test_limits_come_from_a_configuration_file(cli: Cli, values_npz: Path) -> None:
    Path("rnnprobe.toml").write_text('[reproduce]\nlimit = "units<2"\n')
    arguments = ("reproduce", "tiny", "--config", "rnnprobe.toml")
    assert "meets 'units<2'" in cli(*arguments).err
    assert "meets 'units>8'" in cli(*arguments, "--limit", "units>8").err
    Path("rnnprobe.toml").write_text('[reproduce]\nlimit = ["units<9", "learning_rate>1"]\n')
    assert "meets 'units<9, learning_rate>1'" in cli(*arguments).err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Name an experiment; `rnnprobe reproduce --list` lists what there is"),
        (["lstm-optimiser"], "Did you mean 'lstm-optimizers'?"),
        (["tiny", "--list"], "--list lists all experiments; leave out NAME"),
        (["--list", "--repeats", "2"], "--list takes no --repeats"),
        (["tiny", "--limit", "units"], "--limit got 'units', expected a condition like units<=128"),
        (["tiny", "--limit", "units<3,"], "--limit got '', expected a condition"),
        (["tiny", "--limit", "units<many"], "--limit got 'units<many', expected a number after <"),
        (["tiny", "--limit", "unit<3"], "Did you mean 'units'? Available: units, learning_rate"),
        (["tiny", "--limit", "units=lstm"], "compares units, which is a number"),
        (["tiny", "--limit", "units<1"], "No cell of tiny meets 'units<1'; it has units [2, 3]"),
        (["tiny", "--seed", "4294967295", "--repeats", "2"], "`0 <= seed < 2**32` must hold"),
        (["tiny", "--repeats", "0"], "x>=1"),
        (["tiny", "-q", "--data", "nothing.npz"], "There is no such file"),
        (["--resume"], "--resume needs --run-dir"),
        (["tiny", "--run-dir", "x", "--retry-dnf"], "--retry-dnf goes with --resume"),
        (["--resume", "--run-dir", "x"], "There is nothing to resume in 'x'; to begin there, name"),
    ],
)
def test_wrong_use_is_one_line(cli: Cli, arguments: list[str], said: str) -> None:
    done = cli("reproduce", *arguments)
    assert done.status == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert not Path("x").exists()


def test_the_list_has_a_row_an_experiment(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("endless", "pictures"):
        monkeypatch.delitem(EXPERIMENTS, name)
    done = cli("reproduce", "--list")
    assert done.status == 0
    assert "**Published experiments**" in done.out
    (grid,) = [row for row in done.out.splitlines() if "by-learning-rate-2017a" in row]
    assert " h |" in grid
    assert " GB |" in grid
    rows = list(csv.DictReader(io.StringIO(cli("reproduce", "--list", "--format", "csv").out)))
    assert [row["name"] for row in rows] == list(EXPERIMENTS)
    costs = {row["name"]: row for row in rows}
    (whole, small) = (
        float(costs["lstm-units-by-learning-rate-2017a"][key])
        for key in ("seconds", "seconds_small")
    )
    assert whole > 20 * small > 0
    assert costs["tiny"]["cells"] == "4"
    assert costs["tiny"]["seconds_small"] == ""
    document = json.loads(cli("reproduce", "--list", "--format", "json").out)
    assert document["schema"] == "rnnprobe.reproduce-list/1"
    assert len(document["rows"]) == len(EXPERIMENTS)


def test_the_list_brings_no_keras_and_no_data() -> None:
    code = (
        "import sys\n"
        "from rnnprobe.cli import run\n"
        "assert run(['reproduce', '--list']) == 0\n"
        "print('LOADED', *sorted({m.partition('.')[0] for m in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.rpartition("LOADED")[2].split())
    assert not loaded & {"keras", "tensorflow", "matplotlib", "scipy", "pandas"}


def test_names_are_completed() -> None:
    completion = ShellComplete(group, {}, "rnnprobe", "_RNNPROBE_COMPLETE")
    found = completion.get_completions(["reproduce"], "lstm-u")
    assert [item.value for item in found] == [n for n in EXPERIMENTS if n.startswith("lstm-u")]
    assert len(found) == 2
    command = group.get_command(click.Context(group), "reproduce")
    assert command is not None


def test_ctrl_c_prints_what_there_is_and_how_to_go_on(values_npz: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent.parent)!r})\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from rnnprobe.cli import main\n"
        "from rnnprobe.experiments import EXPERIMENTS\n"
        "if __name__ == '__main__':\n"
        "    EXPERIMENTS['endless'] = 'test_reproduce_command:ENDLESS'\n"
        "    main()\n"
    )
    (tmp_path / "start.py").write_text(code)
    arguments = ["reproduce", "endless", "--data", str(values_npz), "--run-dir", "run"]
    process = subprocess.Popen(
        [sys.executable, "start.py", *arguments],
        cwd=tmp_path,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: lines(tmp_path / "run") >= 1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all processes get it
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "**Reproduction** of endless" in out
    assert err.rstrip().endswith("Interrupted. To go on: rnnprobe reproduce --run-dir run --resume")
    assert "Traceback" not in err
    assert lines(tmp_path / "run") == 1
