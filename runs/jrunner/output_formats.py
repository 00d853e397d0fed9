"""The output formats of ``-f``: rows on standard output as CSV, TSV or JSON, with the exact text of every value.

CSV quotes every value, so that NULL (nothing) and the empty string ("") differ. TSV is PostgreSQL's COPY text format,
where NULL is ``\\N``. Both start with a header line. JSON is an array with one object per row; decimals are numbers
with all their digits. Rows are spooled to disk and printed once all have been read: a failed read prints none.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

import pyarrow as pa
import pyarrow.csv

from connections.sdk.arrow import compute as pc
from connections.sdk.arrow.texts import as_text
from connections.sdk.protocols import Batches, WriteTarget
from connections.sdk.schema import Column

_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))


class PrintingWriter:
    """A Writer that prints the rows instead of writing them to a table."""

    works_here = True

    def __init__(self, format: str) -> None:
        self._blocks = {"csv": _csv, "tsv": _tsv, "json": _json}[format]

    def write(self, target: WriteTarget, batches: Batches) -> int:
        with tempfile.TemporaryFile(prefix="jrunner-") as spool:
            for block in self._blocks(target.columns, batches):
                spool.write(block)
            spool.seek(0)
            shutil.copyfileobj(spool, _standard_output(), 1024 * 1024)
        sys.stdout.flush()
        return batches.rows


def _standard_output() -> IO[bytes]:
    return sys.stdout.buffer


def _texts(columns: Sequence[Column], batch: pa.RecordBatch) -> list[pa.Array]:
    return [as_text(batch.column(position), column) for position, column in enumerate(columns)]


def _csv(columns: Sequence[Column], batches: Batches) -> Iterator[bytes]:
    # pyarrow writes a header only along with rows, so the names are written as a row of values
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")
    keys = [str(position) for position in range(len(columns))]

    def block(arrays: list[pa.Array]) -> bytes:
        sink = pa.BufferOutputStream()
        pyarrow.csv.write_csv(pa.record_batch(arrays, names=keys), sink, options)
        return bytes(sink.getvalue())

    yield block([pa.array([column.dest_name]) for column in columns])
    for batch in batches:
        yield block(_texts(columns, batch))


def _tsv(columns: Sequence[Column], batches: Batches) -> Iterator[bytes]:
    def block(arrays: list[pa.Array]) -> bytes:
        rows = pc.binary_join_element_wise(*(_escaped(array) for array in arrays), pa.scalar("\t"))
        return "".join(f"{row}\n" for row in rows.to_pylist()).encode()

    yield block([pa.array([column.dest_name]) for column in columns])
    for batch in batches:
        yield block(_texts(columns, batch))


def _escaped(array: pa.Array) -> pa.Array:
    for plain, escape in _ESCAPES:
        array = pc.replace_substring(array, plain, escape)
    return pc.fill_null(array, "\\N")


def _json(columns: Sequence[Column], batches: Batches) -> Iterator[bytes]:
    names = [json.dumps(column.dest_name, ensure_ascii=False) for column in columns]
    separator = "[\n"
    for batch in batches:
        fragments = [_fragments(batch.column(position), column) for position, column in enumerate(columns)]
        for values in zip(*fragments, strict=True):
            pairs = ", ".join(f"{name}: {value}" for name, value in zip(names, values, strict=True))
            yield f"{separator}{{{pairs}}}".encode()
            separator = ",\n"
    yield b"[]\n" if separator == "[\n" else b"\n]\n"


def _fragments(array: pa.Array, column: Column) -> list[str]:
    """Return each value as JSON; NaN and Infinity, which JSON lacks, as strings."""
    arrow_type = array.type
    text = as_text(array, column).to_pylist()
    bare = pa.types.is_boolean(arrow_type) or pa.types.is_integer(arrow_type) or pa.types.is_decimal(arrow_type)
    if pa.types.is_floating(arrow_type):
        finite = pc.is_finite(array).to_pylist()
        return [
            "null" if value is None else value if number else json.dumps(value)
            for value, number in zip(text, finite, strict=True)
        ]
    return ["null" if value is None else value if bare else json.dumps(value, ensure_ascii=False) for value in text]
