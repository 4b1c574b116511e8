"""Losses of logits: values, and gradients in closed form against finite differences."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy.special import log_softmax

from rnnprobe.losses import (
    CrossEntropy,
    LogOdds,
    Loss,
    Margin,
    TargetedCrossEntropy,
    TargetedDlr,
    TargetedLogOdds,
    TargetedMargin,
    TargetedSquares,
)

RNG = np.random.default_rng(0)
Y = np.array([0, 1, 2, 1, 0])
TARGET = np.array([1, 2, 0, 0, 2])


def losses(num_classes: int) -> list[Loss]:
    y, target = Y % num_classes, (Y + 1) % num_classes
    kinds = (TargetedCrossEntropy, TargetedLogOdds, TargetedMargin, TargetedSquares)
    losses: list[Loss] = [CrossEntropy(y), LogOdds(y), Margin(y), TargetedDlr(y, target)]
    return [*losses, *(kind(target) for kind in kinds)]


@pytest.mark.parametrize("num_classes", [2, 3, 4, 10])
def test_gradients_are_those_of_finite_differences(num_classes: int) -> None:
    logits = RNG.normal(size=(5, num_classes)) * 3
    for loss in losses(num_classes):
        numeric = np.zeros_like(logits)
        for label in range(num_classes):
            step = np.eye(num_classes)[label] * 1e-5
            numeric[:, label] = (loss.values(logits + step) - loss.values(logits - step)) / 2e-5
        exact = loss.logit_gradient(np, logits, *loss.arrays)
        assert exact == pytest.approx(numeric, abs=1e-6), type(loss).__name__
        tensors = [keras.ops.convert_to_tensor(array) for array in loss.arrays]
        compiled = loss.logit_gradient(
            keras.ops, keras.ops.convert_to_tensor(logits.astype(np.float32)), *tensors
        )
        found = keras.ops.convert_to_numpy(compiled)
        assert found == pytest.approx(exact, abs=1e-5), type(loss).__name__


def test_cross_entropy_is_scipys_and_precise_where_the_model_is_sure() -> None:
    logits = RNG.normal(size=(5, 4)) * 50
    expected = -log_softmax(logits, axis=1)[np.arange(5), Y]
    assert CrossEntropy(Y).values(logits) == pytest.approx(expected, rel=1e-12, abs=1e-15)
    sure = np.array([[60.0, 0.0, 1.0]], np.float32)
    value = CrossEntropy(np.array([0])).values(sure)
    assert value == pytest.approx(np.exp(-60) + np.exp(-59), rel=1e-12)
    gradient = CrossEntropy.logit_gradient(np, sure, np.array([0]))
    assert gradient[0, 0] < 0, "of a sure model the gradient must not vanish"


def test_log_odds_point_as_the_cross_entropy_does_however_sure_the_model_is() -> None:
    logits = RNG.normal(size=(5, 4)) * 3
    one = CrossEntropy.logit_gradient(np, logits, Y)
    other = LogOdds.logit_gradient(np, logits, Y)
    lengths = [np.linalg.norm(g, axis=1, keepdims=True) for g in (one, other)]
    assert one / lengths[0] == pytest.approx(other / lengths[1])
    values = LogOdds(Y).values(logits)
    assert CrossEntropy(Y).values(logits) == pytest.approx(np.log1p(np.exp(values)))
    sure = np.array([[3000.0, 1.0, 0.0]], np.float32)
    gradient = LogOdds.logit_gradient(np, sure, np.array([0]))
    assert gradient == pytest.approx(np.array([[-1, np.e / (1 + np.e), 1 / (1 + np.e)]]))


def test_margins_change_sign_with_the_prediction() -> None:
    logits = RNG.normal(size=(200, 5))
    y = RNG.integers(0, 5, 200)
    assert ((Margin(y).values(logits) > 0) == (logits.argmax(1) != y)).all()
    assert ((TargetedMargin(y).values(logits) > 0) == (logits.argmax(1) == y)).all()


def test_targeted_dlr_knows_no_scale_and_falls_back_below_four_classes() -> None:
    logits = RNG.normal(size=(5, 6))
    loss = TargetedDlr(Y, TARGET)
    assert loss.values(7 * logits + 3) == pytest.approx(loss.values(logits))
    rows = np.arange(5)
    three = logits[:, :3]
    assert loss.values(three) == pytest.approx(three[rows, TARGET] - three[rows, Y])
    ranked = np.sort(logits, axis=1)
    ratio = (logits[rows, TARGET] - logits[rows, Y]) / (
        ranked[:, -1] - (ranked[:, -3] + ranked[:, -4]) / 2
    )
    assert loss.values(logits) == pytest.approx(ratio)


def test_a_loss_takes_rows() -> None:
    taken = TargetedDlr(Y, TARGET).take(np.array([3, 1]))
    assert [array.tolist() for array in taken.arrays] == [[1, 1], [0, 2]]
