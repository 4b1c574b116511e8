"""The names of `split`: how parts are cut that a source does not have."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from conftest import make_values
from hypothesis import given
from hypothesis import strategies as st

from rnnprobe import SequenceDataset, load_dataset
from rnnprobe.datasets import SPLITS
from rnnprobe.datasets._load import load_again
from rnnprobe.datasets._raw import RawSplit
from rnnprobe.datasets._split import random_indices
from rnnprobe.errors import DataError, UnknownNameError
from rnnprobe.reports._common import data_phrase, train_command

X, Y = make_values(60)
SHARES = {"test": 0.1, "validation": 0.1, "train": 0.8}


def tiny_mnist() -> tuple[Any, Any]:
    x = np.random.default_rng(0).integers(0, 256, size=(5150, 3, 4), dtype=np.uint8)
    y = np.arange(5150) % 10
    return (x[:5100], y[:5100]), (x[5100:], y[5100:])


def keys_of(data: tuple[Any, Any]) -> dict[str, np.ndarray]:
    (x_train, y_train), (x_test, y_test) = data
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def texts_of(dataset: SequenceDataset, part: str) -> list[str]:
    return [dataset.text(x) for x in dataset.splits[part].x]


@pytest.fixture
def repeated(tmp_path: Path) -> Path:
    """Names of two languages: most stand several times, some in both."""
    folder = tmp_path / "repeated"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for language, letters in (("A", "abcdef"), ("B", "defghi")):
        lines = ["".join(rng.choice(list(letters), 2)) for _ in range(63)]
        (folder / f"{language}.txt").write_text("\n".join(lines), "utf-8")
    return folder


def test_first_5000_reads_an_npz_as_the_name_mnist_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(keras.datasets.mnist, "load_data", tiny_mnist)
    np.savez(tmp_path / "mnist.npz", **keys_of(tiny_mnist()))
    by_path = load_dataset(tmp_path / "mnist.npz", split="first-5000")
    by_name = load_dataset("mnist")
    assert [len(split) for split in by_path.splits.values()] == [100, 5000, 50]
    assert by_path.digest == by_name.digest
    assert by_path.digest == load_dataset("mnist", split="first-5000").digest
    assert by_path.digest != load_dataset(tmp_path / "mnist.npz").digest
    assert (
        "split first-5000: the first 5,000 training examples are the validation part"
        in by_path.notes
    )
    assert (by_path.validation.y == tiny_mnist()[0][1][:5000]).all()
    assert load_again(by_path.source).digest == by_path.digest


def test_first_5000_needs_more_than_5000_training_examples() -> None:
    x, y = np.zeros((5001, 2, 1), np.float32), np.arange(5001) % 2
    x[:, 0, 0] = np.arange(5001)
    test = {"x_test": x[:4], "y_test": y[:4]}
    one_left = load_dataset({"x_train": x, "y_train": y, **test}, split="first-5000")
    assert one_left.train.x[:, 0, 0].tolist() == [5000]
    with pytest.raises(DataError, match=r"has 5,000 training examples.* needs more than 5,000"):
        load_dataset({"x_train": x[:-1], "y_train": y[:-1], **test}, split="first-5000")


@pytest.mark.parametrize(
    ("split", "parts", "found"),
    [
        ("first-5000", ("all",), "no parts"),
        ("first-5000", ("train",), "the parts train"),
        ("first-5000", ("test",), "the parts test"),
        ("first-5000", ("train", "validation", "test"), "the parts train, validation, test"),
        ("lines", ("train", "test"), "the parts train, test"),
        ("lines", ("test",), "the parts test"),
        ("lines", ("train", "validation", "test"), "the parts train, validation, test"),
    ],
)
def test_a_split_that_does_not_apply_changes_nothing_and_a_note_says_so(
    split: str, parts: tuple[str, ...], found: str
) -> None:
    data = dict.fromkeys(parts, (X, Y))
    dataset = load_dataset(data, split=split)
    assert dataset.digest == load_dataset(data).digest
    assert dataset.notes == (
        f"the split {split} does not apply and changes nothing: the source has {found}",
    )
    assert dataset.source["split"] == split
    assert f"split {split}" not in data_phrase(dataset)


def test_lines_are_cut_80_10_10_and_equal_inputs_may_stand_in_two_parts(repeated: Path) -> None:
    dataset = load_dataset(repeated, split="lines")
    assert [len(split) for split in dataset.splits.values()] == [101, 12, 13]
    lines = Counter(
        line for path in repeated.iterdir() for line in path.read_text("utf-8").splitlines()
    )
    assert Counter(text for part in dataset.splits for text in texts_of(dataset, part)) == lines
    train = texts_of(dataset, "train")
    leaked = sum(text in train for text in texts_of(dataset, "test"))
    assert 0 < leaked < 13
    assert (
        "split lines: all examples were shuffled and cut 101 / 12 / 13 without regard to classes "
        f"or equal inputs; {leaked} of 13 test examples have an equal input in the training part"
    ) in dataset.notes
    together = load_dataset(repeated)
    assert not set(texts_of(together, "train")) & set(texts_of(together, "test"))


def test_a_training_part_alone_is_cut_by_lines_as_a_source_without_parts_is() -> None:
    mask = np.arange(6) < (2 + Y)[:, None]
    alone = load_dataset({"train": (X, Y, mask)}, split="lines")
    assert alone.digest == load_dataset({"all": (X, Y, mask)}, split="lines").digest
    assert alone.digest != load_dataset({"all": (X, Y, mask)}).digest
    twice = load_dataset({"x": np.zeros_like(X), "y": Y}, split="lines")
    assert "6 of 6 test examples have an equal input" in twice.notes[0]
    with pytest.raises(DataError, match=r"3 classes are too few to cut a tenth of them"):
        load_dataset({"x": X[:4], "y": np.array([0, 1, 2, 0])}, split="lines")


@given(st.integers(0, 300), st.integers(0, 5))
def test_random_indices_are_a_partition_of_the_right_sizes(num_examples: int, seed: int) -> None:
    parts = random_indices(num_examples, SHARES, seed)
    together = np.concatenate(list(parts.values()))
    assert sorted(together.tolist()) == list(range(num_examples))
    for part, share in SHARES.items():
        assert abs(len(parts[part]) - share * num_examples) <= 1
        assert (np.diff(parts[part]) > 0).all()


def test_every_example_is_as_likely_in_the_test_part_and_a_seed_repeats() -> None:
    counts = np.zeros(20)
    for seed in range(2000):
        counts[random_indices(20, SHARES, seed)["test"]] += 1
    assert counts.sum() == 4000
    assert (abs(counts / 2000 - 0.1) < 4.5 * np.sqrt(0.09 / 2000)).all()
    first, again, other = (random_indices(90, SHARES, seed)["test"] for seed in (0, 0, 1))
    assert first.tolist() == again.tolist() != other.tolist()


def test_the_split_is_remembered_and_made_again(repeated: Path, tmp_path: Path) -> None:
    dataset = load_dataset(repeated, split="lines", limit_examples=40)
    assert dataset.source["split"] == "lines"
    assert load_again(dataset.source).digest == dataset.digest
    moved = repeated.rename(tmp_path / "moved")
    assert load_again(dataset.source, str(moved)).digest == dataset.digest
    old = {key: value for key, value in dataset.source.items() if key != "split"}
    plain = load_dataset(moved, limit_examples=40)
    assert plain.source["split"] is None
    assert load_again(old, str(moved)).digest == plain.digest != dataset.digest


def test_a_model_is_probed_on_the_split_it_was_trained_on(repeated: Path, tmp_path: Path) -> None:
    """Also where the data is named again: else it would have seen examples of the test part."""
    from rnnprobe import ModelSpec, build_model
    from rnnprobe.models import save_model
    from rnnprobe.opening import open_model

    dataset = load_dataset(repeated, split="lines")
    spec = ModelSpec("dense", units=2)
    metadata = {
        "data": {**dataset.source, "name": dataset.name, "digest": dataset.digest},
        "class_names": list(dataset.class_names),
        "vocabulary": list(dataset.vocabulary or ()),
        "model": {"cell": "dense"},
    }
    path = tmp_path / "model.keras"
    save_model(path, build_model(spec, dataset), metadata)
    assert open_model(path).dataset.digest == dataset.digest
    moved = repeated.rename(tmp_path / "moved")
    assert open_model(path, data=str(moved)).dataset.digest == dataset.digest
    del metadata["data"]["split"]
    save_model(path, build_model(spec, dataset), metadata)
    named = open_model(path, data=str(moved)).dataset
    assert named.source["split"] is None
    assert named.digest != dataset.digest


def test_reports_name_the_split(repeated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repeated.parent)
    dataset = load_dataset(repeated, split="lines", limit_examples=40)
    sizes = "40 / 12 / 13 train / validation / test"
    assert f"({sizes}, split lines, limited to 40 examples a part, digest" in data_phrase(dataset)
    command = "rnnprobe train --cell gru --data ./repeated --limit-examples 40"
    assert train_command({"cell": "gru"}, {}, dataset) == (
        f"{command}  # in Python, on load_dataset(..., split='lines')"
    )
    plain = load_dataset(repeated, limit_examples=40)
    assert train_command({"cell": "gru"}, {}, plain) == command


def test_an_unknown_or_late_split_is_refused(values: SequenceDataset) -> None:
    with pytest.raises(
        UnknownNameError, match=r"Did you mean 'lines'\? Available: first-5000, lines\."
    ):
        load_dataset("mnist-5k", split="line")
    for split in SPLITS:
        with pytest.raises(DataError, match="a layout, encoding or split comes too late"):
            load_dataset(values, split=split)


def test_a_slice_of_a_part_is_not_copied() -> None:
    part = RawSplit(X, Y)
    assert np.shares_memory(part.take(slice(5, None)).x, X)
    assert (part.take(slice(5, None)).x == X[5:]).all()
