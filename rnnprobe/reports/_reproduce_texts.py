"""How a reproduction's settings, numbers, verdicts and data are written."""

from __future__ import annotations

import math
import statistics
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from rnnprobe.datasets import DATASETS
from rnnprobe.experiments._record import Cell, Experiment, Measure, Setting, setting_text
from rnnprobe.experiments._reproduce import Measured, Part, Plan, Reproduction, split_text
from rnnprobe.experiments._verdicts import CellVerdict, Comparison, compare
from rnnprobe.table import Column, escape, format_cell

NOTHING = "–"
MARKS: Mapping[CellVerdict, str] = {"within noise": "≈", "differs": "≠", "unstable": "~"}
_MEANINGS: Mapping[CellVerdict, str] = {
    "within noise": "is off by more than the tolerance, but no further than one more run may be",
    "differs": "differs",
    "unstable": "unstable: two reports of this protocol differ by more than the tolerance there",
}
_DIGESTS: Mapping[str, frozenset[str]] = {
    "mnist": frozenset({"a4d19829abbf22a4"}),  # split first-5000
    "names": frozenset({"15a4f63a3342ccf9", "1697ba4016f43195"}),  # split lines, and our own
}
_DEVIATION_DIGITS = 2
_VALUE_DIGITS = 3


def axes_of(experiment: Experiment) -> tuple[str, ...]:
    """Return the settings in which cells may differ: those down the table, and those across."""
    return (*experiment.rows, *experiment.columns)


def setting_of(experiment: Experiment, cell: Cell, name: str) -> Setting | None:
    """Return one setting of a cell, or of all cells; None where neither names it."""
    return cell.settings.get(name, experiment.settings.get(name))


def setting_columns(experiment: Experiment, names: Sequence[str]) -> tuple[Column, ...]:
    """Return a column a setting; `settings_texts` gives what stands in them."""
    columns = []
    for name in names:
        values = (setting_of(experiment, cell, name) for cell in experiment.cells)
        kind: Any = "text" if any(isinstance(value, str) for value in values) else "markdown"
        columns.append(Column(name, name.replace("_", " "), kind))
    return tuple(columns)


def settings_texts(experiment: Experiment, cell: Cell, names: Sequence[str]) -> tuple[Any, ...]:
    """Return settings as tables show them, None where one is not set."""
    values = (setting_of(experiment, cell, name) for name in names)
    return tuple(None if value is None else setting_text(value) for value in values)


def short_label(cell: Cell, cells: Sequence[Cell]) -> str:
    """Return a cell's settings in words, without those that all these cells have."""
    told = {
        name: value
        for name, value in cell.settings.items()
        if any(other.settings.get(name) != value for other in cells)
    }
    return Cell(told or cell.settings).label()


def wrapped(label: str, width: int) -> str:
    """Return settings in words on several lines, each setting whole on one of them."""
    unbroken = label.replace(" ", "\xa0").replace(",\xa0", ", ")
    return "\n".join(textwrap.wrap(unbroken, width)).replace("\xa0", " ")


def some_of(labels: Sequence[str], most: int = 3) -> str:
    """Return the first of some names, and how many more there are."""
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return "; ".join(labels[:most]) + more


def report_order(experiment: Experiment) -> tuple[Measure, ...]:
    """Return the measures in the order of the report's own columns."""
    keys = list(dict.fromkeys(key for cell in experiment.cells for key in cell.reported))
    last = len(keys)
    place = {key: position for position, key in enumerate(keys)}
    return tuple(sorted(experiment.measures, key=lambda one: place.get(one.key, last)))


def measure_phrase(measure: Measure) -> str:
    """Return a measure as sentences call it."""
    return measure.key.replace("_", " ")


def tolerance_text(measure: Measure) -> str:
    """Return what counts as agreement: `0.03`, or `25 %` of the published value."""
    return f"{measure.tolerance:.0%}" if measure.relative else f"{measure.tolerance:g}"


def number(value: float, measure: Measure, digits: int = _VALUE_DIGITS) -> str:
    """Return a value with the digits that its measure deserves."""
    if math.isnan(value):
        return "NaN"
    if measure.digits is None:
        return format_cell(value, Column("", "", "significant", digits))
    return format_cell(value, Column("", "", "decimal", measure.digits))


def signed(value: float, measure: Measure) -> str:
    """Return a difference with its sign."""
    text = number(value, measure)
    return f"+{text}" if value > 0 else text


def published_text(comparison: Comparison) -> str | None:
    """Return the published value, `DNF`, or None where the report has none."""
    measure = comparison.measure
    if measure.key not in comparison.measured.cell.reported:
        return None
    return "DNF" if comparison.published is None else number(comparison.published, measure)


def measured_text(comparison: Comparison, wanted: int) -> str:
    """Return mean and standard deviation, and how many runs tell it where it is not all.

    Args:
        comparison: The cell.
        wanted: Runs that each cell should have.
    """
    values, measure = comparison.values, comparison.measure
    reasons = escape(reasons_text(comparison.measured))
    if not values:
        died = comparison.measured.runs and not comparison.measured.finished
        return f"DNF {reasons}".strip() if died else NOTHING
    text = number(statistics.fmean(values), measure)
    if comparison.deviation is not None:
        text += f" ± {number(comparison.deviation, measure, _DEVIATION_DIGITS)}"
    if len(values) < wanted:
        text += f" ({len(values)}/{wanted}{', DNF ' + reasons if reasons else ''})"
    return text


def reasons_text(measured: Measured) -> str:
    """Return why runs did not finish."""
    return ", ".join(filter(None, measured.reasons))


def place_text(comparison: Comparison, wanted: int) -> str:
    """Return what stands in one place of the report's table: measured, [published], the mark."""
    published = published_text(comparison)
    mark = MARKS.get(comparison.verdict, "")
    behind = f"[{published}]" if published is not None else ""
    return " ".join(filter(None, (measured_text(comparison, wanted), behind, mark)))


def marks_sentence(comparisons: Sequence[Comparison]) -> str:
    """Explain the marks that occur; empty where none does."""
    there = {comparison.verdict for comparison in comparisons}
    told = [f"{mark} {_MEANINGS[verdict]}" for verdict, mark in MARKS.items() if verdict in there]
    if not told:
        return ""
    dead = " or is DNF" if any(verdict.startswith("DNF") for verdict in there) else ""
    return f"Marks: {'; '.join(told)}; without a mark it agrees{dead}."


def compared(reproduction: Reproduction, measure: Measure) -> list[Comparison]:
    """Return the comparisons of one measure, with the report's split."""
    experiment, part = reproduction.plan.experiment, reproduction.parts[0]
    return [compare(experiment, part, measured, measure) for measured in part.cells]


def split_title(experiment: Experiment, part: Part) -> str:
    """Return how the data was split, in a few words."""
    whose = " (the report's)" if part.split == experiment.splits[0] else ""
    return split_text(part.split) + whose


def n_phrase(plan: Plan) -> str:
    """Return how many runs each cell has, and their seeds."""
    if plan.repeats == 1:
        return f"one run a cell, seed {plan.seed}"
    return f"n = {plan.repeats} runs a cell (seeds {plan.seed} to {plan.seed + plan.repeats - 1})"


def is_own_data(reproduction: Reproduction) -> bool:
    """Whether all runs had the experiment's own data, and the whole of it."""
    return reproduction.plan.limit_examples is None and _is_own_source(reproduction)


def _is_own_source(reproduction: Reproduction) -> bool:
    given, own = reproduction.plan.data, reproduction.plan.experiment.dataset
    known = _DIGESTS.get(own, ())
    return given in (None, own) or all(p.dataset.digest in known for p in reproduction.parts)


def quick_look(reproduction: Reproduction) -> str:
    """Return what must stand above all else where the data are not the experiment's own."""
    if is_own_data(reproduction):
        return ""
    limit = reproduction.plan.limit_examples
    if _is_own_source(reproduction) and limit is not None:
        return f"no reproduction: at most {limit:,} examples of each part"
    if reproduction.plan.experiment.dataset == "cifar10-grey" and limit is None:
        return "close to a reproduction: the report's own pictures are not to be had"
    return "no reproduction: other data than the experiment's, as far as a digest can tell"


def whose_data(reproduction: Reproduction) -> str:
    """Say whether the data, which has been named, is the experiment's own."""
    plan = reproduction.plan
    own = plan.experiment.dataset
    if _is_own_source(reproduction):
        text = "the experiment's own data"
        text += "" if plan.data in (None, own) else ", as its digest tells"
    elif plan.data in DATASETS:
        text = f"not the experiment's data, which is {own}: a quick look"
    else:
        text = f"no digest tells that it is the experiment's data, which is {own}"
    if plan.limit_examples is not None:
        text += f"; cut to at most {plan.limit_examples:,} examples a part: a quick look"
    return text
