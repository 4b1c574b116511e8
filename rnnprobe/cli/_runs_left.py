"""How long the runs of a search still take, each weighed by what is estimated for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rnnprobe.cli._time_left import TimeLeft

if TYPE_CHECKING:
    from rnnprobe.experiments._shapes import Shape
    from rnnprobe.specs import ModelSpec, Run, TrainSpec


class RunsLeft:
    """Tells how long the runs still take, as those that are finished took.

    Args:
        runs: Those to be made. Where there is no estimate for the cell of one, as of a user's
            own, all count as equal.
        shape: Of the data.
        workers: How many are made at once.
        more: How many more there will be, of which it is not known yet what they are.
    """

    def __init__(
        self,
        runs: Sequence[tuple[ModelSpec, TrainSpec]],
        shape: Shape,
        *,
        workers: int,
        more: int = 0,
    ) -> None:
        self._shape = shape
        sizes = [self._size(model, train) for model, train in runs]
        known = [size for size in sizes if size is not None]
        self._is_weighed = len(known) == len(sizes) > 0
        mean = sum(known) / len(known) if known else 0.0
        sized = [*known, *[mean] * more]
        self._left = TimeLeft(sized if self._is_weighed else len(runs) + more, workers=workers)

    def _size(self, model: ModelSpec, train: TrainSpec) -> float | None:
        from rnnprobe.experiments._cost import run_cost

        try:
            return run_cost(model, train, self._shape).seconds
        except ValueError:
            return None

    def after(self, run: Run) -> float | None:
        """Return the seconds that are left when this run has ended, or None: see `TimeLeft`."""
        from rnnprobe.experiments._cost import SECONDS_OF_START

        size = self._size(run.model, run.train) if self._is_weighed else None
        return self._left.after(
            size=1.0 if size is None else size,
            seconds=SECONDS_OF_START + run.seconds,
            typical=run.status == "ok",
        )
