"""Which LSTM or GRU should I use for these digits, and what does it mistake?

We let KerasTuner's Hyperband choose among 24 configurations on the validation part, and look at
the test part once, with the winner alone: which digits it takes for which, how often, and where to
find the pictures.

Run it by `python examples/tune_and_probe.py`; on two cores it takes twenty seconds.
"""

from typing import Any

import rnnprobe


def main(data: Any = "mnist-5k", trials: int = 8, epochs: int = 9) -> None:
    """Tune, measure the best model on the test part, and list what it confuses most often."""
    dataset = rnnprobe.load_dataset(data)
    space = rnnprobe.SearchSpace(
        cell=["lstm", "gru"], units=[32, 64], learning_rate=[1e-3, 3e-3, 1e-2], batch_size=[32, 64]
    )
    found = rnnprobe.tune(dataset, space, trials=trials, epochs=epochs)
    best = found.best.configuration
    print(
        f"best of {len(found.trials)}: {best['cell']}, {best['units']} units, learning rate "
        f"{best['learning_rate']:g}, batch size {best['batch_size']}"
    )
    # The best of several is lucky as well as good; only the test part tells how good.
    print(f"validation accuracy {found.best.score[0]:.4f}, chosen by it, so optimistic")

    classifier, names = rnnprobe.KerasClassifier(found.model), dataset.class_names
    confusions = rnnprobe.find_confusions(classifier.predict(dataset.test, names))
    low, high = confusions.interval
    print(
        f"test accuracy {confusions.accuracy:.4f} [{low:.4f}, {high:.4f}] "
        f"({confusions.correct} of {confusions.total})"
    )
    for pair in confusions.pairs[:5]:
        low, high = pair.interval
        print(
            f"{names[pair.true]} taken for {names[pair.predicted]}: {pair.share:.3f} "
            f"[{low:.3f}, {high:.3f}] ({pair.count} of {pair.support}), "
            f"pictures {', '.join(map(str, pair.examples[:3]))}"
        )


if __name__ == "__main__":  # the trials run in child processes, which must not start their own
    main()
