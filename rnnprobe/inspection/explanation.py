"""What is explained: one example, or the mistakes of a pair of classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnnprobe._registry import unknown_name
from rnnprobe.classifier import KerasClassifier
from rnnprobe.errors import DataError
from rnnprobe.inspection.attribution import Attribution, AttributionSettings, attribute
from rnnprobe.records import Array, Split

MOST_MISTAKES = 200


@dataclass(frozen=True, eq=False)
class Explanation:
    """The attributions of one example, or of the mistakes of a pair.

    Args:
        first: The class whose logit is explained: a pair's true class a.
        second: The class whose logit is taken off: the class b that its examples were taken for.
        indices: int64 (num_examples,), the examples, in the order of the part.
        total: How many mistakes of the pair there are that have a step; None of one example.
        found: Their attributions.
    """

    first: int
    second: int
    indices: Array
    total: int | None
    found: Attribution


def explain_example(
    classifier: KerasClassifier,
    split: Split,
    index: int,
    pair: tuple[int, int] | None = None,
    *,
    seed: int = 0,
    settings: AttributionSettings | None = None,
) -> Explanation:
    """Attribute what speaks for one class over another in one example.

    Args:
        classifier: What is explained.
        split: A part of the data set.
        index: Of the example, from 0.
        pair: The two classes; None: the predicted one, and the one that comes next.
        seed: Of the noise of SmoothGrad.
        settings: How exactly.

    Raises:
        DataError: There is no such example, none of its steps counts, or the pair is one class.
    """
    if not 0 <= index < len(split):
        raise DataError(
            f"There is no example {index}: this part has {len(split):,}, numbered from 0 to "
            f"{len(split) - 1}."
        )
    if pair is not None and pair[0] == pair[1]:
        raise DataError(
            f"Expected a pair of two classes, but got one twice (index {pair[0]}): a logit less "
            "itself explains nothing."
        )
    indices = np.array([index])
    one = split.take(indices)
    if not classifier.counted_steps(one.x, one.mask).any():
        raise DataError(f"Example {index} has no step that counts; there is nothing to attribute.")
    if pair is None:
        order = np.argsort(-classifier.logits(one.x, one.mask)[0], kind="stable")
        pair = int(order[0]), int(order[1])
    found = _of_pair(classifier, one, pair, seed, settings)
    return Explanation(*pair, indices, None, found)


def explain_pair(
    classifier: KerasClassifier,
    split: Split,
    predicted: Array,
    pair: tuple[int, int],
    *,
    class_names: Sequence[str],
    seed: int = 0,
    settings: AttributionSettings | None = None,
) -> Explanation:
    """Attribute what speaks for the true class over the wrong one in the mistakes of a pair.

    Of more than 200 mistakes a random draw is taken, lest the mean be that of an extreme.

    Args:
        classifier: What is explained.
        split: A part of the data set.
        predicted: int64 (num_examples,), the predicted class of each example.
        pair: True class and predicted class.
        class_names: One name a class, for messages.
        seed: Of the draw, and of the noise of SmoothGrad.
        settings: How exactly.

    Raises:
        DataError: The pair was never confused, or its mistakes have no step that counts.
    """
    indices = np.flatnonzero((split.y == pair[0]) & (predicted == pair[1]))
    if pair[0] == pair[1] or not len(indices):
        raise DataError(_never_confused(split.y, predicted, pair, class_names))
    mistakes = split.take(indices)
    indices = indices[classifier.counted_steps(mistakes.x, mistakes.mask).any(axis=1)]
    if not len(indices):
        raise DataError("None of the pair's mistakes has a step that counts.")
    total = len(indices)
    if total > MOST_MISTAKES:
        rng = np.random.default_rng(seed)
        indices = np.sort(rng.choice(indices, MOST_MISTAKES, replace=False))
    found = _of_pair(classifier, split.take(indices), pair, seed, settings)
    return Explanation(*pair, indices, total, found)


def _of_pair(
    classifier: KerasClassifier,
    split: Split,
    pair: tuple[int, int],
    seed: int,
    settings: AttributionSettings | None,
) -> Attribution:
    targets, others = (np.full(len(split), label) for label in pair)
    return attribute(classifier, split.x, split.mask, targets, others, seed=seed, settings=settings)


def _never_confused(
    y: Array, predicted: Array, pair: tuple[int, int], class_names: Sequence[str]
) -> str:
    counts = Counter(
        (int(a), int(b)) for a, b in zip(y, predicted, strict=True) if a != b
    ).most_common()
    true, wrong = (class_names[label] for label in pair)
    if not counts:
        return f"No example of '{true}' was taken for '{wrong}': there are no mistakes at all."
    pairs = [f"'{class_names[a]}' for '{class_names[b]}' ({number})" for (a, b), number in counts]
    more = f" and {len(pairs) - 10} more pairs" if len(pairs) > 10 else ""
    return (
        f"No example of '{true}' was taken for '{wrong}'; taken were {', '.join(pairs[:10])}{more}."
    )


def find_class(name: str, class_names: Sequence[str]) -> int:
    """Return the index of a class by its name.

    Raises:
        UnknownNameError: There is none; the message names the nearest.

    Example:
        >>> find_class("b", ("a", "b"))
        1
    """
    if name not in class_names:
        raise unknown_name("class", name, list(class_names))
    return list(class_names).index(name)
