"""Arrow arrays as parameters of a compiled INSERT, which shows dates and divides decimals itself."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pyarrow as pa

from connections.connectors.sqlite.affinity import number_digits, stored
from connections.sdk.schema import Column

_NAMES = {
    pa.int64(): "INTEGERS",
    pa.float64(): "DOUBLES",
    pa.string(): "TEXTS",
    pa.binary(): "BLOBS",
    pa.date32(): "DATES",
    pa.timestamp("us"): "TIMESTAMPS",
    pa.timestamp("us", tz="UTC"): "ZONED_TIMESTAMPS",
}


def parameter(inserts: ModuleType, array: pa.Array) -> tuple[int, int, int, list[Any]]:
    """Return the type, the scale, the offset and the buffers of an array for `inserts.Insert`."""
    is_decimal = pa.types.is_decimal(array.type)
    kind = getattr(inserts, "DECIMALS" if is_decimal else _NAMES[array.type])
    return kind, array.type.scale if is_decimal else 0, array.offset, array.buffers()


def bindable(inserts: ModuleType, array: pa.Array, column: Column) -> pa.Array:
    """Return the array itself if it can be bound as it is, otherwise what `stored` returns.

    SQLite gets the same values in either way. Raises InvalidValue as `stored` does.
    """
    kind, limit = array.type, 0
    if pa.types.is_decimal(kind):
        limit = 10 ** number_digits(kind, column)
    elif not (pa.types.is_temporal(kind) and kind in _NAMES):
        return stored(array, column)
    number, _, offset, buffers = parameter(inserts, array)
    if limit != 1 and inserts.is_bindable(number, offset, len(array), buffers, limit):
        return array
    return stored(array, column)
