"""Asks a server over a second connection for the state of a session, and terminates the session.

The idle session itself cannot tell a query that takes an hour from a server that hangs or a network that drops packets.
psycopg is imported on use: it takes longer to load than a small transfer to run, which asks nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, cast

from connections.connectors.postgresql.session import clear_text
from connections.connectors.postgresql.session.blockers import BLOCKERS, describe
from connections.sdk.errors import NoProgress
from connections.sdk.records import dataclass

if TYPE_CHECKING:
    from connections.connectors.postgresql.session.no_progress import TimeoutConnection

# seconds for connecting and for a query; the maximum applies to `is_busy` if no_progress_timeout is long enough
_MIN_TIMEOUT, _MAX_TIMEOUT = 4, 30
_MICROSECONDS = "(extract(epoch FROM {}) * 1000000)::bigint"
_BACKEND_START = _MICROSECONDS.format("backend_start")
_SERVER_START = _MICROSECONDS.format("pg_postmaster_start_time()")
# executed by a session when it is opened, to identify itself; pg_stat_activity takes four times as long, as it joins
# this function's result with other tables
IDENTITY = f"SELECT pid, {_BACKEND_START}, {_SERVER_START} FROM pg_stat_get_activity(pg_backend_pid())"
_BACKEND = f"SELECT {{}} FROM pg_stat_activity WHERE pid = %s AND {_BACKEND_START} = %s"
_IS_BUSY = _BACKEND.format("state = 'active' AND coalesce(wait_event_type, '') NOT IN ('Client', 'Lock')")
_TERMINATE = _BACKEND.format("pg_terminate_backend(pid)")


class _Failed(Exception):
    """The server refused the connection, or the query failed."""


@dataclass(frozen=True, slots=True)
class Backend:
    """The server process of a session. ``settings`` are libpq keywords; ``pid`` is None when it is not known.

    ``no_progress_timeout`` is that of the session, in seconds; `is_busy` takes about as long at most.
    """

    settings: Mapping[str, str] = field(repr=False)
    pid: int | None = None
    # start of the process and of the server in microseconds: pids are reused, and a name may lead to several servers
    backend_start: int = 0
    server_start: int = 0
    no_progress_timeout: float = 0

    @classmethod
    def of(
        cls,
        settings: Mapping[str, str],
        row: Sequence[Any] | None,
        *,
        no_progress_timeout: float,
        reported_pid: int | None = None,
    ) -> Backend:
        """Return the backend for the result of IDENTITY.

        ``reported_pid`` is the pid that the connection was given when it was opened. A pooler reports another than the
        server's, and then the backend counts as not known.
        """
        if row is None or reported_pid not in (None, row[0]):
            return cls(settings, no_progress_timeout=no_progress_timeout)
        pid, backend_start, server_start = row
        return cls(
            settings,
            pid=pid,
            backend_start=backend_start,
            server_start=server_start,
            no_progress_timeout=no_progress_timeout,
        )

    def is_busy(self) -> bool:
        """Return whether the server reports that the session is active, waiting neither for its client nor for a lock.

        If the session is not known to the server (behind a pooler, or one of several servers), it counts as busy as
        long as the server accepts connections.
        """
        try:
            timeout = round(min(max(self.no_progress_timeout, _MIN_TIMEOUT), _MAX_TIMEOUT))
            with _connected(self.settings, timeout) as connection:
                if not self._is_known(connection):
                    return True
                row = connection.execute(cast(Any, _IS_BUSY), (self.pid, self.backend_start)).fetchone()
                return row is not None and bool(row[0])
        except NoProgress:
            return False
        except _Failed as error:
            # a server that refuses the connection is alive
            return "FATAL" in str(error)

    def describe_lock_wait(self) -> str:
        """Return the lock for which the session waits and its holders; empty if for none, or if the query fails."""
        with contextlib.suppress(_Failed, NoProgress), _connected(self.settings, _MIN_TIMEOUT) as connection:
            if self._is_known(connection):
                return describe(connection.execute(cast(Any, BLOCKERS), (self.pid,)).fetchall())
        return ""

    def terminate(self) -> None:
        """Terminate the session at the server; do nothing when the server does not answer or does not know it."""
        with contextlib.suppress(_Failed, NoProgress), _connected(self.settings, _MIN_TIMEOUT) as connection:
            if self._is_known(connection):
                connection.execute(cast(Any, _TERMINATE), (self.pid, self.backend_start))

    def _is_known(self, connection: TimeoutConnection) -> bool:
        if self.pid is None:
            return False
        row = connection.execute(cast(Any, f"SELECT {_SERVER_START}")).fetchone()
        return row is not None and row[0] == self.server_start


@contextlib.contextmanager
def _connected(settings: Mapping[str, str], timeout: int) -> Iterator[TimeoutConnection]:
    """Yield a connection of its own. Raises _Failed for errors of psycopg."""
    import psycopg

    from connections.connectors.postgresql.session.no_progress import TimeoutConnection

    def connect(keywords: Mapping[str, Any]) -> TimeoutConnection:
        return TimeoutConnection.connect(**keywords, autocommit=True)

    try:
        keywords = {**settings, "connect_timeout": str(timeout)}
        connection = clear_text.opened(keywords, connect, psycopg.OperationalError)
        connection.no_progress_timeout = timeout
        with contextlib.closing(connection):
            yield connection
    except psycopg.Error as error:
        raise _Failed(str(error)) from error
