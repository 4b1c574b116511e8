"""Time a grid of LSTMs against KerasTuner's GridSearch and a plain PyTorch loop.

Each side is a whole process: import, data, training, test evaluation. Each runs twice, taking
turns. Needs full MNIST as `mnist.npz` (Keras's keys) and, for its side, PyTorch; a second argument
is the number of seeds a cell, which is 1:

    pip install '.[bench]'
    python tests/benchmarks/sweep_speed.py mnist.npz
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

UNITS = (16, 32, 64, 128)
RATES = (1e-4, 1e-3, 1e-2)
STEPS, BATCH, ROUNDS = 300, 100, 2

SWEEP = """
import json, subprocess, sys
data, out = sys.argv[1:]
subprocess.run([
    sys.executable, "-m", "rnnprobe", "sweep", "--cell", "lstm", "--units", "{units}",
    "--learning-rate", "{rates}", "--batch-size", "{batch}", "--steps", "{steps}", "--data", data,
    "--repeats", "{repeats}", "--metric", "test_accuracy", "--run-dir", out + ".run",
    "-q", "-o", out + ".csv",
], check=True)
import csv
cells = {{
    f"{{row['units']}} {{float(row['learning_rate']):g}}": float(row["test_accuracy"])
    for row in csv.DictReader(open(out + ".csv"))
}}
json.dump(cells, open(out, "w"))
"""

KERAS_TUNER = """
import json, sys, tempfile
import keras, keras_tuner, numpy as np
data, out = sys.argv[1:]
with np.load(data) as mnist:
    x, y = mnist["x_train"] / np.float32(255), mnist["y_train"]
    x_test, y_test = mnist["x_test"] / np.float32(255), mnist["y_test"]
x, y, x_val, y_val = x[5000:], y[5000:], x[:5000], y[:5000]
cells = {{}}

def build(hp):
    model = keras.Sequential([
        keras.Input((28, 28)),
        keras.layers.LSTM(hp.Choice("units", [{units}])),
        keras.layers.Dense(10),
    ])
    model.compile(
        keras.optimizers.Adam(hp.Choice("learning_rate", [{rates}])),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model

class HyperModel(keras_tuner.HyperModel):
    def build(self, hp):
        return build(hp)

    def fit(self, hp, model, *args, **kwargs):
        history = model.fit(*args, **kwargs)
        accuracy = model.evaluate(x_test, y_test, verbose=0)[1]
        cells[f"{{hp.get('units')}} {{hp.get('learning_rate'):g}}"] = accuracy
        return history

with tempfile.TemporaryDirectory() as folder:
    tuner = keras_tuner.GridSearch(
        HyperModel(), "val_accuracy", directory=folder, executions_per_trial={repeats}
    )
    seen = {steps} * {batch}  # so many pictures, once each
    tuner.search(
        x[:seen], y[:seen], batch_size={batch}, epochs=1, validation_data=(x_val, y_val), verbose=0
    )
json.dump(cells, open(out, "w"))
"""

PYTORCH = """
import json, sys
import numpy as np, torch
data, out = sys.argv[1:]
with np.load(data) as mnist:
    x, y = mnist["x_train"] / np.float32(255), mnist["y_train"].astype("int64")
    x_test, y_test = mnist["x_test"] / np.float32(255), mnist["y_test"].astype("int64")
x, y, x_val, y_val = (torch.from_numpy(a) for a in (x[5000:], y[5000:], x[:5000], y[:5000]))
x_test, y_test = torch.from_numpy(x_test), torch.from_numpy(y_test)

class Net(torch.nn.Module):
    def __init__(self, units):
        super().__init__()
        self.lstm = torch.nn.LSTM(28, units, batch_first=True)
        self.head = torch.nn.Linear(units, 10)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])

def accuracy(net, x, y):
    with torch.no_grad():
        parts = [net(x[i:i + 1000]).argmax(1) for i in range(0, len(x), 1000)]
    return float((torch.cat(parts) == y).float().mean())

cells = {{}}
for units in [{units}] * {repeats}:
    for rate in [{rates}]:
        net = Net(units)
        optimizer = torch.optim.Adam(net.parameters(), rate)
        loss = torch.nn.CrossEntropyLoss()
        order = torch.randperm(len(x))
        for step in range({steps}):
            rows = order[step * {batch}:(step + 1) * {batch}]
            optimizer.zero_grad()
            loss(net(x[rows]), y[rows]).backward()
            optimizer.step()
        accuracy(net, x_val, y_val)
        cells[f"{{units}} {{rate:g}}"] = accuracy(net, x_test, y_test)
json.dump(cells, open(out, "w"))
"""

SIDES = {"rnnprobe": SWEEP, "KerasTuner": KERAS_TUNER, "PyTorch": PYTORCH}


def timed(script: str, data: str, repeats: int, folder: Path) -> tuple[float, dict[str, float]]:
    """Run one side as a process of its own; return its seconds and its test accuracies."""
    values = {
        "units": ",".join(map(str, UNITS)),
        "rates": ",".join(map(str, RATES)),
        "steps": STEPS,
        "batch": BATCH,
        "repeats": repeats,
    }
    out = folder / f"{time.monotonic_ns()}.json"
    started = time.perf_counter()
    command = [sys.executable, "-c", script.format(**values), data, str(out)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started, json.loads(out.read_text("utf-8"))


def main(data: str, repeats: str = "1") -> None:
    """Print seconds, ratios and test accuracies as Markdown."""
    seconds: dict[str, list[float]] = {name: [] for name in SIDES}
    cells: dict[str, list[dict[str, float]]] = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            for name, script in SIDES.items():
                spent, measured = timed(script, data, int(repeats), Path(folder))
                seconds[name].append(spent)
                cells[name].append(measured)
                print(f"{name}: {spent:.1f} s", file=sys.stderr)
    ours = seconds["rnnprobe"]
    head = " | ".join(f"run {number + 1}" for number in range(ROUNDS))
    print(f"| side | {head} | ratio to rnnprobe |\n|:--|{'--:|' * ROUNDS}--:|")
    for name, spent in seconds.items():
        ratios = " and ".join(f"{a / b:.2f}" for a, b in zip(spent, ours, strict=True))
        print(f"| {name} | {' | '.join(f'{s:.1f} s' for s in spent)} | {ratios} |")
    print(f"\n| units, rate | {' | '.join(SIDES)} |\n|:--|{'--:|' * len(SIDES)}")
    for cell in cells["rnnprobe"][0]:
        accuracies = (" / ".join(f"{run[cell]:.4f}" for run in cells[name]) for name in SIDES)
        print(f"| {cell} | {' | '.join(accuracies)} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
