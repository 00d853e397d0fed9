"""Limits the load of a comparison on both systems: the duration of a statement, and the statements per second."""

from __future__ import annotations

import time
from dataclasses import field

from connections.sdk.records import dataclass

# the first range is one of so many parts of the keys; the next ones are up to so many times as wide as the last
_FIRST_SHARE, _GROWTH = 64, 8


@dataclass(kw_only=True)
class Pace:
    """The limits: ``statement_seconds`` is the target duration of a statement, ``per_second`` the maximum rate.

    The rows that differ are read again after ``seconds_between_reads``.

    Ranges grow from a small first one until a statement takes that long, whatever the table's size and the distribution
    of its keys. The fixed duration of a statement, for example for reading the whole table, is not reduced by a smaller
    range; a statement may take twice as long as that.
    """

    statement_seconds: float = 20.0
    per_second: float = 5.0
    seconds_between_reads: float = 0.5
    _next: float = field(default=0.0, init=False)
    # width and seconds of the last range
    _last: tuple[int, float] | None = field(default=None, init=False)

    def wait(self) -> None:
        """Wait until the next statement may begin."""
        now = time.monotonic()
        if now < self._next:
            time.sleep(self._next - now)
        self._next = max(now, self._next) + 1 / self.per_second

    @staticmethod
    def first_width(span: int) -> int:
        return max(1, span // _FIRST_SHARE)

    def next_width(self, width: int, *, seconds: float) -> int:
        """Return the width of the next range, after one of ``width`` that took ``seconds``."""
        fixed = self._fixed(width, seconds)
        self._last = width, seconds
        target = max(self.statement_seconds - fixed, fixed)
        factor = min(_GROWTH, target / max(seconds - fixed, 0.001))
        return max(1, int(width * factor))

    def _fixed(self, width: int, seconds: float) -> float:
        """Return the seconds that a statement takes without any row, extrapolated from the last two; 0 if unknown."""
        if self._last is None or self._last[0] == width:
            return 0.0
        slope = (seconds - self._last[1]) / (width - self._last[0])
        return min(max(0.0, seconds - slope * width), seconds)
