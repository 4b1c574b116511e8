"""Every example runs, on tiny budgets, as a user would run it."""

from __future__ import annotations

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
}
SAID = {
    "tune_and_probe.py": "best of 2",
    "sweep_and_compare.py": "units, rate",
    "attack_and_compare.py": "fooled by 16 of 28 steps",
    "mistakes_and_retrain.py": "mistakes only less random subset",
    "inside_three_cells.py": "gradient of the cell state at the first row",
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
