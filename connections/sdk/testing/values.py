"""Values that every system must keep: limits of each type, and texts and names that are often altered by mistake."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from connections.sdk.types import DataType, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Values of one type, each with the name of the feature that it needs, if not every system has it."""

    data_type: DataType
    values: tuple[Any, ...]
    needs: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        scale = f"({self.data_type.precision},{self.data_type.scale})" if self.data_type.precision else ""
        return f"{self.data_type.kind.value}{scale}"

    def stored_by(self, lacks: frozenset[str]) -> list[Any]:
        """Return the values that a system can store that lacks these features, and NULL."""
        return [*self.values, *(value for feature, value in self.needs if feature not in lacks), None]


# texts that write to the table {t}, which a query of a user must not
WRITING = (
    "DELETE FROM {t}",
    "DELETE FROM {t} RETURNING n",
    "UPDATE {t} SET n = 0",
    "UPDATE {t} SET n = 0 RETURNING n",
    "INSERT INTO {t} VALUES (7, 'x')",
    "INSERT INTO {t} VALUES (7, 'x') RETURNING n",
    "DROP TABLE {t}",
    "SELECT n FROM {t}; DELETE FROM {t}",
    "COMMIT; DELETE FROM {t}",
    "ROLLBACK; DELETE FROM {t}",
    "CREATE TABLE {t}x AS SELECT 1 AS n",
    "WITH x AS (DELETE FROM {t} RETURNING n) SELECT n FROM x",
)
_FLOATS = (("nan", math.nan), ("infinity", math.inf), ("infinity", -math.inf), ("signed_zero", -0.0))
_DAYS = (dt.date.min, dt.date(1582, 10, 10), dt.date(1969, 12, 31), dt.date(1970, 1, 1), dt.date(2024, 2, 29))

TEXTS = (
    "",
    " ",
    "  leading and trailing  ",
    "tab\t, line\nbreak, return\r, both\r\n",
    "it's",
    "''",
    '"double" `back` [bracket]',
    "back\\slash \\' \\n \\",
    "NULL",
    "null",
    "\\N",
    "\\.",
    "0",
    "007",
    "1e5",
    "%s %d %% ? :name {x} $1 ${x}",
    "'; DROP TABLE x; --",
    "naïve Zoë 学 ∅",
    "e\u0301",
    "😀😁 astral",
    "\u202eabc",
    "\ufeffBOM",
    "\u00a0no-break\u2028",
    "\x01\x1f\x7f",
    "x" * 100_000,
    "é" * 70_000,
)
NAMES = (
    "n n",
    "Mixed Case",
    "UPPER",
    "select",
    "order",
    "user",
    "a'b",
    'a"b',
    "a`b",
    "a]b[",
    "a.b",
    "a;b--c",
    "/* x */",
    "%s ? {x} :y $1",
    "back\\slash",
    "DCORD#",
    "1st",
    "naïve Zoë 学",
    "😀",
    "line\nbreak",
)

SAMPLES = (
    Sample(data_type=DataType(kind=Kind.BOOLEAN), values=(True, False)),
    Sample(data_type=DataType(kind=Kind.SMALLINT), values=(-(2**15), -1, 0, 2**15 - 1)),
    Sample(data_type=DataType(kind=Kind.INTEGER), values=(-(2**31), -1, 0, 2**31 - 1)),
    Sample(data_type=DataType(kind=Kind.BIGINT), values=(-(2**63), -1, 0, 2**53 + 1, 2**63 - 1)),
    Sample(
        data_type=DataType(kind=Kind.DECIMAL, precision=9, scale=2),
        values=tuple(map(Decimal, ("0.00", "0.01", "-0.01", "0.10", "1234567.89", "-9999999.99"))),
    ),
    Sample(
        data_type=DataType(kind=Kind.DECIMAL, precision=18, scale=0),
        values=tuple(map(Decimal, ("0", "1", "999999999999999999", "-999999999999999999"))),
    ),
    Sample(
        data_type=DataType(kind=Kind.DECIMAL, precision=38, scale=10),
        values=tuple(
            map(
                Decimal,
                (
                    "0.0000000000",
                    "0.0000000001",
                    "-0.0000000001",
                    "9999999999999999999999999999.9999999999",
                    "-9999999999999999999999999999.9999999999",
                    "1234567890123456789012345678.1234567891",
                ),
            )
        ),
    ),
    Sample(
        data_type=DataType(kind=Kind.REAL),
        values=(0.0, 0.5, -1.0, 3.4028234663852886e38, 1.401298464324817e-45),
        needs=_FLOATS,
    ),
    Sample(
        data_type=DataType(kind=Kind.DOUBLE),
        values=(0.0, 0.1, -1.5, 0.1 + 0.2, 1.7976931348623157e308, 5e-324, 2.2250738585072014e-308),
        needs=_FLOATS,
    ),
    Sample(data_type=DataType(kind=Kind.TEXT), values=TEXTS, needs=(("nul", "a\0b"),)),
    Sample(
        data_type=DataType(kind=Kind.BINARY),
        values=(b"", b"\0", b"a\0b", b"\\x00", bytes(range(256)), b"\xff" * 99_999),
    ),
    Sample(data_type=DataType(kind=Kind.DATE), values=(*_DAYS, dt.date.max)),
    Sample(
        data_type=DataType(kind=Kind.TIME),
        values=(dt.time.min, dt.time(0, 0, 0, 1), dt.time(12, 30), dt.time(23, 59, 59, 999_999)),
    ),
    Sample(
        data_type=DataType(kind=Kind.TIMESTAMP),
        values=(
            *(dt.datetime.combine(day, dt.time.min) for day in _DAYS),
            dt.datetime(1969, 12, 31, 23, 59, 59, 999_999),
            dt.datetime(1970, 1, 1, 0, 0, 0, 1),
            dt.datetime(2026, 3, 29, 2, 30),
            dt.datetime.max,
        ),
    ),
    Sample(
        data_type=DataType(kind=Kind.TIMESTAMPTZ),
        values=(
            dt.datetime(1, 1, 2, tzinfo=dt.UTC),
            dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC),
            dt.datetime(2020, 6, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30))),
            dt.datetime(2020, 6, 1, 0, 0, 0, 1, tzinfo=dt.timezone(dt.timedelta(hours=-8))),
            dt.datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=dt.UTC),
        ),
    ),
    Sample(
        data_type=DataType(kind=Kind.UUID),
        values=tuple(
            map(str, (UUID(int=0), UUID(int=1), UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), UUID(int=2**128 - 1)))
        ),
    ),
    Sample(
        data_type=DataType(kind=Kind.JSON),
        values=('{"a": 1}', "[]", "null", '""', '{"a": [1, null, {"b": "é 学"}]}', "123456789012345678901234567890"),
    ),
)

# what a system may lack
FEATURES = frozenset(feature for sample in SAMPLES for feature, _ in sample.needs)


def is_same(found: Any, value: Any) -> bool:
    """Return whether a system has returned the value, also with its sign, or NaN for NaN."""
    if not isinstance(value, float):
        return bool(found == value)
    return isinstance(found, float) and (
        math.isnan(found) if math.isnan(value) else (found, math.copysign(1, found)) == (value, math.copysign(1, value))
    )
