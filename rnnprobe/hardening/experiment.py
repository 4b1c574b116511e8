"""The experiment: a model before, a control, and the arms, all measured alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from rnnprobe._registry import load_object, unknown_name
from rnnprobe._versions import versions
from rnnprobe.backend import make_deterministic
from rnnprobe.classifier import KerasClassifier
from rnnprobe.errors import DataError
from rnnprobe.hardening import ARMS, MISTAKES
from rnnprobe.hardening.arms import CONTROL, AdversarialExamples, Arm
from rnnprobe.hardening.comparison import Comparison, compare_rows
from rnnprobe.hardening.evaluation import Attacks, Judge, Measured
from rnnprobe.hardening.mistakes import Mined, mine
from rnnprobe.hardening.threshold import Thresholded
from rnnprobe.hardening.trainer import Schedule, Source, Trainer, ordinary
from rnnprobe.records import Array, Bounds, Budget, Norm, SequenceDataset

BEFORE = "before"
THRESHOLD = "before + input threshold"
_EPSILONS: dict[Norm, float] = {"linf": 0.03, "l2": 1.0}  # of the range of the values
Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Hardening:
    """What `harden` found.

    Args:
        before: The model as it was given.
        arms: The control, then the arms by name, one measurement a repeat.
        threshold: The model before behind an input threshold; None where the values have no
            finite bounds, or nothing was attacked.
        sources: What the adversarial arms were trained on, by name.
        attacks: What all were attacked with, where there is a budget.
        budget: How much these, and the arms' own, might change; None: nothing was attacked.
        schedule: How the arms were trained.
        num_updates: Of each arm in each repeat.
        weights: Of the last arm's first repeat, as `get_weights` returns them.
        mined: What the arms of `mistakes` were made of; None where there are none.
        pool_sizes: How many examples an epoch of each arm has, by name.
    """

    before: Measured
    arms: Mapping[str, tuple[Measured, ...]]
    threshold: Measured | None
    sources: Mapping[str, Source]
    attacks: Attacks
    budget: Budget | None
    schedule: Schedule
    num_updates: int
    weights: list[Array]
    mined: Mined | None
    pool_sizes: Mapping[str, int]

    @property
    def rows(self) -> dict[str, tuple[Measured, ...]]:
        """All that was measured, by name and in order, one measurement a repeat."""
        last = {} if self.threshold is None else {THRESHOLD: (self.threshold,)}
        return {BEFORE: (self.before,), **self.arms, **last}

    def comparisons(self) -> tuple[Comparison, ...]:
        """Test the arms against what they are to be compared with."""
        return compare_rows(self.rows, list(self.sources), BEFORE, THRESHOLD)


def harden(
    classifier: KerasClassifier,
    dataset: SequenceDataset,
    budget: Budget | None,
    names: tuple[str, ...] = ("pgd",),
    schedule: Schedule | None = None,
    *,
    repeats: int = 1,
    attacks: Attacks | None = None,
    mined: Mined | None = None,
    say: Say | None = None,
) -> Hardening:
    """Train a model on other examples beside a control, and measure, and attack, what came out.

    Every arm starts from the model's weights and makes the same number of updates. Those of
    adversarial arms are made on the control's batches in the same order, changed so that they
    fool the model; those of `mistakes` pass other choices of the training examples. Nothing is
    chosen on the test part, which is only measured. Afterwards the model has its own weights again.

    Args:
        classifier: The model; of values where it is attacked.
        dataset: Its training part is trained on, its test part measured.
        budget: How much the attacks may change, in training and afterwards; None with `mistakes`
            alone, and nothing is attacked.
        names: Of `rnnprobe.hardening.ARMS`, each once.
        schedule: How the arms are trained; None is `Schedule()`.
        repeats: How often each arm is trained, at least 1, with another order and other starts.
        attacks: With what all are attacked; None is `Attacks.seeded` with the schedule's seed.
        mined: For `mistakes`; None calls `mine` with the schedule's seed.
        say: Called with a line after each piece of work; there are `num_lines` of them.

    Raises:
        DataError: The data holds tokens that would be attacked, lacks a part, or does not fit the
            model; or there is no mistake to train on.
        TrainingError: The loss of an arm stopped being a number.
        UnknownNameError: No such arm.

    Example:
        >>> from rnnprobe import Bounds, Budget
        >>> budget = Budget(0.03, "linf", Bounds(0, 1))
        >>> found = harden(classifier, dataset, budget)             # doctest: +SKIP
        >>> found.arms["pgd"][0].share("adaptive")                  # doctest: +SKIP
        0.716
    """
    schedule, say = schedule or Schedule(), say or (lambda line: None)
    _check(classifier, dataset, budget, names, repeats)
    if MISTAKES in names and mined is None:
        mined = mine(classifier, dataset, seed=schedule.seed)
    if MISTAKES not in names:
        mined = None
    chosen = _arms(names, budget, mined, schedule.seed)
    make_deterministic()
    attacks = attacks or Attacks.seeded(schedule.seed)
    judge = Judge(classifier, dataset.test, budget, attacks, mined.pairs if mined else ())
    before = _measured(judge, say, "", BEFORE, classifier)
    threshold = None if budget is None else _threshold(judge, say, classifier, dataset)
    trainer = Trainer(classifier, dataset.train, schedule)
    try:
        arms, weights = _run_arms(trainer, judge, say, classifier, chosen, repeats)
    finally:
        trainer.restore()
    everything = len(dataset.train)
    return Hardening(
        before=before,
        arms=arms,
        threshold=threshold,
        sources={arm.name: arm.source for arm in chosen if arm.source is not ordinary},
        attacks=attacks,
        budget=budget,
        schedule=schedule,
        num_updates=schedule.num_updates(everything),
        weights=weights,
        mined=mined,
        pool_sizes={one.name: len(one.pool(0)) if one.pool else everything for one in chosen},
    )


def budget_for(dataset: SequenceDataset, epsilon: float | None, norm: Norm) -> Budget:
    """Return how much attacks on a data set may change: values inside its own bounds.

    Args:
        dataset: Of values.
        epsilon: At least 0; None: 0.03 times the range of the values, in l2 as much as the range.
        norm: `linf` or `l2`.

    Raises:
        DataError: The data holds tokens, or no epsilon follows from its bounds.
    """
    bounds = _bounds(dataset)
    if epsilon is None:
        epsilon = _EPSILONS[norm] * (bounds.upper - bounds.lower)
    if not math.isfinite(epsilon):
        raise DataError(
            f"The values of '{dataset.name}' have the bounds {bounds.lower:g} and "
            f"{bounds.upper:g}, of which no epsilon follows; give a number by --epsilon."
        )
    return Budget(epsilon, norm, bounds)


def hardened_metadata(
    found: Hardening,
    dataset: SequenceDataset,
    metadata: Mapping[str, Any],
    limit_examples: int | None = None,
) -> dict[str, Any]:
    """Return what the saved model of the last arm carries.

    Args:
        found: What `harden` found.
        dataset: What it was trained on.
        metadata: Of the model that was given, at least its `model`.
        limit_examples: To how many examples a part the data was limited after it was loaded.
    """
    source = dict(dataset.source)
    if limit_examples is not None:
        source["limit_examples"] = limit_examples
    name, measured = list(found.arms.items())[-1]
    robust = {}
    if found.budget is not None:
        robust = {"test_robust_accuracy": measured[0].share("adaptive")}
    return {
        **metadata,
        "data": {**source, "name": dataset.name, "digest": dataset.digest},
        "class_names": list(dataset.class_names),
        "vocabulary": list(dataset.vocabulary) if dataset.vocabulary else None,
        "preprocessing": list(dataset.notes),
        "metrics": {
            "test_accuracy": measured[0].share("clean"),
            "test_correct": int(measured[0].clean.sum()),
            **robust,
        },
        "hardened": {
            "with": name,
            "updates": found.num_updates,
            "budget": None if found.budget is None else asdict(found.budget),
            "schedule": asdict(found.schedule),
        },
        "versions": versions(),
    }


def _bounds(dataset: SequenceDataset) -> Bounds:
    if dataset.kind == "tokens":
        raise DataError(
            f"'{dataset.name}' holds tokens; adversarial training changes values alone, use "
            f"--with {MISTAKES}."
        )
    return dataset.bounds or Bounds(-math.inf, math.inf)


def num_lines(
    dataset: SequenceDataset, names: tuple[str, ...], repeats: int, mined: Mined | None = None
) -> int:
    """Return how many lines `harden` says, given what was mined."""
    attacked = any(name != MISTAKES for name in names)
    num_arms = 1 + sum(name != MISTAKES for name in names)
    if MISTAKES in names and mined is not None:
        num_arms += len(load_object(ARMS[MISTAKES])(mined, 0))
    return 1 + int(attacked and _has_middle(dataset)) + 2 * repeats * num_arms


def _check(
    classifier: KerasClassifier,
    dataset: SequenceDataset,
    budget: Budget | None,
    names: tuple[str, ...],
    repeats: int,
) -> None:
    for name in names:
        if name not in ARMS:
            raise unknown_name("arm", name, list(ARMS))
    if not names or len(set(names)) < len(names):
        raise ValueError(f"`names` must be one or more arms, each once, but got {names!r}.")
    if repeats < 1:
        raise ValueError(f"`repeats >= 1` must hold, but got repeats={repeats!r}.")
    if (budget is None) != (names == (MISTAKES,)):
        raise ValueError(
            f"`budget` must be None for '{MISTAKES}' alone and a Budget otherwise, but got "
            f"budget={budget!r}, names={names!r}."
        )
    if budget is not None:
        _bounds(dataset)
    for part in ("train", "test"):
        if len(dataset.splits[part]) == 0:
            raise DataError(f"'{dataset.name}' has no {part} part, which hardening needs.")
    classifier.predict(dataset.test, dataset.class_names)


def _arms(
    names: tuple[str, ...], budget: Budget | None, mined: Mined | None, seed: int
) -> list[Arm]:
    """Return the control and the arms, in the order of their names."""
    arms = [Arm(CONTROL)]
    for name in names:
        make = load_object(ARMS[name])
        arms += make(mined, seed) if name == MISTAKES else [Arm(name, make(budget))]
    return arms


def _run_arms(
    trainer: Trainer,
    judge: Judge,
    say: Say,
    classifier: KerasClassifier,
    chosen: list[Arm],
    repeats: int,
) -> tuple[dict[str, tuple[Measured, ...]], list[Array]]:
    """Train and measure the control and the arms; also return the last one's first weights."""
    arms: dict[str, tuple[Measured, ...]] = {arm.name: () for arm in chosen}
    weights: list[Array] = []
    for repeat in range(repeats):
        told = f"repeat {repeat + 1} of {repeats}: " if repeats > 1 else ""
        for arm in chosen:
            pool = None if arm.pool is None else arm.pool(repeat)
            started = time.perf_counter()
            loss = trainer.run(f"arm '{arm.name}'", arm.source, repeat, pool=pool)
            seconds = time.perf_counter() - started
            say(f"{told}{arm.name}: trained, mean loss {loss:.4f}, {seconds:.1f} s")
            arms[arm.name] += (_measured(judge, say, told, arm.name, classifier, arm.source),)
        weights = weights or classifier.model.get_weights()
    return arms, weights


def _measured(
    judge: Judge,
    say: Say,
    told: str,
    name: str,
    classifier: KerasClassifier,
    source: Source = ordinary,
) -> Measured:
    own = None
    if isinstance(source, AdversarialExamples):
        own = replace(source.attack, stop_early=True)
    return _said(say, told, lambda: judge.measure(name, classifier, own=own))


def _threshold(
    judge: Judge, say: Say, classifier: KerasClassifier, dataset: SequenceDataset
) -> Measured | None:
    if not _has_middle(dataset):
        return None
    bounds = _bounds(dataset)
    plain = Thresholded(classifier, bounds)
    through = Thresholded(classifier, bounds, straight_through=True)
    return _said(say, "", lambda: judge.measure(THRESHOLD, plain, gradient_from=through))


def _has_middle(dataset: SequenceDataset) -> bool:
    bounds = _bounds(dataset)
    return math.isfinite(bounds.lower) and math.isfinite(bounds.upper)


def _said(say: Say, told: str, measure: Callable[[], Measured]) -> Measured:
    started = time.perf_counter()
    found = measure()
    shares = ", ".join(f"{column} {found.share(column):.4f}" for column in found.columns)
    say(f"{told}{found.name}: {shares}, {time.perf_counter() - started:.1f} s")
    return found
