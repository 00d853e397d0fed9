"""Asks a server, over a new connection, about a session of ours that is silent, and ends it there.

Seen from the session itself a query of an hour, a server that stands still and a network that swallows everything are
the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import psycopg

from connections.connectors.postgresql.session import clear_text
from connections.connectors.postgresql.session.blockers import BLOCKERS, described
from connections.connectors.postgresql.session.idle_timeout import PatientConnection
from connections.sdk.errors import NoProgress

# seconds for connecting, and for the answer: of a busy server more are borne, where there is time
_SOON, _LATE = 4, 30
_MICROSECONDS = "(extract(epoch FROM {}) * 1000000)::bigint"
_BEGAN, _SERVER = _MICROSECONDS.format("backend_start"), _MICROSECONDS.format("pg_postmaster_start_time()")
# what a session asks about itself, while it can
IDENTITY = f"SELECT pid, {_BEGAN}, {_SERVER} FROM pg_stat_activity WHERE pid = pg_backend_pid()"
_OURS = f"SELECT {{}} FROM pg_stat_activity WHERE pid = %s AND {_BEGAN} = %s"
_BUSY = _OURS.format("state = 'active' AND coalesce(wait_event_type, '') NOT IN ('Client', 'Lock')")
_END = _OURS.format("pg_terminate_backend(pid)")


@dataclass(frozen=True, slots=True)
class Backend:
    """The server's process behind a session; ``settings`` are libpq's. Without ``pid`` it is not known which.

    ``borne`` are the seconds for which the session may be silent: a question takes no longer, within reason.
    """

    settings: Mapping[str, str] = field(repr=False)
    pid: int | None = None
    # microseconds of the server's clock: pids come again, and a name may lead to several servers
    began: int = 0
    server: int = 0
    borne: float = 0

    @classmethod
    def of(
        cls, settings: Mapping[str, str], found: Sequence[Any] | None, *, borne: float, told: int | None = None
    ) -> Backend:
        """Make one of the row of IDENTITY. ``told`` is the pid from the connection's start: a pooler tells another."""
        if found is None or told not in (None, found[0]):
            return cls(settings, borne=borne)
        pid, began, server = found
        return cls(settings, pid=pid, began=began, server=server, borne=borne)

    def at_work(self) -> bool:
        """Whether the server answers and says that the session works: runs, and waits neither for us nor for a lock.

        A server that does not know the session (behind a pooler, or one of several) works as long as it answers.
        """
        try:
            with _asking(self.settings, round(min(max(self.borne, _SOON), _LATE))) as connection:
                if not self._is_known(connection):
                    return True
                found = connection.execute(cast(Any, _BUSY), (self.pid, self.began)).fetchone()
                return found is not None and bool(found[0])
        except NoProgress:
            return False
        except psycopg.Error as error:
            # one that turns us away is there
            return "FATAL" in str(error)

    def blocked(self) -> str:
        """Return for which lock the session waits and who holds it; nothing when for none, or when nobody answers."""
        with contextlib.suppress(psycopg.Error, NoProgress), _asking(self.settings, _SOON) as connection:
            if self._is_known(connection):
                return described(connection.execute(cast(Any, BLOCKERS), (self.pid,)).fetchall())
        return ""

    def end(self) -> None:
        """End the session at the server, if that answers and knows it."""
        with contextlib.suppress(psycopg.Error, NoProgress), _asking(self.settings, _SOON) as connection:
            if self._is_known(connection):
                connection.execute(cast(Any, _END), (self.pid, self.began))

    def _is_known(self, connection: PatientConnection) -> bool:
        if self.pid is None:
            return False
        found = connection.execute(cast(Any, f"SELECT {_SERVER}")).fetchone()
        return found is not None and found[0] == self.server


def _connection(settings: Mapping[str, Any]) -> PatientConnection:
    return PatientConnection.connect(**settings, autocommit=True)


@contextlib.contextmanager
def _asking(settings: Mapping[str, str], seconds: int) -> Iterator[PatientConnection]:
    connection = clear_text.opened({**settings, "connect_timeout": str(seconds)}, _connection, psycopg.OperationalError)
    connection.patience = seconds
    try:
        yield connection
    finally:
        connection.close()
