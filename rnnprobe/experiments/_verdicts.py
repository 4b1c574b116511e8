"""How far a measured cell is from the published one, and which conclusions survive the noise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rnnprobe._registry import load_object
from rnnprobe.experiments import EXPERIMENTS
from rnnprobe.experiments._claims import Claim, Row
from rnnprobe.experiments._record import Experiment, Measure
from rnnprobe.experiments._reproduce import Measured, Part, Reproduction

CellVerdict = Literal[
    "agrees", "within noise", "differs", "unstable", "DNF in both", "DNF here", "DNF there", "–"
]
ClaimVerdict = Literal[
    "holds", "does not hold", "within noise", "noise unknown", "not measured", "not seen here"
]

_DRAWS = 2000
_LEVEL = 0.05
_ROUNDING = 1e-9  # .53 - .5 is more than .03


@dataclass(frozen=True, eq=False)
class Comparison:
    """One published value beside what was measured.

    Args:
        measured: The cell.
        measure: What was measured.
        published: The value of the report; None where it did not finish, or has none.
        values: One a run that finished.
        verdict: `agrees` within the tolerance; `within noise` where it is off by more, but as far
            as one more run may be; `differs`; `unstable` where two reports of the same protocol
            differ by more than the tolerance themselves; what did not finish, here or there; a
            dash where nothing was published or run.
    """

    measured: Measured
    measure: Measure
    published: float | None
    values: tuple[float, ...]
    verdict: CellVerdict

    @property
    def mean(self) -> float | None:
        """The mean over the runs."""
        return statistics.fmean(self.values) if self.values else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation over the runs; None of fewer than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def difference(self) -> float | None:
        """Measured less published."""
        if self.mean is None or self.published is None:
            return None
        return self.mean - self.published


def compare(experiment: Experiment, part: Part, measured: Measured, measure: Measure) -> Comparison:
    """Set one measure of a cell beside the published one."""
    reported = measured.cell.reported
    values = tuple(measured.values(measure.key))
    published = reported.get(measure.key)
    number = num_counted(experiment, part, measured, measure)
    if measure.counted == "batch" and len(values) > 1:
        number = None
    verdict = _verdict(experiment, measured, measure, values, number)
    return Comparison(measured, measure, published, values, verdict)


def _verdict(
    experiment: Experiment,
    measured: Measured,
    measure: Measure,
    values: Sequence[float],
    number: int | None,
) -> CellVerdict:
    if measure.key not in measured.cell.reported or not measured.runs:
        return "–"
    published = measured.cell.reported[measure.key]
    if published is None:
        return "DNF there" if values else "DNF in both"
    if not values:
        return "DNF here"
    other = twin_value(experiment, measured, measure)
    if other is not None and abs(other - published) > measure.tolerance + _ROUNDING:
        return "unstable"
    off = abs(statistics.fmean(values) - published)
    if off <= measure.tolerance * (abs(published) if measure.relative else 1) + _ROUNDING:
        return "agrees"
    return "within noise" if off <= _reach(values, published, number) else "differs"


def _reach(values: Sequence[float], published: float, number: int | None) -> float:
    """Return how far one more run may be from the mean of these, in 95 of 100 cases.

    By the spread over seeds, and where it is a share by the number of examples, which may be others
    than the report's. (Seeds change a minibatch as well: its number counts for one run alone.)
    """
    by_examples = by_seeds = 0.0
    if number is not None:
        share = (statistics.fmean(values) + published) / 2
        by_examples = 1.96 * math.sqrt(2 * share * (1 - share) / number)
    if len(values) > 1:
        from scipy.stats import t

        quantile = float(t.ppf(1 - _LEVEL / 2, len(values) - 1))
        by_seeds = quantile * statistics.stdev(values) * math.sqrt(1 + 1 / len(values))
    return math.hypot(by_examples, by_seeds)


def num_counted(
    experiment: Experiment, part: Part, measured: Measured, measure: Measure
) -> int | None:
    """Return of how many examples an accuracy is the share of right ones; None of what is none."""
    if measure.counted is None:
        return None
    if measure.counted == "batch":
        return int({**experiment.settings, **measured.cell.settings}["batch_size"])
    return len(part.dataset.splits[measure.counted])


def twin_value(experiment: Experiment, measured: Measured, measure: Measure) -> float | None:
    """Return what another report of the same protocol has for a cell; None where there is none."""
    if experiment.twin is None:
        return None
    other: Experiment = load_object(EXPERIMENTS[experiment.twin])
    same = (cell for cell in other.cells if cell.settings == measured.cell.settings)
    return next((cell.reported.get(measure.key) for cell in same), None)


@dataclass(frozen=True)
class Judgement:
    """What became of a claim.

    Args:
        claim: The conclusion of the report.
        verdict: `holds` or `does not hold` where at least 97.5 % of the tables that the noise
            allows say so, else `within noise`; `not measured` where cells are missing;
            `not seen here` where the published values of the measured cells do not show it either,
            although those of all cells do.
        evidence: What was seen.
        interval: The middle 95 % of the number that decides, over these tables.
        share: Of these tables, how many say that it holds.
        shown: Whether the published table itself shows it; None where it cannot be asked.
    """

    claim: Claim
    verdict: ClaimVerdict
    evidence: str = ""
    interval: tuple[float, float] | None = None
    share: float | None = None
    shown: bool | None = None


def judge(reproduction: Reproduction, claim: Claim) -> Judgement:
    """Ask the measured table, and tables that differ from it by as much as its noise.

    Each value of a drawn table is the measured mean plus its standard error times a draw of
    Student's t of as many degrees of freedom as there are runs less one; of one run alone the
    standard error is that of a share of so many examples, and of what is no share 0.
    """
    experiment, part = reproduction.plan.experiment, reproduction.parts[0]
    whole = claim.ask(experiment.published(experiment.cells))
    shown = whole.holds if whole is not None else None
    there = [one for one in part.cells if one.finished]
    answer = claim.ask([_row(experiment, one, _means(experiment, claim, one)) for one in there])
    if answer is None:
        return Judgement(claim, "not measured", shown=shown)
    published = claim.ask(experiment.published([one.cell for one in there]))
    if shown and published is not None and not published.holds and not answer.holds:
        return Judgement(claim, "not seen here", answer.evidence, shown=shown)
    share, interval = _drawn(experiment, part, claim, there)
    verdict: ClaimVerdict = "within noise"
    if interval is not None and interval[0] == interval[1]:
        return Judgement(claim, "noise unknown", answer.evidence, shown=shown)
    if share >= 1 - _LEVEL / 2:
        verdict = "holds"
    elif share <= _LEVEL / 2:
        verdict = "does not hold"
    return Judgement(claim, verdict, answer.evidence, interval, share, shown)


def _drawn(
    experiment: Experiment, part: Part, claim: Claim, there: Sequence[Measured]
) -> tuple[float, tuple[float, float] | None]:
    """Return in which share of drawn tables a claim holds, and the middle 95 % of its number."""
    rng = np.random.default_rng(0)
    means = [_means(experiment, claim, one) for one in there]
    noises = [
        {key: _noise(experiment, part, one, key, rng) for key in mean}
        for one, mean in zip(there, means, strict=True)
    ]
    answers = [
        claim.ask(
            [
                _row(experiment, one, {key: mean[key] + noise[key][draw] for key in mean})
                for one, mean, noise in zip(there, means, noises, strict=True)
            ]
        )
        for draw in range(_DRAWS)
    ]
    known = [answer for answer in answers if answer is not None]
    values = [answer.value for answer in known if answer.value is not None]
    ends = np.quantile(values, (_LEVEL / 2, 1 - _LEVEL / 2)) if values else None
    interval = None if ends is None else (float(ends[0]), float(ends[1]))
    return sum(answer.holds for answer in known) / len(known), interval


def _noise(
    experiment: Experiment, part: Part, measured: Measured, key: str, rng: np.random.Generator
) -> Sequence[float]:
    values = measured.values(key)
    if len(values) > 1:
        error = statistics.stdev(values) / math.sqrt(len(values))
        return [float(error * one) for one in rng.standard_t(len(values) - 1, _DRAWS)]
    measure = next((one for one in experiment.measures if one.key == key), None)
    number = num_counted(experiment, part, measured, measure) if measure else None
    error = math.sqrt(values[0] * (1 - values[0]) / number) if number else 0.0
    return [float(error * one) for one in rng.standard_normal(_DRAWS)]


def _means(experiment: Experiment, claim: Claim, measured: Measured) -> Mapping[str, float]:
    keys = {measure.key for measure in experiment.measures} | {claim.metric}
    found = {key: measured.values(key) for key in sorted(keys)}
    return {key: statistics.fmean(values) for key, values in found.items() if values}


def _row(experiment: Experiment, measured: Measured, values: Mapping[str, float]) -> Row:
    return {**experiment.settings, **measured.cell.settings}, values
