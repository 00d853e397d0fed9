"""The transaction that publishes: its commit record, its claim, and a lost answer to COMMIT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from connections.connectors.postgresql.driver import PostgresqlSession
from connections.sdk.errors import ConnectionLost, Overtaken, Refused
from connections.sdk.schema import Column
from runs.engine.destination import Destination
from runs.engine.events import Published
from runs.engine.plan import Plan
from runs.engine.publish import staging
from runs.engine.publish.commit import CommitKind, find_published, publish_transaction
from tests.harness.bench import Bench

COLUMNS = (Column(dest_name="k", dest_type="integer"),)
INSERT = "INSERT INTO sync.t VALUES (1)"


@pytest.fixture
def plan(bench: Bench) -> Plan:
    """A plan whose run has claimed the staging table."""
    bench.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.t (k integer)")
    plan = bench.plan("SELECT 1 AS k")
    with Destination.open(plan) as dest:
        staging.claim(dest)
    return plan


def publish(plan: Plan, kind: CommitKind = CommitKind.PUBLISH) -> Published:
    with Destination.open(plan) as dest, publish_transaction(dest, kind) as commit:
        if commit.published is None:
            dest.session.execute(INSERT)
            commit.published = Published(inserted=1, updated=0, deleted=0)
    return commit.result


def test_a_run_publishes_once_per_kind(bench: Bench, plan: Plan) -> None:
    assert find_published(plan) is None
    assert not publish(plan).recovered
    assert find_published(plan, CommitKind.KEY_SYNC) is None
    assert publish(plan).recovered
    assert not publish(plan, CommitKind.KEY_SYNC).recovered
    assert bench.rows() == [(1,), (1,)]
    kinds = bench.rows("SELECT kind FROM pipekit_staging.pipekit_commits ORDER BY kind")
    assert kinds == [("key_sync",), ("publish",)]


def test_an_error_in_the_block_leaves_neither_rows_nor_a_record(bench: Bench, plan: Plan) -> None:
    with pytest.raises(Refused), Destination.open(plan) as dest, publish_transaction(dest, CommitKind.PUBLISH):
        dest.session.execute(INSERT)
        raise Refused("Too many rows.")
    assert bench.rows() == []
    assert find_published(plan) is None


def test_a_run_that_was_overtaken_by_a_later_one_executes_nothing(bench: Bench, plan: Plan) -> None:
    with Destination.open(replace(plan, run="later")) as dest:
        staging.claim(dest)
    with pytest.raises(Overtaken):
        publish(plan)
    assert bench.rows() == []


@pytest.mark.parametrize("is_committed", [True, False])
def test_the_commit_record_decides_when_the_answer_to_commit_is_lost(
    bench: Bench, plan: Plan, is_committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    transaction = PostgresqlSession.transaction

    @contextmanager
    def without_answer(session: PostgresqlSession) -> Iterator[None]:
        monkeypatch.setattr(PostgresqlSession, "transaction", transaction)
        with transaction(session):
            yield
            if not is_committed:
                raise ConnectionLost("Gone.")
        raise ConnectionLost("Gone.")

    monkeypatch.setattr(PostgresqlSession, "transaction", without_answer)
    if is_committed:
        assert publish(plan).recovered
    else:
        with pytest.raises(ConnectionLost):
            publish(plan)
    assert bench.rows() == [(1,)] * is_committed


@pytest.mark.parametrize("is_published", [True, False])
def test_a_connection_that_is_lost_at_begin_leaves_what_the_run_committed_before(
    bench: Bench, plan: Plan, is_published: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_published:
        publish(plan)
    transaction = PostgresqlSession.transaction

    @contextmanager
    def lost_at_begin(session: PostgresqlSession) -> Iterator[None]:
        monkeypatch.setattr(PostgresqlSession, "transaction", transaction)
        raise ConnectionLost("Gone.")
        yield

    monkeypatch.setattr(PostgresqlSession, "transaction", lost_at_begin)
    if is_published:
        assert publish(plan).recovered
    else:
        with pytest.raises(ConnectionLost):
            publish(plan)
    assert bench.rows() == [(1,)] * is_published
