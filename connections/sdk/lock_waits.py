"""Reports, while a statement waits for a lock that somebody else holds, that it waits and for whom.

A driver makes a `Wait` for each statement and looks at it now and then; whoever carries out a run listens. The
listener is the process's, because drivers wait in threads too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Listener = Callable[[str], None]

# seconds before the first look, and from one report to the next, which doubles each time
FIRST, AGAIN = 2.0, 10.0
# the longest time between two looks
_LONGEST = 300.0
_listeners: list[Listener] = []


@contextmanager
def reported_to(listener: Listener) -> Iterator[None]:
    """Report waits to ``listener`` for the time of the block; to nobody else meanwhile."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


class Wait:
    """The wait of one statement. ``describe`` returns for what and for whom it waits, nothing when for nobody.

    It is asked only when somebody listens. ``last`` is what it returned last.
    """

    def __init__(self, describe: Callable[[], str]) -> None:
        self._describe = describe
        self.last = ""
        self.restart()

    def restart(self) -> None:
        """Begin anew: the statement goes on."""
        self._began = time.monotonic()
        self._next, self._again = FIRST, AGAIN

    def look(self) -> None:
        """Report the wait when it is time to."""
        waited = time.monotonic() - self._began
        if waited < self._next or not _listeners:
            return
        if text := self._describe():
            self.last = text
            self._next, self._again = waited + self._again, min(2 * self._again, _LONGEST)
            _report(f"{text} (for {waited:.0f} s so far)")
        else:
            # it works, or nothing is known: it is asked less and less often
            self._next = waited + min(waited, _LONGEST)


def _report(text: str) -> None:
    # a report that cannot be made must not fail the statement that waits
    with suppress(Exception):
        _listeners[-1](text)
