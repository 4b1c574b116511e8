"""Opening a saved model together with the data it is to be probed on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras

from rnnprobe._archive import read_metadata, require_whole
from rnnprobe.classifier import KerasClassifier
from rnnprobe.datasets._csv import CsvColumns
from rnnprobe.datasets._load import Encoding, limited, load_again, load_dataset
from rnnprobe.errors import DataError
from rnnprobe.models import load_model
from rnnprobe.records import Predictions, SequenceDataset


@dataclass(frozen=True, eq=False)
class OpenedModel:
    """A model with its data.

    Args:
        name: The file's name.
        model: The Keras model.
        classifier: The same as a `Classifier`.
        dataset: What to probe it on.
        kind: Its cell, as rnnprobe trained it, else by its first recurrent layer; `other` where
            it has none.
    """

    name: str
    model: keras.Model
    classifier: KerasClassifier
    dataset: SequenceDataset
    kind: str

    def predict(self, part: str) -> Predictions:
        """Return what the model says about one part of the data.

        Raises:
            DataError: The part is empty, or does not fit the model.
        """
        split = self.dataset.splits[part]
        if len(split) == 0:
            raise DataError(f"'{self.dataset.name}' has no {part} part.")
        return self.classifier.predict(split, self.dataset.class_names)


def open_model(
    path: str | Path,
    *,
    data: str | None = None,
    layout: str | None = None,
    limit_examples: int | None = None,
    columns: CsvColumns | None = None,
    imports: Sequence[str] = (),
    loaded: dict[str, SequenceDataset] | None = None,
) -> OpenedModel:
    """Load a model and its data: those it was trained on, or those named.

    Args:
        path: A `.keras` file.
        data: A data set as for `load_dataset`; None takes what the model's metadata names. Classes,
            vocabulary, layout and split are the model's.
        layout: As for `load_dataset`; goes with `data`.
        limit_examples: Keeps at most so many examples of each part.
        columns: As for `load_dataset`; goes with `data`.
        imports: As for `load_model`.
        loaded: Data sets that other models of this call were opened with; data that are named and
            encoded alike are taken from here, and new ones kept.

    Raises:
        DataError: The model names no data, or its data changed since it was trained.
        ModelError: The model cannot be read.
    """
    model = load_model(path, imports)
    metadata = read_metadata(Path(path)) or {}
    encoding = known_encoding(Path(path), metadata)
    source = metadata.get("data", {})
    if data is None:
        if layout is not None or columns is not None:
            raise DataError("A layout and columns describe other data; name it by --data.")
        key, load = repr(source), partial(_own_data, path, source)
    else:
        layout = layout or source.get("layout")
        # Cut in another way, the test part would hold examples that it was trained on.
        split = source.get("split")
        key = repr((data, layout, columns, encoding, split))
        load = partial(
            load_dataset, data, layout=layout, columns=columns, encoding=encoding, split=split
        )
    known = {} if loaded is None else loaded
    if key not in known:
        whole = load()
        known[key] = whole if limit_examples is None else limited(whole, limit_examples)
    dataset = known[key]
    pictures = dataset.image_shape if dataset.layout == "rows" else None
    classifier = KerasClassifier(model, image_shape=pictures)
    kind = metadata.get("model", {}).get("cell") or _kind(model)
    return OpenedModel(Path(path).name, model, classifier, dataset, kind)


def known_encoding(path: Path, metadata: Mapping[str, Any]) -> Encoding:
    """Return what a model's file says of how its data are encoded, as far as it does.

    Args:
        path: The file, for messages.
        metadata: What it holds; empty of a file that rnnprobe did not write.

    Raises:
        ModelError: It describes the data, but not how they are encoded.
    """
    if "data" in metadata:  # else whoever saved it left all of this to --data
        require_whole(path, metadata)
    names, vocabulary = metadata.get("class_names"), metadata.get("vocabulary")
    values = metadata.get("data", {}).get("values")
    return Encoding(
        tuple(names) if names else None,
        tuple(vocabulary) if vocabulary else None,
        tuple(values) if values else None,
    )


def _kind(model: keras.Model) -> str:
    kinds = {keras.layers.SimpleRNN: "rnn", keras.layers.LSTM: "lstm", keras.layers.GRU: "gru"}
    layers = model._flatten_layers(include_self=False, recursive=True)
    return next((kinds[type(layer)] for layer in layers if type(layer) in kinds), "other")


def _own_data(path: str | Path, source: Mapping[str, Any]) -> SequenceDataset:
    if not source.get("data"):
        raise DataError(
            f"'{path}' does not say which data it was trained on; name it by --data NAME|PATH."
        )
    if os.path.isabs(source["data"]) and not os.path.exists(source["data"]):
        raise DataError(
            f"'{path}' was trained on '{source['data']}', which is not there; name its new place "
            "by --data."
        )
    dataset = load_again(source)
    if dataset.digest != source["digest"]:
        raise DataError(
            f"'{source['data']}' is not what '{path}' was trained on: its digest was "
            f"{source['digest']} and is {dataset.digest} now. To use it as it is, give "
            f"--data {source['data']}."
        )
    return dataset
