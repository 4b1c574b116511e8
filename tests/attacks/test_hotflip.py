"""HotFlip and token noise against brute force: a NumPy bag of embeddings, and Keras models."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from rnnprobe import Bounds, Budget, KerasClassifier
from rnnprobe.attacks.hotflip import HotFlip, Recall, shortlist_recall, single_edits
from rnnprobe.attacks.noise import Noise
from rnnprobe.errors import DataError, ModelError
from rnnprobe.losses import Loss, Margin

NUM_TOKENS, NUM_STEPS = 9, 5
BOUNDS = Bounds(2, NUM_TOKENS - 1)
ONE = Budget(1, "edits", BOUNDS)
TWO = Budget(2, "edits", BOUNDS)


class Bag:
    """Logits are tanh of the mean embedding, times weights; padding is left out."""

    num_classes = 3

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.embeddings = rng.normal(size=(NUM_TOKENS, 4)).astype(np.float32)
        self.embeddings[2:] *= 0.5
        self.embeddings[1::3] *= 4  # so that some examples are beyond one edit, some beyond two
        self.weights = rng.normal(size=(4, 3)).astype(np.float32)
        self.bias = rng.normal(size=3).astype(np.float32)
        self.widths: set[int] = set()

    def _hidden(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        counted = (x != 0)[..., None]
        share = counted / np.maximum(counted.sum(axis=1, keepdims=True), 1)
        return np.tanh((self.embeddings[x] * share).sum(axis=1)), share

    def logits(self, x: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        self.widths.add(x.shape[1])
        return (self._hidden(x)[0] @ self.weights + self.bias).astype(np.float32)

    def loss_gradient(
        self, x: np.ndarray, loss: Loss, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        hidden, share = self._hidden(x)
        logits = self.logits(x)
        slope = loss.logit_gradient(np, logits, *loss.arrays) @ self.weights.T * (1 - hidden**2)
        return logits, (slope[:, None] * share).astype(np.float32)

    def embedding_matrix(self) -> np.ndarray:
        return self.embeddings


class BlackBox:
    """The same without gradient and embedding."""

    num_classes = 3

    def __init__(self, seed: int = 0) -> None:
        self.logits = Bag(seed).logits


def sentences(seed: int = 0, size: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Return sequences of 1 to 5 tokens, padded to 5, and what the bag says of them."""
    rng = np.random.default_rng(seed)
    x = rng.integers(1, NUM_TOKENS, (size, NUM_STEPS)).astype(np.int32)
    x[np.arange(NUM_STEPS) >= 1 + np.arange(size)[:, None] % NUM_STEPS] = 0
    return x, Bag(seed).logits(x).argmax(axis=1).astype(np.int32)


def neighbours(row: np.ndarray, edits: int) -> Iterator[np.ndarray]:
    """Yield every sequence that differs from this one at `edits` places, never at padding."""
    places = [place for place, token in enumerate(row) if token]
    for chosen in itertools.combinations(places, edits):
        options = [[t for t in range(2, NUM_TOKENS) if t != row[place]] for place in chosen]
        for tokens in itertools.product(*options):
            changed = row.copy()
            changed[list(chosen)] = tokens
            yield changed


def best_margins(model: Bag, x: np.ndarray, y: np.ndarray, edits: int) -> np.ndarray:
    """Return the largest margin among all such neighbours, -inf where there are none."""
    best = np.full(len(x), -np.inf)
    for index, row in enumerate(x):
        points = list(neighbours(row, edits))
        if points:
            labels = np.repeat(y[index], len(points))
            best[index] = Margin(labels).values(model.logits(np.stack(points))).max()
    return best


@pytest.mark.parametrize("shortlist", [0, 1, 5, 50])
@pytest.mark.parametrize("seed", [0, 3, 5, 6, 7])
def test_an_example_is_flipped_by_one_edit_exactly_where_brute_force_flips_it(
    seed: int, shortlist: int
) -> None:
    model, (x, y) = Bag(seed), sentences(seed)
    changed = HotFlip(shortlist=shortlist)(model, x, y, ONE)
    margins = Margin(y).values(model.logits(changed))
    best = best_margins(model, x, y, 1)
    assert 0 < (best > 0).mean() < 1
    assert ((margins > 0) == (best > 0)).all()
    largest = np.maximum(best, Margin(y).values(model.logits(x)))
    expected = largest[best <= 0] if shortlist in (1, 5) else largest
    found = margins[best <= 0] if shortlist in (1, 5) else margins
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("model_of", [Bag, BlackBox])
def test_a_wide_beam_finds_two_edits_exactly_where_brute_force_does(model_of: type[Bag]) -> None:
    bag, (x, y) = Bag(3), sentences(3)
    changed = HotFlip(beam=200)(model_of(3), x, y, TWO)
    margins = Margin(y).values(bag.logits(changed))
    by_one, by_two = best_margins(bag, x, y, 1) > 0, best_margins(bag, x, y, 2) > 0
    assert (by_two & ~by_one).any()
    assert ((margins > 0) == (by_one | by_two)).all()
    edits = (changed != x).sum(axis=1)
    assert (edits[by_one] == 1).all()
    assert (edits[by_two & ~by_one] == 2).all()


def test_a_resisting_example_comes_back_at_its_largest_margin() -> None:
    model, (x, y) = Bag(6), sentences(6)
    changed = HotFlip(beam=200)(model, x, y, TWO)
    margins = Margin(y).values(model.logits(changed))
    best = np.maximum(best_margins(model, x, y, 1), best_margins(model, x, y, 2))
    best = np.maximum(best, Margin(y).values(model.logits(x)))
    assert (best <= 0).any()
    assert margins[best <= 0] == pytest.approx(best[best <= 0], abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 6), st.integers(1, 4), st.booleans(), st.booleans())
def test_padding_stays_edits_are_counted_and_tokens_lie_in_the_bounds(
    seed: int, epsilon: int, lower: int, targeted: bool, noise: bool
) -> None:
    x, y = sentences(seed, 12)
    given_x = x.copy()
    attack = (
        Noise(tries=3, targeted=targeted, seed=seed)
        if noise
        else HotFlip(beam=2, shortlist=3, targeted=targeted)
    )
    budget = Budget(epsilon, "edits", Bounds(lower, 6))
    changed = attack(Bag(seed), x, y, budget)
    edited = changed != x
    assert (x == given_x).all()
    assert changed.dtype == x.dtype
    assert ((changed == 0) == (x == 0)).all()
    assert (edited.sum(axis=1) <= epsilon).all()
    assert ((changed[edited] >= lower) & (changed[edited] <= 6)).all()
    alone = np.concatenate(
        [attack(Bag(seed), x[[i]], y[[i]], budget) for i in range(len(x))], axis=0
    )
    assert (alone == changed).all()
    assert (attack(Bag(seed), x, y, budget) == changed).all()


@pytest.mark.parametrize("attack", [HotFlip(), HotFlip(targeted=True), Noise()])
def test_no_edits_no_change(attack: HotFlip | Noise) -> None:
    x, y = sentences()
    for epsilon in (0, 0.9):
        assert (attack(Bag(), x, y, Budget(epsilon, "edits", BOUNDS)) == x).all()


def test_an_example_that_is_wrong_already_stays_as_it_is() -> None:
    x, y = sentences()
    assert (HotFlip()(Bag(), x, (y + 1) % 3, TWO) == x).all()


def test_any_number_of_edits_is_never_more_than_there_are_steps() -> None:
    x, y = sentences()
    changed = HotFlip()(Bag(), x, y, Budget(np.inf, "edits", BOUNDS))
    assert (Bag().logits(changed).argmax(axis=1) != y).mean() > 0.3
    assert ((changed == 0) == (x == 0)).all()


@pytest.mark.parametrize("attack", [HotFlip(), Noise()])
def test_only_steps_that_count_and_may_change_are_changed(attack: HotFlip | Noise) -> None:
    x, y = sentences()
    mask = np.arange(NUM_STEPS) != 1
    changeable = np.arange(NUM_STEPS) < 3
    shape = np.ones(x.shape, bool)
    budget = Budget(5, "edits", BOUNDS)
    changed = attack(Bag(), x, y, budget, mask=shape & mask, changeable=shape & changeable)
    assert (changed != x).any()
    assert (changed == x)[:, [1, 3, 4]].all()


def test_a_target_is_reached_exactly_where_brute_force_reaches_it() -> None:
    model, (x, y) = Bag(6), sentences(6)
    target = ((y + 1) % 3).astype(np.int32)
    changed = HotFlip(shortlist=2, targeted=True)(model, x, target, ONE)
    reached = model.logits(changed).argmax(axis=1) == target
    reachable = np.array(
        [
            any(model.logits(point[None]).argmax() == wanted for point in neighbours(row, 1))
            for row, wanted in zip(x, target, strict=True)
        ]
    )
    assert 0 < reachable.mean() < 1
    assert (reached == reachable).all()


@pytest.mark.parametrize("model_of", [Bag, BlackBox])
def test_single_edits_are_those_of_brute_force(model_of: type[Bag]) -> None:
    bag, (x, y) = Bag(4), sentences(4)
    y[:3] = (y[:3] + 1) % 3
    reachable = np.zeros((len(x), 3), bool)
    positions = np.zeros(x.shape, np.int64)
    tokens = np.zeros(NUM_TOKENS, np.int64)
    queries = np.zeros(len(x), np.int64)
    for index, row in enumerate(x):
        for point in neighbours(row, 1):
            predicted = bag.logits(point[None]).argmax()
            reachable[index, predicted] = True
            queries[index] += 1
            if index >= 3 and predicted != y[index]:
                (place,) = np.flatnonzero(point != row)
                positions[index, place] += 1
                tokens[point[place]] += 1
    found = single_edits(model_of(4), x, y, ONE)
    assert (found.reachable == reachable).all()
    assert (found.position_hits == positions).all()
    assert (found.token_hits == tokens).all()
    assert (found.queries == queries).all()
    assert found.exact.all()
    with pytest.raises(ValueError, match="read-only"):
        found.reachable[0, 0] = True


def test_examples_with_too_many_replacements_are_asked_about_the_shortlist_alone() -> None:
    x, y = sentences(4)
    attack = HotFlip(shortlist=3, exhaustive=16)
    found = single_edits(Bag(4), x, y, ONE, attack=attack)
    numbers = np.array([len(list(neighbours(row, 1))) for row in x])
    assert (found.exact == (numbers <= 16)).all()
    assert (found.queries == np.where(found.exact, numbers, 3)).all()
    everything = single_edits(Bag(4), x, y, ONE)
    assert (found.position_hits <= everything.position_hits).all()
    assert (found.reachable <= everything.reachable).all()
    changed = HotFlip(shortlist=3, exhaustive=16)(Bag(4), x, y, ONE)
    flipped = Bag(4).logits(changed).argmax(axis=1) != y
    assert (flipped == found.position_hits.any(axis=1)).all()


def test_the_recall_of_the_shortlist_is_what_it_alone_finds_of_what_can_be_found() -> None:
    model, (x, y) = Bag(5), sentences(5, 80)
    flippable = best_margins(model, x, y, 1) > 0
    alone = HotFlip(shortlist=1, exhaustive=0)(model, x, y, ONE)
    hits = model.logits(alone).argmax(axis=1) != y
    found = shortlist_recall(model, x, y, ONE, attack=HotFlip(shortlist=1))
    assert found == Recall(int(hits.sum()), int(flippable.sum()))
    assert 0 < found.share < 1
    everything = shortlist_recall(model, x, y, ONE, attack=HotFlip(shortlist=100))
    assert everything.share == 1
    assert np.isnan(Recall(0, 0).share)


def recurrent(steps: int | None = None, *, mask_zero: bool = True) -> keras.Model:
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((steps,), dtype="int32"),
            layers.Embedding(NUM_TOKENS, 4, embeddings_initializer="normal", mask_zero=mask_zero),
            layers.GRU(6, kernel_initializer=keras.initializers.RandomNormal(stddev=6.0)),
            layers.Dense(3),
        ]
    )


@pytest.mark.parametrize(
    ("steps", "mask_zero"), [(None, True), (NUM_STEPS, True), (None, False), (NUM_STEPS, False)]
)
def test_of_a_recurrent_keras_model_brute_force_by_predict_says_the_same(
    steps: int | None, mask_zero: bool
) -> None:
    model = recurrent(steps, mask_zero=mask_zero)
    x, _ = sentences(0, 30)
    y = np.asarray(model.predict(x, verbose=0)).argmax(axis=1).astype(np.int32)
    points = [list(neighbours(row, 1)) for row in x]
    predicted = np.asarray(model.predict(np.concatenate(points), verbose=0)).argmax(axis=1)
    parts = np.split(predicted, np.cumsum([len(part) for part in points])[:-1])
    classifier = KerasClassifier(model)
    found = single_edits(classifier, x, y, ONE)
    for index, part in enumerate(parts):
        assert set(np.flatnonzero(found.reachable[index])) == set(part)
        assert found.position_hits[index].sum() == (part != y[index]).sum()
    flippable = np.array([(part != y[i]).any() for i, part in enumerate(parts)])
    assert 0 < flippable.mean() < 1
    changed = HotFlip(shortlist=3)(classifier, x, y, ONE)
    flipped = np.asarray(model.predict(changed, verbose=0)).argmax(axis=1) != y
    assert (flipped == flippable).all()
    recall = shortlist_recall(classifier, x, y, ONE, attack=HotFlip(shortlist=3))
    assert recall.flippable == flippable.sum()


class Recorded(KerasClassifier):
    """Notes how many sequences of each width it is asked about."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__(model)
        self.asked = np.zeros(NUM_STEPS + 1, np.int64)

    def logits(self, x: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        self.asked[x.shape[1]] += len(x)
        return super().logits(x, mask)


@pytest.mark.parametrize(("mask_zero", "width"), [(True, 2), (False, NUM_STEPS)])
def test_padding_is_cut_off_where_it_changes_nothing_and_only_there(
    mask_zero: bool, width: int
) -> None:
    x, _ = sentences()
    x = x[(x != 0).sum(axis=1) == 2]
    classifier = Recorded(recurrent(mask_zero=mask_zero))
    y = classifier.logits(x).argmax(axis=1).astype(np.int32)
    queries = single_edits(classifier, x, y, ONE).queries.sum()
    assert classifier.asked[width] >= queries
    assert (classifier.asked < queries).sum() == NUM_STEPS


def test_more_padding_makes_no_difference() -> None:
    model, (x, y) = Bag(6), sentences(6)
    wide = np.pad(x, ((0, 0), (0, 7)))
    changed = HotFlip()(model, wide, y, TWO)
    assert model.widths == {1, 2, 3, 4, 5, 12}
    assert (changed == np.pad(HotFlip()(Bag(6), x, y, TWO), ((0, 0), (0, 7)))).all()


class Stubborn(Bag):
    """Never wrong, but less sure the fewer fours there are."""

    def logits(self, x: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        return np.stack([np.full(len(x), 9.0), -(x == 4).sum(axis=1)], axis=1)


def test_noise_on_tokens_makes_exactly_so_many_random_edits() -> None:
    x = np.full((8, NUM_STEPS), 4, np.int32)
    x[np.arange(8), np.arange(8) % 5] = 0
    x[5:, 4] = 0
    y = np.zeros(len(x), np.int32)
    changed = Noise(tries=1)(Stubborn(), x, y, TWO)
    assert ((changed != x).sum(axis=1) == 2).all()
    assert not (Noise(tries=1, seed=1)(Stubborn(), x, y, TWO) == changed).all()


def test_noise_draws_every_other_token_equally_often() -> None:
    from rnnprobe.attacks._tokens import TokenRegion

    x = np.full((1, 3), 4, np.int32)
    region = TokenRegion.of(Bag(), x, ONE, None, None)
    drawn = [region.random_points(seed)[0] for seed in range(1800)]
    edited = np.array([point[point != 4] for point in drawn])
    assert edited.shape == (1800, 1)
    counts = np.bincount(edited[:, 0], minlength=NUM_TOKENS)
    assert (counts[[0, 1, 4]] == 0).all()
    assert counts[[2, 3, 5, 6, 7, 8]] == pytest.approx(300, abs=80)
    places = np.bincount([int(np.flatnonzero(point != 4)[0]) for point in drawn])
    assert places == pytest.approx(600, abs=100)


@pytest.mark.parametrize("attack", [HotFlip(), Noise()])
def test_a_token_that_has_no_other_is_left(attack: HotFlip | Noise) -> None:
    x = np.array([[3, 3, 5, 0]], np.int32)
    y = Bag().logits(x).argmax(axis=1).astype(np.int32)
    changed = attack(Bag(), x, y, Budget(4, "edits", Bounds(3, 3)))
    assert (changed[0, [0, 1, 3]] == [3, 3, 0]).all()
    assert changed[0, 2] in (3, 5)


@pytest.mark.parametrize("attack", [HotFlip(), Noise()])
def test_what_is_no_budget_of_tokens_is_refused(attack: HotFlip | Noise) -> None:
    x, y = sentences()
    with pytest.raises(ValueError, match=r"replaces tokens.*norm='linf'"):
        attack(Bag(), x, y, Budget(1, "linf", BOUNDS))
    with pytest.raises(ValueError, match=r"0 is padding\), but got Bounds\(0, 8\)"):
        attack(Bag(), x, y, Budget(1, "edits", Bounds(0, 8)))
    with pytest.raises(ValueError, match=r"whole numbers from 1.*Bounds\(2, inf\)"):
        attack(Bag(), x, y, Budget(1, "edits", Bounds(2, np.inf)))
    values = np.zeros((4, 3, 2), np.float32)
    message = r"got float32 of shape \(4, 3, 2\)" if isinstance(attack, HotFlip) else "hotflip"
    with pytest.raises(ValueError, match=message):
        attack(Bag(), values, y[:4], ONE)


def test_wrong_settings_and_models_are_refused() -> None:
    x, y = sentences()
    with pytest.raises(ValueError, match="`beam >= 1` must hold, but got beam=0"):
        HotFlip(beam=0)
    with pytest.raises(ValueError, match="`shortlist >= 0` must hold"):
        HotFlip(shortlist=-1)
    with pytest.raises(ValueError, match=r"knows the tokens 0 to 8, but bounds\.upper=20"):
        HotFlip()(Bag(), x, y, Budget(1, "edits", Bounds(2, 20)))
    with pytest.raises(DataError, match="32 single replacements, more than exhaustive=10"):
        HotFlip(exhaustive=10)(BlackBox(), x, y, ONE)
    with pytest.raises(ValueError, match="`epsilon >= 1` must hold"):
        single_edits(Bag(), x, y, Budget(0, "edits", BOUNDS))
    with pytest.raises(ValueError, match="recall of the shortlist needs"):
        shortlist_recall(BlackBox(), x, y, ONE)


def test_a_model_without_one_embedding_is_asked_about_all_replacements() -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None,), dtype="int32")
    both = [layers.Embedding(NUM_TOKENS, 3)(inputs) for _ in range(2)]
    outputs = layers.Dense(3)(layers.GRU(4)(layers.Concatenate()(both)))
    classifier = KerasClassifier(keras.Model(inputs, outputs))
    x, _ = sentences(0, 10)
    y = classifier.logits(x).argmax(axis=1).astype(np.int32)
    with pytest.raises(ModelError, match="has 2 embeddings, expected one"):
        classifier.embedding_matrix()
    found = HotFlip()(classifier, x, y, ONE)
    assert (found == HotFlip(shortlist=0)(classifier, x, y, ONE)).all()
    assert (classifier.logits(found).argmax(axis=1) != y).any()
