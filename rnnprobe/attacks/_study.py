"""Everything that `rnnprobe attack` finds out about one model."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import time as time_module
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rnnprobe._registry import resolve
from rnnprobe.attacks import ATTACKS, TOKEN_ATTACKS
from rnnprobe.attacks._checks import check_honesty
from rnnprobe.attacks._classes import ClassPairs, attack_pairs
from rnnprobe.attacks._inquiry import Check
from rnnprobe.attacks._run import AttackResult, Robustness, evaluate_attacks, searched
from rnnprobe.attacks._time import Scan, StepCurve, flip_steps, scan_windows, step_curve
from rnnprobe.attacks.pgd import PGD
from rnnprobe.errors import DataError
from rnnprobe.protocols import Attack, Classifier
from rnnprobe.records import Array, Bounds, Budget, Norm, Placement, SequenceDataset, Split

Say = Callable[[str], None]
_VALUE_ATTACKS = ("fgsm", "pgd", "apgd")
_MOST_IN_TIME = 200
_TIME_ATTACK_STEPS = 20


@dataclass(frozen=True, eq=False)
class TimeStudy:
    """What attacks on few steps achieve.

    Args:
        budget: Radius and norm.
        rows: Indices of the examples attacked.
        curves: One a placement.
        scan: Window by window.
        flips: int64 (num_fooled,), after how many changed steps the prediction flips.
    """

    budget: Budget
    rows: Array
    curves: tuple[StepCurve, ...]
    scan: Scan
    flips: Array


@dataclass(frozen=True, eq=False)
class AttackStudy:
    """What attacks found out about one model.

    Args:
        split: The examples.
        outcomes: One a norm.
        checks: The fifteen checks of each outcome.
        time: Attacks on few steps, where they were asked for.
        pairs: Class by class, where targets were asked for.
    """

    split: Split
    outcomes: tuple[Robustness, ...]
    checks: tuple[tuple[Check, ...], ...]
    time: TimeStudy | None = None
    pairs: ClassPairs | None = None


def value_bounds(dataset: SequenceDataset) -> Bounds:
    """Return the interval that an attack keeps to; of tokens the first and last to put in.

    Of tokens 0 is padding, and where the vocabulary is known 1 is an unknown one: none of both.
    """
    if dataset.kind == "tokens":
        return Bounds(2 if dataset.vocabulary else 1, dataset.num_tokens - 1)
    if dataset.bounds is not None:
        return dataset.bounds
    values = [split.x for split in dataset.splits.values() if len(split)]
    return Bounds(float(min(x.min() for x in values)), float(max(x.max() for x in values)))


def default_radii(norm: Norm, bounds: Bounds) -> tuple[float, ...]:
    """Return the radii tried where none are named: of tokens one edit."""
    if norm == "edits":
        return (1.0,)
    shares = (0.01, 0.03, 0.1) if norm == "linf" else (0.3, 1.0, 3.0)
    return tuple(share * (bounds.upper - bounds.lower) for share in shares)


def chosen_budgets(
    dataset: SequenceDataset,
    norms: Sequence[Norm] | None = None,
    radii: Sequence[float] | None = None,
) -> list[list[Budget]]:
    """Return the budgets of each norm, the smallest first.

    Args:
        dataset: What is attacked.
        norms: `linf` or `l2`; None is `linf`, of tokens the number of edits.
        radii: Of each norm; None takes `default_radii`.

    Raises:
        DataError: Tokens are given a norm, or a radius that is no whole number.
    """
    tokens = dataset.kind == "tokens"
    if tokens and norms:
        raise DataError("A norm is for values; of tokens epsilon is how many are replaced.")
    if tokens and any(not float(radius).is_integer() for radius in radii or ()):
        raise DataError("Epsilon of tokens is how many are replaced; give whole numbers like 1.")
    chosen: Sequence[Norm] = ("edits",) if tokens else norms or ("linf",)
    bounds = value_bounds(dataset)
    return [
        [Budget(radius, norm, bounds) for radius in sorted(radii or default_radii(norm, bounds))]
        for norm in chosen
    ]


def chosen_attacks(
    dataset: SequenceDataset,
    names: Sequence[str] | None = None,
    *,
    targeted: bool = False,
    seed: int = 0,
) -> dict[str, Attack]:
    """Return attacks by name.

    Args:
        dataset: What is attacked.
        names: As for `make_attack`; None takes those of its kind: FGSM, PGD and APGD of values,
            noise and HotFlip of tokens.
        targeted: Whether they aim at a class; APGD and PGD alone can.
        seed: Of what they draw.

    Raises:
        DataError: An attack is for data of the other kind.
        UnknownNameError: No table or module has the name.
    """
    tokens = dataset.kind == "tokens"
    default = TOKEN_ATTACKS if tokens else ("pgd", "apgd") if targeted else _VALUE_ATTACKS
    chosen = names or default
    for name in chosen:
        if name in ATTACKS and name not in TOKEN_ATTACKS and tokens:
            raise DataError(
                f"The attack '{name}' changes values, but '{dataset.name}' has tokens; "
                f"name {' or '.join(TOKEN_ATTACKS)} instead."
            )
        if name == "hotflip" and not tokens:
            raise DataError(
                f"The attack 'hotflip' replaces tokens, but '{dataset.name}' has values; "
                "name pgd or apgd instead."
            )
    return {name: make_attack(name, targeted=targeted, seed=seed) for name in chosen}


def make_attack(name: str, *, targeted: bool = False, seed: int = 0) -> Attack:
    """Return the attack of a name of `rnnprobe.attacks.ATTACKS`, or the user's `module:object`.

    Raises:
        DataError: It cannot be targeted, or needs settings.
        UnknownNameError: No table or module has the name.
    """
    kind = resolve("attack", name, ATTACKS)
    if not isinstance(kind, type):  # the user's own function is the attack itself
        if targeted:
            raise DataError(f"The attack '{name}' is a function, which has no target to set.")
        function: Attack = kind
        return function
    known = {f.name for f in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    if targeted and "targeted" not in known:
        raise DataError(
            f"The attack '{name}' reaches any wrong class, so it goes without --targeted; "
            "apgd and pgd reach a given one."
        )
    given = {"targeted": targeted, "seed": seed}
    try:
        attack: Attack = kind(**{key: value for key, value in given.items() if key in known})
    except TypeError as exc:
        raise DataError(f"The attack '{name}' cannot be made: {exc}.") from exc
    return attack


def study_attacks(
    model: Classifier,
    split: Split,
    attacks: Mapping[str, Attack],
    budgets: Sequence[Sequence[Budget]],
    *,
    targeted: bool = False,
    timesteps: Sequence[int] = (),
    placements: Sequence[Placement] = (),
    confusions: Array | None = None,
    seed: int = 0,
    begin: Say = lambda text: None,
    say: Say = lambda text: None,
) -> AttackStudy:
    """Attack a model and judge the attacks.

    Args:
        model: What to fool.
        split: The examples.
        attacks: By name.
        budgets: For each norm its radii.
        targeted: Draw a wrong class for each example, to be reached.
        timesteps: How many steps may change, one number after the other, within the largest
            radius of the first norm; none: no such attacks.
        placements: Which steps these may be.
        confusions: int64 (num_classes, num_classes), how often the model mistakes each class for
            each: asks for the table of classes.
        seed: Of targets, checks, and attacks on few steps.
        begin: Called with the name of each piece of the work before it; there are `num_pieces`.
        say: Called with a line after each piece.

    Raises:
        DataError: The model gets no example right; or attacks on few steps of tokens.

    Example:
        >>> from rnnprobe import Bounds, Budget
        >>> radii = [Budget(epsilon, "linf", Bounds(0, 1)) for epsilon in (0.03, 0.1)]
        >>> study = study_attacks(classifier, data.test, {"pgd": PGD()}, [radii])  # doctest: +SKIP
        >>> study.outcomes[0].worst.sum(axis=1)                                    # doctest: +SKIP
        array([ 92, 431])
        >>> [check.name for check in study.checks[0] if check.verdict == "WARN"]   # doctest: +SKIP
        []
    """
    if timesteps:
        _check_timesteps(split, timesteps)
    targets = _draw_targets(model, split, seed) if targeted else None
    outcomes, checks = [], []
    for radii in budgets:
        outcome = evaluate_attacks(
            attacks,
            model,
            split,
            radii,
            targets=targets,
            on_begin=lambda name, budget: begin(_run_name(name, budget)),
            on_result=_line(say),
        )
        if not outcome.attacked.any():
            raise DataError(
                f"The model gets none of {len(split)} examples right, so there is nothing to fool."
            )
        outcomes.append(outcome)
        with _piece(f"{radii[0].norm}: checks of the attacks", begin, say):
            checks.append(check_honesty(model, outcome, seed=seed))
    first = outcomes[0]
    time = None
    if timesteps:
        piece = functools.partial(_piece, begin=begin, say=say)
        time = _study_time(model, first, timesteps, placements, seed, piece)
    pairs = None
    if confusions is not None:
        budget = first.budgets[-1]
        budget = dataclasses.replace(budget, epsilon=1) if budget.norm == "edits" else budget
        with _piece("every class towards every other", begin, say):
            pairs = attack_pairs(model, split, budget, confusions)
    return AttackStudy(split, tuple(outcomes), tuple(checks), time, pairs)


def _check_timesteps(split: Split, timesteps: Sequence[int]) -> None:
    if split.x.ndim == 2:
        raise DataError(
            "--timesteps is for values; of tokens each edit is one step, so give --epsilon 1,2."
        )
    num_steps = split.x.shape[1]
    if max(timesteps) > num_steps:
        raise DataError(
            f"--timesteps got {max(timesteps)}, but the sequences have {num_steps} steps."
        )


def num_pieces(
    attacks: Mapping[str, Attack],
    budgets: Sequence[Sequence[Budget]],
    *,
    timesteps: Sequence[int] = (),
    placements: Sequence[Placement] = (),
    pairs: bool = False,
) -> int:
    """Return how many pieces of work `study_attacks` tells of.

    Args:
        attacks: As there.
        budgets: As there.
        timesteps: As there.
        placements: As there.
        pairs: Whether the table of classes is asked for.
    """
    runs = sum(len(searched(attack, radii)) for radii in budgets for attack in attacks.values())
    in_time = len(placements) + 2 if timesteps else 0
    return runs + len(budgets) + in_time + int(pairs)


@contextlib.contextmanager
def _piece(name: str, begin: Say, say: Say) -> Iterator[None]:
    started = time_module.perf_counter()
    begin(name)
    yield
    say(f"{name}, {time_module.perf_counter() - started:.1f} s")


def _run_name(name: str, budget: Budget) -> str:
    radius = f"{budget.norm} {budget.epsilon:g}"
    return f"{name}, {radius if math.isfinite(budget.epsilon) else budget.norm}"


def _line(say: Say) -> Callable[[str, AttackResult], None]:
    def on_result(name: str, result: AttackResult) -> None:
        say(
            f"{_run_name(name, result.budget)}: fooled {int(result.success.sum())} that it had not "
            f"fooled before, {result.seconds:.1f} s"
        )

    return on_result


def _draw_targets(model: Classifier, split: Split, seed: int) -> Array:
    num_classes = model.logits(split.x[:1], None if split.mask is None else split.mask[:1]).shape[1]
    shift = np.random.default_rng(seed).integers(1, num_classes, len(split))
    return np.asarray((split.y + shift) % num_classes).astype(np.int32)


def _study_time(
    model: Classifier,
    outcome: Robustness,
    timesteps: Sequence[int],
    placements: Sequence[Placement],
    seed: int,
    piece: Callable[[str], contextlib.AbstractContextManager[None]],
) -> TimeStudy:
    split, budget = outcome.split, outcome.budgets[-1]
    right = np.flatnonzero(outcome.right)
    if not len(right):
        raise DataError("--timesteps attacks what the model gets right, and that is nothing here.")
    rows = right[np.unique(np.linspace(0, len(right) - 1, _MOST_IN_TIME).astype(int))]
    part, curves = split.take(rows), []
    attack = PGD(steps=_TIME_ATTACK_STEPS, seed=seed)
    for placement in placements:
        placed = dataclasses.replace(budget, placement=placement)
        with piece(f"few steps, {placement}"):
            curves.append(step_curve(attack, model, part, placed, timesteps))
    width = sorted(timesteps)[len(timesteps) // 2]
    with piece(f"windows of {width} steps"):
        scan = scan_windows(model, part, budget, width, seed=seed)
    with piece("step by step until it flips"):
        flips = flip_steps(model, part, budget, seed=seed)
    return TimeStudy(budget, rows, tuple(curves), scan, flips)
