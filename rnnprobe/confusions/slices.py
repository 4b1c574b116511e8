"""Kinds of sequences that are mistaken more, or less, often than the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rnnprobe.confusions._fisher import fisher_exact
from rnnprobe.datasets._conflicts import split_keys
from rnnprobe.records import Array, Predictions, SequenceDataset, Split
from rnnprobe.statistics import Interval, holm, wilson_interval

RARE = 0.01
"""Below this share of the training examples a symbol is rare."""

LEAST_EXAMPLES = 10
"""So many examples must contain a symbol, and so many must not, to tell its share of errors."""

_UNKNOWN = 1
_THIRDS = ("in the first third", "in the middle third", "in the last third")


@dataclass(frozen=True)
class Slice:
    """Some examples of a part beside the others of the same family.

    Args:
        name: Which these are, plain text.
        num_examples: How many, at least 1.
        errors: How many of them are mistakes.
        other_examples: How many others, at least 1.
        other_errors: How many of these are mistakes.
        share_by_class: The share of errors if it depended on the true class alone: the mean over
            these examples of their class's share of errors in the part, in [0, 1].
        p_value: Of shares of errors that differ as much where they are equally likely: Fisher's
            exact test, two-sided, adjusted by Holm for all slices of all families.
        padding: Mean share of the steps that are padding; None where it is not what was sliced by.
    """

    name: str
    num_examples: int
    errors: int
    other_examples: int
    other_errors: int
    share_by_class: float
    p_value: float
    padding: float | None = None

    @property
    def share(self) -> float:
        """Share of errors, in [0, 1]."""
        return self.errors / self.num_examples

    @property
    def interval(self) -> Interval:
        """The 95 % Wilson interval of `share`."""
        return wilson_interval(self.errors, self.num_examples)

    @property
    def other_share(self) -> float:
        """Share of errors among the others, in [0, 1]."""
        return self.other_errors / self.other_examples


@dataclass(frozen=True)
class SliceFamily:
    """Slices by one criterion.

    Args:
        key: `length`, `rarest symbol`, `place of a rare symbol`, `symbol` or `known input`.
        slices: In their natural order.
        num_tests: How many tests these are: one where two slices are each other's others.
    """

    key: str
    slices: tuple[Slice, ...]
    num_tests: int


def find_slices(
    dataset: SequenceDataset,
    part: str,
    predictions: Predictions,
    *,
    keys: Mapping[str, Sequence[bytes]] | None = None,
) -> tuple[SliceFamily, ...]:
    """Compare the mistakes on kinds of sequences, each with the others of its family.

    By length, in up to four bins by its quartiles. For tokens, by the rarest symbol of the
    example (that in fewest training examples): never seen in training, in under 1 % of the
    training examples, or in more; by where that symbol first stands, if it is rare; and by each
    symbol that at least ten examples contain and ten do not. By whether the input is in the
    training part too. What divides nothing is left out.

    Args:
        dataset: The data; its training part tells what is rare and known.
        part: The part that was predicted.
        predictions: Of that part.
        keys: `dataset_keys(dataset)` where it is known, which saves time.

    Raises:
        ValueError: The predictions are not as many as the part's examples.

    Example:
        >>> from rnnprobe.datasets._load import load_dataset
        >>> x, y = np.array([[1, 2, 0], [1, 2, 3]] * 4), np.arange(8) // 4
        >>> dataset = load_dataset({part: (x, y) for part in ("train", "validation", "test")})
        >>> p = np.tile([0.9, 0.1], (8, 1))
        >>> found = find_slices(dataset, "train", Predictions(y, p, dataset.class_names))
        >>> [(one.name, one.errors, one.num_examples) for one in found[0].slices]
        [('2 steps', 2, 4), ('3 steps', 2, 4)]
    """
    split = dataset.splits[part]
    if len(predictions.y) != len(split):
        raise ValueError(
            f"`len(predictions.y) == len(dataset.splits[{part!r}])` must hold, but got "
            f"{len(predictions.y)} and {len(split)}."
        )
    mistakes = _Mistakes.of(predictions)
    families = [_by_length(split, mistakes)]
    if dataset.kind == "tokens":
        families += _by_symbols(dataset, split, mistakes)
    if part != "train":
        own, train = (
            (keys[name] if keys else split_keys(dataset.splits[name])) for name in (part, "train")
        )
        seen = set(train)
        known = np.array([key in seen for key in own], dtype=bool)
        families.append(_family("known input", mistakes, [("also in the training part", known)]))
    return _adjusted([family for family in families if family.slices])


class _Mistakes(NamedTuple):
    """Of each example whether it is a mistake, and the share of its class that is."""

    wrong: Array
    by_class: Array

    @classmethod
    def of(cls, predictions: Predictions) -> _Mistakes:
        wrong = predictions.predicted != predictions.y
        sizes = np.bincount(predictions.y)
        shares = np.bincount(predictions.y, wrong) / np.maximum(sizes, 1)
        return cls(wrong, shares[predictions.y])

    def take(self, chosen: Array) -> _Mistakes:
        return _Mistakes(self.wrong[chosen], self.by_class[chosen])


def _family(key: str, mistakes: _Mistakes, named: Sequence[tuple[str, Array]]) -> SliceFamily:
    """Return the slices of named bool (num_examples,), with p-values as they are."""
    counts = np.array([[chosen.sum(), mistakes.wrong[chosen].sum()] for _, chosen in named])
    by_class = np.array([mistakes.by_class[chosen].sum() for _, chosen in named])
    return _counted_family(key, [name for name, _ in named], counts, by_class, mistakes.wrong)


def _counted_family(
    key: str, names: Sequence[str], counts: Array, by_class: Array, wrong: Array
) -> SliceFamily:
    """Return the slices that have examples, and others.

    Args:
        key: As in `SliceFamily`.
        names: Of each slice.
        counts: int64 (num_slices, 2), examples and errors.
        by_class: float64 (num_slices,), the sum of the examples' classes' shares of errors.
        wrong: bool (num_examples,) of the whole family.
    """
    useful = (counts[:, 0] > 0) & (counts[:, 0] < len(wrong))
    names = [name for name, keep in zip(names, useful, strict=True) if keep]
    sizes, errors = counts[useful].T
    others, other_errors = len(wrong) - sizes, int(wrong.sum()) - errors
    p_values = fisher_exact(errors, sizes, other_errors, others)
    columns = (sizes, errors, others, other_errors, by_class[useful] / sizes, p_values)
    rows = zip(names, *(column.tolist() for column in columns), strict=True)
    halves = len(names) == 2 and int(sizes.sum()) == len(wrong) and key != "symbol"
    return SliceFamily(key, tuple(Slice(*row) for row in rows), len(names) - halves)


def _adjusted(families: Sequence[SliceFamily]) -> tuple[SliceFamily, ...]:
    """Adjust the p-values of all families together; two halves are one test."""
    adjusted = iter(
        holm([one.p_value for family in families for one in family.slices[: family.num_tests]])
    )
    done = []
    for family in families:
        p_values = [next(adjusted) for _ in range(family.num_tests)]
        p_values += p_values[-1:] * (len(family.slices) - family.num_tests)
        slices = tuple(
            dataclasses.replace(one, p_value=p_value)
            for one, p_value in zip(family.slices, p_values, strict=True)
        )
        done.append(dataclasses.replace(family, slices=slices))
    return tuple(done)


def _by_length(split: Split, mistakes: _Mistakes) -> SliceFamily:
    lengths = split.lengths
    quartiles = np.quantile(lengths, (0.25, 0.5, 0.75), method="inverted_cdf")
    bins = np.searchsorted(np.unique(quartiles), lengths)
    named, padding = [], []
    for one in np.unique(bins):
        chosen = bins == one
        low, high = int(lengths[chosen].min()), int(lengths[chosen].max())
        name = f"{low} steps" if low == high else f"{low} to {high} steps"
        named.append((name, chosen))
        padding.append(1 - float(lengths[chosen].mean()) / split.x.shape[1])
    family = _family("length", mistakes, named)
    if not family.slices:
        return family
    slices = tuple(
        dataclasses.replace(one, padding=share)
        for one, share in zip(family.slices, padding, strict=True)
    )
    return dataclasses.replace(family, slices=slices)


def _by_symbols(dataset: SequenceDataset, split: Split, mistakes: _Mistakes) -> list[SliceFamily]:
    num_tokens = max(2, *(1 + int(one.x.max(initial=0)) for one in dataset.splits.values()))
    families = _by_rarest(dataset, split, mistakes, num_tokens) if len(dataset.train) else []
    containing = _examples_with(split.x, num_tokens)
    enough = np.minimum(containing, len(split) - containing) >= LEAST_EXAMPLES
    tokens = np.flatnonzero(enough)
    with_errors = _examples_with(split.x[mistakes.wrong], num_tokens)
    by_class = _examples_with(split.x, num_tokens, mistakes.by_class)
    named = _namer(dataset)
    names = [f"contains {named(int(token))}" for token in tokens]
    counts = np.stack([containing[tokens], with_errors[tokens]], axis=1)
    by_symbol = _counted_family("symbol", names, counts, by_class[tokens], mistakes.wrong)
    return [*families, by_symbol]


def _by_rarest(
    dataset: SequenceDataset, split: Split, mistakes: _Mistakes, num_tokens: int
) -> list[SliceFamily]:
    """Return the families of the rarest symbol, and of its place where it is rare."""
    x, lengths, num_train = split.x, split.lengths, len(dataset.train)
    seen_in = _examples_with(dataset.train.x, num_tokens)
    if dataset.vocabulary is not None:
        seen_in[_UNKNOWN] = 0  # it stands for symbols of which the model knows nothing
    rarity = np.where(x != 0, seen_in[x], num_train + 1)
    place = rarity.argmin(axis=1)
    lowest = rarity[np.arange(len(x)), place]
    some = lengths > 0
    rare = some & (lowest < RARE * num_train)
    named = [
        ("never seen in training", (some & (lowest == 0))[some]),
        ("in under 1 % of training examples", (rare & (lowest > 0))[some]),
        ("in 1 % of training examples or more", ~rare[some]),
    ]
    rarest = _family("rarest symbol", mistakes.take(some), named)
    chosen = np.flatnonzero(rare)
    before = (x[chosen] != 0).cumsum(axis=1)[np.arange(len(chosen)), place[chosen]] - 1
    thirds = 3 * before // lengths[chosen]
    places = [(name, thirds == third) for third, name in enumerate(_THIRDS)]
    return [rarest, _family("place of a rare symbol", mistakes.take(chosen), places)]


def _examples_with(x: Array, num_tokens: int, weights: Array | None = None) -> Array:
    """Return (num_tokens,): how many examples contain each token, or their weights; 0 of padding.

    Args:
        x: int32 (num_examples, num_steps).
        num_tokens: More than the largest token.
        weights: float64 (num_examples,); None counts.
    """
    ordered = np.sort(x, axis=1)
    first = np.ones(ordered.shape, dtype=bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    of_each = None if weights is None else np.repeat(weights, first.sum(axis=1))
    counts = np.bincount(ordered[first], of_each, minlength=num_tokens)
    counts[0] = 0
    return counts


def _namer(dataset: SequenceDataset) -> Callable[[int], str]:
    """Return what shows a token so that a space or a line break can be seen."""
    vocabulary = dataset.vocabulary
    if vocabulary is None:
        return lambda token: f"token {token}"
    return lambda token: "an unknown symbol" if token == _UNKNOWN else repr(vocabulary[token])
