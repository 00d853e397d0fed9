"""How hard a comparison may work the two systems: how long one statement takes, and how many there are a second."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

# the first statement asks for this share of the keys, later ones for up to so many times more than the last
_FIRST_SHARE, _GROWTH = 64, 8


@dataclass(kw_only=True)
class Pace:
    """``statement_seconds`` is what one statement should take, ``per_second`` the most statements begun in a second.

    Ranges grow from a small first one until a statement takes that long, whatever the table's size and its keys'
    distribution. What a statement takes whatever its range, as one that reads the whole table, no smaller range saves:
    it may double that.
    """

    statement_seconds: float = 20.0
    per_second: float = 5.0
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
        wanted = max(self.statement_seconds - fixed, fixed)
        factor = min(_GROWTH, wanted / max(seconds - fixed, 0.001))
        return max(1, int(width * factor))

    def _fixed(self, width: int, seconds: float) -> float:
        """Return what a statement takes without any row, judged by the last two; 0 while they do not tell."""
        if self._last is None or self._last[0] == width:
            return 0.0
        slope = (seconds - self._last[1]) / (width - self._last[0])
        return min(max(0.0, seconds - slope * width), seconds)
