"""Initial kernels of inputs and states drawn as one matrix, as TensorFlow 1 drew them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rnnprobe.errors import DataError

_GATES = {"rnn": 1, "lstm": 4}
_KERNELS = ("kernel_initializer", "recurrent_initializer")


def with_joint_kernels(
    initializers: Mapping[str, Any], cell: str, num_inputs: int, units: int
) -> dict[str, Any]:
    """Return a layer's initializers, those of its kernels in the place of the one for both.

    TensorFlow 1's `BasicRNNCell` and `BasicLSTMCell` keep one kernel (num_inputs + units, gates *
    units) and draw it as a whole by Glorot's rule, where Keras draws the part of the inputs alone
    and makes that of the states orthogonal. Small recurrent nets learn more slowly from it.

    Args:
        initializers: By the cell's argument name; `joint_kernel_initializer`, where it is there,
            is `glorot_uniform`.
        cell: `rnn` or `lstm`; a gru of TensorFlow 1 had two such kernels.
        num_inputs: Features that the layer reads.
        units: Units of the layer.

    Raises:
        DataError: Another initializer or cell, or a kernel has an initializer of its own.

    References:
        X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
        networks", AISTATS (2010). https://proceedings.mlr.press/v9/glorot10a.html
    """
    kept = dict(initializers)
    name = kept.pop("joint_kernel_initializer", None)
    if name is None:
        return kept
    if name != "glorot_uniform" or cell not in _GATES:
        raise DataError(
            f"joint_kernel_initializer is glorot_uniform, of the cells {' and '.join(_GATES)}, but "
            f"got {name!r} of {cell!r}."
        )
    own = [kernel for kernel in _KERNELS if kernel in kept]
    if own:
        raise DataError(f"joint_kernel_initializer takes the place of {own[0]}; give one of them.")
    limit = math.sqrt(6 / (num_inputs + units + _GATES[cell] * units))
    uniform = {"class_name": "RandomUniform", "config": {"minval": -limit, "maxval": limit}}
    return kept | {kernel: dict(uniform) for kernel in _KERNELS}
