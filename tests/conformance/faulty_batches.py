"""SQLite's reader with faults in its batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connections import registry
from connections.sdk.errors import PipekitError
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Batches, ReadAgain

SQLITE = registry.connector("sqlite")


class Proxy:
    """Forwards attributes to another object, unless a subclass overrides them."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class FaultyBatches(Proxy):
    """Batches that are changed by a fault."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self.real:
                yield self.change(batch)
        except ReadAgain as again:
            raise ReadAgain(FaultyReader(type(self), reader=again.reader), again.why) from None

    def change(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [self.change_text(array) if pa.types.is_string(array.type) else array for array in batch.columns]
        return pa.record_batch(columns, schema=batch.schema)

    def change_text(self, array: pa.Array) -> pa.Array:
        raise NotImplementedError


class TruncatedTexts(FaultyBatches):
    def change_text(self, array: pa.Array) -> pa.Array:
        return pc.utf8_slice_codeunits(array, 0, 4000)


class EmptyTextsAsNull(FaultyBatches):
    def change_text(self, array: pa.Array) -> pa.Array:
        return pc.if_else(pc.equal(array, ""), None, array)


class WithoutLastBatch(FaultyBatches):
    def __iter__(self) -> Iterator[pa.RecordBatch]:
        batches = list(self.real)
        return iter(batches[:-1] if len(batches) > 1 else batches)


class WithoutErrors(FaultyBatches):
    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from super().__iter__()
        except PipekitError:
            return

    def change(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch


class FaultyReader:
    """SQLite's reader with faulty batches, or with batches of another size."""

    def __init__(
        self, batches: type[FaultyBatches] | None = None, *, batch_bytes: int = 0, reader: Any = SQLITE.reader
    ) -> None:
        self.batches, self.batch_bytes, self.reader = batches, batch_bytes, reader

    def read(
        self, parameters: ConnectionParameters, query: str, columns: Sequence[Any], *, batch_bytes: int
    ) -> Batches:
        read = self.reader.read(parameters, query, columns, batch_bytes=self.batch_bytes or batch_bytes)
        wrapped: Batches = self.batches(read) if self.batches else read
        return wrapped
