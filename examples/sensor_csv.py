"""Which gesture did this phone make? Your own sensor series, of unequal length, from a CSV file.

The table is long: one row a moment, with the columns recording, time (s), ax, ay, az (g) and
gesture. So that nothing need be downloaded we make it up here: circles, swipes and shakes, sloppy
ones, of 20 to 60 moments. Write the path and the columns of your own table in their place; if one
person made several recordings, cut the parts yourself, or the test part knows them already.

Run it by `python examples/sensor_csv.py`; on two cores it takes ten seconds.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax

import rnnprobe
from rnnprobe.statistics import wilson_interval

GESTURES = ("circle", "shake", "swipe")


def record(gesture: str, rng: np.random.Generator) -> np.ndarray:
    """Return the acceleration of one gesture in g, float32 (num_steps, 3), 50 steps a second."""
    num_steps = rng.integers(20, 61)
    moving = np.clip(np.linspace(-rng.uniform(0, 0.4), 1 + rng.uniform(0, 0.4), num_steps), 0, 1)
    times = {"circle": 1, "swipe": 1, "shake": rng.uniform(1.5, 4)}[gesture]  # to and fro
    angle, direction = 2 * np.pi * times * moving, rng.uniform(0, 2 * np.pi)
    along = np.sin(angle)
    # A circle also goes to the side; a hasty one is so flat that it is nearly a swipe.
    aside = rng.uniform(0.1, 1) * (1 - np.cos(angle)) if gesture == "circle" else 0 * along
    x = along * np.cos(direction) - aside * np.sin(direction)
    y = along * np.sin(direction) + aside * np.cos(direction)
    moved = rng.uniform(0.3, 1) * np.stack([x, y, 0 * x], axis=1)
    held = rng.normal([0, 0, 1], 0.2)  # how the phone is held: gravity is on z, more or less
    return np.float32(moved + held + rng.normal(0, 0.2, moved.shape))


def write_csv(path: Path, recordings: int, rng: np.random.Generator) -> None:
    """Write so many recordings below each other, a row a moment."""
    tables = []
    for number in range(recordings):
        table = pd.DataFrame(record(GESTURES[number % 3], rng), columns=["ax", "ay", "az"])
        about = {"recording": f"r{number}", "gesture": GESTURES[number % 3]}
        tables.append(table.round(3).assign(time=table.index / 50, **about))
    pd.concat(tables).to_csv(path, index=False)


def main(recordings: int = 1500, epochs: int = 20) -> None:
    """Write a table, check it, train a GRU on it, and ask it about new recordings."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "gestures.csv")
        write_csv(path, recordings, rng)
        columns = rnnprobe.CsvColumns(label="gesture", id="recording", time="time")
        data = rnnprobe.load_dataset(path, columns=columns)
    for check in rnnprobe.check_dataset(data):  # what `rnnprobe data check` prints
        print(f"{check.verdict} {check.name}: {check.detail}")

    # Short series are padded to the longest; the mask of the data tells the GRU to skip that.
    settings = rnnprobe.TrainSpec(learning_rate=0.003, epochs=epochs)
    _, model = rnnprobe.train(data, rnnprobe.ModelSpec("gru", units=32), settings)
    classifier, names = rnnprobe.KerasClassifier(model), data.class_names
    found = rnnprobe.find_confusions(classifier.predict(data.test, names))
    print(f"test accuracy {share(found.correct, found.total)}")
    for pair in found.pairs:
        confused = share(pair.count, pair.support)
        print(f"{names[pair.true]} taken for {names[pair.predicted]}: {confused}")
    for gesture in GESTURES:  # new ones; a series alone needs no padding, so no mask either
        series = record(gesture, rng)
        chances = softmax(classifier.logits(series[np.newaxis])[0])
        best = chances.argmax()
        said = f"{names[best]}, probability {chances[best]:.2f}"
        print(f"a new {gesture} of {len(series)} moments is taken for a {said}")


def share(count: int, total: int) -> str:
    """Write a share with its 95 % interval and the counts behind it."""
    low, high = wilson_interval(count, total)
    return f"{count / total:.3f} [{low:.3f}, {high:.3f}] ({count} of {total})"


if __name__ == "__main__":
    main()
