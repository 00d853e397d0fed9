"""Attempts of a repair that an earlier attempt left unfinished: extra rows are those missing from what was read."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from connections.sdk.errors import CountMismatch, LockTimeout
from runs.engine import sync
from runs.engine.plan import Plan, Repair, Strategy
from runs.engine.publish import delete_extra as repairing
from runs.engine.publish.checks import StagingChanged
from runs.engine.retry import run_with_retries
from tests.harness.bench import Bench, retry_policy

pytestmark = pytest.mark.usefixtures("transfer_in_process")


@pytest.fixture
def repair(pg_bench: Bench) -> Plan:
    """A repair of thirty rows, of which one differs and one is extra."""
    pg_bench.at_source(
        "CREATE TABLE s (id int PRIMARY KEY, v text)", "INSERT INTO s SELECT n, 'x' FROM generate_series(1, 29) n"
    )
    pg_bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (id int PRIMARY KEY, v text)",
        "INSERT INTO sync.t SELECT n, CASE n WHEN 1 THEN 'old' ELSE 'x' END FROM generate_series(1, 30) n",
    )
    plan = pg_bench.plan("SELECT id, v FROM s", strategy=Strategy.UPSERT, merge_key=("id",), repair=Repair())
    return replace(plan, run=uuid4().hex)


def test_an_attempt_after_the_publish_deletes_nothing_and_fails_with_a_hint(
    pg_bench: Bench, repair: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_lock_timeout(*_: object) -> None:
        raise LockTimeout("The table is locked.")

    monkeypatch.setattr(repairing, "_delete_in_transaction", raise_lock_timeout)
    with pytest.raises(CountMismatch, match="extra") as caught:
        list(run_with_retries(repair, retry_policy(delay=0), still_ours=lambda: True))
    assert "--repair" in caught.value.hint
    assert pg_bench.rows("SELECT count(*), max(v) FROM sync.t") == [(30, "x")]


def test_a_repair_is_not_resumed_after_the_deletion_either(pg_bench: Bench, repair: Plan) -> None:
    list(sync.attempt(repair))
    pg_bench.at_destination("INSERT INTO sync.t VALUES (31, 'later')")
    with pytest.raises(CountMismatch, match="whether extra rows were deleted is not known"):
        list(sync.resume(repair))
    assert pg_bench.rows("SELECT count(*), max(id) FROM sync.t") == [(30, 31)]


def test_nothing_is_deleted_if_staging_was_truncated_before(
    pg_bench: Bench, repair: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced = replace(repair, force=True)

    def truncate_staging(name: str) -> None:
        if name == "reconcile.started":
            # a crash of the server truncates an unlogged table
            pg_bench.at_destination("TRUNCATE pipekit_staging.m")

    monkeypatch.setattr(sync, "point", truncate_staging)
    with pytest.raises(StagingChanged):
        list(sync.run(forced))
    assert pg_bench.rows("SELECT count(*) FROM sync.t") == [(30,)]


def test_an_undisturbed_repair_deletes_the_extra_row(pg_bench: Bench, repair: Plan) -> None:
    list(sync.run(repair))
    assert pg_bench.rows("SELECT count(*), max(v) FROM sync.t") == [(29, "x")]
