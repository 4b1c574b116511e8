from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnprobe import (
    Execution,
    KerasClassifier,
    SearchSpace,
    SequenceDataset,
    load_model,
    load_sweep,
    sweep,
    train,
)
from rnnprobe.errors import ModelError, OutputError
from rnnprobe.journal import RESULTS
from rnnprobe.search.analysis import front, importance, losses, within_noise
from rnnprobe.search.results import SweepResult
from rnnprobe.search.sweep import Plan
from rnnprobe.specs import Run

sys.path.insert(0, str(Path(__file__).parent))

SPACE = SearchSpace(cell="rnn", units=(2, 3), learning_rate=(0.01, 0.03))
FAST = {"epochs": 2}
# Ready in a fifth of the time of a recurrent cell, for what does not hang on the cell.
DENSE = SearchSpace(cell="dense", units=(2, 3), learning_rate=(0.01, 0.03))


def table(result: SweepResult) -> list[object]:
    """All that must not depend on how and when the runs were made."""
    return [
        (r.configuration, r.repeat, r.run.train.seed, r.run.status, r.run.metrics, r.hits)
        for r in (*result.runs, *result.confirmations)
    ]


@pytest.fixture(scope="module")
def swept(values: SequenceDataset) -> SweepResult:
    execution = Execution(workers=1)
    return sweep(values, SPACE, repeats=2, confirm=1, **FAST, execution=execution)


@pytest.fixture(scope="module")
def dense(values: SequenceDataset) -> SweepResult:
    """The same sweep of a cell that is quick to trace."""
    return sweep(values, DENSE, repeats=2, confirm=1, **FAST, execution=Execution(workers=1))


def test_every_cell_is_run_with_every_seed(swept: SweepResult) -> None:
    done = [(*r.configuration.values(), r.run.train.seed) for r in swept.runs]
    assert len(set(done)) == len(done) == 8
    assert [run.run.train.seed for run in swept.runs] == [0] * 4 + [1] * 4
    assert len(swept.cells) == 4
    assert swept.complete
    assert all(cell.complete for cell in swept.cells)


def test_the_table_does_not_depend_on_the_number_of_workers(
    values: SequenceDataset, swept: SweepResult
) -> None:
    seen: list[tuple[int, int]] = []
    two = sweep(
        values, SPACE, repeats=2, confirm=1, **FAST, execution=Execution(workers=2),
        on_run=lambda run, done, total: seen.append((done, total)),
    )  # fmt: skip
    assert table(two) == table(swept)
    assert seen == [(n, 11) for n in range(1, 12)]


def test_a_run_equals_that_of_train(values: SequenceDataset, swept: SweepResult) -> None:
    """Whatever its child trained before, with a program that it shared."""
    for one in (swept.runs[1], swept.runs[7]):
        alone = train(values, one.run.model, one.run.train).run
        assert alone.metrics == one.run.metrics
        assert alone.history["loss"] == one.run.history["loss"]


def test_the_best_are_confirmed_with_fresh_seeds(swept: SweepResult) -> None:
    best = [cell.configuration for cell in swept.ranking()[:3]]
    assert [run.configuration for run in swept.confirmations] == [
        c.configuration for c in swept.cells if c.configuration in best
    ]
    assert {run.run.train.seed for run in swept.confirmations} == {2}
    assert [len(cell.runs) for cell in swept.confirmed] == [1, 1, 1]


def test_the_frame_has_a_row_a_run(swept: SweepResult) -> None:
    frame = swept.frame
    assert len(frame) == 11
    first = swept.runs[0].run
    assert frame.val_accuracy[0] == first.metrics["val_accuracy"]
    assert list(frame.seed) == [0] * 4 + [1] * 4 + [2] * 3
    assert set(frame.status) == {"ok"}


def test_a_resumed_sweep_makes_what_is_missing_and_nothing_else(
    values: SequenceDataset, dense: SweepResult, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    execution = Execution(run_dir=folder)
    sweep(values, DENSE, repeats=2, **FAST, execution=execution)
    lines = (folder / RESULTS).read_text().splitlines(keepends=True)
    (folder / RESULTS).write_text("".join(lines[:3]) + lines[5][:40])
    again: list[int] = []
    result = sweep(
        values, DENSE, repeats=2, confirm=1, **FAST,
        execution=Execution(run_dir=folder, resume=True),
        on_run=lambda run, done, total: again.append(done),
    )  # fmt: skip
    assert again == list(range(4, 12))
    assert table(result) == table(dense) == table(load_sweep(folder))
    assert (folder / RESULTS).read_text().startswith("".join(lines[:3]))
    assert sorted(path.name for path in folder.iterdir()) == ["experiment.json", RESULTS]


def test_each_run_finds_the_model_that_was_saved_of_it(
    values: SequenceDataset, dense: SweepResult, tmp_path: Path
) -> None:
    execution = Execution(workers=1, run_dir=tmp_path / "run", save_models=True)
    result = sweep(values, DENSE, repeats=2, **FAST, execution=execution)
    assert result.run_dir == execution.run_dir == tmp_path / "run"
    files = [result.model_file(run) for run in result.runs]
    assert len(set(files)) == 8
    assert files == [load_sweep(tmp_path / "run").model_file(run) for run in result.runs]
    for run, file in list(zip(result.runs, files, strict=True))[1:8:5]:
        found = KerasClassifier(load_model(file)).predict(values.test, values.class_names)
        assert (found.predicted == found.y).mean() == run.value("test_accuracy")
        assert load_model(file).count_params() == run.run.parameters
    with pytest.raises(
        ModelError, match=r"kept no model 'units=2,learning_rate=0\.01,seed=0\.keras'"
    ):
        dense.model_file(dense.runs[0])
    files[3].unlink()
    with pytest.raises(ModelError, match=r"sweep with `Execution.*save_models=True"):
        result.model_file(result.runs[3])
    lost = replace(result.runs[0], run=replace(result.runs[0].run, status="dnf", message="nan: x"))
    with pytest.raises(ModelError, match=r"seed=0' did not finish \(nan\)"):
        result.model_file(lost)


def test_a_folder_of_another_sweep_is_refused_before_anything_runs(
    values: SequenceDataset, masked: SequenceDataset, tmp_path: Path
) -> None:
    execution = Execution(run_dir=tmp_path / "run", resume=True)
    space = SearchSpace(cell="dense", units=2)
    sweep(values, space, **FAST, execution=execution)
    for dataset, other, settings, said in (
        (values, SearchSpace(cell="dense", units=3), FAST, "--units"),
        (values, space, {"epochs": 3}, "--epochs"),
        (masked, space, FAST, "the data's digest"),
    ):
        with pytest.raises(OutputError, match=f"another experiment: {said}"):
            sweep(dataset, other, **settings, execution=execution)
    with pytest.raises(OutputError, match="is no run folder of a sweep"):
        load_sweep(tmp_path / "nothing")


def test_children_that_die_are_cells_with_a_reason(
    values: SequenceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(Path(__file__).parent / "labour.py", tmp_path / "deadly.py")
    monkeypatch.chdir(tmp_path)
    space = SearchSpace(
        cell=("deadly:killed", "dense", "deadly:fails", "deadly:hangs"), units=(2, 3)
    )
    execution = Execution(workers=2, max_seconds=10, run_dir=tmp_path / "run")
    result = sweep(values, space, **FAST, execution=execution)
    reasons = [run.run.message.partition(",")[0] for run in result.runs]
    assert reasons[2:4] == ["", ""]
    assert set(reasons[:2]) == {"killed: signal 9"}
    assert reasons[4:6] == [
        f"error: DataError: The cell 'deadly:fails' failed: RuntimeError: nothing works with {n} u"
        "nits"
        for n in (2, 3)
    ]
    assert set(reasons[6:]) == {"time: not done after 10 s (--max-seconds)"}
    assert [(x.level, x.lost, x.runs) for x in losses(result) if x.axis == "cell"] == [
        ("deadly:killed", 2, 2), ("deadly:fails", 2, 2), ("deadly:hangs", 2, 2),
    ]  # fmt: skip
    assert {cell.configuration["cell"] for cell in result.ranking()} == {"dense"}
    # They stay dead when resumed, and live again when asked to.
    resumed = Execution(workers=2, run_dir=tmp_path / "run", resume=True)
    again: list[Run] = []
    sweep(values, space, **FAST, execution=resumed, on_run=lambda run, *_: again.append(run))
    assert again == []
    cured = tmp_path / "deadly.py"
    cured.write_text(
        "from rnnprobe.cells.gru import build as killed, build as fails, build as hangs"
    )
    retried = Execution(workers=2, run_dir=tmp_path / "run", resume=True, retry_dnf=True)
    result = sweep(
        values, space, **FAST, execution=retried, on_run=lambda run, *_: again.append(run)
    )
    assert len(again) == 6
    assert all(run.finished for run in result.runs)


def test_memory_that_runs_out_has_a_name(values: SequenceDataset) -> None:
    space = SearchSpace(units=(2, 6000))
    result = sweep(values, space, **FAST, execution=Execution(max_memory=300 * 2**20))
    assert [run.finished for run in result.runs] == [True, False]
    expected = "oom: it needs more than the memory of 300 MB (--max-memory)"
    assert result.runs[1].run.message == expected


def test_a_loss_that_is_no_number_is_a_cell_with_a_reason(values: SequenceDataset) -> None:
    space = SearchSpace(cell="dense", layers=2, optimizer="sgd", learning_rate=(0.01, 1e38))
    result = sweep(values, space, **FAST)
    assert [run.reason for run in result.runs] == ["", "nan"]


def test_numbers_out_of_range_are_refused(values: SequenceDataset) -> None:
    with pytest.raises(ValueError, match="`repeats >= 1` must hold"):
        sweep(values, SPACE, repeats=0)
    with pytest.raises(ValueError, match="`epochs >= 1` must hold"):
        sweep(values, SPACE, epochs=0)
    with pytest.raises(ValueError, match="Unknown setting 'epoch', expected epochs, steps"):
        sweep(values, SPACE, epoch=3)
    with pytest.raises(ValueError, match=r"`0 <= seed < 2\*\*32` must hold"):
        sweep(values, SPACE, repeats=2, seed=2**32 - 1)
    with pytest.raises(ValueError, match="`workers > 0` must hold, but got workers=0"):
        Execution(workers=0)
    huge = SearchSpace(units=tuple(range(1, 1001)), batch_size=tuple(range(1, 1001)))
    with pytest.raises(ValueError, match="1,000,000 cells; at most 100,000 can run"):
        sweep(values, huge)


def made(  # the keys of `accuracies` are in the order of the space's axes
    space: SearchSpace, accuracies: dict[tuple[object, ...], list[float | None]]
) -> SweepResult:
    """A sweep of 1,000 validation examples with these accuracies; None did not finish."""
    plan = Plan(space, max(map(len, accuracies.values())), 0, 0, FAST)
    done = {}
    for task in plan.tasks():
        values = {**vars(task.model), **vars(task.train)}
        accuracy = accuracies[tuple(values[n] for n in space.varied)][task.train.seed]
        rng = np.random.default_rng([task.model.units, task.train.batch_size, task.train.seed])
        hits = rng.permutation(1000) < 1000 * (accuracy or 0)
        run = Run(
            "", task.model, task.train, "dnf" if accuracy is None else "ok",
            {"val_accuracy": [accuracy or 0.0]},
            {"val_accuracy": accuracy or 0.0, "val_loss": 1.0, "test_accuracy": accuracy or 0.0},
            float(task.model.units), None, task.model.units, {}, "killed: x",
        )  # fmt: skip
        done[task.key] = {
            "key": task.key,
            "run": run.to_dict(),
            "hits": np.packbits(hits).tobytes().hex(),
        }
    return plan.result(json.loads(json.dumps(done)))


def test_cells_within_noise_and_the_front() -> None:
    space = SearchSpace(units=(1, 2, 3, 4))
    result = made(space, {
        (1,): [0.90, 0.91, 0.92], (2,): [0.5, 0.52, 0.51], (3,): [0.905, 0.915, 0.92],
        (4,): [0.999, None, 0.999],
    })  # fmt: skip
    assert [c.configuration["units"] for c in within_noise(result, 1000)] == [3, 1]
    assert [c.configuration["units"] for c in front(result)] == [1, 3]
    assert [c.configuration["units"] for c in result.ranking()] == [3, 1, 2]
    assert [(x.axis, x.level, x.lost, x.runs) for x in losses(result)] == [("units", 4, 1, 3)]


def test_importance_is_exact_where_the_factorial_is_complete() -> None:
    space = SearchSpace(units=(1, 2), batch_size=(8, 16))
    whole = made(
        space, {(1, 8): [0.1, 0.1], (1, 16): [0.2, 0.2], (2, 8): [0.3, 0.3], (2, 16): [0.4] * 2}
    )
    shares = importance(whole)
    assert shares is not None
    assert shares.exact
    assert shares.shares[("units",)] == pytest.approx(0.8)
    assert shares.shares[("batch_size",)] == pytest.approx(0.2)
    holes = made(
        space, {(1, 8): [0.1, 0.1], (1, 16): [0.2, 0.2], (2, 8): [0.3, None], (2, 16): [0.4] * 2}
    )
    substitute = importance(holes)
    assert substitute is not None
    assert not substitute.exact
    assert set(substitute.shares) == {("units",), ("batch_size",)}
    assert importance(made(SearchSpace(units=1), {(): [0.5]})) is None


def test_none_is_a_level_of_an_axis_that_may_be_off() -> None:
    space = SearchSpace(weight_decay=(None, 0.01), units=(1, 2))
    accuracies = {(1, None): [0.5], (1, 0.01): [0.9], (2, None): [0.5], (2, 0.01): [None]}
    result = made(space, accuracies)
    shares = importance(result)
    assert shares is not None
    assert shares.shares[("weight_decay",)] == pytest.approx(3 / 4)  # the units explain the rest


def test_confirmations_are_those_of_the_best_alone(
    values: SequenceDataset, dense: SweepResult, tmp_path: Path
) -> None:
    """Also where the folder has runs with those seeds of all cells."""
    first = Execution(run_dir=tmp_path / "run")
    sweep(values, DENSE, repeats=3, execution=first, **FAST)
    fewer = Execution(run_dir=tmp_path / "run", resume=True)
    again = sweep(values, DENSE, repeats=2, confirm=1, execution=fewer, **FAST)
    assert table(again) == table(dense)
    assert again.complete


def test_records_survive_json(swept: SweepResult) -> None:
    run = swept.runs[0].run
    assert Run.from_dict(json.loads(json.dumps(run.to_dict()))) == run
    weights = replace(run, train=replace(run.train, class_weights=(1.0, 2.0, 3.0)))
    assert Run.from_dict(json.loads(json.dumps(weights.to_dict()))) == weights
