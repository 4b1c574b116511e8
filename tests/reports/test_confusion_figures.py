"""What the pictures of mistakes hold, not how they look."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnprobe import SequenceDataset, find_confusions, load_dataset
from rnnprobe.confusions.calibration import calibrate
from rnnprobe.confusions.pairs import Confusions
from rnnprobe.datasets._layout import to_picture
from rnnprobe.records import Predictions
from rnnprobe.reports._confusion_figures import (
    class_labels,
    confusion_matrix_figure,
    gallery_figure,
    reliability_figure,
)
from rnnprobe.reports._figures import save_figures
from rnnprobe.reports._pair_figures import mean_and_error, pairs_figure


def mistaken(dataset: SequenceDataset, part: str, share: float = 0.3, seed: int = 0) -> Confusions:
    """Return predictions on a part of which about a share is wrong, with random confidence."""
    return confusions_of(dataset.splits[part].y, dataset.class_names, share, seed)


def confusions_of(
    y: np.ndarray, names: tuple[str, ...], share: float = 0.3, seed: int = 0
) -> Confusions:
    rng = np.random.default_rng(seed)
    other = rng.integers(0, len(names), len(y))
    predicted = np.where(rng.random(len(y)) < share, other, y)
    p = rng.uniform(0, 0.5 / len(names), (len(y), len(names)))
    p[np.arange(len(y)), predicted] = 0
    p[np.arange(len(y)), predicted] = 1 - p.sum(axis=1)
    return find_confusions(Predictions(y.astype(np.int32), p, names))


def texts_of(figure: Any) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def drawn(figure: Any) -> Any:
    """Draw the figure, in which warnings are errors, and return it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).draw()
    return figure


def boxes_of(figure: Any) -> Iterator[tuple[str, Any]]:
    """Return every text that was drawn with the box that it fills on the page."""
    from matplotlib.text import Text

    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not axes.axison or not low <= tick.get_loc() <= high:
                    hidden |= {tick.label1, tick.label2}
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text not in hidden:
            yield text.get_text(), text.get_window_extent()


def assert_nothing_overlaps(figure: Any) -> None:
    boxes = list(boxes_of(figure))
    width, height = figure.bbox.size
    for text, box in boxes:
        assert box.x0 > -1 and box.y0 > -1, text
        assert box.x1 < width + 1 and box.y1 < height + 1, text
    for (one, first), (other, second) in combinations(boxes, 2):
        across = min(first.x1, second.x1) - max(first.x0, second.x0)
        along = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert across < 2 or along < 2, (one, other)


SIXTY = tuple(f"Northern long-tailed bird of kind {index}" for index in range(60))


@pytest.mark.parametrize("num_classes", [2, 18, 60])
def test_the_matrix_holds_the_counts_of_its_classes_and_no_text_overlaps(num_classes: int) -> None:
    y = np.repeat(np.arange(num_classes), 1 + 7 * np.arange(num_classes) ** 2 % 300)
    found = confusions_of(y, SIXTY[:num_classes], 0.4)
    figure = drawn(confusion_matrix_figure(found, "a.keras on birds"))
    assert_nothing_overlaps(figure)
    axes = figure.axes[0]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    shown = [int(label.rsplit(" ", 1)[1]) for label in labels]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    support = found.matrix.sum(axis=1)
    assert rows == [
        f"{label} ({support[index]:,})" for label, index in zip(labels, shown, strict=True)
    ]
    counts = {tuple(map(int, t.get_position())): t.get_text() for t in axes.texts}
    for column, predicted in enumerate(shown):
        for row, true in enumerate(shown):
            count = found.matrix[true, predicted]
            expected = f"{count:,}" if count or row == column else None
            assert counts.get((column, row)) == expected
    shares = np.asarray(axes.images[0].get_array().filled(np.nan))
    matrix = found.matrix[np.ix_(shown, shown)]
    wrong = ~np.eye(len(shown), dtype=bool) & (matrix > 0)
    np.testing.assert_allclose(shares[wrong], (matrix / support[shown][:, None])[wrong])
    assert np.isnan(shares[~wrong]).all()


def test_of_many_classes_the_matrix_shows_those_of_the_most_frequent_pairs() -> None:
    y = np.repeat(np.arange(60), 5)
    p = np.full((300, 60), 1e-3)
    predicted = y.copy()
    predicted[y == 41] = 7
    predicted[np.flatnonzero(y == 3)[:2]] = 55
    p[np.arange(300), predicted] = 1 - 59e-3
    found = find_confusions(Predictions(y.astype(np.int32), p, SIXTY))
    figure = drawn(confusion_matrix_figure(found, "birds"))
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert [label.rsplit(" ", 1)[1] for label in labels] == ["3", "7", "41", "55"]
    heading = figure.get_suptitle()
    assert "the 4 of 60 classes of the most frequent pairs\n7 of 7 mistakes" in heading
    assert f"{293 / 300:.4f} [" in heading


def test_without_mistakes_the_pictures_say_so(
    values: SequenceDataset, pictures: SequenceDataset
) -> None:
    for dataset in (values, pictures):
        found = mistaken(dataset, "train", share=0)
        for make in (gallery_figure, pairs_figure):
            assert texts_of(drawn(make(found, dataset, "train"))) == ["no mistakes"]
    figure = drawn(confusion_matrix_figure(found, "a"))
    assert "no mistakes" in figure.get_suptitle()
    assert len(figure.axes) == 1


def test_text_on_a_cell_is_white_only_where_it_is_dark() -> None:
    y = np.repeat([0, 1, 2], [100, 100, 100])
    predicted = np.concatenate([np.repeat([0, 1], [10, 90]), np.repeat([1, 2], [98, 2]), y[200:]])
    found = find_confusions(Predictions(y, np.eye(3)[predicted], ("a", "b", "c")))
    axes = confusion_matrix_figure(found, "a").axes[0]
    colours = {t.get_text(): t.get_color() for t in axes.texts}
    assert colours == {"10": "black", "90": "white", "98": "black", "2": "black", "100": "black"}


def test_class_labels_stay_distinct_and_literal() -> None:
    assert class_labels(["a", "b$c", "d\ne"]) == ["a", r"b\$c", "d·e"]
    long = class_labels(SIXTY)
    assert len(set(long)) == 60
    assert max(map(len, long)) == 24
    twins = ["x" * 23 + middle + "y" * 23 for middle in ("one", "two")]
    assert class_labels(twins) == [
        "0: " + "x" * 12 + "…" + "y" * 11,
        "1: " + "x" * 12 + "…" + "y" * 11,
    ]
    assert class_labels(["עברית", "English"]) == ["עברית\u200e", "English"]


@pytest.mark.parametrize("kind", ["values", "masked", "names", "pictures"])
def test_the_gallery_names_index_confidence_and_both_classes(
    kind: str, request: pytest.FixtureRequest
) -> None:
    dataset = request.getfixturevalue(kind)
    found = mistaken(dataset, "train")
    figure = drawn(gallery_figure(found, dataset, "train"))
    assert_nothing_overlaps(figure)
    texts = texts_of(figure)
    predictions = found.predictions
    for index in found.mistakes[:12]:
        confidence = f"{predictions.confidence[index]:.2f}"
        true, predicted = (
            dataset.class_names[label[index]] for label in (predictions.y, predictions.predicted)
        )
        if kind == "names":
            place = texts.index(str(index))
            shown = dataset.text(dataset.train.x[index])
            assert texts[place : place + 1] == [str(index)]
            assert {shown, true, predicted, confidence} <= set(texts)
        else:
            assert f"{index}: {confidence}\ntrue {true}\ntaken for {predicted}" in texts


def test_the_gallery_leaves_masked_steps_out(masked: SequenceDataset) -> None:
    found = mistaken(masked, "train")
    axes = gallery_figure(found, masked, "train").axes[0]
    index = found.mistakes[0]
    for feature, line in enumerate(axes.get_lines()):
        mask = masked.train.mask[index]
        np.testing.assert_array_equal(line.get_ydata()[mask], masked.train.x[index, mask, feature])
        assert np.isnan(line.get_ydata()[~mask]).all()


def test_the_pairs_pictures_are_the_means_of_right_examples_and_of_mistakes(
    pictures: SequenceDataset,
) -> None:
    found = mistaken(pictures, "train", 0.5)
    figure = drawn(pairs_figure(found, pictures, "train"))
    assert_nothing_overlaps(figure)
    y, predicted = found.predictions.y, found.predictions.predicted
    columns = 4 + min(5, found.pairs[0].count)

    def image(row: int, place: int) -> Any:
        return figure.axes[columns * row + place].images[0].get_array()

    for row, pair in enumerate(found.pairs):
        masks = (
            (y == pair.true) & (predicted == pair.true),
            (y == pair.true) & (predicted == pair.predicted),
            (y == pair.predicted) & (predicted == pair.predicted),
        )
        means = [
            to_picture(pictures.train.x[mask].mean(axis=0), (12, 12, 1), "rows")[..., 0]
            for mask in masks
        ]
        for place, mean in enumerate([*means, means[1] - means[0]]):
            np.testing.assert_allclose(image(row, place), mean, atol=1e-6)
        for place, index in enumerate(pair.examples[:5], start=4):
            example = to_picture(pictures.train.x[index], (12, 12, 1), "rows")[..., 0]
            np.testing.assert_array_equal(image(row, place), example)
        sizes = [figure.axes[columns * row + place].get_title() for place in range(3)]
        assert [int(title.rsplit("n = ", 1)[1]) for title in sizes] == [m.sum() for m in masks]
        label = figure.axes[columns * row].get_ylabel().replace("\n", " ")
        names = pictures.class_names
        assert label.startswith(
            f"true {names[pair.true]} taken for {names[pair.predicted]}: "
            f"{pair.count} of {pair.support} ("
        )
    assert "hardly a mean" not in figure.get_suptitle()


@pytest.mark.parametrize("part", ["pictures", "values", "names"])
def test_one_mistake_of_a_class_without_any_right_example_can_be_drawn(
    part: str, request: pytest.FixtureRequest
) -> None:
    dataset = request.getfixturevalue(part)
    dataset = dataclasses.replace(
        dataset, class_names=("a", "b", "c"), train=dataset.train.take(np.arange(4))
    )
    y = np.array([0, 2, 2, 2], np.int32)
    p = np.array([[0.2, 0.7, 0.1], [0, 0, 1], [0, 0.1, 0.9], [0, 0, 1]])
    found = find_confusions(Predictions(y, p, dataset.class_names))
    texts = texts_of(drawn(pairs_figure(found, dataset, "train")))
    assert part == "values" or any("0.70" in text for text in texts)
    assert any(text.replace("\n", " ").startswith("true a taken for b: 1 of 1") for text in texts)
    if part == "pictures":
        assert texts.count("none") == 3
        assert any("hardly a mean" in text for text in texts)
    assert_nothing_overlaps(drawn(gallery_figure(found, dataset, "train")))


def test_pictures_in_colour_have_means_in_colour() -> None:
    x = np.random.default_rng(0).integers(0, 255, (60, 8, 8, 3), dtype=np.uint8)
    dataset = load_dataset({"x": x, "y": np.arange(60) % 3})
    found = mistaken(dataset, "train", 0.6)
    figure = drawn(pairs_figure(found, dataset, "train"))
    shapes = [axes.images[0].get_array().shape for axes in figure.axes[:5]]
    assert shapes == [(8, 8, 3)] * 3 + [(8, 8)] + [(8, 8, 3)]
    assert "value (units of the data)" not in texts_of(figure)
    drawn(gallery_figure(found, dataset, "train"))


def test_the_curves_are_means_over_the_examples_that_have_the_step(masked: SequenceDataset) -> None:
    found = mistaken(masked, "train", 0.5)
    figure = drawn(pairs_figure(found, masked, "train"))
    assert_nothing_overlaps(figure)
    pair = found.pairs[0]
    y, predicted = found.predictions.y, found.predictions.predicted
    right = y == predicted
    groups = (
        np.flatnonzero((y == pair.true) & right),
        np.array(pair.examples),
        np.flatnonzero((y == pair.predicted) & right),
    )
    for feature in range(3):
        for line, group in zip(figure.axes[feature].get_lines(), groups, strict=True):
            for step, value in enumerate(line.get_ydata()):
                has = group[masked.train.mask[group, step]]
                expected = masked.train.x[has, step, feature].mean() if len(has) else np.nan
                assert value == pytest.approx(expected, nan_ok=True, rel=1e-5)
    label = figure.axes[0].get_ylabel()
    assert f"{len(groups[0])} and {len(groups[2])} right" in label


def test_the_standard_error_is_scipys() -> None:
    from scipy.stats import sem

    values = np.random.default_rng(0).normal(size=(7, 4, 2))
    values[2:, 1] = np.nan
    values[1:, 2] = np.nan
    values[:, 3] = np.nan
    mean, error = mean_and_error(values)
    np.testing.assert_allclose(mean[:2], [values[:, 0].mean(axis=0), values[:2, 1].mean(axis=0)])
    np.testing.assert_allclose(error[:2], [sem(values[:, 0]), sem(values[:2, 1])])
    np.testing.assert_array_equal(mean[2], values[0, 2])
    assert np.isnan(error[2:]).all()
    assert np.isnan(mean[3]).all()


def test_of_many_features_those_that_tell_the_classes_apart_are_drawn() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 6, 7)), np.arange(300) % 3
    x[:, :, 5] += 2 * y[:, None]
    x[:, :, 1] *= 100  # large, but the same for all
    x[:, :, 3] += np.where(np.arange(6) % 2, 2, -2) * y[:, None]  # of equal mean over the steps
    x[:, :, 6] += y[:, None] == 1
    dataset = load_dataset({"all": (x.astype(np.float32), y)})
    figure = drawn(pairs_figure(mistaken(dataset, "train"), dataset, "train"))
    titles = [axes.get_title() for axes in figure.axes[:3]]
    assert titles == [f"feature {index} (units of the data)" for index in (3, 5, 6)]
    assert "the 3 of 7 features that tell the classes apart best" in figure.get_suptitle()
    gallery = drawn(gallery_figure(mistaken(dataset, "train"), dataset, "train"))
    assert gallery.axes[0].images[0].get_array().shape == (7, 6)


def test_the_texts_of_a_pair_stand_with_index_and_confidence(names: SequenceDataset) -> None:
    found = mistaken(names, "train")
    figure = drawn(pairs_figure(found, names, "train"))
    assert_nothing_overlaps(figure)
    texts = texts_of(figure)
    y, predicted = found.predictions.y, found.predictions.predicted
    for pair in found.pairs:
        right = np.flatnonzero((y == pair.true) & (predicted == pair.true))
        best = right[np.argsort(-found.predictions.confidence[right])][:5]
        for index in (*pair.examples[:5], *best):
            place = texts.index(f"{index}:")
            assert texts[place + 1] == names.text(names.train.x[index])
            assert texts[place + 2] == f"{found.predictions.confidence[index]:.2f}"


def test_equal_texts_are_shown_once_with_their_number(names: SequenceDataset) -> None:
    rows = np.array([5, 0, 0, 1, 0, 2])
    dataset = dataclasses.replace(names, train=names.train.take(rows))
    y = np.zeros(6, np.int32)
    p = np.array([[0.1, 0.9], [0.2, 0.8], [0.2, 0.8], [0.3, 0.7], [0.2, 0.8], [0.9, 0.1]])
    found = find_confusions(Predictions(y, p, names.class_names))
    texts = texts_of(pairs_figure(found, dataset, "train"))
    shown = names.text(names.train.x[0])
    assert texts.count(shown) == 1
    assert texts[texts.index(shown) - 1 : texts.index(shown) + 2] == ["1:", shown, "0.80 (×3)"]


def test_right_to_left_and_unprintable_texts_do_not_break_the_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "data"
    folder.mkdir()
    for name, letters in (
        ("עברית", "אבגדהוז"),
        ("$a_b", "a$_\\^{}%\u200f\u0301"),
        ("c", "中文字W"),
    ):
        lines = {"".join(rng.choice(list(letters), rng.integers(2, 40))) for _ in range(40)}
        (folder / f"{name}.txt").write_text("\n".join(sorted(lines)), "utf-8")
    dataset = load_dataset(folder)
    found = mistaken(dataset, "train", 0.6)
    for make in (pairs_figure, gallery_figure):
        figure = make(found, dataset, "train")
        save_figures(tmp_path, {"figure.png": figure})
        assert all("\u200f" not in text for text in texts_of(figure))
    save_figures(tmp_path, {"matrix.png": confusion_matrix_figure(found, "a $title_{")})


def test_the_reliability_diagram_holds_the_records_points_and_counts() -> None:
    rng = np.random.default_rng(0)
    confidence = np.concatenate([rng.uniform(0.5, 0.7, 9), rng.uniform(0.95, 1, 3000)])
    right = rng.random(len(confidence)) < confidence
    p = np.stack([confidence, 1 - confidence], axis=1)
    found = calibrate(Predictions((~right).astype(np.int32), p, ("a", "b")))
    figure = drawn(reliability_figure(found, "a.keras on data"))
    assert_nothing_overlaps(figure)
    top, below = figure.axes
    filled = found.counts > 0
    points = top.get_lines()[1]
    np.testing.assert_array_equal(points.get_xdata(), found.mean_confidence[filled])
    np.testing.assert_array_equal(points.get_ydata(), found.accuracy[filled])
    segments = top.collections[0].get_segments()
    ends = [interval for interval in found.intervals if interval is not None]
    np.testing.assert_allclose([segment[:, 1] for segment in segments], ends, atol=1e-12)
    assert [bar.get_height() for bar in below.patches] == found.counts.tolist()
    assert below.get_yscale() == "log"
    assert top.get_position().x0 == pytest.approx(below.get_position().x0)
    assert top.get_position().x1 == pytest.approx(below.get_position().x1)
    heading = figure.get_suptitle()
    for number in (found.error, found.error_by_chance, found.error_by_chance_high):
        assert f"{number:.4f}" in heading
    assert "n = 3,009" in heading


@pytest.mark.parametrize("label", [0, 1])
def test_a_single_bin_of_only_hits_or_only_mistakes_can_be_drawn(label: int) -> None:
    p = np.tile([1.0, 0.0], (3, 1))
    found = calibrate(Predictions(np.full(3, label, np.int32), p, ("a", "b")))
    figure = drawn(reliability_figure(found, "a"))
    assert figure.axes[0].get_lines()[1].get_ydata() == [1 - label]
    assert figure.axes[1].get_yscale() == "linear"
