"""Which mistakes are the data's, when were they made, and can they be used for training?

Usage: python examples/mistakes_and_retrain.py [EPOCHS] [REPEATS] [EXAMPLES]
"""

import sys
from dataclasses import replace

import rnnprobe
from rnnprobe.confusions.folds import FoldSettings
from rnnprobe.hardening.mistakes import mine

given = [int(argument) for argument in sys.argv[1:]]
epochs, repeats, examples = (*given, *(6, 5, 5000)[len(given) :])

data = rnnprobe.load_dataset("mnist-5k", limit_examples=examples)
names = data.class_names
lstm = rnnprobe.ModelSpec("lstm", units=64)
settings = rnnprobe.TrainSpec(learning_rate=0.003, epochs=epochs)
models = [rnnprobe.train(data, lstm, replace(settings, seed=seed)) for seed in range(3)]
classifiers = [rnnprobe.KerasClassifier(model) for _, model in models]
predictions = [classifier.predict(data.test, names) for classifier in classifiers]

stability = rnnprobe.find_stable(predictions)
for pair in stability.pairs[:3]:
    print(f"{names[pair.true]} taken for {names[pair.predicted]}: {pair.counts}, {pair.verdict}")

first = classifiers[0]
study = rnnprobe.study_confusions(first, data)
print(
    f"calibration error {study.calibration.error:.3f}, {study.calibration.error_by_chance:.3f} "
    "by chance"
)
for row in study.decisions.accuracy_by_share[4::2]:
    print(f"after {row.share:.0%} of the rows: {row.correct} of {row.total} right")

mined = mine(first, data, FoldSettings(settings))
found = rnnprobe.harden(first, data, None, ("mistakes",), repeats=repeats, mined=mined)
print(f"{len(mined.mistakes)} of {mined.num_examples} training examples are mistakes out of fold")
for compared in found.comparisons():
    difference, low, high = compared.paired[:3]
    print(f"{compared.first} less {compared.second}: {difference:+.3f} [{low:+.3f}, {high:+.3f}]")
