from __future__ import annotations

import numpy as np
import pytest
from mlxtend.evaluate import mcnemar, mcnemar_table

from rnnprobe.confusions.comparison import compare_models
from rnnprobe.records import Predictions
from rnnprobe.statistics import compare_configurations, holm

NAMES = ("a", "b", "c", "d")


def models(num_models: int, num_examples: int = 120, seed: int = 0) -> list[Predictions]:
    """Return models of unequal accuracy on classes of unequal size; none has the class d."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, num_examples, p=[0.6, 0.3, 0.1])
    found = []
    for number in range(num_models):
        p = rng.dirichlet(np.ones(4), num_examples)
        p[np.arange(num_examples), y] += rng.random(num_examples) * (0.3 + 0.4 * number)
        found.append(Predictions(y, p / p.sum(axis=1, keepdims=True), NAMES))
    return found


def test_every_pair_of_models_equals_mlxtends_mcnemar_and_is_corrected() -> None:
    predictions = models(3)
    found = compare_models(predictions)
    assert [(d.first, d.second) for d in found.differences] == [(0, 1), (0, 2), (1, 2)]
    for difference in found.differences:
        first, second = (predictions[i] for i in (difference.first, difference.second))
        table = mcnemar_table(first.y, first.predicted, second.predicted)
        expected = mcnemar(table, exact=True)[1]
        assert difference.paired.p_value == pytest.approx(min(1, expected))
        assert (difference.paired.lost, difference.paired.gained) == (table[0, 1], table[1, 0])
        accuracy = [(one.predicted == one.y).mean() for one in (first, second)]
        assert difference.paired.difference == pytest.approx(accuracy[1] - accuracy[0])
        assert difference.paired.low < difference.paired.difference < difference.paired.high
    p_values = [difference.paired.p_value for difference in found.differences]
    assert [difference.adjusted for difference in found.differences] == holm(p_values)
    assert found.differences[1].sign == 1


def test_changes_count_what_came_and_went_on_the_examples_of_the_class() -> None:
    predictions = models(3, seed=1)
    found = compare_models(predictions)
    y, first = predictions[0].y, predictions[0].predicted
    pairs = {(c.model, c.true, c.predicted): c for c in found.pairs}
    for (model, true, predicted), change in pairs.items():
        before = (first == predicted)[y == true]
        after = (predictions[model].predicted == predicted)[y == true]
        assert (change.before, change.after) == (before.sum(), after.sum())
        assert (change.gone, change.new) == ((before & ~after).sum(), (after & ~before).sum())
        assert change.support == (y == true).sum()
        table = np.array([[0, change.gone], [change.new, 0]])
        if change.gone + change.new:
            assert change.p_value == pytest.approx(min(1, mcnemar(table, exact=True)[1]))
        assert (change.adjusted is None) == (change.gone + change.new < 6)
    tested = [change for change in found.pairs if change.adjusted is not None]
    assert [change.adjusted for change in tested] == holm([change.p_value for change in tested])
    assert sum(change.before for change in found.pairs if change.model == 1) == (first != y).sum()
    classes = {(c.model, c.true): c for c in found.classes}
    assert set(classes) == {(model, true) for model in (1, 2) for true in (0, 1, 2)}
    assert classes[2, 0].before == (first != y)[y == 0].sum()


def test_equal_models_differ_in_nothing() -> None:
    one = models(1)[0]
    found = compare_models([one, one])
    (difference,) = found.differences
    assert (difference.paired.p_value, difference.sign) == (1, 0)
    assert difference.paired.low < 0 < difference.paired.high
    assert {(c.gone, c.new, c.p_value, c.adjusted) for c in found.pairs} == {(0, 0, 1, None)}
    perfect = Predictions(one.y, np.eye(4)[one.y], NAMES)
    assert compare_models([perfect, perfect]).pairs == ()


def test_groups_are_compared_over_seeds_and_examples_in_equal_numbers() -> None:
    predictions = models(5, seed=2)
    hits = np.stack([one.predicted == one.y for one in predictions])
    (found,) = compare_models(predictions, [(0, 1, 3), (2, 4)]).groups
    assert (found.first, found.second, found.models) == (0, 1, 2)
    assert found.difference == compare_configurations(hits[[2, 4]], hits[[0, 1]])
    assert found.adjusted == found.difference.p_value
    assert compare_models(predictions).groups == ()


def test_other_examples_are_refused() -> None:
    one, two = models(1)[0], models(1, seed=3)[0]
    with pytest.raises(ValueError, match="same examples in the same order"):
        compare_models([one, two])
