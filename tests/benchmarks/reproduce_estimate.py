"""Set the seconds that `reproduce` estimates of a run beside those that it takes.

Two trials at once on the embedded digits, with few updates. A machine that does something else
takes longer. Takes two minutes:

    python tests/benchmarks/reproduce_estimate.py

Prediction: each ratio of seconds lies in [1/3, 3] on two cores that have nothing else to do.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from rnnprobe import ModelSpec, TrainSpec, load_dataset
from rnnprobe.experiments._cost import run_cost
from rnnprobe.experiments._shapes import Shape
from rnnprobe.search.pool import start_server
from rnnprobe.search.runs import Entry, open_runs
from rnnprobe.search.task import Execution, TrialTask, experiment
from rnnprobe.specs import Run

SETTINGS: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({"cell": "lstm", "units": 16}, {"batch_size": 100, "steps": 999}),
    ({"cell": "lstm", "units": 128}, {"batch_size": 100, "steps": 300}),
    ({"cell": "lstm", "units": 512}, {"batch_size": 100, "steps": 50}),
    ({"cell": "lstm", "units": 1024}, {"batch_size": 100, "steps": 20}),
    ({"cell": "gru", "units": 128}, {"batch_size": 100, "steps": 300}),
    ({"cell": "rnn", "units": 128}, {"batch_size": 32, "steps": 1500}),
    ({"cell": "rnn", "units": 128}, {"batch_size": 256, "steps": 400}),
    ({"cell": "rnn", "units": 512}, {"batch_size": 256, "steps": 100}),
    ({"cell": "lstm", "units": 200, "layers": 2}, {"batch_size": 10, "steps": 200}),
    ({"cell": "cnn-relu"}, {"batch_size": 50, "steps": 150}),
)


def main() -> None:
    """Print one line a run."""
    start_server()
    dataset = load_dataset("mnist-5k")
    shape = Shape.of(dataset)
    tasks = [
        TrialTask(str(number), ModelSpec(**model), TrainSpec(**train))
        for number, (model, train) in enumerate(SETTINGS)
    ]
    print(f"Load of the machine before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores\n")
    print("| run | estimated s | measured s | ratio | estimated MB |")
    print("|:--|--:|--:|--:|--:|")

    def tell(entry: Entry, done: int) -> None:
        del done
        run = Run.from_dict(entry["run"])
        model, train = SETTINGS[int(entry["key"])]
        cost = run_cost(run.model, run.train, shape)
        text = ", ".join(f"{name} {value}" for name, value in {**model, **train}.items())
        print(
            f"| {text} | {cost.seconds:.1f} | {run.seconds:.1f} | "
            f"{run.seconds / cost.seconds:.2f} | {cost.memory / 1e6:.0f} |",
            flush=True,
        )

    with tempfile.TemporaryDirectory() as folder:
        execution = Execution(workers=2, run_dir=Path(folder, "run"))
        described = experiment("benchmark", {}, {}, 0, dataset)
        with open_runs(dataset, described, execution, tell) as runs:
            runs.make(tasks)


if __name__ == "__main__":
    main()
