"""The type names of java.sql.Types, and the standard SQL names that drivers report beside them."""

from __future__ import annotations

from connections.sdk.sql.type_parsing import ParsedType, TypeTable
from connections.sdk.types import DataType, Kind, Rendered

# array, struct, ref, distinct, java_object, other and null are unknown: they are transferred as the driver's text
_TABLE = TypeTable(
    kinds={
        "bit": Kind.BOOLEAN,
        "boolean": Kind.BOOLEAN,
        "tinyint": Kind.SMALLINT,
        "smallint": Kind.SMALLINT,
        "int": Kind.INTEGER,
        "integer": Kind.INTEGER,
        "bigint": Kind.BIGINT,
        "dec": Kind.DECIMAL,
        "decimal": Kind.DECIMAL,
        "numeric": Kind.DECIMAL,
        "real": Kind.REAL,
        "float": Kind.DOUBLE,
        "double": Kind.DOUBLE,
        "double precision": Kind.DOUBLE,
        "char": Kind.TEXT,
        "character": Kind.TEXT,
        "nchar": Kind.TEXT,
        "varchar": Kind.TEXT,
        "character varying": Kind.TEXT,
        "nvarchar": Kind.TEXT,
        "longvarchar": Kind.TEXT,
        "longnvarchar": Kind.TEXT,
        "clob": Kind.TEXT,
        "nclob": Kind.TEXT,
        "sqlxml": Kind.TEXT,
        "xml": Kind.TEXT,
        "datalink": Kind.TEXT,
        "rowid": Kind.TEXT,
        "binary": Kind.BINARY,
        "varbinary": Kind.BINARY,
        "longvarbinary": Kind.BINARY,
        "blob": Kind.BINARY,
        "date": Kind.DATE,
        "time": Kind.TIME,
        "timestamp": Kind.TIMESTAMP,
        "timestamp_with_timezone": Kind.TIMESTAMPTZ,
        "timestamp with time zone": Kind.TIMESTAMPTZ,
        "time_with_timezone": Kind.NATIVE,
        "time with time zone": Kind.NATIVE,
    },
    fixed=frozenset({"char", "character", "nchar"}),
    # FLOAT is double precision in JDBC, whatever its argument
    bits=frozenset(),
)
_SPELLINGS = {
    Kind.BOOLEAN: "BOOLEAN",
    Kind.SMALLINT: "SMALLINT",
    Kind.INTEGER: "INTEGER",
    Kind.BIGINT: "BIGINT",
    Kind.REAL: "REAL",
    Kind.DOUBLE: "DOUBLE PRECISION",
    Kind.BINARY: "BLOB",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.TIMESTAMPTZ: "TIMESTAMP WITH TIME ZONE",
}


def parse(native: str) -> DataType:
    """Return the meaning of a JDBC type."""
    parsed = ParsedType.read(native)
    return DataType.unknown(native) if parsed is None else _TABLE.meaning(parsed, native)


def render(data_type: DataType) -> Rendered:
    """Return the standard SQL type for a new column of this meaning."""
    kind = data_type.kind
    if kind is Kind.DECIMAL and data_type.precision is not None:
        return Rendered(f"DECIMAL({data_type.precision},{data_type.scale or 0})")
    if kind in _SPELLINGS:
        return Rendered(_SPELLINGS[kind])
    if kind is Kind.TEXT and data_type.length:
        return Rendered(f"VARCHAR({data_type.length})")
    warning = "" if kind is Kind.TEXT else f"{data_type.native or kind.value} becomes text"
    return Rendered("CLOB", warning=warning)
