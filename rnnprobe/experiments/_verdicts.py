"""How far a measured cell is from the published one, and which conclusions survive the noise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from rnnprobe._registry import load_object
from rnnprobe.experiments import EXPERIMENTS
from rnnprobe.experiments._claims import Answer, Claim
from rnnprobe.experiments._record import Cell, Experiment, Measure
from rnnprobe.experiments._reproduce import Measured, Part, Reproduction
from rnnprobe.experiments._shapes import SHAPES

CellVerdict = Literal[
    "agrees",
    "within noise",
    "differs",
    "unstable",
    "DNF in both",
    "DNF here",
    "DNF in part",
    "DNF there",
    "–",
]
ClaimVerdict = Literal[
    "holds", "does not hold", "within noise", "noise unknown", "not measured", "not seen here"
]

_DRAWS = 2000
_LEVEL = 0.05
_ROUNDING = 1e-9  # .53 - .5 is more than .03
FEWEST = 3  # runs whose spread tells of one more: of two Student's t says 15 times the spread


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
            differ by more than the tolerance themselves; what did not finish, here, in part of the
            runs, or there; a dash where nothing was published or run.
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
    values = tuple(measured.values(measure.key))
    reach = _reach(experiment, part, measured, measure) if values else 0.0
    published = measured.cell.reported.get(measure.key)
    verdict = _verdict(experiment, measured, measure, values, reach)
    return Comparison(measured, measure, published, values, verdict)


def _verdict(
    experiment: Experiment,
    measured: Measured,
    measure: Measure,
    values: Sequence[float],
    reach: float,
) -> CellVerdict:
    dead = any(run.status != "ok" for run in measured.runs)
    if measure.key not in measured.cell.reported or not (values or dead):
        return "–"
    published = measured.cell.reported[measure.key]
    if published is None:
        return "DNF there" if values else "DNF in both"
    if dead:
        return "DNF in part" if values else "DNF here"
    other = twin_value(experiment, measured, measure)
    if other is not None and abs(other - published) > measure.tolerance + _ROUNDING:
        return "unstable"
    off = abs(statistics.fmean(values) - published)
    if off <= measure.tolerance * (abs(published) if measure.relative else 1) + _ROUNDING:
        return "agrees"
    return "within noise" if off <= reach else "differs"


def _reach(experiment: Experiment, part: Part, measured: Measured, measure: Measure) -> float:
    """Return how far one run of others may be from the mean of ours, in 95 of 100 cases.

    By the number of examples, where it is a share, ours and the report's, as if they were not the
    same; and from three runs on by the spread over seeds. (Seeds change a minibatch as well: its
    number counts where there are fewer.)
    """
    values = measured.values(measure.key)
    published = measured.cell.reported.get(measure.key)
    number = num_counted(experiment, part, measured, measure)
    several = len(values) >= FEWEST
    by_examples = by_seeds = 0.0
    if number and published is not None and not (several and measure.counted == "batch"):
        share = (statistics.fmean(values) + published) / 2
        theirs = _num_published(experiment, measure) or number
        by_examples = 1.96 * math.sqrt(share * (1 - share) * (1 / number + 1 / theirs))
    if several:
        from scipy.stats import t

        quantile = float(t.ppf(1 - _LEVEL / 2, len(values) - 1))
        by_seeds = quantile * statistics.stdev(values) * math.sqrt(1 + 1 / len(values))
    return math.hypot(by_examples, by_seeds)


def _num_published(experiment: Experiment, measure: Measure) -> int | None:
    """Return of how many examples the published accuracy is a share, as far as that is known."""
    shape = SHAPES.get(experiment.dataset)
    if shape is None or measure.counted in (None, "batch"):
        return None
    return {
        "test": shape.num_test,
        "validation": shape.num_validation,
        "train": shape.num_train,
    }[measure.counted]


def num_counted(
    experiment: Experiment, part: Part, measured: Measured, measure: Measure
) -> int | None:
    """Return of how many examples an accuracy is the share of right ones; None of what is none."""
    if measure.counted is None:
        return None
    if measure.counted == "batch":
        batch = int({**experiment.settings, **measured.cell.settings}["batch_size"])
        return min(batch, len(part.dataset.train))
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
        claim: The conclusion.
        verdict: `holds` or `does not hold` where at least 97.5 % of the tables that the noise
            allows say so, else `within noise`; `noise unknown` where a cell was run once and what
            was measured is no share of examples; `not measured` where a cell that was to be run
            has no finished run, or those that decide were left out; `not seen here` where the
            published values of the measured cells do not show it either, although those of all
            cells do.
        asked: How many measured cells the claim is about.
        whole: How many cells of the published table it is about.
        evidence: What was seen, or is missing.
        interval: The middle 95 % of the number that decides, over these tables.
        share: Of these tables, how many say that it holds.
        shown: Whether the published table itself shows it; None where it cannot be asked.
    """

    claim: Claim
    verdict: ClaimVerdict
    asked: int
    whole: int
    evidence: str = ""
    interval: tuple[float, float] | None = None
    share: float | None = None
    shown: bool | None = None


def judge(reproduction: Reproduction, claim: Claim) -> Judgement:
    """Ask the measured table, and tables that differ from it by as much as its noise.

    To each measured mean is added the noise of the examples, where it is a share of such, and
    where there are several runs that of seeds: their standard error times a draw of Student's t of
    as many degrees of freedom as there are runs less one.
    """
    experiment, part = reproduction.plan.experiment, reproduction.parts[0]
    about = [one for one in part.cells if _is_about(experiment, claim, one.cell)]
    there = [one for one in about if one.values(claim.metric)]
    whole = [cell for cell in experiment.cells if _is_about(experiment, claim, cell)]
    told = claim.ask(experiment.published(experiment.cells))
    shown = told.holds if told is not None else None
    judged = partial(Judgement, claim, asked=len(there), whole=len(whole), shown=shown)
    missing = [one for one in about if one not in there and not _died_there(one.cell, claim)]
    if missing:
        return judged(
            "not measured", evidence=f"{len(missing)} of {len(about)} cells have no value"
        )
    means = [statistics.fmean(one.values(claim.metric)) for one in there]
    answer = _asked(experiment, claim, there, means)
    if answer is None:
        return judged("not measured")
    published = claim.ask(experiment.published([one.cell for one in there]))
    if shown and published is not None and not published.holds and not answer.holds:
        return judged("not seen here", evidence=answer.evidence)
    rng = np.random.default_rng(0)
    noises = [_noise(experiment, part, one, claim.metric, rng) for one in there]
    known = [noise for noise in noises if noise is not None]
    if len(known) < len(noises):
        return judged("noise unknown", evidence=answer.evidence)
    share, interval = _drawn(experiment, claim, there, means, known)
    verdict: ClaimVerdict = "within noise"
    if share >= 1 - _LEVEL / 2:
        verdict = "holds"
    elif share <= _LEVEL / 2:
        verdict = "does not hold"
    return judged(verdict, evidence=answer.evidence, interval=interval, share=share)


def _is_about(experiment: Experiment, claim: Claim, cell: Cell) -> bool:
    return claim.is_about({**experiment.settings, **cell.settings})


def _died_there(cell: Cell, claim: Claim) -> bool:
    """Whether the report has no value for a cell either, because it did not finish."""
    return cell.reported.get(claim.metric, 0.0) is None


def _asked(
    experiment: Experiment, claim: Claim, there: Sequence[Measured], values: Sequence[float]
) -> Answer | None:
    return claim.ask(
        [
            ({**experiment.settings, **one.cell.settings}, {claim.metric: value})
            for one, value in zip(there, values, strict=True)
        ]
    )


def _drawn(
    experiment: Experiment,
    claim: Claim,
    there: Sequence[Measured],
    means: Sequence[float],
    noises: Sequence[Sequence[float]],
) -> tuple[float, tuple[float, float] | None]:
    """Return in which share of drawn tables a claim holds, and the middle 95 % of its number."""
    drawn = np.add(np.asarray(means)[:, None], noises)
    if any(one.key == claim.metric and one.counted for one in experiment.measures):
        drawn = drawn.clip(0.0, 1.0)
    answers = [_asked(experiment, claim, there, values.tolist()) for values in drawn.T]
    known = [answer for answer in answers if answer is not None]
    numbers = [answer.value for answer in known if answer.value is not None]
    ends = np.quantile(numbers, (_LEVEL / 2, 1 - _LEVEL / 2)) if numbers else None
    interval = None if ends is None else (float(ends[0]), float(ends[1]))
    return sum(answer.holds for answer in known) / len(known), interval


def _noise(
    experiment: Experiment, part: Part, measured: Measured, key: str, rng: np.random.Generator
) -> Sequence[float] | None:
    """Return how far drawn means are from the measured one; None where that is not known.

    All runs of a cell have the same examples, so their noise does not fall with more runs.
    """
    values = measured.values(key)
    measure = next((one for one in experiment.measures if one.key == key), None)
    number = num_counted(experiment, part, measured, measure) if measure else None
    if number is None and len(values) < 2:
        return None
    noise = np.zeros(_DRAWS)
    if number is not None:
        mean = statistics.fmean(values)
        noise += math.sqrt(mean * (1 - mean) / number) * rng.standard_normal(_DRAWS)
    if len(values) > 1:
        error = statistics.stdev(values) / math.sqrt(len(values))
        noise += error * rng.standard_t(len(values) - 1, _DRAWS)
    return noise.tolist()
