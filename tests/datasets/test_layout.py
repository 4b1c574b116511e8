from __future__ import annotations

import numpy as np
import pytest

from rnnprobe.datasets import LAYOUTS
from rnnprobe.datasets._layout import lay_out, to_picture

PICTURES = np.arange(2 * 3 * 4 * 2).reshape(2, 3, 4, 2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_picture_comes_back_from_its_sequence(layout: str) -> None:
    for sequence, picture in zip(lay_out(PICTURES, layout), PICTURES, strict=True):
        assert (to_picture(sequence, (3, 4, 2), layout) == picture).all()


def test_each_layout_steps_through_the_picture_as_its_name_says() -> None:
    picture = PICTURES[:1, :, :, :1]
    assert lay_out(picture, "rows")[0].tolist() == picture[0, :, :, 0].tolist()
    assert lay_out(picture, "columns")[0].tolist() == picture[0, :, :, 0].T.tolist()
    assert lay_out(picture, "pixels")[0, :, 0].tolist() == picture[0].ravel().tolist()
    permuted = lay_out(picture, "permuted-pixels")[0, :, 0].tolist()
    assert sorted(permuted) == sorted(picture.ravel().tolist()) != permuted
