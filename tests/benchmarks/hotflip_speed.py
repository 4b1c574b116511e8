"""Time the exact one-edit robust accuracy of an LSTM on 3,000 names, against a plain loop.

The loop asks the model about every replacement, one name at a time, and stops at nothing; it is
run on 200 of the names that the model gets right. Needs a folder of names, one file a language:

    python tests/benchmarks/hotflip_speed.py names/
"""

from __future__ import annotations

import sys
import time

import numpy as np

from rnnprobe import Bounds, Budget, KerasClassifier, ModelSpec, TrainSpec, load_dataset, train
from rnnprobe.attacks.hotflip import HotFlip, shortlist_recall, single_edits
from rnnprobe.losses import Loss
from rnnprobe.statistics import wilson_interval

NAMES, SUBSET, EPOCHS, RATE, UNITS = 3000, 200, 3, 3e-3, 64


class Counting:
    """A classifier that counts the sequences it is asked about."""

    def __init__(self, inner: KerasClassifier) -> None:
        self.num_classes = inner.num_classes
        self.embedding_matrix, self.counted_steps = inner.embedding_matrix, inner.counted_steps
        self._inner = inner
        self.asked = 0

    def logits(self, x: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        self.asked += len(x)
        return self._inner.logits(x, mask)

    def loss_gradient(
        self, x: np.ndarray, loss: Loss, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        self.asked += len(x)
        return self._inner.loss_gradient(x, loss, mask)


def brute_force(model: KerasClassifier, x: np.ndarray, y: np.ndarray, budget: Budget) -> list[bool]:
    """Return whether any replacement flips each name, by asking about all of them."""
    flipped = []
    tokens = range(int(budget.bounds.lower), int(budget.bounds.upper) + 1)
    for row, label in zip(x, y, strict=True):
        points = []
        for step in np.flatnonzero(row):
            for token in tokens:
                if token != row[step]:
                    points.append(row.copy())
                    points[-1][step] = token
        flipped.append(bool((model.logits(np.stack(points)).argmax(axis=1) != label).any()))
    return flipped


def main(folder: str) -> None:
    """Print seconds, queries, robust accuracy, recall and the comparison as Markdown."""
    dataset = load_dataset(folder)
    spec = TrainSpec(learning_rate=RATE, epochs=EPOCHS)
    model = KerasClassifier(train(dataset, ModelSpec("lstm", units=UNITS), spec).model)
    parts = (dataset.test, dataset.validation)
    x = np.concatenate([part.x for part in parts])[:NAMES]
    y = np.concatenate([part.y for part in parts])[:NAMES]
    budget = Budget(1, "edits", Bounds(2, dataset.num_tokens - 1))
    right = model.logits(x).argmax(axis=1) == y
    rows = []
    for run in ("first", "second"):
        counting = Counting(model)
        started = time.perf_counter()
        changed = HotFlip()(counting, x, y, budget)
        seconds = time.perf_counter() - started
        rows.append((f"seconds, {run} run", f"{seconds:.1f}"))
    robust = int((model.logits(changed).argmax(axis=1) == y).sum())
    low, high = wilson_interval(robust, len(y))
    recall = shortlist_recall(model, x, y, budget)
    found = wilson_interval(recall.found, recall.flippable)
    started = time.perf_counter()
    tables = single_edits(model, x, y, budget)
    tables_seconds = time.perf_counter() - started
    withstand = right & ~tables.position_hits.any(axis=1)
    rows += [
        ("names attacked", f"{right.sum()} right of {len(y)}"),
        ("mean queries a name", f"{counting.asked / len(y):.0f}"),
        ("clean accuracy", f"{right.mean():.3f}"),
        ("one-edit robust accuracy", f"{robust / len(y):.3f} [{low:.3f}, {high:.3f}]"),
        ("of these exact", f"{tables.exact.mean():.3f}"),
        ("shortlist recall", f"{recall.share:.3f} [{found[0]:.3f}, {found[1]:.3f}]"),
        ("seconds of `single_edits`", f"{tables_seconds:.1f}"),
        ("mean queries of `single_edits`", f"{tables.queries.mean():.0f}"),
        ("`single_edits` counts as many robust", f"{int(withstand.sum()) == robust}"),
    ]
    subset = np.flatnonzero(right)[:SUBSET]
    started = time.perf_counter()
    changed = HotFlip()(model, x[subset], y[subset], budget)
    ours = time.perf_counter() - started
    flipped = model.logits(changed).argmax(axis=1) != y[subset]
    started = time.perf_counter()
    same = (flipped == brute_force(model, x[subset], y[subset], budget)).all()
    plain = time.perf_counter() - started
    rows += [
        (f"plain loop on {len(subset)} names, seconds", f"{plain:.1f}"),
        (f"HotFlip on {len(subset)} names, seconds", f"{ours:.1f} (ratio {plain / ours:.1f})"),
        ("the same names flipped", f"{same}"),
    ]
    print("| what | measured |\n|:--|--:|")
    print("\n".join(f"| {what} | {measured} |" for what, measured in rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
