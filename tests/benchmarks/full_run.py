"""``python -m tests.benchmarks.full_run``: compares full refreshes and a first load with a pipe from psql to psql.

A run stages 6 million rows (scale 1) and publishes them: to a new table, by a swap with a table that has as many rows,
or by TRUNCATE and INSERT. The pipe only copies to an empty logged table. Compare the ratios: seconds depend on the
machine.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psycopg

from connections import embedded_postgresql
from connections.sdk.files import protection
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from runs.engine import events
from runs.engine.plan import FullPublish, Plan, Strategy
from runs.engine.sync import execute_plan
from tests.benchmarks.measuring import Measured, measure
from tests.benchmarks.transfer import Bench, compare


def run_refresh(bench: Bench, method: FullPublish) -> Measured:
    """Measure a full refresh, after a checkpoint, as for the pipe."""
    with psycopg.connect(bench.url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    return measure([sys.executable, "-m", "tests.benchmarks.full_run", "--once", method.value, "--url", bench.url])


def run_first_load(bench: Bench) -> Measured:
    """Measure a full run that creates its table."""
    with psycopg.connect(bench.url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS sync.lineitem")
    return run_refresh(bench, FullPublish.AUTO)


def run_pipe(bench: Bench) -> Measured:
    """Measure the pipe into a logged table, as the destination is."""
    with psycopg.connect(bench.url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS staging")
        # autovacuum would run beside what is measured next
        connection.execute("CREATE TABLE staging (LIKE lineitem) WITH (autovacuum_enabled = false)")
        connection.execute("CHECKPOINT")
    return bench.pipe(create=False)


def refresh(url: str, method: FullPublish) -> None:
    """Refresh `sync.lineitem` in this process and print the duration of each step."""
    system = ConnectionParameters(kind="postgresql", url=url, name="bench")
    plan = Plan(
        run=uuid4().hex,
        module="lineitem",
        strategy=Strategy.FULL,
        source=system,
        destination=system,
        dest_table=TableName("sync", "lineitem"),
        source_query="SELECT * FROM lineitem",
        full_publish=method,
    )
    for event in execute_plan(plan):
        if isinstance(event, events.StepFinished):
            print(f"{event.step} {event.seconds:.2f} s")


def report(name: str, bench: Bench, own: Callable[[], Measured], rounds: int, limit: float) -> None:
    """Compare with the pipe in turn, and print the steps of one more run."""
    compare(f"{name} / psql | psql", own, lambda: run_pipe(bench), rounds, limit)
    steps = re.findall(r"^(\w+ [\d.]+ s)$", own().output, re.MULTILINE)
    print(f"    {', '.join(steps)}")


def main() -> int:
    # no files of an installation need protection here
    protection.configure(protection.Protection())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="TPC-H scale factor; 1 is 6 million rows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="keep the databases in this directory (default: temporary)")
    parser.add_argument(
        "--once", choices=[each.value for each in FullPublish], help="only one refresh, in this process"
    )
    parser.add_argument("--url", help="the database of --once")
    flags = parser.parse_args()
    if flags.once:
        refresh(flags.url, FullPublish(flags.once))
        return 0
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as temporary:
        directory = (flags.directory or Path(temporary)).absolute()
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
        try:
            bench = Bench(directory, flags.scale)
            report("first load", bench, lambda: run_first_load(bench), flags.rounds, 1.2)
            report("swap", bench, lambda: run_refresh(bench, FullPublish.SWAP), flags.rounds, 1.2)
            report("TRUNCATE", bench, lambda: run_refresh(bench, FullPublish.TRUNCATE), flags.rounds, 2.0)
        finally:
            embedded_postgresql.stop(directory / "pg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
