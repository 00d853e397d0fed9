"""Reports, while a statement waits for a lock that somebody else holds, that it waits and for whom.

A driver makes a `Wait` for each statement and looks at it now and then; whoever carries out a run listens. The
listener is the process's, because drivers wait in threads too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[str], None]
_log = logging.getLogger(__name__)

# seconds before the first look, and from one report to the next, which doubles each time
FIRST, AGAIN = 2.0, 10.0
# the longest time between two looks
_LONGEST = 300.0
_listeners: list[Listener] = []
# failures that have been logged: each of them once in a process, because waits are looked at again and again
_logged: set[str] = set()


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

    It is asked only when somebody listens. ``last`` is what it returned last, nothing after `restart`. ``clock``
    returns seconds.
    """

    def __init__(self, describe: Callable[[], str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._describe, self._clock = describe, clock
        self.restart()

    def restart(self) -> None:
        """Begin anew: the statement goes on, and what it waits for next is another lock."""
        self.last = ""
        self._began = self._clock()
        self._next, self._again = FIRST, AGAIN

    def look(self) -> None:
        """Report the wait when it is time to. Raises nothing: it must not fail the statement that waits."""
        waited = self._clock() - self._began
        if waited < self._next or not _listeners:
            return
        self.last = text = self._described()
        if text:
            self._next, self._again = waited + self._again, min(2 * self._again, _LONGEST)
            _report(f"{text} (for {waited:.0f} s so far)")
        else:
            # it works, or nothing is known: it is asked less and less often
            self._next = waited + min(waited, _LONGEST)

    def _described(self) -> str:
        try:
            return self._describe()
        except Exception as error:
            _log_once("The holder of a lock could not be determined", error)
            return ""


def _report(text: str) -> None:
    try:
        _listeners[-1](text)
    except Exception as error:
        _log_once("A wait for a lock could not be reported", error)


def _log_once(what: str, error: Exception) -> None:
    if what not in _logged:
        _logged.add(what)
        _log.warning("%s: %s: %s", what, type(error).__name__, error)
