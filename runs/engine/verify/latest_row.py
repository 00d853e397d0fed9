"""The order that determines the latest of several rows with one key, for types that every system orders alike."""

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
# the highest precision of DuckDB's DECIMAL
_MAX_PRECISION = 38


def order_type(data_type: DataType) -> str:
    """Return the DuckDB type that orders the values; empty for types, such as text, that systems order differently.

    Decimals without a precision are compared as DOUBLE: two that are equal as DOUBLE are both the latest.
    """
    if data_type.kind is Kind.DECIMAL:
        if data_type.precision is None or data_type.precision > _MAX_PRECISION:
            return "DOUBLE"
        return f"DECIMAL({data_type.precision},{data_type.scale or 0})"
    return _TYPES.get(data_type.kind, "")
