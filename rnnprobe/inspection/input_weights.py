"""What the first layer of a model does with each input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import keras
import numpy as np

from rnnprobe.datasets._layout import to_picture
from rnnprobe.inspection._layers import Place, walk
from rnnprobe.inspection.weights import cells_of, gates_of, stored
from rnnprobe.records import Array, SequenceDataset

_MOST_TOKENS = 100
_CHUNK = 1 << 14  # tokens looked at together
_PASSING_ON = (
    keras.layers.Activation,
    keras.layers.ActivityRegularization,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.Masking,
    keras.layers.SpatialDropout1D,
)
_KEEPING_ORDER = (*_PASSING_ON, keras.layers.Flatten, keras.layers.Reshape, keras.layers.Rescaling)
_NORMALISING = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Normalization,
)


class Panel(NamedTuple):
    """What one gate does with the input.

    Args:
        layer: The layer's or cell's path.
        gate: As in `WeightBlock`.
        values: Float; `InputWeights` says which axes.
    """

    layer: str
    gate: str | None
    values: Array


@dataclass(frozen=True, eq=False)
class InputWeights:
    """What the first layer with weights does with each input.

    Args:
        kind: `rows`: each panel (num_rows, num_columns), a row an input or a token. `filters`: one
            panel, (height, width, channels, num_filters) or (width, num_inputs, num_filters).
            `pictures`: one panel, (height, width, channels, units), the weight of each pixel.
        panels: One a gate; of a Bidirectional layer those of the second direction behind.
        rows: `input` or `token`; what a row of `rows` is.
        columns: `unit` or `dimension`, what a column of `rows` is, a unit or a filter of others.
        labels: One a row; empty where they are numbered.
        num_rows: How many rows there are; more than the panels hold where those with the largest
            norm alone were kept.
        note: What the values are, a short phrase.
    """

    kind: Literal["rows", "filters", "pictures"]
    panels: tuple[Panel, ...]
    rows: str
    columns: str
    labels: tuple[str, ...]
    num_rows: int
    note: str


class NoInputWeights(NamedTuple):
    """Why nothing can be shown of the first layer; one sentence without its full stop."""

    reason: str


def input_rows(model: keras.Model, dataset: SequenceDataset) -> InputWeights | NoInputWeights:
    """Return what the first layer with weights does with each input.

    It is the first one in the model's order that does not only normalise. Where a recurrent layer
    of Keras's is the next layer with weights after an embedding, and nothing between them changes
    the vectors, the rows are the embedding times its kernel: what each token adds to a gate before
    the activation. Of more than 100 tokens those with the largest norm are kept.

    Args:
        model: Built.
        dataset: What it reads; gives the tokens their names and the pictures their shape.

    Returns:
        The weights, or why there is nothing to show.

    Example:
        >>> input_rows(model, dataset).panels[0].gate         # doctest: +SKIP
        'input'
    """
    places = walk(model)
    with_weights = (i for i, one in enumerate(places) if _is_reading(one))
    index = next(with_weights, None)
    if index is None:
        return NoInputWeights("no layer has weights, but for normalising ones")
    place, layer = places[index], places[index].layer
    while isinstance(layer, keras.layers.TimeDistributed):
        layer = layer.layer
    note = f"weights of {place.path}"
    if isinstance(layer, keras.layers.Embedding):
        return _token_rows(model, place, places[index + 1 :], dataset)
    if isinstance(layer, keras.layers.RNN):
        panels = _kernel_panels(model, place)
        if panels:
            note = f"weights of {_layers_phrase(panels)}"
            return InputWeights("rows", panels, "input", "unit", (), len(panels[0].values), note)
    if isinstance(layer, keras.layers.Conv1D | keras.layers.Conv2D | keras.layers.Dense):
        values = stored(layer.kernel)
        if values.dtype.kind == "f":
            before = all(isinstance(one.layer, _KEEPING_ORDER) for one in places[:index])
            return _layer_weights(place.path, values, dataset if before else None, note)
    return NoInputWeights(
        f"the first layer with weights, {place.path}, is a {type(layer).__name__} whose weights "
        "cannot be drawn by input"
    )


def _is_reading(place: Place) -> bool:
    return bool(place.variables) and not isinstance(place.layer, _NORMALISING)


def _layer_weights(
    path: str, values: Array, dataset: SequenceDataset | None, note: str
) -> InputWeights:
    """Return the kernel of a dense or convolution layer, as pictures where it reads pixels."""
    kind: Literal["rows", "filters", "pictures"] = "filters" if values.ndim > 2 else "rows"
    pictures = None if dataset is None else _pictures(values, dataset)
    if pictures is not None:
        kind = "pictures"
    column = "filter" if kind == "filters" else "unit"
    panels = (Panel(path, None, values if pictures is None else pictures),)
    return InputWeights(kind, panels, "input", column, (), len(values), note)


def _pictures(values: Array, dataset: SequenceDataset) -> Array | None:
    """Return (height, width, channels, units) of a kernel with one row a pixel; else None."""
    shape, layout = dataset.image_shape, dataset.layout
    if values.ndim != 2 or shape is None or layout is None or len(values) != math.prod(shape):
        return None
    steps, features = dataset.test.x.shape[1:]
    units = values.T.reshape(-1, steps, features)
    return np.stack([to_picture(one, shape, layout) for one in units], axis=-1)


def _kernel_panels(model: keras.Model, place: Place) -> tuple[Panel, ...]:
    """Return the kernel of a recurrent layer by gate, and that of the other direction."""
    pairs = [
        (layer.forward_layer, layer.backward_layer)
        for layer in model._flatten_layers(include_self=False, recursive=True)
        if isinstance(layer, keras.layers.Bidirectional)
    ]
    both = next((pair for pair in pairs if place.layer in pair), (place.layer,))
    paths = {id(one.layer): one.path for one in walk(model)}
    panels: list[Panel] = []
    for layer in both:
        for cell in cells_of(paths[id(layer)], layer)[:1]:
            gates = gates_of(cell.layer)
            values = stored(cell.layer.kernel) if gates else np.empty(0)
            if values.ndim == 2:
                parts = np.split(values, len(gates), axis=-1)
                panels += [Panel(cell.path, *one) for one in zip(gates, parts, strict=True)]
    return tuple(panels)


def _layers_phrase(panels: Sequence[Panel]) -> str:
    return " and ".join(dict.fromkeys(panel.layer for panel in panels))


def _token_rows(
    model: keras.Model, place: Place, behind: Sequence[Place], dataset: SequenceDataset
) -> InputWeights | NoInputWeights:
    table = stored(place.variables[0])
    if table.ndim != 2 or table.dtype.kind != "f":
        return NoInputWeights(f"the embedding {place.path} is stored as {table.dtype}")
    follower = _follower(behind)
    panels = _kernel_panels(model, follower) if follower is not None else ()
    if not panels or len(panels[0].values) != table.shape[1]:
        panels = ()
    kernels = [panel.values for panel in panels] or [np.eye(table.shape[1])]
    kept = _largest_rows(table, kernels)
    labels = tuple(_token_label(dataset, int(token)) for token in kept)
    if not panels:
        shown = [Panel(place.path, None, table[kept])]
        column, note = "dimension", f"weights of {place.path}"
    else:
        with np.errstate(all="ignore"):  # weights that are no numbers give none
            shown = [panel._replace(values=table[kept] @ panel.values) for panel in panels]
        column, note = "unit", f"{place.path} times the kernel of {_layers_phrase(panels)}"
    return InputWeights("rows", tuple(shown), "token", column, labels, len(table), note)


def _follower(behind: Sequence[Place]) -> Place | None:
    """Return the recurrent layer that reads an embedding's vectors as they are."""
    for one in behind:
        if isinstance(one.layer, keras.layers.RNN):
            return one
        if one.variables or not isinstance(one.layer, _PASSING_ON):
            return None
    return None


def _largest_rows(table: Array, kernels: Sequence[Array]) -> Array:
    """Return the tokens with the largest norm over all kernels, in the order of the tokens.

    It takes the products of the kernels alone, lest a large vocabulary fill the memory.
    """
    with np.errstate(all="ignore"):
        gram = np.sum([kernel.astype(np.float64) @ kernel.T for kernel in kernels], axis=0)
        chunks = [table[start : start + _CHUNK] for start in range(0, len(table), _CHUNK)]
        squares = np.concatenate([((chunk @ gram) * chunk).sum(axis=1) for chunk in chunks])
    return np.sort(np.argsort(-squares, kind="stable")[:_MOST_TOKENS])


def _token_label(dataset: SequenceDataset, token: int) -> str:
    names = dataset.vocabulary or ()
    if token < 2:
        return ("padding", "unknown")[token] if names else str(token)
    if token >= len(names):
        return str(token)
    return "space" if names[token] == " " else names[token]
