"""Time the attacks of rnnprobe against those of ART and Foolbox, on one LSTM of 64 units.

All sides run in one process, on the same model (one epoch of MNIST), the same first test pictures
and the logits; they take turns, and every change that comes back is judged by `model.predict`.
Robust is what is right before and after, as a share of all. Processor seconds are over all threads,
and change little where others use the machine. Needs full MNIST as `mnist.npz` (Keras's keys):

    pip install '.[bench]'
    python tests/benchmarks/attack_speed.py mnist.npz [--only pgd|apgd|strong]

`pgd`: 40 steps of epsilon / 10 from one random start, in linf, twice each. The first call of ours
has a new classifier, so the gradient is compiled in it; the peers compile nothing, and Foolbox runs
once more on a model that was compiled by hand, as a row beside. `apgd`: 100 steps on the
cross-entropy. `strong`: the attack of that name, on all 250.

Prediction: robust accuracies within 0.5 points of one another; ours at least 4 times as fast as
both peers in the first call and 6 times when warm; APGD 10 times as fast as ART's; `strong` in less
than 60 s.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, NamedTuple

import keras
import numpy as np

from rnnprobe import Bounds, Budget, KerasClassifier, ModelSpec, TrainSpec, load_dataset, train
from rnnprobe.attacks.apgd import APGD
from rnnprobe.attacks.pgd import PGD
from rnnprobe.attacks.strong import Strong
from rnnprobe.records import Array

EPSILONS = (0.03, 0.1)
ROUNDS = 2
TOLERANCE = 1e-6  # of a distance, which float32 rounds

Side = Callable[[], Array]
Row = tuple[str, str, str]


class Found(NamedTuple):
    """What one side came to: the share that stays right, and what it took."""

    robust: float
    seconds: float
    processor_seconds: float


class Subject:
    """The model, the pictures, and who of them is right.

    Args:
        model: Returns logits.
        x: float32 (num_examples, num_steps, num_features).
        y: int32 (num_examples,).
    """

    def __init__(self, model: keras.Model, x: Array, y: Array) -> None:
        self.model, self.x, self.y = model, x, y
        self.one_hot = np.eye(10, dtype="float32")[y]
        self.right = self.predicted(x) == y

    def take(self, number: int) -> Subject:
        """Return the first so many pictures."""
        return Subject(self.model, self.x[:number], self.y[:number])

    def predicted(self, x: Array) -> Array:
        """Return the classes that `model.predict` says."""
        return self.model.predict(x, verbose=0, batch_size=500).argmax(axis=1)

    def robust(self, changed: Array, epsilon: float) -> float:
        """Return the share of all that is right and stays right, of changes that are allowed."""
        farthest = np.abs(changed.astype("float64") - self.x).max()
        if farthest > epsilon + TOLERANCE or changed.min() < 0 or changed.max() > 1:
            raise SystemExit(f"A change of {farthest} came back, or values outside of [0, 1].")
        return float(np.mean(self.right & (self.predicted(changed) == self.y)))

    def budget(self, epsilon: float) -> Budget:
        """Return ours."""
        return Budget(epsilon, "linf", Bounds(0, 1))

    def ours(self, attack: Any, epsilon: float, classifier: KerasClassifier | None = None) -> Side:
        """Return a call of an attack of rnnprobe, with a new classifier or a given one."""

        def call() -> Array:
            given = classifier or KerasClassifier(self.model, output="logits")
            return np.asarray(attack(given, self.x, self.y, self.budget(epsilon)))

        return call

    def art(self, kind: str) -> Any:
        """Return ART's classifier of one of two kinds, on a copy compiled as it needs."""
        from art.estimators.classification import KerasClassifier as ArtKeras
        from art.estimators.classification import TensorFlowV2Classifier

        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        if kind == "KerasClassifier":
            copy = keras.models.clone_model(self.model)
            copy.set_weights(self.model.get_weights())
            copy.compile("adam", loss)
            return ArtKeras(copy, use_logits=True, clip_values=(0.0, 1.0))
        return TensorFlowV2Classifier(
            self.model,
            nb_classes=10,
            input_shape=self.x.shape[1:],
            clip_values=(0.0, 1.0),
            loss_object=loss,
        )

    def art_pgd(self, kind: str, epsilon: float) -> Side:
        """Return a call of ART's projected gradient descent."""
        from art.attacks.evasion import ProjectedGradientDescent

        attack = ProjectedGradientDescent(
            self.art(kind),
            eps=epsilon,
            eps_step=epsilon / 10,
            max_iter=40,
            num_random_init=1,
            batch_size=len(self.x),
            verbose=False,
        )
        return lambda: np.asarray(attack.generate(self.x, self.one_hot))

    def foolbox_pgd(self, epsilon: float, *, compiled: bool) -> Side:
        """Return a call of Foolbox's, on the model or on a compiled one."""
        import foolbox
        import tensorflow as tf

        forward = tf.function(self.model) if compiled else self.model
        model = foolbox.TensorFlowModel(forward, bounds=(0, 1))
        attack = foolbox.attacks.LinfPGD(rel_stepsize=0.1, steps=40)

        def call() -> Array:
            # With labels of int32 it asks NumPy for a function that NumPy 2 no longer has.
            labels = tf.constant(self.y, tf.int64)
            return attack(model, tf.constant(self.x), labels, epsilons=epsilon)[1].numpy()

        return call


def trained(data: str, cell: str) -> keras.Model:
    """Train 64 units for one epoch, in a process of its own.

    Training makes TensorFlow deterministic for the rest of a process, which would slow all sides
    and which Foolbox's random numbers do not bear.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/model.keras"
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            pool.submit(train_and_save, data, cell, path).result()
        return keras.saving.load_model(path)


def train_and_save(data: str, cell: str, path: str) -> None:
    """Train, in the other process."""
    train(load_dataset(data), ModelSpec(cell=cell, units=64), TrainSpec(epochs=1)).model.save(path)


def measure(subject: Subject, sides: dict[str, Side], epsilon: float) -> dict[str, Found]:
    """Run all sides in a random order, twice; return their medians."""
    runs: dict[str, list[Found]] = {name: [] for name in sides}
    for number in range(ROUNDS):
        for name in random.Random(number).sample(list(sides), len(sides)):
            started, worked = time.perf_counter(), time.process_time()
            changed = sides[name]()
            spent = time.perf_counter() - started, time.process_time() - worked
            runs[name].append(Found(subject.robust(changed, epsilon), *spent))
    print(f"| side, epsilon {epsilon} | robust | seconds | processor seconds |\n|:--|--:|--:|--:|")
    for name, found in runs.items():
        rates, *times = zip(*found, strict=True)
        shown = [" / ".join(f"{seconds:.2f}" for seconds in column) for column in times]
        print(f"| {name} | {' / '.join(f'{100 * r:.1f}' for r in rates)} % | {' | '.join(shown)} |")
    print()
    return {
        name: Found(*(statistics.median(column) for column in zip(*found, strict=True)))
        for name, found in runs.items()
    }


def compared(
    what: str, found: dict[str, Found], peers: tuple[str, ...], asked: dict[str, int]
) -> list[Row]:
    """Return the rows of the last table about sides that did the same."""
    lowest = min(found[name].robust for name in peers)
    above = 100 * (max(found[name].robust for name in asked) - lowest)
    rows = [(f"{what}: robust, ours less the best peer's", "at most 0.5 points", f"{above:+.1f}")]
    fastest = min(peers, key=lambda name: found[name].seconds)
    for name, ratio in asked.items():
        times, work = (
            f"{getattr(found[fastest], field) / getattr(found[name], field):.1f}"
            for field in ("seconds", "processor_seconds")
        )
        title = f"{what}: {name} against {fastest}"
        rows.append((title, f"at least {ratio} times", f"{times} ({work} of processor time)"))
    return rows


def pgd(subject: Subject) -> list[Row]:
    """Measure PGD on 500 pictures."""
    rows = []
    attack = PGD(steps=40, step_size=0.1)
    peers = ("ART KerasClassifier", "ART TensorFlowV2Classifier", "Foolbox")
    for epsilon in EPSILONS:
        warm = KerasClassifier(subject.model, output="logits")
        subject.ours(attack, epsilon, warm)()
        sides = {
            peers[0]: subject.art_pgd("KerasClassifier", epsilon),
            peers[1]: subject.art_pgd("TensorFlowV2Classifier", epsilon),
            peers[2]: subject.foolbox_pgd(epsilon, compiled=False),
            "Foolbox, compiled by hand": subject.foolbox_pgd(epsilon, compiled=True),
            "rnnprobe, first call": subject.ours(attack, epsilon),
            "rnnprobe, warm": subject.ours(attack, epsilon, warm),
        }
        found = measure(subject, sides, epsilon)
        asked = {"rnnprobe, first call": 4, "rnnprobe, warm": 6}
        rows += compared(f"PGD-40, epsilon {epsilon}", found, peers, asked)
    return rows


def apgd(subject: Subject) -> list[Row]:
    """Measure Auto-PGD on 250 pictures."""
    from art.attacks.evasion import AutoProjectedGradientDescent

    subject, epsilon = subject.take(250), EPSILONS[0]
    theirs = AutoProjectedGradientDescent(
        subject.art("TensorFlowV2Classifier"),
        eps=epsilon,
        eps_step=2 * epsilon,
        max_iter=100,
        nb_random_init=1,
        batch_size=len(subject.x),
        loss_type="cross_entropy",
        verbose=False,
    )
    sides = {
        "ART": lambda: np.asarray(theirs.generate(subject.x, subject.one_hot)),
        "rnnprobe, first call": subject.ours(APGD(steps=100), epsilon),
    }
    found = measure(subject, sides, epsilon)
    return compared("APGD-100", found, ("ART",), {"rnnprobe, first call": 10})


def strong(subject: Subject) -> list[Row]:
    """Measure the strong attacks in turn on 250 pictures."""
    subject, epsilon = subject.take(250), EPSILONS[0]
    sides = {"rnnprobe, first call": subject.ours(Strong(), epsilon)}
    found = measure(subject, sides, epsilon)["rnnprobe, first call"]
    return [("strong, 250 pictures", "less than 60 s", f"{found.seconds:.1f} s")]


def main() -> None:
    """Print what each side took, then what was asked and what came out, as Markdown."""
    parts = {"pgd": pgd, "apgd": apgd, "strong": strong}
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", help="mnist.npz")
    parser.add_argument("--only", choices=parts, help="one part (default: all)")
    arguments = parser.parse_args()
    test = load_dataset(arguments.data).test
    subject = Subject(trained(arguments.data, "lstm"), test.x[:500], test.y[:500])
    print(f"Right as they are: {100 * subject.right.mean():.1f} % of {len(subject.x)}.\n")
    rows: list[Row] = []
    for name, part in parts.items():
        if arguments.only in (None, name):
            rows += part(subject)
    print("| figure | asked | came out |\n|:--|:--|--:|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
