"""NUL bytes in text: legal in SQLite, DuckDB and Arrow, impossible in PostgreSQL."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from connections.sdk.arrow.buffers import may_hold


def has_nul(array: pa.Array) -> bool:
    """Whether any value of a text array holds a NUL byte."""
    return may_hold(array, b"\0") and bool(pc.any(pc.match_substring(array, "\0")).as_py())


def first_nul(array: pa.Array) -> str:
    """Return the first value that holds one."""
    return str(array.filter(pc.match_substring(array, "\0"))[0].as_py())
