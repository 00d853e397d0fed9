"""Types of DB2 for i, by their names in SQL, in QSYS2.SYSCOLUMNS and in JTOpen.

Source of the names: IBM i documentation, "Db2 for i SQL reference", chapter "Data types".
"""

from __future__ import annotations

import re
from dataclasses import replace

from connections.sdk.sql.type_parsing import ParsedType, TypeTable
from connections.sdk.types import DataType, Kind, Rendered

_TABLE = TypeTable(
    kinds={
        "smallint": Kind.SMALLINT,
        "integer": Kind.INTEGER,
        "int": Kind.INTEGER,
        "bigint": Kind.BIGINT,
        # packed and zoned alike
        "decimal": Kind.DECIMAL,
        "dec": Kind.DECIMAL,
        "numeric": Kind.DECIMAL,
        "num": Kind.DECIMAL,
        "real": Kind.REAL,
        "float": Kind.DOUBLE,
        "double": Kind.DOUBLE,
        "double precision": Kind.DOUBLE,
        "boolean": Kind.BOOLEAN,
        "char": Kind.TEXT,
        "character": Kind.TEXT,
        "varchar": Kind.TEXT,
        "char varying": Kind.TEXT,
        "character varying": Kind.TEXT,
        "varg": Kind.TEXT,
        "graphic": Kind.TEXT,
        "vargraphic": Kind.TEXT,
        "graphic varying": Kind.TEXT,
        "nchar": Kind.TEXT,
        "national character": Kind.TEXT,
        "nvarchar": Kind.TEXT,
        "clob": Kind.TEXT,
        "character large object": Kind.TEXT,
        "dbclob": Kind.TEXT,
        "nclob": Kind.TEXT,
        "long varchar": Kind.TEXT,
        "xml": Kind.TEXT,
        # a file's URL
        "datalink": Kind.TEXT,
        "char for bit data": Kind.BINARY,
        "character for bit data": Kind.BINARY,
        "varchar for bit data": Kind.BINARY,
        "long varchar for bit data": Kind.BINARY,
        "binary": Kind.BINARY,
        "varbinary": Kind.BINARY,
        "binary varying": Kind.BINARY,
        "varbin": Kind.BINARY,
        "blob": Kind.BINARY,
        "binary large object": Kind.BINARY,
        "rowid": Kind.BINARY,
        "date": Kind.DATE,
        "time": Kind.TIME,
        # up to 12 fractional digits; values with more than microseconds are refused, not truncated
        "timestamp": Kind.TIMESTAMP,
        "timestmp": Kind.TIMESTAMP,
    },
    decimals={"decimal": (5, 0), "dec": (5, 0), "numeric": (5, 0), "num": (5, 0)},
    fixed=frozenset({"char", "character", "graphic", "nchar", "national character"}),
    bits=frozenset({"float"}),
)
# a decimal floating point number of 16 or 34 digits: only a decimal without precision holds it exactly
_DECFLOAT = re.compile(r"decfloat")
# CCSID 65535 marks text columns that contain bytes
_NO_CHARACTERS = re.compile(r" ccsid 65535$")
_CCSID = re.compile(r" (ccsid \d+|for (sbcs|mixed) data)")
_SPELLINGS = {
    Kind.BOOLEAN: "SMALLINT",
    Kind.SMALLINT: "SMALLINT",
    Kind.INTEGER: "INTEGER",
    Kind.BIGINT: "BIGINT",
    Kind.REAL: "REAL",
    Kind.DOUBLE: "DOUBLE",
    Kind.BINARY: "BLOB",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.TIMESTAMP: "TIMESTAMP(6)",
    Kind.TIMESTAMPTZ: "TIMESTAMP(6)",
}
_LOST = {
    Kind.BOOLEAN: "a boolean becomes 0 or 1: DB2 for i has the type only since 7.5",
    Kind.TIME: "TIME in DB2 for i has no fractional seconds",
    Kind.TIMESTAMPTZ: "a timestamp with time zone becomes a timestamp in UTC",
}
_WIDEST_DECIMAL = 63
_LONGEST_VARCHAR = 8000


def parse(native: str) -> DataType:
    """Return the meaning of a DB2 for i type."""
    parsed = ParsedType.read(native)
    if parsed is None:
        return DataType.unknown(native)
    if _DECFLOAT.fullmatch(parsed.name):
        return DataType(kind=Kind.DECIMAL, native=native)
    name = _NO_CHARACTERS.sub(" for bit data", parsed.name)
    return _TABLE.meaning(replace(parsed, name=_CCSID.sub("", name)), native)


def render(data_type: DataType) -> Rendered:
    """Return the type for a new column of this meaning."""
    kind, precision = data_type.kind, data_type.precision
    if kind is Kind.DECIMAL and precision is not None and precision <= _WIDEST_DECIMAL:
        return Rendered(f"DECIMAL({precision},{data_type.scale or 0})")
    if kind is Kind.DECIMAL:
        return Rendered("DECFLOAT(34)", warning="DB2 for i keeps 34 digits of a number without precision")
    if kind in _SPELLINGS:
        return Rendered(_SPELLINGS[kind], warning=_LOST.get(kind, ""))
    warning = "" if kind is Kind.TEXT else f"{data_type.native or kind.value} becomes text in DB2 for i"
    if kind is Kind.TEXT and data_type.length and data_type.length <= _LONGEST_VARCHAR:
        return Rendered(f"VARCHAR({data_type.length})")
    return Rendered("CLOB", warning=warning)
