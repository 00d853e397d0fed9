"""Small real databases for transfers: make a table, read it back, and the job that moves one into the other."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from connections import registry
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import Column, TableName
from runs.jrunner.cancel import Cancellation
from runs.jrunner.job import Job, TransferResult
from runs.jrunner.protocol import Reporter
from runs.jrunner.routes.choose import choose


class System:
    """One database of a kind; every call opens and closes its own session, as processes do."""

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
        """Return the table's columns as a job has them."""
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
    made = Job(
        source=source.parameters,
        query=query,
        destination=destination.parameters,
        table=TableName.parse(table),
        columns=destination.columns(table),
    )
    return replace(made, **changes)


def moved(work: Job) -> tuple[str, TransferResult]:
    """Move the job's rows in this process; return the route's name and the counts."""
    route = choose(work)
    return route.name, route.copy(work, Reporter(events=False), Cancellation())


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What one transfer of a table with many columns made of them: the route, and per column what is there now."""

    route: str
    values: dict[tuple[str, str, str], Any]


def carry(source: System, destination: System, cases: Sequence[tuple[str, str, str]], shown: str) -> Carried:
    """Move one table with a column per case (native type, value as SQL, type wanted), a row of values and one of NULLs.

    ``shown`` is how the destination is asked for a column, with ``{}`` for its name.
    """
    names = [f"c{number}" for number in range(len(cases))]
    values = ", ".join(value for _, value, _ in cases)
    had = ", ".join(f"{name} {native}" for name, (native, _, _) in zip(names, cases, strict=True))
    wanted = ", ".join(f"{name} {want}" for name, (_, _, want) in zip(names, cases, strict=True))
    source.execute("DROP TABLE IF EXISTS s", f"CREATE TABLE s (n integer, {had})", "INSERT INTO s (n) VALUES (1)")
    source.execute(f"INSERT INTO s VALUES (2, {values})")
    destination.execute("DROP TABLE IF EXISTS t", f"CREATE TABLE t (n integer, {wanted})")
    route, counts = moved(job(source, "SELECT * FROM s", destination))
    assert (counts.read, counts.written) == (2, 2)
    asked = ", ".join(shown.format(name) for name in names)
    nulls = " AND ".join(f"{name} IS NULL" for name in names)
    assert destination.rows(f"SELECT n FROM t WHERE {nulls}") == [(1,)]
    (row,) = destination.rows(f"SELECT {asked} FROM t WHERE n = 2")
    return Carried(route=route, values=dict(zip(cases, row, strict=True)))
