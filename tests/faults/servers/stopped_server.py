"""Stops processes of a PostgreSQL server with SIGSTOP: they answer nothing and close no connection."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

# the session that receives the rows, and the one that publishes, idle between two statements
COPYING = "query ILIKE 'copy %%from stdin%%' AND xact_start IS NOT NULL"
PUBLISHING = "state = 'idle in transaction' AND application_name = 'pipekit'"


class Stopper:
    """Stops the backend of the first session that meets the condition ``session``, from when ``when()`` is true.

    With ``whole`` it stops all processes of the server.
    """

    def __init__(self, url: str, session: str, *, whole: bool, when: Callable[[], bool] = lambda: True) -> None:
        self.url, self.session, self.whole, self.when = url, session, whole, when
        self.stopped: list[int] = []
        self._finished = threading.Event()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Look for the session in a thread during the block; resume what was stopped at its end."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._finished.set()
            thread.join()
            self.resume()

    def resume(self) -> None:
        for pid in self.stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    @property
    def fired(self) -> bool:
        return bool(self.stopped)

    def _run(self) -> None:
        sql = f"SELECT pid FROM pg_stat_activity WHERE {self.session} AND datname = current_database()"
        with psycopg.connect(self.url, autocommit=True) as connection:
            data = Path(connection.info.host)
            while not self._finished.wait(0.02):
                sessions = connection.execute(sql).fetchall() if self.when() else []
                if sessions:
                    postmaster = int((data / "postmaster.pid").read_text().split()[0])
                    self._stop(postmaster if self.whole else sessions[0][0])
                    return

    def _stop(self, pid: int) -> None:
        """Stop the process, with ``whole`` then its children; a stopped one starts no others meanwhile."""
        os.kill(pid, signal.SIGSTOP)
        self.stopped.append(pid)
        for stat in Path("/proc").glob("[0-9]*/stat") if self.whole else ():
            with suppress(OSError):
                if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                    os.kill(int(stat.parent.name), signal.SIGSTOP)
                    self.stopped.append(int(stat.parent.name))
