"""Reports that a statement waits for a lock, and who holds the lock, while it waits.

A driver creates a `Wait` for each statement and polls it; the code that executes a run registers a callback. The
callback is global to the process, because drivers also wait in other threads.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

OnWait = Callable[[str], None]
_log = logging.getLogger(__name__)

# seconds before the first check, and from one report to the next, which doubles each time
FIRST, AGAIN = 2.0, 10.0
# maximum of seconds between two checks
_LONGEST = 300.0
_callbacks: list[OnWait] = []
# failures already logged by this process: polling would log each of them many times
_logged: set[str] = set()


@contextmanager
def reported_to(on_wait: OnWait) -> Iterator[None]:
    """Call ``on_wait`` with each report for the duration of the block; callbacks of outer blocks are not called."""
    _callbacks.append(on_wait)
    try:
        yield
    finally:
        _callbacks.remove(on_wait)


class Wait:
    """The wait of one statement for locks.

    ``describe`` returns the lock and its holders as text, empty when the statement does not wait for a lock; it is
    called only while a callback is registered. ``last`` is its latest result, empty after `restart`. ``clock`` returns
    seconds.
    """

    def __init__(self, describe: Callable[[], str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._describe, self._clock = describe, clock
        self.restart()

    def restart(self) -> None:
        """Restart the timers: the statement made progress, so that the next wait is for another lock."""
        self.last = ""
        self._began = self._clock()
        self._next, self._again = FIRST, AGAIN

    def poll(self) -> None:
        """Report the wait if a report is due. Never raises, because that would fail the waiting statement."""
        waited = self._clock() - self._began
        if waited < self._next or not _callbacks:
            return
        self.last = text = self._described()
        if text:
            self._next, self._again = waited + self._again, min(2 * self._again, _LONGEST)
            _report(f"{text} (for {waited:.0f} s so far)")
        else:
            # not waiting for a lock, or unknown: check at growing intervals
            self._next = waited + min(waited, _LONGEST)

    def _described(self) -> str:
        try:
            return self._describe()
        except Exception as error:
            _log_once("The holder of a lock could not be determined", error)
            return ""


def _report(text: str) -> None:
    try:
        _callbacks[-1](text)
    except Exception as error:
        _log_once("A wait for a lock could not be reported", error)


def _log_once(what: str, error: Exception) -> None:
    if what not in _logged:
        _logged.add(what)
        _log.warning("%s: %s: %s", what, type(error).__name__, error)
