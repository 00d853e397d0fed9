"""``python -m tests.benchmarks.verifying``: compares a verification of equal tables with hashing all their rows.

The tables have 6 million rows (scale 1) of lineitem. From PostgreSQL to PostgreSQL, the baseline is one
``SELECT count(*), sum(hashtext(t::text))`` for each table, one after the other. From PostgreSQL to DuckDB, it is the
same verification, with the rows of both sides read and hashed by Pipekit.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

import duckdb
import psycopg

from connections import embedded_postgresql
from connections.sdk.files import protection
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from connections.sdk.sql.row_hash import NotHashed
from runs.engine.plan import Plan, Strategy
from runs.engine.verify.open_server_sides import ServerSideFactory
from runs.engine.verify.verify import Options, VerificationResult, verify_module
from tests.benchmarks.lineitem import generate, types
from tests.benchmarks.transfer import Bench

_LIMIT = 1.5


def prepare(url: str) -> None:
    """Create a destination that equals the source, with a unique index on the key of both."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS sync")
        connection.execute("DROP TABLE IF EXISTS sync.lineitem")
        connection.execute("CREATE TABLE sync.lineitem AS SELECT * FROM lineitem")
        for table in ("lineitem", "sync.lineitem"):
            connection.execute(f"CREATE UNIQUE INDEX ON {table} (l_orderkey, l_linenumber)")
            connection.execute(f"VACUUM ANALYZE {table}")


def hash_seconds(url: str) -> float:
    """Return the seconds that it takes to hash every row of both tables."""
    started = time.perf_counter()
    with psycopg.connect(url, autocommit=True) as connection:
        for table in ("lineitem", "sync.lineitem"):
            connection.execute(f"SELECT count(*), sum(hashtext(t::text)) FROM {table} t").fetchall()
    return time.perf_counter() - started


def load_duckdb(parquet: Path, file: Path) -> ConnectionParameters:
    """Create a destination in a DuckDB file that equals the source."""
    file.unlink(missing_ok=True)
    select_list = ", ".join(f"CAST({name} AS {native}) AS {name}" for name, native in types("numeric(15,2)").items())
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE SCHEMA sync")
        connection.execute(f"CREATE TABLE sync.lineitem AS SELECT {select_list} FROM '{parquet}'")
    return ConnectionParameters(kind="duckdb", url=f"jdbc:duckdb:{file}", name="bench file")


def verify_table(url: str, destination: ConnectionParameters | None = None) -> tuple[float, VerificationResult]:
    """Verify the destination; return the seconds and the result."""
    system = ConnectionParameters(kind="postgresql", url=url, name="bench")
    plan = Plan(
        run=uuid4().hex,
        module="lineitem",
        strategy=Strategy.UPSERT,
        merge_key=("l_orderkey", "l_linenumber"),
        source=system,
        destination=destination or system,
        dest_table=TableName("sync", "lineitem"),
        source_query="SELECT * FROM lineitem",
    )
    started = time.perf_counter()
    result = verify_module(plan, Options())
    return time.perf_counter() - started, result


def run(url: str, rounds: int) -> None:
    pairs = []
    for _ in range(rounds):
        seconds, result = verify_table(url)
        assert result.comparison.counts.total == 0, "the tables are equal"
        pairs.append((seconds, hash_seconds(url)))
    verification, baseline = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    ratio = verification / baseline
    verdict = "ok" if ratio <= _LIMIT else "TOO SLOW"
    rows = f"{result.comparison.source_rows:,} equal rows"
    print(f"{rows:32} {verification:7.2f} s  {baseline:7.2f} s  {ratio:5.2f}x  (at most {_LIMIT:.2f}x) {verdict}")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE sync.lineitem SET l_tax = l_tax + 1 WHERE l_orderkey IN (1, 3000000, 6000000)")
        changed = connection.execute("SELECT count(*) FROM sync.lineitem WHERE l_tax >= 1").fetchone()
    seconds, result = verify_table(url)
    assert changed is not None and result.comparison.counts.different == changed[0], "each changed row is reported"
    print(f"{f'{changed[0]} different rows':32} {seconds:7.2f} s")


def run_to_duckdb(url: str, destination: ConnectionParameters, rounds: int) -> None:
    not_hashed = NotHashed(why="this is the baseline")
    pairs = []
    for _ in range(rounds):
        seconds, result = verify_table(url, destination)
        with patch.object(ServerSideFactory, "shared", return_value=not_hashed):
            baseline_seconds, baseline_result = verify_table(url, destination)
        assert result.comparison.counts.total == baseline_result.comparison.counts.total == 0, "the tables are equal"
        pairs.append((seconds, baseline_seconds))
    verification, baseline = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    ratio = verification / baseline
    verdict = "ok" if ratio < 1 else "TOO SLOW"
    rows = f"{result.comparison.source_rows:,} rows, DuckDB"
    print(f"{rows:32} {verification:7.2f} s  {baseline:7.2f} s  {ratio:5.2f}x  (less than 1.00x) {verdict}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="TPC-H scale factor; 1 is 6 million rows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="keep the databases in this directory (default: temporary)")
    flags = parser.parse_args()
    protection.configure(protection.Protection())
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as temporary:
        directory = (flags.directory or Path(temporary)).absolute()
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
        try:
            bench = Bench(directory, flags.scale)
            prepare(bench.url)
            print(f"{os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}; verification, baseline, ratio")
            run(bench.url, flags.rounds)
            file = load_duckdb(generate(directory, flags.scale), directory / "lineitem.duckdb")
            run_to_duckdb(bench.url, file, flags.rounds)
        finally:
            embedded_postgresql.stop(directory / "pg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
