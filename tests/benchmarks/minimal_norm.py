"""Compare the minimal-norm attack of rnnprobe with three others, on three cells and in both norms.

The others: DDN (decoupled direction and norm, l2), nine bisections of the radius of PGD-20, both
in plain NumPy on rnnprobe's gradient, and Foolbox's LinfFMN of 100 steps, on the first 32 pictures
alone, since it is slow; ours is then compared on these too. The models have 64 units and are
trained for one epoch of MNIST; distances are over the pictures that are right as they are, and each
counts only where `model.predict` errs. Needs full MNIST as `mnist.npz` (Keras's keys):

    pip install '.[bench]'
    python tests/benchmarks/minimal_norm.py mnist.npz [--cells lstm gru rnn]

Prediction: ours finds a change for every picture, of a median at most 1.02 of the best other's.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from attack_speed import trained

from rnnprobe import Bounds, Budget, KerasClassifier, load_dataset
from rnnprobe.attacks.minimal_norm import MinimalNorm
from rnnprobe.losses import CrossEntropy, Margin
from rnnprobe.records import Array

NUM_EXAMPLES, NUM_FOOLBOX = 200, 32
LARGEST = {"linf": 0.3, "l2": 3.0}  # where bisection starts
TINY = 1e-12


class Found(NamedTuple):
    """What one attack came to on the pictures that are right as they are."""

    name: str
    distances: Array
    seconds: float | None

    @property
    def row(self) -> str:
        """The share found, median and mean of the distances, seconds."""
        there = self.distances[np.isfinite(self.distances)]
        seconds = "" if self.seconds is None else f"{self.seconds:.1f}"
        return (
            f"{self.name} | {len(self.distances)} | {100 * len(there) / len(self.distances):.1f} % "
            f"| {np.median(self.distances):.4f} | {there.mean():.4f} | {seconds}"
        )


def length(difference: Array, norm: str) -> Array:
    """Return float64 (num_examples,), the norm of each difference."""
    flat = difference.reshape(len(difference), -1).astype("float64")
    return np.abs(flat).max(axis=1) if norm == "linf" else np.sqrt(np.square(flat).sum(axis=1))


def wide(values: Array) -> Array:
    """Return float32 (num_examples, 1, 1)."""
    return np.asarray(values, "float32")[:, np.newaxis, np.newaxis]


def unit(gradient: Array, norm: str) -> Array:
    """Return the direction of steepest ascent."""
    if norm == "linf":
        return np.sign(gradient)
    return gradient / wide(np.maximum(length(gradient, "l2"), TINY))


def within(x: Array, points: Array, radius: Array, norm: str) -> Array:
    """Return points projected to balls of one radius each, then to [0, 1]."""
    change = points - x
    if norm == "linf":
        change = np.clip(change, -wide(radius), wide(radius))
    else:
        change = change * wide(np.minimum(1, radius / np.maximum(length(change, "l2"), TINY)))
    return np.clip(x + change, 0, 1).astype("float32")


def ddn(classifier: KerasClassifier, x: Array, y: Array) -> Array:
    """Return the nearest points by DDN: 100 steps from radius 1, gamma 0.05, the l2 norm."""
    points, nearest = x, x.copy()
    best, radius = np.full(len(x), np.inf), np.ones(len(x))
    for step in range(101):
        logits, gradient = classifier.loss_gradient(points, CrossEntropy(y))
        fooled, far = logits.argmax(axis=1) != y, length(points - x, "l2")
        better = fooled & (far < best)
        best[better], nearest[better] = far[better], points[better]
        rate = 0.01 + 0.99 * (1 + math.cos(math.pi * step / 100)) / 2
        radius = radius * np.where(fooled, 0.95, 1.05)
        change = points + np.float32(rate) * unit(gradient, "l2") - x
        change *= wide(radius / np.maximum(length(change, "l2"), TINY))
        points = np.clip(x + change, 0, 1).astype("float32")
    return nearest


def bisected_pgd(classifier: KerasClassifier, x: Array, y: Array, norm: str) -> Array:
    """Return the points of PGD of 20 steps at the smallest of nine bisected radii that fooled."""
    low, high, nearest = np.zeros(len(x)), np.full(len(x), LARGEST[norm]), x.copy()
    for _ in range(9):
        radius, points, fooled = (low + high) / 2, x, np.zeros(len(x), bool)
        for step in range(21):
            logits, gradient = classifier.loss_gradient(points, Margin(y))
            first = (logits.argmax(axis=1) != y) & ~fooled
            nearest[first], fooled = points[first], fooled | first
            # From twice the radius, cut off by the ball, down to a twentieth of it.
            size = radius * 2 * (1 - 0.9 * step / 20) / (4 if step else 1)
            points = within(x, points + wide(size) * unit(gradient, norm), radius, norm)
        low, high = np.where(fooled, low, radius), np.where(fooled, radius, high)
    return nearest


def foolbox_fmn(model: keras.Model, x: Array, y: Array) -> Array:
    """Return the nearest points by Foolbox, in the linf norm."""
    import foolbox
    import tensorflow as tf

    attack = foolbox.attacks.LInfFMNAttack(steps=100)
    wrapped = foolbox.TensorFlowModel(model, bounds=(0, 1))
    changed = attack(wrapped, tf.constant(x), tf.constant(y, tf.int64), epsilons=None)[1]
    return np.asarray(changed.numpy())


def attacks(model: keras.Model, norm: Any) -> dict[str, Callable[[Array, Array], Array]]:
    """Return the attacks of one norm by name; all of ours share one compiled classifier."""
    classifier = KerasClassifier(model, output="logits")
    budget = Budget(math.inf, norm, Bounds(0, 1))
    found: dict[str, Callable[[Array, Array], Array]] = {
        "rnnprobe": lambda x, y: MinimalNorm()(classifier, x, y, budget),
        "bisected PGD-20": lambda x, y: bisected_pgd(classifier, x, y, norm),
    }
    if norm == "l2":
        found["DDN"] = lambda x, y: ddn(classifier, x, y)
    else:
        found["Foolbox LinfFMN"] = lambda x, y: foolbox_fmn(model, x, y)
    return found


def measure(model: keras.Model, x: Array, y: Array, norm: str) -> list[Found]:
    """Run all attacks of one norm; the ones that are compared on few pictures come last."""
    right = model.predict(x, verbose=0).argmax(axis=1) == y
    few = right.copy()
    few[NUM_FOOLBOX:] = False
    found = []
    for name, attack in attacks(model, norm).items():
        rows = few if name.startswith("Foolbox") else right
        started = time.perf_counter()
        changed = attack(x[rows], y[rows])
        seconds = time.perf_counter() - started
        fooled = model.predict(changed, verbose=0).argmax(axis=1) != y[rows]
        inside = (changed.min() >= 0) & (changed.max() <= 1)
        far = np.where(fooled & inside, length(changed - x[rows], norm), np.inf)
        found.append(Found(name, far, seconds))
    if norm == "linf":
        found.append(Found("rnnprobe, of these", found[0].distances[: few.sum()], None))
    return found


def ratio(found: list[Found]) -> float:
    """Return our median as a share of the best other's, each on the same pictures; the worse."""
    medians = {one.name: float(np.median(one.distances)) for one in found}
    others = ("bisected PGD-20", "DDN")
    ratios = [medians["rnnprobe"] / min(medians[name] for name in others if name in medians)]
    if "Foolbox LinfFMN" in medians:
        ratios.append(medians["rnnprobe, of these"] / medians["Foolbox LinfFMN"])
    return max(ratios)


def main() -> None:
    """Print what each attack found, then what was asked and what came out, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", help="mnist.npz")
    parser.add_argument("--cells", nargs="+", default=["lstm", "gru", "rnn"], help="of the models")
    arguments = parser.parse_args()
    test = load_dataset(arguments.data).test
    x, y = test.x[:NUM_EXAMPLES], test.y[:NUM_EXAMPLES]
    asked = []
    print("| cell | norm | attack | pictures | found | median | mean | seconds |")
    print("|:--|:--|:--|--:|--:|--:|--:|--:|")
    for cell in arguments.cells:
        model = trained(arguments.data, cell)
        for norm in LARGEST:
            found = measure(model, x, y, norm)
            for one in found:
                print(f"| {cell} | {norm} | {one.row} |", flush=True)
            share = 100 * np.isfinite(found[0].distances).mean()
            asked.append(f"| {cell}, {norm}: found | 100 % | {share:.1f} % |")
            asked.append(f"| {cell}, {norm}: median | at most 1.02 | {ratio(found):.3f} |")
    print("\n| figure | asked | came out |\n|:--|:--|--:|")
    print("\n".join(asked))


if __name__ == "__main__":
    main()
