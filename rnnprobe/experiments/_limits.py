"""`units<=128` and the like: which cells of an experiment are run."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rnnprobe._registry import unknown_name
from rnnprobe.errors import DataError
from rnnprobe.experiments._record import Cell, Experiment

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}


@dataclass(frozen=True)
class Limit:
    """A condition on one setting.

    Args:
        name: The setting, a field of `ModelSpec` or `TrainSpec`.
        relation: `<=`, `>=`, `!=`, `<`, `>` or `=`.
        value: A number, or a name for `=` and `!=`.
    """

    name: str
    relation: str
    value: float | str

    def __str__(self) -> str:
        value = f"{self.value:g}" if isinstance(self.value, float) else self.value
        return f"{self.name}{self.relation}{value}"

    def allows(self, settings: dict[str, Any]) -> bool:
        """Whether a cell with these settings meets it; one without the setting does."""
        if self.name not in settings:
            return True
        return _OPERATORS[self.relation](settings[self.name], self.value)


def parse_limits(text: str) -> tuple[Limit, ...]:
    """Return the conditions that `text` lists.

    Args:
        text: Conditions by commas.

    Raises:
        ValueError: One is no condition.

    Example:
        >>> [str(limit) for limit in parse_limits("units<=128, learning-rate<1e-1")]
        ['units<=128', 'learning_rate<0.1']
    """
    return tuple(_parsed(part.strip()) for part in text.split(","))


def _parsed(text: str) -> Limit:
    match = re.fullmatch(r"([\w-]+)\s*(<=|>=|!=|==|<|>|=)\s*([\w.+-]+)", text)
    if not match:
        raise ValueError(f"got '{text}', expected a condition like units<=128")
    name, relation, value = match.groups()
    relation = "=" if relation == "==" else relation
    try:
        return Limit(name.replace("-", "_"), relation, float(value))
    except ValueError:
        pass
    if relation not in ("=", "!="):
        raise ValueError(f"got '{text}', expected a number after {relation}")
    return Limit(name.replace("-", "_"), relation, value)


def within(experiment: Experiment, limits: Sequence[Limit]) -> list[Cell]:
    """Return the cells that meet all limits.

    Raises:
        DataError: No cell does, or a limit asks for what is no setting or of the wrong kind.
    """
    known = {name: value for cell in experiment.cells for name, value in cell.settings.items()}
    for limit in limits:
        if limit.name not in known:
            raise unknown_name("setting", limit.name, list(known))
        if isinstance(limit.value, str) != isinstance(known[limit.name], str):
            kind = "a name" if isinstance(known[limit.name], str) else "a number"
            raise DataError(f"The limit '{limit}' compares {limit.name}, which is {kind}.")
    kept = [c for c in experiment.cells if all(one.allows(dict(c.settings)) for one in limits)]
    if not kept:
        told = ", ".join(map(str, limits))
        values = ", ".join(
            f"{name} {sorted({c.settings[name] for c in experiment.cells if name in c.settings})}"
            for name in {limit.name for limit in limits}
        )
        raise DataError(f"No cell of {experiment.name} meets '{told}'; it has {values}.")
    return kept
