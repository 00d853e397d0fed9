"""``python -m tests.benchmarks.full_run``: a whole full refresh, staging and publish, against the bare psql pipe.

The run resolves, stages 6 million rows (scale 1), publishes them into a filled, logged table and writes its record;
the pipe only copies into an empty, logged one. Ratios within one run mean something; seconds only on this machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

import psycopg

from connections import embedded_postgresql
from connections.sdk.files import protection
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from runs.engine import events, sync
from runs.engine.plan import Plan, Strategy
from tests.benchmarks.measuring import Measured, measure
from tests.benchmarks.transfer import Bench, compare


def whole_run(bench: Bench) -> Measured:
    """The run, from where the pipe begins too: nothing is left to be written to disk."""
    with psycopg.connect(bench.url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    return measure([sys.executable, "-m", "tests.benchmarks.full_run", "--once", bench.url])


def logged_pipe(bench: Bench) -> Measured:
    """The pipe into a table such as the destination is."""
    with psycopg.connect(bench.url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS staging")
        connection.execute("CREATE TABLE staging (LIKE lineitem)")
        connection.execute("CHECKPOINT")
    return bench.pipe(staged=True)


def once(url: str) -> None:
    """Refresh `sync.lineitem` in this process and print how long each step took."""
    system = ConnectionParameters(kind="postgresql", url=url, name="bench")
    plan = Plan(
        run=uuid4().hex,
        module="lineitem",
        strategy=Strategy.FULL,
        source=system,
        destination=system,
        dest_table=TableName("sync", "lineitem"),
        source_query="SELECT * FROM lineitem",
    )
    for event in sync.run(plan):
        if isinstance(event, events.StepFinished):
            print(f"{event.step} {event.seconds:.2f} s")


def main() -> int:
    # there is no install here
    protection.configure(protection.Protection())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="TPC-H scale factor; 1 is 6 million rows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="keep what is made here (default: a temporary directory)")
    parser.add_argument("--once", metavar="URL", help="only refresh, in this process")
    flags = parser.parse_args()
    if flags.once:
        once(flags.once)
        return 0
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as temporary:
        directory = (flags.directory or Path(temporary)).absolute()
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
        try:
            bench = Bench(directory, flags.scale)
            print("first load (the table is made):", *whole_run(bench).output.splitlines(), sep="\n  ")
            compare(
                "full refresh / psql | psql", lambda: whole_run(bench), lambda: logged_pipe(bench), flags.rounds, 2.2
            )
            print("last refresh:", *whole_run(bench).output.splitlines(), sep="\n  ")
        finally:
            embedded_postgresql.stop(directory / "pg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
