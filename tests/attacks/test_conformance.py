"""What every attack on values keeps to; a new line in the table of attacks is tested unedited."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
from linear import Linear

from rnnprobe import Bounds, Budget, KerasClassifier, Split
from rnnprobe._registry import load_object
from rnnprobe.attacks import ATTACKS
from rnnprobe.attacks._region import distance
from rnnprobe.attacks._run import run_attack
from rnnprobe.losses import CrossEntropy, Margin
from rnnprobe.protocols import Attack, Classifier

NORMS = ("linf", "l2")
UNIT = Bounds(0, 1)
# Small budgets of work; what is not named here runs as it is.
FEWER = {"steps": 8, "queries": 15, "tries": 3}


@dataclass
class Case:
    """A classifier, and examples of which it gets most right."""

    model: Classifier
    x: np.ndarray
    y: np.ndarray
    mask: np.ndarray | None = None


def make(name: str, **options: Any) -> Attack:
    kind = load_object(ATTACKS[name])
    known = inspect.signature(kind).parameters
    chosen = {**{key: value for key, value in FEWER.items() if key in known}, **options}
    attack: Attack = kind(**chosen)
    return attack


VALUE_ATTACKS = [name for name in ATTACKS if name != "hotflip"]


def linear_case(num_classes: int = 5) -> Case:
    rng = np.random.default_rng(3)
    model = Linear(rng.normal(size=(6, 3, num_classes)))
    x = rng.uniform(0.2, 0.8, size=(16, 6, 3)).astype(np.float32)
    return Case(model, x, model.logits(x).argmax(axis=1).astype(np.int32))


@pytest.fixture(scope="module")
def recurrent_case() -> Case:
    keras.utils.set_random_seed(4)
    model = keras.Sequential(
        [
            keras.Input((6, 3)),
            keras.layers.Masking(0.0),
            keras.layers.GRU(8),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )
    rng = np.random.default_rng(5)
    x = rng.uniform(0.1, 0.9, size=(12, 6, 3)).astype(np.float32)
    x[::3, 4:] = 0  # padding that only the model knows of
    classifier = KerasClassifier(model)
    return Case(classifier, x, classifier.logits(x).argmax(axis=1).astype(np.int32))


@pytest.fixture(params=["linear", "recurrent"])
def case(request: pytest.FixtureRequest, recurrent_case: Case) -> Case:
    return linear_case() if request.param == "linear" else recurrent_case


every_attack = pytest.mark.parametrize("name", VALUE_ATTACKS)
every_norm = pytest.mark.parametrize("norm", NORMS)


@every_norm
@every_attack
def test_attacks_stay_within_the_budget(case: Case, name: str, norm: Any) -> None:
    before = case.x.copy()
    for epsilon in (0.0, 0.07, 0.5):
        found = make(name)(case.model, case.x, case.y, Budget(epsilon, norm, UNIT))
        assert found.shape == case.x.shape
        assert found.dtype == np.float32
        assert (case.x == before).all(), "the input itself must stay as it is"
        assert found.min() >= 0 and found.max() <= 1
        assert distance(found - case.x, norm).max() <= epsilon + 1e-6
        if epsilon == 0:
            assert (found == case.x).all()


@every_norm
@every_attack
def test_masked_steps_stay_bit_for_bit(case: Case, name: str, norm: Any) -> None:
    mask = np.arange(6) < np.arange(1, len(case.x) + 1)[:, None] % 6 + 1
    x = np.where(mask[..., None], case.x, np.float32(-7.25))
    y = case.model.logits(x, mask).argmax(axis=1).astype(np.int32)
    found = make(name)(case.model, x, y, Budget(1.5, norm, UNIT), mask=mask)
    assert (found[~mask] == x[~mask]).all()
    assert (found[mask] != x[mask]).any()


@every_attack
def test_steps_that_the_model_masks_itself_stay(recurrent_case: Case, name: str) -> None:
    case = recurrent_case
    found = make(name)(case.model, case.x, case.y, Budget(0.4, "linf", UNIT))
    assert (found[::3, 4:] == 0).all()


@every_norm
@every_attack
def test_only_changeable_steps_change(case: Case, name: str, norm: Any) -> None:
    changeable = np.zeros(case.x.shape[:2], bool)
    changeable[:, 2:4] = True
    budget = Budget(0.4, norm, UNIT)
    found = make(name)(case.model, case.x, case.y, budget, changeable=changeable)
    assert (found[~changeable] == case.x[~changeable]).all()


@every_norm
@every_attack
def test_equal_seeds_give_equal_examples_in_batches_of_any_size(name: str, norm: Any) -> None:
    case, budget = linear_case(), Budget(0.1, norm, UNIT)
    found = make(name)(case.model, case.x, case.y, budget)
    again = make(name)(case.model, case.x, case.y, budget)
    assert (found == again).all()
    for row in (0, 5):
        alone = make(name)(case.model, case.x[[row]], case.y[[row]], budget)
        assert (alone[0] == found[row]).all()


# The single step of FGSM may overshoot on a curved loss; the others keep the point they like best.
@pytest.mark.parametrize("name", [name for name in VALUE_ATTACKS if name != "fgsm"])
def test_the_margin_never_falls_below_that_of_the_clean_example(case: Case, name: str) -> None:
    found = make(name)(case.model, case.x, case.y, Budget(0.05, "linf", UNIT))
    clean = Margin(case.y).values(case.model.logits(case.x))
    attacked = Margin(case.y).values(case.model.logits(found))
    fooled = attacked > 0
    assert (attacked[fooled] > clean[fooled]).all()
    if name in ("noise", "square"):  # they climb the margin itself
        assert (attacked >= clean - 1e-6).all()
    elif name in ("pgd", "mi-fgsm", "apgd"):
        losses = [CrossEntropy(case.y).values(case.model.logits(x)) for x in (case.x, found)]
        assert (losses[1][~fooled] >= losses[0][~fooled] - 1e-6).all()


@every_attack
def test_attacks_fool_a_linear_model_where_that_is_possible(name: str) -> None:
    """Of two classes the change of the margin at distance epsilon is known in closed form."""
    options: dict[str, Any] = {"min-norm": {"steps": 60}, "pgd": {"step_size": 0.4}}.get(name, {})
    case = linear_case(num_classes=2)
    wide = Bounds(-10, 10)
    weights = case.model.weights[:, :, 1] - case.model.weights[:, :, 0]  # type: ignore[attr-defined]
    margins = np.abs(np.diff(case.model.logits(case.x).astype(float))[:, 0])
    for norm, dual in (("linf", np.abs(weights).sum()), ("l2", np.sqrt((weights**2).sum()))):
        needed = margins / dual
        for share, possible in ((0.98, False), (1.02, True)):
            for row in range(3):
                budget = Budget(share * needed[row], norm, wide)  # type: ignore[arg-type]
                x, y = case.x[[row]], case.y[[row]]
                found = make(name, **options)(case.model, x, y, budget)
                fooled = case.model.logits(found).argmax(axis=1)[0] != y[0]
                assert not (fooled and not possible), (name, norm)
                if name not in ("noise", "square"):
                    assert fooled == possible, (name, norm)


@every_attack
def test_targeted_attacks_reach_the_target(name: str) -> None:
    case = linear_case()
    if "targeted" not in inspect.signature(load_object(ATTACKS[name])).parameters:
        pytest.skip("it has no target")
    target = ((case.y + 1) % 5).astype(np.int32)
    options: dict[str, Any] = {"targeted": True}
    if name in ("noise", "square"):
        options |= {"tries" if name == "noise" else "queries": 300}
    split = Split(case.x, case.y)
    budget = Budget(3.0, "linf", Bounds(-10, 10))
    result = run_attack(make(name, **options), case.model, split, budget, targets=target)
    assert (result.predictions[result.success] == target[result.success]).all()
    assert result.success.mean() > (0.0 if name == "noise" else 0.9)


@pytest.mark.parametrize("name", VALUE_ATTACKS)
def test_tokens_are_refused_in_one_line(name: str) -> None:
    if name == "noise":
        pytest.skip("it knows tokens")
    x = np.ones((2, 4), np.int32)
    with pytest.raises(ValueError, match="changes values, float32"):
        make(name)(linear_case().model, x, np.zeros(2, np.int32), Budget(1, "edits", UNIT))


def test_epsilon_is_checked() -> None:
    builders: list[Callable[[], Budget]] = [
        lambda: Budget(-0.1, "linf", UNIT),
        lambda: Budget(float("nan"), "linf", UNIT),
    ]
    for build in builders:
        with pytest.raises(ValueError, match="`epsilon >= 0` must hold, but got epsilon="):
            build()
    with pytest.raises(ValueError, match="norm in"):
        Budget(0.1, "l7", UNIT)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="num_steps_allowed >= 1"):
        Budget(0.1, "linf", UNIT, 0)
