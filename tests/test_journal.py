from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest

from rnnprobe.errors import OutputError
from rnnprobe.journal import RESULTS, Journal, read_experiment, read_results

EXPERIMENT = {"command": "sweep", "fixed": {"axes": {"units": [1, 2]}, "seed": 0}, "wanted": {}}


def keys(folder: Path) -> list[str]:
    return [entry["key"] for entry in read_results(folder)[0]]


def test_what_was_appended_is_there_when_the_run_is_resumed(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "run"
    with Journal(folder, EXPERIMENT, resume=False) as journal:
        journal.append({"key": "one", "value": 1})
        journal.append({"key": "two", "value": [2.5, None]})
    with Journal(folder, EXPERIMENT, resume=True) as journal:
        assert journal.entries[1] == {"key": "two", "value": [2.5, None]}
        journal.append({"key": "three"})
    assert keys(folder) == ["one", "two", "three"]
    assert read_experiment(folder) == EXPERIMENT


@pytest.mark.parametrize("cut", range(1, 14))
def test_a_torn_line_counts_as_not_written(tmp_path: Path, cut: int) -> None:
    with Journal(tmp_path, EXPERIMENT, resume=False) as journal:
        journal.append({"key": "one"})
        journal.append({"key": "two"})
    path = tmp_path / RESULTS
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(tmp_path, EXPERIMENT, resume=True) as journal:
        assert [entry["key"] for entry in journal.entries] == ["one"]
        journal.append({"key": "three"})
    assert keys(tmp_path) == ["one", "three"]


def test_a_line_that_is_no_result_is_counted_and_passed_over(tmp_path: Path) -> None:
    with Journal(tmp_path, EXPERIMENT, resume=False) as journal:
        journal.append({"key": "one"})
    with (tmp_path / RESULTS).open("ab") as file:
        file.write(b'{"key": "tw\n[1, 2]\n\xff\xfe\n{"key": "four"}\n')
    with Journal(tmp_path, EXPERIMENT, resume=True) as journal:
        assert [entry["key"] for entry in journal.entries] == ["one", "four"]
        assert journal.unreadable == 3


def test_a_write_that_fails_leaves_whole_lines(tmp_path: Path) -> None:
    with Journal(tmp_path, EXPERIMENT, resume=False) as journal:
        journal.append({"key": "one"})
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        size = (tmp_path / RESULTS).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5, limits[1]))
        try:
            with pytest.raises(OutputError, match=r"only 5 of \d+ bytes were written; what it hol"):
                journal.append({"key": "two"})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        journal.append({"key": "three"})
    assert (tmp_path / RESULTS).read_text() == '{"key": "one"}\n{"key": "three"}\n'


def test_a_folder_that_holds_a_run_is_not_written_over(tmp_path: Path) -> None:
    Journal(tmp_path, EXPERIMENT, resume=False).close()
    with pytest.raises(OutputError, match="holds a run already; give --resume"):
        Journal(tmp_path, EXPERIMENT, resume=False)


@pytest.mark.parametrize(
    ("fixed", "said"),
    [
        ({"axes": {"units": [1, 3]}, "seed": 0}, "--units is 1,2 there and 1,3 here"),
        ({"axes": {}, "seed": 0}, "--units is 1,2 there and the default here"),
        ({"axes": {"units": [1, 2]}, "seed": 7}, "--seed is 0 there and 7 here"),
    ],
)
def test_another_experiment_is_refused(tmp_path: Path, fixed: dict[str, object], said: str) -> None:
    Journal(tmp_path, EXPERIMENT, resume=False).close()
    with pytest.raises(OutputError, match=f"holds another experiment: {said}; give another"):
        Journal(tmp_path, {**EXPERIMENT, "fixed": fixed}, resume=True)
    assert read_experiment(tmp_path) == EXPERIMENT


def test_what_may_change_is_written_anew(tmp_path: Path) -> None:
    Journal(tmp_path, EXPERIMENT, resume=False).close()
    wanted = {**EXPERIMENT, "wanted": {"repeats": 5}}
    Journal(tmp_path, wanted, resume=True).close()
    assert read_experiment(tmp_path) == wanted


def test_two_processes_do_not_write_to_one_folder(tmp_path: Path) -> None:
    with (
        Journal(tmp_path, EXPERIMENT, resume=False),
        pytest.raises(OutputError, match="Another process is writing"),
    ):
        Journal(tmp_path, EXPERIMENT, resume=True)


def test_a_folder_whose_maker_died_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / RESULTS).touch()
    (tmp_path / ".rnnprobe-abc.json").write_text("{")
    with Journal(tmp_path, EXPERIMENT, resume=True) as journal:
        journal.append({"key": "one"})
    assert read_experiment(tmp_path) == EXPERIMENT


def test_somebody_elses_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(OutputError, match="is no run folder of rnnprobe and is not empty"):
        Journal(tmp_path, EXPERIMENT, resume=True)
    (tmp_path / "experiment.json").write_text(json.dumps({"schema": "else"}))
    with pytest.raises(OutputError, match=r"Cannot read .*another schema"):
        Journal(tmp_path, EXPERIMENT, resume=True)
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(OutputError, match="Cannot write to"):
        Journal(blocked / "run", EXPERIMENT, resume=False)
