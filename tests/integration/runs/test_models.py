"""Runs and group runs: their transitions, the locks on modules and tables, and the immutability of final runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import ProtectedError

from pipekit_site.config.config import BASE_DIR
from runs.models import GroupRun, Run, states
from runs.models.states import GroupStatus, Status
from runs.models.transitions import IllegalTransition
from tests.factories import GroupFactory, GroupRunFactory, ModuleFactory, RunFactory, create_running_run

pytestmark = pytest.mark.django_db
ERROR = {"code": "table_missing", "message": "No table.", "hint": "Make it.", "detail": ""}
TRANSITIONS: dict[str, Callable[[Run], None]] = {
    "start": lambda run: run.start(pid=1),
    "lost": lambda run: run.mark_lost(heartbeat=run.heartbeat),
    "success": lambda run: run.finish_success(read=1),
    "dry_run": lambda run: run.finish(Status.DRY_RUN),
    "error": lambda run: run.finish_error(ERROR),
    "refused": lambda run: run.finish(Status.REFUSED, error=ERROR),
    "cancelled": lambda run: run.finish_cancelled(ERROR),
}
ALLOWED = {
    Status.QUEUED: {"start", "error", "cancelled"},
    Status.RUNNING: {"lost", "success", "dry_run", "error", "refused", "cancelled"},
    Status.LOST: {"success", "error", "cancelled"},
    **{status: set() for status in states.FINAL},
}


def in_state(status: Status) -> Run:
    return RunFactory.create(status=status)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("transition", TRANSITIONS)
def test_each_transition_is_allowed_from_its_source_states_only(status: Status, transition: str) -> None:
    run = in_state(status)
    if transition in ALLOWED[status]:
        TRANSITIONS[transition](run)
        stored = Run.objects.get(pk=run.pk)
        assert stored.status == run.status == ("running" if transition == "start" else transition)
        assert (stored.finished_at is not None) == stored.is_final
        return
    with pytest.raises(IllegalTransition, match=str(status)):
        TRANSITIONS[transition](run)
    assert Run.objects.get(pk=run.pk).status == status


def test_the_second_of_two_processes_that_finalize_a_run_gets_an_error() -> None:
    first = create_running_run()
    second = Run.objects.get(pk=first.pk)
    first.finish_success(read=3, inserted=3)
    with pytest.raises(IllegalTransition, match="success"):
        second.finish_error(ERROR)
    stored = Run.objects.get(pk=first.pk)
    assert (stored.status, stored.read, stored.error) == ("success", 3, None)


def test_starting_a_run_records_its_process() -> None:
    run = Run.objects.get(pk=create_running_run().pk)
    assert (run.host, run.machine_id, run.boot_id, run.pid, run.process_started) == ("etl1", "m1", "b1", 4711, 99)
    assert run.started_at is not None
    assert run.status in states.ACTIVE


def test_finishing_a_run_records_its_results_and_duration() -> None:
    run = create_running_run()
    run.finish_success(read=3, staged=3, inserted=2, updated=1, deleted=0, bytes=412, warnings=["text"])
    stored = Run.objects.get(pk=run.pk)
    assert (stored.read, stored.inserted, stored.updated, stored.bytes) == (3, 2, 1, 412)
    assert stored.warnings == ["text"]
    assert stored.seconds is not None
    assert stored.seconds >= 0
    assert stored.is_final


def test_a_run_whose_heartbeat_has_advanced_cannot_be_marked_lost() -> None:
    run = create_running_run()
    heartbeat = run.heartbeat
    assert run.beat() is False
    with pytest.raises(IllegalTransition):
        run.mark_lost(heartbeat=heartbeat)
    run.mark_lost(heartbeat=heartbeat + 1)


def test_a_heartbeat_returns_whether_a_cancel_was_requested() -> None:
    run = create_running_run()
    assert run.request_cancel() is True
    assert run.beat() is True


def test_a_cancel_of_a_final_run_cannot_be_requested() -> None:
    run = create_running_run()
    run.finish_success()
    assert run.request_cancel() is False


@pytest.mark.parametrize("status", states.ACTIVE)
def test_a_module_has_at_most_one_active_run(status: Status) -> None:
    run = RunFactory.create(status=status)
    with pytest.raises(IntegrityError), transaction.atomic():
        RunFactory.create(module=run.module, dest_lock_key="another")
    assert list(Run.objects.locking(run.module_id, "another")) == [run]


def test_a_destination_table_has_at_most_one_active_run() -> None:
    run = RunFactory.create(dest_lock_key="dw sync.orders")
    with pytest.raises(IntegrityError), transaction.atomic():
        RunFactory.create(dest_lock_key="dw sync.orders")
    assert list(Run.objects.locking(ModuleFactory.create().pk, "dw sync.orders")) == [run]


def test_final_runs_and_dry_runs_hold_no_lock() -> None:
    final = create_running_run()
    final.finish_success()
    RunFactory.create(module=final.module, dry_run=True)
    RunFactory.create(module=final.module, dry_run=True)
    RunFactory.create(module=final.module)


CLAIM = """
from django.db import IntegrityError
from runs.models import Run
for key in ("module", "dest_lock_key"):
    fields = {"module": dict(module_id=%d), "dest_lock_key": dict(dest_lock_key="dw sync.orders")}[key]
    try:
        Run.objects.create(module_name="x", **fields)
        print(key, "created")
    except IntegrityError:
        print(key, "refused")
"""


@pytest.mark.django_db(transaction=True)
def test_the_database_refuses_a_second_active_run_of_another_process() -> None:
    run = RunFactory.create(dest_lock_key="dw sync.orders")

    def claim() -> list[str]:
        argv = [sys.executable, "manage.py", "shell", "--no-imports", "-c", CLAIM % run.module_id]
        return subprocess.run(argv, cwd=BASE_DIR, capture_output=True, text=True, check=True).stdout.splitlines()

    assert claim() == ["module refused", "dest_lock_key refused"]
    run.finish_error(ERROR)
    assert claim() == ["module created", "dest_lock_key created"]


@pytest.mark.parametrize("status", states.FINAL)
def test_a_final_run_cannot_be_changed_through_its_model(status: Status) -> None:
    run = in_state(status)
    run.read = 99
    with pytest.raises(IllegalTransition, match="cannot be changed"):
        run.save()
    with pytest.raises(IllegalTransition):
        run.record(read=99)
    assert Run.objects.get(pk=run.pk).read is None


@pytest.mark.parametrize("status", states.FINAL)
@pytest.mark.parametrize("change", ["read = 99", "status = 'running'", "error = '{}'", "module_id = module_id + 1"])
def test_a_final_run_cannot_be_changed_with_sql(status: Status, change: str) -> None:
    run = in_state(status)
    with pytest.raises(DatabaseError, match="not rewritten"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE run_log SET {change} WHERE id = %s", [run.pk])
    assert Run.objects.get(pk=run.pk).status == status


def test_an_active_run_can_be_changed() -> None:
    run = create_running_run()
    run.record(read=5)
    run.staged = 5
    run.save()
    assert Run.objects.get(pk=run.pk).staged == 5


def test_a_final_run_can_be_deleted() -> None:
    in_state(Status.SUCCESS).delete()
    assert not Run.objects.exists()


def test_the_runs_of_a_deleted_module_are_kept_with_its_name() -> None:
    run = in_state(Status.SUCCESS)
    assert run.module is not None
    run.module.delete()
    stored = Run.objects.get()
    assert (stored.module, stored.module_name) == (None, run.module_name)


def test_a_module_cannot_be_deleted_while_it_is_running() -> None:
    run = create_running_run()
    assert run.module is not None
    with pytest.raises(ProtectedError):
        run.module.delete()


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], GroupStatus.SUCCESS),
        (["success", "success"], GroupStatus.SUCCESS),
        (["dry_run", "dry_run"], GroupStatus.DRY_RUN),
        (["success", "error"], GroupStatus.PARTIAL),
        (["success", "refused"], GroupStatus.PARTIAL),
        (["error", "error"], GroupStatus.ERROR),
        (["refused"], GroupStatus.ERROR),
        (["cancelled", "success"], GroupStatus.PARTIAL),
    ],
)
def test_the_status_of_a_group_run_follows_from_those_of_its_runs(statuses: list[str], expected: GroupStatus) -> None:
    group_run = GroupRunFactory.create()
    group_run.start()
    for status in statuses:
        RunFactory.create(group_run=group_run, status=status)
    group_run.finish_by_runs()
    stored = GroupRun.objects.get()
    assert stored.status == expected
    assert stored.finished_at is not None
    with pytest.raises(IllegalTransition):
        group_run.finish_by_runs()


def test_a_group_has_at_most_one_active_run() -> None:
    group_run = GroupRunFactory.create()
    with pytest.raises(IntegrityError), transaction.atomic():
        GroupRunFactory.create(group=group_run.group)
    group_run.finish_cancelled()
    GroupRunFactory.create(group=group_run.group)
    assert GroupRun.objects.active().count() == 1


def test_the_group_runs_of_a_deleted_group_are_kept_with_its_name() -> None:
    group = GroupFactory.create(name="nightly")
    GroupRunFactory.create(group=group)
    group.delete()
    assert GroupRun.objects.get().group_name == "nightly"


def test_lists_of_runs_take_one_query_and_defer_long_texts(django_assert_num_queries: Callable[[int], object]) -> None:
    RunFactory.create_batch(3)
    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        runs = list(Run.objects.with_module().without_texts().newest_first())
        assert [run.module is not None and run.module.name for run in runs] == [run.module_name for run in runs]
    assert runs[0].get_deferred_fields() >= {"source_query", "merge_sql"}
    assert runs[0].pk > runs[-1].pk
