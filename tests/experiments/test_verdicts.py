"""How far from the published value, and which claims survive the noise: numbers by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from rnnprobe.experiments import EXPERIMENTS
from rnnprobe.experiments._claims import Best, Bounded, Claim, Higher
from rnnprobe.experiments._record import Cell, Experiment, Measure
from rnnprobe.experiments._reproduce import Measured, Part, Plan, Reproduction, part_folder
from rnnprobe.experiments._verdicts import Judgement, compare, judge, num_counted, twin_value
from rnnprobe.records import SequenceDataset, Split
from rnnprobe.specs import Run

TEST = Measure("test_accuracy", "Test", tolerance=0.03)
LOSS = Measure("test_loss", "loss", tolerance=0.1, relative=True, counted=None)
BATCH = Measure("minibatch_1", "Train 1", counted="batch")


def dataset(num_test: int = 100, num_train: int = 60) -> SequenceDataset:
    def split(size: int) -> Split:
        return Split(np.zeros((size, 2, 1), np.float32), np.zeros(size, np.int32))

    return SequenceDataset(
        "tiny", split(num_train), split(4), split(num_test), ("a", "b"), "0" * 16
    )


def experiment(*cells: Cell, claims: tuple[Claim, ...] = ()) -> Experiment:
    return Experiment(
        name="tiny",
        title="",
        source="",
        dataset="mnist-5k",
        settings={"cell": "rnn", "batch_size": 50},
        cells=cells,
        rows=("units",),
        columns=(),
        measures=(TEST, LOSS, BATCH),
        claims=claims,
        given=(),
        chosen=(),
    )


def measured(
    plan: Plan, cell: Cell, runs: Sequence[Mapping[str, float] | str], seconds: float = 1.0
) -> Measured:
    """Return a cell whose runs have these metrics, or did not finish for this reason."""
    made = []
    for seed, one in enumerate(runs):
        model, train = plan.specs(cell, seed)
        died = isinstance(one, str)
        metrics = {} if isinstance(one, str) else one
        message = one if isinstance(one, str) else ""
        status = "dnf" if died else "ok"
        made.append(
            Run("0" * 16, model, train, status, {}, metrics, seconds, None, 1, {}, message)  # type: ignore[arg-type]
        )
    return Measured(cell, tuple(made))


def accuracies(*values: float) -> list[Mapping[str, float]]:
    return [{"test_accuracy": value} for value in values]


def verdict_of(
    published: Mapping[str, float | None],
    runs: Sequence[Mapping[str, float] | str],
    measure: Measure = TEST,
) -> str:
    cell = Cell({"units": 8}, published)
    made = experiment(cell)
    part = Part(None, dataset(), ())
    return compare(made, part, measured(Plan(made), cell, runs), measure).verdict


def test_one_run_agrees_within_the_tolerance_or_within_the_noise_of_its_examples() -> None:
    assert verdict_of({"test_accuracy": 0.5}, accuracies(0.53)) == "agrees"
    # 100 here, 500 there, at about .55: 1.96 * sqrt(.55 * .45 * (1 / 100 + 1 / 500)) = .107
    assert verdict_of({"test_accuracy": 0.5}, accuracies(0.60)) == "within noise"
    assert verdict_of({"test_accuracy": 0.5}, accuracies(0.61)) == "differs"


def test_several_runs_are_judged_by_where_one_more_would_lie() -> None:
    values = (0.70, 0.74, 0.78)
    reach = stats.t.ppf(0.975, 2) * np.std(values, ddof=1) * math.sqrt(4 / 3)
    for published in (0.74 + reach - 1e-6, 0.74 + reach + 1e-6):
        losses = [{"test_loss": value} for value in values]
        inside = published < 0.74 + reach
        assert verdict_of({"test_loss": published}, losses, LOSS) == (
            "within noise" if inside else "differs"
        )
    verdicts = []
    for share in (0.92, 0.93, 0.94, 0.95, 0.96, 0.97):
        middle = (0.74 + share) / 2
        by_examples = 1.96 * math.sqrt(middle * (1 - middle) * (1 / 100 + 1 / 500))
        expected = "within noise" if share - 0.74 <= math.hypot(reach, by_examples) else "differs"
        verdicts.append(expected)
        assert verdict_of({"test_accuracy": share}, accuracies(*values)) == expected
    assert len(set(verdicts)) == 2, "the border lies between them"


def test_a_minibatch_is_judged_by_its_own_size() -> None:
    # 50 examples at .9: 1.96 * sqrt(2 * .9 * .1 / 50) = .118; 100 would reach .083
    assert verdict_of({"minibatch_1": 0.95}, [{"minibatch_1": 0.85}], BATCH) == "within noise"
    assert verdict_of({"minibatch_1": 0.98}, [{"minibatch_1": 0.82}], BATCH) == "differs"
    several = [{"minibatch_1": value} for value in (0.84, 0.85, 0.86)]
    assert verdict_of({"minibatch_1": 0.95}, several, BATCH) == "differs"


def test_a_relative_tolerance_is_a_share_of_the_published_value() -> None:
    assert verdict_of({"test_loss": 20.0}, [{"test_loss": 21.9}], LOSS) == "agrees"
    assert verdict_of({"test_loss": 20.0}, [{"test_loss": 22.1}], LOSS) == "differs"


@pytest.mark.parametrize(
    ("published", "runs", "verdict"),
    [
        ({"test_accuracy": None}, ["oom: too much"], "DNF in both"),
        ({"test_accuracy": None}, accuracies(0.9), "DNF there"),
        ({"test_accuracy": 0.9}, ["oom: too much", "time: too long"], "DNF here"),
        ({"test_accuracy": 0.9}, ["oom: too much", {"test_accuracy": 0.9}], "DNF in part"),
        ({"test_accuracy": 0.9}, [], "–"),
        ({}, accuracies(0.9), "–"),
    ],
)
def test_what_did_not_finish_is_told(
    published: Mapping[str, float | None], runs: list[Mapping[str, float] | str], verdict: str
) -> None:
    assert verdict_of(published, runs) == verdict


def test_where_two_reports_differ_there_is_nothing_to_agree_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import sys

    far, near = Cell({"units": 8}, {"test_accuracy": 0.5}), Cell({"units": 9})
    twin = experiment(far, near)
    monkeypatch.setattr(sys.modules[__name__], "TWIN", twin, raising=False)
    monkeypatch.setitem(EXPERIMENTS, "twin", f"{__name__}:TWIN")
    cell = Cell({"units": 8}, {"test_accuracy": 0.9})
    made = Experiment(**{**vars(experiment(cell)), "twin": "twin"})
    one = measured(Plan(made), cell, accuracies(0.9))
    assert twin_value(made, one, TEST) == 0.5
    assert compare(made, Part(None, dataset(), ()), one, TEST).verdict == "unstable"
    other = measured(Plan(made), Cell({"units": 10}), accuracies(0.9))
    assert twin_value(made, other, TEST) is None


def judgement_of(
    claim: Claim, *cells: tuple[float | None, Sequence[float | str]], num_test: int = 10_000
) -> Judgement:
    """Judge a claim about cells with 1, 2, ... units, each published and measured.

    Cells without a value were left out by a limit; a text is a run that died.
    """
    published = [
        Cell({"units": number}, {"test_accuracy": value})
        for number, (value, _) in enumerate(cells, 1)
    ]
    made = experiment(*published, claims=(claim,))
    plan = Plan(made)
    parts = tuple(
        measured(
            plan,
            cell,
            [one if isinstance(one, str) else {"test_accuracy": one} for one in values],
        )
        for cell, (_, values) in zip(published, cells, strict=True)
        if values
    )
    return judge(Reproduction(plan, (Part(None, dataset(num_test), parts),)), claim)


def judged(claim: Claim, *cells: tuple[float | None, Sequence[float | str]], **size: int) -> str:
    return judgement_of(claim, *cells, **size).verdict


def test_a_claim_holds_where_noise_cannot_turn_it() -> None:
    claim = Higher("", over={"units": 2}, under={"units": 1})
    apart = ((0.5, [0.50, 0.51, 0.52]), (0.6, [0.90, 0.91, 0.92]))
    assert judged(claim, *apart) == "holds"
    assert judged(Higher("", {"units": 1}, {"units": 2}), *apart) == "does not hold"
    mixed = ((0.5, [0.50, 0.60, 0.70]), (0.6, [0.55, 0.62, 0.71]))
    assert judged(claim, *mixed) == "within noise"


def test_of_one_run_the_number_of_examples_decides() -> None:
    claim = Higher("", over={"units": 2}, under={"units": 1})
    cells = ((0.90, [0.90]), (0.92, [0.92]))
    assert judged(claim, *cells, num_test=10_000) == "holds"
    assert judged(claim, *cells, num_test=100) == "within noise"


def test_the_share_of_drawn_tables_is_that_of_a_difference_of_means() -> None:
    claim = Higher("", over={"units": 2}, under={"units": 1})
    cells = [Cell({"units": 1}), Cell({"units": 2})]
    made = experiment(*cells, claims=(claim,))
    plan = Plan(made)
    parts = tuple(
        measured(plan, cell, accuracies(value))
        for cell, value in zip(cells, (0.80, 0.82), strict=True)
    )
    judgement = judge(Reproduction(plan, (Part(None, dataset(1000), parts),)), claim)
    error = math.sqrt((0.80 * 0.20 + 0.82 * 0.18) / 1000)
    assert judgement.share == pytest.approx(stats.norm.cdf(0.02 / error), abs=0.03)
    assert judgement.interval is not None
    assert judgement.interval[0] == pytest.approx(0.02 - 1.96 * error, abs=0.004)
    assert judgement.interval[1] == pytest.approx(0.02 + 1.96 * error, abs=0.004)
    assert judgement.shown is None


def test_a_claim_about_cells_that_were_left_out_is_not_measured() -> None:
    claim = Best("", is_at={"units": 2})
    assert judged(claim, (0.5, [0.5]), (0.9, [])) == "not measured"


def test_a_claim_that_the_published_cells_here_do_not_show_is_not_seen_here() -> None:
    claim = Best("", is_at={"units": (2, 3)})
    # published: 3 units are best of all, but of 1 and 2 units 1 is
    assert judged(claim, (0.8, [0.8]), (0.7, [0.7]), (0.9, [])) == "not seen here"
    assert judged(claim, (0.8, [0.6]), (0.7, [0.7]), (0.9, [])) == "holds"


def test_the_judgement_says_whether_the_published_table_shows_the_claim() -> None:
    claim = Higher("", over={"units": 2}, under={"units": 1})
    cells = (Cell({"units": 1}, {"test_accuracy": 0.9}), Cell({"units": 2}, {"test_accuracy": 0.8}))
    made = experiment(*cells, claims=(claim,))
    plan = Plan(made)
    parts = tuple(measured(plan, cell, accuracies(0.5)) for cell in cells)
    assert judge(Reproduction(plan, (Part(None, dataset(), parts),)), claim).shown is False


def test_each_split_has_its_own_run_folder() -> None:
    made = Experiment(**{**vars(experiment(Cell({"units": 1}))), "splits": ("lines", None)})
    assert part_folder(made, Path("runs"), "lines") == Path("runs")
    assert part_folder(made, Path("runs"), None) == Path("runs/split-own")


def test_no_drawn_accuracy_is_above_1() -> None:
    judgement = judgement_of(Bounded("", where={}, upper=1.0), (0.9, [0.5, 0.99, 0.99]))
    assert judgement.verdict == "holds"
    assert judgement.interval is not None
    assert judgement.interval[1] == 1.0


def test_a_cell_that_did_not_finish_leaves_a_claim_about_it_open() -> None:
    safe = Bounded("", where={}, lower=0.8)
    alive, dead = (0.9, [0.9, 0.91, 0.92]), (0.9, ["nan: the loss is nan"])
    assert judged(safe, alive, alive) == "holds"
    judgement = judgement_of(safe, alive, dead)
    assert judgement.verdict == "not measured"
    assert judgement.evidence == "1 of 2 cells have no value"
    assert judged(safe, alive, (None, ["oom: too much"])) == "holds", "the report's died as well"
    other = Higher("", over={"units": 1}, under={"units": 2})
    assert judged(other, (0.9, [0.9]), (0.5, [0.5]), dead) == "holds", "it is not about that cell"


def test_a_judgement_counts_the_cells_that_were_asked() -> None:
    judgement = judgement_of(Bounded("", where={}, lower=0.8), (0.9, [0.9]), (0.9, []), (0.9, []))
    assert (judgement.asked, judgement.whole) == (1, 3)


def test_seeds_that_all_give_the_same_are_no_unknown_noise() -> None:
    chance = Bounded("", where={}, upper=0.12)
    assert judged(chance, (0.1, [0.0974, 0.0974, 0.0974])) == "holds"
    assert judged(chance, (0.1, [0.0974])) == "holds"
    assert judged(chance, (0.1, [1.0])) == "does not hold"


def test_two_runs_tell_of_no_spread() -> None:
    assert (
        verdict_of({"test_loss": 0.9}, [{"test_loss": 0.5}, {"test_loss": 0.7}], LOSS) == "differs"
    )


def test_a_minibatch_is_no_larger_than_the_training_part() -> None:
    cell = Cell({"units": 8}, {"minibatch_1": 0.5})
    made = experiment(cell)
    one = measured(Plan(made), cell, [{"minibatch_1": 0.5}])
    assert num_counted(made, Part(None, dataset(num_train=4), ()), one, BATCH) == 4


def test_of_one_run_no_noise_is_known_of_what_is_no_share() -> None:
    claim = Higher("", over={"units": 2}, under={"units": 1}, metric="seconds")
    cells = (Cell({"units": 1}), Cell({"units": 2}))
    made = experiment(*cells, claims=(claim,))
    plan = Plan(made)
    part = tuple(
        measured(plan, cell, accuracies(0.5), seconds=seconds)
        for cell, seconds in zip(cells, (1.0, 2.0), strict=True)
    )
    judgement = judge(Reproduction(plan, (Part(None, dataset(), part),)), claim)
    assert judgement.verdict == "noise unknown"
    assert judgement.evidence == "2.0000 against 1.0000: +1.0000"
