"""Removal of old rows and log files, and of staging tables and commit records in real destinations."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from connections import registry
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.sql.publishing import PublishingDialect
from modules.history import recorded
from modules.models import Group, Module
from pipekit_site.config.config import BASE_DIR
from runs.engine.control_tables import claims_table, commits_table
from runs.engine.sessions import open_session
from runs.models import GroupRun, Run, Verification
from runs.models.notification import RETRY_PERIOD, Delivery, Notification
from runs.models.states import GroupStatus, Status
from runs.prune import prune
from tests.factories import GroupFactory, GroupRunFactory, ModuleFactory, RunFactory, WarehouseFactory
from tests.processes.commands import manage

NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def pruned(*, dry_run: bool = False, now: dt.datetime = NOW) -> dict[str, int]:
    """Prune, and return the number of removed items by their kind."""
    return {result.what: result.count for result in prune(now, dry_run=dry_run) if result.count}


def run_of(module: Module, days: int, status: Status = Status.SUCCESS, **fields: object) -> Run:
    """Return a run of the module that ended so many days before NOW."""
    finished_at = None if status == Status.RUNNING else NOW - days * DAY
    return RunFactory.create(module=module, status=status, finished_at=finished_at, **fields)


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


def executed(module: Module) -> Module:
    """Run the module, and leave an entry in its history."""
    with recorded(module, actor="test"):
        module.save()
        Module.objects.filter(pk=module.pk).update(notes="changed")
    done = manage("runmodule", module.name, "--quiet")
    assert done.code == 0, done.err
    return module


def has_staging_table(destination: ConnectionParameters, name: str) -> bool:
    table = dialect_of(destination).staging_table(name)
    with open_session(destination) as session:
        return registry.connector(destination.kind).introspector.describe_table(session, table) is not None


def dialect_of(destination: ConnectionParameters) -> PublishingDialect:
    return cast(PublishingDialect, registry.dialect(destination.kind))


@pytest.fixture
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> ConnectionParameters:
    if request.param == "postgresql":
        warehouse: ConnectionParameters = request.getfixturevalue("warehouse")
        return warehouse
    url = f"jdbc:{request.param}:{tmp_path / 'dw.db'}"
    return ConnectionParameters(kind=request.param, url=url, options={"create": True}, name="dw")


@pytest.fixture
def save(
    erp: ConnectionParameters,
    destination: ConnectionParameters,
    save_module: Callable[..., Module],
    save_connection: Callable[..., Any],
) -> Callable[[str], Module]:
    """Return a function that saves a module of this name with the destination."""
    with open_session(erp) as session:
        session.execute("CREATE TABLE t (id INTEGER, v TEXT)")
        session.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    options = {"merge_strategy": "incremental", "merge_key": "id", "key_sync": True}
    connection = save_connection(destination)
    return lambda name: save_module(name, "SELECT id, v FROM t", destination=connection, **options)


@pytest.mark.matrix
@pytest.mark.parametrize("destination", ["postgresql", "sqlite", "duckdb"], indirect=True)
def test_staging_tables_of_deleted_modules_are_removed_and_all_others_kept(
    destination: ConnectionParameters, save: Callable[[str], Module]
) -> None:
    deleted, kept = executed(save("deleted")), executed(save("kept"))
    with open_session(destination) as session:
        claims = dialect_of(destination).qualified(claims_table(dialect_of(destination)))
        # of another installation that shares this destination
        session.execute(f"INSERT INTO {claims} (module, run) VALUES ('foreign', 'some-other-run')")
        for name in ("foreign", "notes"):
            table = dialect_of(destination).staging_table(name)
            session.execute(dialect_of(destination).create_table(table, [("a", "integer")]))
    assert pruned() == {}
    deleted.delete()
    assert pruned(dry_run=True) == {f"staging tables in {destination.name}": 1}
    assert has_staging_table(destination, "deleted")
    assert has_staging_table(destination, "deleted#keys")
    assert pruned() == {f"staging tables in {destination.name}": 1}
    names = ("deleted", "deleted#keys", "kept", "kept#keys", "foreign", "notes")
    existing = [name for name in names if has_staging_table(destination, name)]
    assert existing == ["kept", "kept#keys", "foreign", "notes"]
    assert pruned() == {}
    executed(kept)


@pytest.mark.matrix
@pytest.mark.parametrize("destination", ["sqlite"], indirect=True)
def test_a_destination_that_only_deleted_modules_used_is_pruned_too(
    destination: ConnectionParameters, save: Callable[[str], Module]
) -> None:
    executed(save("deleted")).delete()
    assert pruned() == {f"staging tables in {destination.name}": 1}


@pytest.mark.matrix
@pytest.mark.parametrize("destination", ["postgresql", "duckdb"], indirect=True)
def test_old_commit_records_are_removed_except_that_of_an_active_run(
    destination: ConnectionParameters, save: Callable[[str], Module]
) -> None:
    module = executed(save("orders"))
    commits = dialect_of(destination).qualified(commits_table(dialect_of(destination)))
    active = run_of(module, 0, Status.RUNNING)
    values = ", ".join(
        f"('{run}', 'publish', 'orders', '{(NOW - days * DAY).isoformat(timespec='seconds')}')"
        for run, days in (("old-1", 500), ("old-2", 401), ("young", 399), (active.token, 900))
    )
    with open_session(destination) as session:
        session.execute(f"INSERT INTO {commits} (run, kind, module, published_at) VALUES {values}")
        # of another installation that shares this destination
        session.execute(
            f"INSERT INTO {commits} (run, kind, module, published_at)"
            f" VALUES ('foreign', 'publish', 'unknown', '{(NOW - 900 * DAY).isoformat(timespec='seconds')}')"
        )
    assert pruned(dry_run=True) == {f"commit records in {destination.name}": 2}
    assert pruned() == {f"commit records in {destination.name}": 2}
    with open_session(destination) as session:
        kept = {run for (run,) in session.fetch(f"SELECT run FROM {commits}")}
    assert kept == {"young", "foreign", active.token, Run.objects.earliest("pk").token}


@pytest.mark.django_db
def test_a_destination_that_cannot_be_reached_is_reported_and_the_rest_is_removed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    old = timezone.now() - 500 * DAY
    warehouse = WarehouseFactory.create(name="dw", jdbc_url="jdbc:postgresql://127.0.0.1:1/dw", password="")
    module = ModuleFactory.create(dest_connection=warehouse)
    for _ in range(2):
        RunFactory.create(module=module, status=Status.SUCCESS, finished_at=old)
    with pytest.raises(SystemExit) as exited:
        call_command("prune", "--json")
    assert exited.value.code == 5
    results = {row["what"]: row for row in json.loads(capsys.readouterr().out)}
    assert results["runs"]["count"] == 1
    assert "127.0.0.1" in results["staging tables in dw"]["error"]


@pytest.mark.django_db
def test_the_command_prints_what_would_be_removed_and_what_was(capsys: pytest.CaptureFixture[str]) -> None:
    module = ModuleFactory.create()
    for _ in range(2):
        RunFactory.create(module=module, status=Status.SUCCESS, finished_at=timezone.now() - 500 * DAY)
    module.delete()
    call_command("prune", "--dry-run")
    assert "2 runs would be removed\n" in capsys.readouterr().out
    call_command("prune")
    assert "2 runs removed\n" in capsys.readouterr().out
    assert not Run.objects.exists()
