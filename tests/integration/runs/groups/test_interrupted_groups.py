"""Group runs that are cancelled, killed, started twice, or whose members change or run already."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from django.db import connection

from connections.sdk.errors import AlreadyRunning, ConnectionFailed
from modules.models import Group, Module
from runs.lifecycle import groups, signals
from runs.lifecycle.cancel import CancelResult, stop_execution
from runs.lifecycle.groups import execute_group_run
from runs.lifecycle.insert import RunRequest, insert_failed_run
from runs.lifecycle.launch import launch_group_run
from runs.lifecycle.reap import reap_all
from runs.models import GroupRun, Run
from tests.harness.bench import Bench
from tests.harness.blocked_queries import BLOCKING_EXPRESSION, block_queries
from tests.integration.runs.groups.members import BAD, GOOD, Member, statuses, wait_for_end
from tests.processes.commands import alive, backends, manage, start, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.matrix]


@contextmanager
def locked_metadata() -> Iterator[None]:
    """Hold the write lock of the metadata's SQLite file."""
    with sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None) as locker:
        locker.execute("BEGIN IMMEDIATE")
        yield
        locker.execute("ROLLBACK")


SLOW = "SELECT 1 AS k, pg_sleep(600)::text AS s"


def transferring(group_run: GroupRun, runs: int = 1) -> Callable[[], bool]:
    """Return a function that returns whether so many of its runs have started their transfer."""
    return lambda: sum("transfer ..." in run.log_file.read_text() for run in group_run.runs.all() if run.steps) == runs


def test_a_group_has_one_run_at_a_time(group: Group, member: Member) -> None:
    member("slow", SLOW)
    group_run = launch_group_run(group, RunRequest())
    with pytest.raises(AlreadyRunning) as refused:
        launch_group_run(group, RunRequest())
    assert refused.value.detail == str(group_run.pk)
    done = manage("rungroup", "nightly")
    assert done.code == 4
    assert f"its run {group_run.pk} is" in done.err
    assert stop_execution(group_run) is CancelResult.CANCELLED


@pytest.mark.matrix
def test_cancelling_a_group_run_ends_every_member_and_starts_no_more(
    group: Group, member: Member, pg_bench: Bench
) -> None:
    Group.objects.update(max_parallel=2)
    member("a", SLOW, order=1)
    member("b", SLOW, order=1)
    member("never", order=2)
    group_run = launch_group_run(Group.objects.get(), RunRequest(trigger="api"))
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
    group_run = launch_group_run(group, RunRequest())
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
        group_run = launch_group_run(group, RunRequest())
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
        group_run = launch_group_run(group, RunRequest())
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


def test_the_error_of_a_group_run_and_of_a_member_that_cannot_start_has_no_secrets(
    group: Group, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "jdbc:x password=geheim99"

    def fail(*args: object) -> None:
        raise RuntimeError(secret)

    monkeypatch.setattr(groups, "_members", fail)
    group_run = GroupRun.objects.create(group=group, group_name=group.name, status="running")
    with signals.as_interrupt():
        execute_group_run(group_run)
    refused = insert_failed_run(member("a"), RunRequest(), ConnectionFailed(secret))
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
        group_run = launch_group_run(group, RunRequest())
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
    group_run = launch_group_run(group, RunRequest())
    wait_until(transferring(group_run))
    group_run.refresh_from_db()
    os.kill(group_run.pid or 0, signal.SIGKILL)
    wait_until(lambda: not alive(group_run.pid))
    with pytest.raises(AlreadyRunning):
        launch_group_run(group, RunRequest())
    (run,) = group_run.runs.all()
    os.kill(run.pid or 0, signal.SIGKILL)
    wait_until(lambda: not alive(run.pid))
    # launching finalizes both, without a tick
    Module.objects.update(source_query=GOOD)
    again = launch_group_run(group, RunRequest())
    group_run.refresh_from_db()
    run.refresh_from_db()
    assert (group_run.status, (run.error or {})["code"]) == ("error", "lost")
    assert wait_for_end(again).status == "success", again.error
    assert Run.objects.count() == 2
