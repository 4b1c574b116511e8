from __future__ import annotations

import base64
import importlib.resources
import io
import re

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_hex, to_rgb
from PIL import Image

from rnnprobe import SequenceDataset
from rnnprobe.reports._figures import gallery, new_figure
from rnnprobe.reports._page_pictures import inlined
from rnnprobe.reports._page_sweep import HEATS
from rnnprobe.reports.page import Picture

CSS = (importlib.resources.files("rnnprobe.reports") / "templates" / "page.css").read_text("utf-8")
LIGHT, DARK, PRINTED = (
    dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
    for block in re.findall(r":root \{([^}]*--paper[^}]*)\}", CSS)
)


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2.2."""
    parts = np.array(to_rgb(colour))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, {**LIGHT, **DARK}, {**LIGHT, **PRINTED}])
def test_text_can_be_read_on_every_ground(palette: dict[str, str]) -> None:
    for ink in ("ink", "quiet", "accent"):
        for ground in ("paper", "raised", "accent-paper"):
            assert contrast(palette[ink], palette[ground]) >= 4.5, (ink, ground)
    assert contrast(palette["accent"], palette["paper"]) >= 3  # the mark of the focus


def test_the_heat_is_viridis_and_its_numbers_can_be_read() -> None:
    heats = re.findall(r"\.heat-(\d+) \{ background: (\S+); color: (\S+); \}", CSS)
    assert [int(step) for step, _, _ in heats] == list(range(HEATS))
    for step, ground, ink in heats:
        assert ground == to_hex(colormaps["viridis"](int(step) / (HEATS - 1)))
        assert contrast(ground, ink) >= 4.5
    assert (np.diff([luminance(ground) for _, ground, _ in heats]) > 0).all()


def test_curves_are_svg_and_images_are_png_of_the_stated_size(pictures: SequenceDataset) -> None:
    figure = new_figure(4, 3)
    figure.add_subplot().plot([1, 2], [3, 4])
    curve = inlined(Picture(figure, "A line."))
    assert curve.source.startswith("data:image/svg+xml;base64,")
    assert (curve.width, curve.height) == (384, 288)
    texts = {index: f"{index}" for index in range(6)}
    shown = inlined(Picture(gallery(pictures, "test", texts, "h", empty="-"), "Six."))
    kind, _, data = shown.source.partition(";base64,")
    assert kind == "data:image/png"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.width / image.height == pytest.approx(shown.width / shown.height, rel=0.02)
        assert image.mode == "P"


def test_a_palette_loses_nothing_that_is_seen() -> None:
    figure = new_figure(4, 3)
    axes = figure.add_subplot()
    axes.imshow(np.random.default_rng(0).normal(size=(20, 20)), cmap="RdBu_r")
    whole = io.BytesIO()
    figure.savefig(whole, format="png", dpi=160)
    data = inlined(Picture(figure, "Noise.")).source.partition(";base64,")[2]
    with Image.open(whole) as before, Image.open(io.BytesIO(base64.b64decode(data))) as after:
        apart = np.abs(np.asarray(before.convert("RGB"), float) - np.asarray(after.convert("RGB")))
    assert apart.mean() < 1.5
    assert len(data) < len(whole.getvalue())


def test_a_curve_of_too_many_points_becomes_a_png() -> None:
    figure = new_figure(4, 3)
    rng = np.random.default_rng(0)
    figure.add_subplot().scatter(rng.random(5000), rng.random(5000), c=rng.random(5000))
    assert inlined(Picture(figure, "Dots.")).source.startswith("data:image/png")
