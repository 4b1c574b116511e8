"""`rnnprobe harden` as a user runs it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import Cli, write_names

from rnnprobe._archive import read_metadata
from rnnprobe._files import written_by_rnnprobe

TINY = ("--steps", "3", "--batch-size", "16", "--limit-examples", "24")


def test_harden_prints_a_table_and_saves_the_last_arm(
    cli: Cli, saved_model: Path, tmp_path: Path
) -> None:
    before = hashlib.sha256(saved_model.read_bytes()).hexdigest()
    done = cli("harden", saved_model, "--with", "fgsm,pgd", *TINY, "--model-out", "hard.keras",
               "--norm", "l2", "--epsilon", "0.4", "--seed", "3")  # fmt: skip
    assert done.status == 0, done.err
    assert hashlib.sha256(saved_model.read_bytes()).hexdigest() == before
    assert done.out.startswith("**Harden** gru.keras on values.npz (")
    assert "l2, epsilon 0.4, seed 3" in done.out.splitlines()[0]
    rows = [line.split("|")[1].strip() for line in done.out.splitlines() if line.startswith("|")]
    assert rows[2:7] == ["before", "control", "fgsm", "pgd", "before + input threshold"]
    assert "**Paired comparisons**" in done.out
    assert "exact McNemar test" in done.out
    assert "Model: hard.keras, of the arm pgd" in done.out
    assert len([line for line in done.err.splitlines() if "mean loss" in line]) == 3
    metadata = read_metadata(tmp_path / "hard.keras")
    assert metadata is not None
    assert metadata["hardened"]["with"] == "pgd"
    assert metadata["hardened"]["budget"]["epsilon"] == 0.4
    own, hardened = (keras.models.load_model(p) for p in (saved_model, "hard.keras"))
    pairs = zip(own.get_weights(), hardened.get_weights(), strict=True)
    assert any((ours != theirs).any() for ours, theirs in pairs)
    again = cli("confusions", "hard.keras", "-q", "--format", "json")
    accuracy = json.loads(again.out)["findings"]["accuracy"]["accuracy"]
    assert accuracy == pytest.approx(metadata["metrics"]["test_accuracy"])


def test_repeats_give_deviations_in_place_of_intervals(cli: Cli, saved_model: Path) -> None:
    arguments = ("harden", saved_model, *TINY, "--repeats", "2", "--learning-rate", "0.05", "-q")
    done = cli(*arguments, "-o", "table.csv")
    assert done.status == 0, done.err
    assert written_by_rnnprobe(Path("table.csv"))
    rows = list(csv.DictReader(io.StringIO(Path("table.csv").read_text())))
    models = [row["model"] for row in rows]
    assert models == ["before", "control", "pgd", "before + input threshold"]
    assert [row["repeats"] for row in rows] == ["1", "2", "2", "1"]
    assert rows[1]["clean_low"] == "" and float(rows[1]["clean_sd"]) >= 0
    assert float(rows[0]["adaptive_low"]) <= float(rows[0]["adaptive"])


def test_wrong_input_is_one_line(cli: Cli, saved_model: Path, tmp_path: Path) -> None:
    cases = {
        (
            "--with",
            "pdg",
        ): "Unknown name in --with 'pdg'. Did you mean 'pgd'? Available: pgd, fgsm, mi",
        ("--with", "mistakes", "--norm", "l2"): "--norm goes with --with pgd or fgsm",
        ("--with", "mistakes", "--epsilon", "1"): "--epsilon goes with --with pgd or fgsm",
        ("--folds", "3"): "--folds goes with --with mistakes",
        ("--export", "m.csv"): "--export goes with --with mistakes",
        ("--with", "mistakes", "--export", "m.txt"): "expected a name that ends with .npz or .csv",
        ("--with", "mistakes", "--folds", "1"): "Invalid value for '--folds'",
        ("--with", "pgd,pgd"): "--with got 'pgd,pgd', expected each name once",
        ("--with", ""): "Unknown name in --with ''",
        ("--epsilon", "nan"): "got 'nan', expected a number above 0",
        ("--epsilon", "-1"): "got '-1', expected a number above 0",
        ("--learning-rate", "0"): "got '0', expected a number above 0",
        ("--norm", "edits"): "'edits' is not one of 'linf', 'l2'",
        ("--epochs", "1", "--steps", "1"): "Give --epochs or --steps, not both",
        ("--model-out", str(saved_model)): "--model-out names MODEL itself",
        ("--model-out", "model.h5"): "expected a name that ends with .keras",
    }
    for arguments, message in cases.items():
        done = cli("harden", saved_model, *arguments)
        assert (done.status, done.out) == (2, ""), arguments
        assert message in done.err, done.err
        assert len(done.err.splitlines()) == 1
    done = cli("harden", saved_model, *TINY, "--learning-rate", "1e38")
    assert done.status == 1
    assert "The arm 'control' diverged" in done.err.splitlines()[-1]


def test_a_model_without_metadata_is_hardened_and_gets_some(
    cli: Cli, values_npz: Path, tmp_path: Path
) -> None:
    model = keras.Sequential(
        [keras.Input((6, 3)), keras.layers.SimpleRNN(3), keras.layers.Dense(3, "softmax")]
    )
    model.save(tmp_path / "plain.keras")
    done = cli("harden", "plain.keras", "--data", values_npz, *TINY, "--model-out", "hard.keras")
    assert done.status == 0, done.err
    metadata = read_metadata(tmp_path / "hard.keras")
    assert metadata is not None
    assert metadata["class_names"] == ["0", "1", "2"]
    assert np.isfinite(metadata["metrics"]["test_robust_accuracy"])
    assert cli("confusions", "hard.keras", "-q").status == 0


def test_mistakes_are_mined_trained_on_and_exported(
    cli: Cli, values_npz: Path, saved_model: Path, tmp_path: Path
) -> None:
    arguments = ("harden", saved_model, "--with", "mistakes", "--steps", "3", "--folds", "3")
    done = cli(*arguments, "--export", "mined.csv", "--model-out", "hard.keras")
    assert done.status == 0, done.err
    rows = [line.split("|")[1].strip() for line in done.out.splitlines() if line.startswith("|")]
    assert rows[2:5] == ["before", "control", "mistakes only"]
    assert "exact McNemar test" in done.out and "Mined pairs: " in done.out
    assert "(as the model was trained)" in done.out
    assert len([line for line in done.err.splitlines() if line.startswith("fold ")]) == 3
    mined = list(csv.DictReader(io.StringIO(Path("mined.csv").read_text())))
    assert f"Mined: {len(mined)} mistakes out of fold" in done.out
    assert {row["fold"] for row in mined} <= {"0", "1", "2"} and mined[0]["part"] == "train"
    metadata = read_metadata(tmp_path / "hard.keras")
    assert metadata is not None
    assert metadata["hardened"]["budget"] is None
    assert f"of the arm {metadata['hardened']['with']}" in done.out
    assert "test_robust_accuracy" not in metadata["metrics"]


def test_tokens_can_be_trained_on_their_mistakes_and_not_on_attacks(
    cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "names").mkdir()
    write_names(tmp_path / "names", size=30)
    arguments = ("--cell", "rnn", "--units", "2", "--steps", "2", "--data", "./names", "-q")
    assert cli("train", *arguments).status == 0
    done = cli("harden", "model.keras", "--with", "mistakes,pgd")
    assert done.status == 2
    assert "holds tokens; adversarial training changes values alone, use --with mi" in done.err
    done = cli("harden", "model.keras", "--with", "mistakes", "--steps", "2", "--folds", "2",
               "--model-out", "hard.keras", "--format", "json", "-q")  # fmt: skip
    assert done.status == 0, done.err
    found = json.loads(done.out)
    assert found["findings"]["mined"]["mistakes"] > 0
    assert found["findings"]["folds"]["steps"] == 2
    given, hardened = (read_metadata(tmp_path / name) for name in ("model.keras", "hard.keras"))
    assert given is not None and hardened is not None
    assert hardened["vocabulary"] == given["vocabulary"]
    assert hardened["train"] == given["train"]
