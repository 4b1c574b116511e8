"""Every data set of the table, by the same tests; what needs a network gets its files from here."""

from __future__ import annotations

import hashlib
import importlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rnnprobe import load_dataset
from rnnprobe.datasets import DATASETS, SUMMARIES, names
from rnnprobe.errors import DataError

KERAS_SHAPES = {"mnist": (28, 28), "fashion-mnist": (28, 28), "cifar10": (32, 32, 3)}


def refuse(*arguments: object, **options: object) -> None:
    raise Exception("URL fetch failure on https://example.org: None -- no network")


def tiny_keras(shape: tuple[int, ...]) -> Callable[[], Any]:
    def load_data() -> Any:
        rng = np.random.default_rng(0)
        x = rng.integers(0, 256, size=(5200, *shape), dtype=np.uint8)
        y = np.arange(5200) % 10
        column = y[:, np.newaxis] if len(shape) == 3 else y
        return (x[:5100], column[:5100]), (x[5100:], column[5100:])

    return load_data


@pytest.fixture
def available(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stand in for the downloads: small data of the same kind."""
    for name, shape in KERAS_SHAPES.items():
        module = importlib.import_module(f"keras.datasets.{name.replace('-', '_')}")
        monkeypatch.setattr(module, "load_data", tiny_keras(shape))
    for language in names.SHA256:
        text = "\n".join(f"{language}{letter}" for letter in "abcdefghijklmnopqrst")
        (tmp_path / f"{language}.txt").write_text(text, "utf-8")
    monkeypatch.setattr(keras.utils, "get_file", lambda name, *_, **__: str(tmp_path / name))


@pytest.mark.usefixtures("available")
@pytest.mark.parametrize("name", DATASETS)
def test_conformance(name: str) -> None:
    dataset = load_dataset(name)
    assert dataset.name == name
    assert name in SUMMARIES
    assert dataset.source["data"] == name
    for split in dataset.splits.values():
        assert len(split) > 0
        assert split.x.dtype == (np.int32 if dataset.kind == "tokens" else np.float32)
        assert split.y.dtype == np.int32
        assert set(np.unique(split.y)) <= set(range(dataset.num_classes))
        if dataset.bounds:
            assert dataset.bounds.lower <= split.x.min() <= split.x.max() <= dataset.bounds.upper
    assert load_dataset(name).digest == dataset.digest
    small = load_dataset(name, limit_examples=20)
    assert len(small.train) == 20
    assert small.digest != dataset.digest


@pytest.mark.parametrize("name", [*KERAS_SHAPES, "cifar10-grey", "names"])
def test_without_a_network_the_error_says_which_file_to_put_where(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "names":
        monkeypatch.setattr(keras.utils, "get_file", refuse)
    else:
        keras_name = name.removesuffix("-grey").replace("-", "_")
        module = importlib.import_module(f"keras.datasets.{keras_name}")
        monkeypatch.setattr(module, "load_data", refuse)
    with pytest.raises(DataError, match=r"Without a network put .* ~/.keras/datasets.*--data"):
        load_dataset(name)


def test_a_folder_of_that_name_is_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(keras.utils, "get_file", refuse)
    monkeypatch.chdir(tmp_path)
    Path("names").mkdir()
    with pytest.raises(DataError, match=r"What lies here under that name is './names'\."):
        load_dataset("names")


@pytest.mark.parametrize(
    ("name", "file_name"),
    [
        ("names", "names/Arabic.txt"),
        ("mnist", "mnist.npz"),
        ("cifar10", "cifar-10-batches-py-target_archive"),
        ("cifar10-grey", "cifar-10-batches-py-target_archive"),
    ],
)
def test_a_wrong_file_in_the_cache_is_refused_and_kept(
    name: str, file_name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "datasets" / file_name
    path.parent.mkdir(parents=True)
    path.write_text("something else\n")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(DataError, match=r"has the sha256 .*, expected .*; move it away"):
        load_dataset(name)
    assert path.read_text() == "something else\n"


def test_names_are_downloaded_once_and_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From a folder in place of the server, with the checksums of what is there."""
    server = tmp_path / "server"
    server.mkdir()
    checksums = {}
    for language in ("Aish", "Oush"):
        content = "\n".join(f"{language}{letter}" for letter in "abcdefghijklmnopqrst").encode()
        (server / f"{language}.txt").write_bytes(content)
        checksums[language] = hashlib.sha256(content).hexdigest()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(names, "SHA256", checksums)
    monkeypatch.setattr(names, "ORIGIN", server.as_uri() + "/")
    first = load_dataset("names")
    assert first.class_names == ("Aish", "Oush")
    monkeypatch.setattr(names, "ORIGIN", (tmp_path / "gone").as_uri() + "/")
    assert load_dataset("names").digest == first.digest
    (tmp_path / "cache" / "datasets" / "names" / "Oush.txt").unlink()
    (server / "Oush.txt").write_text("tampered with")
    monkeypatch.setattr(names, "ORIGIN", server.as_uri() + "/")
    with pytest.raises(DataError, match="Cannot load 'names': Incomplete or corrupted file"):
        load_dataset("names")


@pytest.mark.usefixtures("available")
def test_the_first_5000_training_pictures_of_mnist_are_validation() -> None:
    (x, y), _ = keras.datasets.mnist.load_data()
    dataset = load_dataset("mnist")
    assert [len(split) for split in dataset.splits.values()] == [100, 5000, 100]
    assert (dataset.validation.y == y[:5000]).all()
    assert dataset.validation.x[7] == pytest.approx(x[7] / 255)
    assert dataset.train.x[0] == pytest.approx(x[5000] / 255)


def test_mnist_5k_is_split_400_50_50_a_digit() -> None:
    dataset = load_dataset("mnist-5k")
    for part, count in {"train": 400, "validation": 50, "test": 50}.items():
        split = dataset.splits[part]
        assert np.bincount(split.y).tolist() == [count] * 10
        assert split.x.shape[1:] == (28, 28)
    assert dataset.image_shape == (28, 28, 1)


def uneven_colours() -> Any:
    """More than 1,000 training and 100 test pictures of some classes, in mixed order."""
    rng = np.random.default_rng(1)
    y = rng.permutation(np.repeat(np.arange(10), [1010, 1005, *[30] * 8]))
    y_test = rng.permutation(np.repeat(np.arange(10), [103, *[5] * 9]))
    size = len(y) + len(y_test)
    # Smooth, so that a filter leaves them nearly as they are: a plane of each colour, and grain.
    slopes = rng.integers(-3, 4, size=(size, 1, 1, 3, 2))
    places = np.arange(32) - 15.5
    planes = 128 + places[:, None, None] * slopes[..., 0] + places[None, :, None] * slopes[..., 1]
    x = np.clip(planes + rng.integers(-1, 2, size=planes.shape), 0, 255).astype(np.uint8)
    return (x[: len(y)], y[:, None]), (x[len(y) :], y_test[:, None])


def test_grey_cifar_10_is_the_first_pictures_of_each_class_in_bt_601_at_28x28(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from rnnprobe.datasets import cifar10_grey

    data = uneven_colours()
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: data)
    raw = cifar10_grey.load()
    assert set(raw.parts) == {"train", "test"}
    for (x, y), part, limit in zip(data, ("train", "test"), (1000, 100), strict=True):
        seen: Counter[int] = Counter()
        kept = []
        for index, label in enumerate(y[:, 0]):
            seen[label] += 1
            if seen[label] <= limit:
                kept.append(index)
        split = raw.parts[part]
        assert split.x.shape == (len(kept), 28, 28)
        assert split.x.dtype == np.uint8
        assert (split.y == y[kept, 0]).all()
        for picture, colour in zip(split.x[:40], x[kept[:40]], strict=True):
            grey = colour @ np.array([0.299, 0.587, 0.114])
            # The middle of new pixel i is at (i + 0.5) * 32 / 28 - 0.5 of the old ones.
            places = (np.arange(28) + 0.5) * 32 / 28 - 0.5
            rows = np.array([np.interp(places, np.arange(32), row) for row in grey])
            expected = np.array([np.interp(places, np.arange(32), row) for row in rows.T]).T
            difference = abs(expected - picture)[1:-1, 1:-1]
            assert difference.max() < 3.5
    dataset = load_dataset("cifar10-grey")
    assert dataset.image_shape == (28, 28, 1)
    assert dataset.class_names[0] == "airplane"
    assert len(dataset.validation) == pytest.approx(len(raw.parts["train"]) / 10, abs=5)
    assert any(note.startswith("made from CIFAR-10: the first 1,000") for note in dataset.notes)
