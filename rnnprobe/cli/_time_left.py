"""How long the rest will take, as what is finished took."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable

_LEAST_SECONDS = 10.0
_FEWEST_OF_UNKNOWN_SIZE = 2
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0


class TimeLeft:
    """Tells how long the rest takes, from the pace of the pieces that are finished.

    The pace is the time of all finished pieces over their sizes. What others are at counts as if
    it had just begun, and the largest that is left takes its time however many are made at once,
    so the time is rather too long than too short.

    Args:
        pieces: The sizes of those to be made, in any unit, or how many they are: the sizes are
            not known then, and all count as equal. Two have to be finished then before a time is
            told, otherwise one.
        workers: How many are made at once.
        clock: Seconds, of any beginning.

    Example:
        >>> left = TimeLeft([10, 20, 5, 5], workers=2)
        >>> left.after(size=10, seconds=300), left.after(size=20, seconds=600)
        (600.0, 150.0)
    """

    def __init__(
        self,
        pieces: int | Iterable[float],
        *,
        workers: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._workers, self._clock = workers, clock
        # How many there are of each size.
        self._left = Counter({1.0: pieces} if isinstance(pieces, int) else map(float, pieces))
        self._fewest = _FEWEST_OF_UNKNOWN_SIZE if isinstance(pieces, int) else 1
        self._num_typical, self._size, self._taken = 0, 0.0, 0.0
        self._last = clock()

    def leave_out(self, size: float) -> None:
        """Take a piece from what is left, that of the nearest size."""
        nearest = min(self._left, key=lambda other: abs(other - size), default=None)
        if nearest is not None:
            self._left[nearest] -= 1
            self._left = +self._left

    def after(
        self, *, size: float = 1.0, seconds: float | None = None, typical: bool = True
    ) -> float | None:
        """Return the seconds that are left when a piece has ended.

        Args:
            size: Of the piece.
            seconds: That it took; None: since the piece before it ended.
            typical: Whether it tells how long the others take; one that died at once does not.

        Returns:
            None where too little is known, or nothing is left.
        """
        now = self._clock()
        taken, self._last = (now - self._last if seconds is None else seconds), now
        self.leave_out(size)
        if typical:
            self._num_typical += 1
            self._size += size
            self._taken += taken
        if not self._left or self._num_typical < self._fewest or not self._size:
            return None
        at_once = min(self._workers, self._left.total())
        work = sum(size * count for size, count in self._left.items())
        return self._taken / self._size * max(work / at_once, *self._left)


def left_text(seconds: float | None) -> str:
    """Return about how long the rest takes, or nothing where it is not known or is no wait.

    Example:
        >>> [left_text(seconds) for seconds in (None, 9.0, 34.0, 170.0)]
        ['', '', 'about 30 s left', 'about 3 min left']
        >>> [left_text(seconds) for seconds in (6000.0, 90000.0, 400000.0)]
        ['about 1.5 h left', 'about 25 h left', 'about 5 days left']
    """
    if seconds is None or seconds < _LEAST_SECONDS:
        return ""
    if seconds < 55:
        return f"about {10 * round(seconds / 10)} s left"
    if seconds < 1.5 * _HOUR:
        return f"about {round(seconds / _MINUTE)} min left"
    if seconds < 10 * _HOUR:
        return f"about {round(2 * seconds / _HOUR) / 2:g} h left"
    if seconds < 2 * _DAY:
        return f"about {round(seconds / _HOUR)} h left"
    return f"about {round(seconds / _DAY)} days left"


def clock_text(seconds: float) -> str:
    """Return how long something has been going on.

    Example:
        >>> clock_text(7.9), clock_text(3725)
        ('0:07', '1:02:05')
    """
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
