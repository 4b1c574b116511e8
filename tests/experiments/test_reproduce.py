"""Reproductions run on the sweep engine: two splits, more repeats, what layers return."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from rnnprobe.errors import DataError, OutputError
from rnnprobe.experiments._limits import parse_limits
from rnnprobe.experiments._record import Cell, Experiment, Measure
from rnnprobe.experiments._reproduce import Plan, load_reproduction, reproduce
from rnnprobe.search.task import Execution
from rnnprobe.specs import Run

NAMES = Experiment(
    name="names",
    title="",
    source="",
    dataset="fashion-mnist",  # a name alone: the data are given
    splits=("lines", None),
    settings={"cell": "rnn", "embedding": 2, "batch_size": 8, "epochs": 2, "checkpoints": 2},
    cells=(Cell({"units": 2}, {"test_accuracy": 0.5}), Cell({"units": 3}, {"test_accuracy": 0.5})),
    rows=("units",),
    columns=(),
    measures=(
        Measure("test_accuracy", "test"),
        Measure("best_val_accuracy", "validation", counted="validation"),
        Measure("minibatch_2", "Train 2", counted="batch"),
    ),
    claims=(),
    given=(),
    chosen=(),
)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("names")
    for language, letters in (("north", "abc"), ("south", "xyz")):
        lines = [f"{a}{b}{number % 7}" for a in letters for b in letters for number in range(8)]
        (folder / f"{language}.txt").write_text("\n".join(lines))
    return str(folder)


def run(plan: Plan, folder: Path, *, resume: bool = False) -> tuple[list[str], list[Run]]:
    told: list[str] = []
    made: list[Run] = []

    def on_run(label: str, run: Run, done: int, total: int) -> None:
        told.append(f"{done}/{total} {label}")
        made.append(run)

    execution = Execution(run_dir=folder, resume=resume, workers=1)
    datasets = plan.load_all()
    reproduce(plan, datasets, execution=execution, on_run=on_run)
    return told, made


def test_each_split_is_run_and_more_repeats_and_cells_go_on_from_what_is_there(
    names: str, tmp_path: Path
) -> None:
    first = Plan(NAMES, data=names, limits=parse_limits("units=2"))
    told, _ = run(first, tmp_path / "run")
    assert told == ["1/2 units 2, split lines", "2/2 units 2, equal inputs together"]
    whole = Plan(NAMES, data=names, repeats=2)
    told, made = run(whole, tmp_path / "run", resume=True)
    # The first seed of every cell comes first.
    assert told[0::3] == ["2/8 units 3, split lines", "6/8 units 3, equal inputs together"]
    assert [line.partition("/")[0] for line in told] == ["2", "3", "4", "6", "7", "8"]
    assert sorted(line.split()[2] for line in told) == ["2,"] * 2 + ["3,"] * 4
    assert [one.train.seed for one in made] == [0, 1, 1, 0, 1, 1]

    datasets = whole.load_all()
    found = load_reproduction(whole, datasets, tmp_path / "run")
    assert [part.split for part in found.parts] == ["lines", None]
    assert [[len(cell.finished) for cell in part.cells] for part in found.parts] == [[2, 2]] * 2
    one = found.parts[0].cells[0].finished[1]
    assert found.parts[0].cells[0].values("best_val_accuracy")[1] == max(
        one.history["val_accuracy"]
    )
    assert len(found.parts[0].dataset.train) % 8  # the last minibatch is not whole, and left out
    assert one.metrics["minibatch_2"] in [right / 8 for right in range(9)]
    assert found.parts[0].dataset.digest == one.dataset_digest
    assert found.parts[1].dataset.digest != one.dataset_digest
    again = load_reproduction(first, datasets, tmp_path / "run")
    assert [cell.settings["units"] for cell in again.left_out] == [3]
    with pytest.raises(OutputError, match="another experiment: --seed is 0 there and 4 here"):
        run(Plan(NAMES, data=names, seed=4), tmp_path / "run", resume=True)


def test_what_layers_return_is_read_from_the_saved_models(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (40, 6, 6), np.uint8)
    np.savez(
        tmp_path / "pictures.npz",
        x_train=pictures[:24],
        y_train=np.arange(24) % 2,
        x_test=pictures[24:],
        y_test=np.arange(16) % 2,
    )
    experiment = Experiment(
        name="pictures",
        title="",
        source="",
        dataset="fashion-mnist",
        settings={"cell": "cnn-relu", "batch_size": 4, "steps": 2},
        initializers={"bias_initializer": {"class_name": "Constant", "config": {"value": 0.1}}},
        cells=(Cell({"learning_rate": 1e-3}),),
        rows=("learning_rate",),
        columns=(),
        measures=tuple(
            Measure(f"convolution_{n}_{what}", "", counted=None)
            for n in (1, 2)
            for what in ("mean", "variance")
        ),
        claims=(),
        given=(),
        chosen=(),
    )
    plan = Plan(experiment, data=str(tmp_path / "pictures.npz"))
    run(plan, tmp_path / "run")
    dataset = plan.load(None)
    (cell,) = load_reproduction(plan, [dataset], tmp_path / "run").parts[0].cells
    (file,) = (tmp_path / "run" / "models").iterdir()
    model = keras.models.load_model(file)
    for number in (1, 2):
        layer = model.get_layer(f"convolution_{number}")
        seen = keras.Model(model.input, layer.output).predict(dataset.test.x, verbose=0)
        assert cell.values(f"convolution_{number}_mean") == [pytest.approx(seen.mean(), rel=1e-4)]
        assert cell.values(f"convolution_{number}_variance") == [
            pytest.approx(seen.var(), rel=1e-4)
        ]
    file.unlink()
    found = load_reproduction(plan, [dataset], tmp_path / "run")
    assert found.missing_models == 1
    assert found.parts[0].cells[0].values("convolution_1_mean") == []


def test_too_few_repeats_and_limits_that_leave_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`repeats >= 1` must hold, but got repeats=0"):
        Plan(NAMES, repeats=0)
    with pytest.raises(DataError, match="No cell of names meets"):
        Plan(NAMES, limits=parse_limits("units>3"))


def test_data_of_another_kind_and_splits_that_are_one_are_refused(
    names: str, tmp_path: Path
) -> None:
    with pytest.raises(
        DataError, match="names is about tokens, like names, but 'mnist-5k' has val"
    ):
        Plan(NAMES, data="mnist-5k").load_all()
    with pytest.raises(DataError, match=r"of 18 classes, but 'names.' has .* in 2 classes"):
        Plan(replace(NAMES, dataset="names"), data=names).load_all()
    pixels = replace(NAMES, settings={"cell": "rnn", "batch_size": 8, "epochs": 2})
    with pytest.raises(DataError, match=r"about values, like mnist, but 'names.' has tokens"):
        Plan(pixels, data=names).load_all()
    cnn = replace(NAMES, settings={"cell": "cnn-relu", "batch_size": 8, "epochs": 2})
    with pytest.raises(DataError, match="about uint8 pictures"):
        Plan(cnn, data=names).load_all()
    parts = {f"x_{part}": np.arange(8).reshape(4, 2) + 1 for part in ("train", "val", "test")}
    parts |= {f"y_{part}": np.arange(4) % 2 for part in ("train", "val", "test")}
    np.savez(tmp_path / "parts.npz", **parts)
    with pytest.raises(DataError, match="has parts of its own, but names splits it in 2 ways"):
        Plan(NAMES, data=str(tmp_path / "parts.npz")).load_all()
