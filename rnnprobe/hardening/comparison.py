"""Which rows of the experiment differ, tested pair by pair and adjusted for being several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rnnprobe.hardening.arms import CONTROL
from rnnprobe.hardening.evaluation import Measured
from rnnprobe.hardening.mistakes import ONLY, SUBSET, TIMES, WITHOUT
from rnnprobe.paired import Paired, compare_paired
from rnnprobe.statistics import holm

Row = tuple[Measured, ...]
_LEVEL = 0.05
_ACCURACY = (
    (ONLY, SUBSET),
    (ONLY, CONTROL),
    (TIMES, CONTROL),
    (WITHOUT, CONTROL),
)


class Comparison(NamedTuple):
    """Two rows of the experiment on the same examples.

    Args:
        measure: `clean` or `adaptive`, a column of both.
        first: Name of the one row.
        second: Name of the other.
        paired: The first less the second.
        p_holm: The p-value adjusted by Holm for all comparisons of the experiment.
    """

    measure: str
    first: str
    second: str
    paired: Paired
    p_holm: float

    @property
    def sign(self) -> int:
        """1 or -1 where the adjusted test says at 5 % that there is a difference, else 0."""
        return int(np.sign(self.paired.difference)) if self.p_holm < _LEVEL else 0


def compare_rows(
    rows: Mapping[str, Row], adversarial: Sequence[str], before: str, threshold: str
) -> tuple[Comparison, ...]:
    """Compare what the experiment was made to compare; nothing is chosen by its outcome.

    Each adversarial arm with the control, by adaptive robust and by clean accuracy; the input
    threshold with the model before; by test accuracy the mistakes alone with the random subset,
    and they, the over-weighted mistakes and the arm without suspects with the control; and all
    these with the model before. A row that is not there is left out.

    Args:
        rows: By name, one measurement a repeat, or a single one that stands for all repeats.
        adversarial: Names of the adversarial arms.
        before: Name of the model before.
        threshold: Name of the input threshold's row.
    """
    wanted = [(measure, name, CONTROL) for name in adversarial for measure in ("adaptive", "clean")]
    wanted += [("adaptive", threshold, before)] if threshold in rows else []
    if ONLY in rows:
        pairs = [*_ACCURACY, *((name, before) for name in (CONTROL, ONLY, TIMES, WITHOUT))]
        wanted += [("clean", *names) for names in pairs if set(names) <= set(rows)]
    found = [compare(measure, rows[first], rows[second]) for measure, first, second in wanted]
    adjusted = holm([one.p_value for one in found])
    return tuple(
        Comparison(*names, paired, p_holm)
        for names, paired, p_holm in zip(wanted, found, adjusted, strict=True)
    )


def compare(column: str, first: Row, second: Row) -> Paired:
    """Compare two rows by one of their columns; a single measurement stands for all repeats."""
    repeats = max(len(first), len(second))
    both = (row * repeats if len(row) == 1 else row for row in (first, second))
    return compare_paired(*([one.hits(column) for one in row] for row in both))
