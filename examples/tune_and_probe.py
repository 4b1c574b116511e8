"""Tune an LSTM and a GRU on 5,000 digits, then look at what the better one mistakes.

Usage: python examples/tune_and_probe.py [TRIALS] [EPOCHS]
"""

import sys

import rnnprobe

trials, epochs = (int(argument) for argument in (*sys.argv[1:], 8, 9)[:2])

dataset = rnnprobe.load_dataset("mnist-5k")
space = rnnprobe.SearchSpace(
    cell=["lstm", "gru"], units=[32, 64], learning_rate=[1e-3, 3e-3, 1e-2], batch_size=[32, 64]
)
found = rnnprobe.tune(dataset, space, trials=trials, epochs=epochs)
best = found.best.configuration
print(f"best of {len(found.trials)}: {best['cell']}, {best['units']} units")
print(f"validation accuracy {found.best.score[0]:.4f}, test accuracy {found.test.accuracy:.4f}")

predictions = rnnprobe.KerasClassifier(found.model).predict(dataset.test, dataset.class_names)
confusions = rnnprobe.find_confusions(predictions)
for pair in confusions.pairs[:5]:
    low, high = pair.interval
    print(
        f"{dataset.class_names[pair.true]} taken for {dataset.class_names[pair.predicted]}: "
        f"{pair.count} of {pair.support} [{low:.3f}, {high:.3f}], examples {pair.examples[:3]}"
    )
