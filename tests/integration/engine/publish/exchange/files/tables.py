"""Full refreshes of a table in a file, of which tests know the rows before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from connections.sdk.schema import TableName
from runs.engine import sync
from runs.engine.events import Event, MethodChosen
from runs.engine.jrunner_process import JrunnerProcess
from runs.engine.plan import Plan
from runs.jrunner.job import Job
from tests.harness import transfer_in_process as in_process
from tests.harness.bench import Bench, Rows

QUERY = "SELECT k, v FROM s"
NEW = [(1, "new"), (2, "new"), (3, "new")]
FORMER = [(7, "former"), (8, "former")]
KINDS = ["sqlite", "duckdb"]
TABLE = {"sqlite": '"sync.t"', "duckdb": "sync.t"}
BESIDE = TableName("pipekit_staging", "m")
PLAIN = {
    "sqlite": 'CREATE TABLE "sync.t" (k INTEGER PRIMARY KEY CHECK (k < 100), v TEXT)',
    "duckdb": "CREATE TABLE sync.t (k INTEGER CHECK (k < 100), v VARCHAR)",
}


def method(bench: Bench, **changes: object) -> tuple[str, str]:
    """Execute a full refresh; return its method, and why it was chosen."""
    chosen = bench.run(bench.plan(QUERY, **changes)).last(MethodChosen)
    return str(chosen.method), chosen.why


def after_transfer(monkeypatch: pytest.MonkeyPatch, execute: Callable[[], None]) -> None:
    """Execute something when the rows are staged, before they are published."""

    def transfer(plan: Plan, job: Job, process: JrunnerProcess | None) -> Iterator[Event]:
        yield from in_process.transfer(plan, job, process)
        execute()

    monkeypatch.setattr(sync, "transfer_rows", transfer)


def rows(bench: Bench) -> Rows:
    # a virtual table of texts has no numbers
    return bench.rows(f"SELECT CAST(k AS INTEGER), v FROM {TABLE[bench.destination.kind]} ORDER BY 1")


def exists(bench: Bench, table: str) -> bool:
    query = (
        "SELECT count(*) FROM pragma_table_info('{}')"
        if bench.destination.kind == "sqlite"
        else ("SELECT count(*) FROM duckdb_tables() WHERE schema_name || '.' || table_name = '{}'")
    )
    return bench.rows(query.format(table)) != [(0,)]
