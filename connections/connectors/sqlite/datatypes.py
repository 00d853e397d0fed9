"""Declared types of SQLite. They are not enforced: any column may contain any value, so the reader checks each one.

Source of the affinity rules: https://www.sqlite.org/datatype3.html section 3.1. Type names of other systems keep their
meaning, because they are common in files such as extracts from AS/400.
"""

from __future__ import annotations

import re

from connections.sdk.sql.type_parsing import decimal
from connections.sdk.types import DataType, Kind, Rendered

_SHAPE = re.compile(r"(?P<name>[a-z_0-9 ]+?)\s*(\(\s*(?P<a>\d+)\s*(,\s*(?P<b>\d+)\s*)?\))?(?P<rest>[a-z ]*)")
_KINDS = {
    "boolean": Kind.BOOLEAN,
    "bool": Kind.BOOLEAN,
    # INTEGER has 64 bits in SQLite
    "int": Kind.BIGINT,
    "integer": Kind.BIGINT,
    "tinyint": Kind.SMALLINT,
    "smallint": Kind.SMALLINT,
    "mediumint": Kind.INTEGER,
    "int2": Kind.SMALLINT,
    "int4": Kind.INTEGER,
    "int8": Kind.BIGINT,
    "bigint": Kind.BIGINT,
    "decimal": Kind.DECIMAL,
    "numeric": Kind.DECIMAL,
    "real": Kind.DOUBLE,
    "float": Kind.DOUBLE,
    "double": Kind.DOUBLE,
    "double precision": Kind.DOUBLE,
    "date": Kind.DATE,
    "time": Kind.TIME,
    "datetime": Kind.TIMESTAMP,
    "timestamp": Kind.TIMESTAMP,
    "timestamptz": Kind.TIMESTAMPTZ,
    "timestamp with time zone": Kind.TIMESTAMPTZ,
    "blob": Kind.BINARY,
    "bytea": Kind.BINARY,
    "binary": Kind.BINARY,
    "varbinary": Kind.BINARY,
    "uuid": Kind.UUID,
    "json": Kind.JSON,
    "jsonb": Kind.JSON,
}
_TEXT = ("char", "clob", "text", "string")
_SPELLINGS = {
    Kind.BOOLEAN: "BOOLEAN",
    Kind.SMALLINT: "SMALLINT",
    Kind.INTEGER: "INT4",
    Kind.BIGINT: "BIGINT",
    Kind.REAL: "REAL",
    Kind.DOUBLE: "DOUBLE",
    Kind.TEXT: "TEXT",
    Kind.BINARY: "BLOB",
    # stored as text; DATE would have NUMERIC affinity, and convert text that consists of digits to a number
    Kind.DATE: "DATE_TEXT",
    Kind.TIME: "TIME_TEXT",
    Kind.TIMESTAMP: "TIMESTAMP_TEXT",
    Kind.TIMESTAMPTZ: "TIMESTAMPTZ_TEXT",
    Kind.UUID: "UUID_TEXT",
    Kind.JSON: "JSON_TEXT",
}
# decimal digits that REAL keeps
_EXACT_DIGITS = 15


def parse(native: str) -> DataType:
    """Return the meaning of a declared type; that of a column or an expression without type is UNKNOWN."""
    shape = _SHAPE.fullmatch(native.strip().lower())
    if shape is None or not shape["name"]:
        return DataType.unknown(native)
    name = (shape["name"] + shape["rest"]).strip().removesuffix("_text")
    first = int(shape["a"]) if shape["a"] else None
    kind = _KINDS.get(name)
    if kind is Kind.DECIMAL:
        scale = int(shape["b"] or 0) if first else None
        return DataType(kind=kind, precision=first, scale=scale, native=native)
    if kind is not None:
        return DataType(kind=kind, native=native)
    if any(word in name for word in _TEXT):
        # the types that are blank-padded in other systems
        fixed = name in ("char", "character", "nchar", "native character")
        return DataType(kind=Kind.TEXT, length=first, fixed=fixed, native=native)
    return DataType(kind=Kind.BIGINT, native=native) if "int" in name else DataType.unknown(native)


def render(data_type: DataType) -> Rendered:
    """Return the declared type under which SQLite stores values of this meaning exactly."""
    if data_type.kind is Kind.DECIMAL:
        wide = decimal(data_type.precision, data_type.scale, native="")
        if wide.precision is not None and wide.precision <= _EXACT_DIGITS:
            return Rendered(f"DECIMAL({wide.precision},{wide.scale})")
        return Rendered("TEXT", warning="SQLite keeps 15 digits of a number; wider decimals become text")
    if data_type.kind in _SPELLINGS:
        return Rendered(_SPELLINGS[data_type.kind])
    return Rendered("TEXT", warning=f"{data_type.native or 'an unknown type'} becomes text in SQLite")
