"""A repair deletes the extra rows, those missing from what was read, in one attempt: it is never resumed."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from runs.engine import sync
from runs.engine.plan import Plan, Repair, Strategy
from runs.engine.publish.checks import StagingChanged
from tests.harness.bench import Bench

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


def test_a_repair_cannot_be_resumed(pg_bench: Bench, repair: Plan) -> None:
    list(sync.attempt(repair))
    pg_bench.at_destination("INSERT INTO sync.t VALUES (31, 'later')")
    with pytest.raises(AssertionError, match="a repair is not retried"):
        list(sync.resume(repair, succeeded=()))
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
        list(sync.execute_plan(forced))
    assert pg_bench.rows("SELECT count(*) FROM sync.t") == [(30,)]


def test_an_undisturbed_repair_deletes_the_extra_row(pg_bench: Bench, repair: Plan) -> None:
    list(sync.execute_plan(repair))
    assert pg_bench.rows("SELECT count(*), max(v) FROM sync.t") == [(29, "x")]
