"""`rnnprobe inspect`: what it tells of one model and of several, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import Cli, save_foreign, write_names
from keras import layers

from rnnprobe import load_dataset
from rnnprobe._files import written_by_rnnprobe
from rnnprobe.inspection import PARTS

HEADINGS = (
    "Activations",
    "Gates and states",
    "Gradients through time",
    "When it decided",
    "Weights",
    "Attribution",
)
PICTURES = [
    "activations.png", "attribution.png", "decisions.png", "first_layer.png", "gates.png",
    "gradients.png", "weights.png",
]  # fmt: skip


def headings(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"^### (.*)$", text, re.M))


def test_all_parts_of_a_model_are_told_and_drawn(cli: Cli, saved_model: Path) -> None:
    done = cli("inspect", saved_model, "--plots", "p")
    assert done.status == 0, done.err
    assert done.out.startswith("**Inspection** of gru.keras on values")
    assert headings(done.out) == HEADINGS
    assert done.err.startswith(f"{saved_model}: attribution done\n")
    assert sorted(path.name for path in Path("p").iterdir()) == PICTURES
    assert len(re.findall(r"^\|[:-]", done.out, re.M)) == len(PARTS)  # the first table of each


def test_json_holds_all_that_was_seen(cli: Cli, saved_model: Path) -> None:
    found = json.loads(cli("inspect", saved_model, "--format", "json").out)
    assert found["schema"] == "rnnprobe.inspect/1"
    assert found["rows"] == found["tables"]["activations"]
    tables = found["tables"]
    assert {"gates", "gates_by_unit", "gradients", "weights", "attribution"} <= set(tables)
    update = next(row for row in tables["gates"] if row["signal"] == "update gate")
    units = [row["mean"] for row in tables["gates_by_unit"] if row["signal"] == "update gate"]
    assert len(units) == 8
    assert update["mean"] == pytest.approx(np.mean(units))
    assert tables["accuracy_by_share"][-1]["accuracy"] == found["findings"]["accuracy"]


@pytest.mark.parametrize("part", PARTS)
def test_each_part_by_its_name_has_a_table_of_its_own(
    cli: Cli, saved_model: Path, part: str
) -> None:
    first = cli("inspect", saved_model, "--what", part, "-o", "out.csv")
    assert first.status == 0, first.err
    assert len(Path("out.csv").read_text().splitlines()) > 1
    again = cli("inspect", saved_model, "--what", part, "-o", "out.csv")
    assert again.status == 0, again.err
    shown = cli("inspect", saved_model, "--what", part)
    assert headings(shown.out) == (HEADINGS[PARTS.index(part)],)


def test_several_models_stand_side_by_side(cli: Cli, saved_model: Path, values_npz: Path) -> None:
    save_foreign("lstm.keras", layers.LSTM(4), layers.Dense(3))
    save_foreign("rnn.keras", layers.SimpleRNN(4), layers.Dense(3))
    given = (saved_model, "lstm.keras", "rnn.keras", "--data", values_npz)
    done = cli("inspect", *given, "--plots", "p")
    assert done.status == 0, done.err
    assert headings(done.out) == HEADINGS[:-1]
    drawn = {path.name for path in Path("p").iterdir()}
    each = {f"{stem}-{name}" for stem in ("gru", "lstm", "rnn") for name in PICTURES}
    left_out = {name for name in each if "gradients" in name or "attribution" in name}
    assert drawn == {"gradients.png"} | each - left_out
    more = ("--what", "gradients,weights", "--format", "json")
    found = json.loads(cli("inspect", *given, *more).out)
    states = [(row["model"], row["state"]) for row in found["tables"]["gradients"]]
    assert states == [
        ("gru.keras", "hidden state"),
        ("lstm.keras", "hidden state"),
        ("lstm.keras", "cell state"),
        ("rnn.keras", "hidden state"),
    ]
    assert {row["model"] for row in found["tables"]["weights"]} == {
        "gru.keras", "lstm.keras", "rnn.keras",
    }  # fmt: skip
    for part in ("gates", "decisions"):  # the two kinds of heads
        path = Path(f"{part}.csv")
        assert cli("inspect", *given[1:], "--what", part, "-o", path).status == 0
        assert written_by_rnnprobe(path), path.read_text()[:80]


def test_a_model_without_a_recurrent_layer_says_what_it_has_not(
    cli: Cli, pictures_npz: Path
) -> None:
    parts = (layers.Reshape((16, 16, 1)), layers.Conv2D(2, 3, activation="relu", name="conv"))
    name = save_foreign("cnn.keras", *parts, layers.Flatten(), layers.Dense(2), shape=(16, 16))
    done = cli("inspect", name, "--data", pictures_npz, "--plots", "p")
    assert done.status == 0, done.err
    assert done.out.count("The model has no recurrent layer.") == 2
    assert "head cannot be applied" in done.out
    assert sorted(path.name for path in Path("p").iterdir()) == [
        "activations.png", "attribution.png", "first_layer.png", "weights.png",
    ]  # fmt: skip

    alone = cli("inspect", name, "--data", pictures_npz, "--what", "gates,gradients")
    assert (alone.status, alone.out) == (1, "")
    assert alone.err.splitlines()[-1] == "Error: The model has no recurrent layer."


def test_a_model_that_looks_its_tokens_up_twice_goes_without_attribution(
    cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "lists").mkdir()
    dataset = load_dataset(write_names(tmp_path / "lists"))
    tokens = keras.Input((None,), dtype="int32")
    two = [layers.Embedding(dataset.num_tokens, 3, mask_zero=True)(tokens) for _ in range(2)]
    model = keras.Model(tokens, layers.Dense(2)(layers.GRU(3)(layers.Concatenate()(two))))
    model.save("two.keras")
    done = cli("inspect", "two.keras", "--data", tmp_path / "lists")
    assert done.status == 0, done.err
    assert headings(done.out) == HEADINGS
    assert "- The model has 2 embeddings, expected one that its tokens pass." in done.out


def test_a_seed_of_the_environment_is_no_option_of_the_command_line(
    cli: Cli, saved_model: Path, values_npz: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNPROBE_INSPECT_SEED", "3")
    done = cli("inspect", saved_model, "--data", values_npz, "--what", "weights")
    assert done.status == 0, done.err


def test_a_bidirectional_model_is_looked_into_both_ways(cli: Cli, values_npz: Path) -> None:
    two = layers.Bidirectional(layers.LSTM(3), name="both")
    name = save_foreign("bi.keras", two, layers.Dense(3, activation="softmax", name="head"))
    found = json.loads(cli("inspect", name, "--data", values_npz, "--format", "json").out)
    forward, backward = {row["layer"] for row in found["tables"]["gradients"]}
    assert {forward.split("/")[0], backward.split("/")[0]} == {"both"}
    assert "not judged" not in {row["verdict"] for row in found["tables"]["gradients"]}
    assert "bidirectional" in found["findings"]["no_decisions"]
    heads = [row["what"] for row in found["tables"]["activations"] if row["layer"] == "head"]
    assert heads == ["output before softmax"]


def test_states_that_are_pooled_are_not_judged(cli: Cli, values_npz: Path) -> None:
    states = layers.GRU(3, return_sequences=True)
    name = save_foreign("pooled.keras", states, layers.GlobalAveragePooling1D(), layers.Dense(3))
    done = cli("inspect", name, "--data", values_npz, "--what", "gradients", "--format", "json")
    (row,) = json.loads(done.out)["rows"]
    assert (row["verdict"], row["half_life"]) == ("not judged", None)


def test_a_mask_that_the_model_would_not_take_is_told(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 6, 3)).astype(np.float32), np.arange(60) % 3
    np.savez(tmp_path / "masked.npz", x=x, y=y, lengths=1 + np.arange(60) % 6)
    name = save_foreign("plain.keras", layers.LSTM(4), layers.Dense(3))
    told = "without it the accuracy is"
    given = ("--data", "masked.npz", "--what", "weights", "--split", "train")
    done = cli("inspect", name, *given, "--format", "json")
    model = keras.models.load_model(name)
    train = load_dataset("masked.npz").train
    right = model.predict(train.x, verbose=0).argmax(axis=1) == train.y
    assert json.loads(done.out)["findings"]["unmasked"] == pytest.approx(right.mean())
    assert told in cli("inspect", name, *given).out
    taking = save_foreign("masking.keras", layers.Masking(), layers.LSTM(4), layers.Dense(3))
    assert told not in cli("inspect", taking, *given).out


def test_names_are_attributed_by_character(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    write_names(folder)
    dataset = load_dataset(folder)
    embedding = layers.Embedding(dataset.num_tokens, 4, mask_zero=True)
    name = save_foreign("names.keras", embedding, layers.GRU(4), layers.Dense(2), shape=(None,))
    arguments = ("inspect", name, "--data", folder, "--what", "attribution")
    done = cli(*arguments, "--example", 1, "--format", "json")
    assert done.status == 0, done.err
    rows = json.loads(done.out)["rows"]
    assert "".join(row["text"] for row in rows) == dataset.text(dataset.test.x[1])
    other = json.loads(cli(*arguments, "--pair", "Oush,Aish", "--format", "json").out)
    assert other["rows"] != rows


def test_the_arrays_behind_the_tables_are_exported(cli: Cli, saved_model: Path) -> None:
    done = cli("inspect", saved_model, "--export", "a.npz", "--format", "json")
    assert done.status == 0, done.err
    assert "wrote a.npz" in done.err
    found = json.loads(done.out)["tables"]
    arrays = np.load("a.npz")
    layer = found["gates"][0]["layer"]
    mean = arrays[f"gates/{layer}/update gate/mean"]
    assert mean.shape == (6, 8)
    assert mean.mean() == pytest.approx(found["gates"][0]["mean"])
    norms = arrays[f"gradients/{layer}/hidden state/norms"]
    assert np.median(norms[:, 0] / norms[:, -1]) == pytest.approx(found["gradients"][0]["ratio"])
    first, second = arrays["attribution/classes"]
    explained = json.loads(done.out)["findings"]["attribution"]
    assert [explained["first"], explained["second"]] == [str(first), str(second)]
    assert arrays["attribution/value"].mean() == pytest.approx(explained["f"])
    attributed = arrays["attribution/integrated"].sum(axis=2).mean(axis=0)
    assert attributed == pytest.approx([row["integrated"] for row in found["attribution"]])
    assert cli("inspect", saved_model, "--export", "a.npz", "--what", "gates").status == 0  # ours
    refused = cli("inspect", saved_model, "--export", "a.csv")
    assert (refused.status, refused.out) == (2, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--what", "gate"], "did you mean 'gates'"),
        (["--what", ""], "name in --what"),
        (["--example", "9999"], "no example 9999"),
        (["--pair", "0"], "expected two classes"),
        (["--pair", "0,nobody"], "nobody"),
        (["--pair", "0,0"], "two different classes"),
        (["--format", "csv"], "name one part: --what activations"),
        (["--what", "gates", "--pair", "0,1"], "--pair goes with --what attribution"),
        (["--what", "gates", "--seed", "1"], "--seed goes with --what attribution"),
        (["--split", "none"], "--split"),
        (["--what", "weights", "--export", "w.npz"], "--export has nothing of --what weights"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    cli: Cli, saved_model: Path, arguments: list[str], said: str
) -> None:
    done = cli("inspect", saved_model, *arguments)
    assert done.status == 2
    assert done.out == ""
    assert said.lower() in done.err.lower()
    assert "Traceback" not in done.err


def test_attribution_is_asked_of_one_model_alone(cli: Cli, saved_model: Path) -> None:
    done = cli("inspect", saved_model, saved_model, "--what", "attribution")
    assert (done.status, done.out) == (2, "")
    assert "of one MODEL alone" in done.err
    done = cli("inspect", saved_model, saved_model)
    assert (done.status, done.out) == (2, "")
    assert "named twice" in done.err
