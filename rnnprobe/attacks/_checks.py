"""Fifteen checks of an evaluation: is it the model that is robust, or the attack that is weak?

References:
    Carlini et al., On evaluating adversarial robustness, 2019, https://arxiv.org/abs/1902.06705

    Pintor et al., Indicators of attack failure, NeurIPS 2022, https://arxiv.org/abs/2106.09947
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rnnprobe.attacks._attempt import log_odds
from rnnprobe.attacks._inquiry import TOLERATED, Check, Inquiry, Verdict
from rnnprobe.attacks._region import Region, counted_steps, distance
from rnnprobe.attacks._run import Robustness, settings_of, tolerance
from rnnprobe.attacks._substitute import fit_substitute
from rnnprobe.attacks.fgsm import FGSM
from rnnprobe.attacks.noise import Noise
from rnnprobe.attacks.pgd import PGD
from rnnprobe.attacks.square import Square
from rnnprobe.errors import ModelError
from rnnprobe.paired import guessing
from rnnprobe.protocols import Attack, Classifier
from rnnprobe.statistics import wilson_interval


def check_honesty(
    model: Classifier, outcome: Robustness, *, limit: int = 100, seed: int = 0
) -> tuple[Check, ...]:
    """Return the fifteen checks of an evaluation.

    They attack at most `limit` of its examples again, at the radius where about half of them fall.

    Args:
        model: What was attacked.
        outcome: What the attacks did.
        limit: How many examples to look at, at most.
        seed: Of the attacks that the checks run.

    Raises:
        ValueError: No radius is above 0, or no example was attacked.

    Example:
        >>> import rnnprobe
        >>> outcome = rnnprobe.evaluate_attacks(                               # doctest: +SKIP
        ...     {"pgd": PGD()}, classifier, data.test, budgets
        ... )
        >>> for check in rnnprobe.check_honesty(classifier, outcome):          # doctest: +SKIP
        ...     print(check.verdict, check.name, check.found)
    """
    if not outcome.attacked.any():
        raise ValueError("One example at least must have been attacked, but none was.")
    if all(budget.epsilon == 0 for budget in outcome.budgets):
        raise ValueError("`epsilon > 0` must hold for one budget at least, but all are 0.")
    inquiry = Inquiry.of(model, outcome, limit=limit, seed=seed)
    return tuple(check(inquiry) for check in CHECKS)


def threat_model(inquiry: Inquiry) -> Check:
    """(1) Norm, radius, bounds, goal and what may not change are stated, and make sense."""
    split, budget = inquiry.outcome.split, inquiry.budget
    bounds, name = budget.bounds, "threat model stated"
    goal = "untargeted" if inquiry.outcome.targets is None else "targeted"
    if inquiry.tokens:
        text = f"{goal}, at most {budget.epsilon:g} tokens replaced, length and padding kept"
        return Check(name, "PASS", text)
    counted = counted_steps(inquiry.model, split.x, split.mask)
    values = split.x[counted]
    outside = (values < bounds.lower - tolerance(budget)) | (values > bounds.upper)
    text = f"{goal}, {budget.norm}, values in [{bounds.lower:g}, {bounds.upper:g}], padding kept"
    if not math.isfinite(bounds.upper - bounds.lower):
        return Check(name, "WARN", f"{text}; no bounds, so that no radius is natural")
    if outside.any():
        share = outside.mean()
        return Check(name, "WARN", f"{text}; but {share:.1%} of the values lie outside of these")
    return Check(name, "PASS", text)


def clean_accuracy(inquiry: Inquiry) -> Check:
    """(2) The model classifies at all."""
    right, y = inquiry.outcome.right, inquiry.outcome.split.y
    low, high = wilson_interval(int(right.sum()), len(right))
    guess = np.bincount(y).max() / len(y)
    text = f"{right.mean():.4f} [{low:.4f}, {high:.4f}], the most frequent class {guess:.4f}"
    above = guessing(right, y).sign > 0
    return Check("clean accuracy above guessing", "PASS" if above else "WARN", text)


def single_step(inquiry: Inquiry) -> Check:
    """(3) What one step fools, many steps fool as well."""
    name = "many steps beat one, example by example"
    if inquiry.tokens:
        return Check(name, "n/a", "tokens are searched, not stepped along a gradient")
    if not inquiry.iterative:
        return Check(name, "WARN", "no iterative attack was run; add pgd or apgd")
    single = inquiry.success(FGSM(inquiry.outcome.targets is not None))
    bad = single & ~inquiry.fooled_by(list(inquiry.iterative))
    text = "fooled by one step of FGSM but by no iterative attack"
    return inquiry.say(name, bad, len(bad), text, text)


def more_steps(inquiry: Inquiry) -> Check:
    """(4) Twice the steps change robust accuracy by no more than 1 %, and never to the better."""
    name = "twice the steps change nothing"
    if not inquiry.stepping:
        return Check(name, "n/a", "no attack with a number of steps and a radius")
    changed = np.zeros(len(inquiry.rows), bool)
    for attack in inquiry.stepping.values():
        steps = (settings_of(attack) or {})["steps"]
        longer: Attack = replace(attack, steps=2 * steps)  # type: ignore[type-var]
        changed |= inquiry.success(attack) != inquiry.success(longer)
    text = f"another outcome with twice the steps ({', '.join(inquiry.stepping)})"
    return inquiry.say(name, changed, len(changed), text, text)


def restarts(inquiry: Inquiry) -> Check:
    """(5) Another random start changes robust accuracy by no more than 1 %."""
    name = "another start changes nothing"
    seeded = {n: a for n, a in inquiry.stepping.items() if "seed" in (settings_of(a) or {})}
    if not seeded:
        return Check(name, "n/a", "no attack with a random start and a radius")
    new = np.zeros(len(inquiry.rows), bool)
    for attack in seeded.values():
        seed = (settings_of(attack) or {})["seed"]
        again: Attack = replace(attack, seed=seed + 1000)  # type: ignore[type-var]
        new |= inquiry.success(again) & ~inquiry.fooled_by(list(inquiry.outcome.attacks))
    text = f"fooled only from another start ({', '.join(seeded)})"
    return inquiry.say(name, new, len(new), text, text)


def larger_radius(inquiry: Inquiry) -> Check:
    """(6) What is fooled within a radius is fooled by a run within twice that radius."""
    name = "success grows with the radius"
    if inquiry.tokens or not inquiry.stepping:
        return Check(name, "n/a", "no attack that is run once per radius by steps")
    wider = replace(inquiry.budget, epsilon=2 * inquiry.budget.epsilon)
    lost = np.zeros(len(inquiry.rows), bool)
    for attack in inquiry.stepping.values():
        lost |= inquiry.success(attack) & ~inquiry.success(attack, wider)
    text = f"fooled within epsilon but not by a run within {wider.epsilon:g}"
    return inquiry.say(name, lost, len(lost), text, text)


def whole_box(inquiry: Inquiry) -> Check:
    """(7) Without a radius every example falls."""
    name = "without a radius everything falls"
    bounds = inquiry.budget.bounds
    extent = bounds.upper - bounds.lower
    if inquiry.tokens or not math.isfinite(extent):
        return Check(name, "n/a", "the attack has no largest radius")
    size = inquiry.part.x[0].size if inquiry.budget.norm == "l2" else 1
    free = replace(inquiry.budget, epsilon=extent * math.sqrt(size))
    attack: Attack = PGD(targeted=inquiry.outcome.targets is not None, seed=inquiry.seed)
    attack = next(iter(inquiry.stepping.values()), attack)
    resists = ~inquiry.success(attack, free)
    text = "not fooled although every value may be anything within the bounds"
    count = int(resists.sum())
    ids = tuple(int(row) for row in inquiry.rows[resists])
    return Check(name, "WARN" if count else "PASS", f"{text}: {count} of {len(resists)}", ids)


def black_box(inquiry: Inquiry) -> Check:
    """(8) What sees no gradient never fools what the attacks with gradients could not."""
    name = "no black box beats the white box"
    if not inquiry.white_box:
        return Check(name, "WARN", "no attack that sees gradients was run; add pgd or apgd")
    targeted = inquiry.outcome.targets is not None
    blind: list[Attack] = [Noise(tries=20, targeted=targeted, seed=inquiry.seed)]
    if not inquiry.tokens:
        blind.append(Square(queries=100, targeted=targeted, seed=inquiry.seed))
    found = np.any([inquiry.success(attack) for attack in blind], axis=0)
    others = [name for name in inquiry.outcome.attacks if name not in inquiry.white_box]
    found |= inquiry.fooled_by(others)
    bad = found & ~inquiry.fooled_by(inquiry.white_box)
    text = "fooled by noise or random search but not by gradients"
    return inquiry.say(name, bad, len(bad), text, text)


def transfer(inquiry: Inquiry) -> Check:
    """(9) Examples made on a linear substitute fool nothing that the attacks could not."""
    name = "no transfer beats the white box"
    if inquiry.tokens:
        return Check(name, "n/a", "no substitute for tokens")
    split = inquiry.outcome.split
    substitute = fit_substitute(inquiry.model, split)
    targeted = inquiry.outcome.targets is not None
    attack = PGD(steps=10, stop_early=False, targeted=targeted, seed=inquiry.seed)
    part = inquiry.part
    wanted = part.y if inquiry.targets is None else inquiry.targets
    counted = counted_steps(inquiry.model, part.x, part.mask)
    examples = attack(substitute, part.x, wanted, inquiry.budget, changeable=counted)
    predicted = inquiry.model.logits(examples, part.mask).argmax(axis=1)
    fooled = predicted == wanted if targeted else predicted != wanted
    bad = fooled & ~inquiry.fooled_by(list(inquiry.outcome.attacks))
    text = "fooled by examples made on a linear substitute alone"
    return inquiry.say(name, bad, len(bad), text, text)


def worst_case(inquiry: Inquiry) -> Check:
    """(10) The worst case is counted example by example, and its examples are at hand."""
    outcome, index = inquiry.outcome, inquiry.index
    singles = [int(fooled[index].sum()) for fooled in outcome.fooled.values()]
    together = int(outcome.worst[index].sum())
    fooled = np.flatnonzero(outcome.worst[index])
    missing = np.zeros(0, int)
    if len(fooled):
        same = outcome.examples[index][fooled] == outcome.split.x[fooled]
        missing = fooled[same.reshape(len(fooled), -1).all(axis=1)]
    radius = f"{inquiry.budget.epsilon:g}"
    text = f"{together} fooled by any attack within {radius}, {max(singles)} by the best one alone"
    wrong = len(missing) or together < max(singles)
    text += f"; {len(missing)} of them without an example" if len(missing) else ""
    ids = tuple(int(row) for row in missing)
    return Check("worst case example by example", "WARN" if wrong else "PASS", text, ids)


def gradients(inquiry: Inquiry) -> Check:
    """(11) The gradient is a number everywhere, and not 0 at any step."""
    name, part = "gradients reach every step", inquiry.part
    wanted = part.y if inquiry.targets is None else inquiry.targets
    loss = log_odds(wanted, targeted=inquiry.targets is not None)
    try:
        _, gradient = inquiry.model.loss_gradient(part.x, loss, part.mask)
    except ModelError as exc:
        return Check(name, "n/a", f"no gradient: {exc}")
    counted = counted_steps(inquiry.model, part.x, part.mask)
    broken = ~np.isfinite(gradient).all(axis=2) & counted
    zero = (gradient == 0).all(axis=2) & counted
    shares = (zero | broken).sum(axis=0) / np.maximum(counted.sum(axis=0), 1)
    worst = int(shares.argmax())
    total = counted.sum() or 1
    text = f"zero at {zero.sum() / total:.1%}, NaN at {broken.sum() / total:.1%} of the steps"
    text += f", most at step {worst + 1}: {shares[worst]:.1%}" if shares[worst] > 0 else ""
    bad = broken.any() or zero.sum() / total > TOLERATED
    rows = inquiry.rows[(zero | broken).any(axis=1)]
    return Check(name, "WARN" if bad else "PASS", text, tuple(int(row) for row in rows))


def deterministic(inquiry: Inquiry) -> Check:
    """(12) The model says the same whenever it is asked."""
    part = inquiry.part
    passes = np.stack([inquiry.model.logits(part.x, part.mask) for _ in range(5)])
    spread = float(np.ptp(passes, axis=0).max(initial=0))
    text = f"logits of five passes differ by at most {spread:.1g}"
    if spread > 1e-4:
        text += "; it is random or keeps a state, so attack its expectation"
    verdict: Verdict = "PASS" if spread <= 1e-4 else "WARN"
    return Check("the model is deterministic", verdict, text)


def adaptive(inquiry: Inquiry) -> Check:
    """(13) No stage hides the gradient: the loss grows along it."""
    name = "no stage hides the gradient"
    if inquiry.tokens:
        return Check(name, "n/a", "tokens are replaced, and each replacement is asked of the model")
    part, targets = inquiry.part, inquiry.targets
    wanted = part.y if targets is None else targets
    loss = log_odds(wanted, targeted=targets is not None)
    _, gradient = inquiry.model.loss_gradient(part.x, loss, part.mask)
    short = replace(inquiry.budget, epsilon=inquiry.budget.epsilon / 10)
    region = Region.of(inquiry.model, part.x, short, part.mask, None)
    step = region.project(part.x + region.epsilon * region.direction(np.nan_to_num(gradient)))
    before, after = (loss.values(inquiry.model.logits(x, part.mask)) for x in (part.x, step))
    bad = ~(after > before)
    share = 0.1  # float32 hides the growth of a few that are very sure
    text = f"the loss fails to grow along the gradient: {int(bad.sum())} of {len(bad)}"
    if bad.mean() > share:
        text += "; a quantized or random stage? attack it adaptively (rnnprobe harden does)"
    verdict: Verdict = "WARN" if bad.mean() > share else "PASS"
    return Check(name, verdict, text, tuple(int(row) for row in inquiry.rows[bad]))


def settings_stated(inquiry: Inquiry) -> Check:
    """(14) Every setting of every attack can be printed."""
    hidden = [name for name, a in inquiry.outcome.attacks.items() if settings_of(a) is None]
    if hidden:
        text = f"no dataclass, so that its settings are unknown: {', '.join(hidden)}"
        return Check("all settings stated", "WARN", text)
    return Check("all settings stated", "PASS", "see the table of settings")


def verified(inquiry: Inquiry) -> Check:
    """(15) Every example counted is within the budget and fools the model's own `predict`."""
    outcome, model = inquiry.outcome, inquiry.model
    split, wrong = outcome.split, np.zeros(len(outcome.split), bool)
    counted = counted_steps(model, split.x, split.mask)
    predict = getattr(model, "own_predictions", None)
    total = 0
    for index, budget in enumerate(outcome.budgets):
        rows = np.flatnonzero(outcome.worst[index])
        if not len(rows):
            continue
        found, x = outcome.examples[index][rows], split.x[rows]
        mask = None if split.mask is None else split.mask[rows]
        total += len(rows)
        predicted = predict(found, mask) if predict else model.logits(found, mask).argmax(axis=1)
        targets = outcome.targets
        fooled = predicted != split.y[rows] if targets is None else predicted == targets[rows]
        moved = (found != x).reshape(*x.shape[:2], -1).any(axis=2)
        fine = fooled & ~(moved & ~counted[rows]).any(axis=1)
        fine &= (counted_steps(model, found, mask) == counted[rows]).all(axis=1)
        fine &= distance(found - x, budget.norm) <= budget.epsilon + tolerance(budget)
        flat = found.reshape(len(rows), -1)
        low = np.minimum(budget.bounds.lower, x.reshape(len(rows), -1))
        high = np.maximum(budget.bounds.upper, x.reshape(len(rows), -1))
        fine &= ((flat >= low) & (flat <= high)).all(axis=1)
        wrong[rows[~fine]] = True
    repaired = {name: count for name, count in outcome.repaired.items() if count}
    text = f"{total - int(wrong.sum())} of {total} examples fool model.predict within the budget"
    if repaired:
        parts = ", ".join(f"{name} {count}" for name, count in repaired.items())
        text += f"; returned outside of it and brought back before they were judged: {parts}"
    ids = tuple(int(row) for row in np.flatnonzero(wrong))
    verdict: Verdict = "WARN" if wrong.any() or repaired else "PASS"
    return Check("every example verified again", verdict, text, ids)


CHECKS: tuple[Callable[[Inquiry], Check], ...] = (
    threat_model,
    clean_accuracy,
    single_step,
    more_steps,
    restarts,
    larger_radius,
    whole_box,
    black_box,
    transfer,
    worst_case,
    gradients,
    deterministic,
    adaptive,
    settings_stated,
    verified,
)
