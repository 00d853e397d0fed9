"""What makes one of several rows of a key the latest: types whose order is the same in every system."""

from __future__ import annotations

from connections.sdk.sql.types import DataType, Kind

_TYPES = {
    Kind.SMALLINT: "BIGINT",
    Kind.INTEGER: "BIGINT",
    Kind.BIGINT: "BIGINT",
    Kind.REAL: "DOUBLE",
    Kind.DOUBLE: "DOUBLE",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.TIMESTAMPTZ: "TIMESTAMPTZ",
}
_MOST_DIGITS = 38


def mark_type(data_type: DataType) -> str:
    """Return the type of DuckDB's that orders the values; empty where systems order them differently, as texts.

    Decimals without a precision are compared as DOUBLE: two that are the same one there are both the latest.
    """
    if data_type.kind is Kind.DECIMAL:
        if data_type.precision is None or data_type.precision > _MOST_DIGITS:
            return "DOUBLE"
        return f"DECIMAL({data_type.precision},{data_type.scale or 0})"
    return _TYPES.get(data_type.kind, "")
