from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from rnnprobe.confusions.calibration import calibrate
from rnnprobe.records import Predictions
from rnnprobe.statistics import wilson_interval


def drawn(num_examples: int, sharpness: float = 1.0, seed: int = 0) -> Predictions:
    """Return predictions that are perfectly calibrated, then sharpened by a power."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet([0.2, 0.4, 0.8], size=num_examples)
    y = (rng.random((num_examples, 1)) > p.cumsum(axis=1)).sum(axis=1).clip(max=2)
    p = p**sharpness
    return Predictions(y.astype(np.int32), p / p.sum(axis=1, keepdims=True), ("a", "b", "c"))


def error_by_hand(predictions: Predictions, num_bins: int) -> float:
    total = 0.0
    for number in range(num_bins):
        chosen = [
            (confidence, said == true)
            for confidence, said, true in zip(
                predictions.confidence, predictions.predicted, predictions.y, strict=True
            )
            if number / num_bins < confidence <= (number + 1) / num_bins
        ]
        if chosen:
            confidence, right = np.mean(chosen, axis=0)
            total += len(chosen) / len(predictions.y) * abs(confidence - right)
    return total


@pytest.mark.parametrize("num_bins", [1, 4, 15])
def test_expected_calibration_error_equals_a_plain_loop(num_bins: int) -> None:
    predictions = drawn(300, 2.0)
    assert calibrate(predictions, num_bins).error == pytest.approx(
        error_by_hand(predictions, num_bins)
    )


def test_bins_equal_scikit_learns_calibration_curve() -> None:
    predictions = drawn(400, 1.5)
    found = calibrate(predictions)
    right = predictions.predicted == predictions.y
    accuracy, confidence = calibration_curve(right, predictions.confidence, n_bins=15)
    filled = found.counts > 0
    np.testing.assert_allclose(found.accuracy[filled], accuracy)
    np.testing.assert_allclose(found.mean_confidence[filled], confidence)
    assert np.isnan(found.accuracy[~filled]).all()
    assert found.counts.sum() == 400
    assert [interval is None for interval in found.intervals] == (~filled).tolist()
    last = int(found.counts[-1])
    assert found.intervals[-1] == wilson_interval(round(found.accuracy[-1] * last), last)


def test_brier_score_and_log_loss_equal_scikit_learns() -> None:
    predictions = drawn(200, 1.2)
    found = calibrate(predictions)
    expected = brier_score_loss(
        predictions.y, predictions.probabilities, labels=[0, 1, 2], scale_by_half=False
    )
    assert found.brier == pytest.approx(expected)
    assert found.log_loss == pytest.approx(
        log_loss(predictions.y, predictions.probabilities, labels=[0, 1, 2])
    )


def test_confidence_one_is_in_the_last_bin_and_a_sure_mistake_costs_infinitely_much() -> None:
    p = np.array([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]])
    found = calibrate(Predictions(np.array([0, 1, 0]), p, ("a", "b")), num_bins=2)
    assert found.counts.tolist() == [1, 2]
    assert found.accuracy.tolist() == [1.0, 0.5]
    assert found.log_loss == np.inf
    assert found.brier == pytest.approx((0 + 2 + 0.5) / 3)


def test_a_calibrated_model_is_within_chance_and_a_sharpened_one_is_not() -> None:
    honest = [calibrate(drawn(300, seed=seed)) for seed in range(40)]
    # Of 40 tests at 5 % more than 6 would be rejected once in a hundred times.
    assert sum(found.p_value < 0.05 for found in honest) <= 6
    assert sum(low <= 0 <= high for low, high in (one.gap_interval for one in honest)) >= 34
    mean = np.mean([one.error for one in honest])
    assert mean == pytest.approx(np.mean([one.error_by_chance for one in honest]), rel=0.1)
    sharp = calibrate(drawn(300, 3.0))
    assert sharp.p_value < 0.01
    assert sharp.error > sharp.error_by_chance_high > sharp.error_by_chance
    assert sharp.gap_interval.low > 0


def test_error_by_chance_equals_the_closed_form_of_one_bin() -> None:
    from scipy.stats import binom

    p = np.tile([0.7, 0.3], (20, 1))
    found = calibrate(Predictions(np.array([0] * 11 + [1] * 9), p, ("a", "b")), num_bins=1)
    hits = np.arange(21)
    chance, apart = binom.pmf(hits, 20, 0.7), np.abs(hits / 20 - 0.7)
    assert found.error == pytest.approx(0.15)
    assert found.error_by_chance == pytest.approx((chance * apart).sum(), rel=0.1)
    assert found.p_value == pytest.approx(chance[apart >= 0.15 - 1e-9].sum(), abs=0.05)


def test_the_gap_has_an_interval_where_nothing_varies_and_of_one_example() -> None:
    sure = calibrate(Predictions(np.zeros(50, int), np.tile([1.0, 0.0], (50, 1)), ("a", "b")))
    assert sure.gap == sure.error == sure.brier == 0
    assert sure.p_value == 1
    low, high = sure.gap_interval
    assert low < 0 < wilson_interval(0, 50).high < high < 0.15
    one = calibrate(Predictions(np.array([1]), np.array([[0.9, 0.1]]), ("a", "b")))
    low, high = one.gap_interval
    assert -1 <= low < 0.1
    assert one.gap == 0.9 < high <= 1


def test_no_example_and_no_bin_are_refused() -> None:
    with pytest.raises(ValueError, match="num_examples=0"):
        calibrate(Predictions(np.zeros(0, int), np.zeros((0, 2)), ("a", "b")))
    with pytest.raises(ValueError, match="num_bins=0"):
        calibrate(drawn(3), num_bins=0)
