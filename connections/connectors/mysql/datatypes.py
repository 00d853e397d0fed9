"""Types of MySQL and MariaDB. Source of the names: MySQL reference manual, chapter "Data Types".

Dates such as 0000-00-00 exist in no other system: they are refused unless the source query converts them to NULL.
TIME is a duration of up to 838 hours: values of 24 hours or more are refused.
"""

from __future__ import annotations

import re
from dataclasses import replace

from connections.sdk.sql.type_parsing import ParsedType, TypeTable, decimal
from connections.sdk.types import DataType, Kind, Rendered

# geometries, vector and inet are unknown: they are transferred as text
_TABLE = TypeTable(
    kinds={
        "bool": Kind.BOOLEAN,
        "boolean": Kind.BOOLEAN,
        "tinyint": Kind.SMALLINT,
        "smallint": Kind.SMALLINT,
        "mediumint": Kind.INTEGER,
        "middleint": Kind.INTEGER,
        "int": Kind.INTEGER,
        "integer": Kind.INTEGER,
        "bigint": Kind.BIGINT,
        "int1": Kind.SMALLINT,
        "int2": Kind.SMALLINT,
        "int3": Kind.INTEGER,
        "int4": Kind.INTEGER,
        "int8": Kind.BIGINT,
        "year": Kind.SMALLINT,
        "decimal": Kind.DECIMAL,
        "dec": Kind.DECIMAL,
        "numeric": Kind.DECIMAL,
        "fixed": Kind.DECIMAL,
        "float": Kind.REAL,
        "double": Kind.DOUBLE,
        "double precision": Kind.DOUBLE,
        "real": Kind.DOUBLE,
        "char": Kind.TEXT,
        "character": Kind.TEXT,
        "nchar": Kind.TEXT,
        "national char": Kind.TEXT,
        "varchar": Kind.TEXT,
        "nvarchar": Kind.TEXT,
        "national varchar": Kind.TEXT,
        "character varying": Kind.TEXT,
        "tinytext": Kind.TEXT,
        "text": Kind.TEXT,
        "mediumtext": Kind.TEXT,
        "longtext": Kind.TEXT,
        "binary": Kind.BINARY,
        "varbinary": Kind.BINARY,
        "tinyblob": Kind.BINARY,
        "blob": Kind.BINARY,
        "mediumblob": Kind.BINARY,
        "longblob": Kind.BINARY,
        # several bits; bit(1) is a boolean
        "bit": Kind.BINARY,
        "date": Kind.DATE,
        "time": Kind.TIME,
        "datetime": Kind.TIMESTAMP,
        "timestamp": Kind.TIMESTAMP,
        "json": Kind.JSON,
        "uuid": Kind.UUID,
    },
    decimals=dict.fromkeys(("decimal", "dec", "numeric", "fixed"), (10, 0)),
    fixed=frozenset({"char", "character", "nchar", "national char"}),
)
_UNSIGNED = {
    "smallint": Kind.INTEGER,
    "int2": Kind.INTEGER,
    "int": Kind.BIGINT,
    "integer": Kind.BIGINT,
    "int4": Kind.BIGINT,
}
_WIDE_UNSIGNED = frozenset({"bigint", "int8"})
_DECORATION = re.compile(r" (zerofill|signed|binary$|character set \S+|charset \S+|collate \S+|auto_increment)")
_SPELLINGS = {
    Kind.BOOLEAN: "tinyint(1)",
    Kind.SMALLINT: "smallint",
    Kind.INTEGER: "int",
    Kind.BIGINT: "bigint",
    Kind.REAL: "float",
    Kind.DOUBLE: "double",
    Kind.BINARY: "longblob",
    Kind.DATE: "date",
    Kind.TIME: "time(6)",
    Kind.TIMESTAMP: "datetime(6)",
    Kind.TIMESTAMPTZ: "datetime(6)",
    Kind.UUID: "varchar(36)",
    Kind.JSON: "json",
}
_LOST = {
    # the type TIMESTAMP ends in 2038
    Kind.TIMESTAMPTZ: "a timestamp with time zone becomes a datetime in UTC",
    Kind.UUID: "a uuid becomes text of 36 characters",
}
_WIDEST_DECIMAL, _LARGEST_SCALE = 65, 30
# the longest index key of InnoDB, in characters of utf8mb4
_LONGEST_VARCHAR = 768


def parse(native: str) -> DataType:
    """Return the meaning of a type as in information_schema; an unsigned type gets the next larger integer kind."""
    low = native.strip().lower()
    if low.startswith(("enum(", "set(")):
        return DataType(kind=Kind.TEXT, native=native)
    parsed = ParsedType.read(native)
    if parsed is None:
        return DataType.unknown(native)
    name = _DECORATION.sub("", parsed.name)
    unsigned = name.endswith(" unsigned") or name == "serial" or "zerofill" in parsed.name
    name = "bigint" if name == "serial" else name.removesuffix(" unsigned")
    return _meaning(replace(parsed, name=name), native, unsigned=unsigned)


def _meaning(parsed: ParsedType, native: str, *, unsigned: bool) -> DataType:
    name = parsed.name
    if unsigned and name in _WIDE_UNSIGNED:
        return decimal(20, 0, native=native)
    if unsigned and name in _UNSIGNED:
        return DataType(kind=_UNSIGNED[name], native=native)
    # BOOLEAN is an alias of tinyint(1), the only integer type for which newer servers show a display width
    if parsed.arguments in (("1",), ()) and name == "bit" or name == "tinyint" and parsed.arguments == ("1",):
        return DataType(kind=Kind.SMALLINT if unsigned else Kind.BOOLEAN, native=native)
    if name == "float" and len(parsed.arguments) == 1 and (parsed.number(0) or 0) > 24:
        return DataType(kind=Kind.DOUBLE, native=native)
    return _TABLE.meaning(parsed, native)


def render(data_type: DataType) -> Rendered:
    """Return the type for a new column of this meaning."""
    kind, precision, scale = data_type.kind, data_type.precision, data_type.scale or 0
    if kind in _SPELLINGS:
        return Rendered(_SPELLINGS[kind], warning=_LOST.get(kind, ""))
    if kind is Kind.DECIMAL and precision is not None and precision <= _WIDEST_DECIMAL and scale <= _LARGEST_SCALE:
        return Rendered(f"decimal({precision},{scale})")
    if kind is Kind.TEXT:
        short = data_type.length and data_type.length <= _LONGEST_VARCHAR
        return Rendered(f"varchar({data_type.length})" if short else "longtext")
    if kind is Kind.DECIMAL:
        return Rendered("longtext", warning="MySQL holds 65 digits; wider and unconstrained decimals become text")
    return Rendered("longtext", warning=f"{data_type.native or kind.value} becomes text in MySQL")
