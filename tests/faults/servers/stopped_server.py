"""A PostgreSQL that stands still: processes stopped by SIGSTOP, which answer nothing and hang up on nobody."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

# the session that takes the rows, and the one that publishes, at rest between two statements
COPYING = "query ILIKE 'copy %%from stdin%%' AND xact_start IS NOT NULL"
PUBLISHING = "state = 'idle in transaction' AND application_name = 'pipekit'"


class Stopper:
    """Stops processes of the server, when it is time and the session it waits for is there, until they may go on."""

    def __init__(self, url: str, session: str, *, whole: bool, when: Callable[[], bool] = lambda: True) -> None:
        self.url, self.session, self.whole, self.when = url, session, whole, when
        self.stopped: list[int] = []
        self._over = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        thread = threading.Thread(target=self._work)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            self.go_on()

    def go_on(self) -> None:
        for pid in self.stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    @property
    def fired(self) -> bool:
        return bool(self.stopped)

    def _work(self) -> None:
        sql = f"SELECT pid FROM pg_stat_activity WHERE {self.session} AND datname = current_database()"
        with psycopg.connect(self.url, autocommit=True) as connection:
            data = Path(connection.info.host)
            while not self._over.wait(0.02):
                found = connection.execute(sql).fetchall() if self.when() else []
                if found:
                    self._stop(int((data / "postmaster.pid").read_text().split()[0]) if self.whole else found[0][0])
                    return

    def _stop(self, pid: int) -> None:
        """Stop it, and what it has started: nothing new can come meanwhile."""
        os.kill(pid, signal.SIGSTOP)
        self.stopped.append(pid)
        for stat in Path("/proc").glob("[0-9]*/stat") if self.whole else ():
            with suppress(OSError):
                if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                    os.kill(int(stat.parent.name), signal.SIGSTOP)
                    self.stopped.append(int(stat.parent.name))
