"""Types of H2. Source of the names: H2 documentation, "Data Types"."""

from __future__ import annotations

from connections.sdk.sql.type_parsing import ParsedType, TypeTable
from connections.sdk.types import DataType, Kind, Rendered

# java_object, geometry and row are unknown: they are transferred as text
_TABLE = TypeTable(
    kinds={
        "boolean": Kind.BOOLEAN,
        "tinyint": Kind.SMALLINT,
        "smallint": Kind.SMALLINT,
        "integer": Kind.INTEGER,
        "int": Kind.INTEGER,
        "bigint": Kind.BIGINT,
        "numeric": Kind.DECIMAL,
        "decimal": Kind.DECIMAL,
        "dec": Kind.DECIMAL,
        "real": Kind.REAL,
        "float": Kind.DOUBLE,
        "double": Kind.DOUBLE,
        "double precision": Kind.DOUBLE,
        "character": Kind.TEXT,
        "char": Kind.TEXT,
        "character varying": Kind.TEXT,
        "varchar": Kind.TEXT,
        "varchar_ignorecase": Kind.TEXT,
        "character large object": Kind.TEXT,
        "clob": Kind.TEXT,
        "enum": Kind.TEXT,
        "binary": Kind.BINARY,
        "binary varying": Kind.BINARY,
        "varbinary": Kind.BINARY,
        "binary large object": Kind.BINARY,
        "blob": Kind.BINARY,
        "date": Kind.DATE,
        "time": Kind.TIME,
        "timestamp": Kind.TIMESTAMP,
        "timestamp without time zone": Kind.TIMESTAMP,
        "timestamp with time zone": Kind.TIMESTAMPTZ,
        "uuid": Kind.UUID,
        "json": Kind.JSON,
        "time with time zone": Kind.NATIVE,
    },
    fixed=frozenset({"character", "char"}),
    bits=frozenset({"float"}),
)
_SPELLINGS = {
    Kind.BOOLEAN: "BOOLEAN",
    Kind.SMALLINT: "SMALLINT",
    Kind.INTEGER: "INTEGER",
    Kind.BIGINT: "BIGINT",
    Kind.REAL: "REAL",
    Kind.DOUBLE: "DOUBLE PRECISION",
    Kind.TEXT: "CHARACTER VARYING",
    Kind.BINARY: "BINARY VARYING",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME(6)",
    Kind.TIMESTAMP: "TIMESTAMP(6)",
    Kind.TIMESTAMPTZ: "TIMESTAMP(6) WITH TIME ZONE",
    Kind.UUID: "UUID",
    Kind.JSON: "JSON",
}
# the widest decimal type; NUMERIC without precision has the scale 0, and would round
_FLOATING = "DECFLOAT(100000)"


def parse(native: str) -> DataType:
    """Return the meaning of an H2 type."""
    parsed = ParsedType.read(native)
    low = native.strip().lower()
    if low.startswith("interval ") or low.endswith(" array") or " array[" in low:
        return DataType(kind=Kind.NATIVE, native=native)
    if parsed is None:
        return DataType.unknown(native)
    if parsed.name == "decfloat":
        return DataType(kind=Kind.DECIMAL, native=native)
    if parsed.name == "enum":
        return DataType(kind=Kind.TEXT, native=native)
    return _TABLE.meaning(parsed, native)


def render(data_type: DataType) -> Rendered:
    """Return the type for a new column of this meaning."""
    kind = data_type.kind
    if kind is Kind.DECIMAL and data_type.precision is not None:
        return Rendered(f"NUMERIC({data_type.precision},{data_type.scale or 0})")
    if kind is Kind.DECIMAL:
        return Rendered(_FLOATING)
    if kind in _SPELLINGS:
        return Rendered(_SPELLINGS[kind])
    return Rendered("CHARACTER VARYING", warning=f"{data_type.native or kind.value} becomes text in H2")
