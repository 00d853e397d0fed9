"""The raw copy from PostgreSQL to PostgreSQL: pipes a binary COPY TO into a binary COPY FROM, byte for byte."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from connections.connectors.postgresql.copy import bulk
from connections.connectors.postgresql.copy.byte_queue import ByteQueue
from connections.connectors.postgresql.copy.monitor import CopyStatus, monitored
from connections.connectors.postgresql.copy.raw_types import RawPlan
from connections.connectors.postgresql.session.backend_status import Backend
from connections.sdk import session_cleanup
from connections.sdk.errors import Cancelled, SerializationFailed
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.raw_copy import Cancellation, RawJob, Reporter
from connections.sdk.row_counts import TransferResult, check_counts
from connections.sdk.sql.final_semicolon import without_final_semicolon

# bytes up to which reading pauses, and for how many seconds: the server sends 8 KB at a time, and each wake-up takes
# longer than copying them; meanwhile more arrive
_SHORT, _PAUSE = 100_000, 0.001


class SourceChanged(SerializationFailed):
    """The source was altered after its columns were described; a retry describes them again."""


def copy(job: RawJob, plan: RawPlan, reporter: Reporter, cancellation: Cancellation) -> TransferResult:
    """Copy all rows of the job in one transaction of the destination, from one snapshot of the source."""
    return asyncio.run(_copy(job, plan, reporter, cancellation))


async def _copy(job: RawJob, plan: RawPlan, reporter: Reporter, cancellation: Cancellation) -> TransferResult:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    pipe = _Pipe(job, plan, reporter)

    def stop() -> None:
        # the loop is closed once the transfer has ended
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(task.cancel)

    cancellation.on_request(stop)
    try:
        async with _session(job.source) as (source, reading), _session(job.target.parameters) as (destination, _):
            reporter.is_busy = reading.is_busy
            return await pipe.move(source, destination)
    except asyncio.CancelledError:
        hint = "Nothing was written; run it again."
        if pipe.complete:
            hint = "It was being committed: check whether the rows are there before you run it again."
        raise Cancelled("The transfer was cancelled.", hint=hint) from None


@asynccontextmanager
async def _session(parameters: ConnectionParameters) -> AsyncIterator[tuple[Any, Backend]]:
    connection = await bulk.connect(parameters)
    try:
        backend = await bulk.backend(connection, parameters)
        with session_cleanup.terminated_by(backend.terminate):
            yield connection, backend
    finally:
        connection.terminate()


class _Pipe:
    """The two COPY statements of one transfer and the queue between them."""

    def __init__(self, job: RawJob, plan: RawPlan, reporter: Reporter) -> None:
        self.job = job
        self.plan = plan
        self.reporter = reporter
        self.queue = ByteQueue()
        # all rows are in the destination and counted; only the commit is missing
        self.complete = False

    async def move(self, source: Any, destination: Any) -> TransferResult:
        with bulk.translated(self.job.target.parameters.name):
            async with destination.transaction():
                await bulk.begin(destination, self.job.target)
                read, written = await self._both(source, destination)
                check_counts(read, written)
                self.complete = True
        return TransferResult(read=read, written=written, size=self.queue.total)

    async def _both(self, source: Any, destination: Any) -> tuple[int, int]:
        """Run both COPY statements. An error of the source makes the destination's COPY fail with the same error."""
        reading = asyncio.create_task(self._read(source))
        try:
            written = await self._write(destination)
            return await reading, written
        finally:
            # if the destination failed or the transfer was cancelled, asyncpg asks the source's server to stop
            reading.cancel()
            await asyncio.wait((reading,), timeout=10)

    async def _read(self, source: Any) -> int:
        try:
            with bulk.translated(self.job.source.name):
                async with source.transaction(isolation="repeatable_read", readonly=True):
                    await self._check_types(source)
                    status = await source.copy_from_query(
                        self.plan.query(without_final_semicolon(self.job.query)),
                        output=self._put,
                        format="binary",
                    )
        except BaseException as error:
            self.queue.close(error)
            raise
        self.queue.close()
        return bulk.rows_of(status)

    async def _put(self, block: bytes) -> None:
        await self.queue.put(block)
        if len(block) < _SHORT:
            await asyncio.sleep(_PAUSE)

    async def _check_types(self, source: Any) -> None:
        """Raise SourceChanged when the query's types are not those of the plan: the bytes would be read as others."""
        if self.plan.oids is None:
            return
        described = await source.prepare(without_final_semicolon(self.job.query))
        if tuple(attribute.type.oid for attribute in described.get_attributes()) != self.plan.oids:
            raise SourceChanged(
                "The types of the query's columns have changed since they were described; nothing was written.",
                hint="Run it again: the rows are then read as the source is now.",
            )

    async def _write(self, destination: Any) -> int:
        async with monitored(self.job.target.parameters, destination) as watch:
            status = await destination.copy_to_table(
                self.job.target.table.table,
                schema_name=self.job.target.table.schema or None,
                columns=[column.dest_name for column in self.job.target.columns],
                format="binary",
                freeze=self.job.target.freeze,
                source=self._blocks(watch),
            )
        return bulk.rows_of(status)

    async def _blocks(self, watch: CopyStatus) -> AsyncIterator[bytes]:
        async for block in self.queue.blocks():
            if watch.failed:
                return
            yield block
            # rows as the destination counts them; the bytes are not parsed here
            self.reporter.progress(watch.rows, self.queue.total)
