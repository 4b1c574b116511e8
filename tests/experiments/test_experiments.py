"""Every published experiment of the table is whole, and its claims are those of its own numbers."""

from __future__ import annotations

import hashlib

import pytest

from rnnprobe._registry import load_object
from rnnprobe.datasets import DATASETS, SPLITS
from rnnprobe.experiments import EXPERIMENTS
from rnnprobe.experiments._record import Experiment
from rnnprobe.experiments._reproduce import Plan

TOLD = {
    "lstm-units-by-learning-rate-2017a": (54, "73c42a623a97ee55"),
    "lstm-units-by-learning-rate-2017b": (54, "7dd9d94ca471a992"),
    "cnn-optimizers": (40, "aea0e3800935cdf7"),
    "mnist-cells-and-optimizers": (7, "805ec118685b4c70"),
    "rnn-learning-rate-by-batch-size": (96, "949d37a73937deaf"),
    "rnn-units-by-learning-rate": (120, "781e5cfad0a36e9b"),
    "lstm-optimizers": (24, "6ab8bbf875cd89ab"),
    "surnames-layers-by-units": (12, "749ab9c223428691"),
    "surnames-batch-size": (24, "7ce118afa1122997"),
}


@pytest.fixture(params=EXPERIMENTS)
def experiment(request: pytest.FixtureRequest) -> Experiment:
    found = load_object(EXPERIMENTS[request.param])
    assert isinstance(found, Experiment)
    assert found.name == request.param
    return found


def test_its_data_and_splits_are_known(experiment: Experiment) -> None:
    assert experiment.dataset in DATASETS
    assert set(experiment.splits) <= {None, *SPLITS}


def test_its_cells_are_valid_settings_and_differ(experiment: Experiment) -> None:
    plan = Plan(experiment)
    specs = [plan.specs(cell, seed=0) for cell in experiment.cells]
    assert len({repr(spec) for spec in specs}) == len(specs)
    assert len({task.name for task in plan.tasks()}) == len(specs)


def test_its_rows_and_columns_tell_its_cells_apart(experiment: Experiment) -> None:
    axes = (*experiment.rows, *experiment.columns)
    places = [tuple(cell.settings.get(name) for name in axes) for cell in experiment.cells]
    assert len(set(places)) == len(places)


def test_its_published_shares_are_shares(experiment: Experiment) -> None:
    counted = {measure.key for measure in experiment.measures if measure.counted}
    for cell in experiment.cells:
        for key, value in cell.reported.items():
            assert key not in counted or value is None or 0 <= value <= 1


def test_its_claims_hold_in_its_own_table_or_are_about_what_it_does_not_hold(
    experiment: Experiment,
) -> None:
    assert experiment.claims
    for claim in experiment.claims:
        answer = claim.ask(experiment.published(experiment.cells))
        assert answer is None or answer.holds, claim.text


def test_its_twin_has_the_same_cells_and_protocol(experiment: Experiment) -> None:
    if experiment.twin is None:
        return
    twin: Experiment = load_object(EXPERIMENTS[experiment.twin])
    assert twin.twin == experiment.name
    assert [cell.settings for cell in twin.cells] == [cell.settings for cell in experiment.cells]
    assert (twin.settings, twin.initializers) == (experiment.settings, experiment.initializers)


def test_it_says_what_the_report_gives_and_what_was_chosen(experiment: Experiment) -> None:
    assert experiment.given
    for sentence in (*experiment.given, *experiment.chosen):
        assert sentence.endswith("."), sentence


def test_tables_that_two_reports_share_have_the_same_numbers_in_both() -> None:
    by_rate: Experiment = load_object(EXPERIMENTS["rnn-units-by-learning-rate"])
    by_batch: Experiment = load_object(EXPERIMENTS["rnn-learning-rate-by-batch-size"])

    def shared(experiment: Experiment) -> dict[object, object]:
        everything = [({**experiment.settings, **c.settings}, c.reported) for c in experiment.cells]
        return {
            settings["learning_rate"]: reported
            for settings, reported in everything
            if (settings["units"], settings["batch_size"]) == (128, 256)
        }

    assert len(shared(by_rate)) == 4
    assert shared(by_rate) == shared(by_batch)


def test_no_number_was_lost_or_mistyped() -> None:
    """The digests are of data that were compared, value by value, with the reports' own tables."""
    found = {}
    for name, path in EXPERIMENTS.items():
        experiment: Experiment = load_object(path)
        told = [
            f"{sorted(cell.settings.items())} {key} {value}"
            for cell in experiment.cells
            for key, value in sorted(cell.reported.items())
        ]
        found[name] = (len(told), hashlib.sha256("\n".join(told).encode()).hexdigest()[:16])
    assert found == TOLD
