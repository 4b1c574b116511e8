"""Every example runs, on tiny budgets, as a user would run it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
ARGUMENTS = {
    "tune_and_probe.py": ["2", "1"],
    "sweep_and_compare.py": ["1", "1"],
    "attack_and_compare.py": ["1", "10"],
    "mistakes_and_retrain.py": ["1", "1", "500"],
    "inside_three_cells.py": ["1", "200"],
    "lab_report.py": ["--quick"],
}
SAID = {
    "tune_and_probe.py": "best of 2",
    "sweep_and_compare.py": "units, rate",
    "attack_and_compare.py": "fooled by 16 of 28 steps",
    "mistakes_and_retrain.py": "mistakes only less random subset",
    "inside_three_cells.py": "gradient of the cell state at the first row",
    "lab_report.py": "7 answers in lab_report",
}


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_example_runs(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *ARGUMENTS[name]],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert SAID[name] in done.stdout
    for report in tmp_path.rglob("*.md"):
        assert _pictures_shown(report) == {path.name for path in report.parent.glob("*.png")}


def test_the_lab_report_shows_the_pictures_beside_it_and_names_no_machine() -> None:
    report = EXAMPLES / "lab_report" / "report.md"
    text = report.read_text(encoding="utf-8")
    assert _pictures_shown(report) == {path.name for path in report.parent.glob("*.png")}
    assert text.count("**Answer.**") == 7
    assert not re.search(r"/(tmp|root|home|work)/", text)
    assert sum(path.stat().st_size for path in report.parent.iterdir()) < 1_000_000


def _pictures_shown(report: Path) -> set[str]:
    return set(re.findall(r"!\[[^\]]+\]\(([^)]+)\)", report.read_text(encoding="utf-8")))
