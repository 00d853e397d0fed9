"""Corrections for values that ADBC does not read exactly from PostgreSQL: casts in the query, repairs of infinity."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from connections.sdk.arrow import compute as pc
from connections.sdk.arrow.calendar import timestamp_text
from connections.sdk.arrow.invalid_values import invalid_value
from connections.sdk.arrow.times import INFINITE_DATE, INFINITE_TIMESTAMP
from connections.sdk.errors import InvalidValue
from connections.sdk.schema import Column
from connections.sdk.types import to_arrow

_EXACT_TEXT = frozenset({"text", "character varying", "character", "bpchar", "bytea"})
_EXACT_NUMBERS = frozenset({"smallint", "integer", "bigint", "real", "double precision", "boolean"})
_ZONES = ("timestamp without time zone", "timestamp with time zone", "time without time zone")
_EXACT = _EXACT_TEXT | _EXACT_NUMBERS | {"date", *_ZONES}
# the driver adds the days or microseconds from 1970 to 2000 without an overflow check, which turns infinity into these
_DATE_INFINITY, _DATE_MINUS_INFINITY, _FIRST_DATE = -2_147_472_692, -2_147_472_691, -2_440_588
_INFINITY, _MINUS_INFINITY = -9_222_425_352_054_775_809, -9_222_425_352_054_775_808
_FIRST_TIMESTAMP = -211_000_000_000_000_000
_DAY = 86_400_000_000
# the types of columns for which only `binary_decoder` decodes these types
_BINARY = {"numeric": pa.types.is_decimal, "oid": pa.types.is_integer, "uuid": pa.types.is_string}
_TOO_LATE = "is later than the last timestamp that Arrow represents in microseconds"


def sent_types(natives: Sequence[str], columns: Sequence[Column], *, binary: bool = False) -> list[str]:
    """Return the type in which the values of each column are sent: its own, without length, or text.

    With ``binary`` they are those that `binary_values` has, otherwise those of ADBC, which reads numerics as text.
    """
    return [_sent(native, column, binary=binary) for native, column in zip(natives, columns, strict=True)]


def wrapped(query: str, natives: Sequence[str], sent: Sequence[str]) -> str:
    """Return the query with a cast for each column that is sent as another type; columns are c0, c1, ..."""
    names = [f"c{position}" for position in range(len(sent))]
    values = [f"q.{name}{_cast(native, to)}" for name, native, to in zip(names, natives, sent, strict=True)]
    # on separate lines, so that a comment at the end of the query does not comment out the bracket
    return f"SELECT {', '.join(values)} FROM (\n{query}\n) AS q({', '.join(names)})\n"


def value(expression: str, native: str, column: Column) -> str:
    """Return the expression to select for a column of type ``native`` that ADBC reads as ``column``."""
    return f"{expression}{_cast(native, _sent(native, column, binary=False))}"


def _sent(native: str, column: Column, *, binary: bool) -> str:
    name, target = _without_length(native), to_arrow(column.data_type)
    if binary and name in _BINARY:
        return name if _BINARY[name](target) else "text"
    # ADBC has its own text for NaN and Infinity
    if name == "numeric" and not pa.types.is_string(target):
        return name
    return name if name in (_EXACT_TEXT if pa.types.is_string(target) else _EXACT) else "text"


def _cast(native: str, sent: str) -> str:
    if _without_length(native) == sent:
        return ""
    return "::numeric::text" if native == "money" else "::text"


def _without_length(native: str) -> str:
    return native.partition("(")[0].strip() + (native.rpartition(")")[2] if "(" in native else "")


def repaired(array: pa.Array, column: Column) -> pa.Array:
    """Return dates and timestamps with infinity restored. Raises InvalidValue for other values that overflowed."""
    if pa.types.is_date32(array.type):
        days = array.cast(pa.int32())
        if _minimum(days) < _FIRST_DATE:
            return _restore_infinity(days, (_DATE_INFINITY, _DATE_MINUS_INFINITY), INFINITE_DATE).cast(array.type)
    if pa.types.is_timestamp(array.type):
        micros = array.cast(pa.int64())
        _check_maximum(micros, column)
        if _minimum(micros) < _FIRST_TIMESTAMP:
            fixed = _restore_infinity(micros, (_INFINITY, _MINUS_INFINITY), INFINITE_TIMESTAMP)
            _check_years(fixed, column)
            return fixed.cast(array.type)
    return array


def _minimum(count: pa.Array) -> int:
    minimum = pc.min(count).as_py()
    return 0 if minimum is None else int(minimum)


def _restore_infinity(count: pa.Array, ends: tuple[int, int], infinite: int) -> pa.Array:
    kind = count.type
    plus, minus = (pc.equal(count, pa.scalar(end, kind)) for end in ends)
    return pc.if_else(plus, pa.scalar(infinite, kind), pc.if_else(minus, pa.scalar(-infinite, kind), count))


def _check_maximum(micros: pa.Array, column: Column) -> None:
    """Raise InvalidValue for Arrow's largest timestamp, which represents infinity."""
    if pc.max(micros).as_py() == INFINITE_TIMESTAMP:
        raise invalid_value(column, timestamp_text(*divmod(INFINITE_TIMESTAMP, _DAY)), why=_TOO_LATE)


def _check_years(fixed: pa.Array, column: Column) -> None:
    overflowed = pc.and_(pc.less(fixed, _FIRST_TIMESTAMP), pc.not_equal(fixed, -INFINITE_TIMESTAMP))
    if pc.any(overflowed).as_py():
        raise too_late(column, fixed.filter(overflowed)[0].as_py() + 2**64)


def too_late(column: Column, micros: int) -> InvalidValue:
    """Return the error for a timestamp in microseconds since 1970 that Arrow cannot represent."""
    return invalid_value(column, timestamp_text(*divmod(micros, _DAY)), why=_TOO_LATE)
