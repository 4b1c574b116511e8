from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from conftest import make_values, write_names
from PIL import Image

from rnnprobe import SequenceDataset, load_dataset
from rnnprobe.datasets._csv import CsvColumns
from rnnprobe.datasets._load import Encoding, load_again
from rnnprobe.errors import DataError, UnknownNameError

X, Y = make_values(60)


def save_npz(folder: Path, **arrays: Any) -> Path:
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return path


def test_npz_with_all_parts_keeps_them(tmp_path: Path) -> None:
    path = save_npz(
        tmp_path,
        x_train=X[:30], y_train=Y[:30], x_val=X[30:40], y_val=Y[30:40],
        x_test=X[40:], y_test=Y[40:], class_names=["a", "b", "c"],
    )  # fmt: skip
    dataset = load_dataset(path)
    assert (dataset.train.x == X[:30]).all()
    assert (dataset.validation.y == Y[30:40]).all()
    assert (dataset.test.x == X[40:]).all()
    assert dataset.class_names == ("a", "b", "c")
    assert dataset.bounds is not None
    assert dataset.bounds.upper == pytest.approx(X[:30].max())


def test_validation_is_a_stratified_tenth_where_there_is_none(tmp_path: Path) -> None:
    dataset = load_dataset(
        save_npz(tmp_path, x_train=X[:30], y_train=Y[:30], x_test=X[30:], y_test=Y[30:])
    )
    assert np.bincount(dataset.validation.y).tolist() == [1, 1, 1]
    assert len(dataset.train) == 27
    assert len(dataset.test) == 30


def test_a_file_with_a_test_part_alone_can_be_probed(tmp_path: Path) -> None:
    dataset = load_dataset(save_npz(tmp_path, x_test=X, y_test=Y))
    assert [len(split) for split in dataset.splits.values()] == [0, 0, 60]


def test_labels_may_be_one_hot_columns_or_names(tmp_path: Path) -> None:
    plain = load_dataset({"x": X, "y": Y})
    one_hot = load_dataset({"x": X, "y": np.eye(3)[Y]})
    column = load_dataset({"x": X, "y": Y[:, np.newaxis]})
    named = load_dataset({"x": X, "y": np.array(["a", "b", "c"])[Y]})
    assert plain.digest == one_hot.digest == column.digest
    assert named.class_names == ("a", "b", "c")
    assert (named.train.y == plain.train.y).all()


def test_lengths_are_a_mask(tmp_path: Path) -> None:
    lengths = 1 + np.arange(60) % 6
    dataset = load_dataset(save_npz(tmp_path, x=X, y=Y, lengths=lengths))
    mask = np.arange(6) < lengths[:, np.newaxis]
    assert dataset.digest == load_dataset(save_npz(tmp_path, x=X, y=Y, mask=mask)).digest
    assert sorted(np.concatenate([s.lengths for s in dataset.splits.values()])) == sorted(lengths)


def test_bytes_are_pictures_divided_by_255_and_floats_stay(tmp_path: Path) -> None:
    pictures = np.arange(20 * 4 * 5, dtype=np.uint8).reshape(20, 4, 5)
    y = np.arange(20) % 2
    dataset = load_dataset(save_npz(tmp_path, x_test=pictures, y_test=y))
    assert dataset.test.x == pytest.approx(pictures / 255)
    assert dataset.notes == ("pixels divided by 255",)
    assert dataset.image_shape == (4, 5, 1)
    floats = load_dataset(save_npz(tmp_path, x_test=pictures.astype(np.float32), y_test=y))
    assert floats.test.x.max() == pictures.max()
    assert floats.image_shape is None
    asked = load_dataset(save_npz(tmp_path, x_test=pictures * 1.0, y_test=y), layout="columns")
    assert asked.test.x.shape == (20, 5, 4)


def test_colour_pictures_are_rows_of_all_channels(tmp_path: Path) -> None:
    x = np.zeros((20, 4, 5, 3), np.uint8)
    dataset = load_dataset(save_npz(tmp_path, x_test=x, y_test=np.arange(20) % 2))
    assert dataset.test.x.shape == (20, 4, 15)


def test_tokens_in_an_npz_are_integers(tmp_path: Path) -> None:
    tokens = np.array([[1, 2, 0], [2, 3, 1]] * 10)
    dataset = load_dataset(save_npz(tmp_path, x_test=tokens, y_test=np.arange(20) % 2))
    assert dataset.kind == "tokens"
    assert dataset.num_tokens == 4
    assert dataset.text(dataset.test.x[0]) == "1 2"


def test_a_folder_of_texts_has_a_character_vocabulary(names: SequenceDataset) -> None:
    assert names.class_names == ("Aish", "Oush")
    assert names.vocabulary is not None
    assert names.vocabulary[0] == ""
    texts = {names.text(x) for split in names.splits.values() for x in split.x}
    assert len(texts) == 120
    assert all(3 <= len(text) <= 6 for text in texts)


def test_a_model_s_vocabulary_and_classes_are_kept(tmp_path: Path, names: SequenceDataset) -> None:
    for language, vowel in (("Oush", "o"), ("Aish", "a")):
        lines = [*(f"b{vowel}{letter}" for letter in "bdgklmnprst"), "qqqq"]
        (tmp_path / f"{language}.txt").write_text("\n".join(lines), "utf-8")
    encoding = Encoding(("Oush", "Aish"), names.vocabulary)
    dataset = load_dataset(tmp_path, encoding=encoding)
    assert dataset.class_names == ("Oush", "Aish")
    texts = {dataset.text(x) for split in dataset.splits.values() for x in split.x}
    assert "bob" in texts
    assert "\N{REPLACEMENT CHARACTER}" * 4 in texts


def test_a_folder_of_folders_reads_texts_arrays_and_pictures(tmp_path: Path) -> None:
    for label, name in enumerate(("cat", "dog")):
        for kind in ("texts", "arrays", "pictures"):
            (tmp_path / kind / name).mkdir(parents=True)
        for i in range(12):
            (tmp_path / "texts" / name / f"{i}.txt").write_text(f"{name} {chr(97 + i)}")
            np.save(tmp_path / "arrays" / name / f"{i}.npy", np.full((2 + i % 3, 2), i + label))
            picture = Image.fromarray(np.full((4, 4), 10 * i + label, np.uint8))
            picture.save(tmp_path / "pictures" / name / f"{i}.png")
    texts, arrays, pictures = (
        load_dataset(tmp_path / kind) for kind in ("texts", "arrays", "pictures")
    )
    assert texts.kind == "tokens"
    assert arrays.test.mask is not None
    assert pictures.image_shape == (4, 4, 1)
    for dataset in (texts, arrays, pictures):
        assert dataset.class_names == ("cat", "dog")
        assert sum(len(split) for split in dataset.splits.values()) == 24


def test_folders_called_train_and_test_are_the_parts(tmp_path: Path) -> None:
    for part, size in (("train", 40), ("test", 5)):
        (tmp_path / part).mkdir()
        write_names(tmp_path / part, size)
    dataset = load_dataset(tmp_path)
    assert len(dataset.test) == 10
    assert len(dataset.train) + len(dataset.validation) == 80


def test_csv_of_texts_series_and_long_tables(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    rows = [f'"text, {chr(97 + i)}",{"yes" if i % 2 else "no"}' for i in range(24)]
    path.write_text("\n".join(["words,label", *rows]))
    texts = load_dataset(path, columns=CsvColumns(text="words"))
    assert texts.class_names == ("no", "yes")
    assert "text, a" in {texts.text(x) for s in texts.splits.values() for x in s.x}

    path.write_text("\n".join(["t1,t2,target", *(f"{i},{-i},{i % 2}" for i in range(24))]))
    series = load_dataset(path)
    assert series.train.x.shape[1:] == (2, 1)

    long = [f"{i},{t},{i * 10 + t},{i % 2}" for i in range(24) for t in reversed(range(2 + i % 2))]
    path.write_text("\n".join(["id,time,v,label", *long]))
    dataset = load_dataset(path, columns=CsvColumns(id="id", time="time"))
    assert dataset.test.mask is not None
    for split in dataset.splits.values():
        for x, length in zip(split.x, split.lengths, strict=True):
            assert (np.diff(x[:length, 0]) == 1).all()


def test_python_arrays_tf_data_and_functions() -> None:
    expected = load_dataset(
        {"x_train": X[:40], "y_train": Y[:40], "x_test": X[40:], "y_test": Y[40:]}
    )
    batched = tf.data.Dataset.from_tensor_slices((X[40:], Y[40:])).batch(7)
    single = tf.data.Dataset.from_tensor_slices((X[:40], Y[:40]))
    assert load_dataset({"train": single, "test": batched}).digest == expected.digest
    assert load_dataset((X, Y)).digest == load_dataset({"all": (X, Y)}).digest
    assert load_dataset(expected) is expected
    assert load_dataset("conftest:make_values").name == "conftest:make_values"


def test_tf_data_of_texts_ragged_tokens_and_one_hot_labels() -> None:
    words = [f"{chr(97 + i % 26)}{i}" for i in range(40)]
    labels = np.arange(40) % 2
    texts = tf.data.Dataset.from_tensor_slices((words, labels)).batch(7)
    assert load_dataset(texts).digest == load_dataset({"x": words, "y": labels}).digest
    ragged = tf.data.Dataset.from_generator(
        lambda: (([1] * (1 + i % 5) + [i + 2], i % 2) for i in range(40)),
        output_signature=(tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.int32)),
    )
    assert load_dataset(ragged).train.x.shape[1] == 6
    one_hot = tf.data.Dataset.from_tensor_slices((X, np.eye(3, dtype=np.int32)[Y]))
    assert load_dataset(one_hot).digest == load_dataset((X, Y)).digest
    square = tf.data.Dataset.from_tensor_slices((X[:, :3], np.eye(3)[Y]))
    with pytest.raises(DataError, match=r"a batch, or one example with a one-hot label\?"):
        load_dataset(square)


def test_masked_tokens_are_padding_and_masks_are_completed() -> None:
    tokens, y = np.arange(1, 121).reshape(40, 3), np.arange(40) % 2
    dataset = load_dataset({"x_test": tokens, "y_test": y, "lengths_test": 1 + y})
    assert dataset.test.mask is None
    assert dataset.test.lengths.tolist() == (1 + y).tolist()
    partly = load_dataset(
        {"x_train": X, "y_train": Y, "lengths_train": Y + 1, "x_test": X, "y_test": Y}
    )
    assert partly.test.mask is not None
    assert partly.test.mask.all()


def test_a_loaded_data_set_can_still_be_limited(values: SequenceDataset) -> None:
    assert len(load_dataset(values, limit_examples=5).train) == 5
    with pytest.raises(DataError, match="comes too late"):
        load_dataset(values, layout="rows")
    with pytest.raises(DataError, match="Columns are of a CSV file"):
        load_dataset("mnist-5k", columns=CsvColumns(text="words"))
    with pytest.raises(DataError, match="The data set 'test_load:fail' failed: KeyError: 'x'"):
        load_dataset("test_load:fail")


def fail() -> None:
    raise KeyError("x")


def test_times_keep_their_precision(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    rows = [f"{i},{1_700_000_000 + t},{t + i},{i % 2}" for i in range(24) for t in (2, 1, 0)]
    path.write_text("\n".join(["id,time,v,label", *rows]))
    dataset = load_dataset(path, columns=CsvColumns(id="id", time="time"))
    assert (np.diff(dataset.train.x[:, :, 0]) == 1).all()
    path.write_text("id,time,v,label\n1,5,0,a\n1,5,1,a\n")
    with pytest.raises(DataError, match="two rows of one time"):
        load_dataset(path, columns=CsvColumns(id="id", time="time"))


def test_a_reshuffled_tf_data_is_refused() -> None:
    shuffled = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(60, seed=1)
    with pytest.raises(DataError, match="another order the second time"):
        load_dataset(shuffled)


def bad_arrays() -> dict[str, tuple[dict[str, Any], str]]:
    nan = X.copy()
    nan[3, 0, 0] = np.nan
    return {
        "no labels": ({"x": X}, "no key 'y'"),
        "other keys": ({"a": X}, r"unknown keys \['a'\]"),
        "both kinds": ({"x": X, "y": Y, "x_test": X, "y_test": Y}, "x and y alone"),
        "counts": ({"x": X, "y": Y[:-1]}, "60 examples, but y 59"),
        "negative": ({"x": X, "y": Y - 1}, "Labels are -1, 0, 1"),
        "gap": ({"x": X, "y": Y * 2}, "without gaps"),
        "out of range": ({"x": X, "y": Y, "class_names": ["a", "b"]}, "Label 2 of example 2"),
        "same names": ({"x": X, "y": Y, "class_names": ["a", "a", "b"]}, "must differ"),
        "fractions": ({"x": X, "y": Y + 0.5}, "not whole numbers"),
        "two-hot": ({"x": X, "y": np.ones((60, 3))}, "not one-hot"),
        "one class": ({"x": X, "y": Y * 0}, "two classes or more"),
        "few": ({"x": X[:2], "y": Y[:2], "class_names": list("abc")}, "fewer than the 3 classes"),
        "too few to split": ({"x": X[:6], "y": Y[:6]}, "too few to cut a tenth"),
        "nan": ({"x": nan, "y": Y}, "1 examples of the .* part hold NaN"),
        "flat": ({"x": X[:, :, 0], "y": Y}, r"expected float \(examples, steps, features\)"),
        "negative tokens": ({"x_test": -np.ones((60, 4), int), "y_test": Y}, "the token -1"),
        "mask shape": ({"x": X, "y": Y, "mask": np.ones((60, 3))}, "mask has shape"),
        "mask and lengths": ({"x": X, "y": Y, "mask": X[..., 0], "lengths": Y}, "has both"),
        "empty sequence": ({"x": X, "y": Y, "lengths": Y}, "example 0 of x has no step"),
        "other features": (
            {"x_train": X, "y_train": Y, "x_test": X[:, :, :2], "y_test": Y},
            "examples of one shape",
        ),
        "unlike parts": (
            {"x_train": X, "y_train": Y, "x_test": X.astype(np.uint8), "y_test": Y},
            "of one type and number of axes",
        ),
        "long lengths": ({"x": X, "y": Y, "lengths": Y + 9}, "at most 6, the number of steps"),
        "huge tokens": ({"x_test": X[..., 0].astype(int) + 2**40, "y_test": Y}, "largest int32"),
        "ragged": (
            {"x": np.array([[1], [2, 3]], dtype=object), "y": [0, 1]},
            "one text an example",
        ),
        "texts of texts": ({"x": X.astype(str), "y": Y}, "one text an example"),
        "overflow": ({"x": X.astype(float) * 1e300, "y": Y}, "too large values"),
        "empty": ({"x": X[:0], "y": Y[:0]}, "no examples"),
        # From here on what a fuzz run found.
        "one value": ({"x": np.array(1.0), "y": Y}, "x is a single value"),
        "one label": ({"x": X, "y": np.array(1)}, "y is a single value"),
        "one name": ({"x": X, "y": Y, "class_names": "abc"}, r"class_names are <U3 \(\)"),
        "mask of texts": ({"x": X, "y": Y, "mask": X[..., 0].astype(str)}, "expected True and"),
        "mask of halves": ({"x": X, "y": Y, "mask": X[..., 0]}, "mask is float32, expected True"),
        "mask of records": (
            {"x": X, "y": Y, "mask": np.zeros((60, 6), [("a", "f8")])},
            "expected True and False",
        ),
        "half a length": ({"x": X, "y": Y, "lengths": Y + 1.5}, "one whole number an example"),
        "endless length": ({"x": X, "y": Y, "lengths": Y + np.inf}, "at most 6, .* up to inf"),
        "no length": ({"x": X, "y": Y, "lengths": Y * np.nan}, "one whole number an example"),
        "lengths of texts": ({"x": list("ab") * 30, "y": Y, "lengths": Y}, "lengths is for steps"),
        "endless label": ({"x": X, "y": np.where(Y > 1, np.inf, 0)}, "is no class index"),
        "huge label": ({"x": X, "y": np.where(Y > 1, 1e300, 0)}, r"Label 1e\+300 of example 2"),
        "complex label": ({"x": X, "y": Y * 1j}, "Labels of the all part are complex128"),
        "label of bytes": ({"x": X, "y": np.full(60, b"\xff")}, "are bytes, but not UTF-8"),
        "one-hot of nothing": ({"x": X, "y": np.zeros((60, 0))}, "not one-hot"),
        "half a character": ({"x": ["\udcff", "b"] * 30, "y": Y}, "text 0 of x holds what is no"),
        "half a name": (
            {"x": X, "y": Y, "class_names": ["\udcff", "b", "c"]},
            r"class name '\\udcff' is not UTF-8",
        ),
        "text of bytes": ({"x": np.array([b"\xff", b"b"] * 30), "y": Y}, "damaged or not UTF-8"),
        "no steps": ({"x_test": X[:, :0], "y_test": Y}, r"shape \(\d+, 0, 3\); its examples hold"),
        "complex pictures": (
            {"x_test": np.zeros((60, 4, 4, 1), complex), "y_test": Y},
            "x of the train part is complex128",
        ),
    }


@pytest.mark.parametrize("case", bad_arrays())
def test_bad_arrays_are_refused_with_what_was_found(case: str) -> None:
    arrays, message = bad_arrays()[case]
    with pytest.raises(DataError, match=message):
        load_dataset(arrays)


def bad_files() -> dict[str, tuple[Callable[[Path], object], str]]:
    return {
        "parts": (_part_folders, "expected train and test"),
        "nested": (_nested_folder, "holds the folder 'b'"),
        "empty.npz": (lambda path: path.touch(), "is empty"),
        "text.npz": (lambda path: path.write_text("hello"), "Cannot read|damaged"),
        "truncated.npz": (_truncated, "Cannot read"),
        "pickled.npz": (_pickled, "Pickles can run code"),
        "single.npz": (_single, "a single array"),
        "data.parquet": (lambda path: path.write_text("x"), "expected .npz, .csv or a folder"),
        "empty.csv": (lambda path: path.touch(), "is empty"),
        "header.csv": (lambda path: path.write_text("a,label\n"), "no rows"),
        "ragged.csv": (lambda path: path.write_text("a,label\n1,2\n1,2,3\n"), "as CSV"),
        "nolabel.csv": (lambda path: path.write_text("a,b\n1,2\n"), "--label-column"),
        "word.csv": (lambda path: path.write_text("a,label\nx,2\n"), "column 'a' holds 'x'"),
        "hole.csv": (lambda path: path.write_text("a,label\n1,\n"), "row 2 has no label"),
        "latin.csv": (lambda path: path.write_bytes(b"a,label\n\xe9,2\n"), "not UTF-8"),
        "empty folder": (lambda path: path.mkdir(), "is empty"),
        "latin folder": (_latin_folder, "not UTF-8 in line 2"),
        "mixed folder": (_mixed_folder, r"holds folders \('a'\) and files"),
        "odd folder": (_odd_folder, r"expected one .txt file a class"),
        "empty class": (_empty_class, "class 'a' has no examples"),
        "broken picture": (_broken_picture, "as a picture"),
        "sizes": (_two_sizes, "one size and kind"),
        # From here on what a fuzz run found.
        "long rows.csv": (lambda path: path.write_text("label,a\nx,1,2\ny,3,4\n"), "more fields"),
        "short row.csv": (lambda path: path.write_text("a,label\n1,x\n2\n"), "row 3 has no label"),
        "compression.npz": (_odd_compression, "as an npz archive"),
        "deflate.npz": (_broken_deflate, "as an npz archive: Error -3"),
        "huge.npz": (_huge, "as an npz archive: Unable to allocate"),
        "text entry.npz": (_text_entry, "the entry 'x' is no array"),
        "broken chunks": (_broken_chunks, "as a picture"),
        "archive folder": (_archive_folder, "holds no array of numbers"),
        "folder of texts as arrays": (_arrays_of_texts, "holds no array of numbers"),
        "odd class": (_odd_class, r"class name 'a\\udcff' is not UTF-8"),
        "odd \udcff.npz": (lambda path: np.savez(path, x=X, y=Y), "is not UTF-8; rename the data"),
    }


def _odd_compression(path: Path) -> None:
    np.savez(path, x=X, y=Y)
    content = bytearray(path.read_bytes())
    content[8] = content[content.index(b"PK\x01\x02") + 10] = 99
    path.write_bytes(content)


def _broken_deflate(path: Path) -> None:
    np.savez_compressed(path, x=X, y=Y)
    content = bytearray(path.read_bytes())
    content[60:90] = b"\xff" * 30
    path.write_bytes(content)


def _huge(path: Path) -> None:
    head = io.BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (10**13, 10)}
    np.lib.format.write_array_header_1_0(head, shape)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", head.getvalue())


def _text_entry(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "text")


def _broken_chunks(path: Path) -> None:
    (path / "a").mkdir(parents=True)
    file = path / "a" / "0.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(file)
    content = file.read_bytes()
    file.write_bytes(content.replace(b"IDAT", b"ID\x00T"))


def _archive_folder(path: Path) -> None:
    (path / "a").mkdir(parents=True)
    with (path / "a" / "0.npy").open("wb") as file:
        np.savez(file, x=X)


def _arrays_of_texts(path: Path) -> None:
    (path / "a").mkdir(parents=True)
    np.save(path / "a" / "0.npy", np.array([["a", "b"]]))


def _odd_class(path: Path) -> None:
    path.mkdir()
    for name in ("a\udcff", "b"):
        (path / f"{name}.txt").write_text("\n".join(f"{name[0]}{i}" for i in range(20)))


def _part_folders(path: Path) -> None:
    for part in ("train", "test", "other"):
        (path / part).mkdir(parents=True)


def _nested_folder(path: Path) -> None:
    (path / "a" / "b").mkdir(parents=True)
    (path / "a" / "0.txt").write_text("text")


def _truncated(path: Path) -> None:
    np.savez(path, x=X, y=Y)
    path.write_bytes(path.read_bytes()[:700])


def _pickled(path: Path) -> None:
    np.savez(path, x=np.array([{}], dtype=object), y=Y[:1])


def _single(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, X)


def _latin_folder(path: Path) -> None:
    path.mkdir()
    (path / "a.txt").write_bytes(b"fine\n\xe9\n")


def _mixed_folder(path: Path) -> None:
    (path / "a").mkdir(parents=True)
    (path / "b.txt").touch()


def _odd_folder(path: Path) -> None:
    path.mkdir()
    (path / "a.doc").touch()


def _empty_class(path: Path) -> None:
    path.mkdir()
    (path / "a.txt").write_text("\n\n")


def _broken_picture(path: Path) -> None:
    (path / "a").mkdir(parents=True)
    (path / "a" / "0.png").write_text("no picture")


def _two_sizes(path: Path) -> None:
    (path / "a").mkdir(parents=True)
    for i in (4, 5):
        Image.fromarray(np.zeros((i, i), np.uint8)).save(path / "a" / f"{i}.png")


@pytest.mark.parametrize("name", bad_files())
def test_bad_files_are_refused_with_what_was_found(name: str, tmp_path: Path) -> None:
    write, message = bad_files()[name]
    write(tmp_path / name)
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path / name)


def test_unknown_names_and_layouts_say_what_is_near() -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean 'mnist-5k'\? Available: mnist-5k, "):
        load_dataset("mnist5k")
    with pytest.raises(UnknownNameError, match="Did you mean 'columns'"):
        load_dataset("mnist-5k", layout="column")
    with pytest.raises(UnknownNameError, match=r"no_module.* Expected package.module:function"):
        load_dataset("no_module:load")
    with pytest.raises(DataError, match="A layout is for pictures"):
        load_dataset({"x_test": np.ones((20, 3), int), "y_test": np.arange(20) % 2}, layout="rows")


@pytest.mark.parametrize("data", [object(), [], 3.5, None])
def test_what_is_no_data_at_all_is_refused(data: object) -> None:
    with pytest.raises(DataError, match=f"The data is a {type(data).__name__}; expected a name"):
        load_dataset(data)


def test_a_mask_is_of_rows_alone() -> None:
    x = np.zeros((60, 4, 3), np.uint8)
    pictures = {"x_test": x, "y_test": Y, "mask_test": np.ones((60, 4))}
    assert load_dataset(pictures).test.mask is not None
    with pytest.raises(DataError, match="has a mask, which is of rows; --layout columns has other"):
        load_dataset(pictures, layout="columns")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_data_without_a_finite_value_can_be_checked(value: float) -> None:
    dataset = load_dataset({"x_test": X * value, "y_test": Y}, require_finite=False)
    assert dataset.bounds is None


def test_a_name_that_is_too_long_is_no_data() -> None:
    with pytest.raises(UnknownNameError, match="Unknown data set"):
        load_dataset("a" * 300)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"columns": {"no": "x"}}, "the column 'no'"), ({"limit_examples": -1}, "limit_examples=-1")],
)
def test_a_source_that_was_damaged_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(DataError, match=f"says {said} of its data, which means nothing"):
        load_again({"data": "values.csv", **change})


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("", "row 3, column 'a' holds '', expected a number; fill in what is missing"),
        ("x", "row 3, column 'a' holds 'x', expected a number; a column of texts is named by"),
    ],
)
def test_a_cell_that_is_no_number_is_named_with_its_mend(
    tmp_path: Path, cell: str, told: str
) -> None:
    (tmp_path / "some.csv").write_text(f"a,b,label\n1,2,u\n{cell},3,v\n")
    with pytest.raises(DataError, match=re.escape(told)):
        load_dataset(tmp_path / "some.csv")


def test_two_labels_of_one_series_are_told_plainly(tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_text("id,t,a,label\n1,0,2,u\n1,1,3,v\n")
    columns = CsvColumns(id="id", time="t")
    with pytest.raises(DataError, match="the rows of id '1' have the labels 'u' and 'v'"):
        load_dataset(tmp_path / "some.csv", columns=columns)
