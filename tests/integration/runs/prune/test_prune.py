"""Removal of old rows of the metadata and of old log files."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_django import Settings

from modules.models import Group
from pipekit_site.config.config import BASE_DIR
from runs.models import GroupRun, Run, Verification
from runs.models.notification import RETRY_PERIOD, Delivery, Notification
from runs.models.states import GroupStatus, Status
from tests.factories import GroupFactory, GroupRunFactory, ModuleFactory, RunFactory
from tests.integration.runs.prune.pruning import DAY, NOW, pruned, run_of


@pytest.mark.django_db
def test_old_runs_are_removed_except_the_last_of_a_module_and_active_ones() -> None:
    module, other = ModuleFactory.create(), ModuleFactory.create()
    old = [run_of(module, days) for days in (900, 500, 401)]
    kept = [run_of(module, 399), run_of(other, 800), run_of(ModuleFactory.create(), 900, Status.RUNNING)]
    assert pruned(dry_run=True) == {"runs": 3}
    assert Run.objects.count() == 6
    assert pruned() == {"runs": 3}
    assert set(Run.objects.all()) == set(kept)
    assert not Run.objects.filter(pk__in=[run.pk for run in old]).exists()


@pytest.mark.django_db
def test_all_old_runs_of_a_deleted_module_are_removed() -> None:
    module = ModuleFactory.create()
    run_of(module, 500)
    module.delete()
    assert pruned() == {"runs": 1}


@pytest.mark.django_db
def test_a_group_run_is_removed_with_the_last_of_its_runs() -> None:
    module = ModuleFactory.create()
    group_run, kept = (
        GroupRunFactory.create(status=GroupStatus.SUCCESS, finished_at=NOW - 500 * DAY) for _ in range(2)
    )
    run_of(module, 500, group_run=group_run)
    run_of(module, 500, group_run=kept)
    run_of(module, 10, group_run=kept)
    assert pruned(dry_run=True) == {"runs": 2, "group runs": 1}
    assert pruned() == {"runs": 2, "group runs": 1}
    assert list(GroupRun.objects.all()) == [kept]


@pytest.mark.django_db
def test_old_notifications_are_removed_except_the_last_of_a_module_and_pending_ones() -> None:
    module = ModuleFactory.create()
    for number, status in enumerate((Delivery.SENT, Delivery.UNDELIVERED, Delivery.PENDING, Delivery.SENT)):
        Notification.objects.create(
            kind="failure",
            channel="email",
            module=module,
            module_name=module.name,
            about={},
            event_key=str(number),
            status=status,
            due_at=NOW - 500 * DAY,
            give_up_at=NOW - 500 * DAY + RETRY_PERIOD,
        )
    assert pruned() == {"notifications": 2}
    assert sorted(Notification.objects.values_list("event_key", flat=True)) == ["2", "3"]


@pytest.mark.django_db
def test_old_verifications_are_removed_except_the_last_of_a_module() -> None:
    module = ModuleFactory.create()
    old, last = (
        Verification.objects.create(
            module=module, module_name=module.name, status="equal", finished_at=NOW - days * DAY
        )
        for days in (900, 500)
    )
    assert pruned() == {"verifications": 1}
    assert list(Verification.objects.all()) == [last]
    assert old.pk < last.pk


@pytest.mark.django_db
def test_the_last_verification_that_found_a_difference_is_kept_until_a_later_one_compares() -> None:
    module = ModuleFactory.create()

    def verification(days: int, status: str) -> Verification:
        values = {"module_name": module.name, "status": status, "finished_at": NOW - days * DAY}
        return Verification.objects.create(module=module, **values)

    verification(900, "equal")
    kept = [verification(800, "different")]
    verification(700, "error")
    kept.append(verification(600, "error"))
    assert pruned() == {"verifications": 2}
    assert list(Verification.objects.order_by("pk")) == kept


@pytest.mark.django_db
def test_old_log_files_are_removed_except_symbolic_links_and_logs_of_active_runs(
    tmp_path: Path, settings: Settings
) -> None:
    settings.PIPEKIT = replace(settings.PIPEKIT, data_dir=tmp_path)
    running = run_of(ModuleFactory.create(), 0, Status.RUNNING, log_path="runs/4.log")
    outside = tmp_path / "precious.log"
    names = ("runs/1.log", "runs/2.log", "group_runs/1.log", "runs/4.log", "other/1.log")
    files = {name: tmp_path / "logs" / name for name in names}
    for file in (outside, *files.values()):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("text")
        os.utime(file, ((NOW - 31 * DAY).timestamp(),) * 2)
    os.utime(files["runs/2.log"], ((NOW - 29 * DAY).timestamp(),) * 2)
    (tmp_path / "logs/runs/5.log").symlink_to(outside)
    assert pruned(dry_run=True) == {"log files": 2}
    assert pruned() == {"log files": 2}
    assert [name for name, file in files.items() if not file.exists()] == ["runs/1.log", "group_runs/1.log"]
    assert outside.exists()
    assert running.log_file == files["runs/4.log"]


# prints the longest time, in seconds, that an update took
WRITER = """
import time
from modules.models import Group

worst, end = 0.0, time.monotonic() + 240
print("ready", flush=True)
while time.monotonic() < end and not Group.objects.filter(name="stop").exists():
    began = time.monotonic()
    Group.objects.update(max_parallel=2)
    worst = max(worst, time.monotonic() - began)
    time.sleep(0.005)
print(worst)
"""


@pytest.mark.serial
@pytest.mark.django_db(transaction=True)
def test_writers_wait_for_short_times_only_while_many_runs_are_removed() -> None:
    module, text = ModuleFactory.create(), "SELECT a, b, c FROM t WHERE a > 1 -- " + "x" * 2000
    old = {"module": module, "status": Status.SUCCESS, "finished_at": NOW - 500 * DAY}
    Run.objects.bulk_create(RunFactory.build(**old, source_query=text, merge_sql=text) for _ in range(3000))
    run_of(module, 0)
    group = GroupFactory.create()
    argv = [sys.executable, "manage.py", "shell", "--no-imports", "-c", WRITER]
    with subprocess.Popen(argv, cwd=BASE_DIR, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        started = time.monotonic()
        removed = pruned()
        seconds = time.monotonic() - started
        Group.objects.filter(pk=group.pk).update(name="stop")
        longest_wait = float(writer.stdout.read())
    assert removed == {"runs": 3000}
    # relative, because the machine may be busy: one transaction would make the writer wait for all of it
    assert longest_wait < seconds / 3, (longest_wait, seconds)
