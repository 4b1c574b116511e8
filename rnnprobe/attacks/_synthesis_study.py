"""Synthesis for one class of a data set, and what its results are to be compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rnnprobe._registry import unknown_name
from rnnprobe.attacks._region import distance
from rnnprobe.attacks._synthesis import Synthesis, SynthesisResult, repeated, softmax, synthesize
from rnnprobe.errors import DataError
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Bounds, SequenceDataset, Split

_CHUNK = 2048
_SOME = 100  # test examples, for comparison


@dataclass(frozen=True, eq=False)
class ClassSynthesis:
    """Inputs made for one class of a data set, and what they are to be compared with.

    Args:
        target: The class to be taken for.
        settings: How they were made.
        bounds: The interval that the values were held in.
        bounds_named: Whether the data says what its bounds are; else they are the range of the
            training part.
        result: What came of each start.
        source: The test example to stay close to, or None.
        source_probabilities: float64 (num_classes,), what the model says of it, or None.
        nearest: Of each start the training example nearest to it and its distance, as
            `nearest_examples` gives them; None where there is no training part.
        usual: float64, the same distance for up to 100 test examples spread over the part.
    """

    target: int
    settings: Synthesis
    bounds: Bounds
    bounds_named: bool
    result: SynthesisResult
    source: int | None
    source_probabilities: Array | None
    nearest: tuple[Array, Array] | None
    usual: Array | None


def class_index(name: str, class_names: tuple[str, ...]) -> int:
    """Return the class of this name, or where no class has it, of this index.

    Raises:
        UnknownNameError: There is neither.

    Example:
        >>> class_index("cat", ("dog", "cat")), class_index("0", ("dog", "cat"))
        (1, 0)
    """
    if name in class_names:
        return class_names.index(name)
    if name.isdecimal() and int(name) < len(class_names):
        return int(name)
    hint = f" Or an index from 0 to {len(class_names) - 1}."
    raise unknown_name("class", name, list(class_names), hint)


def synthesize_class(
    model: Classifier,
    dataset: SequenceDataset,
    target: int,
    *,
    source: int | None = None,
    settings: Synthesis | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> ClassSynthesis:
    """Make inputs for one class of a data set, from noise of the shape of its test part.

    Args:
        model: What is asked.
        dataset: Of values.
        target: The class to be taken for.
        source: The example of the test part to stay close to, or None.
        settings: As for `synthesize`.
        on_step: As for `synthesize`.

    Raises:
        DataError: The data are tokens, there is no such test example, it is of the target class
            as it is, or the model tells another number of classes apart.

    Example:
        >>> made = synthesize_class(classifier, data, 3)            # doctest: +SKIP
        >>> made.result.converged.sum(), len(made.result.x)         # doctest: +SKIP
        (20, 20)
    """
    _check(dataset, target, source)
    settings, part = settings or Synthesis(), dataset.test
    given = part.x if len(part) else dataset.train.x
    x = None if source is None else part.x[source]
    mask = None if source is None or part.mask is None else part.mask[source]
    scores = model.logits(given[:1] if x is None else x[np.newaxis], repeated(mask, 1))
    if scores.shape[1] != dataset.num_classes:
        raise DataError(
            f"The model tells {scores.shape[1]} classes apart, but the data has "
            f"{dataset.num_classes}."
        )
    before = None if x is None else softmax(scores)[0]
    bounds = dataset.bounds or Bounds(float(dataset.train.x.min()), float(dataset.train.x.max()))
    result = synthesize(
        model,
        given.shape[1:],
        bounds,
        target=target,
        source=x,
        mask=mask,
        settings=settings,
        on_step=on_step,
    )
    nearest = usual = None
    if len(dataset.train):
        nearest = nearest_examples(result.x, repeated(mask, settings.starts), dataset.train)
        usual = _usual(dataset)
    named = dataset.bounds is not None
    return ClassSynthesis(target, settings, bounds, named, result, source, before, nearest, usual)


def _usual(dataset: SequenceDataset) -> Array | None:
    part = dataset.test
    if not len(part):
        return None
    some = part.take(np.unique(np.linspace(0, len(part) - 1, _SOME).astype(int)))
    return nearest_examples(some.x, some.mask, dataset.train)[1]


def _check(dataset: SequenceDataset, target: int, source: int | None) -> None:
    if dataset.kind == "tokens":
        raise DataError(
            f"'{dataset.name}' holds tokens, expected values: synthesize moves values. To change "
            "tokens, use `rnnprobe attack --attack hotflip`."
        )
    if not len(dataset.test) and not len(dataset.train):
        raise DataError(f"'{dataset.name}' has neither a test nor a training part.")
    if source is None:
        return
    if not 0 <= source < len(dataset.test):
        raise DataError(
            f"There is no example {source} in the test part of '{dataset.name}'; expected an index "
            f"from 0 to {len(dataset.test) - 1}."
        )
    if dataset.test.y[source] == target:
        raise DataError(
            f"Example {source} is of class '{dataset.class_names[target]}' as it is; name another "
            "class as target, or another example."
        )


def nearest_examples(x: Array, mask: Array | None, part: Split) -> tuple[Array, Array]:
    """Return which examples of a part are nearest to given ones in l2, and how far they are.

    Steps that do not count are taken as 0, and so are those that the shorter of two lacks.

    Args:
        x: float32 (num_examples, num_steps, num_features).
        mask: bool (num_examples, num_steps), True at the steps that count; None: all.
        part: Where to look, of values; not empty.

    Returns:
        int64 (num_examples,) and float64 (num_examples,).

    Example:
        >>> part = Split(np.array([[[0.0]], [[4.0]]]), np.array([0, 1]))
        >>> nearest_examples(np.array([[[3.0]]]), None, part)
        (array([1]), array([1.]))
    """
    num_steps = max(x.shape[1], part.x.shape[1])
    given = _flat(x, mask, num_steps)
    index, least = np.zeros(len(x), int), np.full(len(x), np.inf)
    for first in range(0, len(part), _CHUNK):
        rows = slice(first, first + _CHUNK)
        known = _flat(part.x[rows], None if part.mask is None else part.mask[rows], num_steps)
        # The squared distance but for what all share; float64 so that no rounding changes a rank.
        squares = np.square(known).sum(axis=1) - 2 * given @ known.T
        best = squares.argmin(axis=1)
        value = squares[np.arange(len(x)), best]
        index[value < least] = first + best[value < least]
        least = np.minimum(least, value)
    chosen = _flat(part.x[index], None if part.mask is None else part.mask[index], num_steps)
    return index, distance(given - chosen, "l2")


def _flat(x: Array, mask: Array | None, num_steps: int) -> Array:
    counted = x.astype(np.float64) if mask is None else np.where(mask[..., np.newaxis], x, 0.0)
    padded = np.zeros((len(x), num_steps, x.shape[2]))
    padded[:, : x.shape[1]] = counted
    return padded.reshape(len(x), -1)
