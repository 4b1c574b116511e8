from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from rnnprobe import ModelSpec, Run, SequenceDataset, TrainSpec, load_dataset, train
from rnnprobe.errors import DataError
from rnnprobe.evaluation import evaluate
from rnnprobe.programs import Programs, class_weights
from rnnprobe.training import Training

SPEC = ModelSpec("gru", units=6)
FAST = TrainSpec(learning_rate=0.02, epochs=3)


def test_the_same_seed_gives_the_same_run_and_another_does_not(values: SequenceDataset) -> None:
    spec = replace(SPEC, dropout=0.2, recurrent_dropout=0.2)
    first, again, other = (train(values, spec, replace(FAST, seed=seed)).run for seed in (0, 0, 1))
    without_time = [{k: v for k, v in r.history.items() if k != "seconds"} for r in (first, again)]
    assert without_time[0] == without_time[1]
    assert first.metrics["test_loss"] == again.metrics["test_loss"]
    assert first.history["loss"] != other.history["loss"]


def test_it_learns_and_reports_what_it_measured(values: SequenceDataset) -> None:
    epochs: list[int] = []
    run, model = train(
        values, SPEC, replace(FAST, epochs=8), on_epoch=lambda epoch, _: epochs.append(epoch)
    )
    assert epochs == list(range(1, 9))
    assert run.metrics["test_accuracy"] > 0.8
    logits = model.predict(values.test.inputs, verbose=0)
    assert run.metrics["test_correct"] == (logits.argmax(axis=1) == values.test.y).sum()
    expected = model.evaluate(values.test.x, values.test.y, verbose=0)
    assert run.metrics["test_loss"] == pytest.approx(expected[0], rel=1e-4)
    assert run.history["val_accuracy"][-1] == run.metrics["val_accuracy"]
    assert run.parameters == model.count_params()


def test_masks_and_tokens_train(masked: SequenceDataset, names: SequenceDataset) -> None:
    for dataset in (masked, names):
        run, _ = train(dataset, SPEC, replace(FAST, epochs=12))
        assert run.metrics["test_accuracy"] > 0.75


def test_steps_stop_in_the_middle_of_an_epoch(values: SequenceDataset) -> None:
    steps: list[int] = []
    spec = replace(FAST, steps=7, batch_size=32)  # three updates an epoch
    run, _ = train(values, SPEC, spec, on_step=lambda step, _: steps.append(step))
    assert steps == list(range(1, 8))
    assert len(run.history["loss"]) == 3


def test_early_stopping_restores_the_best_weights(values: SequenceDataset) -> None:
    spec = TrainSpec(learning_rate=0.3, epochs=40, early_stopping=2)
    run, model = train(values, SPEC, spec)
    best = min(run.history["val_loss"])
    assert run.metrics["val_loss"] == best
    assert run.metrics["epoch"] == run.history["val_loss"].index(best) + 1
    assert len(run.history["val_loss"]) < 40
    assert run.history["val_loss"].index(best) == len(run.history["val_loss"]) - 3
    measured = evaluate(model, values.validation)
    assert measured.loss == pytest.approx(best, rel=1e-4)


def test_the_best_epoch_is_kept_whenever_the_run_ends(values: SequenceDataset) -> None:
    """Also in stages, and where the last step comes before patience runs out."""
    spec = TrainSpec(learning_rate=0.3, epochs=6, early_stopping=5)
    whole, staged = Training(values, SPEC, spec), Training(values, SPEC, spec)
    whole.advance(6)
    for epoch in range(1, 7):
        staged.advance(epoch)
    whole.finish()
    staged.finish()
    assert whole.run().history["val_loss"] == staged.run().history["val_loss"]
    best = min(whole.run().history["val_loss"])
    for training in (whole, staged):
        assert evaluate(training.model, values.validation).loss == pytest.approx(best, rel=1e-4)
    run, model = train(values, SPEC, replace(spec, learning_rate=0.01, steps=7))
    assert run.metrics["epoch"] == 3
    loss = evaluate(model, values.validation).loss
    assert loss == pytest.approx(run.history["val_loss"][2], rel=1e-4)


def test_weights_that_explode_in_the_last_step_are_dnf(values: SequenceDataset) -> None:
    spec = TrainSpec(optimizer="sgd", learning_rate=1e38, steps=1)
    run, _ = train(values, ModelSpec("dense", units=4, layers=2), spec)
    assert run.status == "dnf"
    assert "validation loss" in run.message


def test_a_loss_that_is_no_number_ends_the_run_as_dnf(values: SequenceDataset) -> None:
    spec = TrainSpec(optimizer="sgd", learning_rate=1e30, epochs=5)
    run, _ = train(values, ModelSpec("rnn", units=4, cell_options={"activation": "linear"}), spec)
    assert run.status == "dnf"
    assert run.message.startswith("nan: the loss is")
    assert "test_accuracy" not in run.metrics
    assert len(run.history["loss"]) < 5


def test_clipping_bounds_the_step(values: SequenceDataset) -> None:
    """One step of plain gradient descent moves the weights by rate times the clipped norm."""
    spec = TrainSpec(optimizer="sgd", learning_rate=1.0, steps=1, clip_norm=0.01)
    keras.utils.set_random_seed(spec.seed)
    training = Training(values, SPEC, spec)
    before = training.model.get_weights()
    training.advance(1)
    after = training.model.get_weights()
    moved = np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(after, before, strict=True)))
    assert moved == pytest.approx(0.01, rel=1e-3)


def test_balanced_class_weights_equal_scikit_learns() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    y = np.repeat([0, 1, 2], [60, 30, 10])
    dataset = load_dataset({"x": np.random.default_rng(0).normal(size=(100, 2, 1)), "y": y})
    expected = compute_class_weight("balanced", classes=np.arange(3), y=dataset.train.y)
    weights = class_weights(TrainSpec(class_weights="balanced"), dataset)
    assert weights is not None
    assert list(weights.values()) == pytest.approx(expected)
    given = class_weights(TrainSpec(class_weights=(1, 2, 3)), dataset)
    assert given == {0: 1, 1: 2, 2: 3}
    with pytest.raises(DataError, match="2 class weights, but 3 classes"):
        class_weights(TrainSpec(class_weights=(1, 2)), dataset)


def test_a_class_without_weight_is_never_learnt(values: SequenceDataset) -> None:
    run, model = train(values, SPEC, replace(FAST, epochs=8, class_weights=(1.0, 1.0, 0.0)))
    predicted = model.predict(values.test.inputs, verbose=0).argmax(axis=1)
    assert run.status == "ok"
    assert 2 not in predicted


def test_a_run_in_stages_ends_where_one_stage_would(values: SequenceDataset) -> None:
    spec = replace(SPEC, dropout=0.2)
    stages, whole = Training(values, spec, FAST), Training(values, spec, FAST)
    stages.advance(1)
    stages.advance(3)
    whole.advance(3)
    histories = [dict(training.run().history) for training in (stages, whole)]
    for history in histories:
        del history["seconds"]
    assert histories[0] == histories[1]
    assert stages.epochs_done == 3


def test_data_without_a_training_part_is_refused() -> None:
    dataset = load_dataset({"x_test": np.ones((6, 2, 1)), "y_test": np.arange(6) % 2})
    with pytest.raises(DataError, match="has no train part"):
        train(dataset)


def without_time(run: Run) -> dict[str, object]:
    history = {name: values for name, values in run.history.items() if name != "seconds"}
    return {**run.to_dict(), "history": history, "seconds": 0, "peak_memory": 0}


@pytest.mark.parametrize("weights", [None, (1.0, 0.5, 2.0)])
def test_updates_equal_those_of_keras_fit(
    values: SequenceDataset, weights: tuple[float, ...] | None
) -> None:
    """Also of the last batch, which is smaller, and of the running loss and accuracy."""
    spec = TrainSpec(learning_rate=0.02, epochs=1, batch_size=36, class_weights=weights)
    ours, theirs = Training(values, SPEC, spec), Training(values, SPEC, spec)
    ours.advance()
    order = np.random.default_rng([0, 0]).permutation(len(values.train))
    train_part = values.train.take(order)
    history = theirs.model.fit(
        train_part.x, train_part.y, batch_size=36, shuffle=False, verbose=0,
        class_weight=None if weights is None else dict(enumerate(weights)),
    ).history  # fmt: skip
    for a, b in zip(ours.model.get_weights(), theirs.model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert ours.history["loss"][0] == pytest.approx(history["loss"][0], rel=1e-5)
    assert ours.history["accuracy"][0] == pytest.approx(history["accuracy"][0])


def test_runs_that_share_a_program_equal_runs_alone(values: SequenceDataset) -> None:
    """Whatever was trained before on it: weights, optimizer and dropout begin anew."""
    spec = ModelSpec("gru", units=6, dropout=0.2, recurrent_dropout=0.1)
    programs = Programs(values)
    others = (replace(FAST, learning_rate=0.5, seed=3), replace(FAST, batch_size=7, steps=5))
    for other in others:
        Training(values, spec, other, programs=programs).advance()
    shared = Training(values, spec, FAST, programs=programs)
    shared.advance()
    alone = Training(values, spec, FAST)
    alone.advance()
    assert without_time(shared.run()) == without_time(alone.run())
    for a, b in zip(shared.model.get_weights(), alone.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_saved_run_goes_on_to_the_same_end(values: SequenceDataset, tmp_path: Path) -> None:
    spec = replace(FAST, epochs=6, early_stopping=3, checkpoints=2)
    model_spec = ModelSpec("lstm", units=5, dropout=0.3)
    first = Training(values, model_spec, spec)
    first.advance(2)
    first.save(tmp_path / "state.npz")
    second = Training(values, model_spec, spec)
    second.load_if_whole(tmp_path / "state.npz")
    for training in (first, second):
        training.advance()
        training.finish()
    assert without_time(first.tested()) == without_time(second.tested())
    assert first.hits == second.hits
    (tmp_path / "torn.npz").write_bytes((tmp_path / "state.npz").read_bytes()[:-100])
    third = Training(values, model_spec, spec)
    for name in ("torn.npz", "none.npz"):
        third.load_if_whole(tmp_path / name)
    assert third.epochs_done == 0


def test_checkpoints_are_the_accuracy_since_the_one_before(values: SequenceDataset) -> None:
    spec = replace(FAST, epochs=4, batch_size=32, checkpoints=4)
    run = train(values, SPEC, spec).run
    points = [run.metrics[f"train_{number}"] for number in range(1, 5)]
    assert points == pytest.approx(run.history["accuracy"])
    steps = replace(spec, steps=3, checkpoints=3, batch_size=10)
    run = train(values, SPEC, steps).run
    points = [run.metrics[f"train_{number}"] for number in range(1, 4)]
    assert np.mean(points) == pytest.approx(run.history["accuracy"][0])
    assert all(round(10 * point) == pytest.approx(10 * point) for point in points)
    assert [run.metrics[f"minibatch_{number}"] for number in range(1, 4)] == points


def test_a_checkpoint_tells_the_last_whole_minibatch(values: SequenceDataset) -> None:
    size = len(values.train) - 3  # the second minibatch of an epoch has three examples
    spec = replace(FAST, epochs=2, batch_size=size, checkpoints=2)
    run = train(values, SPEC, spec).run
    for number in (1, 2):
        right = run.metrics[f"minibatch_{number}"] * size
        assert round(right) == pytest.approx(right)
        both = run.metrics[f"train_{number}"] * (size + 3)
        assert 0 <= round(both - right) <= 3


def test_more_checkpoints_than_updates_are_refused(values: SequenceDataset) -> None:
    steps = replace(FAST, steps=3, batch_size=10)
    with pytest.raises(DataError, match="There are 8 checkpoints, but only 3 updates"):
        train(values, SPEC, replace(steps, checkpoints=8))


def test_hits_tell_which_validation_examples_were_right(values: SequenceDataset) -> None:
    training = Training(values, SPEC, FAST)
    training.advance()
    logits = training.model.predict(values.validation.x, verbose=0)
    bits = np.unpackbits(np.frombuffer(training.hits, np.uint8), count=len(values.validation))
    np.testing.assert_array_equal(bits, logits.argmax(axis=1) == values.validation.y)
