"""Sums over batches: what a graph makes of one batch, and what it comes to over all of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from rnnprobe._batches import to_array
from rnnprobe.inspection._stepping import Limits
from rnnprobe.records import Array

EXAMPLE_SUMS = ("count", "sum", "squares", "left", "right", "zeros")
"""The columns of what is kept of every example, over its steps and the units."""


def reduced(values: Any, counted: Any, limits: Limits) -> dict[str, Any]:
    """Return what is kept of the values of one batch, to be called while a graph is traced.

    Args:
        values: float (batch, num_steps, num_units).
        counted: bool (batch, num_steps), what counts.
        limits: Below the first a value is saturated left, above the second right.

    Returns:
        By name: `shift` (num_units,), the unit's mean, and `middle` (), the mean of all of them,
        0 where they are no finite numbers; `count` (num_steps,); `mean` of the value less its
        shift, `squares` about it, and the numbers `left`, `right` and `zeros` (num_steps,
        num_units); `lowest` and `highest` (num_units,); `examples` (batch, 6) as `EXAMPLE_SUMS`,
        of values less `middle`; and of each example's sum over its steps, of values less their
        shift, `unit_mean` and, as sums of squares and products about the means, `unit_squares`
        (num_units,) and `unit_products` (num_units,) with its number of steps, of which
        `step_mean` and `step_squares` () are.
    """
    values = ops.cast(values, "float32")
    is_in = counted[:, :, None]
    weight = ops.cast(is_in, "float32")
    there = ops.cast(counted, "float32")
    left, right = limits or (-np.inf, np.inf)
    shift, middle = _middles(values, is_in, ops.sum(there))
    kept = ops.where(is_in, values - shift, 0.0)  # what does not count may be no number
    about = ops.where(is_in, values - middle, 0.0)
    flags = {
        "left": ops.where(is_in, ops.cast(values < left, "float32"), 0.0),
        "right": ops.where(is_in, ops.cast(values > right, "float32"), 0.0),
        "zeros": ops.where(is_in, ops.cast(values == 0, "float32"), 0.0),
    }
    count = ops.sum(there, axis=0)
    mean = ops.sum(kept, axis=0) / ops.maximum(count, 1)[:, None]
    width = values.shape[-1]
    columns = [ops.sum(there, axis=1) * width, ops.sum(about, axis=(1, 2))]
    columns += [ops.sum(about * about, axis=(1, 2))]
    columns += [ops.sum(flag, axis=(1, 2)) for flag in flags.values()]
    return {
        "shift": shift,
        "middle": middle,
        "count": count,
        "mean": mean,
        "squares": ops.sum(weight * ops.square(kept - mean), axis=0),
        **{name: ops.sum(flag, axis=0) for name, flag in flags.items()},
        "lowest": ops.min(ops.where(is_in, values, np.inf), axis=(0, 1)),
        "highest": ops.max(ops.where(is_in, values, -np.inf), axis=(0, 1)),
        "examples": ops.stack(columns, axis=1),
        **_unit_products(ops.sum(kept, axis=1), ops.sum(there, axis=1)),
    }


def _middles(values: Any, is_in: Any, number: Any) -> tuple[Any, Any]:
    """Return each unit's mean and that of all units, which are taken off before anything is summed.

    In float32 a sum of values of one size forgets by how little they differ. Any number near them
    does, so that the rounding of this one is no matter.
    """
    shift = ops.sum(ops.where(is_in, values, 0.0), axis=(0, 1)) / ops.maximum(number, 1)
    shift = ops.where(ops.isfinite(shift), shift, 0.0)
    middle = ops.mean(shift)
    return shift, ops.where(ops.isfinite(middle), middle, 0.0)


def _unit_products(sums: Any, steps: Any) -> dict[str, Any]:
    """Return means, squares and products about them; an example without a step is no example."""
    is_in = ops.cast(steps > 0, "float32")
    number = ops.maximum(ops.sum(is_in), 1)
    unit_mean, step_mean = ops.sum(sums, axis=0) / number, ops.sum(steps) / number
    apart = (sums - unit_mean) * is_in[:, None]
    step_apart = (steps - step_mean) * is_in
    return {
        "number": ops.sum(is_in),
        "unit_mean": unit_mean,
        "step_mean": step_mean,
        "unit_squares": ops.sum(ops.square(apart), axis=0),
        "unit_products": ops.sum(apart * step_apart[:, None], axis=0),
        "step_squares": ops.sum(ops.square(step_apart)),
    }


class Moments(NamedTuple):
    """What `reduced` returned, over all batches so far, in float64.

    `mean` and `examples` are of the values themselves here; what is kept of each example's sum
    stays that of values less `shift`, which is one for all batches.

    References:
        T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating Formulae and a Pairwise Algorithm for
        Computing Sample Variances" (1979), how two parts are joined.
        http://i.stanford.edu/pub/cstr/reports/cs/tr/79/773/CS-TR-79-773.pdf
    """

    kept: dict[str, Array]

    @classmethod
    def of(cls, batch: dict[str, Any], num_rows: int) -> Moments:
        """Return what one batch gave; rows behind `num_rows` only filled it up and counted not."""
        kept = {name: to_array(tensor).astype(np.float64) for name, tensor in batch.items()}
        kept["mean"] = kept["mean"] + kept["shift"]
        kept["examples"] = _with_middle(kept["examples"][:num_rows], float(kept.pop("middle")))
        return cls(kept)

    def __add__(self, other: object) -> Moments:
        if not isinstance(other, Moments):
            return NotImplemented
        shift = self.kept["shift"] if self.kept["number"] else other.kept["shift"]
        a, b = _shifted(self.kept, shift), _shifted(other.kept, shift)
        joined = {name: a[name] + b[name] for name in ("count", "left", "right", "zeros", "number")}
        joined["shift"] = shift
        joined["lowest"] = np.minimum(a["lowest"], b["lowest"])
        joined["highest"] = np.maximum(a["highest"], b["highest"])
        joined["examples"] = np.concatenate([a["examples"], b["examples"]])
        apart = b["mean"] - a["mean"]
        weights = _weights(a["count"], b["count"])
        joined["mean"] = a["mean"] + apart * weights[:, np.newaxis]
        both = (a["count"] * weights)[:, np.newaxis]
        joined["squares"] = a["squares"] + b["squares"] + apart**2 * both
        units, steps = b["unit_mean"] - a["unit_mean"], b["step_mean"] - a["step_mean"]
        weight = _weights(a["number"], b["number"])
        joined["unit_mean"] = a["unit_mean"] + units * weight
        joined["step_mean"] = a["step_mean"] + steps * weight
        common = a["number"] * weight
        for name, product in (
            ("unit_squares", units**2),
            ("unit_products", units * steps),
            ("step_squares", steps**2),
        ):
            joined[name] = a[name] + b[name] + product * common
        return Moments(joined)


def _with_middle(examples: Array, middle: float) -> Array:
    """Return `EXAMPLE_SUMS` of values, given those of values less a number."""
    found = examples.copy()
    counts, sums, squares = examples[:, :3].T
    found[:, 1] = sums + middle * counts
    found[:, 2] = squares + 2 * middle * sums + middle**2 * counts
    return found


def _shifted(kept: dict[str, Array], shift: Array) -> dict[str, Array]:
    """Return sums of which another number is taken off at every step: affine in their number."""
    more = kept["shift"] - shift
    products, squares = kept["unit_products"], kept["step_squares"]
    return kept | {
        "unit_mean": kept["unit_mean"] + more * kept["step_mean"],
        "unit_products": products + more * squares,
        "unit_squares": kept["unit_squares"] + 2 * more * products + more**2 * squares,
    }


def _weights(first: Array, second: Array) -> Array:
    """Return the share of the second in both, 0 where there is neither."""
    return np.asarray(second / np.maximum(first + second, 1))
