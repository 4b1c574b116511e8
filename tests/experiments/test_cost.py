from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnprobe import ModelSpec, SequenceDataset, TrainSpec, build_model, load_dataset
from rnnprobe._registry import load_object
from rnnprobe.experiments import EXPERIMENTS
from rnnprobe.experiments._cost import (
    Cost,
    Forecast,
    _size,
    forecast,
    run_cost,
)
from rnnprobe.experiments._limits import parse_limits
from rnnprobe.experiments._record import Experiment
from rnnprobe.experiments._reproduce import Plan
from rnnprobe.experiments._shapes import SHAPES, Shape
from rnnprobe.reports._reproduce_cost import forecast_notes, plan_notes
from rnnprobe.search.task import Execution
from rnnprobe.specs import Run

MNIST = SHAPES["mnist"]
SHORT = TrainSpec(batch_size=100, steps=999)
ENOUGH = Execution(max_memory=10**12)


def experiment(name: str) -> Experiment:
    found = load_object(EXPERIMENTS[name])
    assert isinstance(found, Experiment)
    return found


def run(train: TrainSpec, seconds: float, status: Any = "ok") -> Run:
    return Run("", ModelSpec("rnn", 8), train, status, {}, {}, seconds, None, 0, {})


def seconds_beyond_start(model: ModelSpec, train: TrainSpec) -> float:
    """What a run takes without its start, and without any update."""
    none = replace(MNIST, num_validation=0, num_test=0)
    once, twice = (
        run_cost(model, replace(train, steps=n * train.num_steps(none.num_train)), none).seconds
        for n in (1, 2)
    )
    return twice - once


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "cnn-relu"])
def test_twice_the_updates_take_twice_the_time(cell: str) -> None:
    model = ModelSpec(cell, 32)
    some = seconds_beyond_start(model, replace(SHORT, steps=500))
    assert seconds_beyond_start(model, replace(SHORT, steps=1000)) == pytest.approx(2 * some)


def test_epochs_take_what_their_updates_and_their_validation_take() -> None:
    model = ModelSpec("lstm", 32)
    one, two, three = (
        run_cost(model, TrainSpec(batch_size=100, epochs=epochs), MNIST) for epochs in (1, 2, 3)
    )
    assert three.seconds - two.seconds == pytest.approx(two.seconds - one.seconds)
    assert three.memory == one.memory
    assert run_cost(model, TrainSpec(batch_size=100, steps=1100), MNIST) == two


@given(
    cell=st.sampled_from(["rnn", "gru", "lstm"]),
    units=st.integers(1, 4000),
    steps=st.integers(1, 5000),
    num_steps=st.integers(1, 800),
)
def test_more_of_anything_costs_no_less(cell: str, units: int, steps: int, num_steps: int) -> None:
    shape = replace(MNIST, num_steps=num_steps)
    model, train = ModelSpec(cell, units), replace(SHORT, steps=steps)
    cost = run_cost(model, train, shape)
    for larger in (
        run_cost(replace(model, units=units + 1), train, shape),
        run_cost(replace(model, layers=2), train, shape),
        run_cost(replace(model, bidirectional=True), train, shape),
        run_cost(model, train, replace(shape, num_steps=num_steps + 1)),
        run_cost(model, replace(train, batch_size=200), shape),
    ):
        assert larger.seconds > cost.seconds
        assert larger.memory >= cost.memory
    assert run_cost(model, replace(train, steps=steps + 1), shape).seconds > cost.seconds


def test_gates_cost_in_the_order_of_their_number() -> None:
    costs = [run_cost(ModelSpec(cell, 512), SHORT, MNIST) for cell in ("rnn", "gru", "lstm")]
    assert costs == sorted(costs)
    assert costs[2].seconds < 4 * costs[0].seconds


def test_the_largest_published_nets_need_hours_and_gigabytes() -> None:
    large = run_cost(ModelSpec("lstm", 4096), SHORT, MNIST)
    assert 1.5e9 < large.memory < 6e9
    assert 3600 < large.seconds < 24 * 3600
    small = run_cost(ModelSpec("lstm", 16), SHORT, MNIST)
    assert small.memory < 0.5e9
    assert small.seconds < 20


@pytest.mark.parametrize(
    ("model", "train", "seconds"),
    [
        # Processor time of one thread, without a start of 2 s: measured as the constants were.
        (ModelSpec("lstm", 16), {"batch_size": 100, "steps": 400}, 1.3),
        (ModelSpec("lstm", 1024), {"batch_size": 100, "steps": 20}, 17.0),
        (ModelSpec("rnn", 32), {"batch_size": 256, "steps": 600}, 2.4),
        (ModelSpec("rnn", 512), {"batch_size": 256, "steps": 100}, 10.0),
        (ModelSpec("cnn-relu"), {"batch_size": 50, "steps": 50}, 2.5),
    ],
)
def test_estimates_are_within_a_factor_of_two_of_what_was_measured(
    model: ModelSpec, train: dict[str, Any], seconds: float
) -> None:
    estimated = seconds_beyond_start(model, TrainSpec(**train))
    assert 1 / 2 < estimated / seconds < 2


@pytest.mark.parametrize(
    "model",
    [
        ModelSpec("rnn", 5),
        ModelSpec("gru", 4, layers=2),
        ModelSpec("lstm", 7, bidirectional=True),
        ModelSpec("lstm", 300),
    ],
)
def test_weights_are_those_of_the_model_without_biases(
    model: ModelSpec, values: SequenceDataset, names: SequenceDataset
) -> None:
    for dataset in (values, names):
        weights = build_model(model, dataset).weights
        matrices = sum(w.shape.num_elements() for w in weights if "bias" not in w.name)
        assert _size(model, Shape.of(dataset)).weights == matrices


def test_weights_of_the_convolutional_net_are_counted() -> None:
    dataset = load_dataset("mnist-5k", limit_examples=50)
    weights = build_model(ModelSpec("cnn-relu"), dataset).weights
    matrices = sum(w.shape.num_elements() for w in weights if "bias" not in w.name)
    assert _size(ModelSpec("cnn-relu"), Shape.of(dataset)).weights == matrices


def test_the_table_of_shapes_has_the_embedded_digits_right_and_all_that_experiments_use() -> None:
    assert Shape.of(load_dataset("mnist-5k")) == SHAPES["mnist-5k"]
    assert {experiment(name).dataset for name in EXPERIMENTS} <= set(SHAPES)


def test_tokens_have_an_embedding(names: SequenceDataset) -> None:
    shape = Shape.of(names)
    assert shape.num_features == 0
    assert shape.num_tokens == names.num_tokens
    small, large = (
        run_cost(ModelSpec("lstm", 8, embedding=size), SHORT, shape).seconds for size in (4, 400)
    )
    assert small < large


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_cell_of_every_experiment_has_an_estimate(name: str) -> None:
    plan = Plan(experiment(name))
    shape = SHAPES[plan.experiment.dataset]
    cost = forecast(plan, [shape] * len(plan.experiment.splits))
    assert len(cost.costs) == plan.num_runs
    assert 10 < cost.seconds < 7 * 24 * 3600
    assert cost.memory > 1e8


def test_a_cell_that_nothing_is_known_of_has_no_estimate() -> None:
    with pytest.raises(ValueError, match="no estimate of what the cell 'mine:build' costs"):
        run_cost(ModelSpec("mine:build"), SHORT, MNIST)


def test_two_at_once_take_half_the_time_but_no_less_than_the_longest() -> None:
    def until(workers: int, *seconds: float) -> float:
        return Forecast(tuple(("", Cost(s, 1)) for s in seconds), 0, workers).seconds

    assert until(2, 10, 10, 10, 10) == 20
    assert until(2, 1, 1, 50) == 50
    assert until(1, 1, 1, 50) == 52
    assert until(3) == 0


def test_what_is_there_need_not_be_made(tmp_path: Path) -> None:
    plan = Plan(experiment("lstm-optimizers"), repeats=2)
    done, dead, *_ = plan.tasks()
    validated = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
    measured = (*validated, "test_loss", "test_accuracy", "test_correct")
    lines = [
        json.dumps({"key": task.key, "hits": "", "run": made.to_dict()})
        for task, made in (
            (done, replace(run(done.train, 1.0), metrics=dict.fromkeys(measured, 1.0))),
            (dead, run(dead.train, 1.0, "dnf")),
        )
    ]
    (tmp_path / "results.jsonl").write_text("\n".join(lines) + "\n")
    shapes = [MNIST] * len(plan.experiment.splits)
    whole = forecast(plan, shapes)
    rest = forecast(plan, shapes, folder=tmp_path)
    again = forecast(plan, shapes, folder=tmp_path, retry_dnf=True)
    assert (whole.num_there, rest.num_there, again.num_there) == (0, 2, 1)
    assert whole.work > again.work > rest.work
    assert "; 2 are there, " in " ".join(forecast_notes(plan, rest, ENOUGH))


def test_cells_that_need_more_than_a_run_may_have_are_named_before() -> None:
    plan = Plan(
        experiment("lstm-units-by-learning-rate-2017b"),
        limits=parse_limits("units>=2048, learning_rate<=1e-4"),
    )
    cost = forecast(plan, [MNIST])
    limited = Execution(workers=2, max_memory=2 * 10**9)
    (warning,) = [n for n in forecast_notes(plan, cost, limited) if n.startswith("warning")]
    assert "2 cells may need up to 3.1 GB, but a run may have 2.0 GB" in warning
    assert "units 4096, learning rate 0.0001" in warning
    assert "units 2048" not in warning
    assert warning.endswith("(DNF oom, or killed); a larger --max-memory lets them run")
    assert not any("warning" in note for note in forecast_notes(plan, cost, ENOUGH))
    share = Execution(workers=10**4)  # whose share of any memory is too little
    many = forecast(plan, [MNIST], workers=share.num_workers)
    assert "; --workers 1 leaves more to each" in forecast_notes(plan, many, share)[-1]


def test_notes_say_what_is_run_and_what_is_left_out() -> None:
    plan = Plan(experiment("surnames-batch-size"), limits=parse_limits("batch_size>=30"), repeats=3)
    (what,) = plan_notes(plan)
    assert what.startswith("surnames-batch-size: LSTM on surnames")
    assert "report E" in what
    runs, estimate = forecast_notes(plan, forecast(plan, [SHAPES["names"]] * 2), ENOUGH)
    assert runs == (
        "2 of 4 cells (batch_size>=30; 2 left out), 12 runs (3 seeds, 2 splits of the data)"
    )
    assert estimate.startswith("estimated: ")


def test_other_data_and_fewer_examples_are_called_a_quick_look() -> None:
    plan = Plan(experiment("lstm-optimizers"), data="mnist-5k", limit_examples=1)
    _, data, examples = plan_notes(plan)
    assert data.startswith("the data is 'mnist-5k' in the place of mnist: this is a quick look")
    assert examples.startswith("at most 1 example of each part")
    assert len(plan_notes(Plan(experiment("lstm-optimizers"), data="mnist"))) == 1
    _, path = plan_notes(Plan(experiment("lstm-optimizers"), data="own.npz"))
    assert path == "the data is 'own.npz' in the place of mnist"
    _, path = plan_notes(Plan(experiment("lstm-optimizers"), data="a\x1b[1m.npz"))
    assert path.startswith("the data is 'a\\x1b[1m.npz' in the place of mnist")
