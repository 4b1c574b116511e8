"""Inputs made from noise, against a linear softmax classifier whose answers are in closed form."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnprobe import Bounds, SequenceDataset, Split
from rnnprobe._files import check_output
from rnnprobe.attacks._synthesis import Synthesis, SynthesisResult, synthesize
from rnnprobe.attacks._synthesis_study import class_index, nearest_examples, synthesize_class
from rnnprobe.errors import DataError, UnknownNameError
from rnnprobe.losses import Loss
from rnnprobe.records import Array

SHAPE = (4, 3)
UNIT = Bounds(0.0, 1.0)
WEIGHTS = np.random.default_rng(7).normal(0, 0.3, size=(5, *SHAPE)).astype(np.float32)
for _class in range(5):  # two values that speak for each, so that the box has room for all
    WEIGHTS[_class].reshape(-1)[2 * _class : 2 * _class + 2] += 2


class Linear:
    """Logits that are scalar products of the input with one array a class."""

    num_classes = 5

    def __init__(self, scale: float = 3.0) -> None:
        self.weights = scale * WEIGHTS

    def logits(self, x: Array, mask: Array | None = None) -> Array:
        counted = x if mask is None else x * mask[..., np.newaxis]
        # A fixed order of summation, so that no row depends on the others.
        return np.stack([(counted * one).sum(axis=(1, 2)) for one in self.weights], axis=1)

    def loss_gradient(self, x: Array, loss: Loss, mask: Array | None = None) -> tuple[Array, Array]:
        logits = self.logits(x, mask)
        slope = loss.logit_gradient(np, logits, *loss.arrays)
        gradient = np.einsum("nc,ctf->ntf", slope, self.weights)
        return logits, gradient if mask is None else gradient * mask[..., np.newaxis]


def probability(x: np.ndarray, target: int) -> np.ndarray:
    exponentials = np.exp(Linear().logits(x).astype(float))
    return exponentials[:, target] / exponentials.sum(axis=1)


@pytest.mark.parametrize("cost", ["cross-entropy", "sum-of-squares"])
@pytest.mark.parametrize("target", range(5))
def test_a_linear_classifier_is_led_to_every_class_within_the_box(target: int, cost: str) -> None:
    settings = Synthesis(starts=6, steps=300, cost=cost)  # type: ignore[arg-type]
    made = synthesize(Linear(), SHAPE, UNIT, target=target, settings=settings)
    assert made.converged.all()
    assert (probability(made.x, target) >= 0.99).all()
    np.testing.assert_allclose(made.probabilities[:, target], probability(made.x, target), 1e-5)
    assert made.x.min() >= 0
    assert made.x.max() <= 1
    assert made.x.dtype == np.float32
    assert made.distance is None


def test_two_classes_are_left_along_the_difference_of_their_weights() -> None:
    model = Linear()
    model.weights = model.weights[:2]
    settings = Synthesis(starts=8, confidence=0.999)
    made = synthesize(model, SHAPE, UNIT, target=1, settings=settings)
    change, uphill = made.x - made.noise, np.sign(WEIGHTS[1] - WEIGHTS[0])
    assert (change * uphill >= 0).all()
    # Each first step of Adam has the length of the learning rate, wherever the box leaves room.
    once = synthesize(model, SHAPE, UNIT, target=1, settings=replace(settings, steps=1))
    moved = ~once.converged
    expected = np.clip(once.noise + np.float32(0.1) * uphill, 0, 1)
    np.testing.assert_allclose(once.x[moved], expected[moved], atol=1e-5)


def test_a_start_is_frozen_at_the_first_point_that_is_sure_enough() -> None:
    settings = Synthesis(starts=10, confidence=0.9)
    made = synthesize(Linear(), SHAPE, UNIT, target=2, settings=settings)
    for start in range(10):
        steps = int(made.steps[start])
        if steps == 0:
            np.testing.assert_array_equal(made.x[start], made.noise[start])
            continue
        fewer = replace(settings, steps=max(steps - 1, 1))
        if steps > 1:
            before = synthesize(Linear(), SHAPE, UNIT, target=2, settings=fewer)
            assert not before.converged[start]
        longer = synthesize(Linear(), SHAPE, UNIT, target=2, settings=replace(settings, steps=900))
        np.testing.assert_array_equal(longer.x[start], made.x[start])


def test_the_noise_has_the_middle_and_three_tenths_of_the_range_and_is_clipped() -> None:
    made = synthesize(
        Linear(0.0), SHAPE, Bounds(-2.0, 6.0), target=0, settings=Synthesis(starts=400, steps=1)
    )
    assert made.noise.min() == -2
    assert made.noise.max() == 6
    inside = made.noise[(made.noise > -2) & (made.noise < 6)]
    assert np.median(made.noise) == pytest.approx(2, abs=0.2)
    # A normal distribution cut at 5/3 standard deviations: 2 * 1.6667 * pdf / 0.9044 from 1.
    assert inside.var() == pytest.approx((0.3 * 8) ** 2 * 0.6334, rel=0.05)


def test_the_same_seed_gives_the_same_and_more_starts_leave_the_first_ones() -> None:
    few, again, many, other = (
        synthesize(Linear(), SHAPE, UNIT, target=1, settings=Synthesis(starts=n, seed=seed))
        for n, seed in ((3, 0), (3, 0), (7, 0), (3, 1))
    )
    np.testing.assert_array_equal(few.x, again.x)
    np.testing.assert_array_equal(few.noise, many.noise[:3])
    np.testing.assert_allclose(few.x, many.x[:3], atol=1e-6)
    np.testing.assert_array_equal(few.steps, many.steps[:3])
    assert (few.noise != other.noise).mean() > 0.5


def sneaky(weight: float = 0.05) -> tuple[np.ndarray, SynthesisResult]:
    source = np.random.default_rng(1).uniform(size=SHAPE).astype(np.float32)
    target = int(Linear().logits(source[np.newaxis])[0].argmin())
    settings = Synthesis(starts=5, source_weight=weight)
    return source, synthesize(
        Linear(), SHAPE, UNIT, target=target, source=source, settings=settings
    )


def test_a_sneaky_one_is_nearer_to_its_source_than_one_without_a_pull() -> None:
    source, made = sneaky()
    _, free = sneaky(0.0)
    assert made.converged.all()
    flat = (made.x - source).reshape(5, -1)
    np.testing.assert_allclose(made.distance, np.linalg.norm(flat, axis=1))
    assert made.distance is not None
    assert free.distance is not None
    assert (made.distance < free.distance).all()


def test_a_sneaky_one_of_two_classes_comes_near_the_smallest_distance_there_is() -> None:
    model = Linear(1.0)
    model.weights = model.weights[:2]
    difference = (WEIGHTS[1] - WEIGHTS[0]).astype(float)
    source = (0.5 - 0.02 * difference).astype(np.float32)
    wide = Bounds(-5.0, 5.0)  # so that the box is in nobody's way
    made = synthesize(
        model, SHAPE, wide, target=1, source=source, settings=Synthesis(starts=4, confidence=0.9)
    )
    missing = np.log(9) - (difference * source).sum()
    least = missing / np.linalg.norm(difference)
    assert made.converged.all()
    assert made.distance is not None
    assert (made.distance >= least * (1 - 1e-4)).all()
    assert (made.distance <= least * 1.05).all()


def test_a_huge_weight_of_the_source_holds_the_result_there() -> None:
    source, made = sneaky(1e6)
    assert not made.converged.any()
    # Adam's steps are still coarse while the weight, which falls, outweighs all else.
    np.testing.assert_allclose(made.x, np.broadcast_to(source, made.x.shape), atol=0.05)


def test_steps_that_do_not_count_stay_bit_for_bit() -> None:
    source = np.random.default_rng(1).uniform(size=SHAPE).astype(np.float32)
    source[2:] = 99.0
    mask = np.array([True, True, False, False])
    made = synthesize(
        Linear(6.0), SHAPE, UNIT, target=3, source=source, mask=mask, settings=Synthesis(starts=4)
    )
    assert (made.x[:, 2:] == 99).all()
    assert (made.noise[:, 2:] == 99).all()
    assert (made.x[:, :2] != source[:2]).any()
    assert made.x[:, :2].max() <= 1


def test_a_start_that_never_converges_returns_its_point_of_least_cost() -> None:
    settings = Synthesis(starts=3, steps=20, confidence=0.999999)
    made = synthesize(Linear(0.1), SHAPE, UNIT, target=0, settings=settings)
    assert not made.converged.any()
    assert (made.steps == 20).all()
    model = Linear(0.1)
    chances = [np.exp(model.logits(x)) for x in (made.x, made.noise)]
    after, before = (one[:, 0] / one.sum(axis=1) for one in chances)
    assert (after > before).all()


def test_the_ranking_puts_what_converged_and_is_near_first() -> None:
    _, made = sneaky()
    result = replace(
        made,
        converged=np.array([True, False, True, True, False]),
        distance=np.array([3.0, 0.1, 1.0, 2.0, 0.2]),
        probabilities=np.array([[0.99], [0.2], [0.99], [0.99], [0.4]]),
    )
    assert result.ranking(0).tolist() == [2, 3, 0, 4, 1]


def test_the_nearest_example_is_what_all_distances_say() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(6, 4, 3)).astype(np.float32)
    known = rng.normal(size=(5000, 5, 3)).astype(np.float32)
    known[4321, :4] = x[2]
    known[4321, 4] = 0
    mask, known_mask = rng.random((6, 4)) < 0.7, rng.random((5000, 5)) < 0.7
    known_mask[4321], mask[2] = True, True
    index, far = nearest_examples(x, mask, Split(known, np.zeros(5000, np.int32), known_mask))
    longer = np.concatenate([x * mask[..., None], np.zeros((6, 1, 3))], axis=1)
    gaps = longer[:, None] - (known * known_mask[..., None])[None]
    brute = np.sqrt(np.square(gaps).sum(axis=(2, 3)))
    assert index.tolist() == brute.argmin(axis=1).tolist()
    np.testing.assert_allclose(far, brute.min(axis=1), atol=1e-6)
    assert index[2] == 4321
    assert far[2] == 0


def test_a_class_is_named_or_numbered_and_names_come_first() -> None:
    names = ("2", "1", "zero")
    assert [class_index(name, names) for name in ("2", "1", "zero", "0")] == [0, 1, 2, 0]
    with pytest.raises(UnknownNameError, match=r"Did you mean 'zero'.*2, 1, zero.*from 0 to 2"):
        class_index("zerro", names)
    with pytest.raises(UnknownNameError, match="Unknown class '3'"):
        class_index("3", names)


def dataset_of(x: np.ndarray, y: np.ndarray, bounds: Bounds | None = None) -> SequenceDataset:
    part = Split(x, y)
    return SequenceDataset("own", part, part, part, tuple("abcde"), "0" * 16, bounds)


def test_data_without_bounds_lend_the_range_of_their_training_part() -> None:
    x = np.random.default_rng(0).uniform(-1, 3, size=(20, *SHAPE)).astype(np.float32)
    dataset = dataset_of(x, np.arange(20, dtype=np.int32) % 5)
    study = synthesize_class(Linear(), dataset, 2, settings=Synthesis(starts=2))
    assert not study.bounds_named
    assert (study.bounds.lower, study.bounds.upper) == (x.min(), x.max())
    assert study.usual is not None
    assert (study.usual == 0).all()  # the test part is the training part here
    assert synthesize_class(Linear(), replace(dataset, bounds=UNIT), 2).bounds == UNIT


def test_wrong_input_is_refused_in_one_line() -> None:
    y = np.arange(10, dtype=np.int32) % 5
    values = dataset_of(np.zeros((10, *SHAPE), np.float32), y, UNIT)
    tokens = dataset_of(np.ones((10, 4), np.int32), y)
    with pytest.raises(DataError, match=r"holds tokens, expected values.*--attack hotflip"):
        synthesize_class(Linear(), tokens, 1)
    with pytest.raises(DataError, match=r"no example 10 in the test part.*from 0 to 9"):
        synthesize_class(Linear(), values, 1, source=10)
    with pytest.raises(DataError, match="Example 3 is of class 'd' as it is"):
        synthesize_class(Linear(), values, 3, source=3)
    with pytest.raises(DataError, match="tells 5 classes apart, but the data has 2"):
        synthesize_class(Linear(), replace(values, class_names=("a", "b")), 1)
    with pytest.raises(ValueError, match="bounds are finite"):
        synthesize(Linear(), SHAPE, Bounds(0, np.inf), target=0)
    with pytest.raises(ValueError, match="a mask needs a source"):
        synthesize(Linear(), SHAPE, UNIT, target=0, mask=np.ones(4, bool))
    with pytest.raises(ValueError, match=r"source.shape == shape"):
        synthesize(Linear(), SHAPE, UNIT, target=0, source=np.zeros((2, 3), np.float32))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"starts": 0}, "starts >= 1"),
        ({"steps": 0}, "steps >= 1"),
        ({"learning_rate": 0}, "learning_rate > 0"),
        ({"cost": "hinge"}, "cost in"),
        ({"confidence": 1}, "0 < confidence < 1"),
        ({"source_weight": -1}, "0 <= source_weight <= 1e6"),
        ({"seed": -1}, "seed >= 0"),
    ],
)
def test_settings_outside_of_their_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Synthesis(**settings)


def test_saved_examples_are_arrays_and_known_as_ours(tmp_path: Path) -> None:
    path = tmp_path / "made.npz"
    made = synthesize(Linear(), SHAPE, UNIT, target=4, settings=Synthesis(starts=3))
    made.save(path, 4, {"target": "e"})
    with np.load(path) as saved:
        np.testing.assert_array_equal(saved["x"], made.x)
        np.testing.assert_array_equal(saved["probability"], made.probabilities[:, 4])
        assert saved["converged"].all()
        assert saved["start"].tolist() == [0, 1, 2]
    with zipfile.ZipFile(path) as archive:
        metadata = json.loads(archive.comment)
    assert metadata == {"schema": "rnnprobe.synthesis/1", "target": "e"}
    check_output(path)
