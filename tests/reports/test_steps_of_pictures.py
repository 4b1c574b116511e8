"""Steps count from 1 wherever they are drawn or listed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from rnnprobe import Bounds, Budget, SequenceDataset
from rnnprobe.attacks._study import TimeStudy
from rnnprobe.attacks._time import Scan, StepCurve
from rnnprobe.attacks.hotflip import SingleEdits
from rnnprobe.reports._attack_figures import time_figure
from rnnprobe.reports._attack_tables import _edits_table
from rnnprobe.reports._confusion_figures import _draw_features
from rnnprobe.reports._figures import draw_values
from rnnprobe.reports._pair_figures import _draw_mean
from rnnprobe.reports._synthesis_figures import _draw_curves

X = np.arange(10, dtype=np.float32).reshape(5, 2)


@pytest.mark.parametrize(
    ("draw", "drawn"),
    [
        (draw_values, (X,)),
        (_draw_features, (X,)),
        (_draw_curves, (X, X)),
        (_draw_mean, (X.T, 0)),
    ],
)
def test_lines_begin_at_step_1(draw: Callable[..., None], drawn: tuple[Any, ...]) -> None:
    axes = Figure().add_subplot()
    draw(axes, *drawn)
    assert axes.lines
    for line in axes.lines:
        assert line.get_xdata().tolist() == [1, 2, 3, 4, 5]


def test_steps_that_do_not_count_leave_a_gap_and_move_nothing() -> None:
    axes = Figure().add_subplot()
    draw_values(axes, X, np.array([False, False, True, True, False]))
    line = axes.lines[0]
    drawn = ~np.isnan(line.get_ydata())
    assert line.get_xdata()[drawn].tolist() == [3, 4]
    assert line.get_ydata()[drawn].tolist() == [4, 6]


def test_windows_stand_over_their_middle() -> None:
    fooled = np.ones((2, 4), bool)
    gains = np.full((4, 5), 0.2)
    study = TimeStudy(
        Budget(1, "linf", Bounds(0, 1)),
        np.arange(4),
        (StepCurve("free", (1, 2), fooled, np.ones(4, int)),),
        Scan(3, np.array([0, 2]), fooled, fooled, gains),  # steps 1 to 3 and 3 to 5
        np.ones(4, int),
    )
    right = time_figure(study).axes[1]
    assert right.lines[0].get_xdata().tolist() == [2, 4]
    middles = [bar.get_x() + bar.get_width() / 2 for bar in right.patches]
    assert middles == pytest.approx([1, 2, 3, 4, 5])


def test_replaced_tokens_are_told_by_their_step(names: SequenceDataset) -> None:
    hits = np.zeros((2, 6), int)
    hits[:, 3] = 2
    tokens = np.zeros(names.num_tokens, int)
    tokens[4] = 4
    edits = SingleEdits(np.zeros((2, 2), bool), hits, tokens, np.full(2, 9), np.ones(2, bool))
    (row,) = _edits_table(edits, names).records()
    assert (row["step"], row["step_hits"]) == (4, 4)
