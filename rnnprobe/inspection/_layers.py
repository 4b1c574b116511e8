"""The layers of a Keras model, each with a path that names it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import keras

from rnnprobe._batches import bounded_size, num_units


class Place(NamedTuple):
    """One layer of a model.

    Args:
        path: The names from the model down to the layer, by `/`; unique.
        layer: The layer. A recurrent layer stands for its cell; the two directions of a
            `Bidirectional` are two places. A model is a place where it has weights of its own.
        variables: The weights that are of this place and no other.
    """

    path: str
    layer: keras.layers.Layer
    variables: tuple[keras.Variable, ...]


def walk(model: keras.Model) -> tuple[Place, ...]:
    """Return every layer of a model once, in its order; inputs are left out.

    Models inside the model, `Bidirectional` layers and the user's own layers are entered; layers
    of Keras's own are taken as one, also `TimeDistributed`, whatever they hold.

    Example:
        >>> import keras
        >>> both = keras.layers.Bidirectional(keras.layers.GRU(3, name="gru"), name="both")
        >>> [place.path for place in walk(keras.Sequential([keras.Input((4, 2)), both]))]
        ['both/forward_gru', 'both/backward_gru']
    """
    seen: set[int] = set()
    found = [place for child in _children(model) for place in _places(child, child.name, seen)]
    own = _own_variables(model)
    if own:
        found.insert(0, Place(model.name, model, own))
    return tuple(_unique(found))


def call_path(path: str, number: int) -> str:
    """Return the name of one call of a layer, the first, second ..., that a model may call again.

    Example:
        >>> call_path("lstm", 1), call_path("lstm", 2)
        ('lstm', 'lstm (call 2)')
    """
    return path if number == 1 else f"{path} (call {number})"


def batch_size(places: Sequence[Place], num_steps: int, copies: int, most: int) -> int:
    """Return how many examples may go through at once, so that 400 MB hold what is kept of them.

    Args:
        places: The layers of which something is kept at all steps.
        num_steps: Of the input.
        copies: How many numbers are kept of a unit at each step.
        most: As many as the model takes at once.
    """
    return bounded_size(sum(num_units(place.layer) for place in places), num_steps, copies, most)


def _children(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    if isinstance(layer, keras.layers.Bidirectional):
        return [layer.forward_layer, layer.backward_layer]
    is_users = not type(layer).__module__.startswith("keras.")
    if not isinstance(layer, keras.Model) and (not is_users or isinstance(layer, keras.layers.RNN)):
        return []
    children = layer._flatten_layers(include_self=False, recursive=False)
    return [child for child in children if not isinstance(child, keras.layers.InputLayer)]


def _places(layer: keras.layers.Layer, path: str, seen: set[int]) -> Iterator[Place]:
    if id(layer) in seen:
        return
    seen.add(id(layer))
    own = _own_variables(layer)
    is_wrapping = isinstance(layer, keras.Model | keras.layers.Bidirectional)
    if own or not is_wrapping:
        yield Place(path, layer, own)
    for child in _children(layer):
        yield from _places(child, f"{path}/{child.name}", seen)


def _own_variables(layer: keras.layers.Layer) -> tuple[keras.Variable, ...]:
    theirs = {id(variable) for child in _children(layer) for variable in child.weights}
    return tuple(variable for variable in layer.weights if id(variable) not in theirs)


def _unique(places: list[Place]) -> Iterator[Place]:
    """Number the paths that are not unique: a subclassed model may name two layers alike."""
    taken: set[str] = set()
    for place in places:
        path, number = place.path, 1
        while path in taken:
            number += 1
            path = f"{place.path}#{number}"
        taken.add(path)
        yield place._replace(path=path)
