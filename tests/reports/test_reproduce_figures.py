"""Pictures of a reproduction: what is drawn is what was published and measured."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from reproduced import DEAD, GRID, reproduction_of, run_of

from rnnprobe.experiments._record import Cell, Experiment, Measure, listing
from rnnprobe.experiments._reproduce import Measured, Reproduction
from rnnprobe.records import SequenceDataset
from rnnprobe.reports._figures import save_figures
from rnnprobe.reports._reproduce_figures import (
    agreement_figure,
    figure_names,
    reproduce_figures,
    tables_figure,
)
from rnnprobe.reports._reproduce_panels import curves_figure, filters_figure, mosaic, styles
from rnnprobe.specs import Run

SURFACE = replace(GRID, settings={"cell": "lstm", "steps": 3}, claims=())
FILTERED = Measure("convolution_1_mean", "activation", counted=None)
BY_EPOCH = replace(
    SURFACE,
    settings={"cell": "lstm", "epochs": 3},
    cells=listing("batch_size", ("test_accuracy",), "16 .8\n32 .7\n64 .6"),
    rows=("batch_size",),
    columns=(),
)


def drawn_run(seed: int, accuracy: float | None, losses: Sequence[float] = ()) -> Run:
    if accuracy is None:
        return run_of(seed, message=DEAD)
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    history = {name: [scale * one for one in losses] for scale, name in enumerate(names, 1)}
    return replace(run_of(seed, test_accuracy=accuracy), history=history)


def surface() -> Reproduction:
    """One cell agrees, one differs, one has no run, one died in the report and here."""
    return reproduction_of(
        SURFACE,
        [[drawn_run(0, 0.51), drawn_run(1, 0.52)], [drawn_run(0, 0.30), drawn_run(1, 0.32)], [],
         [drawn_run(0, None), drawn_run(1, None)]],
    )  # fmt: skip


def text(figure: Figure) -> str:
    """Return all that is written, as it is drawn, and make sure that it can be."""
    figure.draw_without_rendering()
    found = figure.findobj(lambda one: hasattr(one, "get_text"))
    return "\n".join(one.get_text() for one in found)


def points(figure: Figure) -> dict[str, Any]:
    """Return the points of each verdict, (num_points, 2)."""
    return {
        one.get_label().partition(" (")[0]: one.lines[0].get_xydata()
        for one in figure.axes[0].containers
    }


def test_the_names_are_known_before_anything_runs() -> None:
    assert figure_names(SURFACE) == ("agreement.png", "tables.png")
    assert figure_names(BY_EPOCH) == ("agreement.png", "curves.png")
    by_default = replace(
        BY_EPOCH, settings={"cell": "lstm"}, measures=(*BY_EPOCH.measures, FILTERED)
    )
    assert figure_names(by_default) == ("agreement.png", "curves.png", "filters.png")
    assert figure_names(replace(BY_EPOCH, settings={"epochs": 1})) == ("agreement.png",)
    in_steps = replace(
        BY_EPOCH, cells=(Cell({"steps": 9}, {"test_accuracy": 0.3}),), rows=("steps",)
    )
    assert figure_names(in_steps) == ("agreement.png",)


@pytest.mark.parametrize(
    "experiment", [SURFACE, replace(BY_EPOCH, measures=(*BY_EPOCH.measures, FILTERED))]
)
def test_all_named_pictures_are_drawn_also_without_a_run(
    experiment: Experiment, tmp_path: Path
) -> None:
    figures = reproduce_figures(reproduction_of(experiment, [[] for _ in experiment.cells]))
    assert tuple(figures) == figure_names(experiment)
    assert all(path.stat().st_size for path in save_figures(tmp_path, figures))


def test_points_stand_at_published_and_measured_with_their_spread() -> None:
    figure = agreement_figure(surface())
    found = points(figure)
    np.testing.assert_allclose(found["agrees"], [[0.5, 0.515]])
    np.testing.assert_allclose(found["differs"], [[0.9, 0.31]])
    bar = figure.axes[0].containers[0].lines[2][0].get_segments()[0]
    deviation = np.std([0.51, 0.52], ddof=1)
    np.testing.assert_allclose(bar[:, 1], [0.515 - deviation, 0.515 + deviation])
    said = text(figure)
    assert "2 cells, n = 2 runs a cell" in said and "bars ± 1 standard deviation" in said
    assert "units 8, learning rate 0.1" in said and "learning rate 0.001" not in said


def test_a_cell_that_finished_in_part_has_a_mark_of_its_own() -> None:
    part = [drawn_run(0, 0.51), drawn_run(1, None)]
    figure = agreement_figure(reproduction_of(SURFACE, [part, [], [], []]))
    np.testing.assert_allclose(points(figure)["finished in part"], [[0.5, 0.51]])


def test_labels_of_many_cells_do_not_overlap_and_all_is_on_the_picture() -> None:
    rows = "\n".join(f"{units} .9" for units in range(1, 11))
    cells = listing("units", ("test_accuracy",), rows)
    crowd = replace(SURFACE, cells=cells, columns=())
    runs = [[drawn_run(seed, 0.2 + place / 1000) for seed in range(3)] for place in range(10)]
    figure = agreement_figure(reproduction_of(crowd, runs))
    figure.draw_without_rendering()
    boxes = sorted(
        (Text.get_window_extent(one) for one in figure.axes[0].texts), key=lambda box: box.y0
    )
    assert len(boxes) == 10
    for below, above in itertools.pairwise(boxes):
        assert below.y1 <= above.y0
    whole = figure.bbox
    title = figure.findobj(lambda one: "band ±" in getattr(one, "get_text", str)())[0]
    boxes.append(title.get_window_extent())
    assert all(box.x0 >= 0 for box in boxes)
    assert all(box.x1 <= whole.x1 and box.y0 >= 0 and box.y1 <= whole.y1 for box in boxes)


def test_both_tables_have_their_numbers_on_one_scale() -> None:
    figure = tables_figure(surface())
    published, measured = (axes.images[0] for axes in figure.axes[:2])
    np.testing.assert_allclose(published.get_array(), [[0.5, 0.9], [0.7, np.nan]])
    np.testing.assert_allclose(measured.get_array(), [[0.515, 0.31], [np.nan, np.nan]])
    assert published.get_clim() == measured.get_clim() == (0.31, 0.9)
    texts = [[one.get_text() for one in axes.texts] for axes in figure.axes[:2]]
    assert texts == [[".5000", ".9000", ".7000", "DNF"], [".5150", ".3100", "–", "DNF\noom"]]
    assert [len(axes.patches) for axes in figure.axes[:2]] == [1, 1]
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["8", "16"]
    assert [tick.get_text() for tick in figure.axes[1].get_xticklabels()] == ["0.001", "0.1"]


def test_curves_are_means_over_the_finished_runs() -> None:
    runs = [[drawn_run(0, 0.8, (1.0, 0.5, 0.2)), drawn_run(1, 0.7, (2.0, 0.7))],
            [drawn_run(0, 0.8, (3.0, 2.0, 1.0)), drawn_run(1, None)], []]  # fmt: skip
    figure = curves_figure(reproduction_of(BY_EPOCH, runs))
    drawn = {axes.get_title(): axes.lines for axes in figure.axes}
    assert list(drawn) == [
        "training loss", "training accuracy", "validation loss", "validation accuracy",
    ]  # fmt: skip
    for scale, title in ((1, "training loss"), (3, "validation loss"), (4, "validation accuracy")):
        first, second = drawn[title]
        np.testing.assert_allclose(first.get_xydata(), [[1, 1.5 * scale], [2, 0.6 * scale]])
        np.testing.assert_allclose(second.get_ydata(), [3 * scale, 2 * scale, scale])
    assert "batch size 32" in text(figure) and "batch size 64" not in text(figure)


def test_losses_far_apart_have_a_logarithmic_scale() -> None:
    runs = [[drawn_run(0, 0.8, (900.0, 800.0))], [drawn_run(0, 0.8, (0.3, 0.1))], []]
    figure = curves_figure(reproduction_of(BY_EPOCH, runs))
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear", "log", "linear"]
    text(figure)


def test_of_many_cells_the_colour_tells_one_setting_and_the_line_the_other() -> None:
    cells = [Measured(Cell({"units": u, "learning_rate": r, "seed": 1}), ())
             for u in (8, 16, 32) for r in (1, 2, 3)]  # fmt: skip
    found = styles(cells)
    assert len(set(found)) == 9
    assert len({colour for colour, _ in found}) == len({line for _, line in found}) == 3
    assert found[0][0] == found[2][0] and found[0][1] == found[3][1]
    assert len({colour for colour, _ in styles(cells[:8])}) == 8


def test_filters_lie_side_by_side_with_gaps_and_none_is_lost() -> None:
    values = np.random.default_rng(0).normal(size=(2, 3, 11))
    picture = mosaic(values)
    assert picture.shape == (2 * 3 - 1, 8 * 4 - 1)
    np.testing.assert_array_equal(picture[0:2, 4:7], values[:, :, 1])
    np.testing.assert_array_equal(picture[3:5, 8:11], values[:, :, 10])
    assert np.isnan(picture[2]).all() and np.isnan(picture[:, 3]).all()
    assert np.isfinite(picture).sum() == values.size
    assert mosaic(np.zeros((5, 5, 90))).shape == (8 * 6 - 1, 8 * 6 - 1)


def test_filters_of_each_cell_are_those_of_its_saved_model(
    pictures: SequenceDataset, tmp_path: Path
) -> None:
    experiment = replace(BY_EPOCH, measures=(*BY_EPOCH.measures, FILTERED))
    runs = [[drawn_run(0, None), drawn_run(1, 0.5)], [drawn_run(0, 0.5), drawn_run(1, 0.5)], []]
    reproduction = replace(reproduction_of(experiment, runs, datasets=[pictures]), folder=tmp_path)
    (tmp_path / "models").mkdir()
    kernels = []
    for cell, repeat in ((0, 2), (1, 1)):
        model = keras.Sequential(
            [keras.Input((12, 12)), keras.layers.Reshape((12, 12, 1)),
             keras.layers.Conv2D(9, 3, name="convolution_1"), keras.layers.Flatten(),
             keras.layers.Dense(2)]
        )  # fmt: skip
        task = reproduction.plan.task(experiment.cells[cell], repeat)
        model.save(tmp_path / "models" / f"{task.name}.keras")
        kernels.append(keras.ops.convert_to_numpy(model.layers[1].kernel))
    figure = filters_figure(reproduction)
    drawn = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(drawn) == 2
    for image, kernel in zip(drawn, kernels, strict=True):
        np.testing.assert_allclose(image.get_array()[0:3, 0:3], kernel[:, :, 0, 0], rtol=1e-6)
        np.testing.assert_allclose(image.get_array()[4:7, 0:3], kernel[:, :, 0, 8], rtol=1e-6)
        most = float(np.abs(kernel).max())
        assert image.get_clim() == pytest.approx((-most, most))
    said = text(figure)
    assert "all 9 first filters, 3 × 3 pixels" in said and "batch size 32" in said
