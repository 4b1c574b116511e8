"""Which of several models is better on the same examples, and which mistakes came and went."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rnnprobe.confusions.stability import check_same_examples
from rnnprobe.paired import Paired, compare_paired
from rnnprobe.records import Array, Predictions
from rnnprobe.statistics import Difference, compare_configurations, holm

_LEVEL = 0.05
_FEWEST = 6  # 2 * 0.5**6 < 0.05: of fewer discordant examples the exact test cannot reject


@dataclass(frozen=True)
class ModelDifference:
    """Two models on the same examples.

    Args:
        first: Index of the first model.
        second: Index of the second.
        paired: Accuracy of the second less that of the first; `gained` is what the second alone
            gets right.
        adjusted: The p-value after Holm's correction over all pairs of models.
    """

    first: int
    second: int
    paired: Paired
    adjusted: float

    @property
    def sign(self) -> int:
        """1 where the second is better at 5 %, -1 where it is worse, else 0."""
        return int(np.sign(self.paired.difference)) if self.adjusted < _LEVEL else 0


@dataclass(frozen=True)
class Change:
    """One mistake of the first model and of another one, on the examples of one class.

    Args:
        model: Index of the other model.
        true: Index of the class.
        predicted: Index of the class that its examples are taken for; None: of any other class.
        support: Examples of the class.
        before: How many the first model mistakes so.
        after: How many the other one does.
        gone: Examples that the first alone mistakes so.
        new: Examples that the other alone mistakes so.
        p_value: Of McNemar's exact test.
        adjusted: After Holm's correction over the changes that the test could have seen, those
            with at least six examples gone or new; None of fewer.
    """

    model: int
    true: int
    predicted: int | None
    support: int
    before: int
    after: int
    gone: int
    new: int
    p_value: float
    adjusted: float | None

    @property
    def sign(self) -> int:
        """1 where the other model makes more of the mistake at 5 %, -1 where fewer, else 0."""
        measured = self.adjusted is not None and self.adjusted < _LEVEL
        return int(np.sign(self.new - self.gone)) if measured else 0


@dataclass(frozen=True)
class GroupDifference:
    """Two groups of models that differ inside in nothing but the seed.

    Args:
        first: Index of the first group.
        second: Index of the second.
        models: How many models of each were compared.
        difference: Mean accuracy of the second less that of the first, over seeds and examples.
        adjusted: The p-value after Holm's correction over all pairs of groups.
    """

    first: int
    second: int
    models: int
    difference: Difference
    adjusted: float

    @property
    def sign(self) -> int:
        """1 where the second is better at 5 %, -1 where it is worse, else 0."""
        return int(np.sign(self.difference.difference)) if self.adjusted < _LEVEL else 0


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several models on the same examples; the first is the one to compare with.

    Args:
        predictions: What each model said.
        differences: Every pair of models.
        pairs: Every confused pair that occurs in the first or in another model, by other model,
            then by falling size of the change.
        classes: The same of all mistakes of a class together.
        groups: Every pair of groups; empty where there are not two.
    """

    predictions: tuple[Predictions, ...]
    differences: tuple[ModelDifference, ...]
    pairs: tuple[Change, ...]
    classes: tuple[Change, ...]
    groups: tuple[GroupDifference, ...]

    @property
    def correct(self) -> tuple[int, ...]:
        """How many examples each model gets right."""
        return tuple(int((one.predicted == one.y).sum()) for one in self.predictions)

    @property
    def total(self) -> int:
        """Number of examples."""
        return len(self.predictions[0].y)


def compare_models(
    predictions: Sequence[Predictions], groups: Sequence[Sequence[int]] = ()
) -> Comparison:
    """Compare models on the same examples, each with each, and their mistakes with the first's.

    The tests are McNemar's, exact, and the intervals those of Bonett and Price (see
    `compare_paired`): they cover other examples for these very models. What another seed would
    have given only groups of several seeds can tell, by `compare_configurations`.

    Args:
        predictions: Of at least two models, on the same examples in the same order.
        groups: Indices of models that differ in nothing but the seed, at least two a group. Of
            two groups of different size the first ones of the larger are taken.

    Raises:
        ValueError: Fewer than two models, no example, or other examples or classes.

    Example:
        >>> y, p = np.zeros(8, int), np.array([[0.1, 0.9]] * 8)
        >>> found = compare_models([Predictions(y, p, ("a", "b")),
        ...                         Predictions(y, 1 - p, ("a", "b"))])
        >>> found.differences[0].paired.difference, found.differences[0].sign
        (1.0, 1)
        >>> found.pairs[0].before, found.pairs[0].after, found.pairs[0].gone
        (8, 0, 8)
    """
    check_same_examples(predictions)
    y = predictions[0].y
    predicted = np.stack([one.predicted for one in predictions])
    return Comparison(
        predictions=tuple(predictions),
        differences=tuple(_differences(predicted == y)),
        pairs=tuple(_corrected(_changes(y, predicted, by_predicted=True))),
        classes=tuple(_corrected(_changes(y, predicted, by_predicted=False))),
        groups=tuple(_between_groups(predicted == y, groups)),
    )


def _differences(hits: Array) -> list[ModelDifference]:
    couples = list(itertools.combinations(range(len(hits)), 2))
    found = [compare_paired([hits[second]], [hits[first]]) for first, second in couples]
    adjusted = holm([paired.p_value for paired in found])
    return [
        ModelDifference(*couple, paired, p_value)
        for couple, paired, p_value in zip(couples, found, adjusted, strict=True)
    ]


def _changes(y: Array, predicted: Array, *, by_predicted: bool) -> list[Change]:
    """Return the change of every mistake that the first or another model makes."""
    changes = []
    for model in range(1, len(predicted)):
        of_model = []
        for true in np.unique(y).tolist():
            both = predicted[[0, model]][:, y == true]
            kinds = np.unique(both[both != true]).tolist() if by_predicted else [None]
            for kind in kinds:
                before, after = both != true if kind is None else both == kind
                of_model.append(_change(model, true, kind, before, after))
        changes += sorted(of_model, key=lambda change: -abs(change.after - change.before))
    return changes


def _change(model: int, true: int, predicted: int | None, before: Array, after: Array) -> Change:
    paired = compare_paired([after], [before])
    return Change(
        model=model,
        true=true,
        predicted=predicted,
        support=len(before),
        before=int(before.sum()),
        after=int(after.sum()),
        gone=paired.lost,
        new=paired.gained,
        p_value=paired.p_value,
        adjusted=None,
    )


def _corrected(changes: Sequence[Change]) -> list[Change]:
    able = [change.gone + change.new >= _FEWEST for change in changes]
    tested = [change.p_value for change, one in zip(changes, able, strict=True) if one]
    adjusted = iter(holm(tested))
    return [
        replace(change, adjusted=next(adjusted)) if one else change
        for change, one in zip(changes, able, strict=True)
    ]


def _between_groups(hits: Array, groups: Sequence[Sequence[int]]) -> list[GroupDifference]:
    found = []
    for first, second in itertools.combinations(range(len(groups)), 2):
        size = min(len(groups[first]), len(groups[second]))
        ours, theirs = (hits[list(groups[one][:size])] for one in (second, first))
        found.append((first, second, size, compare_configurations(ours, theirs)))
    adjusted = holm([difference.p_value for *_, difference in found])
    return [GroupDifference(*one, p) for one, p in zip(found, adjusted, strict=True)]
