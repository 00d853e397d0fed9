"""Types of ClickHouse. Source of the names: ClickHouse documentation, "Data types".

Columns that are not ``Nullable`` store NULL as 0 or an empty string, so Pipekit creates all columns as Nullable.
"""

from __future__ import annotations

import re

from connections.sdk.sql.type_parsing import decimal
from connections.sdk.types import DataType, Kind, Rendered

_WRAPPED = re.compile(r"(?:Nullable|LowCardinality)\((.*)\)", re.DOTALL)
_AGGREGATE = re.compile(r"SimpleAggregateFunction\(\w+(?:\([^()]*\))?,\s*(.*)\)", re.DOTALL)
_SHAPE = re.compile(r"(\w+)(?:\((.*)\))?", re.DOTALL)
_KINDS = {
    "Bool": Kind.BOOLEAN,
    "Int8": Kind.SMALLINT,
    "UInt8": Kind.SMALLINT,
    "Int16": Kind.SMALLINT,
    "UInt16": Kind.INTEGER,
    "Int32": Kind.INTEGER,
    "UInt32": Kind.BIGINT,
    "Int64": Kind.BIGINT,
    "BFloat16": Kind.REAL,
    "Float32": Kind.REAL,
    "Float64": Kind.DOUBLE,
    "String": Kind.TEXT,
    "Enum": Kind.TEXT,
    "Enum8": Kind.TEXT,
    "Enum16": Kind.TEXT,
    "Date": Kind.DATE,
    "Date32": Kind.DATE,
    "Time": Kind.TIME,
    "Time64": Kind.TIME,
    "UUID": Kind.UUID,
    "JSON": Kind.JSON,
    "Object": Kind.JSON,
    # transferred as text
    "Array": Kind.NATIVE,
    "Map": Kind.NATIVE,
    "Tuple": Kind.NATIVE,
    "Nested": Kind.NATIVE,
    "Variant": Kind.NATIVE,
    "IPv4": Kind.NATIVE,
    "IPv6": Kind.NATIVE,
}
_WIDE = {"UInt64": 20, "Int128": 39, "UInt128": 39, "Int256": 77, "UInt256": 78}
_DECIMALS = {"Decimal32": 9, "Decimal64": 18, "Decimal128": 38, "Decimal256": 76}
_SPELLINGS = {
    Kind.BOOLEAN: "Bool",
    Kind.SMALLINT: "Int16",
    Kind.INTEGER: "Int32",
    Kind.BIGINT: "Int64",
    Kind.REAL: "Float32",
    Kind.DOUBLE: "Float64",
    Kind.TEXT: "String",
    Kind.BINARY: "String",
    # 1900 to 2299, as DateTime64; ClickHouse clamps other years silently, so a writer has to check them
    Kind.DATE: "Date32",
    Kind.TIMESTAMP: "DateTime64(6)",
    Kind.TIMESTAMPTZ: "DateTime64(6, 'UTC')",
    Kind.UUID: "UUID",
}
_LOST = {Kind.BINARY: "bytes become a String, which ClickHouse does not distinguish from text"}
_WIDEST_DECIMAL = 76


def parse(native: str) -> DataType:
    """Return the meaning of a type; Nullable, LowCardinality and SimpleAggregateFunction are ignored."""
    inner = native.strip()
    while match := _WRAPPED.fullmatch(inner) or _AGGREGATE.fullmatch(inner):
        inner = match[1].strip()
    shape = _SHAPE.fullmatch(inner)
    if shape is None:
        return DataType.unknown(native)
    name, inside = shape[1], [part.strip() for part in (shape[2] or "").split(",")]
    if name in _WIDE:
        return decimal(_WIDE[name], 0, native=native)
    if name in _DECIMALS:
        return decimal(_DECIMALS[name], _number(inside[0]), native=native)
    if name == "Decimal":
        # Decimal without arguments is Decimal(10, 0)
        return decimal(_number(inside[0]) or 10, _number(inside[-1]) if len(inside) > 1 else 0, native=native)
    if name in ("DateTime", "DateTime64"):
        zoned = "'" in inner
        return DataType(kind=Kind.TIMESTAMPTZ if zoned else Kind.TIMESTAMP, native=native)
    if name == "FixedString":
        # padded with NUL bytes, which toStringCutToZero() removes in the query
        return DataType(kind=Kind.TEXT, length=_number(inside[0]), native=native)
    kind = Kind.NATIVE if name.startswith("Interval") else _KINDS.get(name, Kind.UNKNOWN)
    return DataType(kind=kind, native=native)


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def render(data_type: DataType) -> Rendered:
    """Return the type for a new column of this meaning."""
    kind, precision = data_type.kind, data_type.precision
    if kind is Kind.DECIMAL and precision is not None and precision <= _WIDEST_DECIMAL:
        return Rendered(f"Nullable(Decimal({precision}, {data_type.scale or 0}))")
    if kind in _SPELLINGS:
        return Rendered(f"Nullable({_SPELLINGS[kind]})", warning=_LOST.get(kind, ""))
    return Rendered("Nullable(String)", warning=f"{data_type.native or kind.value} becomes text in ClickHouse")
