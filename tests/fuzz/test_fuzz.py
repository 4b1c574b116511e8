"""The fuzz run: made-up input of every kind must end in one line and a status, and harm no file.

Here about 120 cases run, the same ones each time. The long run, with new ones each time:

    RNNPROBE_FUZZ=2000 pytest -n 0 -s tests/fuzz/test_fuzz.py

It prints for each family how its cases ended. `RNNPROBE_FUZZ_KEEP=FOLDER` keeps there what is
needed to repeat each finding.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from fuzz_bench import Bench
from fuzz_case import DATA, MODEL, OTHER_MODEL, THEIRS, Case
from fuzz_judges import judge_files
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_archives import archive_cases, run_folder_cases, settled, settled_lines
from made_arrays import npz_bytes, unzipped, zip_bytes
from made_data import csv_cases, folder_cases, npz_cases, prediction_cases
from made_options import option_cases, setting_cases

_TOTAL = int(os.environ.get("RNNPROBE_FUZZ", "0"))
_SHARES = {
    "options": 0.23,
    "npz": 0.17,
    "csv": 0.13,
    "folders": 0.11,
    "predictions": 0.1,
    "archives": 0.11,
    "run folders": 0.08,
    "settings": 0.07,
}


_RUN_FILES = ("experiment.json", "results.jsonl")


@pytest.fixture(scope="module")
def common(saved_model: Path, values_npz: Path) -> dict[str, bytes | None]:
    """What every case finds in its folder: a model, its data, and files of somebody else."""
    from rnnprobe.cli import run

    made = saved_model.parent / "ours"
    made.mkdir()
    for suffix in ("md", "json"):
        assert run(["data", "list", "-o", str(made / f"ours.{suffix}"), "-q"]) == 0
    entries = unzipped(saved_model.read_bytes())
    metadata = settled(json.loads(entries["rnnprobe.json"]))
    model = zip_bytes({**entries, "rnnprobe.json": json.dumps(metadata).encode()})
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 30)
    arrays = {"y_true": np.arange(30) % 3, "probabilities": probabilities}
    theirs = dict(unzipped(model))
    del theirs["rnnprobe.json"]
    return {
        MODEL: model,
        OTHER_MODEL: model,
        DATA: values_npz.read_bytes(),
        "predictions.npz": npz_bytes(arrays),
        "ten.npz": ten_classes(),
        **THEIRS,
        "theirs.npz": npz_bytes({"precious": np.arange(3)}),
        "theirs.keras": zip_bytes(theirs),
        "ours.md": (made / "ours.md").read_bytes(),
        "ours.json": (made / "ours.json").read_bytes(),
        "folder/inside.txt": b"text\n",
        "rnnprobe.toml": b"[data.check]\nlimit-examples = 20\n",
        "broken.py": b"1 / 0\n",
        "good.py": b"x = 1\n",
    }


@pytest.fixture(scope="module")
def bench(common: Mapping[str, bytes | None], tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Runs the cases."""
    return Bench(tmp_path_factory.mktemp("fuzz"), common)


@pytest.fixture(scope="module")
def runs(values_npz: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The files of complete run folders, by command."""
    return made_runs(values_npz, tmp_path_factory.mktemp("runs"))


def ten_classes() -> bytes:
    """Return data that may take the place of MNIST."""
    x = np.random.default_rng(0).normal(size=(300, 4, 3)).astype(np.float32)
    return npz_bytes({"x": x, "y": np.arange(300) % 10})


def made_runs(data: Path, folder: Path) -> dict[str, dict[str, bytes]]:
    """Run a tiny sweep and search, and read their folders."""
    from rnnprobe.cli import run

    common = ["--cell", "dense", "--units", "2,3", "--epochs", "1", "--data", str(data), "-q"]
    common += ["--workers", "1", "-o", str(folder / "report.md")]
    assert run(["sweep", *common, "--run-dir", str(folder / "sweep"), "--layers", "1"]) == 0
    tune = ["--tuner", "random", "--trials", "1", "--model-out", str(folder / "best.keras")]
    assert run(["tune", *common, *tune, "--run-dir", str(folder / "tune")]) == 0
    # Its models are large and ended at once; what the sweep measured is put in their place.
    (folder / "ten.npz").write_bytes(ten_classes())
    reproduce = ["reproduce", "lstm-optimizers", "--data", str(folder / "ten.npz"), "-q"]
    reproduce += ["--limit", "optimizer=adam", "--max-seconds", "0.001", "--workers", "1"]
    report = ["-o", str(folder / "report.md"), "--run-dir", str(folder / "reproduce")]
    assert run([*reproduce, *report]) == 1
    finished = json.loads((folder / "sweep" / "results.jsonl").read_text().splitlines()[0])["run"]
    results = folder / "reproduce" / "results.jsonl"
    entries = [json.loads(line) for line in results.read_text().splitlines()]
    for entry in entries[1:]:
        entry["run"] |= {name: finished[name] for name in ("status", "history", "message")}
        points = {f"train_{point}": 0.5 for point in range(1, 6)}
        entry["run"]["metrics"] = finished["metrics"] | points
    results.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return {
        command: {name: settled_lines(folder / command / name) for name in _RUN_FILES}
        for command in ("sweep", "tune", "reproduce")
    }


def fuzz(bench: Bench, family: str, cases: st.SearchStrategy[Case], total: int) -> None:
    """Run a family's share of the cases, and fail with all that was found."""

    @settings(
        max_examples=round(_SHARES[family] * _TOTAL) if _TOTAL else total,
        deadline=None,
        derandomize=not _TOTAL,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def run(case: Case) -> None:
        bench.run(family, case)

    run()
    bench.settle(family)


def test_options_of_any_value(bench: Bench) -> None:
    fuzz(bench, "options", option_cases(), 28)


def test_npz_files_of_any_content(bench: Bench) -> None:
    fuzz(bench, "npz", npz_cases(), 20)


def test_csv_files_of_any_content(bench: Bench) -> None:
    fuzz(bench, "csv", csv_cases(), 18)


def test_folders_of_any_content(bench: Bench) -> None:
    fuzz(bench, "folders", folder_cases(), 16)


def test_predictions_of_any_content(bench: Bench) -> None:
    fuzz(bench, "predictions", prediction_cases(), 16)


def test_changed_archives(bench: Bench, common: Mapping[str, bytes | None]) -> None:
    model = common[MODEL] or b""
    fuzz(bench, "archives", archive_cases(model), 9)


def test_changed_run_folders(bench: Bench, runs: Mapping[str, Mapping[str, bytes]]) -> None:
    fuzz(bench, "run folders", run_folder_cases(runs), 7)


def test_settings_of_any_value(bench: Bench) -> None:
    fuzz(bench, "settings", setting_cases(), 8)


@pytest.mark.parametrize("name", [*THEIRS, "theirs.npz", "theirs.keras", DATA])
def test_somebody_elses_file_is_replaced_by_force_alone(
    bench: Bench, name: str, tmp_path: Path
) -> None:
    written = "csv" if name.endswith(".csv") else "md"
    assert bench.run("theirs", Case(("data", "list", "-o", name, "--format", written))) == 2
    bench.settle("theirs")
    before = {name: ("file", b"theirs")}
    for force, found in ((False, [f"replaced '{name}', which is somebody else's"]), (True, [])):
        case = Case(("data", "list", "-o", name), force=force)
        assert judge_files(case, tmp_path, before, {}, 0) == found
