"""Which steps of a sequence speak for one class and against another: gradients along a path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnprobe.classifier import KerasClassifier
from rnnprobe.inspection._path_gradients import PathGradients
from rnnprobe.records import Array

_FLAT = 1e-3  # of the spread of the logits: less is no difference to take 1 % of


@dataclass(frozen=True)
class AttributionSettings:
    """How exactly to look.

    Args:
        first_nodes: Points between baseline and example to begin with, at least 1.
        most_nodes: At most so many; they are doubled until the attributions add up.
        tolerance: They do where they miss f(x) - f(baseline) by at most this share of it, or by
            0.1 % of the spread of the example's logits, whichever is more.
        samples: Noisy copies of SmoothGrad, at least 2.
        noise: Their standard deviation as share of the range of the example's values, at least 0.
    """

    first_nodes: int = 32
    most_nodes: int = 512
    tolerance: float = 0.01
    samples: int = 50
    noise: float = 0.15

    def __post_init__(self) -> None:
        if not (
            1 <= self.first_nodes <= self.most_nodes
            and self.samples >= 2
            and self.noise >= 0
            and self.tolerance > 0
        ):
            raise ValueError(
                "`1 <= first_nodes <= most_nodes, tolerance > 0, samples >= 2, noise >= 0` must "
                f"hold, but got {self}."
            )


@dataclass(frozen=True, eq=False)
class Attribution:
    """What each step of some examples adds to f, the logit of one class less that of another.

    Both are in logits. A difference of logits does not change with the constant that softmax leaves
    open, so that probabilities and logits of one model give the same numbers.

    Args:
        targets: int64 (num_examples,), the class whose logit it is.
        others: int64 (num_examples,), the class whose logit is taken off.
        counted: bool (num_examples, num_steps), the steps that count for the model.
        integrated: float32 (num_examples, num_steps, num_features), integrated gradients; of
            tokens (num_examples, num_steps), summed over the embedding's channels. 0 at the steps
            that do not count.
        padding: float64 (num_examples,), the sum over the steps that do not count: 0 where the
            model masks them, else what it makes of padding.
        smooth: float32 like `integrated`: SmoothGrad, the mean gradient over noisy copies, in
            logits per unit of the data; of tokens times the token's own vector, in logits.
        smooth_samples: float32 (num_examples, num_samples, num_steps), the gradient at each copy
            times the example itself, summed over the features.
        value: float64 (num_examples,), f(x).
        baseline_value: float64 (num_examples,), f(baseline), with the steps of x that count.
        error: float64 (num_examples,), how far the sum of all attributions is from
            `value - baseline_value`, at least 0.
        tolerance: float64 (num_examples,), the error that is good enough.
        nodes: int64 (num_examples,), how many points of the path were looked at.
        sigma: float64 (num_examples,), standard deviation of the noise, in units of the data.
        baseline: What the baseline is, in words.
        settings: How exactly it was looked.
        seed: Of the noise.
    """

    targets: Array
    others: Array
    counted: Array
    integrated: Array
    padding: Array
    smooth: Array
    smooth_samples: Array
    value: Array
    baseline_value: Array
    error: Array
    tolerance: Array
    nodes: Array
    sigma: Array
    baseline: str
    settings: AttributionSettings
    seed: int

    @property
    def steps(self) -> Array:
        """Integrated gradients summed over the features, float64 (num_examples, num_steps)."""
        return _over_features(self.integrated)

    @property
    def smooth_steps(self) -> Array:
        """Mean gradient over the noisy copies times x, float64 (num_examples, num_steps).

        Summed over the features: what f changes by, to first order, as the step is faded out.
        """
        return np.asarray(self.smooth_samples.mean(axis=1, dtype=np.float64))

    @property
    def smooth_error(self) -> Array:
        """Standard error of `smooth_steps` by the noise, float64 (num_examples, num_steps)."""
        return _standard_error(self.smooth_samples.astype(np.float64), axis=1)

    @property
    def difference(self) -> Array:
        """What is to be explained, f(x) - f(baseline), float64 (num_examples,)."""
        return np.asarray(self.value - self.baseline_value)

    @property
    def converged(self) -> Array:
        """Whose attributions add up, bool (num_examples,)."""
        return np.asarray(self.error <= self.tolerance)

    @property
    def without_gradient(self) -> Array:
        """Whose attributions are all 0 although f differs from the baseline's, bool."""
        zero = ~self.steps.any(axis=1) & (self.padding == 0)
        return np.asarray(zero & ~self.converged)


def _over_features(values: Array) -> Array:
    if values.ndim == 2:
        return values.astype(np.float64)
    return np.asarray(values.sum(axis=2, dtype=np.float64))


def _standard_error(values: Array, axis: int) -> Array:
    return np.asarray(values.std(axis=axis, ddof=1) / np.sqrt(values.shape[axis]))


def attribute(
    classifier: KerasClassifier,
    x: Array,
    mask: Array | None,
    targets: Array,
    others: Array,
    *,
    seed: int = 0,
    settings: AttributionSettings | None = None,
) -> Attribution:
    """Attribute the difference of two logits to the steps and features of each example.

    Integrated gradients take the gradient along the straight line from zeros to the example, at
    Gauss-Legendre nodes, and multiply its mean by the example; of tokens at the embedding, from
    zero vectors. They add up to f(x) - f(baseline) but for the error of the sum, and the nodes
    are doubled until it is small. Which steps the model masks is found from x and held along the
    way. SmoothGrad is the mean gradient over noisy copies. As in its paper the map keeps its sign
    and is not multiplied by x, and the noise has one standard deviation for all features, taken
    from the example's own range; its steps are multiplied by x before they are summed, without
    which features of other signs and units, or the channels of an embedding, have no common sum.
    Noise is added at steps that count alone.

    Args:
        classifier: What is explained.
        x: float32 (num_examples, num_steps, num_features) or int32 (num_examples, num_steps).
        mask: bool (num_examples, num_steps), True at the steps that count; None: all.
        targets: int (num_examples,), the class whose logit is explained.
        others: int (num_examples,), the class whose logit is taken off.
        seed: Of the noise.
        settings: How exactly; None: the usual.

    Returns:
        The record.

    Raises:
        DataError: The examples do not fit the model's input.
        ModelError: Values are no finite numbers, or the embedding of tokens cannot be found.
        ValueError: A class is not one of the model's, or both are the same.

    References:
        M. Sundararajan, A. Taly, Q. Yan, "Axiomatic Attribution for Deep Networks" (2017).
        https://arxiv.org/abs/1703.01365
        D. Smilkov, N. Thorat, B. Kim, F. Viegas, M. Wattenberg, "SmoothGrad: removing noise by
        adding noise" (2017). https://arxiv.org/abs/1706.03825

    Example:
        >>> found = attribute(classifier, x, None, y, predicted)      # doctest: +SKIP
        >>> (found.steps.sum(axis=1) - found.difference).round(3)     # doctest: +SKIP
        array([-0., 0.001])
    """
    settings = settings or AttributionSettings()
    spread = np.ptp(classifier.logits(x, mask).astype(np.float64), axis=1)
    _check_classes(targets, others, classifier.num_classes, len(x))
    paths = PathGradients(classifier, x, mask, targets, others)
    value, baseline_value = (_margins(paths, scale) for scale in (1.0, 0.0))
    difference = value - baseline_value
    tolerance = np.maximum(settings.tolerance * np.abs(difference), _FLAT * spread)
    whole, nodes, error = _integrate(paths, difference, tolerance, settings)
    counted = classifier.counted_steps(x, mask)
    sigma = settings.noise * _ranges(classifier, x, counted)
    smooth, samples = _smooth(paths, counted, sigma, settings.samples, seed)
    inside = counted[..., np.newaxis] if whole.ndim == 3 else counted
    return Attribution(
        targets=targets,
        others=others,
        counted=counted,
        integrated=np.where(inside, whole, 0).astype(np.float32),
        padding=np.where(counted, 0, _over_features(whole)).sum(axis=1),
        smooth=np.where(inside, smooth, 0).astype(np.float32),
        smooth_samples=np.where(counted[:, np.newaxis], samples, 0).astype(np.float32),
        value=value,
        baseline_value=baseline_value,
        error=error,
        tolerance=tolerance,
        nodes=nodes,
        sigma=sigma,
        baseline="the zero vector at the embedding of every token" if x.ndim == 2 else "all zeros",
        settings=settings,
        seed=seed,
    )


def _check_classes(targets: Array, others: Array, num_classes: int, length: int) -> None:
    both = np.stack([targets, others])
    if both.shape != (2, length) or ((both < 0) | (both >= num_classes)).any():
        raise ValueError(
            f"`targets` and `others` must hold {length} classes in [0, {num_classes}), but got "
            f"{targets} and {others}."
        )
    if (targets == others).any():
        raise ValueError("`targets != others` must hold: a logit less itself explains nothing.")


def _margins(paths: PathGradients, scale: float) -> Array:
    rows = np.arange(len(paths.x))
    found = np.zeros(len(rows))
    for places, _, margins in paths.at(rows, np.full(len(rows), scale)):
        found[places] = margins
    return found


def _integrate(
    paths: PathGradients, difference: Array, tolerance: Array, settings: AttributionSettings
) -> tuple[Array, Array, Array]:
    """Return the integrated gradients, float64 like x, with nodes and error of each example."""
    whole = np.zeros(paths.x.shape)
    nodes, error = np.zeros(len(whole), np.int64), np.zeros(len(whole))
    left, number = np.arange(len(whole)), settings.first_nodes
    while len(left) and number <= settings.most_nodes:
        whole[left] = _with_nodes(paths, left, number)
        nodes[left] = number
        sums = whole[left].reshape(len(left), -1).sum(axis=1)
        error[left] = np.abs(sums - difference[left])
        left = left[error[left] > tolerance[left]]
        number *= 2
    return whole, nodes, error


def _with_nodes(paths: PathGradients, chosen: Array, number: int) -> Array:
    points, weights = np.polynomial.legendre.leggauss(number)
    scales, weights = (points + 1) / 2, weights / 2
    total = np.zeros((len(chosen), *paths.x.shape[1:]))
    for start in range(0, len(chosen), max(1, paths.batch_size // number)):
        rows = chosen[start : start + max(1, paths.batch_size // number)]
        which, node = np.divmod(np.arange(len(rows) * number), number)
        for places, values, _ in paths.at(rows[which], scales[node]):
            for row in np.unique(which[places]):
                own = which[places] == row
                total[start + row] += np.tensordot(weights[node[places[own]]], values[own], 1)
    return total if total.ndim == 2 else total * paths.x[chosen]


def _ranges(classifier: KerasClassifier, x: Array, counted: Array) -> Array:
    """Return the range of each example's values at the steps that count; 0 where there are none."""
    table = classifier.embedding_matrix() if x.ndim == 2 else None
    ranges = np.zeros(len(x))
    for row, inside in enumerate(counted):
        values = x[row][inside] if table is None else table[x[row][inside]]
        ranges[row] = np.ptp(values) if values.size else 0.0
    return ranges


def _smooth(
    paths: PathGradients, counted: Array, sigma: Array, samples: int, seed: int
) -> tuple[Array, Array]:
    """Return the mean gradient over noisy copies, float64 like x, and each copy's steps."""
    rng = np.random.default_rng(seed)
    length, num_steps = paths.x.shape[:2]
    mean = np.zeros(paths.x.shape)
    steps = np.zeros((length, samples, num_steps), np.float32)
    together = max(1, paths.batch_size // samples)
    for start in range(0, length, together):
        rows = np.arange(start, min(start + together, length))
        # Drawn for one example after the other, so that no batch size changes the numbers.
        noise = rng.standard_normal((len(rows), samples, *paths.shape), np.float32)
        noise *= (sigma[rows, np.newaxis] * counted[rows])[:, np.newaxis, :, np.newaxis]
        which, copy = np.divmod(np.arange(len(rows) * samples), samples)
        points = paths.at(rows[which], np.ones(len(which)), noise.reshape(-1, *paths.shape))
        for places, values, _ in points:
            np.add.at(mean, rows[which[places]], values / samples)
            own = (
                values if values.ndim == 2 else (values * paths.x[rows[which[places]]]).sum(axis=2)
            )
            steps[rows[which[places]], copy[places]] = own
    return mean, steps
