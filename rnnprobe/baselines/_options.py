"""What a baseline takes of a `ModelSpec` beside the axes of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from rnnprobe.errors import DataError
from rnnprobe.specs import ModelSpec

HIDDEN_INITIALIZERS = ("kernel_initializer", "bias_initializer")
_OF_THE_OUTPUT = ("output_kernel_initializer", "output_bias_initializer")  # see `build_model`


def check_options(spec: ModelSpec, initializers: Sequence[str] = ()) -> None:
    """Refuse initializers and cell options that the baseline would not read.

    Args:
        spec: The architecture; its cell is the baseline.
        initializers: Names of the initializers that the hidden layers take.

    Raises:
        DataError: The first one that is not known.
    """
    known = (*initializers, *_OF_THE_OUTPUT)
    for name in spec.initializers:
        if name not in known:
            raise DataError(
                f"The {spec.cell} has no initializer '{name}'; expected some of {', '.join(known)}."
            )
    for name in spec.cell_options:
        raise DataError(f"The {spec.cell} has no cell options, but got '{name}'; leave it out.")


def hidden_initializers(spec: ModelSpec) -> dict[str, Any]:
    """Return the initializers of one hidden layer by Keras's argument names.

    To be called for each layer: an initializer object that two layers share draws alike in both,
    as do configurations that name a seed.

    Args:
        spec: The architecture; an initializer it does not name is the layer's own default.
    """
    return {
        name: _fresh(spec.initializers[name])
        for name in HIDDEN_INITIALIZERS
        if name in spec.initializers
    }


def _fresh(configuration: Any) -> Any:
    if isinstance(configuration, keras.initializers.Initializer):
        configuration = keras.initializers.serialize(configuration)
    return keras.initializers.get(configuration)
