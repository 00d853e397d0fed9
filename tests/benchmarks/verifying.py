"""``python -m tests.benchmarks.verifying``: a verification of equal tables against one hash of every row on each side.

6 million rows (scale 1) of lineitem, PostgreSQL to PostgreSQL. The other side of the ratio is one
``SELECT count(*), sum(hashtext(t::text))`` over the source and one over the destination, one after the other.
From PostgreSQL to DuckDB it is the same verification with the rows of both sides read and hashed here.
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
from connections.sdk.sql.hashing import NotHashed
from runs.engine.plan import Plan, Strategy
from runs.engine.verify.server_sides import ServerSides
from runs.engine.verify.verify import Options, VerificationResult, verify
from tests.benchmarks.lineitem import generate, types
from tests.benchmarks.transfer import Bench

_LIMIT = 1.5


def prepare(url: str) -> None:
    """Make a destination that equals the source, with the key's index on both."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS sync")
        connection.execute("DROP TABLE IF EXISTS sync.lineitem")
        connection.execute("CREATE TABLE sync.lineitem AS SELECT * FROM lineitem")
        for table in ("lineitem", "sync.lineitem"):
            connection.execute(f"CREATE UNIQUE INDEX ON {table} (l_orderkey, l_linenumber)")
            connection.execute(f"VACUUM ANALYZE {table}")


def hashed(url: str) -> float:
    """Return the seconds that one hash of every row of both sides takes."""
    started = time.perf_counter()
    with psycopg.connect(url, autocommit=True) as connection:
        for table in ("lineitem", "sync.lineitem"):
            connection.execute(f"SELECT count(*), sum(hashtext(t::text)) FROM {table} t").fetchall()
    return time.perf_counter() - started


def into_duckdb(parquet: Path, file: Path) -> ConnectionParameters:
    """Make a destination in a DuckDB file that equals the source."""
    file.unlink(missing_ok=True)
    listed = ", ".join(f"CAST({name} AS {native}) AS {name}" for name, native in types("numeric(15,2)").items())
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE SCHEMA sync")
        connection.execute(f"CREATE TABLE sync.lineitem AS SELECT {listed} FROM '{parquet}'")
    return ConnectionParameters(kind="duckdb", url=f"jdbc:duckdb:{file}", name="bench file")


def verified(url: str, destination: ConnectionParameters | None = None) -> tuple[float, VerificationResult]:
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
    found = verify(plan, Options())
    return time.perf_counter() - started, found


def run(url: str, rounds: int) -> None:
    pairs = []
    for _ in range(rounds):
        seconds, found = verified(url)
        assert found.outcome.counts.total == 0, "the tables are equal"
        pairs.append((seconds, hashed(url)))
    ours, theirs = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    verdict = "ok" if ours / theirs <= _LIMIT else "TOO SLOW"
    rows = f"{found.outcome.source_rows:,} equal rows"
    print(f"{rows:32} {ours:7.2f} s  {theirs:7.2f} s  {ours / theirs:5.2f}x  (at most {_LIMIT:.2f}x) {verdict}")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE sync.lineitem SET l_tax = l_tax + 1 WHERE l_orderkey IN (1, 3000000, 6000000)")
        changed = connection.execute("SELECT count(*) FROM sync.lineitem WHERE l_tax >= 1").fetchone()
    seconds, found = verified(url)
    assert changed is not None and found.outcome.counts.different == changed[0], "each changed row is found"
    print(f"{f'{changed[0]} different rows':32} {seconds:7.2f} s")


def run_to_duckdb(url: str, destination: ConnectionParameters, rounds: int) -> None:
    refused = NotHashed(why="it is measured against this")
    pairs = []
    for _ in range(rounds):
        ours, found = verified(url, destination)
        with patch.object(ServerSides, "shared", return_value=refused):
            theirs, same = verified(url, destination)
        assert found.outcome.counts.total == same.outcome.counts.total == 0, "the tables are equal"
        pairs.append((ours, theirs))
    ours, theirs = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    verdict = "ok" if ours < theirs else "TOO SLOW"
    rows = f"{found.outcome.source_rows:,} of them in DuckDB"
    print(f"{rows:32} {ours:7.2f} s  {theirs:7.2f} s  {ours / theirs:5.2f}x  (less than 1.00x) {verdict}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="TPC-H scale factor; 1 is 6 million rows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="keep what is made here (default: a temporary directory)")
    flags = parser.parse_args()
    protection.configure(protection.Protection())
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as temporary:
        directory = (flags.directory or Path(temporary)).absolute()
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
        try:
            bench = Bench(directory, flags.scale)
            prepare(bench.url)
            print(f"{os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}; verification, two hashes, ratio")
            run(bench.url, flags.rounds)
            file = into_duckdb(generate(directory, flags.scale), directory / "lineitem.duckdb")
            run_to_duckdb(bench.url, file, flags.rounds)
        finally:
            embedded_postgresql.stop(directory / "pg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
