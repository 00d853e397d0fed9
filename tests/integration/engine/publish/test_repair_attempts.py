"""A repair that an attempt left half done: what is extra is told from what was read, and from nothing else."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from connections.sdk.errors import CountMismatch, LockTimeout
from runs.engine import retry, sync
from runs.engine.checks import StagingChanged
from runs.engine.plan import Hook, Plan, Repair, RunOn, Strategy
from runs.engine.publish import repair as repairing
from tests.benches.bench import Bench

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


def test_an_attempt_after_the_publish_deletes_nothing_and_says_so(
    pg_bench: Bench, repair: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> None:
        raise LockTimeout("Somebody holds the table.")

    monkeypatch.setattr(repairing, "_delete_in_transaction", locked)
    with pytest.raises(CountMismatch, match="extra") as failed:
        list(retry.run(repair, retry.Policy(delay=0), still_ours=lambda: True))
    assert "--repair" in failed.value.hint
    assert pg_bench.rows("SELECT count(*), max(v) FROM sync.t") == [(30, "x")]


def test_an_attempt_after_the_deletion_only_runs_the_hooks(pg_bench: Bench, repair: Plan) -> None:
    list(sync.attempt(repair))
    pg_bench.at_destination("INSERT INTO sync.t VALUES (31, 'later')")
    hook = Hook(sql="DELETE FROM sync.t WHERE id = 31", run_on=RunOn.SUCCESS, connection=repair.destination)
    list(sync.resume(replace(repair, hooks=(hook,))))
    assert pg_bench.rows("SELECT count(*) FROM sync.t") == [(29,)]


def test_nothing_is_extra_when_staging_was_emptied_meanwhile(
    pg_bench: Bench, repair: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced = replace(repair, force=True)

    def restart(name: str) -> None:
        if name == "reconcile.started":
            # as a crash of the server does with an unlogged table
            pg_bench.at_destination("TRUNCATE pipekit_staging.m")

    monkeypatch.setattr(sync, "point", restart)
    with pytest.raises(StagingChanged):
        list(sync.run(forced))
    assert pg_bench.rows("SELECT count(*) FROM sync.t") == [(30,)]


def test_the_extra_row_is_deleted_when_nothing_came_between(pg_bench: Bench, repair: Plan) -> None:
    list(sync.run(repair))
    assert pg_bench.rows("SELECT count(*), max(v) FROM sync.t") == [(29, "x")]
