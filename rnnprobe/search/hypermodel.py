"""`RecurrentHyperModel`: the search space as a KerasTuner hypermodel, for any of its tuners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner

from rnnprobe.models import build_model, compile_model
from rnnprobe.records import SequenceDataset
from rnnprobe.search.space import Configuration, SearchSpace, Value, canonical, to_specs

_OFF = "none"


class RecurrentHyperModel(keras_tuner.HyperModel):
    """A hypermodel of recurrent classifiers, usable with any stock KerasTuner tuner.

    Args:
        dataset: Gives the shapes and the classes.
        **values: One value or a sequence per axis, as of `SearchSpace`; an axis that is not named
            has the values that `rnnprobe tune` tries.

    Example:
        >>> import keras_tuner, rnnprobe                                        # doctest: +SKIP
        >>> data = rnnprobe.load_dataset("mnist-5k")                            # doctest: +SKIP
        >>> model = rnnprobe.RecurrentHyperModel(data, cell="gru", units=[16, 32])
        ...                                                                     # doctest: +SKIP
        >>> tuner = keras_tuner.RandomSearch(model, "val_accuracy", max_trials=3)
        ...                                                                     # doctest: +SKIP
        >>> tuner.search(data.train.x, data.train.y, epochs=2,
        ...     validation_data=(data.validation.x, data.validation.y))         # doctest: +SKIP
    """

    def __init__(self, dataset: SequenceDataset, **values: Value | Sequence[Value]) -> None:
        super().__init__(name="rnnprobe")
        self.dataset = dataset
        self.space = SearchSpace.for_tuning(**values)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Return the compiled model of the values that `hp` holds."""
        model_spec, train_spec = to_specs(sample(self.space, hp))
        model = build_model(model_spec, self.dataset)
        compile_model(model, train_spec)
        return model

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        """Train with the batch size that `hp` holds, unless the search names one."""
        kwargs.setdefault("batch_size", sample(self.space, hp)["batch_size"])
        return model.fit(*args, **kwargs)


def sample(space: SearchSpace, hp: keras_tuner.HyperParameters) -> Configuration:
    """Return the canonical configuration that `hp` holds, declaring the axes on the way."""
    values: Configuration = {}
    for name, listed in space.values.items():
        if name not in _declared(space):
            values[name] = listed[0]
            continue
        chosen = hp.Choice(name, [_encode(listed, value) for value in listed])
        values[name] = next(value for value in listed if _encode(listed, value) == chosen)
    return canonical(values)


def encode(space: SearchSpace, configuration: Configuration) -> dict[str, Any]:
    """Return a configuration as the values of KerasTuner's hyperparameters.

    An axis that means nothing in it gets its first value.
    """
    return {
        name: _encode(listed, configuration[name] if configuration[name] in listed else listed[0])
        for name, listed in space.values.items()
        if name in _declared(space)
    }


def _declared(space: SearchSpace) -> set[str]:
    """Return the axes that KerasTuner knows: it takes an empty configuration for none."""
    return {"cell", *space.varied}


def hyperparameters(space: SearchSpace) -> keras_tuner.HyperParameters:
    """Return the space as KerasTuner's hyperparameters."""
    hp = keras_tuner.HyperParameters()
    sample(space, hp)
    return hp


def _encode(listed: Sequence[Value], value: Value) -> Any:
    """KerasTuner wants values of one type and knows no None."""
    if None in listed:
        return _OFF if value is None else repr(value)
    return value
