"""Writes Arrow batches into a PostgreSQL table: one COPY in one transaction over asyncpg."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing, suppress
from typing import Any

import asyncpg
import pyarrow as pa

from connections.connectors.postgresql.copy import bulk
from connections.connectors.postgresql.copy.encoding import Encoding, encoding
from connections.connectors.postgresql.lossy_casts import Questions
from connections.connectors.postgresql.session.copy_monitor import Watch, watched
from connections.sdk import session_cleanup
from connections.sdk.arrow.counts import check_counts
from connections.sdk.arrow.invalid_values import first_value, misfit
from connections.sdk.claim import Claim
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Batches
from connections.sdk.schema import Column, TableName

_BLOCK = 256 * 1024
_LINE = re.compile(r"COPY .*, line (\d+)(?:, column ([^:\n]*))?")
# the server is at most a few batches behind when it complains
_REMEMBERED = 3


class PostgresqlWriter:
    works_here = False

    def write(
        self,
        parameters: ConnectionParameters,
        table: TableName,
        columns: Sequence[Column],
        batches: Batches,
        *,
        clear: bool = False,
        claim: Claim | None = None,
    ) -> int:
        begin = bulk.Beginning(table=table, clear=clear, claim=claim)
        with closing(Questions(parameters, columns)) as questions:
            return asyncio.run(_Copy(table, tuple(columns), batches, questions).run(parameters, begin))


class _Copy:
    def __init__(self, table: TableName, columns: tuple[Column, ...], batches: Batches, questions: Questions) -> None:
        self.table = table
        self.columns = columns
        self.batches = batches
        self.questions = questions
        self.encoding: Encoding = encoding(columns)
        # (number of the first row, batch) of the last ones sent
        self.sent: list[tuple[int, pa.RecordBatch]] = []
        self.count = 0

    async def run(self, parameters: ConnectionParameters, begin: bulk.Beginning) -> int:
        connection = await bulk.connect(parameters)
        try:
            with bulk.translated(parameters.name):
                backend = await bulk.backend(connection, parameters)
                with session_cleanup.terminated_by(backend.end):
                    return await self._written(connection, parameters, begin)
        finally:
            connection.terminate() if connection.is_closed() else await connection.close(timeout=5)

    async def _written(self, connection: Any, parameters: ConnectionParameters, begin: bulk.Beginning) -> int:
        async with connection.transaction():
            await begin(connection)
            async with watched(parameters, connection) as watch:
                written = await self._copy(connection, watch)
            check_counts(self.batches.rows, written)
        return written

    async def _copy(self, connection: Any, watch: Watch) -> int:
        try:
            status = await connection.copy_to_table(
                self.table.table,
                schema_name=self.table.schema or None,
                columns=[column.dest_name for column in self.columns],
                format=self.encoding.format,
                source=self._blocks(watch),
            )
        except asyncpg.DataError as error:
            self._explain(error)
            raise
        return bulk.rows_of(status)

    async def _blocks(self, watch: Watch) -> AsyncIterator[memoryview]:
        stream = iter(self.batches)
        for block in _blocks(self.encoding.start()):
            yield block
        # batches come and are encoded in another thread while this one sends
        while (data := await asyncio.to_thread(self._encoded, stream)) is not None:
            if watch.failed:
                return
            for block in _blocks(data):
                yield block
        for block in _blocks(self.encoding.end()):
            yield block

    def _encoded(self, stream: Iterator[pa.RecordBatch]) -> bytes | None:
        with suppress(StopIteration):
            batch = next(stream)
            self.sent = [*self.sent[1 - _REMEMBERED :], (self.count, batch)]
            self.count += batch.num_rows
            data = self.encoding.batch(batch)
            self.questions.check(batch)
            return data
        return None

    def _explain(self, error: asyncpg.DataError) -> None:
        """Raise ValueMisfit with the value when the server's context says where it stands."""
        found = _LINE.search(error.context or "")
        column = next((c for c in self.columns if found and c.dest_name == found[2]), None)
        if not found or not column:
            return
        row, position = int(found[1]) - 1, self.columns.index(column)
        # CSV's context quotes the value, binary's only counts rows
        example: Any = (error.context or "").partition(f"column {found[2]}: ")[2].strip().strip('"')
        for first, batch in self.sent:
            if self.encoding.format == "binary" and first <= row < first + batch.num_rows:
                example = first_value(batch.column(position).slice(row - first, 1))
        raise misfit(column, example, why=f"is refused: {error.args[0]}", detail=str(error)) from None


def _blocks(data: bytes) -> Iterator[memoryview]:
    view = memoryview(data)
    for start in range(0, len(view), _BLOCK):
        yield view[start : start + _BLOCK]


WRITER = PostgresqlWriter()
