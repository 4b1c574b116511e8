"""Opening several saved models on the same data, for commands that set them side by side."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnprobe.cli._model import open_named
from rnnprobe.cli._progress import Progress, counting

if TYPE_CHECKING:
    from rnnprobe.opening import OpenedModel
    from rnnprobe.records import Predictions, SequenceDataset


@dataclass(frozen=True, eq=False)
class SeveralModels:
    """What several models say about the same examples; the models themselves are let go.

    Args:
        names: The files' names, or their paths where two names are equal.
        kinds: The cell of each, as for `OpenedModel`.
        predictions: What each says about the part.
        dataset: The data of all.
        settings: Of each what it was trained on and how, without the seed, as text; None where
            the file does not say.
        seeds: The seed of each; None where the file does not say.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    predictions: tuple[Predictions, ...]
    dataset: SequenceDataset
    settings: tuple[str | None, ...]
    seeds: tuple[int | None, ...]

    @property
    def same_settings(self) -> bool:
        """Whether the models are known to differ in nothing but the seed."""
        return self.settings[0] is not None and len(set(self.settings)) == 1

    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Return the indices of models of the same settings, one a seed, where there are two."""
        found: dict[str, dict[int | None, int]] = {}
        for index, (settings, seed) in enumerate(zip(self.settings, self.seeds, strict=True)):
            if settings is not None:
                found.setdefault(settings, {}).setdefault(seed, index)
        return tuple(tuple(group.values()) for group in found.values() if len(group) > 1)


def open_several(paths: Sequence[Path], options: dict[str, Any]) -> SeveralModels:
    """Open models one after the other and predict the part; inside `models_at_work`.

    Args:
        paths: At least two `.keras` files.
        options: Of the command: `split`, `quiet`, and those of `model_data_options`.

    Raises:
        DataError: The models know different data.
    """
    from rnnprobe._archive import read_metadata, trained_seed

    predictions, kinds = [], []
    with Progress("models", len(paths), quiet=options["quiet"]) as progress:
        say = counting(progress, len(paths))
        for path, opened in each_opened(paths, options):
            with named_error(path):
                predictions.append(opened.predict(options["split"]))
            kinds.append(opened.kind)
            dataset = opened.dataset
            share = (predictions[-1].predicted == predictions[-1].y).mean()
            say(f"{path}: accuracy {share:.4f}")
            del opened  # its weights are not needed any more
    metadata = [read_metadata(path) for path in paths]
    return SeveralModels(
        names=names_of(paths),
        kinds=tuple(kinds),
        predictions=tuple(predictions),
        dataset=dataset,
        settings=tuple(map(_settings, metadata)),
        seeds=tuple(map(trained_seed, metadata)),
    )


def each_opened(
    paths: Sequence[Path], options: dict[str, Any]
) -> Iterator[tuple[Path, OpenedModel]]:
    """Open models one after the other, all on the same data; inside `models_at_work`.

    Args:
        paths: `.keras` files.
        options: Of the command, those of `model_data_options`.

    Raises:
        DataError: The models know different data.
    """
    loaded: dict[str, SequenceDataset] = {}
    first: SequenceDataset | None = None
    for path in paths:
        with named_error(path):
            opened = open_named(path, options, loaded)
        first = first or opened.dataset
        refuse_other_data(paths[0], first, path, opened.dataset, options)
        yield path, opened
        del opened  # or two models were in memory


@contextlib.contextmanager
def named_error(path: Path) -> Iterator[None]:
    """Say which of the models an error is about, where it does not."""
    from rnnprobe.errors import RnnprobeError

    try:
        yield
    except RnnprobeError as exc:
        if str(path) in str(exc):
            raise
        raise type(exc)(f"'{path}': {exc}") from exc


def refuse_other_data(
    first: Path,
    dataset: SequenceDataset,
    other: Path,
    other_dataset: SequenceDataset,
    options: dict[str, Any],
) -> None:
    """Refuse two models that see different data, by the digests.

    Raises:
        DataError: The digests differ.
    """
    from rnnprobe.errors import DataError

    if dataset.digest == other_dataset.digest:
        return
    digests = f"digests {dataset.digest} and {other_dataset.digest}"
    if options["data"] is None:
        raise DataError(
            f"'{first}' and '{other}' know different data ({digests}); name one for all by --data."
        )
    raise DataError(
        f"'{first}' and '{other}' read {options['data']} in different ways ({digests}): their "
        "classes, vocabulary or layout differ. Models of one way of reading alone can be compared."
    )


def names_of(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the files' names, or their paths where two names are equal."""
    names = [path.name for path in paths]
    return tuple(path.name if names.count(path.name) == 1 else str(path) for path in paths)


def _settings(metadata: dict[str, Any] | None) -> str | None:
    """Return what a model was trained on and how, without the seed; None where it is not known."""
    if metadata is None or not {"model", "train", "data"} <= set(metadata):
        return None
    hardened, train = dict(metadata.get("hardened", {})), dict(metadata["train"])
    last = dict(hardened["schedule"]) if hardened else train  # `trained_seed` is that of the last
    last["seed"] = None
    if hardened:
        hardened["schedule"] = last
    known = {
        "model": metadata["model"],
        "train": train,
        "digest": metadata["data"]["digest"],
        "hardened": hardened,
    }
    return json.dumps(known, sort_keys=True)
