"""Loads TPC-H lineitem from its Parquet file into a SQLite file or a PostgreSQL table.

Apart from `lineitem`, because a process that is measured shall not import Arrow for it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from tests.benchmarks.lineitem import NAMES, ddl, types


def load_sqlite(parquet: Path, target: Path, money: str = "double precision") -> None:
    """Load the table; SQLite stores amounts as floating-point numbers, and whole ones of a decimal as integers."""
    with sqlite3.connect(target) as connection:
        connection.execute(f"CREATE TABLE lineitem ({ddl(money)})")
        placeholders = ", ".join("?" * len(NAMES))
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
