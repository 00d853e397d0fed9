"""Detection of NUL bytes in text, which SQLite, DuckDB and Arrow accept and PostgreSQL does not."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from connections.sdk.arrow.buffers import may_contain


def has_nul(array: pa.Array) -> bool:
    """Return whether any value of a text array contains a NUL byte."""
    return may_contain(array, b"\0") and bool(pc.any(pc.match_substring(array, "\0")).as_py())


def first_nul(array: pa.Array) -> str:
    """Return the first value that contains a NUL byte."""
    return str(array.filter(pc.match_substring(array, "\0"))[0].as_py())
