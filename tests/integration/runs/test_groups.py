"""A group's run: members in their order, side by side where the order is the same, on past failures or not."""

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

from connections.sdk.errors import AlreadyRunning
from modules.models import Group, GroupMember, Module
from runs.lifecycle import cancel
from runs.lifecycle.cancel import CancelResult
from runs.lifecycle.launch import launch_group
from runs.lifecycle.reap import reap_all
from runs.models import GroupRun, Run
from tests.benches.bench import Bench
from tests.benches.gates import GATE, closed_gate
from tests.processes.commands import alive, backends, manage, start, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.matrix]
Member = Callable[..., Module]
GOOD, BAD = "SELECT 1 AS k", "SELECT k FROM nothere"


@pytest.fixture
def group(pg_bench: Bench, db: None) -> Group:
    return Group.objects.create(name="nightly")


@pytest.fixture
def member(group: Group, pg_bench: Bench, save_module: Any, save_connection: Any) -> Iterator[Member]:
    """Add a module to the group; order 1, 2, 3, ... unless said otherwise."""
    numbers = count(1)
    source = save_connection(pg_bench.source)

    def add(name: str, query: str = GOOD, *, order: int | None = None, **fields: Any) -> Module:
        module: Module = save_module(name, query, source=source, **fields)
        GroupMember.objects.create(group=group, module=module, run_order=order or next(numbers))
        return module

    yield add


def ran(group_run: GroupRun) -> list[tuple[str, str]]:
    return list(group_run.runs.order_by("pk").values_list("module_name", "status"))


def wait(group_run: GroupRun) -> GroupRun:
    def over() -> bool:
        group_run.refresh_from_db()
        return group_run.is_final

    wait_until(over)
    return group_run


@contextmanager
def locked_metadata() -> Iterator[None]:
    """Keep everybody else from writing to the SQLite file of the metadata."""
    with sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None) as locker:
        locker.execute("BEGIN IMMEDIATE")
        yield
        locker.execute("ROLLBACK")


def test_members_run_in_their_order_past_a_failure_and_disabled_ones_are_skipped(group: Group, member: Member) -> None:
    member("last", order=9)
    member("bad", BAD, order=2)
    member("off", order=3, enabled=False)
    member("first", order=1)
    done = manage("rungroup", "nightly", "--json")
    assert done.code == 5, done.err
    found = done.json
    assert set(found) >= {"group_run", "group", "status", "runs"}
    assert (found["group"], found["status"]) == ("nightly", "partial")
    assert [(run["module"], run["status"]) for run in found["runs"]] == [
        ("first", "success"),
        ("bad", "error"),
        ("last", "success"),
    ]
    assert found["runs"][1]["error"]["code"] == "table_missing"
    assert found["skipped"] == [{"module": "off", "why": "it is disabled"}]
    assert "first: success" in done.err
    runs = list(Run.objects.order_by("pk"))
    assert len(runs) == 3
    assert all(before.finished_at <= after.started_at for before, after in zip(runs, runs[1:], strict=False))  # type: ignore[operator]


def test_a_group_that_stops_on_failure_runs_no_more(group: Group, member: Member) -> None:
    Group.objects.update(on_failure="stop")
    member("bad", BAD)
    member("never")
    done = manage("rungroup", "nightly", "--json")
    assert (done.code, done.json["status"]) == (1, "error")
    assert [run["module"] for run in done.json["runs"]] == ["bad"]
    assert done.json["skipped"] == [{"module": "never", "why": "a member before it failed"}]


@pytest.mark.matrix
def test_the_same_order_runs_side_by_side_up_to_the_limit(group: Group, member: Member, pg_bench: Bench) -> None:
    Group.objects.update(max_parallel=2)
    for number in range(3):
        member(f"m{number}", f"SELECT 1 AS k, {GATE} AS s", order=1)
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
    with psycopg.connect(pg_bench.source.url, autocommit=True) as looking, closed_gate(pg_bench.source.url):
        group_run = launch_group(Group.objects.get())
        wait_until(lambda: looking.execute(waiting).fetchone() == (2,))
        # a third would come within this time, if it came
        time.sleep(3)
        assert looking.execute(waiting).fetchone() == (2,)
        assert Run.objects.count() == 2
    assert wait(group_run).status == "success"
    assert len(ran(group_run)) == 3


@pytest.mark.matrix
def test_a_dry_run_of_a_group_is_one(group: Group, member: Member) -> None:
    member("a")
    done = manage("rungroup", "nightly", "--dry-run")
    assert done.code == 0, done.err
    assert "nightly: dry_run" in done.out
    assert [run.status for run in Run.objects.all()] == ["dry_run"]


@pytest.mark.matrix
def test_warnings_of_members_stand_in_the_summary(group: Group, member: Member) -> None:
    module = member("a", "SELECT chr(65) AS k, 1 AS v")
    Module.objects.filter(pk=module.pk).update(merge_strategy="incremental", merge_key="k")
    done = manage("rungroup", "nightly", "--quiet")
    assert "    warning: There is no watermark_column" in done.out


def test_an_unknown_group_is_exit_code_3(group: Group) -> None:
    done = manage("rungroup", "nightyl")
    assert done.code == 3
    assert "Did you mean “nightly”?" in done.err


SLOW = "SELECT 1 AS k, pg_sleep(600)::text AS s"


def moving(group_run: GroupRun, many: int = 1) -> Callable[[], bool]:
    """Whether so many of its runs are in the middle of their transfer."""
    return lambda: sum("transfer ..." in run.log_file.read_text() for run in group_run.runs.all() if run.steps) == many


def test_one_run_of_a_group_at_a_time(group: Group, member: Member) -> None:
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
def test_a_cancel_ends_every_member_and_starts_no_more(group: Group, member: Member, pg_bench: Bench) -> None:
    Group.objects.update(max_parallel=2)
    member("a", SLOW, order=1)
    member("b", SLOW, order=1)
    member("never", order=2)
    group_run = launch_group(Group.objects.get(), trigger="api")
    wait_until(moving(group_run, 2))
    done = manage("cancelrun", "--group-run", str(group_run.pk))
    assert (done.code, done.out.strip()) == (0, f"group run {group_run.pk}: cancelled"), done.err
    group_run.refresh_from_db()
    assert ran(group_run) == [("a", "cancelled"), ("b", "cancelled")]
    assert group_run.skipped == [{"module": "never", "why": "the group run was cancelled"}]
    wait_until(lambda: not backends(pg_bench.source.url) and not backends(pg_bench.destination.url))
    wait_until(lambda: not alive(group_run.pid))


@pytest.mark.matrix
def test_ctrl_c_at_the_terminal_cancels_the_group(group: Group, member: Member) -> None:
    member("a", SLOW)
    process = start("rungroup", "nightly", "--json")
    wait_until(GroupRun.objects.exists)
    wait_until(moving(GroupRun.objects.get()))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert '"status": "cancelled"' in out
    assert ran(GroupRun.objects.get()) == [("a", "cancelled")]


@pytest.mark.matrix
def test_a_member_that_runs_elsewhere_counts_as_failed(group: Group, member: Member) -> None:
    member("busy", SLOW)
    member("other")
    elsewhere = start("runmodule", "busy", "--json")
    wait_until(Run.objects.exists)
    done = manage("rungroup", "nightly", "--json")
    assert (done.code, done.json["status"]) == (5, "partial")
    refused = done.json["runs"][0]
    assert (refused["module"], refused["status"], refused["error"]["code"]) == ("busy", "error", "already_running")
    elsewhere.send_signal(signal.SIGTERM)
    elsewhere.communicate(timeout=120)


@pytest.mark.matrix
def test_a_group_whose_process_was_killed_is_settled_when_its_members_end(
    group: Group, member: Member, pg_bench: Bench
) -> None:
    member("a", f"SELECT 1 AS k, {GATE} AS s")
    member("never")
    with closed_gate(pg_bench.source.url):
        group_run = launch_group(group)
        wait_until(moving(group_run))
        group_run.refresh_from_db()
        os.kill(group_run.pid or 0, signal.SIGKILL)
        wait_until(lambda: not alive(group_run.pid))
        reap_all()
        assert not GroupRun.objects.get().is_final
    # its member goes on: killing who started it kills no run
    wait_until(lambda: ran(group_run) == [("a", "success")])
    reap_all()
    group_run.refresh_from_db()
    assert (group_run.status, (group_run.error or {})["code"]) == ("partial", "lost")
    assert "never" in (group_run.error or {})["message"]
    assert pg_bench.rows("SELECT k FROM sync.a") == [(1,)]


def test_a_member_that_is_disabled_or_deleted_while_the_group_runs_is_skipped(
    group: Group, member: Member, pg_bench: Bench
) -> None:
    slow, off, gone, changed = (
        member("slow", f"SELECT 1 AS k, {GATE} AS s"),
        member("off"),
        member("gone"),
        member("changed", BAD),
    )
    with closed_gate(pg_bench.source.url):
        group_run = launch_group(group)
        wait_until(moving(group_run))
        Module.objects.filter(pk=off.pk).update(enabled=False)
        gone.delete()
        Module.objects.filter(pk=changed.pk).update(source_query=GOOD)
    assert wait(group_run).status == "success", group_run.error
    assert ran(group_run) == [("slow", "success"), ("changed", "success")]
    assert group_run.skipped == [
        {"module": "off", "why": "it is disabled"},
        {"module": "gone", "why": "it was deleted"},
    ]
    assert not slow.runs.active().exists()


def test_a_member_that_cannot_begin_is_an_error_of_its_own_and_stops_no_other(
    group: Group, member: Member, save_connection: Any, pg_bench: Bench
) -> None:
    broken = member("broken")
    member("good")
    elsewhere = save_connection(replace(pg_bench.destination, name="elsewhere"))
    type(elsewhere).objects.filter(pk=elsewhere.pk).update(jdbc_url="nonsense")
    Module.objects.filter(pk=broken.pk).update(dest_connection=elsewhere)
    done = manage("rungroup", "nightly", "--json")
    assert (done.code, done.json["status"]) == (5, "partial"), done.err
    assert [(run["module"], run["status"]) for run in done.json["runs"]] == [("broken", "error"), ("good", "success")]
    assert done.json["runs"][0]["error"]["code"] == "url_invalid"


@pytest.mark.sqlite_metadata
def test_metadata_that_is_locked_for_long_costs_a_group_nothing_but_time(
    group: Group, member: Member, pg_bench: Bench
) -> None:
    member("a", f"SELECT 1 AS k, {GATE} AS s")
    member("b")
    with ExitStack() as gate:
        gate.enter_context(closed_gate(pg_bench.source.url))
        group_run = launch_group(group)
        wait_until(moving(group_run))
        with locked_metadata():
            gate.close()
            # both the run's end and the group's next step come to stand before this
            time.sleep(34)
    wait_until(lambda: GroupRun.objects.get().is_final, seconds=180)
    assert wait(group_run).status == "success", group_run.error
    assert ran(group_run) == [("a", "success"), ("b", "success")]
    assert pg_bench.rows("SELECT count(*) FROM sync.a") == [(1,)]


def test_members_of_a_killed_group_that_run_on_are_not_doubled_by_its_next_run(
    group: Group, member: Member, pg_bench: Bench
) -> None:
    member("a", SLOW)
    group_run = launch_group(group)
    wait_until(moving(group_run))
    group_run.refresh_from_db()
    os.kill(group_run.pid or 0, signal.SIGKILL)
    wait_until(lambda: not alive(group_run.pid))
    with pytest.raises(AlreadyRunning):
        launch_group(group)
    (run,) = group_run.runs.all()
    os.kill(run.pid or 0, signal.SIGKILL)
    wait_until(lambda: not alive(run.pid))
    # both are settled by whoever comes next, without a tick
    Module.objects.update(source_query=GOOD)
    again = launch_group(group)
    group_run.refresh_from_db()
    run.refresh_from_db()
    assert (group_run.status, (run.error or {})["code"]) == ("error", "lost")
    assert wait(again).status == "success", again.error
    assert Run.objects.count() == 2
