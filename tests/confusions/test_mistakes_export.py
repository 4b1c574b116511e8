"""The mistakes one by one, and the files they are written to."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from rnnprobe import SequenceDataset, load_dataset
from rnnprobe._files import written_by_rnnprobe
from rnnprobe.confusions.mistakes import mistakes_of
from rnnprobe.records import Predictions
from rnnprobe.reports.mistakes_export import HEAD, Section, export_mistakes


def drawn(dataset: SequenceDataset, seed: int = 0) -> Predictions:
    """Return random probabilities for the test part, some of them tied."""
    rng = np.random.default_rng(seed)
    raw = rng.integers(1, 6, size=(len(dataset.test), dataset.num_classes)).astype(float)
    return Predictions(dataset.test.y, raw / raw.sum(axis=1, keepdims=True), dataset.class_names)


def test_mistakes_are_those_of_a_plain_loop(values: SequenceDataset) -> None:
    predictions = drawn(values)
    fold = np.arange(len(predictions.y)) % 3
    found = mistakes_of(predictions, seed=7, fold=fold)
    rows = []
    for index, (true, row) in enumerate(zip(predictions.y, predictions.probabilities, strict=True)):
        predicted = int(row.argmax())
        if predicted != true:
            others = np.delete(row, true)
            rows.append((index, int(true), predicted, row.max(), row[true] - others.max()))
    rows.sort(key=lambda row: (-row[3], row[0]))
    names = ("index", "true", "predicted", "probability", "margin")
    columns = zip(*(getattr(found, name).tolist() for name in names), strict=True)
    assert len(found) == len(rows) > 3
    assert [tuple(column) for column in columns] == [pytest.approx(row) for row in rows]
    assert (found.fold == fold[found.index]).all()
    assert (found.seed == 7).all()


def test_the_files_hold_every_mistake_of_every_model(
    masked: SequenceDataset, tmp_path: Path
) -> None:
    mistakes = {
        "a|b.keras": mistakes_of(drawn(masked), seed=1),
        "c.keras": mistakes_of(drawn(masked, 1), fold=np.zeros(len(masked.test), int)),
    }
    for name in ("m.csv", "m.npz"):
        sections = [Section(model, "test", one) for model, one in mistakes.items()]
        export_mistakes(tmp_path / name, sections, masked.class_names, masked)
        assert written_by_rnnprobe(tmp_path / name)
    with (tmp_path / "m.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == HEAD
    assert len(rows) == sum(map(len, mistakes.values()))
    assert rows[0]["model"] == "a|b.keras"
    assert (rows[0]["fold"], rows[0]["seed"]) == ("", "1")
    assert (rows[-1]["fold"], rows[-1]["seed"]) == ("0", "")
    with np.load(tmp_path / "m.npz") as arrays:
        names = arrays["class_names"]
        for row, position in zip(rows, range(len(rows)), strict=True):
            assert row["true"] == names[arrays["true"][position]]
            assert row["predicted"] == names[arrays["predicted"][position]]
            assert float(row["margin"]) == arrays["margin"][position]
            assert int(row["index"]) == arrays["index"][position]
        assert (arrays["x"] == masked.test.x[arrays["index"]]).all()
        assert masked.test.mask is not None
        assert (arrays["mask"] == masked.test.mask[arrays["index"]]).all()


def test_parts_of_different_length_are_padded_to_one(tmp_path: Path) -> None:
    parts = {
        part: (np.tile(np.arange(1, steps + 1), (3, 1)), np.array([0, 1, 1]))
        for part, steps in (("train", 4), ("validation", 2), ("test", 2))
    }
    dataset = load_dataset(parts)
    sections = []
    for part in ("test", "train"):
        y = dataset.splits[part].y
        wrong = Predictions(y, np.eye(2)[1 - y], dataset.class_names)
        sections.append(Section("m", part, mistakes_of(wrong)))
    export_mistakes(tmp_path / "m.npz", sections, dataset.class_names, dataset)
    with np.load(tmp_path / "m.npz") as arrays:
        assert set(arrays.files) == {"x", "model", "class_names", *HEAD[1:]}
        assert arrays["part"].tolist() == ["test"] * 3 + ["train"] * 3
        steps = arrays["x"].shape[1]
        assert arrays["x"].tolist() == [
            [*row, *[0] * (steps - len(row))]
            for one in sections
            for row in dataset.splits[one.part].x[one.mistakes.index].tolist()
        ]


def test_no_mistake_is_an_empty_file_with_a_head(values: SequenceDataset, tmp_path: Path) -> None:
    right = Predictions(
        values.test.y, np.eye(values.num_classes)[values.test.y], values.class_names
    )
    for name in ("m.csv", "m.npz"):
        section = Section("m", "test", mistakes_of(right))
        export_mistakes(tmp_path / name, [section], values.class_names)
    assert (tmp_path / "m.csv").read_text().splitlines() == [",".join(HEAD)]
    with np.load(tmp_path / "m.npz") as arrays:
        assert len(arrays["index"]) == 0
        assert "x" not in arrays
