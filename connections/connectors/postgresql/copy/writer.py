"""Writes Arrow batches to a PostgreSQL table with one COPY in one transaction, through asyncpg."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import closing
from typing import Any

import asyncpg
import pyarrow as pa

from connections.connectors.postgresql.copy import bulk
from connections.connectors.postgresql.copy.direct_sending import send_directly
from connections.connectors.postgresql.copy.encoding.choose import Encoding, choose_encoding
from connections.connectors.postgresql.copy.lossy_casts import LossyCastCheck
from connections.connectors.postgresql.copy.monitor import CopyStatus, monitored
from connections.sdk import session_cleanup
from connections.sdk.arrow.invalid_values import first_value, invalid_value
from connections.sdk.protocols import Batches, WriteTarget
from connections.sdk.row_counts import check_counts

_BLOCK = 256 * 1024
_LINE = re.compile(r"COPY .*, line (\d+)(?:, column ([^:\n]*))?")
# number of batches kept, among which an error of the server has its cause
_KEPT_BATCHES = 3


class PostgresqlWriter:
    """Implements `Writer`."""

    works_here = False

    def write(self, target: WriteTarget, batches: Batches) -> int:
        with closing(LossyCastCheck(target.parameters, target.columns)) as check:
            return asyncio.run(_Copy(target, batches, check).run())


class _Copy:
    """One COPY with its encoding and checks."""

    def __init__(self, target: WriteTarget, batches: Batches, check: LossyCastCheck) -> None:
        self.target = target
        self.columns = tuple(target.columns)
        self.batches = batches
        self.lossy_cast_check = check
        self.encoding: Encoding = choose_encoding(self.columns)
        # the latest batches, each with the number of its first row
        self.sent: list[tuple[int, pa.RecordBatch]] = []
        self.count = 0

    async def run(self) -> int:
        parameters = self.target.parameters
        connection = await bulk.connect(parameters)
        try:
            with bulk.translated(parameters.name):
                backend = await bulk.backend(connection, parameters)
                with session_cleanup.terminated_by(backend.terminate):
                    return await self._write(connection)
        finally:
            connection.terminate() if connection.is_closed() else await connection.close(timeout=5)

    async def _write(self, connection: Any) -> int:
        async with connection.transaction():
            await bulk.begin(connection, self.target)
            async with monitored(self.target.parameters, connection) as status:
                written = await self._copy(connection, status)
            check_counts(self.batches.rows, written)
        return written

    async def _copy(self, connection: Any, status: CopyStatus) -> int:
        try:
            command_tag = await connection.copy_to_table(
                self.target.table.table,
                schema_name=self.target.table.schema or None,
                columns=[column.dest_name for column in self.columns],
                format=self.encoding.format,
                freeze=self.target.freeze,
                source=self._data(connection, status),
            )
        except asyncpg.DataError as error:
            self._raise_with_value(error)
            raise
        return bulk.rows_of(command_tag)

    async def _data(self, connection: Any, status: CopyStatus) -> AsyncIterator[bytes | memoryview]:
        yield self.encoding.start()
        # another thread reads and encodes batches
        blocks = self._blocks(status)
        if not await send_directly(connection, blocks):
            while (block := await asyncio.to_thread(next, blocks, None)) is not None:
                yield block
        if not status.failed:
            yield self.encoding.end()

    def _blocks(self, status: CopyStatus) -> Iterator[memoryview]:
        for batch in self.batches:
            self.sent = [*self.sent[1 - _KEPT_BATCHES :], (self.count, batch)]
            self.count += batch.num_rows
            blocks: Iterable[bytes | memoryview] = self.encoding.blocks(batch)
            if self.lossy_cast_check.is_needed:
                # before the server rounds a value, but after the values that no COPY can send
                blocks = list(blocks)
                self.lossy_cast_check.check(batch)
            for block in blocks:
                yield from _parts(block)
            if status.failed:
                return

    def _raise_with_value(self, error: asyncpg.DataError) -> None:
        """Raise InvalidValue with column and value if the context of the server's error has row and column."""
        match = _LINE.search(error.context or "")
        column = next((c for c in self.columns if match and c.dest_name == match[2]), None)
        if not match or not column:
            return
        row, position = int(match[1]) - 1, self.columns.index(column)
        # the context quotes the value for CSV, but not for the binary format
        example: Any = (error.context or "").partition(f"column {match[2]}: ")[2].strip().strip('"')
        for first, batch in self.sent:
            if self.encoding.format == "binary" and first <= row < first + batch.num_rows:
                example = first_value(batch.column(position).slice(row - first, 1))
        raise invalid_value(
            column, example, why=f"is refused by the server: {error.args[0]}", detail=str(error)
        ) from None


def _parts(data: bytes | memoryview) -> Iterator[memoryview]:
    view = memoryview(data)
    for start in range(0, len(view), _BLOCK):
        yield view[start : start + _BLOCK]


WRITER = PostgresqlWriter()
