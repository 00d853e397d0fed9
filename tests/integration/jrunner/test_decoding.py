"""The rows of many values from PostgreSQL, which are decoded here from binary COPY data."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connections.connectors.postgresql.copy import bulk, reader
from connections.connectors.postgresql.copy.reader import READER, PostgresqlBatches
from connections.connectors.postgresql.copy.receiver import Receiver
from connections.sdk.compiled import DISABLED, import_compiled
from connections.sdk.errors import ConnectionFailed, InvalidValue, SerializationFailed
from connections.sdk.schema import Column
from connections.sdk.types import DataType, Kind
from tests.harness.small_databases import System, duckdb, job, transfer_rows


@pytest.fixture(autouse=True)
def decoded_here(monkeypatch: pytest.MonkeyPatch) -> None:
    if import_compiled("connections.connectors.postgresql.copy.binary_decoder") is None:
        pytest.skip("The decoder is not compiled.")
    monkeypatch.setattr(reader, "MANY_VALUES", 0)


def batches(warehouse: System, query: str, *types: DataType) -> PostgresqlBatches:
    columns = [Column(dest_name=f"c{n}", dest_type="", data_type=data_type) for n, data_type in enumerate(types)]
    return READER.read(warehouse.parameters, query, columns, batch_bytes=1_000_000)


def rows(result: PostgresqlBatches) -> list[tuple[Any, ...]]:
    return [row for batch in result for row in zip(*(array.to_pylist() for array in batch.columns), strict=True)]


def test_the_planner_decides_on_the_method(warehouse: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MANY_VALUES", 1000)
    methods = {}
    for count in (900, 1100):
        result = batches(warehouse, f"SELECT g FROM generate_series(1, {count}) g", DataType(kind=Kind.INTEGER))
        assert rows(result) == [(number,) for number in range(1, count + 1)]
        methods[count] = result.method
    assert methods == {
        900: "ADBC, because about 900 values are expected",
        1100: "binary COPY, because about 1,100 values are expected",
    }


def test_numerics_arrive_exactly_in_decimals_of_other_sizes(warehouse: System, tmp_path: Path) -> None:
    sizes = {
        # type, values, type of the destination
        "numeric(15,2)": (["0", "0.01", "-0.10", "10000", "9999999999999.99", "-9999999999999.99", "NULL"], "(15,2)"),
        "numeric(6,3)": (["0.001", "-999.999", "1", "0.5", "120", "-0.04", "NULL"], "(18,12)"),
        "numeric(18,0)": (["999999999999999999", "-1", "10000000000000000", "0", "7", "8", "9"], "(38,0)"),
        "numeric(5,-2)": (["1234500", "-100", "0", "NULL", "9999900", "100", "200"], "(9,2)"),
        "numeric(38,20)": (["0.00000000000000000001", "999999999999999999", "-1.5", "0", "1", "2", "3"], "(38,20)"),
        "numeric": (["1e-5", "12345678901234567890.12345", "-7", "0.00", "1", "2", "3"], "(38,9)"),
    }
    names = [f"c{n}" for n in range(len(sizes))]
    fields = ", ".join(f"{name} {native}" for name, native in zip(names, sizes, strict=True))
    values = zip(*(values for values, _ in sizes.values()), strict=True)
    warehouse.execute("DROP TABLE IF EXISTS s", f"CREATE TABLE s (n serial, {fields})")
    for row in values:
        warehouse.execute(f"INSERT INTO s ({', '.join(names)}) VALUES ({', '.join(row)})")
    copy = duckdb(tmp_path / "copy.duckdb")
    decimals = ", ".join(f"{name} DECIMAL{size}" for name, (_, size) in zip(names, sizes.values(), strict=True))
    copy.execute(f"CREATE TABLE t (n INTEGER, {decimals})")
    transfer_rows(job(warehouse, "SELECT * FROM s", copy))
    selected = f"SELECT {', '.join(names)} FROM {{}} ORDER BY n"
    assert copy.rows(selected.format("t")) == warehouse.rows(selected.format("s"))


@pytest.mark.parametrize(("value", "shown"), [("'NaN'::numeric", "nan"), ("12345.67", "12345.67")])
def test_a_numeric_that_the_column_cannot_hold_is_named(warehouse: System, value: str, shown: str) -> None:
    decimal = DataType(kind=Kind.DECIMAL, precision=5, scale=2)
    query = f"SELECT g, CASE g WHEN 700 THEN {value} ELSE 1 END::numeric(9,2) FROM generate_series(1, 1000) g"
    with pytest.raises(InvalidValue, match=f"“c1”: “{shown}” does not fit"):
        rows(batches(warehouse, query, DataType(kind=Kind.BIGINT), decimal))


def test_values_of_all_sizes_arrive_in_order(warehouse: System) -> None:
    """Values larger than the parts in which the data is received, and NULL, between small ones."""
    query = (
        "SELECT g, CASE WHEN g % 9 > 0 THEN repeat('é', CASE WHEN g % 100 = 5 THEN 2000000 ELSE g % 7 END) END, "
        "decode(repeat('0002ffffffff', g % 50), 'hex'), (g * 0.01)::numeric(15,2) FROM generate_series(1, 300) g"
    )
    kinds = [DataType(kind=kind) for kind in (Kind.BIGINT, Kind.TEXT, Kind.BINARY)]
    expected = [
        (
            g,
            "é" * (2_000_000 if g % 100 == 5 else g % 7) if g % 9 else None,
            bytes.fromhex("0002ffffffff") * (g % 50),
            Decimal(g) / 100,
        )
        for g in range(1, 301)
    ]
    result = batches(warehouse, query, *kinds, DataType(kind=Kind.DECIMAL, precision=15, scale=2))
    assert rows(result) == expected
    assert (result.rows, result.method[:11]) == (300, "binary COPY")


def test_adbc_reads_the_rows_if_asyncpg_cannot_connect(warehouse: System, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object) -> None:
        raise ConnectionFailed("no way in")

    monkeypatch.setattr(bulk, "connect", refuse)
    result = batches(warehouse, "SELECT 1", DataType(kind=Kind.INTEGER))
    assert rows(result) == [(1,)]
    assert result.method == "ADBC, because asyncpg did not connect: no way in"


def test_adbc_reads_the_rows_without_the_compiled_decoder(warehouse: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DISABLED, "1")
    result = batches(warehouse, "SELECT 1", DataType(kind=Kind.INTEGER))
    assert rows(result) == [(1,)]
    assert result.method == "ADBC, because the compiled decoder is missing"


def test_columns_whose_types_have_changed_are_not_read(warehouse: System) -> None:
    receiver = Receiver(warehouse.parameters, "SELECT 1::bigint", (23,))
    receiver.open()
    with pytest.raises(SerializationFailed, match="types of the query's columns have changed"):
        list(receiver.parts())
    receiver.close()
