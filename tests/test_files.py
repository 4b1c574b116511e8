from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from rnnprobe._archive import add_metadata, read_metadata
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


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.md", b"**Tune** x\n\n_Made by rnnprobe 0.1.0, keras 3_\n"),
        ("a.json", b'{\n  "schema": "rnnprobe.tune/1"\n}'),
        ("a.csv", b"trial,cell,units\n1,lstm,2\n"),
        ("a.png", b"\x89PNG....tEXtSoftware\x00rnnprobe 0.1.0"),
    ],
)
def test_own_files_are_known_by_their_mark(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert written_by_rnnprobe(path)
    path.write_bytes(content.replace(b"rnnprobe", b"somebody").replace(b"trial", b"other"))
    assert not written_by_rnnprobe(path)


def test_a_document_with_a_pasted_table_is_the_users(tmp_path: Path) -> None:
    path = tmp_path / "thesis.md"
    pasted = "**Tune** x\n\n| a |\n|--:|\n| 1 |\n\n_Made by rnnprobe 0.1.0_\n"
    for text in ("# My thesis\n\n" + pasted, pasted + "\nMy words.\n", pasted + pasted):
        path.write_text(text)
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


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"other.txt": "x"}, "no config.json"),
        ({"config.json": "{}", "rnnprobe.json": "{"}, "Cannot read"),
        ({"config.json": "{}", "rnnprobe.json": json.dumps({"schema": "x"})}, "not of schema"),
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
