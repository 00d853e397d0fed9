"""A thread that receives the data of one binary COPY from PostgreSQL, over a connection of asyncpg.

While the data arrives, a protocol of its own takes it from what the connection receives, and passes all other messages
on to asyncpg's, which takes much longer for each block of data that it hands over.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from connections.connectors.postgresql.copy import bulk
from connections.connectors.postgresql.copy.copy_stream import CopyStream
from connections.connectors.postgresql.copy.raw import SourceChanged
from connections.connectors.postgresql.session.backend_status import Backend
from connections.sdk import errors, session_cleanup
from connections.sdk.parameters import ConnectionParameters

# bytes of a part: while they and what is decoded from them fit into the processor's cache, decoding takes half as long
_PART = 1280 * 1024
# parts that are received ahead
_AHEAD = 4
# bytes that are received at a time
_BLOCK = 256 * 1024
# bytes up to which the thread pauses before it receives more, and for how many seconds: the server sends 8 KB at a
# time, and each wake-up takes longer than copying them
_SHORT, _PAUSE = 100_000, 0.001
# seconds between two checks of the other thread, and for the session to end
_POLL, _END_TIMEOUT = 0.2, 5.0


class Receiver:
    """The session of a COPY of ``query``, which must return columns with the types ``oids``.

    After the last part, ``rows`` is the number of rows that the server counted. ``cancel`` may be called from another
    thread; `close` ends the session.
    """

    def __init__(self, parameters: ConnectionParameters, query: str, oids: tuple[int, ...]) -> None:
        self.parameters = parameters
        self.query = query
        self.oids = oids
        self.backend: Backend | None = None
        self.rows = 0
        # parts of the data, then None or the error
        self._queue: queue.Queue[pa.Buffer | BaseException | None] = queue.Queue(_AHEAD)
        self._stream = CopyStream(_PART)
        self._opened, self._cancelled = threading.Event(), threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="receiver", daemon=True)

    def open(self) -> None:
        """Open the session and start the query. Raises the error if the session cannot be opened."""
        self._thread.start()
        self._opened.wait()
        if self.backend is None:
            self._next()

    def parts(self) -> Iterator[pa.Buffer]:
        """Yield the data in the order of its bytes. Raises the error of the session or the query.

        A part is to be used before the next one is asked for: then its memory is filled again.
        """
        while (part := self._next()) is not None:
            yield part
            self._stream.reuse(part)

    def cancel(self) -> None:
        """Cancel the query."""
        self._cancelled.set()
        if self._loop and self._task:
            # the loop is closed once the session has ended
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._task.cancel)

    def close(self) -> None:
        """Cancel the query if it has not ended, and wait some seconds for the end of the session."""
        self.cancel()
        self._thread.join(_END_TIMEOUT)

    def _next(self) -> pa.Buffer | None:
        while True:
            with contextlib.suppress(queue.Empty):
                item = self._queue.get(timeout=_POLL)
                if isinstance(item, BaseException):
                    raise item
                return item
            if self._cancelled.is_set() and not self._thread.is_alive():
                raise errors.Cancelled("The query was cancelled.")

    def _run(self) -> None:
        try:
            asyncio.run(self._receive())
            self._put(None)
        except asyncio.CancelledError:
            # `_next` notices it
            pass
        except BaseException as error:  # raised again in the thread that takes the parts
            self._put(error)
        finally:
            self._opened.set()

    async def _receive(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        connection = await bulk.connect(self.parameters)
        try:
            with bulk.translated(self.parameters.name):
                self.backend = await bulk.backend(connection, self.parameters)
                self._opened.set()
                with session_cleanup.terminated_by(self.backend.terminate):
                    await self._copy(connection)
        finally:
            connection.terminate() if connection.is_closed() else await connection.close(timeout=_END_TIMEOUT)

    async def _copy(self, connection: Any) -> None:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            described = await connection.prepare(self.query)
            if tuple(attribute.type.oid for attribute in described.get_attributes()) != self.oids:
                raise SourceChanged(
                    "The types of the query's columns have changed since they were described; nothing was read.",
                    hint="Run it again: the rows are then read as the source is now.",
                )
            # for the rest of the session: when the copy is cancelled, it may be in the middle of a message
            connection._transport.set_protocol(_CopyProtocol(connection._protocol, self._stream, self._put))
            status = await connection.copy_from_query(self.query, output=_refuse, format="binary")
        self._put(self._stream.take())
        self.rows = bulk.rows_of(status)

    def _put(self, item: pa.Buffer | BaseException | None) -> None:
        """Add the item; wait while the queue is full, which also keeps the server waiting."""
        while not self._cancelled.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=_POLL)
                return


async def _refuse(data: bytes) -> None:
    raise errors.InternalError(f"asyncpg has received {len(data)} bytes of a COPY.")


class _CopyProtocol(asyncio.BufferedProtocol):
    """Puts the data of a COPY, in parts, and passes everything else on to the protocol ``others``."""

    def __init__(self, others: Any, stream: CopyStream, put: Callable[[pa.Buffer], None]) -> None:
        self._others = others
        self._stream = stream
        self._put = put
        self._block = memoryview(bytearray(_BLOCK))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._block

    def buffer_updated(self, nbytes: int) -> None:
        if messages := self._stream.feed(self._block[:nbytes]):
            self._others.data_received(messages)
        if self._stream.is_full:
            self._put(self._stream.take())
        if nbytes < _SHORT:
            time.sleep(_PAUSE)

    def eof_received(self) -> Any:
        return self._others.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._others.connection_lost(exc)

    def pause_writing(self) -> None:
        self._others.pause_writing()

    def resume_writing(self) -> None:
        self._others.resume_writing()
