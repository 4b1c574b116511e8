"""`rnnprobe predict`: what it says of new examples, how they may be given, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import Cli, make_values, save_foreign, write_names
from keras import layers
from PIL import Image

from rnnprobe import KerasClassifier, load_dataset, load_model
from rnnprobe._archive import add_metadata, read_metadata


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def probabilities(text: str) -> np.ndarray:
    """The columns of the classes."""
    return np.array([[float(r[key]) for key in r if key.startswith("p_")] for r in rows(text)])


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def names_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_names(tmp_path_factory.mktemp("languages"))


@pytest.fixture(scope="module")
def names_model(names_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small GRU that reads names."""
    from rnnprobe.cli import run

    path = tmp_path_factory.mktemp("named") / "names.keras"
    arguments = ["train", "--cell", "gru", "--units", "4", "--learning-rate", "0.03", "-q"]
    arguments += ["--epochs", "2", "--data", str(names_folder), "--model-out", str(path)]
    assert run([*arguments, "-o", str(path.with_suffix(".md"))]) == 0
    return path


def test_numbers_are_those_of_the_classifier_and_of_keras(
    cli: Cli, saved_model: Path, values_npz: Path
) -> None:
    x, _ = make_values(num_examples=40, seed=3)
    np.savez("new.npz", x=x)
    done = cli("predict", saved_model, "new.npz")
    assert done.status == 0, done.err
    found = rows(done.out)
    assert list(found[0]) == ["example", "predicted", "confidence", "p_0", "p_1", "p_2"]
    assert [int(row["example"]) for row in found] == list(range(40))
    expected = softmax(keras.models.load_model(saved_model).predict(x, verbose=0))
    np.testing.assert_allclose(probabilities(done.out), expected, atol=1e-6)
    assert [int(row["predicted"]) for row in found] == expected.argmax(axis=1).tolist()
    np.testing.assert_allclose(
        [float(row["confidence"]) for row in found], expected.max(axis=1), atol=1e-6
    )
    dataset = load_dataset(values_npz)
    classifier = KerasClassifier(load_model(saved_model))
    told = classifier.predict(dataset.test, dataset.class_names).probabilities
    cut = cli("predict", saved_model, values_npz, "--split", "test")
    np.testing.assert_array_equal(probabilities(cut.out), told)
    assert [row["true"] for row in rows(cut.out)] == [str(label) for label in dataset.test.y]


def test_labels_in_the_data_change_nothing_but_add_a_column_and_an_accuracy(
    cli: Cli, saved_model: Path
) -> None:
    x, y = make_values(num_examples=30, seed=4)
    np.savez("bare.npz", x=x)
    np.savez("labelled.npz", x=x, y=y)
    bare, labelled = (cli("predict", saved_model, f"{n}.npz") for n in ("bare", "labelled"))
    assert list(rows(labelled.out)[0])[:4] == ["example", "true", "predicted", "confidence"]
    without = [{k: v for k, v in row.items() if k != "true"} for row in rows(labelled.out)]
    assert without == rows(bare.out)
    assert [int(row["true"]) for row in rows(labelled.out)] == y.tolist()
    right = sum(row["true"] == row["predicted"] for row in rows(labelled.out))
    told = json.loads(cli("predict", saved_model, "labelled.npz", "--format", "json").out)
    assert told["schema"] == "rnnprobe.predict/1"
    assert told["findings"]["accuracy"]["accuracy"] == right / 30
    assert told["rows"][0]["p_0"] == pytest.approx(float(rows(bare.out)[0]["p_0"]))
    shown = cli("predict", saved_model, "labelled.npz", "--format", "md").out
    assert shown.startswith("**Predictions** of gru.keras on labelled.npz (n = 30)")
    assert f"({right} of 30); examples that the model was trained on" in shown


def test_texts_come_from_lines_csv_folders_and_standard_input(
    cli: Cli, names_model: Path, names_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["bada", "goru", "tisX"]
    Path("new.txt").write_text("\n".join(lines) + "\n", "utf-8")
    done = cli("predict", names_model, "new.txt")
    assert done.status == 0, done.err
    assert done.err == (
        "new.txt: characters that the model never saw are read as unknown: 'X', in 1 of 3 texts\n"
    )
    assert cli("predict", names_model, "new.txt", "-q").err == ""
    assert [row["name"] for row in rows(done.out)] == lines
    vocabulary = load_dataset(names_folder).vocabulary
    assert vocabulary is not None
    tokens = np.array([[vocabulary.index(c) if c in vocabulary else 1 for c in n] for n in lines])
    expected = softmax(keras.models.load_model(names_model).predict(tokens, verbose=0))
    np.testing.assert_allclose(probabilities(done.out), expected, atol=1e-6)
    assert list(rows(done.out)[0])[-2:] == ["p_Aish", "p_Oush"]

    Path("new.csv").write_text("surname\n" + "\n".join(lines) + "\n", "utf-8")
    assert rows(cli("predict", names_model, "new.csv").out) == rows(done.out)
    Path("two.csv").write_text("id,surname\n" + "".join(f"7,{n}\n" for n in lines), "utf-8")
    named = cli("predict", names_model, "two.csv", "--text-column", "surname")
    assert rows(named.out) == rows(done.out)
    refused = cli("predict", names_model, "two.csv")
    assert refused.status == 2
    assert "['id', 'surname']; say by --text-column which holds them" in refused.err

    Path("files").mkdir()
    for number, line in enumerate(lines):
        Path("files", f"{number}.txt").write_text(line, "utf-8")
    by_file = rows(cli("predict", names_model, "files").out)
    assert [row["name"] for row in by_file] == ["0.txt", "1.txt", "2.txt"]
    assert [row["p_Aish"] for row in by_file] == [row["p_Aish"] for row in rows(done.out)]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\n".join(lines).encode())))
    assert cli("predict", names_model, "-").out == done.out
    whole = cli("predict", names_model, names_folder)
    assert {row["true"] for row in rows(whole.out)} == {"Aish", "Oush"}
    assert len(rows(whole.out)) == 120


def test_lengths_tell_which_steps_count(cli: Cli) -> None:
    x, y = make_values()
    lengths = 2 + np.arange(len(y)) // 3 % 5
    np.savez("masked.npz", x=x, y=y, lengths=lengths)
    trained = cli("train", "--cell", "rnn", "--units", 3, "--epochs", 1, "--data", "masked.npz",
                  "--model-out", "m.keras", "-q")  # fmt: skip
    assert trained.status == 0, trained.err
    nonsense = np.where((np.arange(6) < lengths[:, None])[..., None], x, 99.0).astype(np.float32)
    np.savez("a.npz", x=x, lengths=lengths)
    np.savez("b.npz", x=nonsense, mask=np.arange(6) < lengths[:, None])
    np.savez("c.npz", x=x)
    first, second, unmasked = (
        probabilities(cli("predict", "m.keras", f"{name}.npz").out) for name in "abc"
    )
    np.testing.assert_allclose(first, second, atol=1e-7)
    assert np.abs(first - unmasked).max() > 1e-3
    mask = np.arange(6) < lengths[:, None]
    model = keras.models.load_model("m.keras")
    expected = softmax(model.predict({"x": x, "mask": mask}, verbose=0))
    np.testing.assert_allclose(first, expected, atol=1e-6)


def test_csv_of_measurements_has_the_columns_that_the_model_knows(cli: Cli) -> None:
    rng = np.random.default_rng(0)
    lines = ["run,time,sort,a,b"]
    for example in range(40):
        for step in range(2 + example % 3):
            a, b = rng.normal(size=2) + example % 2
            lines.append(f"e{example},{step},{'low' if example % 2 else 'high'},{a:.3f},{b:.3f}")
    Path("long.csv").write_text("\n".join(lines) + "\n")
    columns = ("--label-column", "sort", "--id-column", "run", "--time-column", "time")
    done = cli("train", "--cell", "gru", "--units", 3, "--epochs", 1, "--data", "long.csv",
               *columns, "-q")  # fmt: skip
    assert done.status == 0, done.err
    labelled = cli("predict", "model.keras", "long.csv")
    assert labelled.status == 0, labelled.err
    found = rows(labelled.out)
    assert [row["name"] for row in found] == [f"e{example}" for example in range(40)]
    assert [row["true"] for row in found[:2]] == ["high", "low"]
    bare = [",".join((*line.split(",")[:2], *line.split(",")[3:])) for line in lines]
    Path("bare.csv").write_text("\n".join(bare) + "\n")
    without = cli("predict", "model.keras", "bare.csv")
    np.testing.assert_array_equal(probabilities(without.out), probabilities(labelled.out))
    assert "true" not in rows(without.out)[0]
    assert without.err == "bare.csv: each step is read as 2 values: a, b\n"
    turned = [",".join((*line.split(",")[:2], *line.split(",")[:2:-1])) for line in lines]
    Path("turned.csv").write_text("\n".join(turned) + "\n")
    again = cli("predict", "model.keras", "turned.csv")
    np.testing.assert_array_equal(probabilities(again.out), probabilities(labelled.out))
    renamed = "\n".join(lines).replace("sort", "kind", 1)
    Path("renamed.csv").write_text(renamed + "\n")
    other = cli("predict", "model.keras", "renamed.csv", "--label-column", "kind")
    assert other.status == 0, other.err
    assert other.out == labelled.out
    refused = cli("predict", "model.keras", "bare.csv", *columns)
    assert refused.status == 2
    assert "no column 'sort'" in refused.err


def write_wide(path: str, names: str, label: str = "label") -> None:
    """Write ten examples; the value of a column depends on its name alone, and on the row."""
    lines = [",".join([*names, label] if label else names)]
    for row in range(30):
        values = [f"{(ord(name) - 97) * 0.3 + row % 2 - 0.01 * row:.3f}" for name in names]
        lines.append(",".join([*values, "yn"[row % 2]] if label else values))
    Path(path).write_text("\n".join(lines) + "\n")


def test_columns_are_put_in_the_order_of_the_training(cli: Cli) -> None:
    write_wide("train.csv", "abc")
    done = cli("train", "--cell", "gru", "--units", 3, "--epochs", 1, "--data", "train.csv", "-q")
    assert done.status == 0, done.err
    write_wide("right.csv", "abc", label="")
    write_wide("moved.csv", "cab", label="")
    write_wide("labelled.csv", "bca")
    right, moved, labelled, cut = (
        cli("predict", "model.keras", *arguments)
        for arguments in (["right.csv"], ["moved.csv"], ["labelled.csv"],
                          ["labelled.csv", "--split", "test"])
    )  # fmt: skip
    assert right.err == "right.csv: each row is read as a series of 3 steps: a, b, c\n"
    assert moved.err == "moved.csv: each row is read as a series of 3 steps: a, b, c\n"
    np.testing.assert_array_equal(probabilities(moved.out), probabilities(right.out))
    np.testing.assert_array_equal(probabilities(labelled.out), probabilities(right.out))
    own = cli("predict", "model.keras", "train.csv", "--split", "test")
    np.testing.assert_array_equal(probabilities(cut.out), probabilities(own.out))
    matrices = [
        cli("confusions", "model.keras", *more, "-q", "--format", "json")
        for more in ([], ["--data", "labelled.csv"])
    ]
    first, second = (json.loads(one.out)["findings"]["accuracy"] for one in matrices)
    assert first == second
    write_wide("other.csv", "abd", label="")
    refused = cli("predict", "model.keras", "other.csv")
    assert refused.status == 2
    assert refused.err.count("\n") == 1
    assert (
        "'other.csv' has no column 'c', but the model was trained on the columns 'a', 'b', 'c'"
        in refused.err
    )
    write_wide("more.csv", "abcd", label="")
    assert "has a column 'd', but the model" in cli("predict", "model.keras", "more.csv").err


def test_a_model_that_keeps_no_columns_says_how_they_are_read(cli: Cli) -> None:
    write_wide("train.csv", "abc")
    assert cli("train", "--cell", "gru", "--units", 3, "--epochs", 1, "--data", "train.csv",
               "--model-out", "new.keras", "-q").status == 0  # fmt: skip
    known = read_metadata(Path("new.keras")) or {}
    assert known["data"].pop("values") == ["a", "b", "c"]
    damaged = {**known, "data": {**known["data"], "columns": {"colour": "red"}}}
    for name, metadata in (("old.keras", known), ("damaged.keras", damaged)):
        keras.models.load_model("new.keras", compile=False).save(name)
        add_metadata(Path(name), {n: v for n, v in metadata.items() if n != "schema"})
    write_wide("moved.csv", "cab", label="")
    done = cli("predict", "old.keras", "moved.csv")
    assert done.status == 0, done.err
    assert done.err == "moved.csv: each row is read as a series of 3 steps: c, a, b\n"
    refused = cli("predict", "damaged.keras", "moved.csv")
    assert refused.status == 2
    assert "says the column 'colour' of its data, which means nothing" in refused.err


@pytest.mark.parametrize("head", ["softmax", "sigmoid", "logits"])
def test_a_foreign_model_numbers_its_classes(cli: Cli, head: str) -> None:
    units = 1 if head == "sigmoid" else 3
    activation = None if head == "logits" else head
    save_foreign("f.keras", layers.LSTM(3), layers.Dense(units, activation=activation))
    x, y = make_values(num_examples=20, seed=1)
    np.savez("x.npz", x=x, y=y % max(units, 2))
    raw = keras.models.load_model("f.keras").predict(x, verbose=0).astype(np.float64)
    expected = {"softmax": raw, "sigmoid": np.hstack([1 - raw, raw])}.get(head)
    done = cli("predict", "f.keras", "x.npz")
    assert done.status == 0, done.err
    np.testing.assert_allclose(
        probabilities(done.out), softmax(raw) if expected is None else expected, atol=1e-6
    )
    assert list(rows(done.out)[0])[-1] == f"p_{max(units, 2) - 1}"


def test_pictures_are_laid_out_as_the_model_was_trained(cli: Cli, pictures_npz: Path) -> None:
    done = cli("train", "--cell", "rnn", "--units", 3, "--epochs", 1, "--layout", "columns",
               "--data", pictures_npz, "-q")  # fmt: skip
    assert done.status == 0, done.err
    with np.load(pictures_npz) as arrays:
        x = arrays["x"][:5]
    Path("pictures").mkdir()
    for number, picture in enumerate(x):
        Image.fromarray(picture).save(f"pictures/{number}.png")
    found = cli("predict", "model.keras", "pictures", "-q")
    assert found.status == 0, found.err
    sequences = x.transpose(0, 2, 1).astype(np.float32) / 255
    expected = softmax(keras.models.load_model("model.keras").predict(sequences, verbose=0))
    np.testing.assert_allclose(probabilities(found.out), expected, atol=1e-6)
    np.savez("scaled.npz", x=x.astype(np.float32))
    warned = cli("predict", "model.keras", "scaled.npz", "--layout", "columns")
    assert warned.status == 0, warned.err
    assert "trained on pixels divided by 255, from 0 to 1" in warned.err


def test_what_cannot_be_predicted_is_one_line_and_status_2(
    cli: Cli, saved_model: Path, names_model: Path
) -> None:
    x, y = make_values(num_examples=9)
    np.savez("wide.npz", x=x[:, :, :2])
    np.savez("other.npz", x=x, y=y + 1)
    np.savez("named.npz", x=x, y=np.array(["0", "1", "cat"])[y])
    np.savez("empty.npz", x=x[:0])
    np.savez("nan.npz", x=np.where(x > 2, np.nan, x))
    np.savez("train.npz", x_train=x, y_train=y)
    Path("blank.txt").write_text("bada\n\ngoru\n")
    Path("nothing.txt").write_text("\n")
    Path("text.txt").write_text("bada\n")
    Path("odd.xyz").write_text("1")
    for model, data, reason in (
        (saved_model, "wide.npz", "takes examples of shape (6, 3), but the data has (6, 2)"),
        (saved_model, "other.npz", "Label 3 of example 2"),
        (saved_model, "named.npz", "the class 'cat', which the model does not know"),
        (saved_model, "empty.npz", "'empty.npz' has no examples"),
        (saved_model, "nan.npz", "hold NaN, infinite or too large values, the first is example"),
        (saved_model, "train.npz", "has the parts ['train']; name one by --split"),
        (saved_model, "text.txt", "'text.txt' holds texts, but the model knows no characters"),
        (saved_model, "odd.xyz", "by its suffix '.xyz'; expected .npz, .csv, .txt or a folder"),
        (saved_model, "missing", "There is no file or folder 'missing'"),
        (names_model, "blank.txt", "line 2 is empty; expected one example a line"),
        (names_model, "nothing.txt", "has no text"),
        ("missing.keras", "text.txt", "no model file 'missing.keras'"),
    ):
        done = cli("predict", model, data)
        assert (done.status, done.out) == (2, ""), (data, done)
        assert reason in done.err
        assert done.err.count("\n") == 1
    for arguments, reason in (
        (("blank.txt", "--text-column", "a"), "Columns are of a CSV file"),
        (("-", "--split", "test"), "Standard input has no parts or columns"),
        (("text.txt", "--layout", "rows"), "A layout is for pictures, but 'text.txt' holds texts"),
    ):
        done = cli("predict", names_model, *arguments)
        assert (done.status, done.out) == (2, ""), (arguments, done)
        assert reason in done.err


def test_a_file_is_written_again_only_where_it_is_ours(cli: Cli, saved_model: Path) -> None:
    x, _ = make_values(num_examples=9)
    np.savez("x.npz", x=x)
    for name in ("p.csv", "p.md", "p.json"):
        for _ in range(2):
            done = cli("predict", saved_model, "x.npz", "-o", name)
            assert (done.status, done.err) == (0, f"wrote {name}\n")
    Path("mine.csv").write_text("example,mine\n1,2\n")
    refused = cli("predict", saved_model, "x.npz", "-o", "mine.csv")
    assert refused.status == 2
    assert "rnnprobe did not write it" in refused.err
