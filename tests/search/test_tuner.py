from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from rnnprobe import (
    Execution,
    RecurrentHyperModel,
    SearchSpace,
    SequenceDataset,
    load_tune,
    sweep,
    tune,
)
from rnnprobe.errors import OutputError, TrainingError, UnknownNameError
from rnnprobe.journal import RESULTS
from rnnprobe.search import TUNERS
from rnnprobe.search.hypermodel import encode, hyperparameters, sample
from rnnprobe.search.oracles import BudgetHyperbandOracle, build_oracle
from rnnprobe.search.trials import TEST, Trial, TuneResult

# What a search does hangs on no cell, and to trace and compile a recurrent one takes seconds each;
# the cells' own part, states that are saved and programs that are shared, is in test_training.py.
SPACE = SearchSpace(
    cell="dense",
    units=(2, 3, 4),
    learning_rate=(0.01, 0.03),
    dropout=(0.0, 0.1),
    clip_norm=(None, 1),
)


def table(result: TuneResult) -> list[object]:
    return [
        (trial.configuration, trial.epochs, trial.score, trial.chosen, trial.promoted_after)
        for trial in result.trials
    ]


Search = Callable[..., TuneResult]


@pytest.fixture(scope="module")
def alone(values: SequenceDataset) -> Search:
    """Return what searches by a tuner, in this process; each search is made once."""

    @functools.cache
    def search(tuner: str) -> TuneResult:
        return tune(values, SPACE, tuner=tuner, trials=5, epochs=3)

    return search


@pytest.mark.parametrize("tuner", TUNERS)
def test_a_search_tries_distinct_configurations_and_repeats_with_its_seed(
    tuner: str, values: SequenceDataset, alone: Search
) -> None:
    seen: list[tuple[int, int]] = []
    first = tune(
        values, SPACE, tuner=tuner, trials=5, epochs=3,
        on_trial=lambda trial, total: seen.append((trial.number, total)),
    )  # fmt: skip
    keys = [tuple(trial.configuration.values()) for trial in first.trials]
    assert len(set(keys)) == len(keys) == 5
    assert {total for _, total in seen} == {5}
    assert [trial.number for trial in first.trials] == [1, 2, 3, 4, 5]
    assert table(first) == table(alone(tuner))
    assert first.test == alone(tuner).test


@pytest.mark.parametrize(
    ("tuner", "kept", "workers"),
    [("hyperband", 0, 2), ("hyperband", 4, 3), ("bayesian", 3, 2), ("random", 3, 3)],
)
def test_a_search_by_workers_and_a_resumed_one_end_as_one_process_does(
    tuner: str, kept: int, workers: int, values: SequenceDataset, alone: Search, tmp_path: Path
) -> None:
    """Also where the states of what was trained, and half a line, were lost."""
    folder = tmp_path / "run"

    def run(**options: Any) -> TuneResult:
        execution = Execution(workers=workers, run_dir=folder, **options)
        return tune(values, SPACE, tuner=tuner, trials=5, epochs=3, execution=execution)

    whole = run()
    assert whole.over
    kept_there = load_tune(folder)
    assert kept_there.over
    assert kept_there.test == whole.test
    if tuner != "bayesian":  # which learns from what is done, so its course is its workers' own
        assert table(whole) == table(alone(tuner))
        assert whole.test == alone(tuner).test
    lines = (folder / RESULTS).read_text().splitlines(keepends=True)
    (folder / RESULTS).write_text("".join(lines[:kept]) + lines[kept][:50])
    part = load_tune(folder)
    assert len(part.trials) <= kept
    assert part.model is None
    assert part.unreadable == 1
    assert not part.over
    assert part.test is None
    resumed = run(resume=True)
    assert table(resumed) == table(whole) == table(load_tune(folder))
    assert resumed.test == whole.test
    assert sorted((folder / RESULTS).read_text().splitlines()[:kept]) == sorted(
        line.rstrip() for line in lines[:kept]
    )
    assert sorted(path.name for path in folder.iterdir()) == ["experiment.json", RESULTS, TEST]


def test_a_folder_of_another_search_is_refused(values: SequenceDataset, tmp_path: Path) -> None:
    space = SearchSpace(cell="dense", units=2)
    first = Execution(run_dir=tmp_path / "run")
    tune(values, space, trials=1, epochs=1, execution=first)
    again = Execution(run_dir=tmp_path / "run", resume=True)
    with pytest.raises(OutputError, match="another experiment: --epochs is 1 there and 2 here"):
        tune(values, space, trials=1, epochs=2, execution=again)
    with pytest.raises(OutputError, match="another experiment: its command is tune there"):
        sweep(values, space, execution=again)
    with pytest.raises(OutputError, match="no run folder of a search"):
        load_tune(tmp_path / "none")


@pytest.mark.parametrize("tuner", ["hyperband", "random"])
def test_the_model_is_the_best_trials(tuner: str, values: SequenceDataset, alone: Search) -> None:
    result = alone(tuner)
    assert result.best.score == max(trial.score for trial in result.trials)
    split = values.validation
    accuracy = (result.model.predict(split.x, verbose=0).argmax(axis=1) == split.y).mean()
    assert accuracy == pytest.approx(result.best.score[0])
    right = result.model.predict(values.test.x, verbose=0).argmax(axis=1) == values.test.y
    assert result.test.correct == right.sum()


def test_hyperband_trains_the_promoted_longer(values: SequenceDataset) -> None:
    result = tune(values, SPACE, trials=8, epochs=9)
    by_bracket = {trial.chosen for trial in result.trials}
    assert by_bracket == {"random, bracket 2", "random, bracket 1", "random, bracket 0"}
    first = [trial for trial in result.trials if trial.chosen.endswith("2")]
    assert sorted({trial.epochs for trial in first}) == [1, 3, 9]
    winner = max(first, key=lambda trial: trial.epochs)
    assert winner.promoted_after == (1, 3)
    assert all(trial.epochs == 9 for trial in result.trials if trial.chosen.endswith("0"))


@pytest.mark.parametrize("trials", range(1, 40))
@pytest.mark.parametrize("epochs", [1, 2, 3, 9, 30])
def test_hyperband_deals_its_configurations_to_the_brackets(trials: int, epochs: int) -> None:
    oracle = BudgetHyperbandOracle(
        num_configurations=trials, max_epochs=epochs, objective="val_accuracy"
    )
    sizes = oracle._first_sizes()
    assert sum(sizes) == trials
    assert min(sizes) >= 1
    assert len(sizes) == oracle._get_num_brackets() <= 1 + np.log(epochs) / np.log(3) + 1e-9


def test_the_bayesian_oracle_takes_the_better_half_of_a_line(tmp_path: Path) -> None:
    """Accuracy rises with the units; after the random start it must go for the largest."""
    space = SearchSpace(units=tuple(range(1, 21)))
    oracle = build_oracle("bayesian", space, trials=10, epochs=1, seed=0)
    oracle._set_project_dir(str(tmp_path), "line")
    chosen = []
    for _ in range(10):
        trial = oracle.create_trial("tuner0")
        units = sample(space, trial.hyperparameters)["units"]
        chosen.append(units)
        oracle.update_trial(trial.trial_id, {"val_accuracy": units / 20})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert len(set(chosen)) == 10
    assert 20 in chosen[3:6]


def test_a_small_space_is_searched_whole(values: SequenceDataset) -> None:
    space = SearchSpace(cell="dense", units=(2, 3))
    for tuner in TUNERS:
        result = tune(values, space, tuner=tuner, trials=12, epochs=1)
        assert sorted(trial.configuration["units"] for trial in result.trials) == [2, 3]


def test_a_trial_that_dies_is_dnf_and_the_search_goes_on(values: SequenceDataset) -> None:
    """A CNN cannot read these data; each tuner ends with the other cells."""
    space = SearchSpace(cell=("cnn", "dense"), units=(2, 3, 4))
    for tuner in TUNERS:
        result = tune(values, space, tuner=tuner, trials=4, epochs=3)
        dead = [trial for trial in result.trials if trial.run.status == "dnf"]
        assert [trial.configuration["cell"] for trial in dead] == ["cnn"]
        assert dead[0].run.message.startswith("error: DataError: The cnn reads pictures")
        assert len(result.trials) == 4
        assert result.best.run.status == "ok"


def test_no_finished_trial_is_an_error(values: SequenceDataset) -> None:
    with pytest.raises(
        TrainingError, match=r"No trial finished, of 1. The first: error: DataError"
    ):
        tune(values, SearchSpace(cell="cnn"), trials=3, epochs=1)
    with pytest.raises(UnknownNameError, match="Unknown tuner 'grid'"):
        tune(values, tuner="grid")
    with pytest.raises(ValueError, match="`trials >= 1` must hold"):
        tune(values, trials=0)


def test_cells_take_turns_and_callbacks_may_fail(values: SequenceDataset) -> None:
    space = SearchSpace(cell=("rnn", "gru", "dense"), units=(2, 3, 4), bidirectional=(False, True))
    result = tune(values, space, tuner="random", trials=3, epochs=1)
    assert {trial.configuration["cell"] for trial in result.trials} == {"rnn", "gru", "dense"}

    def fail(*_: object) -> None:
        raise RuntimeError("the callback failed")

    with pytest.raises(RuntimeError, match="the callback failed"):
        tune(values, space, trials=1, epochs=1, on_trial=fail)


@pytest.mark.slow
def test_the_default_search_finds_a_good_lstm_among_distinct_ones() -> None:
    from rnnprobe import load_dataset

    result = tune(load_dataset("mnist-5k", limit_examples=800))  # measured: 0.822
    assert len({tuple(trial.configuration.values()) for trial in result.trials}) >= 8
    assert result.test.accuracy > 0.70


def test_configurations_survive_keras_tuner() -> None:
    hp = hyperparameters(SPACE)
    for configuration in SPACE.untried([]):
        hp.values = encode(SPACE, configuration)
        assert sample(SPACE, hp) == configuration


def test_the_hypermodel_works_in_a_stock_tuner(values: SequenceDataset, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)  # other tests made TensorFlow deterministic, which needs one
    hypermodel = RecurrentHyperModel(values, cell="gru", units=[2, 3], batch_size=[8, 16])
    tuner = keras_tuner.RandomSearch(
        hypermodel, "val_accuracy", max_trials=2, seed=1, directory=tmp_path
    )
    tuner.search(
        values.train.x,
        values.train.y,
        epochs=1,
        validation_data=(values.validation.x, values.validation.y),
        verbose=0,
    )
    trials = tuner.oracle.get_best_trials(2)
    assert len(trials) == 2
    assert all(trial.status == "COMPLETED" for trial in trials)
    assert isinstance(tuner.get_best_models()[0], keras.Model)


def test_records_of_a_search_are_plain(values: SequenceDataset) -> None:
    result = tune(values, SearchSpace(cell="dense", units=2), trials=1, epochs=1)
    trial = result.trials[0]
    assert isinstance(trial, Trial)
    assert trial.run.to_dict()["model"]["units"] == 2
