"""What reports conclude, each as a question that a table of measured cells can answer.

A claim is plain data with a rule; the same rule is applied to the published table, to the measured
one, and to tables drawn from the measured one and its noise, see `_verdicts`.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol

Row = tuple[Mapping[str, Any], Mapping[str, float]]
"""The settings of one cell, and its values by measure."""

Where = Mapping[str, Any]
"""Settings that a cell must have; a tuple lists several that will do."""


class Answer(NamedTuple):
    """What one table says.

    Args:
        holds: Whether the claim is right there.
        value: The number that decides; None where it is no number.
        evidence: What was seen, in a few words.
    """

    holds: bool
    value: float | None
    evidence: str


class Claim(Protocol):
    """A conclusion of a report."""

    @property
    def text(self) -> str:
        """The conclusion, in a sentence without its full stop."""

    @property
    def metric(self) -> str:
        """The measure that it is about."""

    @property
    def read_off(self) -> bool:
        """Whether it was read off the report's table here; otherwise the report says it."""

    @property
    def number(self) -> str:
        """What `Answer.value` is called."""

    def is_about(self, settings: Mapping[str, Any]) -> bool:
        """Whether the cell with these settings has a part in it."""

    def ask(self, rows: Sequence[Row]) -> Answer | None:
        """Answer from a table; None where it lacks the cells that the claim is about."""


@dataclass(frozen=True)
class Best:
    """The best cell is one of those described.

    Args:
        text: The conclusion.
        is_at: What the best cell must be.
        among: Of which cells.
        metric: The largest is the best.
        read_off: See `Claim`.
    """

    text: str
    is_at: Where
    among: Where = field(default_factory=dict)
    metric: str = "test_accuracy"
    read_off: bool = False
    number: ClassVar[str] = "lead"

    def is_about(self, settings: Mapping[str, Any]) -> bool:
        """See `Claim`."""
        return matches(settings, self.among)

    def ask(self, rows: Sequence[Row]) -> Answer | None:
        """See `Claim`."""
        candidates = chosen(rows, self.among, self.metric)
        ours = chosen(candidates, self.is_at, self.metric)
        if not ours or len(ours) == len(candidates):
            return None
        settings, values = max(candidates, key=lambda row: row[1][self.metric])
        best_of_ours = max(values[self.metric] for _, values in ours)
        others = [v[self.metric] for s, v in candidates if not matches(s, self.is_at)]
        lead = best_of_ours - max(others)
        return Answer(
            lead > 0,
            lead,
            f"best is {_named(settings, rows)} with {values[self.metric]:.4f}; the claim's best "
            f"has {best_of_ours:.4f}",
        )


@dataclass(frozen=True)
class Bounded:
    """All cells described lie above or below a limit.

    Args:
        text: The conclusion.
        where: Which cells.
        lower: The least value; None where there is no such limit.
        upper: The largest value.
        metric: Of what.
        read_off: See `Claim`.
    """

    text: str
    where: Where
    lower: float | None = None
    upper: float | None = None
    metric: str = "test_accuracy"
    read_off: bool = False

    @property
    def number(self) -> str:
        """See `Claim`."""
        return "largest value" if self.lower is None else "smallest value"

    def is_about(self, settings: Mapping[str, Any]) -> bool:
        """See `Claim`."""
        return matches(settings, self.where)

    def ask(self, rows: Sequence[Row]) -> Answer | None:
        """See `Claim`."""
        ours = chosen(rows, self.where, self.metric)
        if not ours:
            return None
        values = [values[self.metric] for _, values in ours]
        low, high = min(values), max(values)
        holds = (self.lower is None or low >= self.lower) and (
            self.upper is None or high <= self.upper
        )
        decides = low if self.lower is not None else high
        told = f"{len(values)} cells from {low:.4f} to {high:.4f}"
        return Answer(holds, decides, told if len(values) > 1 else f"{low:.4f} in the one cell")


@dataclass(frozen=True)
class Higher:
    """On average some cells have more than others.

    Args:
        text: The conclusion.
        over: The cells that have more.
        under: The cells that have less.
        by: By how much at least.
        metric: Of what.
        read_off: See `Claim`.
    """

    text: str
    over: Where
    under: Where
    by: float = 0.0
    metric: str = "test_accuracy"
    read_off: bool = False
    number: ClassVar[str] = "difference"

    def is_about(self, settings: Mapping[str, Any]) -> bool:
        """See `Claim`."""
        return matches(settings, self.over) or matches(settings, self.under)

    def ask(self, rows: Sequence[Row]) -> Answer | None:
        """See `Claim`."""
        found = _difference(rows, self.over, self.under, self.metric)
        return found and Answer(found[0] > self.by, *found)


@dataclass(frozen=True)
class NoBetter:
    """On average some cells have hardly more than others, or less.

    Args:
        text: The conclusion.
        cells: Some cells.
        than: Others.
        by: The largest lead that is none.
        metric: Of what.
        read_off: See `Claim`.
    """

    text: str
    cells: Where
    than: Where
    by: float
    metric: str = "test_accuracy"
    read_off: bool = False
    number: ClassVar[str] = "difference"

    def is_about(self, settings: Mapping[str, Any]) -> bool:
        """See `Claim`."""
        return matches(settings, self.cells) or matches(settings, self.than)

    def ask(self, rows: Sequence[Row]) -> Answer | None:
        """See `Claim`."""
        found = _difference(rows, self.cells, self.than, self.metric)
        return found and Answer(found[0] <= self.by, *found)


@dataclass(frozen=True)
class Ordered:
    """The mean over the cells of each level of a setting rises, or falls, from level to level.

    Args:
        text: The conclusion.
        along: The setting, of numbers.
        rises: Whether it rises; otherwise it falls.
        where: Of which cells.
        metric: Of what.
        read_off: See `Claim`.
    """

    text: str
    along: str
    rises: bool
    where: Where = field(default_factory=dict)
    metric: str = "test_accuracy"
    read_off: bool = False
    number: ClassVar[str] = "smallest step"

    def is_about(self, settings: Mapping[str, Any]) -> bool:
        """See `Claim`."""
        return self.along in settings and matches(settings, self.where)

    def ask(self, rows: Sequence[Row]) -> Answer | None:
        """See `Claim`."""
        ours = chosen(rows, self.where, self.metric)
        levels = _levels(ours, self.along)
        if len(levels) < 2:
            return None
        means = [
            statistics.fmean(values[self.metric] for settings, values in ours
                             if settings[self.along] == level)
            for level in levels
        ]  # fmt: skip
        sign = 1 if self.rises else -1
        steps = [sign * (after - before) for before, after in itertools.pairwise(means)]
        told = ", ".join(
            f"{level:g}: {mean:.4g}" for level, mean in zip(levels, means, strict=True)
        )
        return Answer(min(steps) > 0, min(steps), told)


@dataclass(frozen=True)
class ExplainsMore:
    """The means over the levels of one setting vary more than those of another.

    Args:
        text: The conclusion.
        axis: The setting that explains more.
        than: The other.
        metric: Of what.
        read_off: See `Claim`.
    """

    text: str
    axis: str
    than: str
    metric: str = "test_accuracy"
    read_off: bool = False
    number: ClassVar[str] = "difference of shares"

    def is_about(self, settings: Mapping[str, Any]) -> bool:
        """See `Claim`."""
        return self.axis in settings and self.than in settings

    def ask(self, rows: Sequence[Row]) -> Answer | None:
        """See `Claim`."""
        ours = chosen(rows, {}, self.metric)
        more, less = (self._variance(ours, axis) for axis in (self.axis, self.than))
        total = statistics.pvariance([v[self.metric] for _, v in ours]) if ours else 0.0
        if more is None or less is None or not total:
            return None
        first, second = (name.replace("_", " ") for name in (self.axis, self.than))
        return Answer(
            more > less,
            (more - less) / total,
            f"{first} explains {more / total:.1%} of the variance, {second} {less / total:.1%}",
        )

    def _variance(self, rows: Sequence[Row], axis: str) -> float | None:
        levels = _levels(rows, axis)
        if len(levels) < 2:
            return None
        groups = [[v[self.metric] for s, v in rows if s[axis] == level] for level in levels]
        return statistics.pvariance([statistics.fmean(g) for g in groups for _ in g])


@dataclass(frozen=True)
class BestMoves:
    """The best level of one setting falls as another grows: never up, and down in the end.

    Args:
        text: The conclusion.
        best: The setting whose best level is looked for, of numbers.
        along: The setting that grows, of numbers.
        metric: The largest is the best.
        read_off: See `Claim`.
    """

    text: str
    best: str
    along: str
    metric: str = "test_accuracy"
    read_off: bool = False
    number: ClassVar[str] = ""

    def is_about(self, settings: Mapping[str, Any]) -> bool:
        """See `Claim`."""
        return self.best in settings and self.along in settings

    def ask(self, rows: Sequence[Row]) -> Answer | None:
        """See `Claim`."""
        ours = chosen(rows, {}, self.metric)
        levels = _levels(ours, self.along)
        if len(levels) < 2:
            return None
        found = []
        for level in levels:
            group = [row for row in ours if row[0][self.along] == level]
            found.append(max(group, key=lambda row: row[1][self.metric])[0][self.best])
        falls = all(after <= before for before, after in itertools.pairwise(found))
        told = ", ".join(f"{level:g}: {best:g}" for level, best in zip(levels, found, strict=True))
        name = self.best.replace("_", " ")
        return Answer(falls and found[-1] < found[0], None, f"best {name} by {self.along} {told}")


def matches(settings: Mapping[str, Any], where: Where) -> bool:
    """Whether a cell has the settings."""
    return all(
        settings.get(name) in (wanted if isinstance(wanted, tuple) else (wanted,))
        for name, wanted in where.items()
    )


def chosen(rows: Sequence[Row], where: Where, metric: str) -> list[Row]:
    """Return the cells with these settings that have the measure."""
    return [row for row in rows if matches(row[0], where) and metric in row[1]]


def _difference(
    rows: Sequence[Row], first: Where, second: Where, metric: str
) -> tuple[float, str] | None:
    """Return by how much the mean of some cells is above that of others, and both in words."""
    means = []
    for where in (first, second):
        values = [values[metric] for _, values in chosen(rows, where, metric)]
        if not values:
            return None
        means.append(statistics.fmean(values))
    difference = means[0] - means[1]
    return difference, f"{means[0]:.4f} against {means[1]:.4f}: {difference:+.4f}"


def _levels(rows: Sequence[Row], axis: str) -> list[Any]:
    return sorted({settings[axis] for settings, _ in rows if axis in settings})


def _named(settings: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """Name a cell by the settings in which cells differ."""
    names = [n for n in settings if len({row[0].get(n) for row in rows}) > 1]
    told = (f"{settings[n]:g}" if isinstance(settings[n], float) else str(settings[n])
            for n in names)  # fmt: skip
    return ", ".join(f"{n.replace('_', ' ')} {text}" for n, text in zip(names, told, strict=True))
