"""Looks, from a second connection, at a COPY that another one is sending: its rows so far, and whether it has failed.

asyncpg hears of a refused row only when it has sent the last one; without this a failure at the start of a big
table would be told at its end.
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

# seconds; a copy that takes no longer is not looked at
_INTERVAL = 1.0
_FAILED = "idle in transaction (aborted)"
_STATE = "SELECT state, {} FROM pg_stat_activity a {} WHERE a.pid = $1"
_PROGRESS = ("p.tuples_processed", "LEFT JOIN pg_stat_progress_copy p ON p.pid = a.pid")
_PROGRESS_SINCE = 14


class Watch:
    """What is known of the COPY; ``rows`` stays 0 on servers before 14."""

    def __init__(self) -> None:
        self.rows = 0
        self.failed = False


@asynccontextmanager
async def watched(parameters: ConnectionParameters, copying: Any) -> AsyncIterator[Watch]:
    """Watch the session of ``copying`` as long as the context lasts. A nicety: what goes wrong in it is not told."""
    watch = Watch()
    task = asyncio.create_task(_look(watch, parameters, copying.get_server_pid(), copying.get_server_version().major))
    try:
        yield watch
    finally:
        task.cancel()
        # waited for without taking its end, or our own being cancelled would pass for its
        await asyncio.wait((task,))


async def _look(watch: Watch, parameters: ConnectionParameters, pid: int, version: int) -> None:
    await asyncio.sleep(_INTERVAL)
    with suppress(PipekitError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        connection = await bulk.connect(parameters)
        try:
            query = _STATE.format(*(_PROGRESS if version >= _PROGRESS_SINCE else ("NULL", "")))
            while not watch.failed and (found := await connection.fetchrow(query, pid)):
                watch.failed = found[0] == _FAILED
                watch.rows = found[1] or watch.rows
                await asyncio.sleep(_INTERVAL)
        finally:
            connection.terminate()
