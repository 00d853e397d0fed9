"""Decimals are bound to SQLite as numbers, and stored as SQLite stores the numbers that it parses from their text."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import adbc_driver_sqlite
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connections.connectors.sqlite.affinity import stored
from connections.sdk.arrow import adbc
from connections.sdk.arrow.texts import as_text
from connections.sdk.errors import InvalidValue
from connections.sdk.schema import Column
from connections.sdk.types import DataType, Kind, to_arrow

# SQLite converts doubles below 2**51 without a fraction to integers
_WHOLE = [0, 2**51 - 1, 2**51, 2**53 + 1, 10**15, 10**18 - 1]


@pytest.fixture(scope="module")
def cursor() -> Iterator[adbc.Cursor]:
    with adbc.Cursor(adbc_driver_sqlite.connect(":memory:")) as opened:
        yield opened


def _column(declared: str, precision: int, scale: int) -> Column:
    data_type = DataType(kind=Kind.DECIMAL, precision=precision, scale=scale)
    return Column(dest_name="v", dest_type=declared, data_type=data_type)


def _decimals(unscaled: list[int | None], column: Column) -> pa.Array:
    scale = column.data_type.scale or 0
    return pa.array(
        [None if n is None else Decimal((int(n < 0), tuple(map(int, str(abs(n)))), -scale)) for n in unscaled],
        to_arrow(column.data_type),
    )


def _check_stored(cursor: adbc.Cursor, unscaled: list[int | None], column: Column, *, table_options: str = "") -> None:
    """Insert the decimals as text and as they are bound, and compare the storage classes and values."""
    array = _decimals(unscaled, column)
    cursor.execute("DROP TABLE IF EXISTS t")
    cursor.execute(f"CREATE TABLE t (parsed {column.dest_type}, bound {column.dest_type}) {table_options}")
    bound = pa.record_batch([as_text(array, column), stored(array, column)], names=["parsed", "bound"])
    cursor.execute_batch("INSERT INTO t VALUES (?, ?)", bound)
    cursor.execute("SELECT count(*) FROM t WHERE bound IS parsed AND typeof(bound) = typeof(parsed)")
    assert cursor.fetchone() == (len(unscaled),)


@given(
    st.lists(
        st.none() | st.integers(1 - 10**15, 10**15 - 1) | st.sampled_from([0, 1700, 10**14, 10**15 - 1]), max_size=50
    ),
    st.integers(1, 22),
    st.sampled_from(["DECIMAL(15,2)", "NUMERIC", "INTEGER", "REAL", "TEXT", ""]),
)
def test_a_decimal_is_stored_as_its_text_would_be(
    cursor: adbc.Cursor, unscaled: list[int | None], scale: int, declared: str
) -> None:
    _check_stored(cursor, unscaled, _column(declared, 38, scale))


@given(
    st.lists(st.none() | st.integers(1 - 10**18, 10**18 - 1) | st.sampled_from(_WHOLE), max_size=50),
    st.sampled_from(["DECIMAL(18,0)", "NUMERIC", "INTEGER", "REAL", "TEXT"]),
)
def test_a_decimal_without_a_fraction_is_stored_as_its_text_would_be(
    cursor: adbc.Cursor, unscaled: list[int | None], declared: str
) -> None:
    _check_stored(cursor, unscaled, _column(declared, 18, 0))


def test_a_decimal_stays_text_in_a_column_that_keeps_it(cursor: adbc.Cursor) -> None:
    column = _column("ANY", 15, 2)
    _check_stored(cursor, [1700, -5], column, table_options="STRICT")
    assert stored(_decimals([1700], column), column).to_pylist() == ["17.00"]


@pytest.mark.parametrize(("unscaled", "scale"), [(10**15, 2), (-(10**15), 1), (10**18, 0), (2**64, 0)])
def test_a_decimal_with_more_digits_than_sqlite_keeps_is_refused(unscaled: int, scale: int) -> None:
    column = _column("NUMERIC", 38, scale)
    shown = str(_decimals([unscaled], column)[0].as_py())
    with pytest.raises(InvalidValue, match=f"“{shown}” has more digits than SQLite keeps"):
        stored(_decimals([1, unscaled], column), column)
