"""A workbench for engine tests: a source, a destination, a plan between them; rows before, rows after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from connections import registry
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from runs.engine import events, sync
from runs.engine.plan import Plan, Strategy

Rows = list[tuple[Any, ...]]


@dataclass
class Result:
    """What one run told."""

    events: list[events.Event] = field(default_factory=list)

    def last(self, kind: type[Any]) -> Any:
        return next(event for event in reversed(self.events) if isinstance(event, kind))

    @property
    def counts(self) -> tuple[int | None, int | None, int | None]:
        """Rows inserted, updated, deleted by the publish."""
        published = self.last(events.Published)
        return published.inserted, published.updated, published.deleted

    @property
    def source_sql(self) -> str:
        return str(self.last(events.SourceQueryBuilt).sql)

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, events.Warned)]


class Bench:
    """Two systems and the SQL to fill and read them."""

    def __init__(self, source: ConnectionParameters, destination: ConnectionParameters) -> None:
        self.source, self.destination = source, destination

    def plan(self, query: str, **changes: Any) -> Plan:
        """Return a plan of module `m` into `sync.t`, strategy full unless said otherwise."""
        plan = Plan(
            run=uuid4().hex,
            module="m",
            strategy=Strategy.FULL,
            source=self.source,
            destination=self.destination,
            dest_table=TableName("sync", "t"),
            source_query=query,
        )
        return replace(plan, **changes)

    def run(self, plan: Plan) -> Result:
        """Run under a new run id; errors leave as they are, after the result has been kept as `failed`."""
        self.failed = result = Result()
        for event in sync.run(replace(plan, run=uuid4().hex)):
            result.events.append(event)
        return result

    def at_source(self, *statements: str) -> None:
        _execute(self.source, statements)

    def at_destination(self, *statements: str) -> None:
        _execute(self.destination, statements)

    def rows(self, sql: str = "SELECT * FROM sync.t ORDER BY 1") -> Rows:
        return fetch(self.destination, sql)


def _execute(parameters: ConnectionParameters, statements: Iterable[str]) -> None:
    session = registry.connector(parameters.kind).connect(parameters)
    try:
        for sql in statements:
            session.execute(sql)
    finally:
        session.close()


def fetch(parameters: ConnectionParameters, sql: str) -> Rows:
    session = registry.connector(parameters.kind).connect(parameters)
    try:
        return session.fetch(sql)
    finally:
        session.close()
