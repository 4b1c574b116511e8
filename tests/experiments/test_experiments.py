"""Every published experiment of the table is whole, and its claims are those of its own numbers."""

from __future__ import annotations

import pytest

from rnnprobe._registry import load_object
from rnnprobe.datasets import DATASETS, SPLITS
from rnnprobe.experiments import EXPERIMENTS
from rnnprobe.experiments._record import Experiment
from rnnprobe.experiments._reproduce import Plan


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


@pytest.mark.parametrize(
    ("name", "key", "total", "number"),
    [  # summed up from the reports' own pages
        ("lstm-units-by-learning-rate-2017a", "test_accuracy", 30.4257, 54),
        ("lstm-units-by-learning-rate-2017b", "test_accuracy", 29.2874, 48),
        ("rnn-units-by-learning-rate", "test_accuracy", 12.1040, 20),
        ("rnn-learning-rate-by-batch-size", "test_accuracy", 9.0120, 16),
        ("surnames-layers-by-units", "test_accuracy", 4.818, 6),
        ("lstm-optimizers", "test_accuracy", 3.9038, 4),
    ],
)
def test_no_number_was_lost_or_mistyped(name: str, key: str, total: float, number: int) -> None:
    experiment: Experiment = load_object(EXPERIMENTS[name])
    values = [cell.reported.get(key) for cell in experiment.cells]
    found = [value for value in values if value is not None]
    assert len(found) == number
    assert sum(found) == pytest.approx(total, abs=5e-5)
