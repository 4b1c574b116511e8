"""Out-of-fold predictions: who is dealt where, what is trained, what stays untouched."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers

from rnnprobe import KerasClassifier, SequenceDataset, Split, TrainSpec
from rnnprobe.confusions.folds import (
    DEFAULT_SETTINGS,
    FoldSettings,
    _fresh_weights,
    _kept_layers,
    deal_folds,
    fold_settings,
    out_of_fold,
)
from rnnprobe.errors import DataError, ModelError, TrainingError
from rnnprobe.hardening.trainer import Schedule, Trainer
from rnnprobe.reports._labels import folds_finding

FAST = FoldSettings(TrainSpec(learning_rate=0.05, batch_size=16, epochs=3))


def linear_model(activation: str | None = "softmax") -> keras.Model:
    head = layers.Dense(3, activation=activation)
    return keras.Sequential([keras.Input((6, 3)), layers.Flatten(), layers.Dropout(0.2), head])


def test_folds_are_stratified_and_keep_equal_inputs_together() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [60, 25, 10]).astype(np.int32)
    x = rng.normal(size=(95, 4, 2)).astype(np.float32)
    x[3], x[40], x[70] = x[0], x[0], x[61]
    fold = deal_folds(Split(x, y), 5, seed=1)
    counts = np.array([np.bincount(y[fold == number], minlength=3) for number in range(5)])
    assert (np.ptp(counts, axis=0) <= 3).all() and (counts > 0).all()
    assert fold[3] == fold[40] == fold[0] and fold[70] == fold[61]
    assert np.ptp(counts.sum(axis=1)) <= 3
    assert (fold == deal_folds(Split(x, y), 5, seed=1)).all()
    assert (fold != deal_folds(Split(x, y), 5, seed=2)).any()
    with pytest.raises(ValueError, match="`num_folds >= 2` must hold, but got num_folds=1"):
        deal_folds(Split(x, y), 1, seed=0)
    with pytest.raises(DataError, match=r"5 folds need as many .* but there are 3; give fewer"):
        deal_folds(Split(x[:3], y[:3]), 5, seed=0)
    with pytest.raises(DataError, match=r"2 folds need as many .* but there are 0"):
        deal_folds(Split(x[:0], y[:0]), 2, seed=0)


@pytest.mark.parametrize(
    ("size", "classes", "folds"), [(4, 10, 5), (1, 100, 5), (6, 20, 5), (8, 30, 10)]
)
def test_small_classes_fill_the_folds_evenly(size: int, classes: int, folds: int) -> None:
    y = np.repeat(np.arange(classes), size).astype(np.int32)
    x = np.arange(len(y), dtype=np.float32).reshape(-1, 1, 1)
    fold = deal_folds(Split(x, y), folds, seed=0)
    assert np.ptp(np.bincount(fold, minlength=folds)) <= 1
    of_class = np.array([np.bincount(fold[y == one], minlength=folds) for one in range(classes)])
    assert np.ptp(of_class, axis=1).max() <= 1


def test_predictions_are_reproducible_and_leave_the_model(values: SequenceDataset) -> None:
    classifier = KerasClassifier(linear_model())
    given = classifier.model.get_weights()
    lines: list[str] = []
    found = out_of_fold(classifier, values, FAST, num_folds=3, seed=4, say=lines.append)
    assert len(lines) == 3 and lines[2].startswith("fold 3 of 3: mean loss ")
    assert all((a == b).all() for a, b in zip(given, classifier.model.get_weights(), strict=True))
    accuracy = (found.predictions.predicted == values.train.y).mean()
    assert accuracy > 0.8
    assert len(found.mistakes) == round((1 - accuracy) * len(values.train))
    classifier.model.set_weights([0 * weight for weight in given])  # which must not matter
    again = out_of_fold(classifier, values, FAST, num_folds=3, seed=4)
    assert (again.predictions.probabilities == found.predictions.probabilities).all()
    other = out_of_fold(classifier, values, FAST, num_folds=3, seed=5)
    assert (other.predictions.probabilities != found.predictions.probabilities).any()


def test_no_model_has_seen_what_it_predicts(values: SequenceDataset) -> None:
    # A look-up table: it knows every example that it was trained on, and no other.
    tokens = np.arange(1, 91, dtype=np.int32)[:, None]
    train = Split(tokens, (np.arange(90) % 3).astype(np.int32))
    dataset = replace(values, train=train, test=train)
    table = layers.Embedding(91, 3)
    model = keras.Sequential([keras.Input((1,), dtype="int32"), table, layers.Flatten()])
    classifier = KerasClassifier(model, output="logits")
    settings = FoldSettings(TrainSpec(learning_rate=0.5, batch_size=30, epochs=5))
    found = out_of_fold(classifier, dataset, settings)
    assert (found.predictions.predicted == train.y).mean() < 0.6
    Trainer(classifier, train, Schedule(epochs=5, learning_rate=0.5)).run("model")
    assert (classifier.predict(train, dataset.class_names).predicted == train.y).all()


def test_each_fold_starts_from_weights_of_its_own(values: SequenceDataset) -> None:
    # A rate so small that what is predicted is what the fold began with.
    still = FoldSettings(TrainSpec(learning_rate=1e-12, steps=1))
    dataset = replace(values, train=values.train.take(np.arange(12)))
    same = Split(np.repeat(dataset.train.x[:1], 12, axis=0) + np.arange(12)[:, None, None] * 1e-6,
                 dataset.train.y)  # fmt: skip
    classifier = KerasClassifier(linear_model(None))
    found = out_of_fold(classifier, replace(values, train=same), still, num_folds=3)
    firsts = [found.predictions.probabilities[found.fold == number][0] for number in range(3)]
    assert np.abs(np.diff(firsts, axis=0)).max(axis=1).min() > 1e-3
    own = classifier.predict(same, values.class_names).probabilities
    assert np.abs(own - found.predictions.probabilities).max() > 1e-3


def test_layers_that_cannot_be_trained_keep_what_they_have(values: SequenceDataset) -> None:
    frozen = layers.Dense(3, use_bias=False, trainable=False)
    pooled = layers.GlobalAveragePooling1D()
    model = keras.Sequential([keras.Input((6, 3)), pooled, frozen, layers.Dense(3)])
    frozen.set_weights([np.zeros((3, 3), np.float32)])
    found = out_of_fold(KerasClassifier(model), values, FAST, num_folds=2)
    # Behind zeros every example of a fold looks the same.
    for number in range(2):
        rows = found.predictions.probabilities[found.fold == number]
        assert np.ptp(rows, axis=0).max() < 1e-6


def test_settings_come_from_the_models_own_training() -> None:
    assert fold_settings(None) is DEFAULT_SETTINGS
    assert fold_settings({"model": {"cell": "lstm"}}) is DEFAULT_SETTINGS
    told = {
        "train": {
            "optimizer": "sgd", "learning_rate": 0.1, "batch_size": 8, "epochs": 30, "steps": None,
            "loss": "mean-squared-error", "early_stopping": 3, "class_weights": [1.0, 2.0],
            "checkpoints": 2, "seed": 9,
        },
        "metrics": {"epoch": 7},
    }  # fmt: skip
    found = fold_settings(told)
    assert found.from_model
    assert (found.train.optimizer, found.train.batch_size, found.train.epochs) == ("sgd", 8, 7)
    assert found.train.early_stopping is None and found.train.class_weights is None
    assert found.left_out == ("the loss mean-squared-error", "class weights", "early stopping")


def test_the_optimizer_of_the_settings_is_used(values: SequenceDataset) -> None:
    classifier = KerasClassifier(linear_model())
    spec = TrainSpec("momentum", learning_rate=0.01, steps=2, batch_size=8)
    found = out_of_fold(classifier, values, FoldSettings(spec, from_model=True), num_folds=2)
    adam = out_of_fold(classifier, values, FoldSettings(replace(spec, optimizer="adam")),
                       num_folds=2)  # fmt: skip
    assert (found.predictions.probabilities != adam.predictions.probabilities).any()
    sentence = folds_finding(found).sentence
    assert "momentum, learning rate 0.01, batches of 8, cross-entropy (as the" in sentence
    assert "), 2 updates each, seed 0" in sentence
    assert "(defaults: the model does not say" in folds_finding(adam).sentence


@keras.saving.register_keras_serializable("test_folds")
class Unclonable(keras.Model):  # type: ignore[misc]
    def __init__(self, width: int) -> None:
        super().__init__()
        self.head = layers.Dense(width)

    def call(self, x: object) -> object:
        return self.head(keras.ops.mean(x, axis=1))


def test_what_cannot_be_done_is_one_line(values: SequenceDataset) -> None:
    model = Unclonable(3)
    model(values.train.x[:2])
    with pytest.raises(ModelError, match="cannot be built anew for each fold: "):
        out_of_fold(KerasClassifier(model), values, FAST)
    classifier = KerasClassifier(linear_model())
    given = classifier.model.get_weights()
    wild = FoldSettings(TrainSpec("sgd", learning_rate=1e38, steps=5), from_model=True)
    with pytest.raises(
        TrainingError, match=r"The model of fold 1 of 2 diverged: .*own learning rat"
    ):
        out_of_fold(classifier, values, wild, num_folds=2)
    assert all((a == b).all() for a, b in zip(given, classifier.model.get_weights(), strict=True))
    with pytest.raises(DataError, match="tells 3 classes apart, but the data has 2"):
        out_of_fold(classifier, replace(values, class_names=("a", "b")), FAST)
    classifier.model.trainable = False
    with pytest.raises(ModelError, match="no weights that can be trained"):
        out_of_fold(classifier, values, FAST)


def test_statistics_of_all_examples_are_not_handed_to_the_folds(values: SequenceDataset) -> None:
    adapted = layers.Normalization(name="adapted")
    adapted.adapt(values.train.x)
    statistics = layers.BatchNormalization(center=False, scale=False, name="statistics")
    model = keras.Sequential(
        [keras.Input((6, 3)), adapted, statistics, layers.GRU(2), layers.Dense(3)]
    )
    statistics.moving_mean.assign([7.0, 7.0, 7.0])
    fresh = dict(zip((w.path for w in model.weights), _fresh_weights(model, 0, 0), strict=True))
    assert (fresh[statistics.moving_mean.path] == 0).all()
    mean = adapted.weights[0]
    assert (fresh[mean.path] == np.array(mean)).all() and np.array(mean).any()
    assert [layer.name for layer in _kept_layers(model)] == ["adapted"]


def test_a_model_that_keeps_its_state_cannot_be_trained_on_folds(values: SequenceDataset) -> None:
    model = keras.Sequential(
        [keras.Input((6, 3), batch_size=8), layers.GRU(2, stateful=True, name="memory"),
         layers.Dense(3)]
    )  # fmt: skip
    with pytest.raises(ModelError, match="The layer 'memory' is stateful: it carries its state"):
        out_of_fold(KerasClassifier(model), values)
