"""TPC-H lineitem: its columns and types, and its rows as a Parquet file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from connections.sdk.schema import Column
from connections.sdk.types import DataType

NAMES = [
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
    by_name = dict.fromkeys(NAMES, "text")
    by_name |= dict.fromkeys(NAMES[:4], "bigint") | dict.fromkeys(_MONEY, money)
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
