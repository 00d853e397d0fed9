"""The answer to a COMMIT that succeeded is lost: its statements and warnings are yielded all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from connections.connectors.postgresql.driver import PostgresqlSession
from connections.sdk.errors import ConnectionLost
from runs.engine import control_tables, events
from runs.engine.plan import Plan, Repair, Strategy
from runs.engine.publish.commit import CommitKind
from tests.harness.bench import Bench
from tests.integration.engine.publish.numbers import QUERY, plan_for

pytestmark = pytest.mark.usefixtures("transfer_in_process")


@pytest.fixture
def lose_answer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes the next COMMIT of a transaction of this kind lose its answer."""
    armed: list[bool] = []
    transaction, write_commit = PostgresqlSession.transaction, control_tables.write_commit

    @contextmanager
    def without_answer(session: PostgresqlSession) -> Iterator[None]:
        with transaction(session):
            yield
        if armed:
            armed.clear()
            raise ConnectionLost("Gone.")

    monkeypatch.setattr(PostgresqlSession, "transaction", without_answer)

    def lose(kind: CommitKind) -> None:
        def write(*arguments: Any, **options: Any) -> None:
            write_commit(*arguments, **options)
            if options["kind"] == kind:
                armed.append(True)

        monkeypatch.setattr(control_tables, "write_commit", write)

    return lose


def sql_and_warnings(bench: Bench, plan: Plan) -> tuple[list[str], list[str]]:
    result = bench.run(plan)
    return [each.sql for each in result.events if isinstance(each, events.MergeSqlBuilt)], result.warnings


@pytest.mark.parametrize("kind", [CommitKind.PUBLISH, CommitKind.KEY_SYNC, CommitKind.REPAIR])
def test_the_statements_and_warnings_of_a_commit_whose_answer_was_lost_are_yielded(
    numbers: Bench, lose_answer: Any, kind: CommitKind
) -> None:
    if kind is CommitKind.PUBLISH:
        plan = numbers.plan(QUERY, force=True)
    else:
        changes = {"key_sync": True} if kind is CommitKind.KEY_SYNC else {"repair": Repair()}
        plan = plan_for(numbers, Strategy.UPSERT, force=True, **changes)
    numbers.run(plan_for(numbers, Strategy.UPSERT))
    numbers.at_source("DELETE FROM s WHERE k > 20")
    lose_answer(kind)
    sql, warnings = sql_and_warnings(numbers, plan)
    assert len(sql) == (1 if kind is CommitKind.PUBLISH else 2)
    assert any("forced" in warning for warning in warnings)
    assert numbers.rows("SELECT count(*) FROM sync.t") == [(20,)]
