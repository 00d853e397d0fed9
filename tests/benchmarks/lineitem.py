"""Generates TPC-H lineitem, and loads it into a SQLite file or a PostgreSQL table."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from connections.sdk.schema import Column
from connections.sdk.types import DataType

_NAMES = [
    "l_orderkey", "l_partkey", "l_suppkey", "l_linenumber", "l_quantity", "l_extendedprice", "l_discount", "l_tax",
    "l_returnflag", "l_linestatus", "l_shipdate", "l_commitdate", "l_receiptdate", "l_shipinstruct", "l_shipmode",
    "l_comment",
]  # fmt: skip
_MONEY = ("l_quantity", "l_extendedprice", "l_discount", "l_tax")


def generate(directory: Path, scale: float) -> Path:
    """Return the Parquet file of ``scale``; create it with tpchgen-cli if it does not exist."""
    target = directory / f"scale-{scale:g}"
    file = target / "lineitem.parquet"
    if not file.exists():
        program = Path(sys.executable).with_name("tpchgen-cli")
        subprocess.run(
            [program, "parquet", "-s", f"{scale:g}", "--tables", "lineitem", "--output-dir", target], check=True
        )
    return file


def types(money: str) -> dict[str, str]:
    """Return the column types, which SQLite, DuckDB and PostgreSQL all accept; ``money`` is the type of amounts."""
    by_name = dict.fromkeys(_NAMES, "text")
    by_name |= dict.fromkeys(_NAMES[:4], "bigint") | dict.fromkeys(_MONEY, money)
    return by_name | dict.fromkeys(("l_shipdate", "l_commitdate", "l_receiptdate"), "date")


def ddl(money: str = "double precision") -> str:
    return ", ".join(f"{name} {native}" for name, native in types(money).items())


def columns(parse: object, money: str = "double precision") -> tuple[Column, ...]:
    """Return the table's columns for a job; ``parse`` parses a type of the destination."""
    assert callable(parse)
    parsed: list[Column] = []
    for name, native in types(money).items():
        data_type = parse(native)
        assert isinstance(data_type, DataType)
        parsed.append(Column(dest_name=name, dest_type=native, data_type=data_type))
    return tuple(parsed)


def load_sqlite(parquet: Path, target: Path, money: str = "double precision") -> None:
    """Load the table; SQLite stores amounts as floating-point numbers, and whole ones of a decimal as integers."""
    with sqlite3.connect(target) as connection:
        connection.execute(f"CREATE TABLE lineitem ({ddl(money)})")
        placeholders = ", ".join("?" * len(_NAMES))
        for batch in pq.ParquetFile(parquet).iter_batches(batch_size=50_000):
            columns_of_values = _values(batch)
            connection.executemany(
                f"INSERT INTO lineitem VALUES ({placeholders})", zip(*columns_of_values, strict=True)
            )
    connection.close()


def _values(batch: pa.RecordBatch) -> list[list[object]]:
    values = []
    for name, native in types("double precision").items():
        array = batch.column(batch.schema.get_field_index(name))
        arrow_type = {"bigint": pa.int64(), "double precision": pa.float64()}.get(native, pa.string())
        values.append(array.cast(arrow_type, safe=not pa.types.is_decimal(array.type)).to_pylist())
    return values


def load_postgresql(parquet: Path, url: str) -> None:
    """Load the table with the decimals of TPC-H, logged and analyzed, as in a source."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE lineitem ({ddl('numeric(15,2)')})")
        with connection.cursor().copy("COPY lineitem FROM STDIN (FORMAT csv)") as copy:
            for batch in pq.ParquetFile(parquet).iter_batches(batch_size=50_000):
                sink = pa.BufferOutputStream()
                # the CSV writer does not support string views
                arrays = [c.cast(pa.string()) if c.type == pa.string_view() else c for c in batch.columns]
                converted = pa.record_batch(arrays, names=batch.schema.names)
                pyarrow.csv.write_csv(converted, sink, pyarrow.csv.WriteOptions(include_header=False))
                copy.write(sink.getvalue().to_pybytes())
        connection.execute("VACUUM ANALYZE lineitem")
