"""Which mistakes are the data's, when are they made, and does training on them help?

Three LSTMs that differ in the seed alone are asked what they get wrong: what all of them confuse is
the data's doing, or the architecture's. Then we look when the first of them makes up its mind, and
go on training it on its own mistakes, beside controls with as many updates.

Run it by `python examples/mistakes_and_retrain.py`; on two cores it takes three minutes.
"""

from dataclasses import replace
from typing import Any

import rnnprobe
from rnnprobe.confusions.folds import FoldSettings
from rnnprobe.hardening.mistakes import mine


def main(data: Any = "mnist-5k", units: int = 64, epochs: int = 6, repeats: int = 5) -> None:
    """Train three seeds, compare their mistakes, and retrain the first `repeats` times an arm."""
    dataset = rnnprobe.load_dataset(data)
    names, spec = dataset.class_names, rnnprobe.ModelSpec("lstm", units=units)
    settings = rnnprobe.TrainSpec(learning_rate=0.003, epochs=epochs)
    models = [rnnprobe.train(dataset, spec, replace(settings, seed=seed)) for seed in range(3)]
    classifiers = [rnnprobe.KerasClassifier(model) for _, model in models]
    predictions = [classifier.predict(dataset.test, names) for classifier in classifiers]
    for pair in rnnprobe.find_stable(predictions).pairs[:3]:
        counts = ", ".join(map(str, pair.counts))
        print(f"{names[pair.true]} taken for {names[pair.predicted]}: {counts}, {pair.verdict}")

    study = rnnprobe.study_confusions(classifiers[0], dataset)
    calibration = study.calibration
    print(f"calibration error {calibration.error:.3f}, {calibration.error_by_chance:.3f} by chance")
    for after in study.decisions.accuracy_by_share[4::2]:
        (low, high), right = after.interval, after.correct / after.total
        print(
            f"after {after.share:.0%} of the rows: {right:.3f} [{low:.3f}, {high:.3f}] right "
            f"({after.correct} of {after.total})"
        )

    # Mistakes on examples that a model was trained on say little, so others are asked: five folds.
    mined = mine(classifiers[0], dataset, FoldSettings(settings))
    share = f"{len(mined.mistakes)} of {mined.num_examples}"
    print(f"{share} training examples are mistaken by a model that had not seen them")
    found = rnnprobe.harden(
        classifiers[0], dataset, None, ("mistakes",), repeats=repeats, mined=mined
    )
    for one in found.comparisons():  # the p-values of all of them are adjusted by Holm
        difference, low, high = one.paired[:3]
        print(
            f"test accuracy, {one.first} less {one.second}: {difference:+.3f} "
            f"[{low:+.3f}, {high:+.3f}], p = {one.p_holm:.2g}"
        )


if __name__ == "__main__":
    main()
