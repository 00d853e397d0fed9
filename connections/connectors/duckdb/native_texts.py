"""Text for DuckDB's own types: what a cast would round, cut or read otherwise without a word, found before.

Only types whose meaning Arrow does not carry come as text. The nested ones are tried in an empty database of their own.
"""

from __future__ import annotations

import contextlib
import re
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from connections.connectors.duckdb.driver import SAFETY
from connections.sdk.arrow.invalid_values import misfit
from connections.sdk.schema import Column

# digits after a second's point that each type keeps
_DECIMALS = {"interval": 6, "timetz": 6, "time with time zone": 6, "time_ns": 9, "bignum": 0}
_NESTED = re.compile(r".*\]|(struct|map|union)\s*\(.*\)", re.IGNORECASE | re.DOTALL)
_LETTERS_ONLY = re.compile(r"[\s'\"\\]")
_NUMBER = re.compile(r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?")


class NativeTexts:
    """The checks of one table's columns."""

    def __init__(self) -> None:
        self._trial: duckdb.DuckDBPyConnection | None = None

    def check(self, array: pa.Array, column: Column) -> None:
        """Raise ValueMisfit for the first text that the column's type would not keep."""
        name = column.dest_type.strip().lower()
        if name in _DECIMALS:
            pattern = rf"\.\d{{{_DECIMALS[name]}}}\d*[1-9]|\d[eE]-?\d"
            if pc.any(found := pc.match_substring_regex(array, pattern)).as_py():
                raise misfit(column, array.filter(found)[0].as_py())
        elif _NESTED.fullmatch(name):
            self._try(array, column)

    def _try(self, array: pa.Array, column: Column) -> None:
        if self._trial is None:
            self._trial = duckdb.connect(config=SAFETY)
            self._trial.execute("SET threads = 1; SET TimeZone = 'UTC'; SET python_enable_replacements = false")
        self._trial.register("given", pa.table({"x": array}))
        # what does not cast at all is found by the insert, and told there
        with contextlib.suppress(duckdb.Error):
            rows = self._trial.execute(
                f"SELECT x, y FROM (SELECT x, CAST(TRY_CAST(x AS {column.dest_type}) AS VARCHAR) AS y FROM given) "
                "WHERE x <> y"
            ).fetchall()
            for given, made in rows:
                if _letters(given) != _letters(made):
                    raise misfit(column, given, why=f"would become {made}")

    def close(self) -> None:
        if self._trial:
            self._trial.close()


def _letters(text: str) -> str:
    """Return the text without what only spells it: blanks, quotes, zeros at the end of a fraction."""
    bare = _LETTERS_ONLY.sub("", text).casefold()
    return _NUMBER.sub(lambda found: f"{Decimal(found[0]).normalize():f}", bare)
