"""Suspected label errors, against cleanlab, by brute force, and where errors were planted."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
from cleanlab.count import get_confident_thresholds
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from keras import layers

from rnnprobe import KerasClassifier, SequenceDataset, Split, TrainSpec
from rnnprobe.confusions.folds import DEFAULT_SETTINGS, FoldSettings, OutOfFold, out_of_fold
from rnnprobe.confusions.labels import second_opinion, suspect_labels
from rnnprobe.records import Predictions
from rnnprobe.reports._labels import suspects_findings, suspects_table


def predicted(y: np.ndarray, probabilities: np.ndarray) -> OutOfFold:
    names = tuple("abcdefgh"[: probabilities.shape[1]])
    predictions = Predictions(y.astype(np.int32), probabilities, names)
    fold = np.arange(len(y)) % 5
    return OutOfFold(predictions, fold, 5, 0, DEFAULT_SETTINGS)


def noisy(seed: int, num_classes: int = 4, size: int = 400, wrong: float = 0.2) -> OutOfFold:
    """Unbalanced classes, asymmetric noise, and probabilities that lean to the true class."""
    rng = np.random.default_rng(seed)
    shares = np.arange(1, num_classes + 1) / np.arange(1, num_classes + 1).sum()
    true = rng.choice(num_classes, size, p=shares)
    scores = rng.normal(size=(size, num_classes)) + 2.0 * np.eye(num_classes)[true]
    y = np.where(rng.random(size) < wrong, (true + 1) % num_classes, true)
    exponentials = np.exp(scores)
    return predicted(y, exponentials / exponentials.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("seed", range(6))
def test_the_rule_is_that_of_the_paper_and_of_cleanlab(seed: int) -> None:
    given = noisy(seed, num_classes=2 + seed)
    y, p = given.predictions.y, given.predictions.probabilities
    found = suspect_labels(given)
    assert found.thresholds == pytest.approx(get_confident_thresholds(y, p))
    by_hand = []
    for index, (label, row) in enumerate(zip(y, p, strict=True)):
        confident = [k for k in range(p.shape[1]) if row[k] >= found.thresholds[k]]
        best = max(confident, key=lambda k: row[k]) if confident else label
        if best != label and row.argmax() != label:
            by_hand.append((index, best))
    order = np.argsort(found.index)
    assert list(zip(found.index[order], found.suspected[order], strict=True)) == by_hand
    issues = find_label_issues(y, p, filter_by="confident_learning", n_jobs=1)
    # Where several classes are confident, cleanlab takes the most probable of all classes, be it
    # confident or not; the paper, and we, take the most probable of the confident ones.
    confident = p >= found.thresholds
    differs = (confident.sum(axis=1) > 1) & ~confident[np.arange(len(y)), p.argmax(axis=1)]
    ours = np.isin(np.arange(len(y)), found.index)
    assert (ours == issues)[~differs].all()
    assert differs.sum() < 0.05 * len(y)
    scores = get_label_quality_scores(y, p, method="normalized_margin", adjust_pred_probs=False)
    assert found.margin == pytest.approx(2 * scores[found.index] - 1)
    assert (np.diff(found.margin) >= 0).all()
    assert set(found.index) <= set(given.mistakes)


def test_absent_classes_ties_and_perfect_predictions_suspect_nobody_for_nothing() -> None:
    given = noisy(1)
    p = given.predictions.probabilities
    y = np.where(given.predictions.y == 2, 3, given.predictions.y)
    found = suspect_labels(predicted(y, p))
    assert found.thresholds[2] == np.inf
    assert 2 not in found.suspected
    issues = find_label_issues(y, p, filter_by="confident_learning", n_jobs=1)
    assert set(found.index) - set(np.flatnonzero(issues)) == set()
    labels = np.array([0, 1, 2, 0])
    assert len(suspect_labels(predicted(labels, np.full((4, 3), 1 / 3)))) == 0
    assert len(suspect_labels(predicted(labels, np.eye(3)[labels]))) == 0
    # Rounding of the mean must not decide: all of a class have one probability, 0.1 + 0.2.
    equal = np.tile([0.3, 0.7], (10, 1))
    assert len(suspect_labels(predicted(np.zeros(10, int), equal))) == 0
    lone = suspect_labels(predicted(np.array([1] * 9 + [0]), equal))
    assert lone.index.tolist() == [9]


def test_the_second_opinion_is_cleanlabs_default_and_silent(
    capfd: pytest.CaptureFixture[str],
) -> None:
    given = noisy(2)
    opinion = second_opinion(given)
    expected = find_label_issues(given.predictions.y, given.predictions.probabilities, n_jobs=1)
    assert opinion is not None and (opinion == expected).all() and opinion.any()
    one_class = second_opinion(predicted(np.zeros(4, int), np.tile([0.2, 0.8], (4, 1))))
    assert one_class is not None and not one_class.any()
    assert capfd.readouterr() == ("", "")


def test_planted_errors_are_found(values: SequenceDataset) -> None:
    rng = np.random.default_rng(3)
    y = np.array(values.train.y)
    planted = np.sort(rng.choice(len(y), round(0.1 * len(y)), replace=False))
    y[planted] = (y[planted] + rng.integers(1, 3, len(planted))) % 3
    dataset = replace(values, train=Split(values.train.x, y))
    head = layers.Dense(3, activation="softmax")
    pooled = layers.GlobalAveragePooling1D()
    classifier = KerasClassifier(keras.Sequential([keras.Input((6, 3)), pooled, head]))
    settings = FoldSettings(TrainSpec(learning_rate=0.1, batch_size=16, epochs=6))
    given = out_of_fold(classifier, dataset, settings)
    found = suspect_labels(given)
    hits = np.isin(found.index, planted)
    assert hits.mean() > 0.8  # by chance 0.1
    assert hits.sum() >= 0.8 * len(planted)
    opinion = second_opinion(given)
    table = suspects_table(found, dataset, 3, opinion)
    first = table.records()[0]
    index = first["example"]
    assert first["label"] == dataset.class_names[y[index]]
    assert first["suspected"] == dataset.class_names[values.train.y[index]]
    assert first["fold"] == given.fold[index] + 1
    assert first["margin"] == pytest.approx(
        first["label_probability"] - first["suspected_probability"]
    )
    assert len(table.rows) == 3 and first["cleanlab"] is True
    said = {finding.key: finding for finding in suspects_findings(found, opinion)}
    assert said["suspects"].value["suspects"] == len(found)
    assert "no proof" in said["suspects"].sentence
    assert said["out_of_fold"].value["accuracy"] == 1 - len(given.mistakes) / len(y)
    assert f"it suspects {opinion.sum()}" in said["cleanlab"].sentence
    (none,) = (one for one in suspects_findings(found) if one.key == "cleanlab")
    assert none.value is None and "cleanlab is not installed" in none.sentence


def test_texts_are_shown_and_nothing_is_a_table_too(names: SequenceDataset) -> None:
    size = len(names.train)
    p = np.tile([0.9, 0.1], (size, 1))
    y = np.zeros(size, int)
    y[4], p[7] = 1, [0.6, 0.4]
    found = suspect_labels(predicted(y, p))
    table = suspects_table(found, names, 5)
    assert [column.key for column in table.columns][-2:] == ["fold", "text"]
    assert table.records()[0]["text"] == names.text(names.train.x[4])
    none = suspect_labels(predicted(np.zeros(size, int), p))
    assert suspects_table(none, names, 5).rows == ()
    low_high = suspects_findings(none)[0].value
    assert (low_high["suspects"], low_high["low"]) == (0, 0) and low_high["high"] > 0
