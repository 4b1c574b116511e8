"""What is compared with a published value, as numbers of one run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnprobe.specs import Run

_BEST_OF_HISTORY = {
    "best_loss": ("loss", min),
    "best_accuracy": ("accuracy", max),
    "best_val_loss": ("val_loss", min),
    "best_val_accuracy": ("val_accuracy", max),
}
_OF_THE_RUN = re.compile(r"seconds|(val_|test_)?(loss|accuracy)|(train|minibatch)_[1-9]\d*")
_OF_A_LAYER = re.compile(r"\w+_(mean|variance)")


def is_known(key: str) -> bool:
    """Whether a run may have such a measure."""
    patterns = (_OF_THE_RUN, _OF_A_LAYER)
    return key in _BEST_OF_HISTORY or any(one.fullmatch(key) for one in patterns)


def of_a_layer(key: str) -> bool:
    """Whether a measure is one of what a layer returns, for which the model must be kept."""
    return key not in _BEST_OF_HISTORY and _OF_A_LAYER.fullmatch(key) is not None


def value_of(run: Run, key: str, activations: Mapping[str, float]) -> float | None:
    """Return one measure of a finished run; None where it has none.

    Args:
        run: The run.
        key: A metric of `Run.metrics`; `seconds`; `best_val_accuracy` and the like, the best value
            of a curve over the epochs; `convolution_1_mean` and the like, of `activations`.
        activations: Mean and variance of layers' outputs over the test part.
    """
    if key == "seconds":
        return run.seconds
    if key in _BEST_OF_HISTORY:
        name, best = _BEST_OF_HISTORY[key]
        return best(run.history[name])
    value: Any = run.metrics.get(key, activations.get(key))
    return None if value is None else float(value)
