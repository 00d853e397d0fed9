"""Types of DuckDB. Source of the names: https://duckdb.org/docs/stable/sql/data_types/overview."""

from __future__ import annotations

import re

from connections.sdk.sql.type_parsing import decimal
from connections.sdk.types import DataType, Kind, Rendered

_DECIMAL = re.compile(r"(?:decimal|numeric)\((\d+),\s*(\d+)\)")
_KINDS = {
    "boolean": Kind.BOOLEAN,
    "tinyint": Kind.SMALLINT,
    "utinyint": Kind.SMALLINT,
    "smallint": Kind.SMALLINT,
    "usmallint": Kind.INTEGER,
    "integer": Kind.INTEGER,
    "uinteger": Kind.BIGINT,
    "bigint": Kind.BIGINT,
    "float": Kind.REAL,
    "double": Kind.DOUBLE,
    "varchar": Kind.TEXT,
    "blob": Kind.BINARY,
    "date": Kind.DATE,
    "time": Kind.TIME,
    "timestamp": Kind.TIMESTAMP,
    "timestamp_s": Kind.TIMESTAMP,
    "timestamp_ms": Kind.TIMESTAMP,
    "timestamp_ns": Kind.TIMESTAMP,
    "timestamp with time zone": Kind.TIMESTAMPTZ,
    "timestamptz": Kind.TIMESTAMPTZ,
    "uuid": Kind.UUID,
    "json": Kind.JSON,
}
_WIDE = {"ubigint": 20, "hugeint": 39, "uhugeint": 39}
_SPELLINGS = {
    Kind.BOOLEAN: "BOOLEAN",
    Kind.SMALLINT: "SMALLINT",
    Kind.INTEGER: "INTEGER",
    Kind.BIGINT: "BIGINT",
    Kind.REAL: "FLOAT",
    Kind.DOUBLE: "DOUBLE",
    Kind.TEXT: "VARCHAR",
    Kind.BINARY: "BLOB",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.TIMESTAMPTZ: "TIMESTAMPTZ",
    Kind.UUID: "UUID",
    Kind.JSON: "JSON",
}
_WIDEST_DECIMAL = 38


def parse(native: str) -> DataType:
    """Return the meaning of a type as spelled by DESCRIBE; lists, structs, enums, intervals and others are NATIVE."""
    low = native.strip().lower()
    if match := _DECIMAL.fullmatch(low):
        return DataType(kind=Kind.DECIMAL, precision=int(match[1]), scale=int(match[2]), native=native)
    if low in _WIDE:
        return DataType(kind=Kind.DECIMAL, precision=_WIDE[low], scale=0, native=native)
    return DataType(kind=_KINDS.get(low, Kind.NATIVE), native=native)


def render(data_type: DataType) -> Rendered:
    """Return the type for a new column of this meaning."""
    if data_type.kind is Kind.DECIMAL:
        wide = decimal(data_type.precision, data_type.scale, native="")
        if wide.precision is not None and wide.precision <= _WIDEST_DECIMAL:
            return Rendered(f"DECIMAL({wide.precision},{wide.scale})")
        return Rendered(
            "VARCHAR", warning="DuckDB holds 38 decimal digits; wider and unconstrained decimals become text"
        )
    if data_type.kind in _SPELLINGS:
        return Rendered(_SPELLINGS[data_type.kind])
    return Rendered("VARCHAR", warning=f"{data_type.native or 'an unknown type'} becomes text in DuckDB")
