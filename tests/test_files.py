from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from rnnprobe._archive import SCHEMA, add_metadata, read_metadata, require_whole
from rnnprobe._files import atomic_path, check_output, write_text, written_by_rnnprobe
from rnnprobe.errors import ModelError, OutputError


def test_a_failing_block_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "result.md"
    target.write_text("old")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


PAGE = (
    b'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    b'<meta name="generator" content="rnnprobe 0.1.0">\n</head>\n<body></body>\n</html>\n'
    b"<!-- Written by rnnprobe -->\n"
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.md", b"**Tune** x\n\n_Made by rnnprobe 0.1.0, keras 3_\n"),
        ("a.json", b'{\n  "schema": "rnnprobe.tune/1"\n}'),
        ("a.csv", b"trial,cell,units\n1,lstm,2\n"),
        (
            "p.md",
            b"<!-- Written by rnnprobe 0.1.0 -->\n\n# x\n\n_Made by rnnprobe 0.1.0, keras 3_\n",
        ),
        ("p.html", PAGE),
        ("a.png", b"\x89PNG....tEXtSoftware\x00rnnprobe 0.1.0"),
    ],
)
def test_own_files_are_known_by_their_mark(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert written_by_rnnprobe(path)
    path.write_bytes(content.replace(b"rnnprobe", b"somebody").replace(b"trial", b"other"))
    assert not written_by_rnnprobe(path)


@pytest.mark.parametrize("name", ["", "name,"])
@pytest.mark.parametrize("true", ["", "true,"])
def test_predictions_are_known_by_the_classes_after_their_confidence(
    tmp_path: Path, name: str, true: str
) -> None:
    head = f"example,{name}{true}predicted,confidence,"
    path = tmp_path / "predictions.csv"
    path.write_text(head + "p_cat,p_dog\n")
    assert written_by_rnnprobe(path)
    path.write_text(head + "reviewed by\n")
    with pytest.raises(OutputError, match="give --force"):
        check_output(path)


def test_a_document_with_a_pasted_table_is_the_users(tmp_path: Path) -> None:
    path = tmp_path / "thesis.md"
    pasted = "**Tune** x\n\n| a |\n|--:|\n| 1 |\n\n_Made by rnnprobe 0.1.0_\n"
    for text in ("# My thesis\n\n" + pasted, pasted + "\nMy words.\n", pasted + pasted):
        path.write_text(text)
        with pytest.raises(OutputError, match="give --force"):
            check_output(path)


def test_a_page_that_somebody_changed_at_either_end_is_theirs(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    for text in (PAGE + b"<p>My words.</p>\n", b"<!-- mine -->\n" + PAGE, PAGE[:-20]):
        path.write_bytes(text)
        with pytest.raises(OutputError, match="give --force"):
            check_output(path)


def test_somebody_elses_file_needs_force(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text("mine")
    with pytest.raises(OutputError, match="give --force to replace it"):
        check_output(path)
    check_output(path, force=True)
    assert path.read_text() == "mine"


def test_folders_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="it is a folder"):
        check_output(tmp_path)
    with pytest.raises(OutputError, match="there is no folder"):
        check_output(tmp_path / "no" / "file.md")
    assert list(tmp_path.iterdir()) == []


def test_special_files_are_written_into() -> None:
    write_text(Path("/dev/null"), "text")
    assert Path("/dev/null").is_char_device()


def test_metadata_survives_and_foreign_archives_have_none(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    assert read_metadata(path) is None
    add_metadata(path, {"class_names": ["ä", "b"]})
    document = read_metadata(path)
    assert document is not None
    assert document["class_names"] == ["ä", "b"]


def metadata(**document: object) -> dict[str, str]:
    """The entries of an archive with metadata."""
    return {"config.json": "{}", "rnnprobe.json": json.dumps({"schema": SCHEMA, **document})}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"other.txt": "x"}, "no config.json"),
        ({"config.json": "{}", "rnnprobe.json": "{"}, "Cannot read"),
        ({"config.json": "{}", "rnnprobe.json": json.dumps({"schema": "x"})}, "not of schema"),
        # From here on what a fuzz run found.
        ({"config.json": "{}", "rnnprobe.json": "[" * 100_000}, "Cannot read .*recursion"),
        (metadata(vocabulary="abc"), "'vocabulary' is 'abc', expected list or null"),
        (metadata(class_names=["a", 2]), r"'class_names.\*' is 2, expected str"),
        (metadata(data={"limit_examples": "9"}), "'data.limit_examples' is '9', expected int or"),
        (metadata(train={"seed": 1.5}), "'train.seed' is 1.5, expected int"),
        (metadata(train={"epochs": -1}), "in 'train' `epochs >= 1` must hold"),
        (metadata(train=None), "'train' is None, expected dict"),
        (metadata(hardened={}), "'hardened.schedule' is missing"),
        (metadata(history={"loss": [True]}), "is True, expected int or float"),
    ],
)
def test_damaged_archives_are_model_errors(
    tmp_path: Path, entries: dict[str, str], message: str
) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(ModelError, match=message):
        read_metadata(path)


def test_an_archive_whose_bytes_were_changed_is_a_model_error(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("rnnprobe.json", json.dumps({"schema": SCHEMA, "text": "abc" * 99}))
    content = bytearray(path.read_bytes())
    place = content.index(b"rnnprobe.json") + len("rnnprobe.json")
    content[place : place + 20] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"Cannot read .*Error -3"):
        read_metadata(path)


@pytest.mark.parametrize("missing", ["data", "class_names", "vocabulary", "model"])
def test_metadata_that_do_not_say_how_data_are_read_are_no_use(missing: str) -> None:
    whole = {"data": {"digest": "0"}, "class_names": ["a"], "vocabulary": None}
    whole |= {"model": {"cell": "rnn"}}
    require_whole(Path("m.keras"), whole)
    with pytest.raises(ModelError, match=f"'{missing}' is missing"):
        require_whole(Path("m.keras"), {k: v for k, v in whole.items() if k != missing})


def test_a_damaged_archive_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    path.write_bytes(b"PK\x05\x06" + b"\xff" * 16 + b"\0\0")
    with pytest.raises(OutputError, match="rnnprobe did not write it"):
        check_output(path)


@pytest.mark.parametrize(
    ("name", "said"), [("a" * 300, "File name too long"), ("\udcff.md", "name is not UTF-8")]
)
def test_a_name_that_cannot_be_one_is_refused_at_once(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(OutputError, match=f"Cannot write .*{said}"):
        check_output(tmp_path / name)
