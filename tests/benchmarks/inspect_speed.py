"""What `inspect` costs on 10,000 test examples, part by part, beside a prediction of them.

Usage: python tests/benchmarks/inspect_speed.py MNIST_NPZ

An LSTM of 128 units is trained for one epoch on full MNIST. Each part then runs as a command of its
own, all of them as one, with pictures; whole times hold the start of Python and the import of
Keras. No other tool looks into recurrent models of Keras 3, so the peer is the model itself: the
seconds that its prediction takes, start and import left out. Prints Markdown.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from confusions_speed import PREDICT, seconds

from rnnprobe.inspection import PARTS


def command(arguments: list[str], folder: Path) -> float:
    """Run rnnprobe and return its seconds."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "rnnprobe", *arguments], check=True, cwd=folder, capture_output=True
    )
    return time.perf_counter() - started


def main() -> None:
    data = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train = ["train", "--cell", "lstm", "--units", "128", "--epochs", "1", "--data", str(data)]
        command([*train, "--learning-rate", "0.003", "--model-out", "lstm.keras", "-q"], folder)
        print(f"prediction of 10,000: {seconds(PREDICT, ['lstm.keras'], folder):.1f} s\n")
        print("| part | whole, s | largest memory so far, MB |\n|:--|--:|--:|")
        for part in (*PARTS, ",".join(PARTS)):
            whole = command(
                ["inspect", "lstm.keras", "--what", part, "--plots", "p", "-o", "out.md"], folder
            )
            memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(f"| {part.replace(',', ', ')} | {whole:.1f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
