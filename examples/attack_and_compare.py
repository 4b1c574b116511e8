"""Train an LSTM and a SimpleRNN, and see which is fooled more easily, and by how many steps.

Usage: python examples/attack_and_compare.py [EPOCHS] [EXAMPLES]
"""

import sys

import numpy as np

import rnnprobe
from rnnprobe.attacks.apgd import APGD
from rnnprobe.attacks.minimal_norm import MinimalNorm
from rnnprobe.attacks.pgd import PGD

epochs, examples = (int(argument) for argument in (*sys.argv[1:], 6, 300)[:2])

data = rnnprobe.load_dataset("mnist-5k")
part = data.test.take(np.arange(0, len(data.test), max(1, len(data.test) // examples)))
budgets = [rnnprobe.Budget(epsilon, "linf", data.bounds) for epsilon in (0.01, 0.03, 0.1)]

for cell in ("lstm", "rnn"):
    settings = rnnprobe.TrainSpec(learning_rate=0.003, epochs=epochs)
    run, model = rnnprobe.train(data, rnnprobe.ModelSpec(cell, units=64), settings)
    classifier = rnnprobe.KerasClassifier(model)
    attacks = {"apgd": APGD(), "min-norm": MinimalNorm()}
    outcome = rnnprobe.evaluate_attacks(attacks, classifier, part, budgets)
    robust = (outcome.right & ~outcome.worst).mean(axis=1)
    print(f"{cell}: {outcome.right.mean():.3f} right, under attack {np.round(robust, 3)}")
    print(f"  median distance needed: {np.median(outcome.worst_nearest[outcome.right]):.4f}")
    warned = [c.name for c in rnnprobe.check_honesty(classifier, outcome) if c.verdict == "WARN"]
    print(f"  checks of the attacks that warn: {', '.join(warned) or 'none'}")
    for steps in (1, 4, 16):
        few = rnnprobe.Budget(0.1, "linf", data.bounds, num_steps_allowed=steps)
        result = rnnprobe.run_attack(PGD(steps=20), classifier, part, few)
        share = result.success.sum() / outcome.right.sum()
        print(f"  fooled by {steps} of {part.x.shape[1]} steps: {share:.3f}")
