"""Inputs made from noise that the model takes for a class, close to a given example or anywhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from rnnprobe._archive import save_arrays
from rnnprobe.attacks._region import Region, column, distance
from rnnprobe.losses import Loss, TargetedCrossEntropy, TargetedSquares
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Bounds, Budget, _read_only, require

Cost = Literal["cross-entropy", "sum-of-squares"]
_COSTS: Mapping[str, Callable[[Array], Loss]] = {
    "cross-entropy": TargetedCrossEntropy,
    "sum-of-squares": TargetedSquares,
}
_NOISE = 0.3  # standard deviation of the noise, as a share of the range; the published one
_LAST_RATE = 0.02  # share of the learning rate at the last step
_PULL_CHANGE = 1.05
_MOST_PULL = 1e6


@dataclass(frozen=True)
class Synthesis:
    """How inputs are made from noise.

    Args:
        starts: From how many draws of noise, at least 1.
        steps: Largest number of updates of each, at least 1.
        learning_rate: Of Adam, above 0, as a share of the range of the data; where there is a
            source it falls along half a cosine to a fiftieth, so that the last steps settle.
        cost: What is descended, of the model's answer against the wanted one: `cross-entropy`, or
            `sum-of-squares` of the differences of probabilities, as published.
        confidence: The probability of the wanted class, in (0, 1), from which a start has
            converged.
        source_weight: The weight w in [0, 1e6] of w/2 times the squared distance to the source,
            which is added to the cost where there is a source. So it is at first; see `synthesize`.
        seed: Of the noise, at least 0.

    Example:
        >>> Synthesis(starts=10, cost="sum-of-squares").confidence
        0.99
    """

    starts: int = 20
    steps: int = 500
    learning_rate: float = 0.1
    cost: Cost = "cross-entropy"
    confidence: float = 0.99
    source_weight: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        rate, weight = self.learning_rate, self.source_weight
        require(self.starts >= 1, "starts >= 1", starts=self.starts)
        require(self.steps >= 1, "steps >= 1", steps=self.steps)
        require(rate > 0 and math.isfinite(rate), "learning_rate > 0", learning_rate=rate)
        require(self.cost in get_args(Cost), f"cost in {get_args(Cost)}", cost=self.cost)
        require(0 < self.confidence < 1, "0 < confidence < 1", confidence=self.confidence)
        require(0 <= weight <= _MOST_PULL, "0 <= source_weight <= 1e6", source_weight=weight)
        require(self.seed >= 0, "seed >= 0", seed=self.seed)


@dataclass(frozen=True, eq=False)
class SynthesisResult:
    """What came of each start.

    Args:
        noise: float32 (starts, num_steps, num_features), where each began.
        x: float32 (starts, num_steps, num_features), where each ended.
        probabilities: float64 (starts, num_classes), what the model says of `x`, asked anew.
        converged: bool (starts,), whether it takes `x` for the target at the confidence wanted.
        steps: int64 (starts,), the updates until it first did; of one that never did, all.
        distance: float64 (starts,), from `x` to the source in l2; None where there is none.
    """

    noise: Array
    x: Array
    probabilities: Array
    converged: Array
    steps: Array
    distance: Array | None

    def __post_init__(self) -> None:
        for name in ("noise", "x", "probabilities", "converged", "steps"):
            object.__setattr__(self, name, _read_only(getattr(self, name)))

    def ranking(self, target: int) -> Array:
        """Return int64 (starts,), the starts from the best one on.

        Those that converged come first; among them, and among the others where there is a source,
        the nearest to it; else those of largest probability.
        """
        last = -self.probabilities[:, target]
        if self.distance is not None:
            last = np.where(self.converged, self.distance, last)
        return np.lexsort((last, ~self.converged))

    def save(self, path: Path, target: int, metadata: Mapping[str, Any]) -> None:
        """Write the examples to an `.npz` file, whole or not at all.

        Args:
            path: The file, replaced where there is one. It holds `x`, `probability` of the target,
                `converged` and `start`, the index from 0.
            target: The class.
            metadata: Plain values; they mark the file as ours.

        Raises:
            OutputError: The file cannot be written.
        """
        arrays = {
            "x": self.x,
            "probability": self.probabilities[:, target],
            "converged": self.converged,
            "start": np.arange(len(self.x)),
        }
        save_arrays(path, arrays, "rnnprobe.synthesis/1", metadata)


def synthesize(
    model: Classifier,
    shape: tuple[int, int],
    bounds: Bounds,
    *,
    target: int,
    source: Array | None = None,
    mask: Array | None = None,
    settings: Synthesis | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> SynthesisResult:
    """Make inputs from noise that the model takes for the target, each by Adam on the values.

    Without a source a start is done when the model gives the target the probability wanted. With
    one ("sneaky") all steps are taken, and of the points that have this probability the nearest to
    the source is kept. Of a start that never has it the point of least cost is returned.

    The published experiment took 1,000 plain gradient steps of rate 1 from noise of mean 0.5 and
    standard deviation 0.3, with a source weight of 0.05. Here the values stay in the bounds, and
    the weight falls by 5 % at each step at which the model is not sure of the target and rises by
    5 % at each at which it is: no fixed weight suits all examples.

    Args:
        model: What is asked.
        shape: (num_steps, num_features) of an input; that of the source where there is one.
        bounds: The interval of the values, finite. What a source has outside of it may stay there.
        target: The class to be taken for, from 0.
        source: float32 (num_steps, num_features), the example to stay close to, or None.
        mask: bool (num_steps,), which steps of the source count; the others stay as they are.
        settings: See there; None: the default ones.
        on_step: Called with the updates done and the starts converged so far, before each update.

    Raises:
        ValueError: The bounds are infinite, the source has another shape, or there is a mask
            without one.

    References:
        Kingma and Ba, Adam: a method for stochastic optimization, ICLR 2015,
        https://arxiv.org/abs/1412.6980

    Example:
        >>> from rnnprobe import Bounds
        >>> made = synthesize(classifier, (28, 28), Bounds(0, 1), target=3)   # doctest: +SKIP
        >>> made.converged.mean()                                             # doctest: +SKIP
        1.0
    """
    settings = settings or Synthesis()
    extent = bounds.upper - bounds.lower
    require(math.isfinite(extent), "bounds are finite", bounds=bounds)
    require(source is None or source.shape == shape, "source.shape == shape", shape=shape)
    require(source is not None or mask is None, "a mask needs a source", source=source)
    noise = _noise(shape, bounds, settings)
    masks = repeated(mask, len(noise))
    region = _region(model, noise, bounds, source, masks)
    noise = region.project(noise)
    kept = _Kept(settings, target, noise, source)
    adam = _Adam(noise.shape)
    points, rows = noise.copy(), np.arange(settings.starts)
    for step in range(settings.steps + 1):
        gradient = kept.look(model, rows, points[rows], masks, step)
        if source is None:
            left = ~kept.reached[rows]
            rows, gradient = rows[left], gradient[left]
        if on_step is not None:
            on_step(step, int(kept.reached.sum()))
        if not len(rows) or step == settings.steps:
            break
        rate = settings.learning_rate * extent
        if source is not None:
            fall = (1 + math.cos(math.pi * step / settings.steps)) / 2
            rate *= _LAST_RATE + (1 - _LAST_RATE) * fall
        move = adam.direction(rows, np.where(region.allowed[rows], gradient, 0))
        points[rows] = region.take(rows).project(points[rows] - np.float32(rate) * move)
    return kept.result(model, masks, noise)


def _noise(shape: tuple[int, int], bounds: Bounds, settings: Synthesis) -> Array:
    """Return float32 (starts, num_steps, num_features), each drawn by the seed and its number."""
    middle, extent = (bounds.lower + bounds.upper) / 2, bounds.upper - bounds.lower
    draws = [
        np.random.default_rng([settings.seed, start]).normal(middle, _NOISE * extent, shape)
        for start in range(settings.starts)
    ]
    return np.clip(np.stack(draws), bounds.lower, bounds.upper).astype(np.float32)


def _region(
    model: Classifier, noise: Array, bounds: Bounds, source: Array | None, masks: Array | None
) -> Region:
    """Return the box around the source, or where there is none, around the noise."""
    everywhere = Budget(math.inf, "linf", bounds)
    if source is None:
        return Region.of(model, noise, everywhere, None, np.ones(noise.shape[:2], bool))
    sources = np.repeat(source[np.newaxis].astype(np.float32), len(noise), axis=0)
    return Region.of(model, sources, everywhere, masks, None)


class _Kept:
    """Keeps of each start the point to be returned.

    Attributes:
        reached: bool (starts,), which had the probability wanted.
    """

    def __init__(
        self, settings: Synthesis, target: int, noise: Array, source: Array | None
    ) -> None:
        self._confidence, self._weight = settings.confidence, settings.source_weight
        self._target, self._source = target, source
        self._pull = np.full(len(noise), settings.source_weight)
        self._loss = _COSTS[settings.cost](np.full(len(noise), target, np.int32))
        self._x = noise.copy()
        self._value = np.full(len(noise), np.inf)
        self._steps = np.full(len(noise), settings.steps)
        self.reached = np.zeros(len(noise), bool)

    def look(
        self, model: Classifier, rows: Array, points: Array, masks: Array | None, step: int
    ) -> Array:
        """Return the gradient of the cost at points of the starts `rows`, and remember them."""
        loss = self._loss.take(rows)
        masks = None if masks is None else masks[rows]
        logits, slope = model.loss_gradient(points, loss, masks)
        gradient, cost = -np.nan_to_num(slope), -loss.values(logits)
        far = np.zeros(len(rows))
        if self._source is not None:
            far = distance(points - self._source, "l2")
            cost = cost + self._weight / 2 * far**2
            gradient = gradient + column(self._pull[rows]) * (points - self._source)
        hits = self._hits(softmax(logits))
        change = np.where(hits, _PULL_CHANGE, 1 / _PULL_CHANGE)
        self._pull[rows] = np.minimum(self._pull[rows] * change, _MOST_PULL)
        self._remember(rows, points, hits, far, cost)
        first = self.reached[rows] & (self._steps[rows] > step)
        self._steps[rows[first]] = step
        return gradient

    def _hits(self, probabilities: Array) -> Array:
        likely = probabilities[:, self._target] >= self._confidence
        return np.asarray(likely & (probabilities.argmax(axis=1) == self._target))

    def _remember(self, rows: Array, points: Array, hits: Array, far: Array, cost: Array) -> None:
        first = hits & ~self.reached[rows]
        value = np.where(hits, far, cost)
        better = first | ((hits | ~self.reached[rows]) & (value < self._value[rows]))
        self._x[rows[better]] = points[better]
        self._value[rows[better]] = value[better]
        self.reached[rows[hits]] = True

    def result(self, model: Classifier, masks: Array | None, noise: Array) -> SynthesisResult:
        """Return the points kept, as the model sees them when it is asked again."""
        probabilities = softmax(model.logits(self._x, masks))
        answers = probabilities.argmax(axis=1) == self._target
        far = None if self._source is None else distance(self._x - self._source, "l2")
        return SynthesisResult(
            noise, self._x, probabilities, self.reached & answers, self._steps, far
        )


class _Adam:
    """The moments of Adam, of each start for itself; all starts that go on have gone as far."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._mean, self._square = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._count = 0

    def direction(self, rows: Array, gradient: Array) -> Array:
        """Return the step of length 1 uphill, float32 like `gradient`."""
        self._count += 1
        self._mean[rows] += 0.1 * (gradient - self._mean[rows])
        self._square[rows] += 0.001 * (np.square(gradient) - self._square[rows])
        mean = self._mean[rows] / (1 - 0.9**self._count)
        root = np.sqrt(self._square[rows] / (1 - 0.999**self._count))
        return np.asarray(mean / (root + 1e-8), np.float32)


def softmax(logits: Array) -> Array:
    """Return float64 (num_examples, num_classes), rows sum to 1."""
    exponentials = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def repeated(mask: Array | None, number: int) -> Array | None:
    """Return the mask of one example for a number of them, bool (number, num_steps)."""
    return None if mask is None else np.repeat(mask[np.newaxis], number, axis=0)
