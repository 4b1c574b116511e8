"""What a published experiment is made of: plain data, and readers of tables as reports print them.

Standard library only, so that `rnnprobe reproduce --list` needs nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rnnprobe.experiments._claims import Claim, Row
from rnnprobe.experiments._measures import is_known, of_a_layer

Setting = int | float | bool | str
Settings = Mapping[str, Setting]
"""Values by the fields of `ModelSpec` and `TrainSpec` (whose names differ)."""

Counted = Literal["test", "validation", "train", "batch"]


@dataclass(frozen=True)
class Measure:
    """One column of a published table.

    Args:
        key: A metric of `Run.metrics`, or one of `rnnprobe.experiments._measures`.
        title: Its head.
        tolerance: The largest difference that counts as agreement: absolute, or a share of the
            published value where it is `relative`.
        relative: Whether it is a share.
        counted: For an accuracy, of which examples it is the share of right ones; `batch` is one
            minibatch. None for what is no accuracy.
        digits: Digits after the point; None prints three digits that count.
    """

    key: str
    title: str
    tolerance: float = 0.03
    relative: bool = False
    counted: Counted | None = "test"
    digits: int | None = 3


@dataclass(frozen=True)
class Cell:
    """One row or place of a published table.

    Args:
        settings: What was set, by field; on top of what all cells have.
        reported: The published values by `Measure.key`; None where the run did not finish. A
            measure that is missing was not published. Empty for a cell that is only run because a
            claim needs it.
    """

    settings: Settings
    reported: Mapping[str, float | None] = field(default_factory=dict)

    def label(self) -> str:
        """Return the settings in words.

        Example:
            >>> Cell({"units": 16, "learning_rate": 1e-5}).label()
            'units 16, learning rate 1e-05'
        """
        return ", ".join(
            f"{name.replace('_', ' ')} {setting_text(value)}"
            for name, value in self.settings.items()
        )


@dataclass(frozen=True)
class Experiment:
    """One published table with what is known of how it came about.

    Args:
        name: What it is called in `rnnprobe reproduce`.
        title: One line: what was varied, on which data.
        source: The report.
        dataset: A name of `rnnprobe.datasets.DATASETS`.
        splits: How the data is split, a name of `rnnprobe.datasets.SPLITS` or None for rnnprobe's
            own; the first is the report's, and more stand beside it.
        settings: What all cells have.
        cells: What was run.
        rows: Settings down the table.
        columns: Settings across it; where there are none the measures stand across.
        measures: What was published; the first is the one that verdicts and sentences are about.
        claims: What the report concludes, and what was read off its table.
        given: What the report says of its protocol and is followed here, one sentence each.
        chosen: What it does not say, and what was chosen here and why, one sentence each.
        twin: The name of another report's experiment with the same protocol and cells; None where
            there is none.
        initializers: `ModelSpec.initializers` of all cells.
    """

    name: str
    title: str
    source: str
    dataset: str
    settings: Settings
    cells: tuple[Cell, ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    measures: tuple[Measure, ...]
    claims: tuple[Claim, ...]
    given: tuple[str, ...]
    chosen: tuple[str, ...]
    splits: tuple[str | None, ...] = (None,)
    twin: str | None = None
    initializers: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        keys = [measure.key for measure in self.measures]
        wrong = [key for key in keys if not is_known(key)]
        wrong += [key for cell in self.cells for key in cell.reported if key not in keys]
        wrong += [
            name
            for cell in self.cells
            for name in cell.settings
            if name not in (*self.rows, *self.columns)
        ]
        if wrong:
            raise ValueError(f"`{self.name}`: nothing is known of '{wrong[0]}'.")

    @property
    def saves_models(self) -> bool:
        """Whether a measure needs the trained model."""
        return any(of_a_layer(measure.key) for measure in self.measures)

    def published(self, cells: Sequence[Cell]) -> list[Row]:
        """Return what was published of some cells, as claims ask for it."""
        return [
            (
                {**self.settings, **cell.settings},
                {key: value for key, value in cell.reported.items() if value is not None},
            )
            for cell in cells
        ]


def setting_text(value: Setting) -> str:
    """Return a setting as it is written in tables."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def pivot(rows: str, columns: str, key: str, text: str) -> tuple[Cell, ...]:
    """Read a table with one setting down and one across, row by row.

    Args:
        rows: The setting down, whole numbers.
        columns: The setting across, whose values stand in the first line.
        key: The measure.
        text: Fields by spaces; `DNF` where a run did not finish.
    """
    head, *lines = (line.split() for line in text.strip().splitlines())
    return tuple(
        Cell({rows: _number(first), columns: _number(across)}, {key: _value(value)})
        for first, *values in lines
        for across, value in zip(head, values, strict=True)
    )


def listing(settings: str, keys: tuple[str, ...], text: str) -> tuple[Cell, ...]:
    """Read a table with one cell a line: its settings, then its values.

    Args:
        settings: Names of the settings by spaces.
        keys: The measures.
        text: Fields by spaces; a setting `-` is not set, a value `DNF` did not finish, a value `-`
            was not published.
    """
    names = settings.split()
    cells = []
    for line in text.strip().splitlines():
        fields = line.split()
        if len(fields) != len(names) + len(keys):
            raise ValueError(f"`{line.strip()}` must have {len(names) + len(keys)} fields.")
        chosen = {n: _number(f) for n, f in zip(names, fields, strict=False) if f != "-"}
        values = zip(keys, fields[len(names) :], strict=True)
        cells.append(Cell(chosen, {key: _value(f) for key, f in values if f != "-"}))
    return tuple(cells)


def _number(field_: str) -> Setting:
    for read in (int, float):
        try:
            return read(field_)
        except ValueError:
            continue
    return field_


def _value(field_: str) -> float | None:
    return None if field_ == "DNF" else float(field_)
