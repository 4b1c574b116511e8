from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnprobe.confusions.predictions import read_predictions
from rnnprobe.errors import DataError

P = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])


def test_npz_and_csv_say_the_same(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", y_true=[0, 1, 1], probabilities=P, class_names=["no", "yes"])
    (tmp_path / "p.csv").write_text("no,y_true,yes\n0.9,no,0.1\n0.2,yes,0.8\n0.5,yes,0.5\n")
    npz, csv = (read_predictions(tmp_path / name) for name in ("p.npz", "p.csv"))
    for predictions in (npz, csv):
        assert predictions.class_names == ("no", "yes")
        assert predictions.y.tolist() == [0, 1, 1]
        assert predictions.probabilities == pytest.approx(P, abs=1e-6)
        assert predictions.predicted.tolist() == [0, 1, 0]


def test_labels_may_be_one_hot_or_indices_in_text(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", y_true=np.eye(2)[[0, 1, 1]], probabilities=P)
    assert read_predictions(tmp_path / "p.npz").class_names == ("0", "1")
    (tmp_path / "p.csv").write_text("y_true,0,1\n1,0.9,0.1\n")
    assert read_predictions(tmp_path / "p.csv").y.tolist() == [1]


def test_labels_beside_other_heads_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("y_true,p0,p1\n1,0.9,0.1\n0,0.9,0.1\n")
    assert read_predictions(tmp_path / "p.csv").y.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y_true": [0, 1, 1]}, "expected y_true, probabilities"),
        ({"y_true": [0, 1, 1], "probabilities": P, "other": 1}, "has the keys"),
        ({"y_true": [0, 1], "probabilities": P}, r"shape \(3, 2\), and y_true \(2,\)"),
        ({"y_true": [0, 1, 2], "probabilities": P}, "Label 2 of example 2"),
        ({"y_true": [0, 1, 1], "probabilities": P * 2}, "sum to 1"),
        ({"y_true": [0, 1, 1], "probabilities": P * np.nan}, "sum to 1"),
        ({"y_true": [0, 1, 1], "probabilities": P, "class_names": ["a"]}, "1 class names for 2"),
        ({"y_true": ["a", "b", "b"], "probabilities": P}, "has the label 'a'; expected a class"),
        # From here on what a fuzz run found.
        ({"y_true": 1, "probabilities": P}, r"shape \(3, 2\), and y_true \(\)"),
        ({"y_true": [0, 1, 1], "probabilities": 0.5}, r"shape \(\), and y_true \(3,\)"),
        ({"y_true": [0, 1, 1], "probabilities": P * 1j}, "are complex128, expected numbers"),
        ({"y_true": [0, 1, 1], "probabilities": P[:, :0]}, r"shape \(3, 0\)"),
        ({"y_true": [["0", "1"]] * 3, "probabilities": P}, "not one-hot"),
        (
            {"y_true": [0, 1, 1], "probabilities": P, "class_names": "ab"},
            r"class_names are <U2 \(\)",
        ),
    ],
)
def test_bad_predictions_are_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "p.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_predictions(tmp_path / "p.npz")


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no predictions file"):
        read_predictions(tmp_path / "p.npz")
    (tmp_path / "p.txt").touch()
    with pytest.raises(DataError, match=r"predictions are .npz or .csv"):
        read_predictions(tmp_path / "p.txt")
    (tmp_path / "p.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="expected y_true and the classes"):
        read_predictions(tmp_path / "p.csv")
