"""TPC-H lineitem for the benchmark: generated, then loaded into a SQLite file and a PostgreSQL table."""

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
from connections.sdk.sql.types import DataType

_NAMES = [
    "l_orderkey", "l_partkey", "l_suppkey", "l_linenumber", "l_quantity", "l_extendedprice", "l_discount", "l_tax",
    "l_returnflag", "l_linestatus", "l_shipdate", "l_commitdate", "l_receiptdate", "l_shipinstruct", "l_shipmode",
    "l_comment",
]  # fmt: skip
_MONEY = ("l_quantity", "l_extendedprice", "l_discount", "l_tax")


def generate(directory: Path, scale: float) -> Path:
    """Return the parquet file of ``scale``, made by tpchgen-cli when it is not there."""
    target = directory / f"scale-{scale:g}"
    file = target / "lineitem.parquet"
    if not file.exists():
        program = Path(sys.executable).with_name("tpchgen-cli")
        subprocess.run(
            [program, "parquet", "-s", f"{scale:g}", "--tables", "lineitem", "--output-dir", target], check=True
        )
    return file


def types(money: str) -> dict[str, str]:
    """Return column types that SQLite, DuckDB and PostgreSQL understand alike."""
    found = dict.fromkeys(_NAMES, "text")
    found |= dict.fromkeys(_NAMES[:4], "bigint") | dict.fromkeys(_MONEY, money)
    return found | dict.fromkeys(("l_shipdate", "l_commitdate", "l_receiptdate"), "date")


def ddl(money: str = "double precision") -> str:
    return ", ".join(f"{name} {native}" for name, native in types(money).items())


def columns(parse: object, money: str = "double precision") -> tuple[Column, ...]:
    """Return the table's columns as a job has them; ``parse`` is the destination's type parser."""
    assert callable(parse)
    found: list[Column] = []
    for name, native in types(money).items():
        data_type = parse(native)
        assert isinstance(data_type, DataType)
        found.append(Column(dest_name=name, dest_type=native, data_type=data_type))
    return tuple(found)


def into_sqlite(parquet: Path, target: Path) -> None:
    with sqlite3.connect(target) as connection:
        connection.execute(f"CREATE TABLE lineitem ({ddl()})")
        places = ", ".join("?" * len(_NAMES))
        for batch in pq.ParquetFile(parquet).iter_batches(batch_size=50_000):
            plain = _plain(batch)
            connection.executemany(f"INSERT INTO lineitem VALUES ({places})", zip(*plain, strict=True))
    connection.close()


def _plain(batch: pa.RecordBatch) -> list[list[object]]:
    found = []
    for name, native in types("double precision").items():
        array = batch.column(batch.schema.get_field_index(name))
        wanted = {"bigint": pa.int64(), "double precision": pa.float64()}.get(native, pa.string())
        found.append(array.cast(wanted, safe=not pa.types.is_decimal(array.type)).to_pylist())
    return found


def into_postgresql(parquet: Path, url: str) -> None:
    """Load the table with decimals as TPC-H has them, logged and analysed, as a source would be."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE lineitem ({ddl('numeric(15,2)')})")
        with connection.cursor().copy("COPY lineitem FROM STDIN (FORMAT csv)") as copy:
            for batch in pq.ParquetFile(parquet).iter_batches(batch_size=50_000):
                sink = pa.BufferOutputStream()
                # CSV has no form for Arrow's string views
                texts = [c.cast(pa.string()) if c.type == pa.string_view() else c for c in batch.columns]
                plain = pa.record_batch(texts, names=batch.schema.names)
                pyarrow.csv.write_csv(plain, sink, pyarrow.csv.WriteOptions(include_header=False))
                copy.write(sink.getvalue().to_pybytes())
        connection.execute("VACUUM ANALYZE lineitem")
