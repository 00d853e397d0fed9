"""The types of PostgreSQL that are decoded from binary COPY data, and the Arrow arrays of the decoded buffers."""

from __future__ import annotations

import struct
from typing import NamedTuple

import pyarrow as pa

from connections.connectors.postgresql.copy.wire_values import too_late
from connections.sdk import errors
from connections.sdk.arrow import compute as pc
from connections.sdk.arrow.convert import convert_exactly
from connections.sdk.arrow.text_search import may_contain
from connections.sdk.schema import Column
from connections.sdk.types import Kind, to_arrow

_EPOCH_MICROS = 946_684_800_000_000
_NEGATIVE = 0x4000
_WORDS = {0xC000: "nan", 0xD000: "inf", 0xF000: "-inf"}


class Decoded(NamedTuple):
    """The OID of a type, the kind that `binary_decoder` has for it, and the Arrow type of the buffers."""

    oid: int
    kind: str
    arrow: pa.DataType


# by the names of `wire_values.sent_types`; a decimal has the Arrow type of its column
DECODED = {
    "boolean": Decoded(16, "boolean", pa.bool_()),
    "bytea": Decoded(17, "text", pa.binary()),
    "bigint": Decoded(20, "int64", pa.int64()),
    "smallint": Decoded(21, "int16", pa.int16()),
    "integer": Decoded(23, "int32", pa.int32()),
    "text": Decoded(25, "text", pa.string()),
    "oid": Decoded(26, "oid", pa.int64()),
    "real": Decoded(700, "int32", pa.float32()),
    "double precision": Decoded(701, "int64", pa.float64()),
    "bpchar": Decoded(1042, "text", pa.string()),
    "character": Decoded(1042, "text", pa.string()),
    "character varying": Decoded(1043, "text", pa.string()),
    "date": Decoded(1082, "date", pa.date32()),
    "time without time zone": Decoded(1083, "int64", pa.time64("us")),
    "timestamp without time zone": Decoded(1114, "timestamp", pa.timestamp("us")),
    "timestamp with time zone": Decoded(1184, "timestamp", pa.timestamp("us", tz="UTC")),
    "numeric": Decoded(1700, "decimal128", None),
    "uuid": Decoded(2950, "uuid", pa.string()),
}


def field(sent: str, column: Column) -> tuple[str, int, int]:
    """Return the field for `binary_decoder.Decoder` of a column that is sent as this type."""
    if sent != "numeric":
        return DECODED[sent].kind, 0, 0
    target = to_arrow(column.data_type)
    return DECODED[sent].kind, target.precision, target.scale


def array(
    buffers: list[pa.Buffer | None], rows: int, native: str, sent: str, column: Column, *, ascii: bool
) -> pa.Array:
    """Return the decoded values of a column in the Arrow type for it; they are ``native`` and were sent as ``sent``.

    Raises InvalidValue for one that the type does not hold exactly, and for text that is not UTF-8, as ``ascii`` is.
    """
    target = to_arrow(column.data_type)
    kind = DECODED[sent].arrow or target
    values = pa.Array.from_buffers(kind, rows, buffers if buffers[2] is not None else buffers[:2])
    if not kind.equals(target):
        is_number = native.startswith("numeric") and sent == "text"
        return convert_exactly(_as_adbc(values) if is_number else values, column)
    is_exact = ascii and column.data_type.kind is not Kind.DECIMAL if kind.equals(pa.string()) else True
    return values if is_exact else convert_exactly(values, column)


def _as_adbc(array: pa.Array) -> pa.Array:
    """Return numerics as text, with NaN and infinity spelled as by ADBC."""
    if not (may_contain(array, b"N") or may_contain(array, b"I")):
        return array
    return pc.replace_substring(pc.utf8_lower(array), "infinity", "inf")


def refuse(value: bytes, sent: str, column: Column) -> None:
    """Raise InvalidValue for a value that the decoder could not represent in the Arrow type of its column."""
    if sent != "numeric":
        raise too_late(column, int.from_bytes(value, "big", signed=True) + _EPOCH_MICROS)
    text = _numeric_text(value)
    convert_exactly(pa.array([text]), column)
    raise errors.InternalError(
        f"The numeric {text} was not decoded.", hint="This is a bug in Pipekit; please report it."
    )


def _numeric_text(value: bytes) -> str:
    """Return a numeric as text, with the decimals that PostgreSQL displays; NaN and infinity as ADBC spells them."""
    count, weight, sign, scale = struct.unpack_from(">hhHh", value)
    if word := _WORDS.get(sign):
        return word
    digits = struct.unpack_from(f">{count}H", value, 8)
    by_weight = {weight - position: digit for position, digit in enumerate(digits)}
    whole = "".join(f"{by_weight.get(at, 0):04}" for at in range(max(weight, 0), -1, -1)).lstrip("0") or "0"
    decimals = "".join(f"{by_weight.get(at, 0):04}" for at in range(-1, -1 - (scale + 3) // 4, -1))[:scale]
    return f"{'-' if sign == _NEGATIVE else ''}{whole}{'.' if scale else ''}{decimals}"
