"""Types of Oracle. Source of the names: Oracle Database SQL Language Reference, chapter "Data Types".

All numbers except BINARY_FLOAT and BINARY_DOUBLE are stored as decimals, including FLOAT, and are read as decimals.
"""

from __future__ import annotations

from connections.sdk.sql.type_parsing import ParsedType, TypeTable, decimal
from connections.sdk.types import DataType, Kind, Rendered

# geometries, vector, bfile and object types are unknown: they are transferred as text
_TABLE = TypeTable(
    kinds={
        "decimal": Kind.DECIMAL,
        "dec": Kind.DECIMAL,
        "numeric": Kind.DECIMAL,
        "integer": Kind.DECIMAL,
        "int": Kind.DECIMAL,
        "smallint": Kind.DECIMAL,
        "binary_float": Kind.REAL,
        "binary_double": Kind.DOUBLE,
        "boolean": Kind.BOOLEAN,
        "char": Kind.TEXT,
        "nchar": Kind.TEXT,
        "varchar": Kind.TEXT,
        "varchar2": Kind.TEXT,
        "nvarchar2": Kind.TEXT,
        "clob": Kind.TEXT,
        "nclob": Kind.TEXT,
        "long": Kind.TEXT,
        "rowid": Kind.TEXT,
        "urowid": Kind.TEXT,
        "xmltype": Kind.TEXT,
        "json": Kind.JSON,
        "raw": Kind.BINARY,
        "long raw": Kind.BINARY,
        "blob": Kind.BINARY,
        # DATE has a time of day
        "date": Kind.TIMESTAMP,
        # up to nine fractional digits; values with more than microseconds are refused, not truncated
        "timestamp": Kind.TIMESTAMP,
        "timestamp with time zone": Kind.TIMESTAMPTZ,
        "timestamp with local time zone": Kind.TIMESTAMPTZ,
    },
    decimals=dict.fromkeys(("decimal", "dec", "numeric", "integer", "int", "smallint"), (38, 0)),
    fixed=frozenset({"char", "nchar"}),
)
# the argument of FLOAT(126) is in binary digits, so there is no precision in decimal digits
_FLOATING = frozenset({"float", "real", "double precision"})
_INTEGERS = ((4, Kind.SMALLINT), (9, Kind.INTEGER), (18, Kind.BIGINT))
_SPELLINGS = {
    Kind.BOOLEAN: "NUMBER(1,0)",
    Kind.SMALLINT: "NUMBER(5,0)",
    Kind.INTEGER: "NUMBER(10,0)",
    Kind.BIGINT: "NUMBER(19,0)",
    Kind.REAL: "BINARY_FLOAT",
    Kind.DOUBLE: "BINARY_DOUBLE",
    Kind.BINARY: "BLOB",
    Kind.DATE: "DATE",
    Kind.TIME: "VARCHAR2(15 CHAR)",
    Kind.TIMESTAMP: "TIMESTAMP(6)",
    Kind.TIMESTAMPTZ: "TIMESTAMP(6) WITH TIME ZONE",
    Kind.UUID: "VARCHAR2(36 CHAR)",
}
_LOST = {
    Kind.BOOLEAN: "a boolean becomes 0 or 1: Oracle has the type only since 23ai",
    Kind.TIME: "a time becomes text in Oracle",
    Kind.UUID: "a uuid becomes text of 36 characters",
}
_WIDEST_DECIMAL = 38
# 4000 bytes, with up to four bytes per character
_LONGEST_VARCHAR = 1000


def parse(native: str) -> DataType:
    """Return the meaning of an Oracle type; NUMBER(p,0) becomes the smallest integer kind that holds it."""
    parsed = ParsedType.read(native)
    if parsed is None:
        return _interval(native)
    name = parsed.name
    if name == "number":
        return _number(parsed, native)
    if name in _FLOATING:
        return DataType(kind=Kind.DECIMAL, native=native)
    return _interval(native) if name.startswith("interval ") else _TABLE.meaning(parsed, native)


def _interval(native: str) -> DataType:
    # INTERVAL DAY(2) TO SECOND(6) has two pairs of brackets
    if native.strip().lower().startswith("interval "):
        return DataType(kind=Kind.NATIVE, native=native)
    return DataType.unknown(native)


def _number(parsed: ParsedType, native: str) -> DataType:
    if not parsed.arguments:
        return DataType(kind=Kind.DECIMAL, native=native)
    # * is the maximum precision
    precision = _WIDEST_DECIMAL if parsed.arguments[0] == "*" else parsed.number(0)
    number = decimal(precision, parsed.number(1), native=native)
    if number.scale == 0 and number.precision is not None:
        for digits, kind in _INTEGERS:
            if number.precision <= digits:
                return DataType(kind=kind, native=native)
    return number


def render(data_type: DataType) -> Rendered:
    """Return the type for a new column of this meaning."""
    kind, precision = data_type.kind, data_type.precision
    if kind in _SPELLINGS:
        return Rendered(_SPELLINGS[kind], warning=_LOST.get(kind, ""))
    if kind is Kind.DECIMAL and precision is not None and precision <= _WIDEST_DECIMAL:
        return Rendered(f"NUMBER({precision},{data_type.scale or 0})")
    if kind is Kind.DECIMAL and precision is None:
        return Rendered("NUMBER", warning="Oracle keeps 38 digits of a number without precision")
    if kind is Kind.TEXT:
        short = data_type.length and data_type.length <= _LONGEST_VARCHAR
        return Rendered(f"VARCHAR2({data_type.length} CHAR)" if short else "CLOB")
    return Rendered("CLOB", warning=f"{data_type.native or kind.value} becomes text in Oracle")
