"""Each of the fifteen checks can fail: a broken model or attack is shown to it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from linear import Linear

from rnnprobe import Bounds, Budget, Split
from rnnprobe.attacks import _checks as checks
from rnnprobe.attacks._run import Robustness, evaluate_attacks
from rnnprobe.attacks.apgd import APGD
from rnnprobe.attacks.fgsm import FGSM
from rnnprobe.attacks.noise import Noise
from rnnprobe.attacks.pgd import PGD
from rnnprobe.attacks.targeted_apgd import TargetedAPGD
from rnnprobe.errors import ModelError
from rnnprobe.losses import Loss
from rnnprobe.protocols import Attack, Classifier

UNIT = Bounds(0, 1)


def good_model() -> Linear:
    return Linear(np.random.default_rng(0).normal(size=(6, 3, 4)))


def examples(model: Classifier, number: int = 60) -> Split:
    x = np.random.default_rng(1).uniform(0, 1, size=(number, 6, 3)).astype(np.float32)
    return Split(x, model.logits(x).argmax(axis=1).astype(np.int32))


def inquire(
    model: Classifier,
    attacks: dict[str, Attack] | None = None,
    split: Split | None = None,
    bounds: Bounds = UNIT,
) -> checks.Inquiry:
    split = split or examples(model)
    budgets = [Budget(epsilon, "linf", bounds) for epsilon in (0.02, 0.06)]
    outcome = evaluate_attacks(attacks or {"pgd": PGD(10), "apgd": APGD(10)}, model, split, budgets)
    return checks.Inquiry.of(model, outcome)


@pytest.fixture(scope="module")
def sound() -> checks.Inquiry:
    attacks: dict[str, Attack] = {"fgsm": FGSM(), "pgd": PGD(20), "apgd": APGD(20)}
    attacks["apgd-t"] = TargetedAPGD(20)
    return inquire(good_model(), attacks)


def test_a_sound_evaluation_passes_all_fifteen(sound: checks.Inquiry) -> None:
    found = checks.check_honesty(sound.model, sound.outcome)
    assert len(found) == 15
    assert [check.verdict for check in found] == ["PASS"] * 15, found


@dataclass(frozen=True)
class Lazy:
    """An attack that returns what it was given."""

    steps: int = 5

    def __call__(self, model: Any, x: Any, y: Any, budget: Any, **more: Any) -> Any:
        return x.copy()


@dataclass(frozen=True)
class Tiring(Lazy):
    """Gets weaker by more steps, and by a larger radius."""

    def __call__(self, model: Any, x: Any, y: Any, budget: Any, **more: Any) -> Any:
        if self.steps > 5 or budget.epsilon > 0.07:
            return x.copy()
        return PGD(10)(model, x, y, budget, **more)


@dataclass(frozen=True)
class Moody(Lazy):
    """Works from one start alone."""

    seed: int = 0

    def __call__(self, model: Any, x: Any, y: Any, budget: Any, **more: Any) -> Any:
        return x.copy() if self.seed < 500 else PGD(10)(model, x, y, budget, **more)


@dataclass(frozen=True)
class Cheating(Lazy):
    """Leaves the ball."""

    def __call__(self, model: Any, x: Any, y: Any, budget: Any, **more: Any) -> Any:
        return x + 3 * budget.epsilon


class Secret:
    """No dataclass."""

    def __call__(self, model: Any, x: Any, y: Any, budget: Any, **more: Any) -> Any:
        return x.copy()


@dataclass(eq=False)
class Wrapped:
    """A classifier with something wrong."""

    inner: Linear
    what: str
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    @property
    def num_classes(self) -> int:
        return self.inner.num_classes

    def logits(self, x: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        logits = self.inner.logits(x, mask)
        if self.what == "random":
            logits = logits + self.random.normal(size=logits.shape)
        return logits.astype(np.float32)

    def loss_gradient(
        self, x: np.ndarray, loss: Loss, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        logits, gradient = self.inner.loss_gradient(x, loss, mask)
        if self.what == "masked":
            gradient = np.zeros_like(gradient)
        elif self.what == "broken":
            gradient = np.full_like(gradient, np.nan)
        elif self.what == "deaf":
            gradient[:, :2] = 0
        elif self.what == "misleading":
            gradient = -gradient
        return self.logits(x, mask) if self.what == "random" else logits, gradient


class Lying(Linear):
    """Its `predict` says other things than its logits."""

    def own_predictions(self, x: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        return (self.logits(x, mask).argmax(axis=1) + 1) % self.num_classes


def broken(what: str) -> Wrapped:
    return Wrapped(good_model(), what)


def tampered(inquiry: checks.Inquiry) -> checks.Inquiry:
    outcome: Robustness = inquiry.outcome
    clean = np.stack([outcome.split.x] * len(outcome.budgets))
    return dataclasses.replace(inquiry, outcome=dataclasses.replace(outcome, examples=clean))


def untrained() -> checks.Inquiry:
    model = good_model()
    split = examples(model)
    y = np.where(np.arange(len(split)) % 4 == 0, split.y, (split.y + 1) % 4)
    return inquire(model, split=Split(split.x, y.astype(np.int32)))


BROKEN = {
    "threat_model: values outside of the bounds": (
        checks.threat_model,
        lambda: inquire(good_model(), bounds=Bounds(0, 0.5)),
    ),
    "threat_model: no bounds": (
        checks.threat_model,
        lambda: inquire(good_model(), bounds=Bounds(0, float("inf"))),
    ),
    "clean_accuracy: a model that guesses": (checks.clean_accuracy, untrained),
    "single_step: an iterative attack that does nothing": (
        checks.single_step,
        lambda: inquire(good_model(), {"fgsm": FGSM(), "lazy": Lazy()}),
    ),
    "single_step: no iterative attack at all": (
        checks.single_step,
        lambda: inquire(good_model(), {"fgsm": FGSM()}),
    ),
    "more_steps: an attack that gets weaker": (
        checks.more_steps,
        lambda: inquire(good_model(), {"tiring": Tiring()}),
    ),
    "restarts: an attack that depends on its start": (
        checks.restarts,
        lambda: inquire(good_model(), {"moody": Moody()}),
    ),
    "larger_radius: an attack that gets weaker": (
        checks.larger_radius,
        lambda: inquire(good_model(), {"tiring": Tiring()}),
    ),
    "whole_box: a masked gradient": (
        checks.whole_box,
        lambda: inquire(broken("masked"), {"pgd": PGD(5, random_start=False)}),
    ),
    "black_box: a masked gradient": (
        checks.black_box,
        lambda: inquire(broken("masked"), {"pgd": PGD(5, random_start=False)}),
    ),
    "black_box: noise alone": (checks.black_box, lambda: inquire(good_model(), {"n": Noise()})),
    "transfer: a masked gradient": (
        checks.transfer,
        lambda: inquire(broken("masked"), {"pgd": PGD(5, random_start=False)}),
    ),
    "worst_case: examples that are missing": (
        checks.worst_case,
        lambda: tampered(inquire(good_model())),
    ),
    "gradients: zero everywhere": (checks.gradients, lambda: inquire(broken("masked"))),
    "gradients: no number": (checks.gradients, lambda: inquire(broken("broken"))),
    "gradients: zero at two steps": (checks.gradients, lambda: inquire(broken("deaf"))),
    "deterministic: a random model": (
        checks.deterministic,
        lambda: inquire(broken("random"), split=examples(good_model())),
    ),
    "adaptive: a masked gradient": (checks.adaptive, lambda: inquire(broken("masked"))),
    "adaptive: a gradient that misleads": (checks.adaptive, lambda: inquire(broken("misleading"))),
    "settings_stated: no dataclass": (
        checks.settings_stated,
        lambda: inquire(good_model(), {"secret": Secret()}),
    ),
    "verified: an attack that leaves the ball": (
        checks.verified,
        lambda: inquire(good_model(), {"cheating": Cheating()}),
    ),
    "verified: predict says another class": (
        checks.verified,
        lambda: inquire(Lying(good_model().weights)),
    ),
    "verified: examples that are missing": (
        checks.verified,
        lambda: tampered(inquire(good_model())),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_check_warns_of(name: str) -> None:
    check, build = BROKEN[name]
    found = check(build())
    assert found.verdict == "WARN", found


def test_an_evaluation_of_nothing_cannot_be_checked() -> None:
    model, none = good_model(), np.zeros((1, 6, 3), np.float32)
    wrong = Split(none, (model.logits(none).argmax(axis=1) + 1).astype(np.int32) % 4)
    outcome = evaluate_attacks({"fgsm": FGSM()}, model, wrong, [Budget(0.1, "linf", UNIT)])
    with pytest.raises(ValueError, match="One example at least must have been attacked"):
        checks.check_honesty(model, outcome)
    split = examples(model)
    outcome = evaluate_attacks({"fgsm": FGSM()}, model, split, [Budget(0, "linf", UNIT)])
    with pytest.raises(ValueError, match="`epsilon > 0` must hold for one budget"):
        checks.check_honesty(model, outcome)


def test_every_check_is_shown_to_fail() -> None:
    assert {name.partition(":")[0] for name in BROKEN} == {c.__name__ for c in checks.CHECKS}


def test_zero_gradients_are_counted_by_step() -> None:
    found = checks.gradients(inquire(broken("deaf")))
    assert "zero at 33.3%, NaN at 0.0% of the steps, most at step 1: 100.0%" in found.found


def test_tokens_have_checks_that_mean_nothing() -> None:
    class Bag:
        num_classes = 2

        def logits(self, x: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
            share = (x > 4).sum(axis=1) / np.maximum((x > 0).sum(axis=1), 1)
            return np.stack([0.5 - share, share - 0.5], axis=1).astype(np.float32)

        def loss_gradient(self, x: Any, loss: Any, mask: Any = None) -> Any:
            raise ModelError("It has no embedding.")

    model = Bag()
    x = np.random.default_rng(0).integers(1, 9, size=(40, 5)).astype(np.int32)
    split = Split(x, model.logits(x).argmax(axis=1).astype(np.int32))
    budgets = [Budget(1, "edits", Bounds(1, 8))]
    outcome = evaluate_attacks({"noise": Noise()}, model, split, budgets)  # type: ignore[dict-item,arg-type]
    found = checks.check_honesty(model, outcome)  # type: ignore[arg-type]
    verdicts = {check.name: check.verdict for check in found}
    assert len(found) == 15
    assert verdicts["no transfer beats the white box"] == "n/a"
    assert verdicts["gradients reach every step"] == "n/a"
    assert verdicts["every example verified again"] == "PASS"
