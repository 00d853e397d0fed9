"""Lossless conversion of Arrow arrays to dates, times and timestamps, and of these to ISO text.

The functions raise ArrowInvalid for a value that cannot be converted exactly.
"""

from __future__ import annotations

import pyarrow as pa

from connections.sdk.arrow import compute as pc
from connections.sdk.arrow.numbers import check

INFINITE_DATE = 2**31 - 1
INFINITE_TIMESTAMP = 2**63 - 1
_DAY = 86_400_000_000
# days since 1970 of 0001-01-01 and 9999-12-31: within them every system reads the ISO text alike
_FIRST_DATE, _LAST_DATE = -719_162, 2_932_896
_ZERO_DIGITS = r"(\.\d{6})0+(Z|[+-]\d\d(?::?\d\d)?)?$"
_WITHOUT_ZONE = r"^\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)?$"


def to_date(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Convert dates, timestamps at midnight, and their ISO text."""
    kind = array.type
    if pa.types.is_date32(kind):
        return array
    if pa.types.is_string(kind):
        return _date_from_text(array)
    if pa.types.is_date64(kind) or (pa.types.is_timestamp(kind) and kind.tz is None):
        return _date_from_timestamp(array)
    raise pa.ArrowInvalid(f"{kind} is not a date")


def _date_from_text(array: pa.Array) -> pa.Array:
    try:
        dates = array.cast(pa.date32())
    except pa.ArrowInvalid:
        # the text may be a timestamp at midnight
        return _date_from_timestamp(_timestamp_from_text(array))
    check(pc.greater_equal(dates.cast(pa.int32()), _FIRST_DATE), "there is no year 0")
    return dates


def _date_from_timestamp(array: pa.Array) -> pa.Array:
    count = array.cast(pa.timestamp("us")).cast(pa.int64())
    days = pc.floor(pc.divide(count.cast(pa.float64(), safe=False), float(_DAY))).cast(pa.int64())
    check(pc.equal(pc.multiply(days, _DAY), count), "it has a time of day")
    return days.cast(pa.int32()).cast(pa.date32())


def to_time(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Convert times of day and their ISO text."""
    kind = array.type
    if pa.types.is_time(kind):
        return array.cast(target)
    if pa.types.is_string(kind):
        check(pc.match_substring_regex(array, r"^\d\d:\d\d(:\d\d(\.\d+)?)?$"), "not a time of day")
        dated = pc.binary_join_element_wise(pa.scalar("1970-01-01"), array, pa.scalar(" "))
        return _timestamp_from_text(dated).cast(pa.int64()).cast(target)
    raise pa.ArrowInvalid(f"{kind} is not a time of day")


def to_timestamp(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Convert timestamps without time zone, dates, and their ISO text."""
    kind = array.type
    if pa.types.is_timestamp(kind) and kind.tz is None:
        return array.cast(target)
    if pa.types.is_date(kind):
        return array.cast(pa.date32()).cast(target)
    if pa.types.is_string(kind):
        return _timestamp_from_text(array)
    raise pa.ArrowInvalid(f"{kind} is not a timestamp without time zone")


def _timestamp_from_text(array: pa.Array) -> pa.Array:
    try:
        timestamps = array.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        # digits beyond microseconds are accepted only if they are zeros
        timestamps = pc.replace_substring_regex(array, _ZERO_DIGITS, r"\1\2").cast(pa.timestamp("us"))
    check(pc.greater_equal(timestamps.cast(pa.int64()), _FIRST_DATE * _DAY), "there is no year 0")
    return timestamps


def to_timestamptz(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Return timestamps in UTC. Text without an offset is taken to be UTC, as by SQLite's date functions."""
    kind = array.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return array.cast(target)
    if not pa.types.is_string(kind):
        raise pa.ArrowInvalid(f"{kind} has no time zone")
    text = pc.replace_substring_regex(array, _ZERO_DIGITS, r"\1\2")
    bare = pc.match_substring_regex(text, _WITHOUT_ZONE)
    if pc.any(bare).as_py():
        dated = pc.replace_substring_regex(text, r"^(\d{4}-\d\d-\d\d)$", r"\1 00:00")
        text = pc.if_else(bare, pc.binary_join_element_wise(dated, pa.scalar("Z"), pa.scalar("")), text)
    # Arrow does not parse a blank before the offset
    timestamps = pc.replace_substring_regex(text, r" ([+-]\d\d(:?\d\d)?|Z)$", r"\1").cast(target)
    check(pc.greater_equal(timestamps.cast(pa.int64()), _FIRST_DATE * _DAY), "there is no year 0")
    return timestamps


def iso_text(array: pa.Array) -> pa.Array:
    """Return dates, times and timestamps as ISO text (``2026-01-31 23:59:59.5``, zoned ones with ``+00:00``).

    Raises ArrowInvalid for infinity and for years outside 1 to 9999, which systems write differently.
    """
    kind = array.type
    if pa.types.is_time(kind):
        count = array.cast(pa.time64("us")).cast(pa.int64())
        check(pc.less(count, _DAY), "not every system has the time 24:00:00")
        return _without_zeros(
            pc.replace_substring_regex(count.cast(pa.timestamp("us")).cast(pa.string()), r"^\S+ ", "")
        )
    if pa.types.is_date(kind):
        days = array.cast(pa.date32()).cast(pa.int32())
        _check_years(days, 1)
        return array.cast(pa.string())
    micros = array.cast(pa.timestamp("us", tz=kind.tz))
    _check_years(micros.cast(pa.int64()), _DAY)
    text = _timestamp_text(micros.cast(pa.timestamp("us")))
    return text if kind.tz is None else pc.binary_join_element_wise(text, pa.scalar("+00:00"), pa.scalar(""))


def _timestamp_text(micros: pa.Array) -> pa.Array:
    try:
        # without fractions the text needs no change
        return micros.cast(pa.timestamp("s")).cast(pa.string())
    except pa.ArrowInvalid:
        return _without_zeros(micros.cast(pa.string()))


def _check_years(count: pa.Array, day: int) -> None:
    within = pc.and_(pc.greater_equal(count, _FIRST_DATE * day), pc.less(count, (_LAST_DATE + 1) * day))
    check(within, "its year is not between 1 and 9999")


def _without_zeros(text: pa.Array) -> pa.Array:
    # Arrow always writes six digits of a second
    return pc.replace_substring_regex(text, r"\.?0*$", "")
