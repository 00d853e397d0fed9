"""What ADBC makes of PostgreSQL's binary values, and what is asked of the server instead where that is not exact."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from connections.sdk.arrow.calendar import timestamp_text
from connections.sdk.arrow.invalid_values import misfit
from connections.sdk.arrow.times import INFINITE_DATE, INFINITE_TIMESTAMP
from connections.sdk.errors import ValueMisfit
from connections.sdk.schema import Column
from connections.sdk.sql.types import to_arrow

_EXACT_TEXT = frozenset({"text", "character varying", "character", "bpchar", "bytea"})
_EXACT_NUMBERS = frozenset({"smallint", "integer", "bigint", "real", "double precision", "boolean"})
_ZONES = ("timestamp without time zone", "timestamp with time zone", "time without time zone")
_EXACT = _EXACT_TEXT | _EXACT_NUMBERS | {"date", *_ZONES}
# the driver adds the days or microseconds between 1970 and 2000 without looking: what overflows lands here
_DATE_INFINITY, _DATE_MINUS_INFINITY, _FIRST_DATE = -2_147_472_692, -2_147_472_691, -2_440_588
_INFINITY, _MINUS_INFINITY = -9_222_425_352_054_775_809, -9_222_425_352_054_775_808
_FIRST_TIMESTAMP = -211_000_000_000_000_000
_DAY = 86_400_000_000


def wrapped(query: str, natives: Sequence[str], columns: Sequence[Column]) -> str:
    """Return the query with a cast around each column that the driver would not deliver exactly, positions as names."""
    names = [f"c{position}" for position in range(len(columns))]
    values = [value(f"q.{name}", native, column) for name, native, column in zip(names, natives, columns, strict=True)]
    # the driver puts it into COPY (...): the newline keeps a trailing comment from eating the bracket
    return f"SELECT {', '.join(values)} FROM (\n{query}\n) AS q({', '.join(names)})\n"


def value(expression: str, native: str, column: Column) -> str:
    """Return what is selected of a column of this native type, to be read as ``column``."""
    name = native.partition("(")[0].strip() + (native.rpartition(")")[2] if "(" in native else "")
    is_text = pa.types.is_string(to_arrow(column.data_type))
    if name == "money":
        return f"{expression}::numeric::text"
    # the driver delivers numeric as its digits, but spells NaN and Infinity its own way
    if name == "numeric" and not is_text:
        return expression
    return expression if name in (_EXACT_TEXT if is_text else _EXACT) else f"{expression}::text"


def repaired(array: pa.Array, column: Column) -> pa.Array:
    """Return dates and timestamps with infinity where PostgreSQL had it; ValueMisfit for years that overflowed."""
    if pa.types.is_date32(array.type):
        days = array.cast(pa.int32())
        if _least(days) < _FIRST_DATE:
            return _ending(days, (_DATE_INFINITY, _DATE_MINUS_INFINITY), INFINITE_DATE).cast(array.type)
    if pa.types.is_timestamp(array.type):
        micros = array.cast(pa.int64())
        _check_last(micros, column)
        if _least(micros) < _FIRST_TIMESTAMP:
            fixed = _ending(micros, (_INFINITY, _MINUS_INFINITY), INFINITE_TIMESTAMP)
            _check_years(fixed, column)
            return fixed.cast(array.type)
    return array


def _least(count: pa.Array) -> int:
    least = pc.min(count).as_py()
    return 0 if least is None else int(least)


def _ending(count: pa.Array, ends: tuple[int, int], infinite: int) -> pa.Array:
    kind = count.type
    plus, minus = (pc.equal(count, pa.scalar(end, kind)) for end in ends)
    return pc.if_else(plus, pa.scalar(infinite, kind), pc.if_else(minus, pa.scalar(-infinite, kind), count))


def _check_last(micros: pa.Array, column: Column) -> None:
    """The last microsecond that Arrow counts is our infinity."""
    if pc.max(micros).as_py() == INFINITE_TIMESTAMP:
        raise misfit(
            column, timestamp_text(*divmod(INFINITE_TIMESTAMP, _DAY)), why="is after what Arrow counts in microseconds"
        )


def _check_years(fixed: pa.Array, column: Column) -> None:
    beyond = pc.and_(pc.less(fixed, _FIRST_TIMESTAMP), pc.not_equal(fixed, -INFINITE_TIMESTAMP))
    if pc.any(beyond).as_py():
        raise _too_late(column, fixed.filter(beyond)[0].as_py() + 2**64)


def _too_late(column: Column, micros: int) -> ValueMisfit:
    return misfit(column, timestamp_text(*divmod(micros, _DAY)), why="is after what Arrow counts in microseconds")
