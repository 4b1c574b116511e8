"""Tables as reports print them, and the conditions that choose cells."""

from __future__ import annotations

import pytest

from rnnprobe.errors import DataError, UnknownNameError
from rnnprobe.experiments._limits import parse_limits, within
from rnnprobe.experiments._record import Cell, Experiment, Measure, listing, pivot


def experiment(cells: tuple[Cell, ...]) -> Experiment:
    return Experiment(
        name="tiny",
        title="",
        source="",
        dataset="mnist-5k",
        settings={"cell": "lstm"},
        cells=cells,
        rows=("units", "optimizer"),
        columns=("learning_rate",),
        measures=(Measure("test_accuracy", "Test"),),
        claims=(),
        given=(),
        chosen=(),
    )


GRID = pivot("units", "learning_rate", "test_accuracy", "1e-3 1.\n 16 .5 DNF\n 32 .6 .7")


def test_a_pivot_is_read_row_by_row() -> None:
    assert GRID[1] == Cell({"units": 16, "learning_rate": 1.0}, {"test_accuracy": None})
    assert [cell.settings["units"] for cell in GRID] == [16, 16, 32, 32]
    assert isinstance(GRID[0].settings["units"], int)
    assert GRID[3].reported == {"test_accuracy": 0.7}


def test_a_pivot_with_a_missing_place_is_refused() -> None:
    with pytest.raises(ValueError, match="argument"):
        pivot("units", "learning_rate", "test_accuracy", "1e-3 1.\n 16 .5")


def test_a_listing_leaves_out_what_is_a_dash() -> None:
    first, second = listing(
        "optimizer units", ("loss", "test_accuracy"), "adam - .1 .2\nsgd 8 - DNF"
    )
    assert first == Cell({"optimizer": "adam"}, {"loss": 0.1, "test_accuracy": 0.2})
    assert second == Cell({"optimizer": "sgd", "units": 8}, {"test_accuracy": None})


def test_a_listing_with_too_few_fields_is_refused() -> None:
    with pytest.raises(ValueError, match="must have 3 fields"):
        listing("optimizer units", ("loss",), "adam 8")


def test_a_measure_or_setting_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing is known of 'loss'"):
        experiment((Cell({"units": 1}, {"loss": 0.5}),))
    with pytest.raises(ValueError, match="nothing is known of 'layers'"):
        experiment((Cell({"layers": 1}),))


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("units<=16", {16}),
        ("units<32,learning-rate=1", {16}),
        ("units>16", {32}),
        ("units >= 16", {16, 32}),
        ("units!=16", {32}),
        ("units==32", {32}),
    ],
)
def test_limits_choose_cells(text: str, units: set[int]) -> None:
    kept = within(experiment(GRID), parse_limits(text))
    assert {cell.settings["units"] for cell in kept} == units
    assert len(kept) == len(units) * (1 if "learning" in text else 2)


def test_a_limit_lets_cells_pass_that_do_not_have_the_setting() -> None:
    cells = (Cell({"units": 64}), Cell({"optimizer": "adam"}))
    assert within(experiment(cells), parse_limits("units<8")) == [cells[1]]


@pytest.mark.parametrize("text", ["", "units", "units<=", "<=8", "units<=a", "units~8", "a<1,"])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_limits(text)


def test_limits_that_leave_nothing_or_ask_for_what_is_not_there_say_so() -> None:
    with pytest.raises(DataError, match=r"No cell of tiny meets 'units<8'; it has units \[16, 32"):
        within(experiment(GRID), parse_limits("units<8"))
    with pytest.raises(UnknownNameError, match="Did you mean 'units'"):
        within(experiment(GRID), parse_limits("unit<8"))
    with pytest.raises(DataError, match="units, which is a number"):
        within(experiment(GRID), parse_limits("units=adam"))
