"""The axes of a search, how their values are written, and the space they span.

Standard library only: the command line reads it for `--help`.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from rnnprobe._registry import check_name, unknown_name
from rnnprobe.baselines import BASELINE_AXES, BASELINES
from rnnprobe.cells import CELLS
from rnnprobe.optimizers import LOSSES, OPTIMIZERS

if TYPE_CHECKING:
    from rnnprobe.specs import ModelSpec, TrainSpec

Value = int | float | bool | str | None
Configuration = dict[str, Value]

_ENUMERABLE = 100_000
_MOST_VALUES = 10_000


@dataclass(frozen=True)
class Axis:
    """One thing that can be varied.

    Args:
        name: The field of `ModelSpec` or `TrainSpec`; options spell it with hyphens.
        kind: How its values are written.
        default: The value where nothing is said, in `train`.
        tuned: The values that `tune` tries where nothing is said.
        help: One line for `--help`.
        owner: Which record has the field.
        optional: Whether `none` is a value.
    """

    name: str
    kind: Literal["integer", "number", "flag", "name"]
    default: Value
    tuned: tuple[Value, ...]
    help: str
    owner: Literal["model", "train"]
    optional: bool = False

    @property
    def option(self) -> str:
        """The option of the command line."""
        return "--" + self.name.replace("_", "-")


AXES: dict[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis("cell", "name", "lstm", ("lstm",), "Recurrent cell or baseline", "model"),
        Axis("units", "integer", 64, (32, 64, 128), "Units of each layer", "model"),
        Axis("layers", "integer", 1, (1, 2), "Stacked layers", "model"),
        Axis("bidirectional", "flag", False, (False,), "Read in both directions: yes, no", "model"),
        Axis("learning_rate", "number", 1e-3, (3e-4, 1e-3, 3e-3, 1e-2), "Learning rate", "train"),
        Axis("optimizer", "name", "adam", ("adam", "rmsprop"), "Optimizer", "train"),
        Axis("momentum", "number", 0.9, (0.9,), "Momentum of the optimizer momentum", "train"),
        Axis("batch_size", "integer", 32, (32, 64, 128), "Examples per update", "train"),
        Axis("dropout", "number", 0.0, (0.0, 0.2), "Share of inputs dropped", "model"),
        Axis("recurrent_dropout", "number", 0.0, (0.0,), "Share of the state dropped", "model"),
        Axis("weight_decay", "number", None, (None,), "Decoupled weight decay", "train", True),
        Axis("clip_norm", "number", None, (None,), "Largest norm of the gradient", "train", True),
        Axis("loss", "name", "cross-entropy", ("cross-entropy",), "Loss", "train"),
    )
}


def parse_axis(axis: Axis, text: str) -> tuple[Value, ...]:
    """Return the values that `text` lists.

    Args:
        axis: Whose values they are.
        text: Values and ranges by commas: `16,32,64`, `16..4096:x2`, `0..0.5:+0.1`; `yes,no` for a
            flag; `none` where the axis may be off.

    Raises:
        ValueError: A value is of the wrong kind, out of range or repeated.

    Example:
        >>> parse_axis(AXES["units"], "16..128:x2,100")
        (16, 32, 64, 128, 100)
    """
    values: list[Value] = []
    for item in text.split(","):
        part = item.strip()
        values += _range(axis, part) if ".." in part else [_value(axis, part)]
    repeated = {str(value) for value in values if values.count(value) > 1}
    if repeated:
        raise ValueError(f"{axis.option} lists {', '.join(sorted(repeated))} twice.")
    for value in values:
        check_value(axis, value)
    return tuple(values)


def _value(axis: Axis, text: str) -> Value:
    if axis.optional and text == "none":
        return None
    if axis.kind == "name" and text:
        return text
    if axis.kind == "flag" and text in ("yes", "no"):
        return text == "yes"
    try:
        if axis.kind == "integer":
            return int(text)
        if axis.kind == "number":
            return float(text)
    except ValueError:
        pass
    expected = {
        "integer": "whole numbers",
        "number": "numbers",
        "flag": "yes or no",
        "name": "names",
    }[axis.kind]
    example = {"integer": "16,32 or 16..128:x2", "number": "0.1,0.2 or 1e-4..1e-1:x10"}
    raise ValueError(
        f"{axis.option} got '{text}', expected {expected}"
        + (f" like {example[axis.kind]}" if axis.kind in example else "")
        + (", or none." if axis.optional else ".")
    )


def _range(axis: Axis, text: str) -> list[Value]:
    if axis.kind not in ("integer", "number"):
        raise ValueError(f"{axis.option} takes a list of values, not the range '{text}'.")
    try:
        ends, _, step = text.partition(":")
        low, high = (Decimal(end) for end in ends.split(".."))
        operation, size = step[:1], Decimal(step[1:])
    except (InvalidOperation, ValueError) as exc:
        raise ValueError(
            f"{axis.option} got the range '{text}', expected LOW..HIGH:xFACTOR or LOW..HIGH:+STEP."
        ) from exc
    grows = (operation == "x" and size > 1 and low > 0) or (operation == "+" and size > 0)
    if not grows or high < low or not (low.is_finite() and high.is_finite() and size.is_finite()):
        raise ValueError(
            f"{axis.option} got the range '{text}', which does not lead from its low end to its "
            "high end; expected like 16..4096:x2 or 0..0.5:+0.1."
        )
    values: list[Value] = []
    while low <= high:
        if len(values) == _MOST_VALUES:
            raise ValueError(f"{axis.option}: '{text}' is more than {_MOST_VALUES} values.")
        values.append(_value(axis, str(int(low)) if low == low.to_integral() else str(low)))
        low = low * size if operation == "x" else low + size
    return values


_RANGES: dict[str, tuple[float, float]] = {  # from the first up to below the second
    "units": (1, math.inf),
    "layers": (1, math.inf),
    "batch_size": (1, math.inf),
    "momentum": (0, 1),
    "dropout": (0, 1),
    "recurrent_dropout": (0, 1),
    "weight_decay": (0, math.inf),
}


def check_value(axis: Axis, value: Value) -> None:
    """Refuse a number that the record would refuse, and a name that no table has.

    Raises:
        ValueError: What was received and what is expected.
    """
    if axis.name in ("learning_rate", "clip_norm") and isinstance(value, int | float):
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{axis.option} must be above 0, but got {value:g}.")
    elif axis.name in _RANGES and isinstance(value, int | float):
        low, high = _RANGES[axis.name]
        if not low <= value < high:
            below = f" and below {high:g}" if math.isfinite(high) else ""
            raise ValueError(f"{axis.option} must be at least {low:g}{below}, but got {value:g}.")
    elif axis.kind == "name":
        _check_name(axis, str(value))


def known_names(axis: Axis) -> list[str]:
    """Return the names that an axis of names takes, beside the user's own cells."""
    tables = {"cell": [*CELLS, *BASELINES], "optimizer": list(OPTIMIZERS), "loss": list(LOSSES)}
    return tables[axis.name]


def _check_name(axis: Axis, name: str) -> None:
    known = known_names(axis)
    if axis.name == "cell":
        check_name("cell", name, dict.fromkeys(known, ""))
    elif name not in known:
        raise unknown_name(axis.name, name, known)


def knows(configuration: Mapping[str, Value], axis: str) -> bool:
    """Whether `axis` means anything beside the cell and optimizer of a configuration."""
    cell = str(configuration["cell"])
    if axis == "momentum":
        return configuration["optimizer"] == "momentum"
    if AXES[axis].owner == "train" or axis == "cell" or cell not in BASELINE_AXES:
        return True
    return axis in BASELINE_AXES[cell]


def canonical(configuration: Mapping[str, Value]) -> Configuration:
    """Return the configuration with None where an axis means nothing, so that equals are equal."""
    return {name: configuration[name] if knows(configuration, name) else None for name in AXES}


def value_text(value: Value) -> str:
    """Return a value as it is written in options and tables.

    Example:
        >>> [value_text(value) for value in (True, None, 0.001, 16)]
        ['yes', 'none', '0.001', '16']
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def level_text(name: str, value: Value) -> str:
    """Return the value of an axis in a canonical configuration; a dash where it means nothing."""
    return "–" if value is None and not AXES[name].optional else value_text(value)


def to_specs(configuration: Mapping[str, Value], **train: Any) -> tuple[ModelSpec, TrainSpec]:
    """Return the records of one configuration.

    Args:
        configuration: A value per axis; None leaves the record's default.
        **train: More fields of `TrainSpec`, such as `epochs` and `seed`.
    """
    from rnnprobe.specs import ModelSpec, TrainSpec

    given = {name: value for name, value in configuration.items() if value is not None}
    model: dict[str, Any] = {n: v for n, v in given.items() if AXES[n].owner == "model"}
    settings: dict[str, Any] = {n: v for n, v in given.items() if AXES[n].owner == "train"}
    return ModelSpec(**model), TrainSpec(**settings, **train)


class SearchSpace:
    """The product of the values of all axes.

    Args:
        **values: One value or a sequence of values per axis name; an axis that is not named has
            its default alone.

    Raises:
        ValueError: An axis is unknown, a value is wrong, or an axis is given that no cell or
            optimizer of the space knows.

    Example:
        >>> space = SearchSpace(cell=("lstm", "cnn"), units=(16, 32))
        >>> space.size   # a CNN has no units
        3
    """

    def __init__(self, **values: Value | Sequence[Value]) -> None:
        unknown = sorted(set(values) - set(AXES))
        if unknown:
            raise ValueError(f"Unknown axis '{unknown[0]}'. Available: {', '.join(AXES)}.")
        self.values: dict[str, tuple[Value, ...]] = {
            name: _as_tuple(values.get(name, axis.default)) for name, axis in AXES.items()
        }
        for name, listed in self.values.items():
            if not listed:
                raise ValueError(f"The axis '{name}' has no values.")
            axis = AXES[name]
            self.values[name] = tuple(_coerced(axis, value) for value in listed)
            for value in self.values[name]:
                check_value(axis, value)
        for name in values:
            self._refuse_meaningless(name)

    @classmethod
    def for_tuning(cls, **values: Value | Sequence[Value]) -> SearchSpace:
        """Return the space that `tune` searches: its own values where an axis is not named."""
        space = cls(**values)
        for name, axis in AXES.items():
            if name not in values:
                space.values[name] = axis.tuned
        return space

    @property
    def varied(self) -> list[str]:
        """Names of the axes that have more than one value."""
        return [name for name, listed in self.values.items() if len(listed) > 1]

    @property
    def size(self) -> int:
        """How many distinct configurations there are; for a huge space an upper bound."""
        product = math.prod(len(listed) for listed in self.values.values())
        return product if product > _ENUMERABLE else len(self._distinct())

    @cached_property
    def configurations(self) -> list[Configuration]:
        """All distinct configurations, the last axis varied fastest.

        Raises:
            ValueError: There are more than 100,000.
        """
        if self.size > _ENUMERABLE:
            raise ValueError(f"The space has {self.size:,} cells; at most {_ENUMERABLE:,} can run.")
        return self.untried([])

    def untried(self, tried: Sequence[Mapping[str, Value]]) -> list[Configuration]:
        """Return the configurations that are not in `tried`; of a huge space a random sample.

        Args:
            tried: Canonical configurations.
        """
        done = {tuple(configuration.values()) for configuration in tried}
        return [c for key, c in self._distinct().items() if key not in done]

    def _distinct(self) -> dict[tuple[Value, ...], Configuration]:
        canonicals = (canonical(configuration) for configuration in self._product())
        return {tuple(configuration.values()): configuration for configuration in canonicals}

    def _product(self) -> Iterator[Configuration]:
        lists = self.values.values()
        if math.prod(len(listed) for listed in lists) <= _ENUMERABLE:
            for values in itertools.product(*lists):
                yield dict(zip(self.values, values, strict=True))
            return
        rng = random.Random(0)
        for _ in range(_ENUMERABLE):
            yield {name: rng.choice(listed) for name, listed in self.values.items()}

    def _refuse_meaningless(self, name: str) -> None:
        choices = itertools.product(self.values["cell"], self.values["optimizer"])
        if not any(knows({"cell": c, "optimizer": o}, name) for c, o in choices):
            what = "optimizer" if name == "momentum" else "cell"
            listed = ", ".join(str(value) for value in self.values[what])
            raise ValueError(f"{AXES[name].option} means nothing for the {what} {listed}.")


def _coerced(axis: Axis, value: Any) -> Value:
    """Return a value of the axis's own type, since KerasTuner wants values of one type."""
    if value is None and axis.optional:
        return None
    types: dict[str, tuple[type, ...]] = {
        "integer": (int,),
        "number": (int, float),
        "flag": (bool,),
        "name": (str,),
    }
    fits = isinstance(value, types[axis.kind]) and (
        axis.kind == "flag" or not isinstance(value, bool)
    )
    if not fits:
        raise ValueError(f"{axis.option} got {value!r}, expected a value of kind {axis.kind}.")
    return float(value) if axis.kind == "number" else value


def _as_tuple(value: Value | Sequence[Value]) -> tuple[Value, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return (value,)
    return tuple(value)
