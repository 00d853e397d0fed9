"""Monitors a running COPY from a second connection: the number of rows so far, and whether it has failed.

asyncpg reads the server's error only after it has sent all rows. Without this a failure at the beginning of a large
table would be reported only at its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from connections.connectors.postgresql.copy import bulk
from connections.sdk.errors import PipekitError
from connections.sdk.parameters import ConnectionParameters

# seconds between two queries, and before the first one
_INTERVAL = 1.0
_FAILED = "idle in transaction (aborted)"
_STATE = "SELECT state, {} FROM pg_stat_activity a {} WHERE a.pid = $1"
_PROGRESS = ("p.tuples_processed", "LEFT JOIN pg_stat_progress_copy p ON p.pid = a.pid")
_PROGRESS_SINCE = 14


class CopyStatus:
    """The status of a COPY as of the latest query; ``rows`` stays 0 on servers before version 14."""

    def __init__(self) -> None:
        self.rows = 0
        self.failed = False


@asynccontextmanager
async def monitored(parameters: ConnectionParameters, connection: Any) -> AsyncIterator[CopyStatus]:
    """Update the yielded status from the COPY of ``connection`` for the duration of the block.

    Errors of the monitoring itself are ignored.
    """
    status = CopyStatus()
    pid, version = connection.get_server_pid(), connection.get_server_version().major
    task = asyncio.create_task(_monitor(status, parameters, pid, version))
    try:
        yield status
    finally:
        task.cancel()
        # wait() does not raise the task's CancelledError, which could not be told from a cancellation of this task
        await asyncio.wait((task,))


async def _monitor(status: CopyStatus, parameters: ConnectionParameters, pid: int, version: int) -> None:
    await asyncio.sleep(_INTERVAL)
    with suppress(PipekitError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        connection = await bulk.connect(parameters)
        try:
            query = _STATE.format(*(_PROGRESS if version >= _PROGRESS_SINCE else ("NULL", "")))
            while not status.failed and (row := await connection.fetchrow(query, pid)):
                status.failed = row[0] == _FAILED
                status.rows = row[1] or status.rows
                await asyncio.sleep(_INTERVAL)
        finally:
            connection.terminate()
