"""Small databases for tests of transfers, and the jobs between them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from connections import registry
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.row_counts import TransferResult
from connections.sdk.schema import Column, TableName
from runs.jrunner.cancel import Cancellation
from runs.jrunner.job import Job
from runs.jrunner.reporter import Reporter
from runs.jrunner.routes.choose import choose_route


class System:
    """A database. Each call opens and closes a session."""

    def __init__(self, kind: str, url: str) -> None:
        self.parameters = ConnectionParameters(kind=kind, url=url, options={"create": True}, name=kind)
        self.connector = registry.connector(kind)

    def execute(self, *statements: str) -> None:
        with closing(self.connector.connect(self.parameters)) as session:
            for statement in statements:
                session.execute(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(self.connector.connect(self.parameters)) as session:
            return session.fetch(query)

    def columns(self, table: str) -> tuple[Column, ...]:
        """Return the table's columns as a job contains them."""
        with closing(self.connector.connect(self.parameters)) as session:
            info = self.connector.introspector.describe_table(session, TableName.parse(table))
        assert info is not None
        return tuple(
            Column(dest_name=column.name, dest_type=column.native_type, data_type=column.data_type)
            for column in info.columns
        )


def postgresql(url: str) -> System:
    return System("postgresql", url)


def sqlite(path: Path) -> System:
    return System("sqlite", str(path))


def duckdb(path: Path) -> System:
    return System("duckdb", str(path))


def job(source: System, query: str, destination: System, table: str = "t", **changes: Any) -> Job:
    job = Job(
        source=source.parameters,
        query=query,
        destination=destination.parameters,
        table=TableName.parse(table),
        columns=destination.columns(table),
    )
    return replace(job, **changes)


def transfer_rows(job: Job) -> tuple[str, TransferResult]:
    """Transfer the job's rows in this process; return the name of the route and the counts."""
    route = choose_route(job)
    return route.name, route.copy(job, Reporter(events=False), Cancellation())


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferredValues:
    """The route of a transfer, and the destination's value for each case."""

    route: str
    values: dict[tuple[str, str, str], Any]


def transfer_values(
    source: System, destination: System, cases: Sequence[tuple[str, str, str]], expression: str
) -> TransferredValues:
    """Transfer a table with a column for each case (source type, value as SQL, destination type).

    It has a row with the values and one with NULLs. ``expression`` is the SQL that reads a column of the destination,
    with ``{}`` for its name.
    """
    names = [f"c{number}" for number in range(len(cases))]
    values = ", ".join(value for _, value, _ in cases)
    source_columns = ", ".join(f"{name} {native}" for name, (native, _, _) in zip(names, cases, strict=True))
    dest_columns = ", ".join(f"{name} {native}" for name, (_, _, native) in zip(names, cases, strict=True))
    source.execute(
        "DROP TABLE IF EXISTS s", f"CREATE TABLE s (n integer, {source_columns})", "INSERT INTO s (n) VALUES (1)"
    )
    source.execute(f"INSERT INTO s VALUES (2, {values})")
    destination.execute("DROP TABLE IF EXISTS t", f"CREATE TABLE t (n integer, {dest_columns})")
    route, counts = transfer_rows(job(source, "SELECT * FROM s", destination))
    assert (counts.read, counts.written) == (2, 2)
    expressions = ", ".join(expression.format(name) for name in names)
    nulls = " AND ".join(f"{name} IS NULL" for name in names)
    assert destination.rows(f"SELECT n FROM t WHERE {nulls}") == [(1,)]
    (row,) = destination.rows(f"SELECT {expressions} FROM t WHERE n = 2")
    return TransferredValues(route=route, values=dict(zip(cases, row, strict=True)))
