"""Search in Arrow text arrays, mainly for NUL bytes, which SQLite, DuckDB and Arrow accept and PostgreSQL does not."""

from __future__ import annotations

import pyarrow as pa

from connections.sdk.arrow import compute as pc


def may_contain(array: pa.Array, byte: bytes) -> bool:
    """Return whether ``byte`` occurs in the array's data buffer.

    A cheap test before an exact one: False is certain, but True may come from bytes behind a NULL.
    """
    data = array.buffers()[2]
    if data is None or not len(array):
        return False
    offsets = memoryview(array.buffers()[1]).cast("i")
    start, end = offsets[array.offset], offsets[array.offset + len(array)]
    return byte in data.slice(start, end - start).to_pybytes()


def has_nul(array: pa.Array) -> bool:
    """Return whether any value of a text array contains a NUL byte."""
    return may_contain(array, b"\0") and bool(pc.any(pc.match_substring(array, "\0")).as_py())


def first_nul(array: pa.Array) -> str:
    """Return the first value that contains a NUL byte."""
    return str(array.filter(pc.match_substring(array, "\0"))[0].as_py())
