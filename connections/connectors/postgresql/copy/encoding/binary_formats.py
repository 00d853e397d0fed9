"""The formats of columns in PostgreSQL's binary COPY format."""

from __future__ import annotations

import re

from connections.sdk.schema import Column
from connections.sdk.types import Kind

_TEXT_LIKE = re.compile(r"(text|character( varying)?|varchar|bpchar|char|json)\s*(\(\d+\))?", re.IGNORECASE)
_TEXT_KINDS = frozenset({Kind.TEXT, Kind.JSON, Kind.UUID, Kind.UNKNOWN, Kind.NATIVE})
_FORMATS = {
    Kind.BOOLEAN: "bool",
    Kind.SMALLINT: "int2",
    Kind.INTEGER: "int4",
    Kind.BIGINT: "int8",
    Kind.REAL: "float4",
    Kind.DOUBLE: "float8",
    Kind.BINARY: "bytea",
    Kind.DATE: "date",
    Kind.TIME: "time",
    Kind.TIMESTAMP: "timestamp",
    Kind.TIMESTAMPTZ: "timestamp",
}
_MAX_PRECISION = 38


def binary_format(column: Column) -> str | None:
    """Return the name of the type in whose format values are sent; None for a column that has no binary encoder.

    Types that have the same format share the name of one of them: json and varchar are sent as ``text`` is.
    """
    kind = column.data_type.kind
    if kind is Kind.DECIMAL:
        precision = column.data_type.precision
        return "numeric" if precision is not None and precision <= _MAX_PRECISION else None
    if kind not in _TEXT_KINDS:
        return _FORMATS[kind]
    name = column.dest_type.strip().lower()
    if name in ("uuid", "jsonb"):
        return name
    return "text" if _TEXT_LIKE.fullmatch(name) else None
