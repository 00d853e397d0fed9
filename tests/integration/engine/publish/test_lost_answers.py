"""The answer to a COMMIT that succeeded is lost: its statements and warnings are yielded all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from connections.connectors.postgresql.driver import PostgresqlSession
from connections.sdk.errors import ConnectionFailed, ConnectionLost
from runs.engine import control_tables, events, sync
from runs.engine.plan import FullPublish, Plan, Repair, Strategy
from runs.engine.publish import commit
from runs.engine.publish.commit import CommitKind, find_published
from runs.engine.retry import run_with_retries
from runs.lifecycle.record import Recorder
from runs.models import Run
from tests.factories import RunFactory
from tests.harness.bench import Bench, retry_policy
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


@pytest.mark.default_cases(1)
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


def unreachable_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first look for a commit record after a lost answer fail."""
    failed: list[bool] = []

    def find(plan: Plan, kind: CommitKind = CommitKind.PUBLISH) -> events.Published | None:
        if not failed:
            failed.append(True)
            raise ConnectionFailed("Closed.")
        return find_published(plan, kind)

    monkeypatch.setattr(commit, "find_published", find)


@pytest.mark.django_db
@pytest.mark.parametrize("kind", [CommitKind.PUBLISH, CommitKind.KEY_SYNC])
def test_a_run_has_the_statements_and_warnings_of_the_attempt_whose_commit_a_retry_finds(
    numbers: Bench, lose_answer: Any, monkeypatch: pytest.MonkeyPatch, kind: CommitKind
) -> None:
    changes: dict[str, Any] = {"key_sync": True} if kind is CommitKind.KEY_SYNC else {"strategy": Strategy.FULL}
    changes |= {"full_publish": FullPublish.TRUNCATE, "force": True}
    plan = plan_for(numbers, **{"strategy": Strategy.UPSERT, **changes})
    numbers.run(plan_for(numbers, Strategy.UPSERT))
    numbers.at_source("DELETE FROM s WHERE k > 20")
    lose_answer(kind)
    unreachable_once(monkeypatch)
    run = RunFactory.create(status="running", pid=1, log_path="runs/lost-answer.log")
    with Recorder(run) as recorder:
        for event in run_with_retries(plan, retry_policy(delay=0), must_stop=lambda: False):
            recorder.record(event)
    stored = Run.objects.get()
    assert (stored.status, stored.attempt, stored.deleted) == ("success", 2, 80 if kind != "publish" else 100)
    assert stored.merge_sql.count("DELETE") + stored.merge_sql.count("TRUNCATE") == 1
    assert sum("forced" in warning for warning in stored.warnings) == 1
    assert numbers.rows("SELECT count(*) FROM sync.t") == [(20,)]


@pytest.mark.django_db
def test_a_repair_that_fails_with_an_unknown_result_has_its_statements_and_warnings(
    numbers: Bench, lose_answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers.run(plan_for(numbers, Strategy.UPSERT))
    numbers.at_source("DELETE FROM s WHERE k > 20")
    lose_answer(CommitKind.REPAIR)
    unreachable_once(monkeypatch)
    run = RunFactory.create(status="running", pid=1, log_path="runs/lost-repair.log")
    with Recorder(run) as recorder:
        for event in sync.execute_plan(plan_for(numbers, Strategy.UPSERT, force=True, repair=Repair())):
            recorder.record(event)
    stored = Run.objects.get()
    assert stored.status == "error"
    assert "Whether it was committed is not known" in (stored.error or {})["message"]
    assert "DELETE" in stored.merge_sql
    assert any("forced" in warning for warning in stored.warnings)
