"""Pictures of weights: what is drawn is what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure

from rnnprobe.inspection.input_weights import InputWeights, NoInputWeights, Panel
from rnnprobe.inspection.weights import read_weights
from rnnprobe.reports._figures import save_figures
from rnnprobe.reports._weight_figures import first_layer_figure, weight_histograms_figure

L = keras.layers
LSTM = ("input", "forget", "candidate", "output")


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def rows(
    panels: list[Panel], labels: tuple[str, ...] = (), num_rows: int | None = None
) -> InputWeights:
    kind = "token" if labels else "input"
    size = len(panels[0].values) if num_rows is None else num_rows
    return InputWeights("rows", tuple(panels), kind, "unit", labels, size, "weights of r")


def images(figure: Figure) -> list[Any]:
    return [axes.images[0] for axes in figure.axes if axes.images and axes.images[0].axes is axes]


def text(figure: Figure) -> str:
    """Return all that is written, as it is drawn, and make sure that it can be."""
    figure.canvas.draw()
    found = [figure._suptitle.get_text() if figure._suptitle else ""]
    return "\n".join(
        found + [t.get_text() for t in figure.findobj(lambda o: hasattr(o, "get_text"))]
    )


def test_each_gate_is_drawn_with_its_own_numbers_on_one_scale() -> None:
    panels = [Panel("r", gate, random(5, 7) * (i + 1)) for i, gate in enumerate(LSTM)]
    figure = first_layer_figure(rows(panels), "m$x$")
    drawn = images(figure)
    assert [image.axes.get_title(loc="left") for image in drawn] == list(LSTM)
    most = max(float(np.abs(panel.values).max()) for panel in panels)
    for image, panel in zip(drawn, panels, strict=True):
        np.testing.assert_array_equal(image.get_array(), panel.values)
        assert image.get_clim() == pytest.approx((-most, most))
    said = text(figure)
    assert "m\\$x\\$" in said and "weight" in said and "unit (index)" in said


def test_rows_are_labelled_with_their_characters() -> None:
    labels = ("padding", "unknown", "space", "$", "é", "\n")
    panels = [Panel("b/forward_r", "update", random(6, 3)), Panel("b/back", "update", random(6, 3))]
    figure = first_layer_figure(rows(panels, labels, 300), "m")
    axes = images(figure)[0].axes
    shown = [tick.get_text() for tick in axes.get_yticklabels()]
    assert shown == ["padding", "unknown", "space", "\\$", "é", "·"]
    assert list(axes.get_yticks()) == list(range(6))
    assert [i.axes.get_title(loc="left").split("\n")[0] for i in images(figure)] == [
        "forward_r",
        "back",
    ]
    assert "the 6 of 300 tokens with the largest norm" in text(figure)


@pytest.mark.parametrize("turned", [False, True])
def test_directions_of_several_kinds_have_a_row_each(turned: bool) -> None:
    panels = [Panel("b/forward_gru", gate, random(5, 7)) for gate in ("update", "reset", "new")]
    panels += [Panel("b/lstm", gate, random(5, 9)) for gate in LSTM]
    panels = panels[3:] + panels[:3] if turned else panels
    figure = first_layer_figure(rows(panels), "m")
    drawn = images(figure)
    assert [image.axes.get_title(loc="left").split("\n")[-1] for image in drawn] == [
        panel.gate for panel in panels
    ]
    for image, panel in zip(drawn, panels, strict=True):
        np.testing.assert_array_equal(image.get_array(), panel.values)
    places = [image.axes.get_subplotspec() for image in drawn]
    sizes = (4, 3) if turned else (3, 4)
    expected = [(row, column) for row in (0, 1) for column in range(sizes[row])]
    assert [(place.rowspan.start, place.colspan.start) for place in places] == expected
    hidden = [axes for axes in figure.axes if not axes.images and not axes.axison]
    assert len(hidden) == 1
    assert sum(bool(image.axes.get_xlabel()) for image in drawn) == 4, "below each column"


def test_a_weight_far_off_does_not_hide_the_others() -> None:
    values = random(40, 30)
    values[3, 4] = 1e4
    figure = first_layer_figure(rows([Panel("r", None, values)]), "m")
    (image,) = images(figure)
    assert image.get_clim()[1] < 5 and "99.5th percentile" in text(figure)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_weights_that_are_all_alike_or_no_numbers_are_drawn(value: float) -> None:
    panel = Panel("r", None, np.full((3, 2), value, np.float32))
    assert images(first_layer_figure(rows([panel]), "m"))[0].get_clim() == (-1, 1)


def tiles(values: np.ndarray, kind: Any = "filters") -> InputWeights:
    return InputWeights(kind, (Panel("c", None, values),), "input", "filter", (), 1, "weights of c")


def test_filters_are_a_grid_of_pictures() -> None:
    values = random(3, 5, 1, 10)
    drawn = images(figure := first_layer_figure(tiles(values), "m"))
    assert [image.axes.get_title() for image in drawn] == [str(i) for i in range(10)]
    for index, image in enumerate(drawn):
        np.testing.assert_array_equal(image.get_array(), values[:, :, 0, index])
    assert len({image.get_clim() for image in drawn}) == 1
    assert "all 10 filters, 3 × 5 pixels" in text(figure)


def test_channels_lie_side_by_side_and_many_are_averaged() -> None:
    few, many = random(3, 2, 3, 4), random(3, 2, 6, 70)
    image = images(first_layer_figure(tiles(few), "m"))[1]
    shown = image.get_array()
    assert shown.shape == (3, 8)
    for channel in range(3):
        start = 3 * channel
        np.testing.assert_array_equal(shown[:, start : start + 2], few[:, :, channel, 1])
    figure = first_layer_figure(tiles(many), "m")
    assert len(images(figure)) == 64
    np.testing.assert_allclose(images(figure)[2].get_array(), many[..., 2].mean(axis=2), rtol=1e-5)
    said = text(figure)
    assert "the first 64 of 70 filters" in said and "mean over the channels" in said


def test_filters_over_steps_have_inputs_down() -> None:
    values = random(4, 9, 2)
    figure = first_layer_figure(tiles(values), "m")
    np.testing.assert_array_equal(images(figure)[1].get_array(), values[:, :, 1].T)
    assert "9 inputs down, 4 steps across" in text(figure)


def test_where_there_is_nothing_to_draw_the_reason_is_written() -> None:
    assert "no layer" in text(first_layer_figure(NoInputWeights("no layer has weights"), "m"))


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((4, 3)),
            L.LSTM(6, return_sequences=True, name="r"),
            L.GRU(5, name="g", reset_after=False),
            L.Dense(2, name="d"),
        ]
    )
    model.get_layer("r").cell.bias.assign_add(random(24) / 9)
    return model


def histograms(figure: Figure) -> dict[tuple[str, str], Any]:
    """Return the drawn steps by the head of their row and the first lines of their title."""
    found = {}
    for row in figure.subfigs:
        head = row._suptitle.get_text() if row._suptitle else ""
        for axes in row.axes:
            if axes.axison:
                found[head, axes.get_title().split("\nmean")[0]] = axes
    return found


def test_each_gate_has_its_histogram_with_mean_and_deviation(model: keras.Model) -> None:
    blocks = read_weights(model)
    figure = weight_histograms_figure(blocks, "m")
    found = histograms(figure)
    assert len(found) == len(blocks)
    for block in blocks:
        head = f"{block.layer}: {block.part}" if block.gate else ""
        axes = found[head, block.gate or f"{block.layer}\n{block.part}"]
        (steps,) = axes.patches
        counts, edges, _ = steps.get_data()
        assert counts.sum() == block.values.size
        np.testing.assert_array_equal(counts, np.histogram(block.values, edges)[0])
        numbers = f"mean {block.values.mean():.3g}\nsd {block.values.std():.3g}"
        assert axes.get_title().endswith(numbers.replace("-", "−"))
    kernels = [axes for (head, _), axes in found.items() if head == "r: recurrent kernel"]
    assert [axes.get_title().split("\n")[0] for axes in kernels] == list(LSTM)
    assert len({axes.get_xlim() for axes in kernels}) == 1
    assert "number of weights" in text(figure)


def test_the_start_of_the_forget_bias_is_marked_alone(model: keras.Model) -> None:
    found = histograms(weight_histograms_figure(read_weights(model), "m"))
    marked = [
        key for key, axes in found.items() if any("start: 1" in t.get_text() for t in axes.texts)
    ]
    assert marked == [("r: bias", "forget")]
    lines = [line.get_xdata()[0] for line in found["r: bias", "forget"].lines]
    assert lines == [0, 1]


def test_many_layers_are_cut_and_the_picture_says_so(tmp_path: Path) -> None:
    layers = [L.LSTM(1, return_sequences=True, use_bias=i == 0) for i in range(7)]
    model = keras.Sequential([keras.Input((2, 1)), *layers])
    model.layers[0].cell.kernel.assign([[np.nan, np.inf, 1, 1]])
    figure = weight_histograms_figure(read_weights(model), "m")
    assert len(figure.subfigs) == 12
    said = text(figure)
    assert "12 of 60 histograms are not drawn" in said and "1 not finite" in said
    (path,) = save_figures(tmp_path, {"w.png": figure})
    assert path.stat().st_size > 0


def test_a_model_without_weights_says_so() -> None:
    assert "no weights" in text(weight_histograms_figure((), "m"))
