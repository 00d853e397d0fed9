"""Types of SQL Server. Source of the names: SQL Server documentation, "Data types (Transact-SQL)"."""

from __future__ import annotations

from dataclasses import replace

from connections.sdk.sql.type_parsing import ParsedType, TypeTable
from connections.sdk.types import DataType, Kind, Rendered

# sql_variant, hierarchyid, geography, geometry and vector are unknown: they are transferred as text
_TABLE = TypeTable(
    kinds={
        "bit": Kind.BOOLEAN,
        # 0 to 255
        "tinyint": Kind.SMALLINT,
        "smallint": Kind.SMALLINT,
        "int": Kind.INTEGER,
        "integer": Kind.INTEGER,
        "bigint": Kind.BIGINT,
        "decimal": Kind.DECIMAL,
        "dec": Kind.DECIMAL,
        "numeric": Kind.DECIMAL,
        "money": Kind.DECIMAL,
        "smallmoney": Kind.DECIMAL,
        "real": Kind.REAL,
        "float": Kind.DOUBLE,
        "double precision": Kind.DOUBLE,
        "char": Kind.TEXT,
        "character": Kind.TEXT,
        "nchar": Kind.TEXT,
        "varchar": Kind.TEXT,
        "nvarchar": Kind.TEXT,
        "text": Kind.TEXT,
        "ntext": Kind.TEXT,
        "sysname": Kind.TEXT,
        "xml": Kind.TEXT,
        "json": Kind.JSON,
        "binary": Kind.BINARY,
        "varbinary": Kind.BINARY,
        "image": Kind.BINARY,
        "rowversion": Kind.BINARY,
        # the old name of rowversion, not a time
        "timestamp": Kind.BINARY,
        "uniqueidentifier": Kind.UUID,
        "date": Kind.DATE,
        # up to seven fractional digits; values with more than microseconds are refused, not truncated
        "time": Kind.TIME,
        "datetime": Kind.TIMESTAMP,
        "datetime2": Kind.TIMESTAMP,
        "smalldatetime": Kind.TIMESTAMP,
        "datetimeoffset": Kind.TIMESTAMPTZ,
    },
    decimals={
        "decimal": (18, 0),
        "dec": (18, 0),
        "numeric": (18, 0),
        "money": (19, 4),
        "smallmoney": (10, 4),
    },
    fixed=frozenset({"char", "character", "nchar"}),
    bits=frozenset({"float"}),
)
_SPELLINGS = {
    Kind.BOOLEAN: "bit",
    Kind.SMALLINT: "smallint",
    Kind.INTEGER: "int",
    Kind.BIGINT: "bigint",
    Kind.REAL: "real",
    Kind.DOUBLE: "float",
    Kind.BINARY: "varbinary(max)",
    Kind.DATE: "date",
    Kind.TIME: "time(6)",
    Kind.TIMESTAMP: "datetime2(6)",
    Kind.TIMESTAMPTZ: "datetimeoffset(6)",
    Kind.UUID: "uniqueidentifier",
}
_WIDEST_DECIMAL = 38
_LONGEST_NVARCHAR = 4000


def parse(native: str) -> DataType:
    """Return the meaning of a SQL Server type, also as JDBC reports it (``int identity``)."""
    parsed = ParsedType.read(native)
    if parsed is None:
        return DataType.unknown(native)
    return _TABLE.meaning(replace(parsed, name=parsed.name.removesuffix(" identity")), native)


def render(data_type: DataType) -> Rendered:
    """Return the type for a new column of this meaning."""
    kind, precision = data_type.kind, data_type.precision
    if kind in _SPELLINGS:
        return Rendered(_SPELLINGS[kind])
    if kind is Kind.DECIMAL and precision is not None and precision <= _WIDEST_DECIMAL:
        return Rendered(f"decimal({precision},{data_type.scale or 0})")
    if kind is Kind.TEXT:
        short = data_type.length and data_type.length <= _LONGEST_NVARCHAR
        return Rendered(f"nvarchar({data_type.length})" if short else "nvarchar(max)")
    if kind is Kind.DECIMAL:
        return Rendered(
            "nvarchar(max)", warning="SQL Server holds 38 digits; wider and unconstrained decimals become text"
        )
    return Rendered("nvarchar(max)", warning=f"{data_type.native or kind.value} becomes text in SQL Server")
