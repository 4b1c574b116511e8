"""Whether a recurrent layer that was stepped in the open did what the model does."""

from __future__ import annotations

from collections.abc import Sequence

from rnnprobe.errors import ModelError
from rnnprobe.inspection._layers import Place

_TOLERANCE = {"float32": 1e-5, "float64": 1e-5}
_HALF = 1e-2  # of float16 and bfloat16


def check_replay(deviations: Sequence[tuple[str, float]], places: Sequence[Place]) -> None:
    """Refuse what was seen in a replay that is not the model.

    Args:
        deviations: Of each call of a layer that was stepped its path, and the largest difference
            between its outputs there and those of the model, as share of their size where that is
            above 1.
        places: The layers of the model.

    Raises:
        ModelError: A difference is above 1e-5, in half precision 1e-2, or no number.
    """
    dtypes = {place.path: place.layer.compute_dtype for place in places}
    for path, apart in deviations:
        tolerance = _TOLERANCE.get(dtypes[path], _HALF)
        if not apart <= tolerance:
            raise ModelError(
                f"The cell of the layer '{path}', stepped with its saved weights, gives "
                f"other outputs than the model itself (by {apart:.2g}, at most {tolerance:g} is "
                "expected), so nothing is told of its gates and gradients; leave them out by "
                "--what activations,weights,decisions,attribution."
            )
