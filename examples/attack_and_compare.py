"""Which is fooled more easily, an LSTM or a SimpleRNN, and by how few rows of a picture?

Both read the same digits row by row. The strongest gradient attack we have changes all pixels a
little; another looks for the smallest change that fools; a third may change only some rows, by 0.1
at most. A stronger attack may find more: what is left is at most so robust.

Run it by `python examples/attack_and_compare.py`; on two cores it takes a minute.
"""

from typing import Any

import numpy as np

import rnnprobe
from rnnprobe.attacks.apgd import APGD
from rnnprobe.attacks.minimal_norm import MinimalNorm
from rnnprobe.attacks.pgd import PGD
from rnnprobe.statistics import median_interval, wilson_interval


def main(data: Any = "mnist-5k", units: int = 64, epochs: int = 6) -> None:
    """Train both, attack both alike, and print what is left."""
    dataset = rnnprobe.load_dataset(data)
    test, settings = dataset.test, rnnprobe.TrainSpec(learning_rate=0.003, epochs=epochs)
    budgets = [rnnprobe.Budget(e, "linf", dataset.bounds) for e in (0.01, 0.03, 0.1)]
    for cell in ("lstm", "rnn"):
        _, model = rnnprobe.train(dataset, rnnprobe.ModelSpec(cell, units=units), settings)
        classifier = rnnprobe.KerasClassifier(model)
        attacks = {"apgd": APGD(), "min-norm": MinimalNorm()}
        outcome = rnnprobe.evaluate_attacks(attacks, classifier, test, budgets)
        right = outcome.right
        print(f"{cell}: right {share(right)}")
        for budget, fooled in zip(budgets, outcome.worst, strict=True):
            print(f"  pixels changed by at most {budget.epsilon:g}: right {share(right & ~fooled)}")
        nearest = outcome.worst_nearest[right]
        low, high = median_interval(nearest)
        print(f"  median change needed: {np.median(nearest):.4f} [{low:.4f}, {high:.4f}]")
        checks = rnnprobe.check_honesty(classifier, outcome)
        warned = [check.name for check in checks if check.verdict == "WARN"]
        print(f"  of {len(checks)} checks of the attacks warn: {', '.join(warned) or 'none'}")
        for steps in (1, 4, 16):
            few = rnnprobe.Budget(0.1, "linf", dataset.bounds, num_steps_allowed=steps)
            result = rnnprobe.run_attack(PGD(steps=20), classifier, test, few)
            fooled = share(result.success[right])
            print(f"  {steps} of {test.x.shape[1]} rows changed: of what was right fooled {fooled}")


def share(hits: np.ndarray) -> str:
    """Write a share of pictures with its 95 % interval and the counts behind it."""
    low, high = wilson_interval(int(hits.sum()), len(hits))
    return f"{hits.mean():.3f} [{low:.3f}, {high:.3f}] ({hits.sum()} of {len(hits)})"


if __name__ == "__main__":
    main()
