"""How sweeps scale: with workers, with the number of trials, and what the parent takes.

    python tests/benchmarks/sweep_scaling.py

Prints three Markdown tables: 24 equal trials on 1 and 2 workers (twice each, taking turns), the
cost of a trial that does nothing among 10, 100 and 1,000, and the parent's memory over 60 trials.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from rnnprobe import Execution, SearchSpace, load_dataset, sweep
from rnnprobe.journal import Journal
from rnnprobe.search.pool import Done, Pool
from rnnprobe.search.task import TrialOutcome, TrialTask, dead_run, outcome_entry
from rnnprobe.specs import ModelSpec, TrainSpec


class Nothing(NamedTuple):
    """A task that costs nothing but the way there and back."""

    number: int
    rank: int = 0
    affinity: str = ""


def do_nothing(context: str) -> Callable[[Nothing], tuple[Any, bool]]:
    """Start a child that answers with a result of the usual size."""
    task = TrialTask("", ModelSpec(), TrainSpec())

    def work(nothing: Nothing) -> tuple[Any, bool]:
        return TrialOutcome(
            dead_run(task, context, f"nothing: {nothing.number}", 0.0), "0" * 1250
        ), False

    return work


def resident() -> float:
    """Return this process's resident memory in MB."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 2**10


def workers_table() -> None:
    """Print the time of 24 equal trials on 1 and 2 workers."""
    dataset = load_dataset("mnist-5k")
    space = SearchSpace(cell="lstm", units=64)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(2):
        for workers, spent in seconds.items():
            started = time.perf_counter()
            sweep(
                dataset, space, repeats=24, epochs=6,
                execution=Execution(workers=workers),
            )  # fmt: skip
            spent.append(time.perf_counter() - started)
    print("| workers | 24 trials | ratio |\n|--:|:--|:--|")
    for workers, spent in seconds.items():
        ratios = " and ".join(f"{a / b:.2f}" for a, b in zip(seconds[1], spent, strict=True))
        print(f"| {workers} | {' and '.join(f'{s:.1f} s' for s in spent)} | {ratios} |")


def trials_table() -> None:
    """Print what a trial that does nothing costs, fsync included, among more and more."""
    print("\n| no-op trials | ms a trial |\n|--:|--:|")
    for number in (10, 100, 1000):
        with (
            tempfile.TemporaryDirectory() as folder,
            Journal(
                Path(folder) / "run", {"command": "nothing", "fixed": {}}, resume=False
            ) as journal,
            Pool("sweep_scaling:do_nothing", "", workers=2) as pool,
        ):
            pool.add(Nothing(-1))
            list(pool.outcomes())  # the children are there
            for count in range(number):
                pool.add(Nothing(count))
            started = time.perf_counter()
            for outcome in pool.outcomes():
                assert isinstance(outcome, Done), outcome
                task = TrialTask(str(outcome.task.number), ModelSpec(), TrainSpec())
                journal.append(outcome_entry(Done(task, outcome.value), ""))
            spent = time.perf_counter() - started
        print(f"| {number:,} | {1000 * spent / number:.2f} |")


def memory_table() -> None:
    """Print the parent's memory over 60 trials."""
    dataset = load_dataset("mnist-5k", limit_examples=200)
    memory: list[float] = []
    sweep(
        dataset, SearchSpace(cell="rnn", units=tuple(range(2, 22))), repeats=3,
        epochs=1, on_run=lambda *_: memory.append(resident()),
    )  # fmt: skip
    grown = (memory[-1] - memory[0]) / (len(memory) - 1)
    print("\n| after trial | parent, MB |\n|--:|--:|")
    for trial in (1, 20, 40, 60):
        print(f"| {trial} | {memory[trial - 1]:.1f} |")
    print(f"\n{grown:.3f} MB a trial")


def main() -> None:
    """Print the three tables."""
    workers_table()
    trials_table()
    memory_table()


if __name__ == "__main__":
    # As a module of its own, or children could not find what is defined here.
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    importlib.import_module("sweep_scaling").main()
