"""Data and models that many tests share; nothing here needs a network or `../shared`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The tests run in several processes; on a GPU the first would take all of its memory.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

from rnnprobe import SequenceDataset, load_dataset


class Result(NamedTuple):
    """What a run of the command line left."""

    status: int
    out: str
    err: str


Cli = Callable[..., Result]


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Run the command line in this process, in a folder of its own."""
    from rnnprobe.cli import run

    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Result:
        capfd.readouterr()
        status = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Result(status, out, err)

    return call


def make_values(
    num_examples: int = 120, num_steps: int = 6, num_features: int = 3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return sequences whose class is the feature with the largest sum: easy to learn."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num_examples, num_steps, num_features)).astype(np.float32)
    y = np.arange(num_examples) % num_features
    x[np.arange(num_examples), :, y] += 1.5
    return x, y


@pytest.fixture(scope="session")
def values() -> SequenceDataset:
    """Sequences of three features, 6 steps, three classes."""
    return load_dataset({"all": make_values()})


@pytest.fixture(scope="session")
def masked() -> SequenceDataset:
    """The same with lengths from 2 to 6, and nonsense in the padded steps."""
    x, y = make_values()
    lengths = 2 + np.arange(len(y)) // 3 % 5
    mask = np.arange(6) < lengths[:, None]
    return load_dataset({"all": (np.where(mask[..., None], x, 99.0), y, mask)})


@pytest.fixture(scope="session")
def names(tmp_path_factory: pytest.TempPathFactory) -> SequenceDataset:
    """Made-up names of two languages, one file each."""
    return load_dataset(write_names(tmp_path_factory.mktemp("names")))


def save_foreign(name: str, *parts: Any, shape: tuple[int | None, ...] = (6, 3)) -> str:
    """Save layers of random weights as somebody would who knows nothing of rnnprobe."""
    import keras

    model = keras.Sequential([keras.Input(shape), *parts])
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(0.5 * rng.normal(size=weight.shape))
    model.save(name)
    return name


def write_names(folder: Path, size: int = 60) -> Path:
    """Write two lists of distinct made-up names; the vowels tell them apart."""
    rng = np.random.default_rng(0)
    for language, vowels in (("Aish", "aei"), ("Oush", "ou")):
        lines: set[str] = set()
        while len(lines) < size:
            pairs = rng.choice(list("bdgklmnprst"), 3), rng.choice(list(vowels), 3)
            lines.add("".join(a + b for a, b in zip(*pairs, strict=True))[: rng.integers(3, 7)])
        (folder / f"{language}.txt").write_text("\n".join(sorted(lines)) + "\n", "utf-8")
    return folder


@pytest.fixture(scope="session")
def pictures() -> SequenceDataset:
    """Twelve by twelve pictures, bright in the upper or the lower half."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 100, size=(60, 12, 12), dtype=np.uint8)
    y = np.arange(60) % 2
    for picture, label in zip(x, y, strict=True):
        picture[6 * label : 6 * label + 6] += 120
    return load_dataset({"x": x, "y": y})


@pytest.fixture(scope="session")
def values_npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of `values` as a file, all of it in the test part too."""
    x, y = make_values()
    path = tmp_path_factory.mktemp("data") / "values.npz"
    np.savez(path, x=x, y=y)
    return path


@pytest.fixture(scope="session")
def pictures_npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty dark or bright pictures of 16 by 16."""
    y = np.arange(60) % 2
    x = np.random.default_rng(0).integers(0, 100, size=(60, 16, 16), dtype=np.uint8)
    path = tmp_path_factory.mktemp("data") / "pictures.npz"
    np.savez(path, x=x + 100 * y[:, None, None].astype(np.uint8), y=y)
    return path


@pytest.fixture(scope="session")
def saved_model(values_npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small GRU trained by the command line on `values_npz`, with its metadata."""
    from rnnprobe.cli import run

    path = tmp_path_factory.mktemp("models") / "gru.keras"
    arguments = ["train", "--cell", "gru", "--units", "8", "--learning-rate", "0.02"]
    arguments += ["--epochs", "2", "--data", str(values_npz), "--model-out", str(path), "-q"]
    assert run([*arguments, "-o", str(path.with_suffix(".md"))]) == 0
    return path
