"""A source and a destination for engine tests: executes SQL on both and runs plans between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from runs.engine import events
from runs.engine.plan import Plan, Strategy
from runs.engine.retry import RetryPolicy
from runs.engine.sync import execute_plan
from tests.harness.kept_sessions import session_for

Rows = list[tuple[Any, ...]]


def retry_policy(**changes: Any) -> RetryPolicy:
    """Return the policy of a module whose fields have their defaults, with these changes."""
    return replace(RetryPolicy(max_retries=3, delay=5, max_delay=900, exponential=True, timeout=3600), **changes)


@dataclass
class Result:
    """The events of a run."""

    events: list[events.Event] = field(default_factory=list)

    def last(self, kind: type[Any]) -> Any:
        """Return the last event of this class."""
        return next(event for event in reversed(self.events) if isinstance(event, kind))

    @property
    def counts(self) -> tuple[int | None, int | None, int | None]:
        """Numbers of rows that the publish has inserted, updated and deleted."""
        published = self.last(events.Published)
        return published.inserted, published.updated, published.deleted

    @property
    def source_sql(self) -> str:
        return str(self.last(events.SourceQueryBuilt).sql)

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, events.Warned)]


class Bench:
    """A source and a destination."""

    def __init__(self, source: ConnectionParameters, destination: ConnectionParameters) -> None:
        self.source, self.destination = source, destination

    def plan(self, query: str, **changes: Any) -> Plan:
        """Return a plan of module `m` into `sync.t`, by default with the strategy full."""
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
        """Execute the plan with a new run id. If it raises an error, the result so far is in ``failed``."""
        self.failed = result = Result()
        for event in execute_plan(replace(plan, run=uuid4().hex)):
            result.events.append(event)
        return result

    def at_source(self, *statements: str) -> None:
        _execute(self.source, statements)

    def at_destination(self, *statements: str) -> None:
        _execute(self.destination, statements)

    def rows(self, sql: str = "SELECT * FROM sync.t ORDER BY 1") -> Rows:
        return fetch(self.destination, sql)


def _execute(parameters: ConnectionParameters, statements: Iterable[str]) -> None:
    with session_for(parameters) as session:
        for sql in statements:
            session.execute(sql)


def fetch(parameters: ConnectionParameters, sql: str) -> Rows:
    with session_for(parameters) as session:
        return session.fetch(sql)
