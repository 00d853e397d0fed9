"""Runs of groups: the order of the members, parallel members, failures and skipped members."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from connections.models import Connection
from modules.models import Group, Module
from runs.lifecycle.insert import RunRequest
from runs.lifecycle.launch import launch_group_run
from runs.models import Run
from tests.harness.bench import Bench
from tests.harness.blocked_queries import BLOCKING_EXPRESSION, block_queries
from tests.integration.runs.groups.members import BAD, Member, statuses, wait_for_end
from tests.processes.commands import manage, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.matrix]


def test_members_run_in_their_order_after_a_failure_too_and_disabled_ones_are_skipped(
    group: Group, member: Member
) -> None:
    member("last", order=9)
    member("bad", BAD, order=2)
    member("disabled", order=3, enabled=False)
    member("first", order=1)
    done = manage("rungroup", "nightly", "--json")
    assert done.code == 5, done.err
    result = done.json
    assert set(result) >= {"group_run", "group", "status", "runs"}
    assert (result["group"], result["status"]) == ("nightly", "partial")
    assert [(run["module"], run["status"]) for run in result["runs"]] == [
        ("first", "success"),
        ("bad", "error"),
        ("last", "success"),
    ]
    assert result["runs"][1]["error"]["code"] == "table_missing"
    assert result["skipped"] == [{"module": "disabled", "why": "it is disabled"}]
    assert "first: success" in done.err
    runs = list(Run.objects.order_by("pk"))
    assert len(runs) == 3
    assert all(before.finished_at <= after.started_at for before, after in zip(runs, runs[1:], strict=False))  # type: ignore[operator]


def test_a_group_that_stops_on_failure_skips_the_remaining_members(group: Group, member: Member) -> None:
    Group.objects.update(on_failure="stop")
    member("bad", BAD)
    member("never")
    done = manage("rungroup", "nightly", "--json")
    assert (done.code, done.json["status"]) == (1, "error")
    assert [run["module"] for run in done.json["runs"]] == ["bad"]
    assert done.json["skipped"] == [{"module": "never", "why": "a member before it failed"}]


@pytest.mark.matrix
def test_members_of_the_same_order_run_in_parallel_up_to_the_limit(
    group: Group, member: Member, pg_bench: Bench
) -> None:
    Group.objects.update(max_parallel=2)
    for number in range(3):
        member(f"m{number}", f"SELECT 1 AS k, {BLOCKING_EXPRESSION} AS s", order=1)
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
    with psycopg.connect(pg_bench.source.url, autocommit=True) as observer, block_queries(pg_bench.source.url):
        group_run = launch_group_run(Group.objects.get(), RunRequest())
        wait_until(lambda: observer.execute(waiting).fetchone() == (2,))
        # a third run would start within this time
        time.sleep(3)
        assert observer.execute(waiting).fetchone() == (2,)
        assert Run.objects.count() == 2
    assert wait_for_end(group_run).status == "success"
    assert len(statuses(group_run)) == 3


@pytest.mark.matrix
def test_members_wait_while_earlier_runs_use_their_connection_up_to_its_limit(
    group: Group, member: Member, pg_bench: Bench
) -> None:
    Group.objects.update(max_parallel=3)
    for number in range(3):
        member(f"m{number}", f"SELECT 1 AS k, {BLOCKING_EXPRESSION} AS s", order=1)
    Connection.objects.filter(source_modules__isnull=False).update(max_parallel=1)
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
    with psycopg.connect(pg_bench.source.url, autocommit=True) as observer, block_queries(pg_bench.source.url):
        group_run = launch_group_run(Group.objects.get(), RunRequest())
        wait_until(lambda: "max_parallel is 1: runs" in "".join(map(_log_of, Run.objects.order_by("pk")[2:])))
        wait_until(lambda: observer.execute(waiting).fetchone() == (1,))
        # a second transfer would start within this time
        time.sleep(3)
        assert observer.execute(waiting).fetchone() == (1,)
        assert Run.objects.active().count() == 3
    assert wait_for_end(group_run).status == "success"
    assert [status for _, status in statuses(group_run)] == ["success"] * 3


def _log_of(run: Run) -> str:
    return run.log_file.read_text() if run.log_file.exists() else ""


@pytest.mark.matrix
def test_a_dry_run_of_a_group_consists_of_dry_runs(group: Group, member: Member) -> None:
    member("a")
    done = manage("rungroup", "nightly", "--dry-run")
    assert done.code == 0, done.err
    assert "nightly: dry_run" in done.out
    assert [run.status for run in Run.objects.all()] == ["dry_run"]


@pytest.mark.matrix
def test_the_summary_shows_the_warnings_of_members(group: Group, member: Member) -> None:
    module = member("a", "SELECT chr(65) AS k, 1 AS v")
    Module.objects.filter(pk=module.pk).update(merge_strategy="incremental", merge_key="k")
    done = manage("rungroup", "nightly", "--quiet")
    assert "    warning: There is no watermark_column" in done.out


def test_an_unknown_group_gives_exit_code_3_and_a_similar_name(group: Group) -> None:
    done = manage("rungroup", "nightyl")
    assert done.code == 3
    assert "Did you mean “nightly”?" in done.err


def test_a_member_that_cannot_start_has_an_error_and_stops_no_other(
    group: Group, member: Member, save_connection: Any, pg_bench: Bench
) -> None:
    broken = member("broken")
    member("good")
    invalid = save_connection(replace(pg_bench.destination, name="invalid"))
    type(invalid).objects.filter(pk=invalid.pk).update(jdbc_url="nonsense")
    Module.objects.filter(pk=broken.pk).update(dest_connection=invalid)
    done = manage("rungroup", "nightly", "--json")
    assert (done.code, done.json["status"]) == (5, "partial"), done.err
    assert [(run["module"], run["status"]) for run in done.json["runs"]] == [("broken", "error"), ("good", "success")]
    assert done.json["runs"][0]["error"]["code"] == "url_invalid"
