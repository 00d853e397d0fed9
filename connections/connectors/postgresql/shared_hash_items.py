"""SQL of PostgreSQL for the items of a column in the shared hash; see `connections.sdk.sql.row_hash`."""

from __future__ import annotations

import pyarrow as pa

from connections.connectors.postgresql.copy import wire_values
from connections.connectors.postgresql.hashing import is_padded, padded_text
from connections.sdk.schema import Column, ColumnInfo
from connections.sdk.sql.row_hash import HashedColumn
from connections.sdk.types import DataType, Kind, to_arrow

# integer kinds with their maximum number of digits
_DIGITS = {Kind.SMALLINT: 5, Kind.INTEGER: 10, Kind.BIGINT: 19}
_NAN = {Kind.DOUBLE: "7ff8000000000000", Kind.REAL: "7fc00000"}
_SENT = {Kind.TIME: "time_send", Kind.TIMESTAMP: "timestamp_send", Kind.TIMESTAMPTZ: "timestamptz_send"}
_DAYS = "CASE {0} WHEN 'infinity' THEN 2147483647 WHEN '-infinity' THEN -2147483647 ELSE {0} - DATE '1970-01-01' END"


def hashed_column(expression: str, info: ColumnInfo, column: Column, *, signed_zero: bool) -> HashedColumn | None:
    """Return the SQL for a column described as ``info``; None if not all its values are values of ``column``."""
    if column.data_type.kind is Kind.TEXT:
        return _text(expression, info, column)
    if column.data_type.kind is Kind.UUID and info.data_type.kind is Kind.UUID:
        text = f"encode(uuid_send({expression}), 'hex')"
        return HashedColumn(expression=expression, term=f"CASE WHEN {expression} IS NOT NULL THEN 32 END", text=text)
    term = _term(expression, info.data_type, column.data_type, signed_zero=signed_zero)
    return HashedColumn(expression=expression, term=term) if term else None


def _term(expression: str, have: DataType, want: DataType, *, signed_zero: bool) -> str:
    if want.kind in _DIGITS:
        return expression if have.kind in _DIGITS and _DIGITS[have.kind] <= _DIGITS[want.kind] else ""
    if want.kind is Kind.DECIMAL:
        return _decimal(expression, have, want)
    if want.kind in _NAN:
        same = have.kind is want.kind or (have.kind is Kind.REAL and want.kind is Kind.DOUBLE)
        return _bits(expression, want.kind, signed_zero=signed_zero) if same else ""
    if have.kind is not want.kind:
        return ""
    if want.kind in _SENT:
        return f"encode({_SENT[want.kind]}({expression}), 'hex')"
    if want.kind is Kind.BOOLEAN:
        return expression
    if want.kind is Kind.DATE:
        return _DAYS.format(expression)
    return f"md5({expression})" if want.kind is Kind.BINARY else ""


def _decimal(expression: str, have: DataType, want: DataType) -> str:
    if not _contains(have, want):
        return ""
    if have.kind is not Kind.DECIMAL and not want.scale:
        return expression
    number = expression if have.kind is Kind.DECIMAL else f"{expression}::numeric"
    scaled = want.scale and pa.types.is_decimal(to_arrow(want))
    # not rounded, so that digits beyond the scale, which no reader accepts, change the hash
    return f"trim_scale({number} * {10**want.scale})" if scaled and want.scale else f"trim_scale({number})"


def _contains(have: DataType, want: DataType) -> bool:
    """Return whether every number of type ``have`` is one of type ``want``, except NaN and infinity."""
    if have.kind is not Kind.DECIMAL and have.kind not in _DIGITS:
        return False
    if want.precision is None:
        return True
    scale, wanted = have.scale or 0, want.scale or 0
    precision = _DIGITS.get(have.kind, have.precision)
    if precision is None or min(scale, wanted) < 0 or wanted > want.precision or scale > precision:
        return False
    return scale <= wanted and precision - scale <= want.precision - wanted


def _bits(expression: str, kind: Kind, *, signed_zero: bool) -> str:
    send, name = ("float8send", "double precision") if kind is Kind.DOUBLE else ("float4send", "real")
    # adding zero changes only -0.0
    value = f"{expression}::{name}" if signed_zero else f"({expression}::{name} + 0::{name})"
    return f"CASE WHEN {expression} = 'NaN' THEN '{_NAN[kind]}' ELSE encode({send}({value}), 'hex') END"


def _text(expression: str, info: ColumnInfo, column: Column) -> HashedColumn | None:
    """Return the SQL for the text that the reader would receive; None for bytes."""
    if info.data_type.kind is Kind.BINARY:
        return None
    text = wire_values.value(expression, info.native_type, column)
    if text == expression and is_padded(info.native_type):
        text = padded_text(expression)
    if column.data_type.fixed:
        text = f"rtrim({text}, ' ')"
    return HashedColumn(expression=expression, term=f"octet_length({text})", text=text)
