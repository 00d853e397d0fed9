"""Types of PostgreSQL, as spelled by `format_type`.

Source of the names: PostgreSQL documentation, chapter "Data Types".
"""

from __future__ import annotations

import re

from connections.sdk.types import DataType, Kind, Rendered

_SHAPE = re.compile(r"(?P<name>[a-z_\" ]+?)\s*(\((?P<a>\d+)(,(?P<b>-?\d+))?\))?(?P<zone> with(out)? time zone)?")
_KINDS = {
    "boolean": Kind.BOOLEAN,
    "bool": Kind.BOOLEAN,
    "smallint": Kind.SMALLINT,
    "int2": Kind.SMALLINT,
    "smallserial": Kind.SMALLINT,
    "integer": Kind.INTEGER,
    "int": Kind.INTEGER,
    "int4": Kind.INTEGER,
    "serial": Kind.INTEGER,
    "bigint": Kind.BIGINT,
    "int8": Kind.BIGINT,
    "bigserial": Kind.BIGINT,
    "numeric": Kind.DECIMAL,
    "decimal": Kind.DECIMAL,
    "real": Kind.REAL,
    "float4": Kind.REAL,
    "double precision": Kind.DOUBLE,
    "float8": Kind.DOUBLE,
    "text": Kind.TEXT,
    "character varying": Kind.TEXT,
    "varchar": Kind.TEXT,
    "character": Kind.TEXT,
    "char": Kind.TEXT,
    "bpchar": Kind.TEXT,
    "name": Kind.TEXT,
    "bytea": Kind.BINARY,
    "date": Kind.DATE,
    "time": Kind.TIME,
    "timestamp": Kind.TIMESTAMP,
    "timestamptz": Kind.TIMESTAMPTZ,
    "uuid": Kind.UUID,
    "json": Kind.JSON,
    "jsonb": Kind.JSON,
}
_SPELLINGS = {
    Kind.BOOLEAN: "boolean",
    Kind.SMALLINT: "smallint",
    Kind.INTEGER: "integer",
    Kind.BIGINT: "bigint",
    Kind.REAL: "real",
    Kind.DOUBLE: "double precision",
    Kind.TEXT: "text",
    Kind.BINARY: "bytea",
    Kind.DATE: "date",
    Kind.TIME: "time",
    Kind.TIMESTAMP: "timestamp",
    Kind.TIMESTAMPTZ: "timestamptz",
    Kind.UUID: "uuid",
    Kind.JSON: "jsonb",
}


def parse(native: str) -> DataType:
    """Return the meaning of a type as spelled by `format_type`; arrays, ranges, enums and others are NATIVE."""
    text = native.strip().lower()
    shape = _SHAPE.fullmatch(text)
    if shape is None or text.startswith('"'):
        return DataType(kind=Kind.NATIVE, native=native)
    name, a, b, zone = shape["name"], shape["a"], shape["b"], shape["zone"]
    if zone == " with time zone" and name == "timestamp":
        return DataType(kind=Kind.TIMESTAMPTZ, native=native)
    kind = _KINDS.get(name)
    if kind is None or zone == " with time zone":
        return DataType(kind=Kind.NATIVE, native=native)
    if kind is Kind.DECIMAL:
        return DataType(kind=kind, precision=int(a) if a else None, scale=int(b or 0) if a else None, native=native)
    if kind is Kind.TEXT:
        fixed = name in ("character", "char", "bpchar")
        return DataType(kind=kind, length=int(a) if a else None, fixed=fixed, native=native)
    return DataType(kind=kind, native=native)


def render(data_type: DataType) -> Rendered:
    """Return the type for a new column of this meaning; all text becomes text, whatever its length."""
    kind = data_type.kind
    if kind is Kind.DECIMAL:
        precision, scale = data_type.precision, data_type.scale
        return Rendered("numeric" if precision is None else f"numeric({precision},{scale or 0})")
    if kind in _SPELLINGS:
        return Rendered(_SPELLINGS[kind])
    what = data_type.native or "unknown type"
    return Rendered("text", warning=f"{what} has no counterpart in PostgreSQL and becomes text")
