"""What `confusions` and `compare` cost on 10,000 test examples, beyond import and prediction.

Usage: python tests/benchmarks/confusions_speed.py MNIST_NPZ

Two LSTMs of 128 units are trained for one epoch on full MNIST. Each command then runs in a process
that has imported Keras; what the predictions of its models take, compiling included, is measured in
another one and taken off. Prints Markdown.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

UNITS, SEEDS = 128, (0, 1)
COMMANDS = {
    "confusions, one model": ("confusions", "0.keras", "--plots", "plots"),
    "confusions, one model, no pictures": ("confusions", "0.keras"),
    "confusions, two models": ("confusions", "0.keras", "1.keras", "--plots", "plots"),
    "compare": ("compare", "0.keras", "1.keras"),
}
MEASURE = """
import sys, time
import keras, tensorflow, scipy.stats, matplotlib.figure, pandas  # noqa
from rnnprobe.cli import run
started = time.perf_counter()
assert run(sys.argv[1:]) == 0
print("SECONDS", time.perf_counter() - started)
"""
PREDICT = """
import sys, time
import keras, tensorflow  # noqa
from rnnprobe.opening import open_model
models = [open_model(path) for path in sys.argv[1:]]
started = time.perf_counter()
for model in models:
    model.predict("test")
print("SECONDS", time.perf_counter() - started)
"""


def seconds(code: str, arguments: list[str], folder: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=folder
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout.rsplit("SECONDS", 1)[1])


def main() -> None:
    data = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed in SEEDS:
            arguments = ["train", "--cell", "lstm", "--units", str(UNITS), "--epochs", "1"]
            arguments += ["--learning-rate", "0.003", "--data", str(data), "--seed", str(seed)]
            seconds(MEASURE, [*arguments, "--model-out", f"{seed}.keras", "-q"], folder)
        print("| command | whole, s | predictions, s | beyond, s |\n|:--|--:|--:|--:|")
        for what, command in COMMANDS.items():
            models = [part for part in command if part.endswith(".keras")]
            predicted = seconds(PREDICT, models, folder)
            whole = seconds(MEASURE, [*command, "-q", "-o", "out.md"], folder)
            print(f"| {what} | {whole:.1f} | {predicted:.1f} | {whole - predicted:.1f} |")
            time.sleep(1)


if __name__ == "__main__":
    main()
