"""What is compared with a published value, as numbers of one run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnnprobe.records import Run

_BEST_OF_HISTORY = {
    "best_loss": ("loss", min),
    "best_accuracy": ("accuracy", max),
    "best_val_loss": ("val_loss", min),
    "best_val_accuracy": ("val_accuracy", max),
}


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
