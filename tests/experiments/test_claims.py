"""Claims, on tables small enough to be judged by eye."""

from __future__ import annotations

import pytest

from rnnprobe.experiments._claims import (
    Best,
    BestMoves,
    Bounded,
    Claim,
    ExplainsMore,
    Higher,
    NoBetter,
    Ordered,
    Row,
)

UNITS, RATES = (16, 32, 64), (1e-3, 1e-2)


def table(*rows: tuple[float, ...]) -> list[Row]:
    """Return test accuracies, units down, learning rates across."""
    return [
        ({"units": units, "learning_rate": rate}, {"test_accuracy": value})
        for units, values in zip(UNITS, rows, strict=False)
        for rate, value in zip(RATES, values, strict=True)
    ]


RISING = table((0.5, 0.9), (0.6, 0.8), (0.7, 0.1))


@pytest.mark.parametrize(
    ("claim", "holds", "value"),
    [
        (Best("", is_at={"units": 16, "learning_rate": 1e-2}), True, 0.1),
        (Best("", is_at={"units": 32}), False, -0.1),
        (Best("", is_at={"units": 64}, among={"learning_rate": 1e-3}), True, 0.1),
        (Bounded("", where={"learning_rate": 1e-3}, lower=0.5), True, 0.5),
        (Bounded("", where={"learning_rate": 1e-3}, lower=0.55), False, 0.5),
        (Bounded("", where={"units": (16, 32)}, upper=0.9), True, 0.9),
        (Bounded("", where={}, lower=0.2, upper=0.95), False, 0.1),
        (Higher("", over={"learning_rate": 1e-3}, under={"units": 64}), True, 0.2),
        (Higher("", over={"learning_rate": 1e-3}, under={"units": 64}, by=0.25), False, 0.2),
        (NoBetter("", cells={"units": 16}, than={"units": 32}, by=0.01), True, 0.0),
        (NoBetter("", cells={"units": 64}, than={"units": 32}, by=0.01), True, -0.3),
        (NoBetter("", cells={"units": 32}, than={"units": 64}, by=0.01), False, 0.3),
        (Ordered("", "units", rises=True, where={"learning_rate": 1e-3}), True, 0.1),
        (Ordered("", "units", rises=True), False, -0.3),
        (Ordered("", "units", rises=False, where={"learning_rate": 1e-2}), True, 0.1),
        (BestMoves("", best="learning_rate", along="units"), True, None),
    ],
)
def test_claims_answer(claim: Claim, holds: bool, value: float | None) -> None:
    answer = claim.ask(RISING)
    assert answer is not None
    assert answer.holds is holds
    assert answer.value == (None if value is None else pytest.approx(value))


def test_the_best_level_must_move_down_and_never_up() -> None:
    claim = BestMoves("", best="learning_rate", along="units")
    stays = claim.ask(table((0.1, 0.2), (0.1, 0.2), (0.1, 0.2)))
    back = claim.ask(table((0.2, 0.1), (0.1, 0.2), (0.2, 0.1)))
    assert stays is not None
    assert back is not None
    assert not stays.holds
    assert not back.holds


def test_shares_of_variance_are_those_of_the_factorial() -> None:
    rows = table((1.0, 5.0), (2.0, 6.0), (3.0, 7.0))  # additive: units 2/3, rates 4, of 14/3
    answer = ExplainsMore("", "learning_rate", "units").ask(rows)
    assert answer is not None
    assert answer.holds
    assert answer.value == pytest.approx((4 - 2 / 3) / (14 / 3))
    assert answer.evidence == "learning rate explains 85.7% of the variance, units 14.3%"


@pytest.mark.parametrize(
    "claim",
    [
        Best("", is_at={"units": 128}),
        Best("", is_at={}),
        Bounded("", where={"units": 128}, lower=0.5),
        Higher("", over={"units": 128}, under={"units": 16}),
        NoBetter("", cells={"units": 16}, than={"units": 128}, by=1.0),
        Ordered("", "units", rises=True, where={"units": 16}),
        Ordered("", "layers", rises=True),
        Ordered("", "units", rises=True, metric="seconds"),
        ExplainsMore("", "learning_rate", "layers"),
        BestMoves("", best="learning_rate", along="layers"),
    ],
)
def test_claims_about_cells_that_are_not_there_have_no_answer(claim: Claim) -> None:
    assert claim.ask(RISING) is None


@pytest.mark.parametrize(
    ("claim", "about"),
    [
        (Best("", is_at={"units": 16}, among={"learning_rate": 1e-3}), 3),
        (Bounded("", where={"units": (16, 32)}, lower=0.5), 4),
        (Higher("", over={"units": 16}, under={"learning_rate": 1e-3}), 4),
        (NoBetter("", cells={"units": 16}, than={"units": 64}, by=0.0), 4),
        (Ordered("", along="units", rises=True, where={"learning_rate": 1e-2}), 3),
        (Ordered("", along="layers", rises=True), 0),
        (ExplainsMore("", "learning_rate", "units"), 6),
        (BestMoves("", best="learning_rate", along="units"), 6),
    ],
)
def test_claims_say_which_cells_have_a_part_in_them(claim: Claim, about: int) -> None:
    assert sum(claim.is_about(settings) for settings, _ in RISING) == about
