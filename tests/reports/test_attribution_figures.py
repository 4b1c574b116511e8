"""Attributions as tables, sentences and pictures, of all kinds of data."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import matplotlib.figure
import numpy as np
import pytest
import scipy.stats

from rnnprobe import KerasClassifier, SequenceDataset, load_dataset
from rnnprobe.inspection._step_means import step_means
from rnnprobe.inspection.attribution import AttributionSettings
from rnnprobe.inspection.explanation import Explanation, explain_example, explain_pair
from rnnprobe.records import Split
from rnnprobe.reports._attribution import (
    LEFT_OUT,
    attribution_findings,
    attribution_note,
    attribution_tables,
)
from rnnprobe.reports._attribution_figures import attribution_figure
from rnnprobe.reports._figures import save_figures
from rnnprobe.table import Report, Section, Table, to_json, to_markdown

layers = keras.layers
FEW = AttributionSettings(samples=4, most_nodes=64)


class Rounded(layers.Layer):
    """Has no gradient."""

    def call(self, inputs: Any) -> Any:
        return keras.ops.round(inputs * 3)


def classifier_of(dataset: SequenceDataset, *between: Any) -> KerasClassifier:
    """Return a model that is quick to trace, with random weights."""
    if dataset.kind == "tokens":
        first = [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(dataset.num_tokens, 4, mask_zero=True),
            layers.GlobalAveragePooling1D(),
        ]
    else:
        first = [keras.Input(dataset.test.x.shape[1:]), *between, layers.Flatten()]
    stack = [*first, layers.Dense(4, activation="tanh"), layers.Dense(dataset.num_classes)]
    model = keras.Sequential(stack)
    rng = np.random.default_rng(3)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    return KerasClassifier(model)


def mistakes_of(dataset: SequenceDataset, classifier: KerasClassifier) -> Explanation:
    """Explain the most frequent pair of the test part."""
    test = dataset.test
    predicted = classifier.logits(test.x, test.mask).argmax(axis=1)
    matrix = np.zeros((dataset.num_classes,) * 2, int)
    np.add.at(matrix, (test.y, predicted), 1)
    np.fill_diagonal(matrix, 0)
    true, wrong = np.unravel_index(matrix.argmax(), matrix.shape)
    pair = int(true), int(wrong)
    names = dataset.class_names
    return explain_pair(classifier, test, predicted, pair, class_names=names, settings=FEW)


def report_of(explanation: Explanation, dataset: SequenceDataset) -> Report:
    return Report(
        "inspect",
        "x",
        Table((), ()),
        sections=(
            Section(
                "Attribution",
                attribution_tables(explanation, dataset, "test"),
                attribution_findings(explanation, dataset, "test"),
                attribution_note(explanation),
            ),
        ),
        left_out=LEFT_OUT,
    )


def drawn(
    explanation: Explanation, dataset: SequenceDataset, folder: Path
) -> matplotlib.figure.Figure:
    figure = attribution_figure(explanation, dataset, "test", "x$ on <y>")
    (path,) = save_figures(folder, {"attribution.png": figure})
    assert path.stat().st_size > 10_000
    return figure


@pytest.fixture(scope="module")
def long() -> SequenceDataset:
    """Sequences of one feature and 70 steps."""
    x = np.random.default_rng(1).normal(size=(60, 70, 1)).astype(np.float32)
    return load_dataset({"all": (x, np.arange(60) % 2)})


def test_a_pair_has_a_row_a_step_with_its_interval(values: SequenceDataset) -> None:
    explanation = mistakes_of(values, classifier_of(values))
    found, number = explanation.found, len(explanation.indices)
    assert number >= 3
    document = json.loads(to_json(report_of(explanation, values)))
    rows = document["tables"]["attribution"]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    for step, row in enumerate(rows):
        own = found.steps[:, step]
        low, high = scipy.stats.t.interval(0.95, number - 1, own.mean(), scipy.stats.sem(own))
        assert row["n"] == number
        assert row["integrated"] == pytest.approx(own.mean())
        assert (row["integrated_low"], row["integrated_high"]) == pytest.approx((low, high))
        assert row["smooth"] == pytest.approx(found.smooth_steps[:, step].mean())
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert document["tables"]["attribution_steps"] == rows
    examples = document["tables"]["attribution_examples"]
    assert [row["index"] for row in examples] == explanation.indices.tolist()
    for row in examples:
        missed = row["integrated"] - row["value"] + row["baseline_value"]
        assert row["error"] == pytest.approx(abs(missed), abs=1e-6) and row["converged"]
    findings = document["findings"]
    assert findings["attribution"]["f"] == pytest.approx(found.value.mean()) and (
        findings["attribution"]["f"] < 0
    )
    assert findings["completeness"]["error"] == found.error.max()
    assert findings["completeness"]["nodes"] == 32
    assert findings["attribution"]["mistakes"] == number


def test_what_is_said_of_a_pair_and_of_an_example(values: SequenceDataset) -> None:
    classifier = classifier_of(values)
    text = to_markdown(report_of(mistakes_of(values, classifier), values))
    assert "(all of them): mean f(x) = -" in text and "not above 0 in any by choice" in text
    assert "by 32 Gauss-Legendre nodes" in text and "baseline, all zeros" in text
    assert "for each row by itself" in text
    assert "first steps may come from a baseline and initial state" in text
    one = to_markdown(report_of(explain_example(classifier, values.test, 2, settings=FEW), values))
    assert "in example 2 of the test part, of class " in one and "95 %" not in one
    assert "Student" not in one and "padding" not in one


def test_intervals_of_two_mistakes_stay_where_shares_and_steps_can_be(
    values: SequenceDataset,
) -> None:
    classifier = classifier_of(values)
    whole = mistakes_of(values, classifier)
    pair = whole.first, whole.second
    rows = np.isin(np.arange(len(values.test)), whole.indices[:2])
    predicted = np.where(rows, pair[1], values.test.y)
    explanation = explain_pair(
        classifier, values.test, predicted, pair, class_names=values.class_names, settings=FEW
    )
    means = step_means(explanation.found)
    assert means.share_reach.max() > 1, "Student's t of two alone would leave [0, 1]"
    report = report_of(explanation, values)
    table = json.loads(to_json(report))["tables"]["attribution"]
    assert all(0 <= row["share_low"] <= row["share"] <= row["share_high"] <= 1 for row in table)
    assert [row["integrated_low"] for row in table] == pytest.approx(
        means.integrated - means.integrated_reach
    )
    text = to_markdown(report)
    found = re.search(r"centre of mass is on average step ([\d.]+) \[([-\d.]+), ([\d.]+)\]", text)
    assert found is not None and 1 <= float(found[2]) <= float(found[1]) <= float(found[3]) <= 6
    assert "where they would leave what a share or a step can be, they end there" in text


def test_long_sequences_are_shown_by_stretches_and_kept_by_steps(long: SequenceDataset) -> None:
    explanation = mistakes_of(long, classifier_of(long))
    report = report_of(explanation, long)
    tables = json.loads(to_json(report))["tables"]
    rows, steps = tables["attribution"], tables["attribution_steps"]
    assert len(rows) == 24 and len(steps) == 70
    assert (rows[-1]["step"], rows[-1]["last_step"]) == (70, 70)
    means = step_means(explanation.found).integrated
    assert [row["integrated"] for row in steps] == pytest.approx(means)
    assert rows[1]["integrated"] == pytest.approx(means[3:6].sum())
    assert rows[1]["share"] == pytest.approx(sum(row["share"] for row in steps[3:6]))
    assert to_markdown(report).count("\n|") == 24 + 2


def test_an_example_of_tokens_has_its_characters(names: SequenceDataset) -> None:
    explanation = explain_example(classifier_of(names), names.test, 1, settings=FEW)
    rows = json.loads(to_json(report_of(explanation, names)))["tables"]["attribution"]
    assert "".join(row["text"] for row in rows) == names.text(names.test.x[1])
    assert [row["integrated"] for row in rows] == pytest.approx(
        explanation.found.steps[0][explanation.found.counted[0]]
    )


def test_a_model_without_gradient_is_named(values: SequenceDataset) -> None:
    explanation = mistakes_of(values, classifier_of(values, Rounded()))
    report = report_of(explanation, values)
    number = len(explanation.indices)
    assert f"In {number} of {number} examples all attributions are 0" in to_markdown(report)
    assert "No step has any attribution" in to_markdown(report)
    assert json.loads(to_json(report))["findings"]["without_gradient"] == number
    attribution_figure(explanation, values, "test", "x")


def test_too_few_nodes_and_padding_that_is_read_are_named(values: SequenceDataset) -> None:
    x, y = values.test.x, values.test.y
    mask = np.arange(6) < (2 + np.arange(len(y)) % 5)[:, np.newaxis]
    split = Split(x, y, mask)
    settings = AttributionSettings(first_nodes=1, most_nodes=1, tolerance=1e-9, samples=2)
    explanation = explain_example(classifier_of(values), split, 0, settings=settings)
    assert explanation.found.counted.sum() == 2
    text = to_markdown(report_of(explanation, values))
    assert "In 1 of 1 example the completeness error is above 1e-07 % of" in text
    assert "The model reads padding: " in text and "even with 1 node: do not rely" in text


@pytest.mark.parametrize("layout", ["rows", "columns", "permuted-pixels"])
def test_pictures_are_drawn_beside_their_maps(layout: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, size=(60, 9, 7, 3), dtype=np.uint8), np.arange(60) % 2
    dataset = load_dataset({"x": x, "y": y}, layout=layout)
    explanation = mistakes_of(dataset, classifier_of(dataset))
    figure = drawn(explanation, dataset, tmp_path)
    maps = [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images][1:3]
    mean = explanation.found.integrated.mean(axis=0)
    assert maps[0].sum() == pytest.approx(mean.sum(), rel=1e-4)
    by_row = {"rows": maps[0].sum(axis=1), "columns": maps[0].sum(axis=0)}
    if layout in by_row:
        assert by_row[layout] == pytest.approx(mean.sum(axis=1), abs=1e-5)
    for axes in figure.axes:
        for image in axes.images[:1] if axes in figure.axes[1:3] else []:
            low, high = image.get_clim()
            assert low == pytest.approx(-high)
    assert "logits" in [axes.get_xlabel() for axes in figure.axes]


@pytest.mark.parametrize(
    ("which", "kind"),
    [
        ("values", "example"),
        ("masked", "pair"),
        ("long", "pair"),
        ("names", "pair"),
        ("names", "example"),
    ],
)
def test_other_data_are_drawn(
    which: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    dataset: SequenceDataset = request.getfixturevalue(which)
    classifier = classifier_of(dataset)
    explain: dict[str, Callable[[], Explanation]] = {
        "pair": lambda: mistakes_of(dataset, classifier),
        "example": lambda: explain_example(classifier, dataset.test, 0, settings=FEW),
    }
    explanation = explain[kind]()
    figure = drawn(explanation, dataset, tmp_path)
    means = step_means(explanation.found)
    if which != "long":  # whose bars are a line
        bars = next(axes for axes in figure.axes if len(axes.patches) == len(means.first))
        assert [bar.get_height() for bar in bars.patches] == pytest.approx(means.integrated)  # type: ignore[attr-defined]
