"""The encoding of Arrow batches for COPY FROM: PostgreSQL's binary format, or CSV if a type has no binary encoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import pyarrow as pa

from connections.connectors.postgresql.copy.encoding.binary_formats import binary_format
from connections.sdk.compiled import import_compiled
from connections.sdk.schema import Column

_ENCODER = "connections.connectors.postgresql.copy.encoding.binary_encoder"


class Encoding(Protocol):
    """The data of one COPY: ``start()``, then ``blocks()`` of each batch in order, then ``end()``."""

    format: str

    def start(self) -> bytes: ...
    def blocks(self, batch: pa.RecordBatch) -> Iterator[bytes | memoryview]: ...
    def end(self) -> bytes: ...


def choose_encoding(columns: Sequence[Column]) -> Encoding:
    """Return the binary encoding if it supports the types of all columns, otherwise CSV."""
    # each imports libraries that the others do not need
    if not all(map(binary_format, columns)):
        from connections.connectors.postgresql.copy.encoding.csv_text import CsvEncoding

        return CsvEncoding(columns)
    if encoder := import_compiled(_ENCODER):
        from connections.connectors.postgresql.copy.encoding.compiled_binary import CompiledEncoding

        return CompiledEncoding(columns, encoder.RowEncoder)
    from connections.connectors.postgresql.copy.encoding.pgpq_binary import PgpqEncoding

    return PgpqEncoding(columns)
