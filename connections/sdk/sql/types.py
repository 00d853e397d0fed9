"""The meaning of a column type, between one system's spelling and another's.

A connector's ``datatypes.py`` has two functions: ``parse(native) -> DataType`` and
``render(data_type) -> Rendered`` (the native spelling, plus a warning where meaning is lost).
Timestamps count microseconds; a zoned one is UTC inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # pyarrow takes a quarter of a second to import; control code never needs it
    import pyarrow as pa


class Kind(StrEnum):
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
    # a type that only its own system knows (arrays, ranges, inet, interval); `native` is its spelling
    NATIVE = "native"
    # nothing is known; carried as text, with a warning
    UNKNOWN = "unknown"


# decimal digits that always fit into 64 bits
_INT64_DIGITS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class DataType:
    """A type's meaning.

    ``precision``/``scale`` in decimal digits (DECIMAL; both None = unconstrained), ``length`` in characters,
    ``fixed`` marks blank-padded text (CHAR(n)), ``native`` keeps the source's spelling.
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
        """Whether a watermark on it compares with ``>`` (numbers) rather than ``>=`` (dates, times, text)."""
        return self.kind in NUMERIC_KINDS

    @property
    def why_unordered(self) -> str:
        """Why no system can tell which values of the type are newer, for a message; empty where it can."""
        return _UNORDERED.get(self.kind, "")

    @property
    def is_integer(self) -> bool:
        """Whether every value is a whole number of at most 64 bits."""
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
    """A native type spelling, and what is lost by it (empty when nothing is)."""

    native: str
    warning: str = ""


def to_arrow(data_type: DataType) -> pa.DataType:
    """Return the Arrow type in which values of ``data_type`` travel: exact, or text where Arrow has none.

    Text carries what no Arrow type holds exactly: unconstrained or wide decimals (over 38 digits),
    uuid, json, native and unknown types. Times and timestamps are microseconds, zoned ones in UTC.
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
