"""The attacked examples in a file: arrays, or one line an example."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from rnnprobe._archive import save_arrays
from rnnprobe._files import write_text
from rnnprobe.attacks._run import Robustness
from rnnprobe.attacks._study import AttackStudy
from rnnprobe.records import SequenceDataset

HEAD = ("example", "true", "predicted", "target", "norm", "epsilon", "attack", "fooled", "distance")


def export_examples(path: Path, study: AttackStudy, dataset: SequenceDataset) -> None:
    """Write what the attacks left of each example.

    An `.npz` holds `x`, `y`, `clean_predictions`, where there are targets `targets`, and for each
    norm `epsilon_NORM` (num_radii,), and by radius the worst case: `examples_NORM` (num_radii,
    num_examples, ...), `fooled_NORM` and `distance_NORM` (num_radii, num_examples), the distance
    from `x`. A CSV has a line for each example, radius and attack.

    Args:
        path: Ends with `.npz` or `.csv`.
        study: What was found.
        dataset: The data, for the names of the classes.

    Raises:
        OutputError: The file cannot be written.
    """
    if path.suffix == ".csv":
        write_text(path, _lines(study, dataset))
        return
    first = study.outcomes[0]
    arrays: dict[str, Any] = {
        "x": study.split.x,
        "y": study.split.y,
        "clean_predictions": first.clean_predictions,
    }
    if first.targets is not None:
        arrays["targets"] = first.targets
    for outcome in study.outcomes:
        norm = outcome.budgets[0].norm
        arrays[f"epsilon_{norm}"] = np.array([budget.epsilon for budget in outcome.budgets])
        arrays[f"examples_{norm}"] = outcome.examples
        arrays[f"fooled_{norm}"] = outcome.worst
        arrays[f"distance_{norm}"] = np.where(outcome.worst, outcome.worst_nearest, 0)
    save_arrays(path, arrays, "rnnprobe.attack-examples/1", {"digest": dataset.digest})


def _lines(study: AttackStudy, dataset: SequenceDataset) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for outcome in study.outcomes:
        writer.writerows(_rows(outcome, dataset.class_names))
    return text.getvalue()


def _rows(outcome: Robustness, names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    y, clean, targets = outcome.split.y, outcome.clean_predictions, outcome.targets
    rows: list[tuple[Any, ...]] = []
    for example in range(len(y)):
        target = "" if targets is None else names[targets[example]]
        lead = (example, names[y[example]], names[clean[example]], target)
        for index, budget in enumerate(outcome.budgets):
            for attack, fooled in outcome.fooled.items():
                hit = bool(fooled[index, example])
                distance = float(outcome.nearest[attack][example]) if hit else ""
                rows.append((*lead, budget.norm, budget.epsilon, attack, int(hit), distance))
    return rows
