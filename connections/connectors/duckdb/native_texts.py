"""Checks text values of types specific to DuckDB that a cast would silently change.

Types without an Arrow counterpart are transferred as text. Nested types are checked by a cast in an empty in-memory
database.
"""

from __future__ import annotations

import contextlib
import re
from decimal import Decimal

import duckdb
import pyarrow as pa

from connections.connectors.duckdb.driver import SAFETY
from connections.sdk.arrow import compute as pc
from connections.sdk.arrow.invalid_values import invalid_value
from connections.sdk.schema import Column

# number of fractional digits that each type keeps
_DECIMALS = {"interval": 6, "timetz": 6, "time with time zone": 6, "time_ns": 9, "bignum": 0}
_NESTED = re.compile(r".*\]|(struct|map|union)\s*\(.*\)", re.IGNORECASE | re.DOTALL)
_QUOTES_AND_BLANKS = re.compile(r"[\s'\"\\]")
_NUMBER = re.compile(r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?")


class NativeTexts:
    """The checks of one table's columns."""

    def __init__(self) -> None:
        self._trial: duckdb.DuckDBPyConnection | None = None

    def check(self, array: pa.Array, column: Column) -> None:
        """Raise InvalidValue for the first text that the column would not store exactly."""
        name = column.dest_type.strip().lower()
        if name in _DECIMALS:
            pattern = rf"\.\d{{{_DECIMALS[name]}}}\d*[1-9]|\d[eE]-?\d"
            if pc.any(too_long := pc.match_substring_regex(array, pattern)).as_py():
                raise invalid_value(column, array.filter(too_long)[0].as_py())
        elif _NESTED.fullmatch(name):
            self._check_cast(array, column)

    def _check_cast(self, array: pa.Array, column: Column) -> None:
        if self._trial is None:
            self._trial = duckdb.connect(config=SAFETY)
            self._trial.execute("SET threads = 1; SET TimeZone = 'UTC'; SET python_enable_replacements = false")
        self._trial.register("given", pa.table({"x": array}))
        # for text that cannot be cast the INSERT raises an error
        with contextlib.suppress(duckdb.Error):
            rows = self._trial.execute(
                f"SELECT x, y FROM (SELECT x, CAST(TRY_CAST(x AS {column.dest_type}) AS VARCHAR) AS y FROM given) "
                "WHERE x <> y"
            ).fetchall()
            for text, cast in rows:
                if _normalized(text) != _normalized(cast):
                    raise invalid_value(column, text, why=f"would be stored as {cast}")

    def close(self) -> None:
        if self._trial:
            self._trial.close()


def _normalized(text: str) -> str:
    """Return the text without blanks, quotes and trailing zeros of fractions, in which equal values may differ."""
    bare = _QUOTES_AND_BLANKS.sub("", text).casefold()
    return _NUMBER.sub(lambda match: f"{Decimal(match[0]).normalize():f}", bare)
