"""Reads the rows of a PostgreSQL query from a binary COPY through asyncpg, and decodes whole blocks of them with numpy.

A thread of its own receives the data, so that the server continues while a block is decoded.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

import pyarrow as pa

from connections.connectors.postgresql.copy import binary_values, wire_values
from connections.connectors.postgresql.copy.binary_block import HEADER, PADDING, TRAILER, Block, FieldType, InvalidData
from connections.connectors.postgresql.copy.receiver import Receiver
from connections.sdk import errors
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.row_counts import check_counts
from connections.sdk.schema import Column


class BinaryRows:
    """The rows of a query whose columns have the types ``natives``.

    ``close`` cancels the query; it may be called from another thread.
    """

    def __init__(
        self, parameters: ConnectionParameters, query: str, natives: Sequence[str], columns: Sequence[Column]
    ) -> None:
        self.natives = natives
        self.columns = columns
        self._sent = wire_values.sent_types(natives, columns, decodes_numeric=True)
        self._types = [binary_values.field_type(name) for name in self._sent]
        oids = tuple(binary_values.OIDS[name] for name in self._sent)
        self._receiver = Receiver(parameters, wire_values.wrapped(query, natives, self._sent), oids)

    def open(self) -> None:
        """Open the session and start the query. Raises the errors of `bulk.connect`."""
        self._receiver.open()

    def close(self) -> None:
        self._receiver.cancel()

    def is_busy(self) -> bool:
        backend = self._receiver.backend
        return backend is not None and backend.is_busy()

    def read(self) -> Generator[pa.RecordBatch, None, None]:
        """Yield the rows; the fields have Arrow types for those of PostgreSQL, and decimals that of their column."""
        names = [f"c{position}" for position in range(len(self.columns))]
        rows = 0
        try:
            for block in blocks(self._receiver.parts(), self._types):
                rows += block.rows
                yield pa.record_batch(self._arrays(block), names=names)
        except InvalidData as error:
            raise errors.InternalError(
                f"The rows could not be read: {error}.", hint="This is a bug in Pipekit; please report it."
            ) from None
        finally:
            self._receiver.close()
        check_counts(self._receiver.rows, rows)

    def _arrays(self, block: Block) -> list[pa.Array]:
        fields = zip(block.fields, self.natives, self._sent, self.columns, strict=True)
        return [binary_values.decode(block, field, native, sent, column) for field, native, sent, column in fields]


def blocks(parts: Iterator[list[bytes]], types: Sequence[FieldType]) -> Iterator[Block]:
    """Yield the data of a COPY as blocks of whole rows. Raises InvalidData if it is not complete."""
    pending: list[bytes] = []
    size, needed = 0, len(HEADER)
    header = HEADER
    for part in parts:
        pending += part
        size += sum(map(len, part))
        if size < needed:
            continue
        data = b"".join([*pending, PADDING])
        if data[: len(header)] != header:
            raise InvalidData("the data does not begin as COPY's does")
        block = Block(data[len(header) :] if header else data, types)
        header = b""
        if block.rows:
            yield block
        pending = [block.rest]
        size, needed = len(block.rest), block.needed
    if header or b"".join(pending) != TRAILER:
        raise InvalidData("the data does not end with the end of a row")
