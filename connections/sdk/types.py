"""System-independent column types, to translate between the types of two systems.

A connector's ``datatypes.py`` has two functions: ``parse(native) -> DataType`` and
``render(data_type) -> Rendered`` (the native type, with a warning where information is lost).
Timestamps have microseconds; those with time zone are in UTC.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from connections.sdk.records import dataclass

if TYPE_CHECKING:  # pyarrow takes a quarter of a second to import; control code never needs it
    import pyarrow as pa


class Kind(StrEnum):
    """The kinds of column types."""

    BOOLEAN = "boolean"
    SMALLINT = "smallint"
    INTEGER = "integer"
    BIGINT = "bigint"
    DECIMAL = "decimal"
    REAL = "real"
    DOUBLE = "double"
    TEXT = "text"
    BINARY = "binary"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    UUID = "uuid"
    JSON = "json"
    # specific to its system (arrays, ranges, inet, interval); transferred as text
    NATIVE = "native"
    # not recognised; transferred as text, with a warning
    UNKNOWN = "unknown"


# number of decimal digits that always fit into 64 bits
_INT64_DIGITS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class DataType:
    """The meaning of a column type.

    ``precision`` and ``scale`` of a DECIMAL are in decimal digits, both None if unconstrained. ``length`` is in
    characters, ``fixed`` means blank-padded text (CHAR(n)), ``native`` is the type as spelled by its system.
    """

    kind: Kind
    precision: int | None = None
    scale: int | None = None
    length: int | None = None
    fixed: bool = False
    native: str = ""

    @classmethod
    def unknown(cls, native: str = "") -> DataType:
        return cls(kind=Kind.UNKNOWN, native=native)

    @property
    def is_numeric(self) -> bool:
        """Return whether it is numeric. Watermarks are compared with ``>`` if so, and otherwise with ``>=``."""
        return self.kind in NUMERIC_KINDS

    @property
    def why_unordered(self) -> str:
        """Return why values of the type have no useful order, for a message; empty if they have one."""
        return _UNORDERED.get(self.kind, "")

    @property
    def is_integer(self) -> bool:
        """Return whether every value is an integer of at most 64 bits."""
        if self.kind is Kind.DECIMAL:
            return self.precision is not None and self.precision <= _INT64_DIGITS and not self.scale
        return self.kind in (Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT)

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "precision": self.precision,
            "scale": self.scale,
            "length": self.length,
            "fixed": self.fixed,
            "native": self.native,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> DataType:
        return cls(**{**data, "kind": Kind(data["kind"])})


_UNORDERED = {
    Kind.BOOLEAN: "is a boolean: its highest value is true, and nothing is newer",
    Kind.JSON: "is JSON, which has no order",
}
NUMERIC_KINDS = frozenset({Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT, Kind.DECIMAL, Kind.REAL, Kind.DOUBLE})


@dataclass(frozen=True, slots=True)
class Rendered:
    """The native spelling of a type, with a warning about lost information (empty if none is lost)."""

    native: str
    warning: str = ""


def to_arrow(data_type: DataType) -> pa.DataType:
    """Return the Arrow type in which values of ``data_type`` are transferred.

    It is text for kinds that no Arrow type holds exactly: decimals without precision or with more than 38 digits, uuid,
    json, native and unknown. Times and timestamps have microseconds; those with time zone are in UTC.
    """
    import pyarrow as pa

    if data_type.kind is Kind.DECIMAL:
        if data_type.precision is None or data_type.precision > 38:
            return pa.string()
        return pa.decimal128(data_type.precision, data_type.scale or 0)
    simple: dict[Kind, pa.DataType] = {
        Kind.BOOLEAN: pa.bool_(),
        Kind.SMALLINT: pa.int16(),
        Kind.INTEGER: pa.int32(),
        Kind.BIGINT: pa.int64(),
        Kind.REAL: pa.float32(),
        Kind.DOUBLE: pa.float64(),
        Kind.BINARY: pa.binary(),
        Kind.DATE: pa.date32(),
        Kind.TIME: pa.time64("us"),
        Kind.TIMESTAMP: pa.timestamp("us"),
        Kind.TIMESTAMPTZ: pa.timestamp("us", tz="UTC"),
    }
    return simple.get(data_type.kind, pa.string())
