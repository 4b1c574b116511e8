"""`rnnprobe compare`, and the report and picture of several models' confusions."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import Cli
from keras import layers

from rnnprobe import load_dataset, load_model, save_model
from rnnprobe._archive import read_metadata
from rnnprobe._files import written_by_rnnprobe
from rnnprobe.confusions.stability import find_stable
from rnnprobe.records import Predictions, SequenceDataset
from rnnprobe.reports._figures import save_figures
from rnnprobe.reports._stability_figure import stability_figure
from rnnprobe.reports.confusions_models import confusions_models_report
from rnnprobe.table import to_csv, to_json, to_markdown


@pytest.fixture(scope="session")
def several(saved_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The saved GRU, one of another seed a little off it, and two seeds of a GRU far off."""
    folder = tmp_path_factory.mktemp("several")
    paths, metadata = [saved_model], read_metadata(saved_model)
    assert metadata is not None
    for name, epochs, seed, noise in (("near", 2, 1, 0.02), ("far", 1, 0, 2), ("far", 1, 1, 2)):
        rng = np.random.default_rng(seed)
        model = load_model(saved_model)
        model.set_weights([w + noise * rng.normal(size=w.shape) for w in model.get_weights()])
        train = {**metadata["train"], "seed": seed, "epochs": epochs}
        paths.append(folder / f"{name}-{seed}.keras")
        save_model(paths[-1], model, {**metadata, "train": train})
    return paths


def test_two_models_are_compared_in_markdown(cli: Cli, several: list[Path]) -> None:
    done = cli("compare", several[2], several[0], "--split", "train")
    assert done.status == 0, done.err
    assert done.out.startswith("**Compare** 2 models on values")
    assert "gru.keras is **better** than far-0.keras: accuracy +0." in done.out
    assert "not which settings" in done.out
    assert "**Pairs confused less often than by far-0.keras" in done.out
    assert done.err.count("accuracy") == 2


def test_hardened_models_are_told_apart_by_the_seed_of_their_hardening(
    cli: Cli, several: list[Path], tmp_path: Path
) -> None:
    metadata = read_metadata(several[0])
    assert metadata is not None
    paths = []
    for epsilon, seed in ((0.1, 0), (0.1, 1), (0.2, 0), (0.2, 1)):
        paths.append(tmp_path / f"hard-{epsilon}-{seed}.keras")
        hardened = {"budget": {"epsilon": epsilon}, "schedule": {"seed": seed, "epochs": 3}}
        save_model(paths[-1], load_model(several[seed]), {**metadata, "hardened": hardened})
    report = json.loads(cli("compare", *paths, "--format", "json").out)
    assert [row["seed"] for row in report["tables"]["models"]] == [0, 1, 0, 1]
    (group,) = report["tables"]["groups"]
    assert group["first"] == ["hard-0.1-0.keras", "hard-0.1-1.keras"]


def test_a_model_that_does_not_fit_is_named(cli: Cli, several: list[Path]) -> None:
    model = keras.Sequential([keras.Input((6, 3)), layers.GRU(2), layers.Dense(2)])
    model.save("two.keras")
    source = read_metadata(several[0])
    assert source is not None
    done = cli("compare", several[0], "two.keras", "--data", source["data"]["data"])
    assert done.status == 2
    assert "Error: 'two.keras': The model tells 2 classes apart, but the data has 3." in done.err


def test_settings_are_compared_where_there_are_seeds(cli: Cli, several: list[Path]) -> None:
    done = cli("compare", *several, "--split", "train", "--format", "json", "-q")
    assert (done.status, done.err) == (0, "")
    report = json.loads(done.out)
    assert report["schema"] == "rnnprobe.compare/1"
    assert len(report["rows"]) == 6
    (group,) = report["tables"]["groups"]
    assert group["first"] == ["gru.keras", "near-1.keras"]
    assert group["second"] == ["far-0.keras", "far-1.keras"]
    assert group["difference"] < 0
    models = report["tables"]["models"]
    assert [(one["cell"], one["seed"]) for one in models] == [("gru", seed) for seed in (0, 1) * 2]
    first, second = report["rows"][0], models
    difference = second[1]["accuracy"] - second[0]["accuracy"]
    assert first["difference"] == pytest.approx(difference)
    wrong = [c for c in report["class_changes"] if c["model"] == "far-0.keras"]
    assert sum(c["after"] for c in wrong) == 96 - models[2]["correct"]


def test_copies_are_no_different_and_csv_is_known_again(
    cli: Cli, saved_model: Path, tmp_path: Path
) -> None:
    shutil.copy(saved_model, tmp_path / "copy.keras")
    done = cli("compare", saved_model, "copy.keras", "-o", "c.csv")
    assert done.status == 0, done.err
    (row,) = csv.DictReader(io.StringIO((tmp_path / "c.csv").read_text()))
    assert (float(row["difference"]), float(row["p_value"])) == (0, 1)
    assert row["verdict"] == "no measurable difference"
    assert written_by_rnnprobe(tmp_path / "c.csv")
    done = cli("compare", saved_model, "copy.keras")
    assert "The same answer to every example: gru.keras and copy.keras" in done.out


def test_wrong_use_is_one_line_and_status_2(
    cli: Cli, saved_model: Path, values_npz: Path, tmp_path: Path
) -> None:
    arrays = np.load(values_npz)
    np.savez(tmp_path / "other.npz", x=arrays["x"] + 1, y=arrays["y"])
    cli("train", "--units", 2, "--epochs", 1, "--data", "other.npz", "--model-out", "o.keras", "-q")
    for arguments, message in (
        ((saved_model,), "Give two or more models"),
        ((saved_model, saved_model), "named twice"),
        ((saved_model, "none.keras"), "no model file 'none.keras'"),
        ((saved_model, "o.keras"), "know different data (digests"),
    ):
        done = cli("compare", *arguments)
        assert (done.status, done.out) == (2, "")
        assert message in done.err
        assert done.err.count("Error:") == 1
    assert "name one for all by --data" in done.err
    done = cli("compare", saved_model, "o.keras", "--data", values_npz, "-q")
    assert done.status == 0, done.err


def test_other_ways_of_reading_one_data_set_are_refused(
    cli: Cli, saved_model: Path, values_npz: Path, tmp_path: Path
) -> None:
    metadata = read_metadata(saved_model)
    assert metadata is not None
    classes = [*metadata["class_names"][1:], metadata["class_names"][0]]
    turned = tmp_path / "turned.keras"
    save_model(turned, load_model(saved_model), {**metadata, "class_names": classes})
    done = cli("compare", saved_model, turned, "--data", values_npz)
    assert done.status == 2
    assert "in different ways (digests" in done.err


def stability_of(dataset: SequenceDataset, *hits: range) -> tuple[Predictions, ...]:
    """Return models that take the test examples at these places for the next class."""
    y, number = dataset.test.y, dataset.num_classes
    found = []
    for hit in hits:
        labels = np.where(np.isin(np.arange(len(y)), hit), (y + 1) % number, y)
        p = np.eye(number)[labels] * 0.7 + 0.3 / number
        found.append(Predictions(y, p, dataset.class_names))
    return tuple(found)


@pytest.mark.parametrize("same_settings", [True, False])
def test_the_report_of_several_models_says_what_they_share(
    names: SequenceDataset, same_settings: bool
) -> None:
    stability = find_stable(stability_of(names, range(4), range(5), range(1, 5)))
    report = confusions_models_report(
        stability, names=("a|", "b", "c"), same_settings=same_settings, dataset=names, top=1
    )
    text = to_markdown(report)
    assert ("not known to be alike but for the seed" in text) != same_settings
    assert ("other seeds together" in text) == same_settings
    total = len(names.test)
    assert f"(3 of {total}; {total * 80 / total**3:.1f} if" in text
    assert "3 of them taken for the same class by all 3 models" in text
    assert "of 3 (--top)" in text
    assert names.text(names.test.x[1]) in text
    assert r"a\|" in text
    document = json.loads(to_json(report))
    assert document["schema"] == "rnnprobe.confusions-models/1"
    (row,) = document["rows"]
    assert row["mean"] == pytest.approx(np.mean(row["counts"]))
    assert row["low"] < row["share"] < row["high"]
    assert document["tables"]["times_wrong"][3]["examples"] == 3
    assert to_csv(report).startswith("rank,true,predicted,")


def test_no_mistakes_and_copies_are_said(values: SequenceDataset, tmp_path: Path) -> None:
    perfect = find_stable(stability_of(values, range(0), range(0)))
    report = confusions_models_report(perfect, names=("a", "b"), same_settings=True, dataset=values)
    text = to_markdown(report)
    assert "Nothing to list." in text
    assert "**Copies**: the same probabilities for every example, a and b" in text
    wrong = find_stable(stability_of(values, range(4), range(3)))
    for stability in (perfect, wrong):
        figure = stability_figure(stability, names=("a", "b"), title="two", same_settings=True)
        (path,) = save_figures(tmp_path, {"stability.png": figure})
        assert written_by_rnnprobe(path)


def test_data_of_one_name_are_loaded_once(several: list[Path]) -> None:
    from rnnprobe.opening import open_model

    loaded: dict[str, SequenceDataset] = {}
    first, second = (open_model(path, loaded=loaded).dataset for path in several[:2])
    assert first is second
    limited = open_model(several[0]).dataset
    assert limited is not first
    assert limited.digest == first.digest == load_dataset(first.source["data"]).digest
