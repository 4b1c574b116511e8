"""Sweep units and learning rates with several seeds, and say which cells are as good as the best.

Usage: python examples/sweep_and_compare.py [REPEATS] [EPOCHS]
"""

import sys

import rnnprobe
from rnnprobe.search.analysis import importance, within_noise

repeats, epochs = (int(argument) for argument in (*sys.argv[1:], 3, 4)[:2])

dataset = rnnprobe.load_dataset("mnist-5k")
space = rnnprobe.SearchSpace(cell="gru", units=[16, 32, 64], learning_rate=[1e-3, 3e-3, 1e-2])
swept = rnnprobe.sweep(dataset, space, repeats=repeats, epochs=epochs)

print(swept.frame.pivot_table("val_accuracy", "units", "learning_rate").round(4).to_markdown())
best, *others = within_noise(swept, len(dataset.validation))
for cell in (best, *others):
    units, rate = cell.configuration["units"], cell.configuration["learning_rate"]
    accuracy, spread = cell.mean("val_accuracy"), cell.deviation("val_accuracy") or 0.0
    print(f"{units} units, rate {rate}: {accuracy:.4f} ± {spread:.4f}, {cell.seconds:.1f} s a run")
for axes, share in importance(swept).shares.items():
    print(f"{' with '.join(axes) or 'seeds'}: {share:.1%} of the variance")
