"""The compiled loops read and write SQLite as ADBC does: the same values, the same errors."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connections.connectors.sqlite.compiled.cursor import load_modules
from connections.connectors.sqlite.compiled_batches import CompiledBatches
from connections.connectors.sqlite.reader import SqliteReader
from connections.connectors.sqlite.writer import SqliteWriter
from connections.sdk.errors import Cancelled, ColumnMissing, InvalidValue, PipekitError, QueryInvalid, TableMissing
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import ReadAgain, Reader, WriteTarget
from connections.sdk.schema import Column, TableName
from connections.sdk.testing.workbench import MemoryBatches
from connections.sdk.types import DataType, Kind, to_arrow

# without a compiler nothing here can run
if load_modules() is None:
    pytest.skip("the modules are not compiled", allow_module_level=True)

TYPES = [
    *(DataType(kind=kind) for kind in Kind),
    *(
        DataType(kind=Kind.DECIMAL, precision=precision, scale=scale)
        for precision, scale in ((10, 2), (5, 5), (15, 2), (18, 0), (38, 0), (38, 10), (38, 25))
    ),
]
INTEGERS = [0, 1, -1, 12, 32767, 32768, 2**31, 99_999_999, 10**15 - 1, 10**15, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]
REALS = [0.1, -0.0, 3.0, 3.75, 0.1 + 0.2, 12.299999999999999, 12.34000000000001, 99999999.995, 1e15, 1e20, 5e-324]
REALS += [1e308, float("inf"), float("-inf"), 123456789012345.67, 1 / 3]
TEXTS = [
    "12",
    "-0.50",
    "+7",
    " 12",
    "1e3",
    "0x10",
    "abc",
    "",
    "nan",
    "12345678901234567890.5",
    "true",
    "F",
    "é😀",
    "a\0b",
]
TEXTS += ["2020-02-29", "2021-02-29", "0000-01-01", "10000-01-01", "2020-01-01 00:00:00", "2020-01-01T10:00:00.5"]
TEXTS += ["2020-01-01 10:30", "2020-01-01 00:00:00+02", "9999-12-31 23:59:59.999999", "24:00:00", "10:30"]
TEXTS += ["00112233-4455-6677-8899-aabbccddeeff"]
BLOBS = [b"", b"\0\xff"]
EVERY_CASE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def _column(data_type: DataType, name: str = "v", declared: str = "x") -> Column:
    return Column(dest_name=name, dest_type=declared, data_type=data_type)


def _parameters(path: Path) -> ConnectionParameters:
    return ConnectionParameters(kind="sqlite", url=str(path), name="erp")


def _created(path: Path, *statements: str, rows: Sequence[Sequence[Any]] = ()) -> ConnectionParameters:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
        if rows:
            connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(rows[0]))})", rows)
    return _parameters(path)


def _read(
    reader: Reader, source: ConnectionParameters, columns: Sequence[Column], query: str = "SELECT * FROM t"
) -> pa.Table:
    while True:
        try:
            batches = list(reader.read(source, query, columns, batch_bytes=1_000_000))
        except ReadAgain as again:
            reader = again.reader
            continue
        for batch in batches:
            batch.validate(full=True)
        schema = pa.schema([(column.dest_name, to_arrow(column.data_type)) for column in columns])
        return pa.Table.from_batches(batches, schema)


def _outcome(reader: Reader, source: ConnectionParameters, columns: Sequence[Column]) -> Any:
    try:
        # compared as text, because 0.0 equals -0.0
        return [
            repr(column.cast(pa.int32() if pa.types.is_date(column.type) else pa.int64()).to_pylist())
            if pa.types.is_temporal(column.type)
            else repr(column.to_pylist())
            for column in _read(reader, source, columns)
        ]
    except PipekitError as error:
        return type(error), error.message, error.hint, error.detail


def _values() -> st.SearchStrategy[list[Any]]:
    """Return columns of values that mostly fit one another, so that not every column has an error."""
    lists: list[list[list[Any]]] = [[INTEGERS], [REALS], [TEXTS]]
    lists += [[INTEGERS, REALS], [INTEGERS, TEXTS], [REALS, TEXTS]]
    few = st.tuples(st.sampled_from(lists), st.randoms(use_true_random=False)).map(
        lambda drawn: [value for pool in drawn[0] for value in drawn[1].sample(pool, 2)]
    )
    return few.flatmap(lambda values: st.lists(st.none() | st.sampled_from(values), max_size=20))


@EVERY_CASE
@given(st.sampled_from(TYPES), _values())
def test_a_column_is_read_as_by_adbc(tmp_path: Path, data_type: DataType, values: list[Any]) -> None:
    source = _created(tmp_path / "x.db", "CREATE TABLE t (v)", rows=[(value,) for value in values])
    columns = [_column(data_type)]
    assert isinstance(SqliteReader().read(source, "SELECT 1", columns, batch_bytes=1), CompiledBatches)
    assert _outcome(SqliteReader(), source, columns) == _outcome(SqliteReader(compiled=False), source, columns)


@pytest.mark.parametrize(
    ("data_type", "values", "expected"),
    [
        (DataType(kind=Kind.BIGINT), [2**63 - 1, None, "17", 3.0], [2**63 - 1, None, 17, 3]),
        (DataType(kind=Kind.DOUBLE), [1, 0.1, "2.5", float("inf")], [1.0, 0.1, 2.5, float("inf")]),
        (
            DataType(kind=Kind.DECIMAL, precision=15, scale=2),
            [5, 12.3, "0.1", 0.1 + 0.2, None, -9999999999999.99],
            [Decimal(text) if text else None for text in ("5.00", "12.30", "0.10", "0.30", "", "-9999999999999.99")],
        ),
        # SQLite shows a real with seventeen digits
        (
            DataType(kind=Kind.TEXT),
            ["é\0", "", None, 12, 1 / 3],
            ["é\0", "", None, "12", "0.33333333333333332"],
        ),
        (DataType(kind=Kind.BINARY), [b"", None, b"\0\xff"], [b"", None, b"\0\xff"]),
    ],
)
def test_values_of_each_class_are_read_exactly(
    tmp_path: Path, data_type: DataType, values: list[Any], expected: list[Any]
) -> None:
    source = _created(tmp_path / "x.db", "CREATE TABLE t (v)", rows=[(value,) for value in values])
    assert _read(SqliteReader(), source, [_column(data_type)]).column(0).to_pylist() == expected


def test_many_and_wide_rows_are_read_in_batches(tmp_path: Path) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT {} FROM n"
    source = _created(tmp_path / "x.db", "CREATE TABLE t (v)")
    columns = [_column(DataType(kind=Kind.BIGINT)), _column(DataType(kind=Kind.TEXT), "w")]
    read = _read(SqliteReader(), source, columns, numbers.format(200_000, "i, nullif(i % 3, 0) || 'é'"))
    assert read.column("v").to_pylist() == list(range(1, 200_001))
    assert read.column("w").to_pylist() == [f"{i % 3}é" if i % 3 else None for i in range(1, 200_001)]
    wide = _read(SqliteReader(), source, columns, numbers.format(20, "i, printf('%.300000c', 'x')"))
    assert wide.column("w").num_chunks == 20
    assert set(wide.column("w").to_pylist()) == {"x" * 300_000}


@pytest.mark.parametrize("value", [b"a", "a", 1, 0.5])
def test_a_value_of_the_wrong_class_is_named(tmp_path: Path, value: Any) -> None:
    source = _created(tmp_path / "x.db", "CREATE TABLE t (n, v)", rows=[(1, None), (2, value)])
    kind = Kind.TEXT if isinstance(value, bytes) else Kind.BINARY
    columns = [_column(DataType(kind=Kind.BIGINT), "n"), _column(DataType(kind=kind))]
    found = _outcome(SqliteReader(), source, columns)
    assert found[0] is InvalidValue and "“v”" in found[1] and "wrong storage class" in found[1]
    assert found == _outcome(SqliteReader(compiled=False), source, columns)


def test_text_that_is_not_valid_utf8_is_named_in_a_column_of_bytes(tmp_path: Path) -> None:
    source = _created(tmp_path / "x.db", "CREATE TABLE t (v)", "INSERT INTO t VALUES (CAST(x'ff61' AS text))")
    with pytest.raises(InvalidValue, match="“v”: the bytes 0xff61 has the wrong storage class"):
        _read(SqliteReader(), source, [_column(DataType(kind=Kind.BINARY))])


@pytest.mark.parametrize(
    ("query", "error_class", "message"),
    [
        ("SELECT * FROM missing", TableMissing, "erp: no such table: missing"),
        ("SELECT missing FROM t", ColumnMissing, "erp: no such column: missing"),
        ("SELECT 1, 2", ColumnMissing, "erp: table q has 2 values for 1 columns"),
        ("SELECT 1; SELECT 2", QueryInvalid, 'erp: near ";": syntax error'),
        ("DELETE FROM t", QueryInvalid, 'erp: near "DELETE": syntax error'),
        ("SELECT json(v) FROM t", QueryInvalid, "erp: malformed JSON"),
    ],
)
def test_errors_of_a_query_are_classified(
    tmp_path: Path, query: str, error_class: type[PipekitError], message: str
) -> None:
    source = _created(tmp_path / "x.db", "CREATE TABLE t (v)", "INSERT INTO t VALUES ('{')")
    with pytest.raises(error_class) as caught:
        _read(SqliteReader(), source, [_column(DataType(kind=Kind.BIGINT))], query)
    assert (caught.value.message, type(caught.value)) == (message, error_class)


def test_a_read_that_is_closed_before_and_while_it_runs_is_cancelled(tmp_path: Path) -> None:
    source = _created(tmp_path / "x.db", "CREATE TABLE t (v)")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    batches = SqliteReader().read(source, endless, [_column(DataType(kind=Kind.BIGINT))], batch_bytes=1000)
    timer = threading.Timer(0.1, batches.close)
    timer.start()
    with pytest.raises(Cancelled):
        list(batches)
    timer.join()
    with pytest.raises(Cancelled):
        list(batches)


def _written(path: Path, declared: str, array: pa.Array, column: Column, *, compiled: bool) -> Any:
    target = _created(path, f"CREATE TABLE t (v {declared})")
    batch = pa.record_batch([array], names=["v"])
    column = replace(column, dest_type=declared)
    try:
        SqliteWriter(compiled=compiled).write(
            WriteTarget(parameters=target, table=TableName("", "t"), columns=[column]),
            MemoryBatches(batch.schema, [batch.slice(0, 1), batch.slice(1)]),
        )
    except PipekitError as error:
        return type(error), error.message, error.hint
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT typeof(v), v, CAST(v AS blob) FROM t").fetchall()


def _arrays() -> st.SearchStrategy[tuple[DataType, list[Any]]]:
    """Return a type and values for it, unscaled for decimals and counted since 1970 for dates and timestamps."""
    day = 86_400_000_000
    days = st.integers(-719_162, 2_932_896) | st.sampled_from([-719_163, 2_932_897, 2**31 - 1, -1, 0])
    micros = st.integers(-719_162 * day, 2_932_897 * day - 1).map(lambda n: n - n % 10_000) | st.sampled_from(
        [-1, 2**62]
    )
    units = st.integers(-(10**15), 10**15) | st.sampled_from([10**15 - 1, 10**18, 2**64, -(2**64), 1700])
    by_kind: list[tuple[DataType, st.SearchStrategy[Any]]] = [
        (DataType(kind=Kind.BOOLEAN), st.booleans()),
        (DataType(kind=Kind.SMALLINT), st.integers(-(2**15), 2**15 - 1)),
        (DataType(kind=Kind.BIGINT), st.integers(-(2**63), 2**63 - 1)),
        (DataType(kind=Kind.DOUBLE), st.floats()),
        (DataType(kind=Kind.TEXT), st.text(max_size=20)),
        (DataType(kind=Kind.BINARY), st.binary(max_size=20)),
        (DataType(kind=Kind.DATE), days),
        (DataType(kind=Kind.TIMESTAMP), micros),
        (DataType(kind=Kind.TIMESTAMPTZ), micros),
        (DataType(kind=Kind.DECIMAL, precision=38, scale=2), units),
        (DataType(kind=Kind.DECIMAL, precision=38, scale=0), units),
    ]
    return st.sampled_from(by_kind).flatmap(
        lambda pair: st.tuples(st.just(pair[0]), st.lists(st.none() | pair[1], min_size=1, max_size=12))
    )


def _array(data_type: DataType, values: list[Any]) -> pa.Array:
    target = to_arrow(data_type)
    if data_type.kind is Kind.DECIMAL:
        scale = data_type.scale or 0
        values = [None if n is None else Decimal((n < 0, tuple(map(int, str(abs(n)))), -scale)) for n in values]
    if pa.types.is_temporal(target):
        return pa.array(values, pa.int32() if pa.types.is_date(target) else pa.int64()).cast(target)
    return pa.array(values, target)


@EVERY_CASE
@given(_arrays(), st.sampled_from(["INTEGER", "DECIMAL(15,2)", "REAL", "DATE", "TEXT", "BLOB", ""]))
def test_values_are_stored_as_by_adbc(tmp_path: Path, case: tuple[DataType, list[Any]], declared: str) -> None:
    data_type, values = case
    array, column = _array(data_type, values), _column(data_type)
    found = _written(tmp_path / "x.db", declared, array, column, compiled=True)
    assert found == _written(tmp_path / "x.db", declared, array, column, compiled=False)


def test_values_are_stored_exactly(tmp_path: Path) -> None:
    cases: list[tuple[DataType, str, list[Any], list[Any]]] = [
        (DataType(kind=Kind.DATE), "DATE_TEXT", [-719_162, 0, 2_932_896], ["0001-01-01", "1970-01-01", "9999-12-31"]),
        (
            DataType(kind=Kind.TIMESTAMP),
            "TEXT",
            [-1, 1_500_000],
            ["1969-12-31 23:59:59.999999", "1970-01-01 00:00:01.5"],
        ),
        (DataType(kind=Kind.TIMESTAMPTZ), "TEXT", [0, None], ["1970-01-01 00:00:00+00:00", None]),
        (DataType(kind=Kind.DECIMAL, precision=15, scale=2), "DECIMAL(15,2)", [1700, -1234], [17, -12.34]),
        (DataType(kind=Kind.TEXT), "TEXT", ["", "é\0", None], ["", "é\0", None]),
        (DataType(kind=Kind.BINARY), "BLOB", [b"", None], [b"", None]),
    ]
    for data_type, declared, values, expected in cases:
        rows = _written(tmp_path / "x.db", declared, _array(data_type, values), _column(data_type), compiled=True)
        assert [row[1] for row in rows] == expected


def test_a_constraint_that_is_violated_in_the_middle_of_a_batch_rolls_everything_back(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    target = WriteTarget(
        parameters=_created(path, "CREATE TABLE t (v int UNIQUE)", rows=[(7,)]),
        table=TableName("", "t"),
        columns=[_column(DataType(kind=Kind.BIGINT))],
    )
    batch = pa.record_batch([pa.array([1, 2, 7, 3])], names=["v"])
    with pytest.raises(InvalidValue, match="erp: UNIQUE constraint failed: t.v"):
        SqliteWriter().write(target, MemoryBatches(batch.schema, [batch]))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT v FROM t").fetchall() == [(7,)]
