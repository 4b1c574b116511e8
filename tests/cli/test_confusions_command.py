"""`rnnprobe confusions`: what it asks of one model and of several, and what it refuses."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import Cli
from keras import layers

from rnnprobe.confusions import PROBES


def test_every_probe_is_a_sentence_and_by_its_name_a_table(cli: Cli, saved_model: Path) -> None:
    short = cli("confusions", saved_model, "--plots", "p")
    assert short.status == 0, short.err
    for said in ("Accuracy: ", "Ceiling: ", "One-sided: ", "Expected calibration error", "head"):
        assert said in short.out
    assert len(re.findall(r"^\|[:-]", short.out, re.M)) == 2  # pairs, most confident mistakes
    drawn = sorted(path.name for path in Path("p").iterdir())
    assert drawn == [
        "confusion_matrix.png", "decisions.png", "mistakes.png", "pairs.png", "reliability.png",
    ]  # fmt: skip
    long = cli("confusions", saved_model, "--what", "classes,calibration,decisions")
    for title in (
        "Recall and precision by class", "Accuracy by confidence",
        "Accuracy after a share of each sequence",
    ):  # fmt: skip
        assert title in long.out
        assert title not in short.out
    assert "Kinds of sequences" not in long.out
    pairs = json.loads(cli("confusions", saved_model, "--what", "pairs", "--format", "json").out)
    assert set(pairs["tables"]) == {"most_confident_mistakes"}
    everything = json.loads(cli("confusions", saved_model, "--format", "json").out)
    assert {"classes", "calibration", "accuracy_by_share", "decisions_by_pair"} <= set(
        everything["tables"]
    )
    last = everything["tables"]["accuracy_by_share"][-1]
    assert last["accuracy"] == everything["findings"]["accuracy"]["accuracy"]


def test_labels_are_doubted_by_models_that_have_not_seen_them(cli: Cli, saved_model: Path) -> None:
    done = cli("confusions", saved_model, "--what", "labels", "--folds", 2, "--format", "json")
    assert done.status == 0, done.err
    assert "fold 2 of 2: " in done.err
    found = json.loads(done.out)
    assert found["findings"]["folds"]["folds"] == 2
    assert found["findings"]["folds"]["from_model"] is True
    assert found["findings"]["suspects"]["n"] == found["findings"]["out_of_fold"]["n"]


def test_the_mistakes_are_exported_all_of_them(cli: Cli, saved_model: Path) -> None:
    done = cli("confusions", saved_model, "--export", "m.csv", "--top", 1, "--format", "json")
    assert done.status == 0
    assert "wrote m.csv" in done.err
    with Path("m.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = json.loads(done.out)
    assert len(rows) == found["findings"]["mistakes"]
    assert [int(rows[0]["index"])] == [
        row["example"] for row in found["tables"]["most_confident_mistakes"]
    ]
    assert {row["seed"] for row in rows} == {"0"}
    assert cli("confusions", saved_model, "--export", "m.csv").status == 0  # ours, so replaced
    Path("theirs.csv").write_text("a,b\n")
    assert cli("confusions", saved_model, "--export", "theirs.csv").status == 2


def test_several_models_tell_what_they_share(cli: Cli, saved_model: Path, values_npz: Path) -> None:
    assert cli("train", "--cell", "gru", "--units", 8, "--learning-rate", 0.02, "--epochs", 2,
               "--data", values_npz, "--seed", 1, "--model-out", "b.keras").status == 0  # fmt: skip
    arguments = ("confusions", saved_model, "b.keras", "--plots", "p", "--export", "m.npz")
    done = cli(*arguments)
    assert done.status == 0, done.err
    assert "**Confusions** of 2 models" in done.out
    assert [path.name for path in Path("p").iterdir()] == ["stability.png"]
    with np.load("m.npz") as arrays:
        assert set(arrays["seed"].tolist()) <= {0, 1}
        assert set(arrays["model"].tolist()) <= {"gru.keras", "b.keras"}
    found = json.loads(cli(*arguments, "--format", "json").out)
    assert found["schema"] == "rnnprobe.confusions-models/1"


def test_a_model_without_states_is_told_what_cannot_be_told(cli: Cli, values_npz: Path) -> None:
    model = keras.Sequential([keras.Input((6, 3)), layers.Flatten(), layers.Dense(3)])
    model.save("dense.keras")
    done = cli("confusions", "dense.keras", "--data", values_npz)
    assert done.status == 0, done.err
    assert "When it decided cannot be told." in done.out
    assert "the model has no recurrent layer" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["m.keras", "--what", "pears"], "Unknown name in --what 'pears'"),
        (["m.keras", "--what", ""], "Unknown name in --what ''"),
        (["a.keras", "b.keras", "--what", "pairs"], "--what is asked of one MODEL alone"),
        (["--predictions", "p.npz", "--what", "pairs"], "--what is asked of one MODEL alone"),
        (["m.keras", "--folds", "3"], "--folds goes with --what labels"),
        (["m.keras", "--export", "m.txt"], "expected a name that ends with .npz or .csv"),
        (["m.keras", "--export", "m.csv", "-o", "m.csv"], "both name 'm.csv'"),
        (["m.keras", "m.keras"], "named twice"),
        (["a.keras", "b.keras", "--seed", "1"], "--seed is of no use for several MODELs"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    cli: Cli, arguments: list[str], message: str
) -> None:
    done = cli("confusions", *arguments)
    assert done.status == 2
    assert message in done.err
    assert done.out == ""


def test_help_names_every_probe(cli: Cli) -> None:
    text = cli("confusions", "--help").out
    assert all(name in text for name in PROBES)
