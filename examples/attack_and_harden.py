"""Can an LSTM be made harder to fool, by how much, and at what price?

We attack an LSTM that reads digits, and go on training it on adversarial pictures, which PGD makes
afresh against every batch. More training alone might help too, so a control makes as many updates
on the same pictures as they are. Then each is attacked anew, by attacks that know it; a picture
counts as right where it withstands all of them, and a stronger one may find more. Both are trained
five times, in another order each, so that a lucky run is not taken for a defence.

Run it by `python examples/attack_and_harden.py`; on two cores it takes three minutes.
"""

from typing import Any

import numpy as np

import rnnprobe
from rnnprobe.attacks.noise import Noise
from rnnprobe.attacks.pgd import PGD
from rnnprobe.statistics import wilson_interval

EPSILON = 0.03  # what a pixel may change by, of 1


def main(data: Any = "mnist-5k", units: int = 32, epochs: int = 8, repeats: int = 5) -> None:
    """Train, attack, harden, attack again."""
    dataset = rnnprobe.load_dataset(data)
    settings = rnnprobe.TrainSpec(learning_rate=0.003, epochs=epochs)
    _, model = rnnprobe.train(dataset, rnnprobe.ModelSpec("lstm", units=units), settings)
    classifier = rnnprobe.KerasClassifier(model)

    budgets = [rnnprobe.Budget(e, "linf", dataset.bounds) for e in (EPSILON / 3, EPSILON, 0.1)]
    attacks = {"noise": Noise(), "pgd": PGD()}
    outcome = rnnprobe.evaluate_attacks(attacks, classifier, dataset.test, budgets)
    for attack, fooled in outcome.fooled.items():
        for budget, found in zip(outcome.budgets, fooled, strict=True):
            left = share(outcome.right & ~found)
            print(f"right under {attack}, pixels changed by {budget.epsilon:g}: {left}")

    budget = budgets[1]
    hardened = rnnprobe.harden(classifier, dataset, budget, ("pgd",), repeats=repeats)
    print(f"after {hardened.num_updates} more updates, pixels changed by {budget.epsilon:g}:")
    for name, row in hardened.rows.items():
        clean, robust = (spread([one.hits(what) for one in row]) for what in ("clean", "adaptive"))
        print(f"  {name}: right {clean}, under all attacks together {robust}")
    for one in hardened.comparisons():  # the p-values of all of them are adjusted by Holm
        difference, low, high = one.paired[:3]
        verdict = {1: "better", 0: "no difference that can be told", -1: "worse"}[one.sign]
        print(
            f"{one.first} less {one.second}, {one.measure}: {difference:+.3f} [{low:+.3f}, "
            f"{high:+.3f}], p = {one.p_holm:.2g}, {verdict}"
        )


def share(right: np.ndarray) -> str:
    """Write a share of pictures with its 95 % interval and the counts behind it."""
    low, high = wilson_interval(int(right.sum()), len(right))
    return f"{right.mean():.3f} [{low:.3f}, {high:.3f}] ({right.sum()} of {len(right)})"


def spread(repeats: list[np.ndarray]) -> str:
    """Write the mean share of several runs with its standard deviation; of one, its interval."""
    if len(repeats) == 1:
        return share(repeats[0])
    shares = [right.mean() for right in repeats]
    return f"{np.mean(shares):.3f} ± {np.std(shares, ddof=1):.3f} (n = {len(shares)})"


if __name__ == "__main__":
    main()
