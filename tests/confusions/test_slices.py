from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import fisher_exact

from rnnprobe import SequenceDataset, load_dataset
from rnnprobe.confusions.slices import SliceFamily, find_slices
from rnnprobe.records import Predictions
from rnnprobe.statistics import holm, wilson_interval


def said(dataset: SequenceDataset, wrong: np.ndarray, part: str = "test") -> Predictions:
    """Return predictions that are wrong exactly there."""
    y = dataset.splits[part].y
    p = np.full((len(y), dataset.num_classes), 0.05)
    p[np.arange(len(y)), np.where(wrong, (y + 1) % dataset.num_classes, y)] = 0.9
    return Predictions(y, p, dataset.class_names)


def words() -> SequenceDataset:
    """Return tokens: 2 and 3 are common, 4 is in one training example of 200, 5 in none."""
    train = np.full((200, 6), 2)
    train[:, 1] = 3
    train[0, 2] = 4
    test = np.full((40, 6), 2)
    test[:20, 5:] = 0  # of length 5
    test[:10, 4:] = 0  # of length 4
    test[::2, 0] = 3
    test[[1, 3], 0] = 4
    test[[25, 27], 5] = 4
    test[30, 3] = 5
    y = {"train": np.arange(200) % 2, "test": np.arange(40) % 2}
    return load_dataset(
        {"train": (train, y["train"]), "validation": (train[:2], y["train"][:2]),
         "test": (test, y["test"])}
    )  # fmt: skip


def by_key(families: tuple[SliceFamily, ...]) -> dict[str, SliceFamily]:
    return {family.key: family for family in families}


def test_each_slice_has_the_counts_and_adjusted_p_values_of_a_search_by_brute_force() -> None:
    dataset = words()
    wrong = np.zeros(40, bool)
    wrong[[0, 1, 3, 5, 7, 9, 25, 31]] = True
    families = by_key(find_slices(dataset, "test", said(dataset, wrong)))
    x = dataset.test.x
    rare = np.isin(np.arange(40), [1, 3, 25, 27, 30])
    masks = {
        "4 steps": x[:, 4] == 0,
        "5 steps": (x[:, 4] != 0) & (x[:, 5] == 0),
        "6 steps": x[:, 5] != 0,
        "never seen in training": (x == 5).any(axis=1),
        "in under 1 % of training examples": (x == 4).any(axis=1),
        "in 1 % of training examples or more": ~rare,
        "contains token 3": (x == 3).any(axis=1),
    }
    places = {
        "in the first third": (x[:, 0] == 4)[rare],
        "in the middle third": (x[:, 3] == 5)[rare],
        "in the last third": (x[:, 5] == 4)[rare],
    }
    found = [one for family in families.values() for one in family.slices]
    assert {one.name for one in found} == masks.keys() | places.keys()
    p_values = []
    for one in found:
        chosen = masks[one.name] if one.name in masks else places[one.name]
        errors = wrong if one.name in masks else wrong[rare]
        counts = (one.num_examples, one.errors, one.other_examples, one.other_errors)
        assert counts == (
            chosen.sum(), (chosen & errors).sum(), (~chosen).sum(), (~chosen & errors).sum()
        )  # fmt: skip
        table = [[counts[1], counts[0] - counts[1]], [counts[3], counts[2] - counts[3]]]
        p_values.append(fisher_exact(table).pvalue)
        assert one.interval == wilson_interval(one.errors, one.num_examples)
    np.testing.assert_allclose([one.p_value for one in found], holm(p_values))
    padding = [one.padding for one in families["length"].slices]
    np.testing.assert_allclose(padding, [1 / 3, 1 / 6, 0])


def test_what_the_classes_explain_is_told_beside_the_share() -> None:
    dataset = words()
    wrong = np.arange(40) % 2 == 1  # one class is always wrong, and never has a 3
    family = by_key(find_slices(dataset, "test", said(dataset, wrong)))["symbol"]
    (three,) = family.slices
    assert three.share == three.share_by_class == 0
    assert three.other_share == 1
    assert three.p_value < 1e-6


def test_known_inputs_are_compared_with_new_ones_but_not_in_training() -> None:
    x = np.random.default_rng(0).normal(size=(30, 4, 2)).astype(np.float32)
    y = np.arange(30) % 3
    dataset = load_dataset({"train": (x[:20], y[:20]), "validation": (x[20:23], y[20:23]),
                            "test": (x[15:], y[15:])})  # fmt: skip
    wrong = np.arange(15) >= 5
    (family,) = find_slices(dataset, "test", said(dataset, wrong))
    (known,) = family.slices
    assert (family.key, family.num_tests) == ("known input", 1)
    assert (known.num_examples, known.errors, known.other_examples, known.other_errors) == (
        5, 0, 10, 10,
    )  # fmt: skip
    assert known.p_value == pytest.approx(fisher_exact([[0, 5], [10, 0]]).pvalue)
    assert find_slices(dataset, "train", said(dataset, np.zeros(20, bool), "train")) == ()
    assert find_slices(dataset, "validation", said(dataset, np.ones(3, bool), "validation")) == ()


def test_lengths_of_masked_values_are_binned_by_quartiles(masked: SequenceDataset) -> None:
    part = "train"
    lengths = masked.train.lengths
    predictions = said(masked, lengths == 6, part)
    (family,) = find_slices(masked, part, predictions)
    assert 2 <= len(family.slices) <= 4
    assert sum(one.num_examples for one in family.slices) == len(lengths)
    assert family.slices[0].name.startswith("2")
    assert family.slices[0].padding > family.slices[-1].padding


def test_two_halves_are_one_test() -> None:
    x = np.array([[1, 2, 0], [1, 2, 3]] * 4)
    y = np.arange(8) // 4
    dataset = load_dataset(dict.fromkeys(("train", "validation", "test"), (x, y)))
    wrong = np.array([1, 0] * 3 + [0, 0], bool)
    family = by_key(find_slices(dataset, "train", said(dataset, wrong, "train")))["length"]
    assert family.num_tests == 1
    first, second = family.slices
    assert first.p_value == second.p_value == pytest.approx(fisher_exact([[3, 1], [0, 4]]).pvalue)


@pytest.mark.parametrize("part", ["train", "test"])
def test_texts_show_their_symbols_and_no_or_only_mistakes_tell_nothing(
    names: SequenceDataset, part: str
) -> None:
    for wrong in (np.zeros, np.ones):
        predictions = said(names, wrong(len(names.splits[part]), bool), part)
        families = find_slices(names, part, predictions)
        assert all(one.p_value == 1 for family in families for one in family.slices)
    symbols = by_key(find_slices(names, "train", said(names, names.train.y == 0, "train")))
    assert "contains 'a'" in {one.name for one in symbols["symbol"].slices}


def test_a_space_can_be_seen_and_unknown_symbols_are_named() -> None:
    texts = np.array(["a b", "ab", "b a", "bb"] * 10, dtype=object)
    strange = np.array(["a?", "ab", "b a", "!b"] * 10, dtype=object)
    y = np.array([0, 1] * 20)
    dataset = load_dataset({"train": (texts, y), "validation": (texts, y), "test": (strange, y)})
    families = by_key(find_slices(dataset, "test", said(dataset, y == 1)))
    assert {one.name for one in families["symbol"].slices} == {
        "contains an unknown symbol", "contains ' '", "contains 'a'", "contains 'b'"
    }  # fmt: skip
    never, _ = families["rarest symbol"].slices
    assert (never.name, never.num_examples) == ("never seen in training", 20)


def test_predictions_of_another_part_are_refused(names: SequenceDataset) -> None:
    predictions = said(names, np.zeros(len(names.train), bool), "train")
    with pytest.raises(ValueError, match="must hold, but got"):
        find_slices(names, "test", predictions)
