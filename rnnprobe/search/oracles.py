"""KerasTuner's oracles over a finite space: no configuration twice, and a budget in trials."""

from __future__ import annotations

import math
import random
import warnings
from collections import Counter
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.oracles import (
    BayesianOptimizationOracle,
    HyperbandOracle,
    RandomSearchOracle,
)

from rnnprobe.search.hypermodel import encode, hyperparameters, sample
from rnnprobe.search.space import Configuration, SearchSpace

OBJECTIVE = "val_accuracy"
_FACTOR = 3


class _DistinctMixin:
    """Draws from the configurations that were not tried yet, so that no trial is wasted.

    The stock oracles draw with replacement and give up after 20 collisions. Cells take turns, or
    one with few axes, such as a CNN, would hardly ever be drawn.
    """

    space: SearchSpace
    trials: dict[str, Any]
    seed: int

    def tried(self) -> list[Configuration]:
        """Return the distinct configurations of all trials."""
        found = [sample(self.space, trial.hyperparameters) for trial in self.trials.values()]
        return list({tuple(c.values()): c for c in found}.values())

    def _random_values(self) -> dict[str, Any] | None:
        tried = self.tried()
        untried = self.space.untried(tried)
        if not untried:
            return None
        rng = random.Random(f"{self.seed}/{len(tried)}")
        times = Counter(configuration["cell"] for configuration in tried)
        fewest = min(times[configuration["cell"]] for configuration in untried)
        candidates = [c for c in untried if times[c["cell"]] == fewest]
        cell = rng.choice(sorted({str(c["cell"]) for c in candidates}))
        return encode(self.space, rng.choice([c for c in candidates if c["cell"] == cell]))


class RandomOracle(_DistinctMixin, RandomSearchOracle):
    """Random search without repetition."""


class BayesianOracle(_DistinctMixin, BayesianOptimizationOracle):
    """KerasTuner's Gaussian process, its acquisition maximised over the untried configurations.

    The stock oracle maximises over a continuous relaxation and rounds, which proposes the same
    configuration again and again in a small space.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the untried configuration with the best confidence bound."""
        completed = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        untried = self.space.untried(self.tried())
        if not untried:
            return {"status": "STOPPED"}
        if len(completed) < self.num_initial_points:
            return {"status": "RUNNING", "values": self._random_values()}
        from sklearn.exceptions import ConvergenceWarning

        x, y = self._vectorize_trials()
        with warnings.catch_warnings():
            # With few trials a length scale often ends at its bound, which does no harm.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.gpr.fit(x, y)
        candidates = np.array([self._to_vector(configuration) for configuration in untried])
        mean, deviation = self.gpr.predict(candidates, return_std=True)
        best = untried[int(np.argmin(mean - self.beta * deviation))]
        return {"status": "RUNNING", "values": encode(self.space, best)}

    def _to_vector(self, configuration: Configuration) -> list[float]:
        values = encode(self.space, configuration)
        return [hp.value_to_prob(values[hp.name]) for hp in self._nonfixed_space()]


class BudgetHyperbandOracle(_DistinctMixin, HyperbandOracle):
    """Hyperband whose budget is a number of configurations.

    The brackets start with as many configurations as in the paper's proportions, scaled so that
    their sum is `num_configurations`.

    References:
        L. Li, K. Jamieson, G. DeSalvo, A. Rostamizadeh, A. Talwalkar, "Hyperband: A Novel
        Bandit-Based Approach to Hyperparameter Optimization", JMLR 18 (2018).
        https://jmlr.org/papers/v18/16-558.html
    """

    def __init__(self, *, num_configurations: int, **options: Any) -> None:
        self.num_configurations = num_configurations
        super().__init__(**options)

    def _get_num_brackets(self) -> int:
        return min(int(super()._get_num_brackets()), self.num_configurations)

    def _get_size(self, bracket_num: int, round_num: int) -> int:
        stage: int = self.factor**round_num
        return math.ceil(self._first_sizes()[bracket_num] / stage)

    def planned_epochs(self) -> tuple[int, ...]:
        """Return for how many epochs each training goes on, if every one finishes."""
        planned: list[int] = []
        for bracket in range(self._get_num_brackets()):
            before = 0
            for stage in range(self._get_num_rounds(bracket)):
                epochs = int(self._get_epochs(bracket, stage))
                planned += [epochs - before] * self._get_size(bracket, stage)
                before = epochs
        return tuple(planned)

    def _first_sizes(self) -> list[int]:
        """Deal the configurations to the brackets, at least one each, by largest remainder."""
        brackets = self._get_num_brackets()
        shares = [self.factor**b / (b + 1) for b in range(brackets)]
        spare = self.num_configurations - brackets
        exact = [spare * share / sum(shares) for share in shares]
        sizes = [1 + int(size) for size in exact]
        by_remainder = sorted(range(brackets), key=lambda b: int(exact[b]) - exact[b])
        for bracket in by_remainder[: self.num_configurations - sum(sizes)]:
            sizes[bracket] += 1
        return sizes


def planned_epochs(tuner: str, space: SearchSpace, *, trials: int, epochs: int) -> tuple[int, ...]:
    """Return for how many epochs each training of a search goes on, if every one finishes.

    Args:
        tuner: As for `build_oracle`.
        space: What to search.
        trials: How many configurations to try; of a smaller space all.
        epochs: The most epochs per configuration.

    Example:
        >>> planned_epochs("random", SearchSpace(units=[8, 16, 32]), trials=2, epochs=9)
        (9, 9)
    """
    number = min(trials, space.size)
    if tuner != "hyperband":
        return (epochs,) * number
    oracle = build_oracle(tuner, space, trials=number, epochs=epochs, seed=0)
    planned: tuple[int, ...] = oracle.planned_epochs()
    return planned


def build_oracle(
    tuner: str, space: SearchSpace, *, trials: int, epochs: int, seed: int
) -> keras_tuner.Oracle:
    """Return the oracle of a tuner by its name in `TUNERS`.

    Args:
        tuner: `hyperband`, `bayesian` or `random`.
        space: What to search.
        trials: How many configurations to try.
        epochs: The most epochs per configuration.
        seed: At least 0; 0 is a seed, which KerasTuner itself would take for "random".
    """
    options = {
        "objective": keras_tuner.Objective(OBJECTIVE, "max"),
        "hyperparameters": hyperparameters(space),
        "allow_new_entries": False,
        "seed": seed + 1,
        "max_consecutive_failed_trials": None,
    }
    oracle: Any
    if tuner == "hyperband":
        oracle = BudgetHyperbandOracle(
            num_configurations=trials, max_epochs=epochs, factor=_FACTOR, **options
        )
    elif tuner == "bayesian":
        oracle = BayesianOracle(
            max_trials=trials, num_initial_points=max(3, trials // 3), **options
        )
    else:
        oracle = RandomOracle(max_trials=trials, **options)
    oracle.space = space
    oracle.verbose = 0
    return oracle
