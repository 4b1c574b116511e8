"""Chief and workers as processes of their own, on loopback."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import keras_tuner
import pytest
from conftest import Cli

from rnnprobe import ModelSpec, SearchSpace, SequenceDataset, TrainSpec, load_dataset, sweep
from rnnprobe.errors import TrainingError
from rnnprobe.search.chief import RESULT, Chief, mark_of
from rnnprobe.search.pool import Done
from rnnprobe.search.results import SweepResult
from rnnprobe.search.task import TrialTask, dead_run
from rnnprobe.search.worker import work

UNITS = (2, 3, 4, 5)
# Who trains what hangs on no cell; this one is ready in a fifth of the time of a recurrent one.
CHIEF = """
import sys, rnnprobe
data, address, run, lease, epochs = sys.argv[1:]
swept = rnnprobe.sweep(
    rnnprobe.load_dataset(data), rnnprobe.SearchSpace(cell="dense", units=[2, 3, 4, 5]), repeats=2,
    epochs=int(epochs),
    execution=rnnprobe.Execution(
        listen=address, run_dir=__import__("pathlib").Path(run), resume=True, lease=float(lease),
        say=lambda text: print(text, file=sys.stderr, flush=True),
    ),
    on_run=lambda *_: print("RUN", file=sys.stderr, flush=True),
)
"""


@pytest.fixture
def address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


class Processes:
    """Starts processes that do not outlive the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._all: list[subprocess.Popen[str]] = []

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        files = [self._folder / f"{name}-{len(self._all)}" for name in ("stdout", "stderr")]
        with files[0].open("w") as stdout, files[1].open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, *map(str, arguments)],
                cwd=self._folder,
                stdout=stdout,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )
        self._all.append(process)
        return process

    def said(self, process: subprocess.Popen[str], stream: str = "stderr") -> str:
        return (self._folder / f"{stream}-{self._all.index(process)}").read_text()

    def end(self) -> None:
        for process in self._all:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    started = Processes(tmp_path)
    yield started
    started.end()


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.05)


def table(result: SweepResult) -> list[object]:
    return [(r.configuration, r.repeat, r.run.status, r.run.metrics, r.hits) for r in result.runs]


def expected(values_npz: Path, epochs: int) -> list[object]:
    space = SearchSpace(cell="dense", units=UNITS)
    return table(sweep(load_dataset(values_npz), space, repeats=2, epochs=epochs))


def test_workers_make_the_table_that_one_machine_makes(
    values_npz: Path, address: str, processes: Processes, cli: Cli
) -> None:
    grid = ["sweep", "--cell", "rnn", "--units", "2,3", "--learning-rate", "0.01,0.03"]
    grid += ["--repeats", 2, "--epochs", 2]
    grid += ["--data", values_npz, "--format", "csv"]
    chief = processes.start("-m", "rnnprobe", *grid, "--listen", address)
    workers = [processes.start("-m", "rnnprobe", "worker", address, "--workers", 1) for _ in "ab"]
    assert chief.wait(180) == 0, processes.said(chief)
    assert "run 8 of 8" in processes.said(chief)
    assert processes.said(chief).count(" joined") == 2
    for worker in workers:
        assert worker.wait(60) == 0, processes.said(worker)
        assert "The sweep is over;" in processes.said(worker)
    alone = cli(*grid)
    assert alone.status == 0
    texts = [processes.said(chief, "stdout"), alone.out]
    tables = [list(csv.DictReader(io.StringIO(text))) for text in texts]
    for row in (*tables[0], *tables[1]):
        del row["seconds"]
    assert tables[0] == tables[1]


def test_a_killed_workers_trial_goes_to_another(
    values_npz: Path, address: str, processes: Processes, tmp_path: Path
) -> None:
    from rnnprobe import load_sweep

    run = tmp_path / "run"
    chief = processes.start("-c", CHIEF, values_npz, address, run, 5, 200)
    first, second = (
        processes.start("-m", "rnnprobe", "worker", address, "--workers", 1) for _ in "ab"
    )
    wait_for(lambda: processes.said(chief).count(" joined") == 2)
    os.killpg(first.pid, signal.SIGKILL)
    assert chief.wait(180) == 0, processes.said(chief)
    assert "is not heard of; its trial is given to another" in processes.said(chief)
    assert second.wait(60) == 0
    assert table(load_sweep(run)) == expected(values_npz, 200)


def test_a_restarted_chief_goes_on_with_the_workers_of_before(
    values_npz: Path, address: str, processes: Processes, tmp_path: Path
) -> None:
    from rnnprobe import load_sweep

    run = tmp_path / "run"
    arguments = ("-c", CHIEF, values_npz, address, run, 5, 60)
    chief = processes.start(*arguments)
    worker = processes.start("-m", "rnnprobe", "worker", address, "--workers", 2)
    wait_for(lambda: processes.said(chief).count("RUN") >= 2)
    chief.kill()
    chief.wait()
    done = (run / "results.jsonl").read_bytes().count(b"\n")
    again = processes.start(*arguments)
    assert again.wait(180) == 0, processes.said(again)
    assert worker.wait(60) == 0, processes.said(worker)
    assert processes.said(again).count("RUN") == 8 - done
    assert table(load_sweep(run)) == expected(values_npz, 60)


def test_a_chief_whose_workers_are_gone_ends_and_says_so(
    values_npz: Path, address: str, processes: Processes, tmp_path: Path
) -> None:
    chief = processes.start("-c", CHIEF, values_npz, address, tmp_path / "run", 1, 4000)
    worker = processes.start("-m", "rnnprobe", "worker", address)
    wait_for(lambda: " joined" in processes.said(chief))
    os.killpg(worker.pid, signal.SIGKILL)
    assert chief.wait(60) == 1
    assert "All workers are gone: none was heard of for 2 s" in processes.said(chief)


def test_other_data_and_an_absent_chief_are_refused(
    values_npz: Path, address: str, processes: Processes, cli: Cli, tmp_path: Path
) -> None:
    chief = processes.start("-c", CHIEF, values_npz, address, tmp_path / "run", 5, 2)
    wait_for(lambda: "listening" in processes.said(chief))
    wrong = cli("worker", address, "--data", "mnist-5k")
    assert wrong.status == 2
    assert "Error: The data set 'mnist-5k' has the digest" in wrong.err
    assert "Traceback" not in wrong.err
    taken = cli("sweep", "--data", values_npz, "--listen", address)
    assert taken.status == 2
    assert "Cannot listen on" in taken.err
    chief.kill()
    with pytest.raises(TrainingError, match=f"The chief at {address} does not answer for 1 s"):
        work(address, patience=1.0, say=lambda text: None)


def test_a_chief_takes_nothing_of_another_sweep(address: str) -> None:
    """A worker of before may come back with what it trained for an experiment that is over."""
    from keras_tuner.engine.trial import Trial

    experiments = [{"fixed": {"settings": {"epochs": n}}} for n in (1, 2)]
    task = TrialTask("cell=rnn seed=0", ModelSpec("rnn"), TrainSpec(epochs=1))
    run = dead_run(task, "", "error: whatever", 1.0)
    chief = Chief(address, experiments[0], lease=5, say=lambda text: None)
    with chief:
        chief.add(task)
        assert chief.create_trial(f"w/{mark_of(experiments[1])}/1").status == "STOPPED"
        given = chief.create_trial(f"w/{mark_of(experiments[0])}/1")
        assert given.status == "RUNNING"
        for mark in map(mark_of, reversed(experiments)):
            result = json.dumps({"run": run.to_dict(), "hits": mark})
            hp = keras_tuner.HyperParameters()
            hp.values = {RESULT: result}
            chief.end_trial(Trial(hp, trial_id=f"{mark}/{task.key}", status="COMPLETED"))
        (outcome,) = chief.outcomes()
        assert isinstance(outcome, Done)
        assert outcome.value.hits == mark_of(experiments[0])
        assert chief.get_trial(given.trial_id).status == "STOPPED"
        chief._workers.clear()


def test_a_search_refuses_to_listen(values: SequenceDataset) -> None:
    from rnnprobe import Execution, tune

    with pytest.raises(ValueError, match="give `listen` to a sweep"):
        tune(values, execution=Execution(listen="127.0.0.1:1"))
