"""What long work shows: on a terminal, in a log, and when quiet; and how long it still takes."""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli
from keras.utils import get_file
from rich.cells import cell_len

from rnnprobe import ModelSpec, SearchSpace, SequenceDataset, TrainSpec
from rnnprobe._text import printable
from rnnprobe.cli._progress import Progress, _State, counting, downloads_told, status
from rnnprobe.cli._runs_left import RunsLeft
from rnnprobe.cli._time_left import TimeLeft, left_text
from rnnprobe.cli.sweep import _Log as SweepLog
from rnnprobe.cli.sweep import runs_left
from rnnprobe.cli.tune import _Log as TuneLog
from rnnprobe.experiments._cost import run_cost
from rnnprobe.experiments._shapes import SHAPES
from rnnprobe.journal import read_results
from rnnprobe.search.sweep import Plan
from rnnprobe.search.task import Execution, TrialTask
from rnnprobe.search.trials import Trial
from rnnprobe.specs import Run

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\x9b]")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*([A-Za-z])")
# It goes on when the line was drawn twice more, however slow the machine is.
WORK = """
import sys, time
from rnnprobe.cli._progress import Progress
class Counted(Progress):
    drawn = 0
    def _renderable(self):
        self.drawn += 1
        return super()._renderable()
    def wait(self):
        until = self.drawn + 2
        while self._live and self.drawn < until:
            time.sleep(0.02)
with Counted("runs", 3, quiet="-q" in sys.argv) as progress:
    for number, name in enumerate(("plain", "[bold red]x[/] :smile:", "e\\x1b[31m\\r\\nvil 名前")):
        progress.begin(f"{name}, linf 0.03")
        progress.wait()
        best = f"best so far 0.9, {name}"
        progress.line(f"{name}: done", completed=number + 1, best=best, left=170.0)
        progress._started -= 60
    progress.wait()
print("result")
"""


def seen_on_a_terminal(columns: int, *arguments: str, **variables: str) -> str:
    """Return what the work writes to a terminal of so many columns."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    unset = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **variables}
    process = subprocess.Popen(
        [sys.executable, "-c", WORK, *arguments],
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=slave,
        env=environment,
    )
    os.close(slave)
    seen = b""
    while process.poll() is None or select.select([master], [], [], 0)[0]:
        if select.select([master], [], [], 0.1)[0]:
            try:
                seen += os.read(master, 65536)
            except OSError:  # the other end is closed
                break
    os.close(master)
    assert process.stdout is not None
    assert process.stdout.read() == b"result\n"
    assert process.wait() == 0
    process.stdout.close()
    return seen.decode()


@pytest.fixture(scope="module")
def wide() -> str:
    """What a terminal of 120 columns shows."""
    return seen_on_a_terminal(120)


def test_a_terminal_shows_what_runs_how_much_is_done_how_long_and_the_best(wide: str) -> None:
    assert re.search(
        r"runs 1/3  ######-+  1:\d\d  about 3 min left  \[bold red\]x\[/\] :smile:", wide
    )
    assert "best so far 0.9, plain" in wide
    assert re.search(r"runs 0/3  --------------------  0:\d\d  plain, linf 0\.03", wide)


def test_the_line_moves_while_a_long_piece_runs(wide: str) -> None:
    assert wide.count("runs 0/3") > 2
    assert re.search(r"runs 3/3  #{20}  3:\d\d", wide)


def test_the_cursor_comes_back_and_no_line_is_left(wide: str) -> None:
    assert wide.rfind("\x1b[?25h") > wide.rfind("\x1b[?25l") >= 0
    assert not wide.rpartition("\x1b[2K")[2].strip("\x1b[?25h\r\n")


def test_names_neither_colour_nor_move_nor_are_markup(wide: str) -> None:
    assert r"e\x1b[31m\r\nvil 名前: done" in wide
    assert "[bold red]x[/] :smile:: done" in wide
    assert "m" not in ESCAPE.findall(wide)  # no colour at all, so NO_COLOR has nothing to ask for


@pytest.mark.parametrize("columns", [40, 20])
def test_the_moving_line_stays_on_one_line_of_a_narrow_terminal(columns: int) -> None:
    seen = seen_on_a_terminal(columns)
    moving = [ESCAPE.sub("", part) for part in re.split(r"[\r\n]", seen) if "runs " in part]
    assert len(moving) > 3
    assert all(cell_len(line) <= columns for line in moving)
    assert all(line.startswith("runs ") for line in moving)
    if columns == 40:
        assert any("about 3 min left" in line for line in moving)


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"TERM": ""}])
def test_a_terminal_that_cannot_move_gets_plain_lines(variables: dict[str, str]) -> None:
    seen = seen_on_a_terminal(80, **variables).replace("\r\n", "\n")
    assert not CONTROL.search(seen)
    assert seen.splitlines()[0] == "plain: done; best so far 0.9, plain; about 3 min left"
    assert len(seen.splitlines()) == 3


def test_quiet_shows_nothing_on_a_terminal_and_in_a_log() -> None:
    assert seen_on_a_terminal(80, "-q") == ""
    done = subprocess.run(
        [sys.executable, "-c", WORK, "-q"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_a_log_is_plain_with_one_line_a_piece() -> None:
    done = subprocess.run([sys.executable, "-c", WORK], capture_output=True, check=True)
    log = done.stderr.decode()
    assert not CONTROL.search(log)
    assert log.splitlines()[1].endswith("best so far 0.9, [bold red]x[/] :smile:; about 3 min left")
    assert len(log.splitlines()) == 3


TWO_CELLS = Plan(SearchSpace(cell=["rnn"], learning_rate=[0.1, 0.2]), 1, 2, 0, {"epochs": 1})
MEASURED = dict.fromkeys(
    ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy",
     "test_correct"), 0.5
)  # fmt: skip


def kept(folder: Path, ended: dict[str, Run], **more: Any) -> Execution:
    """Write what a run folder holds, and return how it is resumed."""
    told = [{"key": key, "hits": "", "run": run.to_dict(), **more} for key, run in ended.items()]
    with (folder / "results.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in told)
    return Execution(workers=1, run_dir=folder, resume=True)


def of_task(task: TrialTask, status: Any = "ok", accuracy: float = 0.5) -> Run:
    """Return a run of 7.5 s, with its start 10 s."""
    measured = {**MEASURED, "val_accuracy": accuracy} if status == "ok" else {}
    return Run("", task.model, task.train, status, {}, measured, 7.5, None, 0, {})


def test_a_resumed_sweep_knows_its_best_run(
    values: SequenceDataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = TWO_CELLS.tasks()
    how = kept(tmp_path, {first.key: of_task(first, accuracy=0.75)})
    log = SweepLog(Progress("runs", 6, quiet=False), TWO_CELLS, values, how)
    log(of_task(second), 2, 6)
    assert "; best run so far 0.7500 (learning rate 0.1, seed 0); " in capfd.readouterr().err


def test_confirmations_that_are_there_are_not_to_come(
    values: SequenceDataset, tmp_path: Path
) -> None:
    tasks = TWO_CELLS.tasks()
    done = {task.key: of_task(task) for task in tasks}
    how = kept(tmp_path, done)
    entries = {entry["key"]: entry for entry in read_results(tmp_path)[0]}
    confirming = TWO_CELLS.confirming_tasks(entries)
    assert runs_left(TWO_CELLS, values, how).after(of_task(confirming[0])) == pytest.approx(30.0)
    kept(tmp_path, {confirming[0].key: of_task(confirming[0])})
    assert runs_left(TWO_CELLS, values, how).after(of_task(confirming[1])) == pytest.approx(20.0)


def test_a_run_that_is_retried_is_to_come_and_the_best_so_far_are_confirmed(
    values: SequenceDataset, tmp_path: Path
) -> None:
    first, second = TWO_CELLS.tasks()
    how = kept(tmp_path, {first.key: of_task(first, "dnf"), second.key: of_task(second)})
    left = runs_left(TWO_CELLS, values, replace(how, retry_dnf=True))
    assert left.after(of_task(first)) == pytest.approx(20.0)


def test_a_trial_that_was_run_again_counts_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def of_trial(status: Any, epochs: int) -> Run:
        history = {name: [10.0] * epochs for name in ("loss", "seconds")}
        train = TrainSpec(epochs=3)
        return Run("", ModelSpec("rnn", 8), train, status, history, MEASURED, 30.0, None, 0, {})

    told = {"number": 1, "configuration": {"units": 8}, "chosen": "random", "promoted_after": []}
    for ended in (of_trial("dnf", 1), of_trial("ok", 3)):
        how = kept(tmp_path, {"first": ended}, trial=told)
    log = TuneLog(Progress("trainings", 3, quiet=False), (3, 3, 3), how)
    log(Trial(2, {"units": 4}, "random", of_trial("ok", 3)), 3)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.endswith("; best so far 0.5000 (trial 1: units 8); about 30 s left")


def test_a_search_logs_the_best_trial_so_far(cli: Cli, values_npz: Path) -> None:
    done = cli("tune", "--cell", "dense", "--units", "2,8", "--learning-rate", "0.03", "--layers",
               "1", "--batch-size", "16", "--dropout", "0", "--optimizer", "adam,sgd", "--trials",
               "4", "--epochs", "3", "--data", values_npz, "--workers", "1")  # fmt: skip
    assert done.status == 0, done.err
    assert not CONTROL.search(done.err)
    trials = [line for line in done.err.splitlines() if line.startswith("trial ")]
    for index, line in enumerate(trials):
        seen = [float(re.findall(r", validation accuracy ([0-9.]+)", t)[0]) for t in trials]
        told = re.findall(r"best so far ([0-9.]+) \(trial \d+: cell dense", line)
        assert float(told[0]) == max(seen[: index + 1])
    from rnnprobe.search.oracles import planned_epochs
    from rnnprobe.search.space import SearchSpace

    axes = {"cell": ["dense"], "units": [2, 8], "learning_rate": [0.03], "layers": [1]}
    more = {"batch_size": [16], "dropout": [0], "optimizer": ["adam", "sgd"]}
    space = SearchSpace.for_tuning(**axes, **more)
    planned = planned_epochs("hyperband", space, trials=4, epochs=3)
    assert len(trials) == len(planned)
    assert f", {sum(planned)} in all" in done.out
    assert planned_epochs("bayesian", space, trials=99, epochs=3) == (3,) * 4


def test_training_logs_the_best_epoch_so_far(cli: Cli, values_npz: Path) -> None:
    done = cli("train", "--cell", "rnn", "--units", "4", "--learning-rate", "0.03", "--steps", "13",
               "--batch-size", "32", "--data", values_npz)  # fmt: skip
    epochs = [line for line in done.err.splitlines() if line.startswith("epoch ")]
    assert [line.partition(":")[0] for line in epochs] == [f"epoch {n} of 5" for n in range(1, 6)]
    assert all(
        re.search(r"; best so far validation loss \d\.\d{4} \(epoch \d\)", line) for line in epochs
    )
    best = re.findall(r"best so far validation loss ([0-9.]+) \(epoch (\d)\)", epochs[-1])
    assert re.findall(r"Best epoch (\d): .*; validation loss ([0-9.]+),", done.out) == [
        (epoch, loss) for loss, epoch in best
    ]


def test_an_attack_tells_each_attack_and_radius_and_what_follows(
    cli: Cli, saved_model: Path
) -> None:
    done = cli("attack", saved_model, "--attack", "noise,fgsm", "--epsilon", "0.1", "--timesteps",
               "2", "--placement", "free", "--limit-examples", "20")  # fmt: skip
    assert done.status == 0, done.err
    assert not CONTROL.search(done.err)
    for piece in ("noise, linf 0.1: ", "fgsm, linf 0.1: ", "linf: checks of the attacks, ",
                  "few steps, free, ", "windows of 2 steps, ", "step by step"):  # fmt: skip
        assert sum(line.startswith(piece) for line in done.err.splitlines()) == 1, piece


def test_a_download_is_named_in_a_log_and_not_at_all_when_quiet(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(b"x" * 100_000)
    for quiet, shown in ((False, f"Downloading data from {source.as_uri()}\n"), (True, "")):
        cache = tmp_path / f"quiet-{quiet}"
        cache.mkdir()
        with downloads_told(quiet=quiet):
            get_file("copy.bin", source.as_uri(), cache_dir=cache)
        out, err = capfd.readouterr()
        assert (out, err) == ("", shown)


def test_the_state_without_a_total_shows_that_it_lives() -> None:
    assert status("probing a.keras", _State(), 75.0, None, 80) == "probing a.keras  1:15"
    assert status("steps", _State(7), 3.0, None, 80) == "steps 7  0:03"


def test_a_progress_outside_of_a_terminal_needs_no_end(capfd: pytest.CaptureFixture[str]) -> None:
    progress = Progress("x", 2, quiet=False)
    progress.begin("first")
    progress.line("a\rb", completed=1, left=3.0)
    assert capfd.readouterr().err == "a\\rb\n"


def test_what_cannot_be_printed_is_escaped_and_nothing_else() -> None:
    assert printable("Zoë 名前 [x]") == "Zoë 名前 [x]"
    assert printable("\udcff\u202e\t\x9b") == "\\udcff\\u202e\\t\\x9b"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(9.9, ""), (12, "about 10 s left"), (54, "about 50 s left"), (56, "about 1 min left"),
     (5000, "about 83 min left"), (5500, "about 1.5 h left"), (3600 * 30, "about 30 h left"),
     (86400 * 2.2, "about 2 days left")],
)  # fmt: skip
def test_the_time_left_is_said_without_false_precision(seconds: float, text: str) -> None:
    assert left_text(seconds) == text


def test_pieces_in_turn_are_timed_by_the_clock() -> None:
    times = iter([100.0, 110.0, 130.0, 145.0, 150.0])
    left = TimeLeft(4, clock=lambda: next(times))
    # 10, 20, 15 and 5 seconds; after the first nothing is known yet
    assert [left.after() for _ in range(4)] == [None, 2 * 15.0, 15.0, None]


def test_the_largest_piece_takes_its_time_however_many_are_made_at_once() -> None:
    left = TimeLeft([10, 10, 100], workers=2)
    assert left.after(size=10, seconds=10.0) == 100.0
    assert left.after(size=10, seconds=10.0) == 100.0
    assert left.after(size=100, seconds=100.0) is None
    left = TimeLeft([10, 10, 10, 10, 20], workers=2)
    assert left.after(size=10, seconds=10.0) == 25.0


@pytest.mark.parametrize(
    ("in_a_round", "told"),
    [(1, {2: 12, 3: 9, 4: 6, 5: 3}), (2, {4: 3}), (0, {})],
)
def test_pieces_that_differ_are_counted_in_rounds_that_do_not(
    in_a_round: int, told: dict[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = iter(range(0, 1800, 180))
    with Progress("arms", 6, quiet=False) as progress:
        say = counting(progress, 6, in_a_round=in_a_round, clock=lambda: next(seconds))
        for number in range(1, 7):
            say(f"arm {number}")
    lines = [f"arm {n}" + (f"; about {told[n]} min left" if n in told else "") for n in range(1, 7)]
    assert capsys.readouterr().err.splitlines() == lines


def test_a_piece_that_is_there_is_no_longer_left() -> None:
    left = TimeLeft([3, 3, 9])
    left.leave_out(8)
    left.leave_out(3)
    assert left.after(size=3, seconds=1.0) is None
    left.leave_out(3)
    assert left.after(size=3, seconds=1.0) is None


def equal_runs(runs: int, workers: int, more: int = 0) -> tuple[RunsLeft, TrainSpec]:
    """Return what tells the time left of equal runs, and their settings."""
    train = TrainSpec(batch_size=100, steps=100)
    model = ModelSpec("rnn", 8)
    return RunsLeft([(model, train)] * runs, SHAPES["mnist"], workers=workers, more=more), train


def run(train: TrainSpec, seconds: float, status: Any = "ok", cell: str = "rnn") -> Run:
    return Run("", ModelSpec(cell, 8), train, status, {}, {}, seconds, None, 0, {})


def test_the_time_left_follows_the_pace_so_far() -> None:
    left, train = equal_runs(4, workers=1)
    # a start of 2.5 s and so many of training: 7, 7, 10 and 4 s a run
    seen = [left.after(run(train, seconds)) for seconds in (4.5, 4.5, 7.5)]
    assert seen == pytest.approx([3 * 7.0, 2 * 7.0, 24.0 / 3])
    assert left.after(run(train, 1.5)) is None


def test_two_at_once_share_what_is_left_and_the_last_is_alone() -> None:
    left, train = equal_runs(4, workers=2)
    assert [left.after(run(train, 7.5)) for _ in range(3)] == pytest.approx([30 / 2, 20 / 2, 10.0])


def test_a_run_that_died_at_once_does_not_make_the_others_fast() -> None:
    left, train = equal_runs(3, workers=1)
    assert left.after(run(train, 0.1, "dnf")) is None
    assert left.after(run(train, 17.5)) == pytest.approx(20.0)
    assert left.after(run(train, 0.1, "dnf")) is None


def test_larger_runs_weigh_more() -> None:
    small, large = TrainSpec(batch_size=100, steps=100), TrainSpec(batch_size=100, steps=900)
    model = ModelSpec("rnn", 8)
    left = RunsLeft([(model, small), (model, large)], SHAPES["mnist"], workers=1)
    ratio = (
        run_cost(model, large, SHAPES["mnist"]).seconds
        / run_cost(model, small, SHAPES["mnist"]).seconds
    )
    assert left.after(run(small, 7.5)) == pytest.approx(10.0 * ratio)
    assert ratio > 1.5


def test_runs_to_come_count_like_the_others_and_unknown_cells_as_equal() -> None:
    left, train = equal_runs(2, workers=1, more=2)
    assert left.after(run(train, 7.5)) == pytest.approx(30.0)
    own = ModelSpec("cnn", 8)
    unknown = RunsLeft([(own, train), (own, train), (own, replace(train, steps=999))],
                       SHAPES["mnist"], workers=1)  # fmt: skip
    assert unknown.after(run(train, 7.5, cell="cnn")) is None
    assert unknown.after(run(train, 17.5, cell="cnn")) == pytest.approx(15.0)
