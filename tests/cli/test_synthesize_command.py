"""`rnnprobe synthesize` as a user runs it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import Cli, make_values
from PIL import Image

SOME = ("--starts", "4", "--steps", "150", "--confidence", "0.6")


@pytest.fixture(scope="module")
def masked_model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model of sequences of several lengths, with 99 in the padding, and its data."""
    from rnnprobe.cli import run

    folder = tmp_path_factory.mktemp("masked")
    x, y = make_values()
    mask = np.arange(6) < (2 + np.arange(len(y)) // 3 % 5)[:, None]
    data, model = folder / "data.npz", folder / "m.keras"
    parts = {"train": slice(0, 90), "test": slice(90, 120)}
    arrays = {}
    for part, rows in parts.items():
        arrays |= {f"x_{part}": np.where(mask[..., None], x, 99.0)[rows].astype(np.float32)}
        arrays |= {f"y_{part}": y[rows], f"mask_{part}": mask[rows]}
    np.savez(data, **arrays)
    arguments = ["train", "--cell", "gru", "--units", "8", "--learning-rate", "0.03", "-q"]
    arguments += ["--epochs", "4", "--data", str(data), "--model-out", str(model)]
    assert run([*arguments, "-o", str(folder / "t.md")]) == 0
    return model, data


def test_noise_becomes_a_class_in_a_report_a_picture_and_a_file(
    cli: Cli, saved_model: Path
) -> None:
    done = cli("synthesize", saved_model, "--target", "1", *SOME, "--plots", "p",
               "--export", "x.npz")  # fmt: skip
    assert done.status == 0, done.err
    assert done.out.startswith("**Synthesize** class '1' with gru.keras on values.npz (96 / 12")
    assert "from noise\n" in done.out
    for phrase in (
        "Converged starts, '1' with a probability of 0.6 or more: 1.0000 [0.5101, 1.0",
        "(4 of 4)",
        "Steps until it converged",
        "Most like the data: start",
        "For comparison, 12 test examples",
        "cost cross-entropy, at most 150 steps",
    ):
        assert phrase in done.out
    assert "wrote x.npz" in done.err
    with Image.open("p/synthesized.png") as image:
        assert "rnnprobe" in str(image.info["Software"])
    with np.load("x.npz") as saved:
        scores = keras.models.load_model(saved_model).predict(saved["x"], verbose=0)
        assert (scores.argmax(axis=1) == 1).all()
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        if not np.allclose(scores.sum(axis=1), 1, atol=1e-4):
            scores = exponentials / exponentials.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(saved["probability"], scores[:, 1], atol=1e-4)
        assert (saved["probability"] >= 0.599).all()
    assert cli("synthesize", saved_model, "--target", "1", *SOME, "--export", "x.npz").status == 0


def test_a_sneaky_one_says_how_far_it_went_and_what_it_was(cli: Cli, saved_model: Path) -> None:
    from rnnprobe.opening import open_model

    opened = open_model(saved_model)
    own = int(opened.dataset.test.y[5])
    target = (own + 1) % 3
    done = cli("synthesize", saved_model, "--target", target, "--source", "5", *SOME, "--plots",
               "p", "--format", "json", "--export", "x.npz")  # fmt: skip
    assert done.status == 0, done.err
    read = json.loads(done.out)
    assert read["schema"] == "rnnprobe.synthesize/1"
    assert read["target"] == str(target)
    assert read["source"] == 5
    assert read["findings"]["converged"]["count"] == 4
    source = opened.dataset.test.x[5]
    with np.load("x.npz") as saved:
        far = np.linalg.norm((saved["x"] - source).reshape(4, -1), axis=1)
        train = opened.dataset.train.x
        nearest = np.linalg.norm((train[None] - saved["x"][:, None]).reshape(4, 96, -1), axis=2)
    for row, distance, others in zip(read["rows"], far, nearest, strict=True):
        assert row["distance"] == pytest.approx(distance, abs=1e-5)
        assert row["nearest_example"] == others.argmin()
        assert row["nearest_distance"] == pytest.approx(others.min(), abs=1e-5)
    assert read["findings"]["closest"]["distance"] == pytest.approx(far.min(), abs=1e-5)


def test_csv_has_one_row_a_start_and_replaces_its_own(cli: Cli, saved_model: Path) -> None:
    arguments = ("synthesize", saved_model, "--target", "0", *SOME, "-q")
    text = cli(*arguments, "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["start"] for row in rows] == ["0", "1", "2", "3"]
    assert list(rows[0]) == ["start", "converged", "steps", "probability", "predicted",
                             "nearest_distance", "nearest_example", "nearest_class"]  # fmt: skip
    for _ in range(2):
        assert cli(*arguments, "-o", "made.csv").status == 0
    assert Path("made.csv").read_text() == text


def test_padding_is_left_alone(cli: Cli, masked_model: tuple[Path, Path]) -> None:
    model, data = masked_model
    with np.load(data) as saved:
        y, mask, x = (saved[f"{name}_test"] for name in ("y", "mask", "x"))
    index = int(mask.sum(axis=1).argmin())
    target = (int(y[index]) + 1) % 3
    done = cli("synthesize", model, "--target", target, "--source", index, *SOME, "--export",
               "x.npz", "--plots", "p")  # fmt: skip
    assert done.status == 0, done.err
    with np.load("x.npz") as saved:
        made = saved["x"]
    assert (made[:, ~mask[index]] == 99).all()
    assert (made[:, mask[index]] != x[index][mask[index]]).any()
    assert np.abs(made[:, mask[index]]).max() < 99
    free = cli("synthesize", model, "--target", target, *SOME, "--export", "y.npz")
    assert free.status == 0, free.err
    with np.load("y.npz") as saved:
        assert saved["x"].shape == (4, 6, 3)


def test_pictures_are_drawn_as_such(cli: Cli, pictures_npz: Path) -> None:
    trained = cli("train", "--cell", "gru", "--units", "4", "--epochs", "1", "--data", pictures_npz,
                  "--layout", "columns", "--model-out", "m.keras", "-q")  # fmt: skip
    assert trained.status == 0, trained.err
    for source in ((), ("--source", "0")):
        target = "1" if not source or read_label(Path("m.keras")) == 0 else "0"
        done = cli("synthesize", "m.keras", "--target", target, *source, "--starts", "2",
                   "--steps", "10", "--plots", "p", "-q")  # fmt: skip
        assert done.status == 0, done.err
        with Image.open("p/synthesized.png") as image:
            assert image.width > 400


def read_label(model: Path) -> int:
    from rnnprobe.opening import open_model

    return int(open_model(model).dataset.test.y[0])


def test_no_start_that_converges_is_told_and_no_failure(cli: Cli, saved_model: Path) -> None:
    done = cli("synthesize", saved_model, "--target", "2", "--starts", "3", "--steps", "1",
               "--confidence", "0.999999", "--cost", "sum-of-squares")  # fmt: skip
    assert done.status == 0, done.err
    assert "0.0000 [0.0000, 0.5615] (0 of 3)" in done.out
    assert "No start reached the confidence asked for. 3 starts stayed below" in done.out
    assert "--cost cross-entropy" in done.out
    assert "Steps until" not in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "Missing option '--target'"),
        ("--target 7", "Unknown class '7'"),
        ("--target 1 --source 999", "There is no example 999 in the test part"),
        ("--target 1 --source-weight 0.1", "--source-weight goes with --source INDEX"),
        ("--target 1 --export x.npy", "expected a name that ends with .npz"),
        ("--target 1 --export foreign.npz", "rnnprobe did not write it"),
        ("--target 1 --confidence 1", "Invalid value for '--confidence'"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(
    cli: Cli, saved_model: Path, arguments: str, message: str
) -> None:
    np.savez("foreign.npz", x=np.zeros(3))
    done = cli("synthesize", saved_model, *arguments.split())
    assert done.status == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""
