"""`rnnprobe attack`: tables, options, exports, pictures, the gate, several models, wrong use."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import Cli

from rnnprobe import load_model

QUICK = ["--attack", "fgsm,pgd", "--epsilon", "0.05,0.5,2"]
QUICKEST = ["--attack", "fgsm", "--epsilon", "0.5"]


def test_robust_accuracy_settings_and_checks_are_printed(cli: Cli, saved_model: Path) -> None:
    done = cli("attack", saved_model, *QUICK)
    assert done.status == 0, done.err
    assert done.out.startswith("**Attack** on gru.keras")
    assert "linf epsilon 0.05" in done.out
    assert "| worst case | **" in done.out
    assert "**Settings**" in done.out
    assert "steps 40, step size 0.0625 epsilon, restarts 1" in done.out
    table = done.out.split("**Checks of the attacks (on at most 100 examples")[1]
    assert table.count("PASS") + table.count("WARN") + table.count("n/a") == 15
    assert "pgd, linf 0.5:" in done.err


def test_json_and_csv_agree_and_the_worst_case_is_the_union(cli: Cli, saved_model: Path) -> None:
    table = json.loads(cli("attack", saved_model, *QUICK, "--format", "json").out)
    assert table["schema"] == "rnnprobe.attack/1"
    rows = {(row["attack"], row["epsilon"]): row for row in table["rows"]}
    assert len(rows) == 9
    for epsilon in (0.05, 0.5, 2):
        single = [rows[name, epsilon] for name in ("fgsm", "pgd")]
        worst = rows["worst case", epsilon]
        assert worst["robust_accuracy"] <= min(row["robust_accuracy"] for row in single)
        assert worst["low"] <= worst["robust_accuracy"] <= worst["high"]
    shares = [rows["pgd", epsilon]["robust_accuracy"] for epsilon in (0.05, 0.5, 2)]
    assert shares == sorted(shares, reverse=True)
    lines = cli("attack", saved_model, *QUICK, "--format", "csv").out.splitlines()
    assert lines[0].startswith(
        "norm,attack,epsilon,examples,attacked,fooled,robust_accuracy,low,high"
    )
    found = {
        (r["attack"], float(r["epsilon"])): float(r["robust_accuracy"])
        for r in csv.DictReader(lines)
    }
    assert found == {key: row["robust_accuracy"] for key, row in rows.items()}


def test_time_targets_norms_pictures_and_export(cli: Cli, saved_model: Path) -> None:
    done = cli(
        "attack", saved_model, "--attack", "pgd", "--norm", "linf,l2", "--epsilon", "1",
        "--timesteps", "1,3", "--placement", "free,suffix", "--targeted", "--plots", "plots",
        "--export", "found.npz", "-q",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert done.err == ""
    assert "share taken for the class it was aimed at" in done.out
    assert "fooled by 1" in done.out and "| suffix" in done.out
    assert "only a window of 3 steps may change; windows overlap" in done.out
    windows = re.findall(r"^\| (\d) to (\d) ", done.out, re.M)
    assert (windows[0], windows[-1]) == (("1", "3"), ("4", "6"))
    assert "The prediction flips for good once the first" in done.out
    assert "rank correlation with the natural confusions" in done.out
    assert "Checks of the attacks, l2" in done.out
    pictures = {path.name for path in Path("plots").iterdir()}
    assert pictures == {"gallery.png", "security_curve.png", "timesteps.png", "pairs.png"}
    with np.load("found.npz") as arrays:
        fooled, examples = arrays["fooled_l2"][0], arrays["examples_l2"][0]
        predicted = load_model(saved_model).predict(examples, verbose=0).argmax(axis=1)
        assert fooled.any()
        assert (predicted == arrays["targets"])[fooled].all()
        assert (examples == arrays["x"])[~fooled].all()
        change = np.sqrt(((examples - arrays["x"]).astype(float) ** 2).sum(axis=(1, 2)))
        assert change == pytest.approx(arrays["distance_l2"][0], abs=1e-6)
        assert change.max() <= 1 + 1e-6
    again = cli("attack", saved_model, *QUICKEST, "--export", "found.npz", "-q")
    assert again.status == 0, "its own export may be replaced"


def test_examples_are_exported_as_lines(cli: Cli, saved_model: Path) -> None:
    assert cli("attack", saved_model, *QUICK, "--export", "found.csv", "-q").status == 0
    with open("found.csv", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["attack"] for row in rows} == {"fgsm", "pgd"}
    assert all((row["distance"] != "") == (row["fooled"] == "1") for row in rows)
    Path("theirs.csv").write_text("a,b\n1,2\n")
    done = cli("attack", saved_model, *QUICKEST, "--export", "theirs.csv")
    assert done.status == 2
    assert Path("theirs.csv").read_text() == "a,b\n1,2\n"


def test_the_gate_ends_with_status_3(cli: Cli, saved_model: Path) -> None:
    fails = cli("attack", saved_model, *QUICKEST, "--fail-under", "0.99", "-q")
    assert fails.status == 3
    assert "is under --fail-under 0.99." in fails.err
    assert fails.out.startswith("**Attack**")
    assert cli("attack", saved_model, *QUICKEST, "--fail-under", "0", "-q").status == 0


def test_several_models_are_compared_by_their_cells(
    cli: Cli, saved_model: Path, values_npz: Path
) -> None:
    for seed in (1, 2, 3):
        cell = "gru" if seed == 1 else "rnn"
        cli(
            "train", "--cell", cell, "--units", "4", "--epochs", "2", "--learning-rate", "0.05",
            "--seed", seed, "--data", values_npz, "--model-out", f"m{seed}.keras", "-q",
        )  # fmt: skip
    models = [saved_model, "m1.keras", "m2.keras", "m3.keras"]
    done = cli("attack", *models, "--attack", "fgsm", "--epsilon", "0.5", "--format", "json")
    assert done.status == 0, done.err
    assert done.err.count("under attack") == 4
    table = json.loads(done.out)
    assert [row["cell"] for row in table["rows"]] == ["gru", "gru", "rnn", "rnn"]
    assert [row["models"] for row in table["tables"]["cells"]] == [2, 2]
    shares = [row["robust_0.5"] for row in table["rows"]]
    found = table["findings"]["gru_rnn_0.5"]
    assert found["difference"] == pytest.approx(sum(shares[:2]) / 2 - sum(shares[2:]) / 2)
    assert found["low"] <= found["difference"] <= found["high"]


def test_tokens_are_attacked_by_replacements(cli: Cli, tmp_path: Path) -> None:
    from conftest import write_names

    (tmp_path / "lists").mkdir()
    write_names(tmp_path / "lists")
    cli("train", "--data", "./lists", "--cell", "gru", "--units", "6", "--epochs", "8", "-q",
        "--learning-rate", "0.02", "--model-out", "names.keras")  # fmt: skip
    done = cli("attack", "names.keras", "--targeted", "--plots", "plots")
    assert done.status == 0, done.err
    assert "edits 1" in done.out and "| hotflip" in done.out
    assert "for one edit exact: of what resists, every single replacement was tried" in done.out
    assert "From class to class within one edit" in done.out
    assert "single replacements in" in done.out and "| put in" in done.out
    for options, why in (
        (["--attack", "pgd"], "The attack 'pgd' changes values, but 'lists' has tokens"),
        (["--norm", "l2"], "A norm is for values"),
        (["--epsilon", "0.5"], "give whole numbers like 1"),
        (["--timesteps", "1"], "--timesteps is for values"),
    ):
        wrong = cli("attack", "names.keras", *options)
        assert wrong.status == 2
        assert why in wrong.err and wrong.err.count("\n") == 1


WRONG = {
    "epsilon": (["--epsilon", "a"], "--epsilon got 'a', expected numbers of at least 0"),
    "negative epsilon": (["--epsilon", "-1"], "--epsilon got '-1'"),
    "norm": (["--norm", "l3"], "--norm got 'l3', expected linf, l2 or linf,l2"),
    "attack": (["--attack", "pdg"], "Unknown attack 'pdg'. Did you mean 'pgd'?"),
    "untargeted attack": (["--attack", "apgd-t", "--targeted"], "goes without --targeted"),
    "tokens' attack": (["--attack", "hotflip"], "replaces tokens, but 'values.npz' has values"),
    "steps": (["--timesteps", "7"], "--timesteps got 7, but the sequences have 6 steps"),
    "no steps": (["--timesteps", "0"], "--timesteps got '0', expected whole numbers"),
    "placement": (["--placement", "free"], "--placement goes with --timesteps"),
    "export": (["--export", "a.txt"], "--export got 'a.txt', expected a name that ends with"),
    "gate": (["--targeted", "--fail-under", "1"], "--fail-under is for robust accuracy"),
    "one file twice": (["--export", "a.csv", "-o", "a.csv"], "--export and --output both name"),
    "nothing allowed": (["--epsilon", "0"], "--epsilon got 0 alone"),
    "own attack": (["--attack", "no.such:thing"], "Cannot load attack 'no.such:thing'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_one_line_with_status_2(cli: Cli, saved_model: Path, name: str) -> None:
    options, why = WRONG[name]
    done = cli("attack", saved_model, *options, "-q")
    assert done.status == 2, done.out
    assert why in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""


def test_several_models_and_what_is_for_one_alone(cli: Cli, saved_model: Path) -> None:
    done = cli("attack", saved_model, "other.keras", "--targeted", "--export", "a.npz")
    assert done.status == 2
    assert "--targeted, --export: give one MODEL alone." in done.err


def test_own_attacks_are_run_and_their_faults_are_theirs(cli: Cli, saved_model: Path) -> None:
    Path("own_attacks.py").write_text(
        "def still(model, x, y, budget, **more):\n    return x.copy()\n"
        "def breaks(model, x, y, budget, **more):\n    raise KeyError('oh')\n"
        "def nothing(model, x, y, budget, **more):\n    return None\n"
    )
    done = cli("attack", saved_model, "--attack", "own_attacks:still,fgsm", "-q")
    assert done.status == 0, done.err
    assert "no dataclass, so that its settings are unknown: own_attacks:still" in done.out
    for name, why in (("breaks", "KeyError: 'oh'"), ("nothing", "The attack returned shape ()")):
        done = cli("attack", saved_model, "--attack", f"own_attacks:{name}", "-q")
        assert done.status == 2
        assert f"The attack 'own_attacks:{name}' failed" in done.err and why in done.err


def test_a_model_that_is_always_wrong_is_named(cli: Cli, values_npz: Path) -> None:
    inputs = keras.Input((6, 3))
    flat = keras.layers.Flatten()(inputs)
    away = np.zeros((18, 3), np.float32)
    for feature in range(3):
        away[feature::3, feature] = -1.0
    dense = keras.layers.Dense(3)
    model = keras.Model(inputs, dense(flat))
    dense.set_weights([away, np.zeros(3, np.float32)])
    model.save("wrong.keras")
    done = cli("attack", "wrong.keras", "--data", values_npz, "-q")
    assert done.status == 2
    assert "gets none of 12 examples right, so there is nothing to fool" in done.err
    targeted = ["--targeted", "--timesteps", "2", "--attack", "pgd"]
    done = cli("attack", "wrong.keras", "--data", values_npz, "-q", *targeted)
    assert done.status == 2
    assert "--timesteps attacks what the model gets right" in done.err
