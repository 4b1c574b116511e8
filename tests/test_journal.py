from __future__ import annotations

import json
import math
import resource
from pathlib import Path

import pytest

from rnnprobe.errors import OutputError
from rnnprobe.journal import RESULTS, Journal, read_experiment, read_results

SAME = {"settings": {"epochs": 1}, "data": {"name": "values", "digest": "0"}}
EXPERIMENT = {
    "command": "sweep",
    "fixed": {"axes": {"units": [1, 2]}, "seed": 0, **SAME},
    "wanted": {},
    "source": {"data": "values.npz"},
}
METRICS = dict.fromkeys(
    (
        *("epoch", "loss", "accuracy", "val_loss", "val_accuracy"),
        *("test_loss", "test_accuracy", "test_correct"),
    ),
    1,
)
RUN = {
    "dataset_digest": "0",
    "model": {"cell": "rnn"},
    "train": {"epochs": 1},
    "status": "ok",
    "history": {"loss": [0.5], "val_loss": [0.5]},
    "metrics": METRICS,
    "seconds": 1.0,
    "peak_memory": None,
    "parameters": 3,
    "versions": {},
    "message": "",
}


def result(key: str, **more: object) -> dict[str, object]:
    return {"key": key, "run": RUN, "hits": "", **more}


def keys(folder: Path) -> list[str]:
    return [entry["key"] for entry in read_results(folder)[0]]


def test_what_was_appended_is_there_when_the_run_is_resumed(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "run"
    with Journal(folder, EXPERIMENT, resume=False) as journal:
        journal.append(result("one", value=1))
        journal.append(result("two", value=[2.5, None]))
    with Journal(folder, EXPERIMENT, resume=True) as journal:
        assert journal.entries[1] == result("two", value=[2.5, None])
        journal.append(result("three"))
    assert keys(folder) == ["one", "two", "three"]
    assert read_experiment(folder) == EXPERIMENT


@pytest.mark.parametrize("cut", range(1, 14))
def test_a_torn_line_counts_as_not_written(tmp_path: Path, cut: int) -> None:
    with Journal(tmp_path, EXPERIMENT, resume=False) as journal:
        journal.append(result("one"))
        journal.append(result("two"))
    path = tmp_path / RESULTS
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(tmp_path, EXPERIMENT, resume=True) as journal:
        assert [entry["key"] for entry in journal.entries] == ["one"]
        journal.append(result("three"))
    assert keys(tmp_path) == ["one", "three"]


def test_a_line_that_is_no_result_is_counted_and_passed_over(tmp_path: Path) -> None:
    with Journal(tmp_path, EXPERIMENT, resume=False) as journal:
        journal.append(result("one"))
    with (tmp_path / RESULTS).open("ab") as file:
        four = json.dumps(result("four")).encode()
        file.write(b'{"key": "tw\n[1, 2]\n\xff\xfe\n' + four + b"\n")
    with Journal(tmp_path, EXPERIMENT, resume=True) as journal:
        assert [entry["key"] for entry in journal.entries] == ["one", "four"]
        assert journal.unreadable == 3


def test_a_write_that_fails_leaves_whole_lines(tmp_path: Path) -> None:
    with Journal(tmp_path, EXPERIMENT, resume=False) as journal:
        journal.append(result("one"))
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        size = (tmp_path / RESULTS).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5, limits[1]))
        try:
            with pytest.raises(OutputError, match=r"only 5 of \d+ bytes were written; what it hol"):
                journal.append(result("two"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        journal.append(result("three"))
    whole = [json.dumps(result(key)) for key in ("one", "three")]
    assert (tmp_path / RESULTS).read_text().splitlines() == whole


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
    fixed = {**fixed, **SAME}
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
        journal.append(result("one"))
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


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fixed": {}}, "'fixed.settings' is missing"),
        ({"fixed": {**EXPERIMENT["fixed"], "settings": {"epochs": "1"}}}, "is '1', expected int"),  # type: ignore[dict-item]
        ({"source": {"columns": ["a"]}}, r"'source.columns' is \['a'\], expected dict or null"),
        ({"command": None}, "'command' is None, expected str"),
        ({"fixed": {**EXPERIMENT["fixed"], "axes": {"units": [10**400]}}}, "expected finite str"),  # type: ignore[dict-item]
        ({"fixed": {**EXPERIMENT["fixed"], "seed": 10**400}}, "expected finite int"),  # type: ignore[dict-item]
    ],
)
def test_a_description_of_other_kinds_is_refused(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    text = json.dumps({"schema": "rnnprobe.run/1", **EXPERIMENT, **change})
    (tmp_path / "experiment.json").write_text(text)
    with pytest.raises(OutputError, match=f"Cannot read .*{said}"):
        read_experiment(tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", '"run"'])
def test_a_description_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "experiment.json").write_text(text)
    with pytest.raises(OutputError, match="Cannot read"):
        read_experiment(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"run": {}},
        {"run": {**RUN, "units": 3}},
        {"run": {**RUN, "train": {"epochs": 0}}},
        {"run": {**RUN, "train": {"epochs": "x"}}},
        {"run": {**RUN, "model": {"cell": "rnn", "unitsx": 3}}},
        {"run": {**RUN, "metrics": {"val_accuracy": "high"}}},
        {"run": {**RUN, "metrics": {}}},
        {"run": {**RUN, "metrics": {**METRICS, "val_accuracy": math.nan}}},
        {"run": {**RUN, "history": {"loss": [math.inf]}}},
        {"run": {**RUN, "peak_memory": math.nan}},
        {"run": {**RUN, "train": {"learning_rate": 10**400}}},
        {"run": {**RUN, "train": {"seed": 10**400}}},
        {"run": {**RUN, "parameters": 10**400}},
        {"run": {**RUN, "status": "fine"}},
        {"run": {**RUN, "history": {"loss": [1.0, 2.0], "val_loss": [1.0]}}},
        {"hits": "zz"},
        {"key": 3},
        {"trial": {"number": 1}},
    ],
    ids=str,
)
def test_a_result_of_other_kinds_counts_as_unreadable(
    tmp_path: Path, change: dict[str, object]
) -> None:
    lines = [json.dumps(result("one")), json.dumps({**result("two"), **change}), "[" * 100_000]
    (tmp_path / RESULTS).write_text("\n".join(lines) + "\n")
    assert keys(tmp_path) == ["one"]
    assert read_results(tmp_path)[1] == 2


def test_what_did_not_finish_is_read_without_metrics_or_epochs(tmp_path: Path) -> None:
    dead = {**RUN, "status": "dnf", "history": {}, "metrics": {}, "message": "nan: the loss is nan"}
    early = {**dead, "history": {"loss": [], "val_loss": []}, "metrics": {"epoch": 0}}
    lines = [json.dumps(result("dead", run=dead)), json.dumps(result("early", run=early))]
    (tmp_path / RESULTS).write_text("\n".join(lines) + "\n")
    assert keys(tmp_path) == ["dead", "early"]
