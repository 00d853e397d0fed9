"""Runs of groups: the order of the members, parallel members, failures, cancels and processes that die."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import psycopg
import pytest
from django.db import connection

from connections.models import Connection
from connections.sdk.errors import AlreadyRunning, ConnectionFailed
from modules.models import Group, GroupMember, Module
from runs.lifecycle import cancel, claim, groups, signals
from runs.lifecycle.cancel import CancelResult
from runs.lifecycle.launch import launch_group
from runs.lifecycle.reap import reap_all
from runs.models import GroupRun, Run
from tests.benches.bench import Bench
from tests.benches.blocked_queries import BLOCKING_EXPRESSION, block_queries
from tests.processes.commands import alive, backends, manage, start, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.matrix]
Member = Callable[..., Module]
GOOD, BAD = "SELECT 1 AS k", "SELECT k FROM nothere"


@pytest.fixture
def group(pg_bench: Bench, db: None) -> Group:
    return Group.objects.create(name="nightly")


@pytest.fixture
def member(group: Group, pg_bench: Bench, save_module: Any, save_connection: Any) -> Iterator[Member]:
    """Return a function that adds a module to the group, by default after those before it."""
    numbers = count(1)
    source = save_connection(pg_bench.source)

    def add(name: str, query: str = GOOD, *, order: int | None = None, **fields: Any) -> Module:
        module: Module = save_module(name, query, source=source, **fields)
        GroupMember.objects.create(group=group, module=module, run_order=order or next(numbers))
        return module

    yield add


def statuses(group_run: GroupRun) -> list[tuple[str, str]]:
    """Return the module and the status of each run, in the order of their creation."""
    return list(group_run.runs.order_by("pk").values_list("module_name", "status"))


def wait_for_end(group_run: GroupRun) -> GroupRun:
    def is_final() -> bool:
        group_run.refresh_from_db()
        return group_run.is_final

    wait_until(is_final)
    return group_run


@contextmanager
def locked_metadata() -> Iterator[None]:
    """Hold the write lock of the metadata's SQLite file."""
    with sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None) as locker:
        locker.execute("BEGIN IMMEDIATE")
        yield
        locker.execute("ROLLBACK")


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
        group_run = launch_group(Group.objects.get())
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
        group_run = launch_group(Group.objects.get())
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


SLOW = "SELECT 1 AS k, pg_sleep(600)::text AS s"


def transferring(group_run: GroupRun, runs: int = 1) -> Callable[[], bool]:
    """Return a function that returns whether so many of its runs have started their transfer."""
    return lambda: sum("transfer ..." in run.log_file.read_text() for run in group_run.runs.all() if run.steps) == runs


def test_a_group_has_one_run_at_a_time(group: Group, member: Member) -> None:
    member("slow", SLOW)
    group_run = launch_group(group)
    with pytest.raises(AlreadyRunning) as refused:
        launch_group(group)
    assert refused.value.detail == str(group_run.pk)
    done = manage("rungroup", "nightly")
    assert done.code == 4
    assert f"its run {group_run.pk} is" in done.err
    assert cancel.stop(group_run) is CancelResult.CANCELLED


@pytest.mark.matrix
def test_cancelling_a_group_run_ends_every_member_and_starts_no_more(
    group: Group, member: Member, pg_bench: Bench
) -> None:
    Group.objects.update(max_parallel=2)
    member("a", SLOW, order=1)
    member("b", SLOW, order=1)
    member("never", order=2)
    group_run = launch_group(Group.objects.get(), trigger="api")
    wait_until(transferring(group_run, 2))
    done = manage("cancelrun", "--group-run", str(group_run.pk))
    assert (done.code, done.out.strip()) == (0, f"group run {group_run.pk}: cancelled"), done.err
    group_run.refresh_from_db()
    assert statuses(group_run) == [("a", "cancelled"), ("b", "cancelled")]
    assert group_run.skipped == [{"module": "never", "why": "the group run was cancelled"}]
    wait_until(lambda: not backends(pg_bench.source.url) and not backends(pg_bench.destination.url))
    wait_until(lambda: not alive(group_run.pid))
    # it saw the request by itself: no signal was needed
    assert "cancel: still running" not in group_run.log_file.read_text()


@pytest.mark.matrix
def test_one_signal_to_the_process_of_a_group_run_cancels_it(group: Group, member: Member) -> None:
    member("a", SLOW)
    member("never")
    group_run = launch_group(group)
    wait_until(transferring(group_run))
    group_run.refresh_from_db()
    os.kill(group_run.pid or 0, signal.SIGTERM)
    assert wait_for_end(group_run).status == "cancelled"
    assert statuses(group_run) == [("a", "cancelled")]
    assert group_run.skipped == [{"module": "never", "why": "the group run was cancelled"}]


@pytest.mark.matrix
def test_ctrl_c_on_the_terminal_cancels_the_group_run(group: Group, member: Member) -> None:
    member("a", SLOW)
    process = start("rungroup", "nightly", "--json")
    wait_until(GroupRun.objects.exists)
    wait_until(transferring(GroupRun.objects.get()))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert '"status": "cancelled"' in out
    assert statuses(GroupRun.objects.get()) == [("a", "cancelled")]


@pytest.mark.matrix
def test_a_member_that_is_already_running_counts_as_failed(group: Group, member: Member) -> None:
    member("busy", SLOW)
    member("other")
    process = start("runmodule", "busy", "--json")
    wait_until(Run.objects.exists)
    done = manage("rungroup", "nightly", "--json")
    assert (done.code, done.json["status"]) == (5, "partial")
    refused = done.json["runs"][0]
    assert (refused["module"], refused["status"], refused["error"]["code"]) == ("busy", "error", "already_running")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)


@pytest.mark.matrix
def test_a_group_run_whose_process_was_killed_is_finalized_once_its_members_have_ended(
    group: Group, member: Member, pg_bench: Bench
) -> None:
    member("a", f"SELECT 1 AS k, {BLOCKING_EXPRESSION} AS s")
    member("never")
    with block_queries(pg_bench.source.url):
        group_run = launch_group(group)
        wait_until(transferring(group_run))
        group_run.refresh_from_db()
        os.kill(group_run.pid or 0, signal.SIGKILL)
        wait_until(lambda: not alive(group_run.pid))
        reap_all()
        assert not GroupRun.objects.get().is_final
    # the member has a process of its own and continues
    wait_until(lambda: statuses(group_run) == [("a", "success")])
    reap_all()
    group_run.refresh_from_db()
    assert (group_run.status, (group_run.error or {})["code"]) == ("partial", "lost")
    assert "never" in (group_run.error or {})["message"]
    assert pg_bench.rows("SELECT k FROM sync.a") == [(1,)]


def test_a_member_that_is_disabled_or_deleted_while_the_group_runs_is_skipped(
    group: Group, member: Member, pg_bench: Bench
) -> None:
    slow, disabled, deleted, changed = (
        member("slow", f"SELECT 1 AS k, {BLOCKING_EXPRESSION} AS s"),
        member("disabled"),
        member("deleted"),
        member("changed", BAD),
    )
    with block_queries(pg_bench.source.url):
        group_run = launch_group(group)
        wait_until(transferring(group_run))
        Module.objects.filter(pk=disabled.pk).update(enabled=False)
        deleted.delete()
        Module.objects.filter(pk=changed.pk).update(source_query=GOOD)
    assert wait_for_end(group_run).status == "success", group_run.error
    assert statuses(group_run) == [("slow", "success"), ("changed", "success")]
    assert group_run.skipped == [
        {"module": "disabled", "why": "it is disabled"},
        {"module": "deleted", "why": "it was deleted"},
    ]
    assert not slow.runs.active().exists()


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


def test_the_error_of_a_group_run_and_of_a_member_that_cannot_start_has_no_secrets(
    group: Group, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "jdbc:x password=geheim99"

    def fail(*args: Any) -> Any:
        raise RuntimeError(secret)

    monkeypatch.setattr(groups, "_members", fail)
    group_run = GroupRun.objects.create(group=group, group_name=group.name, status="running")
    with signals.as_interrupt():
        groups.execute_group(group_run)
    refused = claim.refuse(member("a"), claim.Request(), ConnectionFailed(secret))
    for row in (GroupRun.objects.get(), Run.objects.get(pk=refused.pk)):
        assert "password=***" in (row.error or {})["message"]
    assert "geheim99" not in group_run.log_file.read_text()


@pytest.mark.sqlite_metadata
def test_a_group_run_succeeds_though_the_metadata_is_locked_for_34_seconds(
    group: Group, member: Member, pg_bench: Bench
) -> None:
    member("a", f"SELECT 1 AS k, {BLOCKING_EXPRESSION} AS s")
    member("b")
    with ExitStack() as gate:
        gate.enter_context(block_queries(pg_bench.source.url))
        group_run = launch_group(group)
        wait_until(transferring(group_run))
        with locked_metadata():
            gate.close()
            # meanwhile the run tries to record its end, and the group its next member
            time.sleep(34)
    wait_until(lambda: GroupRun.objects.get().is_final, seconds=180)
    assert wait_for_end(group_run).status == "success", group_run.error
    assert statuses(group_run) == [("a", "success"), ("b", "success")]
    assert pg_bench.rows("SELECT count(*) FROM sync.a") == [(1,)]


def test_a_group_cannot_start_again_while_a_member_of_its_killed_run_is_still_running(
    group: Group, member: Member, pg_bench: Bench
) -> None:
    member("a", SLOW)
    group_run = launch_group(group)
    wait_until(transferring(group_run))
    group_run.refresh_from_db()
    os.kill(group_run.pid or 0, signal.SIGKILL)
    wait_until(lambda: not alive(group_run.pid))
    with pytest.raises(AlreadyRunning):
        launch_group(group)
    (run,) = group_run.runs.all()
    os.kill(run.pid or 0, signal.SIGKILL)
    wait_until(lambda: not alive(run.pid))
    # launching finalizes both, without a tick
    Module.objects.update(source_query=GOOD)
    again = launch_group(group)
    group_run.refresh_from_db()
    run.refresh_from_db()
    assert (group_run.status, (run.error or {})["code"]) == ("error", "lost")
    assert wait_for_end(again).status == "success", again.error
    assert Run.objects.count() == 2
