"""The commands as a user runs them: what is printed where, and with which status."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import Cli, make_values, write_names
from PIL import Image
from sklearn.metrics import confusion_matrix

from rnnprobe._archive import read_metadata

TINY = ("--units", "4", "--learning-rate", "0.03", "-q")


def is_picture(path: Path) -> bool:
    with Image.open(path) as image:
        return image.format == "PNG" and "rnnprobe" in str(image.info.get("Software"))


def test_tune_ends_with_a_table_a_test_accuracy_and_a_model(
    cli: Cli, values_npz: Path, tmp_path: Path
) -> None:
    done = cli(
        "tune", "--cell", "dense", "--units", "2..8:x2", "--learning-rate", "0.03", "--trials", "3",
        "--layers", "1", "--batch-size", "16", "--dropout", "0", "--optimizer", "adam,sgd",
        "--epochs", "3", "--data", values_npz, "--plots", "plots",
    )  # fmt: skip
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith("**Tune** by hyperband on values.npz (96 / 12 / 12 train")
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + 3
    assert "val. accuracy" in rows[0]
    assert "chosen" in rows[0]
    for phrase in ("the best of 3", "Test accuracy of trial", "Space: ", "Budget: 3 config"):
        assert phrase in done.out
    assert "trial 1 of 3" in done.err
    assert (tmp_path / "model.keras").exists()
    assert is_picture(tmp_path / "plots" / "trials.png")


def test_the_same_seed_prints_the_same_but_for_times(cli: Cli, values_npz: Path) -> None:
    arguments = ("tune", "--cell", "gru", "--units", "2,3", "--layers", "1", "--dropout", "0",
                 "--optimizer", "adam", "--trials", "2", "--epochs", "1", "--data", values_npz,
                 "--format", "json", "-q")  # fmt: skip
    documents = []
    for _ in range(2):
        document = json.loads(cli(*arguments).out)
        for row in document["rows"]:
            row.pop("seconds")
        document["findings"]["budget"].pop("seconds")
        documents.append(document)
    assert documents[0] == documents[1]
    assert documents[0]["seed"] == 0


def test_the_command_that_tune_prints_trains_the_same_model(cli: Cli, values_npz: Path) -> None:
    done = cli("tune", "--cell", "gru", "--units", "2,3", "--dropout", "0.2", "--layers", "1",
               "--optimizer", "adam", "--trials", "5", "--epochs", "9", "--batch-size", "8",
               "--data", values_npz, "--format", "json", "--model-out", "tuned.keras", "-q",
               "--limit-examples", "60")  # fmt: skip
    findings = json.loads(done.out)["findings"]
    program, *arguments = shlex.split(findings["again"])
    assert program == "rnnprobe"
    again = json.loads(cli(*arguments, "--format", "json", "-q").out)
    assert again["findings"]["test"] == findings["test"]
    first, second = (keras.models.load_model(p) for p in ("tuned.keras", "model.keras"))
    for ours, theirs in zip(first.get_weights(), second.get_weights(), strict=True):
        assert (ours == theirs).all()


def test_a_resumed_search_saves_its_model_where_it_was_asked_to(cli: Cli, values_npz: Path) -> None:
    grid = ["tune", "--cell", "dense", "--units", "2", "--trials", "1", "--epochs", "1"]
    begun = ["--model-out", "best.keras", "--run-dir", "run", "--workers", "1", "-q"]
    assert cli(*grid, "--data", values_npz, *begun).status == 0
    Path("best.keras").unlink()
    Path("model.keras").write_text("mine")
    for _ in range(2):  # which remembers it on
        again = cli("tune", "--run-dir", "run", "--resume", "-q")
        assert again.status == 0, again.err
        assert "- Model: best.keras" in again.out
    assert Path("model.keras").read_text() == "mine"
    elsewhere = cli("tune", "--run-dir", "run", "--resume", "-q", "--model-out", "other.keras")
    assert "- Model: other.keras" in elsewhere.out


def test_tune_without_a_finished_trial_ends_with_1(cli: Cli, values_npz: Path) -> None:
    done = cli("tune", "--cell", "cnn", "--data", values_npz, "-q", "--learning-rate", "0.01")
    assert done.status == 1
    assert done.out == ""
    assert done.err.startswith("Error: No trial finished")
    assert len(done.err.splitlines()) == 1
    assert not Path("model.keras").exists()


def test_train_prints_epochs_best_last_and_test(cli: Cli, values_npz: Path) -> None:
    done = cli(
        "train", "--cell", "rnn", *TINY[:-1], "--epochs", "3", "--data", values_npz,
        "--log-every", "2", "--plots", "p", "--class-weights", "balanced", "--clip-norm", "1",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert len([line for line in done.out.splitlines() if line.startswith("|")]) == 2 + 3
    for phrase in ("Best epoch", "Last epoch 3", "Test: loss", "clip norm 1", "balanced"):
        assert phrase in done.out
    assert "step 2: loss" in done.err
    assert "step 3: loss" not in done.err
    assert "epoch 3 of 3" in done.err
    assert is_picture(Path("p/curves.png"))


def test_train_says_when_it_stopped_early(cli: Cli, values_npz: Path) -> None:
    done = cli("train", "--cell", "rnn", "--units", "4", "--learning-rate", "0.5", "--epochs", "50",
               "--early-stopping", "2", "--data", values_npz, "-q")  # fmt: skip
    assert done.status == 0
    assert "Stopped early, 2 epochs after the best" in done.out


def test_a_diverging_run_prints_its_table_and_ends_with_1(cli: Cli, values_npz: Path) -> None:
    done = cli("train", "--cell", "rnn", "--units", "4", "--optimizer", "sgd", "--data", values_npz,
               "--learning-rate", "1e38", "--loss", "cross-entropy", "-q")  # fmt: skip
    assert done.status == 1
    assert "Did not finish: nan" in done.out
    assert "try a smaller --learning-rate" in done.err
    assert not Path("model.keras").exists()


def test_confusions_needs_nothing_but_the_model(cli: Cli, saved_model: Path) -> None:
    done = cli("confusions", saved_model, "--plots", "p", "--top", "3")
    assert done.status == 0, done.err
    assert "**Confusions** of gru.keras on values.npz" in done.out
    assert "Accuracy: " in done.out
    assert is_picture(Path("p/confusion_matrix.png"))
    assert is_picture(Path("p/mistakes.png"))


def test_the_counts_equal_scikit_learns(cli: Cli, saved_model: Path, values_npz: Path) -> None:
    done = cli("confusions", saved_model, "--format", "json", "--split", "train", "--top", "99")
    document = json.loads(done.out)
    from rnnprobe import load_dataset

    split = load_dataset(values_npz).train
    model = keras.models.load_model(saved_model)
    predicted = model.predict(split.x, verbose=0).argmax(axis=1)
    expected = confusion_matrix(split.y, predicted)
    assert document["matrix"] == expected.tolist()
    for row in document["rows"]:
        assert row["count"] == expected[int(row["true"]), int(row["predicted"])]
        wrong = [(split.y[i], predicted[i]) for i in row["examples"]]
        assert set(wrong) == {(int(row["true"]), int(row["predicted"]))}


def test_other_data_for_a_saved_model(cli: Cli, saved_model: Path, tmp_path: Path) -> None:
    x, y = make_values(30, seed=5)
    np.savez(tmp_path / "new.npz", x_test=x, y_test=np.eye(3)[y])
    done = cli("confusions", saved_model, "--data", "new.npz")
    assert done.status == 0, done.err
    assert "test part (n = 30)" in done.out


def test_changed_data_is_noticed(cli: Cli, values_npz: Path, tmp_path: Path) -> None:
    x, y = make_values()
    np.savez(tmp_path / "own.npz", x=x, y=y)
    assert cli("train", "--cell", "rnn", *TINY, "--epochs", "1", "--data", "own.npz").status == 0
    np.savez(tmp_path / "own.npz", x=x + 1, y=y)
    done = cli("confusions", "model.keras")
    assert done.status == 2
    assert "is not what 'model.keras' was trained on" in done.err
    assert cli("confusions", "model.keras", "--data", "own.npz").status == 0
    Path("own.npz").unlink()
    assert cli("confusions", "model.keras").status == 2


def test_a_foreign_model_needs_data_and_its_classes(
    cli: Cli, values_npz: Path, tmp_path: Path
) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((6, 3)), layers.LSTM(4), layers.Dense(3, activation="softmax")]
    )
    model.save(tmp_path / "foreign.keras")
    done = cli("confusions", "foreign.keras")
    assert done.status == 2
    assert "name it by --data" in done.err
    assert cli("confusions", "foreign.keras", "--data", values_npz).status == 0
    wrong = cli("confusions", "foreign.keras", "--data", "mnist-5k")
    assert wrong.status == 2
    assert "takes examples of shape (6, 3), but the data has (28, 28)" in wrong.err


def test_own_classes_come_by_import(cli: Cli, values_npz: Path, tmp_path: Path) -> None:
    (tmp_path / "own_layers.py").write_text(
        "import keras\n\n\n"
        '@keras.saving.register_keras_serializable("own_layers")\n'
        "class Net(keras.Model):\n"
        "    def __init__(self, **options):\n"
        "        super().__init__(**options)\n"
        "        self.cell, self.head = keras.layers.GRU(4), keras.layers.Dense(3)\n\n"
        "    def call(self, x):\n"
        "        return self.head(self.cell(x))\n"
    )
    code = (
        "import numpy, own_layers\nmodel = own_layers.Net()\n"
        "model(numpy.zeros((1, 6, 3)))\nmodel.save('net.keras')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=tmp_path)
    done = cli("confusions", "net.keras", "--data", values_npz)
    assert done.status == 1
    assert "needs the class 'Net'" in done.err
    assert "--import" in done.err
    shutil.copy("net.keras", "again.keras")
    models = ("net.keras", "again.keras")
    done = cli("confusions", *models, "--data", values_npz, "--import", "own_layers.py")
    assert done.status == 0, done.err
    Path("json.py").write_text("")
    done = cli("confusions", "net.keras", "--data", values_npz, "--import", "json.py")
    assert "a module 'json' is loaded already; rename it." in done.err
    for _ in range(2):
        Path("broken.py").write_text("1 / 0")
        done = cli("confusions", "net.keras", "--data", values_npz, "--import", "broken.py")
        assert "Cannot import 'broken.py': ZeroDivisionError: division by zero." in done.err


def test_predictions_of_any_framework(cli: Cli, tmp_path: Path) -> None:
    np.savez(
        tmp_path / "p.npz", y_true=[0, 1, 1], probabilities=[[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    )
    done = cli("confusions", "--predictions", "p.npz", "--plots", "p")
    assert done.status == 0, done.err
    assert "Accuracy: 0.6667" in done.out
    drawn = sorted(path.name for path in Path("p").iterdir())
    assert drawn == ["confusion_matrix.png", "reliability.png"]


def test_names_as_characters_from_end_to_end(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    write_names(folder)
    done = cli("train", "--cell", "lstm", *TINY, "--epochs", "2", "--data", folder)
    assert done.status == 0, done.err
    metadata = read_metadata(Path("model.keras"))
    assert metadata is not None
    assert metadata["vocabulary"][0] == ""
    done = cli("confusions", "model.keras", "--plots", "p")
    assert done.status == 0, done.err
    assert "**Confusions** of model.keras on lists (96 / 12 / 12" in done.out
    assert is_picture(Path("p/mistakes.png"))
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "Oush.txt").write_text("\n".join(f"b{c}ob" for c in "abcdefghijklm"))
    (tmp_path / "new" / "Aish.txt").write_text("\n".join(f"b{c}ab" for c in "abcdefghijklm"))
    assert cli("confusions", "model.keras", "--data", "new").status == 0


def test_layouts_and_baselines_of_pictures(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 12, 13), dtype=np.uint8), np.arange(60) % 2
    np.savez(tmp_path / "p.npz", x=x, y=y)
    for layout, shape in {"columns": "(48, 13, 12)", "permuted-pixels": "(48, 156, 1)"}.items():
        assert f"train {shape}" in cli("data", "check", "p.npz", "--layout", layout).out
    done = cli("train", "--cell", "rnn", *TINY, "--epochs", "1", "--data", "p.npz",
               "--layout", "columns")  # fmt: skip
    assert done.status == 0, done.err
    assert "layout columns" in done.out
    assert cli("confusions", "model.keras", "--plots", "p").status == 0
    done = cli("train", "--cell", "cnn", "--epochs", "1", "--data", "p.npz", "-q")
    assert done.status == 0, done.err


def test_data_list_check_and_show(cli: Cli, values_npz: Path) -> None:
    assert "mnist-5k" in cli("data", "list").out
    done = cli("data", "check", values_npz)
    assert done.status == 0
    assert "no input twice" in done.out
    done = cli("data", "show", values_npz, "--top", "2", "--plots", "p", "--split", "test")
    assert done.status == 0
    assert is_picture(Path("p/examples.png"))
    assert len([line for line in done.out.splitlines() if line.startswith("|")]) == 2 + 2


def test_data_check_of_nan_counts_and_ends_with_2(cli: Cli, tmp_path: Path) -> None:
    x, y = make_values()
    x[5, 0, 0] = np.nan
    np.savez(tmp_path / "nan.npz", x=x, y=y)
    done = cli("data", "check", "nan.npz")
    assert done.status == 2
    assert "1 values are NaN, infinite or too large" in done.out


@pytest.mark.parametrize("name", ["a|b", "<b>", "line\nbreak", "🐍", "$x_1$", "%s", "a" * 200])
def test_any_class_name_goes_through_every_report(cli: Cli, tmp_path: Path, name: str) -> None:
    p = np.array([[0.9, 0.1], [0.9, 0.1]])
    np.savez(tmp_path / "p.npz", y_true=[0, 1], probabilities=p, class_names=[name, "other"])
    done = cli("confusions", "--predictions", "p.npz", "--plots", "p")
    assert done.status == 0, done.err
    rows = [line for line in done.out.splitlines() if line.startswith("|")]
    assert len(rows) == 4 * 2 + 1 + 1 + 2 + 1  # pairs, mistakes, classes, bins of confidence
    read = json.loads(cli("confusions", "--predictions", "p.npz", "--format", "json").out)
    assert read["rows"][0]["predicted"] == name
    text = cli("confusions", "--predictions", "p.npz", "--format", "csv").out
    assert next(iter(csv.DictReader(io.StringIO(text, newline=""))))["predicted"] == name


def test_formats_and_output_files(cli: Cli, saved_model: Path) -> None:
    for suffix in ("md", "csv", "json"):
        printed = cli("confusions", saved_model, "--format", suffix)
        written = cli("confusions", saved_model, "-o", f"result.{suffix}")
        assert written.out == ""
        assert f"wrote result.{suffix}" in written.err
        assert Path(f"result.{suffix}").read_text("utf-8") == printed.out
        assert cli("confusions", saved_model, "-o", f"result.{suffix}").status == 0
    assert cli("data", "list", "-o", "/dev/null", "--format", "md").status == 0


def bad_command_lines() -> list[tuple[str, str]]:
    return [
        ("", "Usage"),
        ("tun", "Did you mean 'tune'"),
        ("tune --unit 3", "No such option"),
        ("tune --units x", "--units got 'x', expected whole numbers"),
        ("tune --cell lstn", "Did you mean 'lstm'"),
        ("tune --cell cnn --units 3", "--units means nothing for the cell cnn"),
        ("tune --tuner grid", "'grid' is not one of"),
        ("tune --trials 0", "x>=1"),
        ("tune --model-out model.h5", "ends with .keras"),
        ("tune --model-out no/model.keras", "there is no folder 'no'"),
        ("tune --data nothing.npz", "There is no such file"),
        ("tune --data mnist5k", "Did you mean 'mnist-5k'"),
        ("train --units 3,4", "--units takes one value here"),
        ("train --epochs 1 --steps 1", "not both"),
        ("train --class-weights a,b", "expected balanced, or one number a class"),
        (
            "train --class-weights 1,2 --data mnist-5k --limit-examples 50",
            "2 class weights, but 10",
        ),
        ("train -o result.txt", "expected .md, .csv or .json"),
        ("train -o result.md --format csv", "does not go with the file name"),
        ("train -o no/result.md", "there is no folder"),
        ("train -o no/result.csv", "there is no folder"),
        ("train --plots=", "got an empty name"),
        ("train --data=", "empty name"),
        ("train --seed 4294967296", "x<=4294967295"),
        ("train --class-weights 0,0", "not all 0"),
        ("train --text-column words", "Columns are of a CSV file"),
        ("train --data os.path:join", "The data set 'os.path:join' failed"),
        ("train --plots /dev/null/x", "Cannot make the folder|is a file"),
        ("train --config none.toml", "does not exist"),
        ("confusions", "Give a MODEL, or --predictions FILE"),
        ("confusions a.keras --predictions p.npz", "one of them"),
        ("confusions missing.keras", "There is no model file"),
        ("confusions --predictions missing.npz", "no predictions file"),
        ("confusions --predictions p.npz --data mnist", "name no data or model beside"),
        ("data", "Usage"),
        ("data check missing.csv", "There is no such file"),
    ]


@pytest.mark.parametrize(("line", "message"), bad_command_lines())
def test_wrong_usage_is_one_line_and_status_2(cli: Cli, line: str, message: str) -> None:
    import re

    before = sorted(Path().iterdir())
    done = cli(*line.split())
    assert done.status == 2
    assert done.out == ""
    assert re.search(message, done.err)
    if message != "Usage":
        errors = [row for row in done.err.splitlines() if row.startswith("Error: ")]
        assert done.err.splitlines()[-1:] == errors
    assert sorted(Path().iterdir()) == before


def test_somebody_elses_files_are_not_replaced(cli: Cli, values_npz: Path, tmp_path: Path) -> None:
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]).save(tmp_path / "model.keras")
    theirs = Path("model.keras").read_bytes()
    arguments = ("train", "--cell", "rnn", *TINY, "--epochs", "1", "--data", values_npz)
    done = cli(*arguments)
    assert done.status == 2
    assert "give --force to replace it" in done.err
    assert Path("model.keras").read_bytes() == theirs
    assert cli(*arguments, "--force").status == 0
    assert cli(*arguments).status == 0  # its own it replaces
    Path("p").mkdir()
    Path("p/curves.png").write_bytes(b"picture")
    assert cli(*arguments, "--plots", "p").status == 2
    Path("table.csv").write_text("a,b\n")
    assert cli(*arguments, "-o", "table.csv").status == 2
    assert Path("table.csv").read_text() == "a,b\n"


def test_config_file_and_environment(
    cli: Cli, values_npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("c.toml").write_text(
        f'[train]\ncell = "gru"\nunits = 3\nepochs = 1\ndata = "{values_npz}"\nquiet = true\n'
    )
    done = cli("train", "--config", "c.toml")
    assert done.status == 0, done.err
    assert "**Train** gru" in done.out
    assert "units 3" in done.out
    assert done.err == ""
    monkeypatch.setenv("RNNPROBE_TRAIN_UNITS", "4")
    assert "units 4" in cli("train", "--config", "c.toml").out
    assert "units 5" in cli("train", "--config", "c.toml", "--units", "5").out
    Path("c.toml").write_text("[train]\nunit = 3\n")
    assert "sets 'unit', which 'train' has not" in cli("train", "--config", "c.toml").err
    Path("c.toml").write_text('[confusions]\nimport = ["a.py", "b.py"]\nsplit = "train"\n')
    assert "There is no model file" in cli("confusions", "m.keras", "--config", "c.toml").err
    Path("c.toml").write_text('[data.list]\nformat = "csv"\n')
    assert cli("data", "list", "--config", "c.toml").out.startswith("name,what")
    Path("c.toml").write_text("data = 3\n")
    assert "sets 'list'; expected tables" in cli("data", "list", "--config", "c.toml").err
    for text in ("trials = 2\n", "[trian]\nunits = 3\n"):
        Path("c.toml").write_text(text)
        done = cli("train", "--config", "c.toml")
        assert done.status == 2
        assert "expected tables called like the commands" in done.err
    Path("c.toml").write_text("[train]\nepochs = 2.5\n")
    assert "'2.5' is not a valid integer." in cli("train", "--config", "c.toml").err
    Path("c.toml").write_text("[train\n")
    assert cli("train", "--config", "c.toml").status == 2


def test_verbose_twice_shows_the_traceback(values_npz: Path) -> None:
    command = [sys.executable, "-m", "rnnprobe", "data", "check", "missing.npz", "-vv"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: Unknown data set")


def test_a_reader_that_goes_away_is_no_error(values_npz: Path) -> None:
    command = f"{sys.executable} -m rnnprobe data check {values_npz} | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.startswith("**Data**")


def test_ctrl_c_ends_with_130_and_leaves_nothing(values_npz: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rnnprobe", "train", "--epochs", "100000", "--data"]
    process = subprocess.Popen(
        [*command, str(values_npz)], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stderr is not None
    while "epoch 2" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    last = err.splitlines()[-1]
    assert re.fullmatch(r"Interrupted after \d+ of 100,000 epochs; no model was saved\.", last)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_that_a_finalizer_swallows_is_repeated() -> None:
    """KeyboardInterrupt inside `__del__` is printed and forgotten by Python itself."""
    code = (
        "import os, signal, sys, time\n"
        "from rnnprobe.cli._interrupt import interruptible\n"
        "class Swallows:\n"
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        time.sleep(0.01)\n"
        "try:\n"
        "    with interruptible():\n"
        "        Swallows()\n"
        "        print('swallowed', flush=True)\n"
        "        time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout == "swallowed\n"
    assert done.returncode == 7


def test_stdout_and_stderr_are_clean_in_a_process_of_its_own(
    saved_model: Path, tmp_path: Path
) -> None:
    """TensorFlow's start-up messages and Keras's prints must not reach the user."""
    command = [sys.executable, "-m", "rnnprobe", "confusions", str(saved_model), "--format", "json"]
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0
    assert json.loads(done.stdout)["schema"] == "rnnprobe.confusions/1"
    assert done.stderr == ""


def test_version(cli: Cli) -> None:
    from rnnprobe import __version__

    assert cli("--version").out == f"rnnprobe {__version__}\n"
