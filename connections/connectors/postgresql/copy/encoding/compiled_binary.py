"""Encoding of Arrow batches in PostgreSQL's binary COPY format with the compiled module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from connections.connectors.postgresql.copy.encoding import value_checks
from connections.connectors.postgresql.copy.encoding.binary_formats import binary_format
from connections.sdk.schema import Column
from connections.sdk.types import to_arrow

if TYPE_CHECKING:
    from connections.connectors.postgresql.copy.encoding.binary_encoder import RowEncoder

# the signature, then flags and an extension that are not used
_START = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
# bytes of the arrays of a block: what is encoded from them is about as large, and fits into the processor's cache
_BLOCK = 192 * 1024


class CompiledEncoding:
    """Implements `Encoding`."""

    format = "binary"

    def __init__(self, columns: Sequence[Column], encoder: type[RowEncoder]) -> None:
        self._columns = columns
        self._types = [to_arrow(column.data_type) for column in columns]
        self._encoder = encoder([(binary_format(column) or "", _argument(column)) for column in columns])

    def start(self) -> bytes:
        return _START

    def blocks(self, batch: pa.RecordBatch) -> Iterator[bytes | memoryview]:
        arrays, step = batch.columns, max(1, batch.num_rows * _BLOCK // max(batch.nbytes, 1))
        supported = [array.type for array in arrays] == self._types
        for start in range(0, batch.num_rows, step):
            block = self._encoder.encode(arrays, start, min(start + step, batch.num_rows)) if supported else None
            if block is None:
                yield from self._encode_otherwise(batch.slice(start))
                return
            yield block

    def end(self) -> bytes:
        return _END

    def _encode_otherwise(self, rows: pa.RecordBatch) -> Iterator[bytes | memoryview]:
        """Raise InvalidValue for the first value that is not stored exactly; without any, encode the rows."""
        from connections.connectors.postgresql.copy.encoding.pgpq_binary import PgpqEncoding

        encoding = PgpqEncoding(self._columns)
        encoding.start()
        return encoding.blocks(rows)


def _argument(column: Column) -> int:
    """Return what the format needs to know of the column, see `RowEncoder`."""
    match binary_format(column):
        case "numeric":
            return column.data_type.scale or 0
        case "time" | "timestamp":
            return value_checks.unit(column)
        case "bytea":
            return 0
        case _:
            return value_checks.max_length(column)
