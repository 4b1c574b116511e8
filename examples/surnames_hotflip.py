"""Which language is this surname, and does one wrong letter change the answer?

A GRU reads 20,000 surnames of 18 languages letter by letter. Then HotFlip replaces letters: all but
the initial, by one of a to z, as a misspelling would. With one replacement every single one is
tried, so the share is exact, and of the worst misspelling, not of a usual one; with two the best
are tried, and more may exist. A misspelt name is taken to be of the same language; some are not.

Run it by `python examples/surnames_hotflip.py`; it downloads the lists of the PyTorch tutorials
once, or takes a folder of lists, one a language, by `--data FOLDER`. On two cores it takes a
minute.
"""

import argparse
from dataclasses import replace
from typing import Any

import numpy as np

import rnnprobe
from rnnprobe.attacks.hotflip import HotFlip
from rnnprobe.statistics import wilson_interval


def misspell(
    model: Any, x: np.ndarray, y: np.ndarray, budget: rnnprobe.Budget, **given: Any
) -> np.ndarray:
    """Attack all letters but the initial; any function with these arguments is an attack."""
    changeable = np.arange(x.shape[1]) > np.zeros((len(x), 1))
    return HotFlip()(model, x, y, budget, mask=given["mask"], changeable=changeable)


def main(data: Any = "names", units: int = 128, epochs: int = 4) -> None:
    """Train, say what is confused, and how many right answers one or two letters turn."""
    dataset = rnnprobe.load_dataset(data)
    # Some names stand there dozens of times; each counts once, or no interval would hold.
    lines = np.column_stack([dataset.test.x, dataset.test.y])
    test = dataset.test.take(np.unique(lines, axis=0, return_index=True)[1])
    dataset, names = replace(dataset, test=test), dataset.class_names
    settings = rnnprobe.TrainSpec(learning_rate=0.003, epochs=epochs)
    _, model = rnnprobe.train(dataset, rnnprobe.ModelSpec("gru", units=units), settings)
    classifier = rnnprobe.KerasClassifier(model)
    study = rnnprobe.study_confusions(classifier, dataset, probes=())
    found, equal = study.confusions, study.conflicts
    print(f"right: {share(found.correct, found.total)}")
    print(
        f"the {equal.total} names are {equal.num_distinct} distinct ones, {equal.num_inputs} of "
        f"several languages: nobody can be right in more than {equal.most_right}"
    )
    for pair in found.pairs[:5]:
        print(
            f"{names[pair.true]} taken for {names[pair.predicted]}: "
            f"{share(pair.count, pair.support)}"
        )

    small = [token for token, text in enumerate(dataset.vocabulary) if "a" <= text <= "z"]
    a_to_z = rnnprobe.Bounds(small[0], small[-1])  # the vocabulary is sorted
    budgets = [rnnprobe.Budget(letters, "edits", a_to_z) for letters in (1, 2)]
    attacked = rnnprobe.evaluate_attacks({"misspell": misspell}, classifier, test, budgets)
    for budget, flipped in zip(attacked.budgets, attacked.worst, strict=True):
        turned = share(flipped.sum(), attacked.right.sum())
        print(f"right answers turned by at most {budget.epsilon:g} of the letters: {turned}")
    known = (test.x != 1).all(axis=1)  # without letters that training never saw
    one_letter = np.flatnonzero(attacked.worst[0] & known)
    changed = attacked.examples[0]
    for row in one_letter[np.linspace(0, len(one_letter) - 1, 8).astype(int)]:
        taken = names[classifier.logits(changed[row : row + 1]).argmax()]
        before, after = dataset.text(test.x[row]), dataset.text(changed[row])
        print(f"{before} is {names[test.y[row]]}, but {after} is taken for {taken}")


def share(count: int, total: int) -> str:
    """Write a share with its 95 % interval and the counts behind it."""
    low, high = wilson_interval(int(count), int(total))
    return f"{count / total:.3f} [{low:.3f}, {high:.3f}] ({count} of {total})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="names", help="folder of .txt files, one a language")
    main(parser.parse_args().data)
