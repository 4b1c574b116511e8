"""Two small experiments, their runs written by hand, and what to read of their reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnnprobe.experiments._claims import Best, Higher
from rnnprobe.experiments._record import Cell, Experiment, Measure, listing, pivot
from rnnprobe.experiments._reproduce import Measured, Part, Plan, Reproduction
from rnnprobe.records import SequenceDataset, Split
from rnnprobe.specs import ModelSpec, Run, TrainSpec
from rnnprobe.table import Report, Table

DEAD = "oom: asked for 9 GB"


def run_of(seed: int, seconds: float = 2.0, message: str = "", **metrics: float) -> Run:
    return Run(
        dataset_digest="d",
        model=ModelSpec(),
        train=TrainSpec(seed=seed),
        status="dnf" if message else "ok",
        history={},
        metrics=metrics,
        seconds=seconds,
        peak_memory=None,
        parameters=7,
        versions={},
        message=message,
    )


def dataset_of(name: str = "digits", sizes: tuple[int, int, int] = (30, 20, 100)) -> Any:
    parts = [Split(np.zeros((size, 2, 1), np.float32), np.zeros(size, np.int32)) for size in sizes]
    return SequenceDataset(name, *parts, class_names=("a", "b"), digest=f"digest-of-{name}")


GRID = Experiment(
    name="grid",
    title="units by rate",
    source="a report",
    dataset="mnist",
    settings={"cell": "lstm", "epochs": 3},
    cells=pivot(
        "units",
        "learning_rate",
        "test_accuracy",
        """
           1e-3  1e-1
        8  .5000 .9000
        16 .7000   DNF
        """,
    ),
    rows=("units",),
    columns=("learning_rate",),
    measures=(Measure("test_accuracy", "Test", digits=4),),
    claims=(
        Higher("Large is | better", over={"units": 16}, under={"units": 8, "learning_rate": 1e-3}),
        Best("Small at .1 is best", is_at={"units": 8, "learning_rate": 1e-1}, read_off=True),
    ),
    given=("Some <b>bold</b> words",),
    chosen=("Adam.",),
)
TWIN = replace(
    GRID,
    cells=tuple(
        Cell(cell.settings, {"test_accuracy": value})
        for cell, value in zip(GRID.cells, (0.52, 0.40, 0.71, 0.11), strict=True)
    ),
)
LONG = Experiment(
    name="long",
    title="by batch",
    source="a report",
    dataset="names",
    settings={"cell": "lstm", "epochs": 3, "units": 4},
    cells=listing(
        "batch_size optimizer",
        ("best_val_loss", "test_accuracy"),
        """
        16 adam .6000 .80
        32 sgd      - .70
        """,
    ),
    rows=("batch_size", "optimizer"),
    columns=(),
    measures=(
        Measure("test_accuracy", "test", digits=2),
        Measure("best_val_loss", "val. loss", 0.1, relative=True, counted=None, digits=None),
    ),
    claims=(),
    given=(),
    chosen=(),
    splits=("lines", None),
)

Runs = Sequence[Sequence[Run]]


def reproduction_of(
    experiment: Experiment,
    *runs: Runs,
    datasets: Sequence[SequenceDataset] | None = None,
    **settings: Any,
) -> Reproduction:
    """Return a reproduction with the runs of each cell, by split."""
    plan = Plan(experiment, **{"repeats": max(len(one) for one in runs[0]) or 1, **settings})
    datasets = datasets or [dataset_of(f"digits-{place}") for place in range(len(runs))]
    parts = [
        Part(
            split,
            dataset,
            tuple(Measured(cell, tuple(own)) for cell, own in zip(plan.cells, cells, strict=True)),
        )
        for split, dataset, cells in zip(experiment.splits, datasets, runs, strict=True)
    ]
    return Reproduction(plan, tuple(parts))


def accuracies(*values: float) -> list[Run]:
    return [run_of(seed, test_accuracy=value) for seed, value in enumerate(values)]


def seed_runs(losses: Sequence[float], values: Sequence[float]) -> list[Run]:
    return [
        replace(run, history={"val_loss": [9.0, loss, 5.0]})
        for run, loss in zip(accuracies(*values), losses, strict=True)
    ]


def table(report: Report, key: str) -> Table:
    return next(part.tables[key] for part in report.sections if key in part.tables)


def sentence(report: Report, key: str) -> str:
    return next(one.sentence for one in report.findings if one.key == key)


def value(report: Report, key: str) -> Any:
    return next(one.value for one in report.findings if one.key == key)


def keys(report: Report) -> set[str]:
    return {finding.key for finding in report.findings}


def three_runs() -> Reproduction:
    """One cell agrees, one is off within noise, one differs, of one a run died."""
    return reproduction_of(
        GRID,
        [
            accuracies(0.50, 0.51, 0.55),
            accuracies(0.70, 0.95, 0.70),
            accuracies(0.50, 0.51, 0.52),
            [*accuracies(0.20, 0.30), run_of(2, message=DEAD)],
        ],
    )


def two_splits() -> Reproduction:
    return reproduction_of(
        LONG,
        [seed_runs((0.6, 0.62), (0.80, 0.84)), seed_runs((0.5, 0.51), (0.70, 0.72))],
        [seed_runs((0.7, 0.75), (0.70, 0.78)), seed_runs((0.9, 0.91), (0.60, 0.60))],
    )
