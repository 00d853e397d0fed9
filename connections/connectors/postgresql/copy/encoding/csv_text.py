"""Encoding of Arrow batches for COPY FROM as CSV, for types that have no binary encoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.csv

from connections.connectors.postgresql.copy.encoding import value_checks
from connections.sdk.arrow import times
from connections.sdk.arrow.calendar import calendar_texts
from connections.sdk.arrow.texts import as_text
from connections.sdk.schema import Column


class CsvEncoding:
    """Implements `Encoding`: CSV with exact text for all values. NULL is an empty field, an empty string is ``""``."""

    format = "csv"

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")

    def start(self) -> bytes:
        return b""

    def blocks(self, batch: pa.RecordBatch) -> Iterator[bytes]:
        for position, column in enumerate(self._columns):
            value_checks.check_array(batch.column(position), column)
        arrays = [_text(batch.column(i), column) for i, column in enumerate(self._columns)]
        sink = pa.BufferOutputStream()
        names = [str(i) for i in range(len(arrays))]
        pyarrow.csv.write_csv(pa.record_batch(arrays, names=names), sink, self._options)
        yield sink.getvalue().to_pybytes()

    def end(self) -> bytes:
        return b""


def _text(array: pa.Array, column: Column) -> pa.Array:
    if not pa.types.is_temporal(array.type):
        return as_text(array, column)
    try:
        return times.iso_text(array)
    except pa.ArrowInvalid:
        # years before 1 and after 9999, infinity and 24:00 are rare: convert value by value
        return pa.array(calendar_texts(array), pa.string())
