"""What is old goes, and nothing else: rows, logs, and what runs left in a real destination."""

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
from runs.engine.publish.commit_record import claims_table, commits_table
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
    """Return what went, by its name."""
    return {found.what: found.count for found in prune(now, dry_run=dry_run) if found.count}


def run_of(module: Module, days: int, status: Status = Status.SUCCESS, **fields: object) -> Run:
    ended = None if status == Status.RUNNING else NOW - days * DAY
    return RunFactory.create(module=module, status=status, finished_at=ended, **fields)


@pytest.mark.django_db
def test_runs_past_their_time_go_but_not_the_last_of_a_module_and_not_active_ones() -> None:
    module, other = ModuleFactory.create(), ModuleFactory.create()
    old = [run_of(module, days) for days in (900, 500, 401)]
    kept = [run_of(module, 399), run_of(other, 800), run_of(ModuleFactory.create(), 900, Status.RUNNING)]
    assert pruned(dry_run=True) == {"runs": 3}
    assert Run.objects.count() == 6
    assert pruned() == {"runs": 3}
    assert set(Run.objects.all()) == set(kept)
    assert not Run.objects.filter(pk__in=[run.pk for run in old]).exists()


@pytest.mark.django_db
def test_all_old_runs_of_a_deleted_module_go() -> None:
    module = ModuleFactory.create()
    run_of(module, 500)
    module.delete()
    assert pruned() == {"runs": 1}


@pytest.mark.django_db
def test_a_group_run_goes_with_the_last_of_its_runs() -> None:
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
def test_old_notifications_go_but_a_module_s_last_one_and_those_that_wait() -> None:
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
def test_old_verifications_go_but_a_module_s_last_one() -> None:
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
def test_a_difference_stays_until_another_comparison_tells_its_end() -> None:
    module = ModuleFactory.create()

    def ended(days: int, status: str) -> Verification:
        values = {"module_name": module.name, "status": status, "finished_at": NOW - days * DAY}
        return Verification.objects.create(module=module, **values)

    ended(900, "equal")
    kept = [ended(800, "different")]
    ended(700, "error")
    kept.append(ended(600, "error"))
    assert pruned() == {"verifications": 2}
    assert list(Verification.objects.order_by("pk")) == kept


@pytest.mark.django_db
def test_logs_past_their_time_go_and_links_and_open_ones_stay(tmp_path: Path, settings: Settings) -> None:
    settings.PIPEKIT = replace(settings.PIPEKIT, data_dir=tmp_path)
    running = run_of(ModuleFactory.create(), 0, Status.RUNNING, log_path="runs/4.log")
    outside = tmp_path / "precious.log"
    names = ("runs/1.log", "runs/2.log", "group_runs/1.log", "runs/4.log", "other/1.log")
    files = {name: tmp_path / "logs" / name for name in names}
    for file in (outside, *files.values()):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("said")
        os.utime(file, ((NOW - 31 * DAY).timestamp(),) * 2)
    os.utime(files["runs/2.log"], ((NOW - 29 * DAY).timestamp(),) * 2)
    (tmp_path / "logs/runs/5.log").symlink_to(outside)
    assert pruned(dry_run=True) == {"log files": 2}
    assert pruned() == {"log files": 2}
    assert [name for name, file in files.items() if not file.exists()] == ["runs/1.log", "group_runs/1.log"]
    assert outside.exists()
    assert running.log_file == files["runs/4.log"]


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
def test_writers_hardly_wait_while_many_runs_go() -> None:
    module, text = ModuleFactory.create(), "SELECT a, b, c FROM t WHERE a > 1 -- " + "x" * 2000
    old = {"module": module, "status": Status.SUCCESS, "finished_at": NOW - 500 * DAY}
    Run.objects.bulk_create(RunFactory.build(**old, source_query=text, merge_sql=text) for _ in range(3000))
    run_of(module, 0)
    group = GroupFactory.create()
    program = [sys.executable, "manage.py", "shell", "--no-imports", "-c", WRITER]
    with subprocess.Popen(program, cwd=BASE_DIR, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        began = time.monotonic()
        gone = pruned()
        took = time.monotonic() - began
        Group.objects.filter(pk=group.pk).update(name="stop")
        worst = float(writer.stdout.read())
    assert gone == {"runs": 3000}
    # relative, as the machine may be busy: in one transaction it would wait for all of it
    assert worst < took / 3, (worst, took)


def finished(module: Module) -> Module:
    """Run the module, with a trace of it in the history."""
    with recorded(module, actor="test"):
        module.save()
        Module.objects.filter(pk=module.pk).update(notes="seen")
    done = manage("runmodule", module.name, "--quiet")
    assert done.code == 0, done.err
    return module


def has(destination: ConnectionParameters, name: str) -> bool:
    """Whether the destination has a table of this name among the staging tables."""
    table = dialect_of(destination).staging_table(name)
    with open_session(destination) as opened:
        return registry.connector(destination.kind).introspector.describe_table(opened, table) is not None


def dialect_of(destination: ConnectionParameters) -> PublishingDialect:
    return cast(PublishingDialect, registry.dialect(destination.kind))


@pytest.fixture
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> ConnectionParameters:
    if request.param == "postgresql":
        found: ConnectionParameters = request.getfixturevalue("warehouse")
        return found
    url = f"jdbc:{request.param}:{tmp_path / 'dw.db'}"
    return ConnectionParameters(kind=request.param, url=url, options={"create": True}, name="dw")


@pytest.fixture
def save(
    erp: ConnectionParameters,
    destination: ConnectionParameters,
    save_module: Callable[..., Module],
    save_connection: Callable[..., Any],
) -> Callable[[str], Module]:
    """Save a module into the destination under the name."""
    with open_session(erp) as opened:
        opened.execute("CREATE TABLE t (id INTEGER, v TEXT)")
        opened.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    keyed = {"merge_strategy": "incremental", "merge_key": "id", "key_sync": True}
    there = save_connection(destination)
    return lambda name: save_module(name, "SELECT id, v FROM t", destination=there, **keyed)


@pytest.mark.matrix
@pytest.mark.parametrize("destination", ["postgresql", "sqlite", "duckdb"], indirect=True)
def test_staging_tables_of_modules_that_are_gone_go_and_others_stay(
    destination: ConnectionParameters, save: Callable[[str], Module]
) -> None:
    gone, stays = finished(save("gone")), finished(save("stays"))
    with open_session(destination) as opened:
        claims = dialect_of(destination).qualified(claims_table(dialect_of(destination)))
        # of an install that shares this destination
        opened.execute(f"INSERT INTO {claims} (module, run) VALUES ('foreign', 'some-other-run')")
        for name in ("foreign", "notes"):
            table = dialect_of(destination).staging_table(name)
            opened.execute(dialect_of(destination).create_table(table, [("a", "integer")]))
    assert pruned() == {}
    gone.delete()
    assert pruned(dry_run=True) == {f"staging tables in {destination.name}": 1}
    assert has(destination, "gone")
    assert has(destination, "gone#keys")
    assert pruned() == {f"staging tables in {destination.name}": 1}
    names = ("gone", "gone#keys", "stays", "stays#keys", "foreign", "notes")
    assert [name for name in names if has(destination, name)] == ["stays", "stays#keys", "foreign", "notes"]
    assert pruned() == {}
    finished(stays)


@pytest.mark.matrix
@pytest.mark.parametrize("destination", ["sqlite"], indirect=True)
def test_a_destination_that_only_past_modules_wrote_to_is_asked_too(
    destination: ConnectionParameters, save: Callable[[str], Module]
) -> None:
    finished(save("gone")).delete()
    assert pruned() == {f"staging tables in {destination.name}": 1}


@pytest.mark.matrix
@pytest.mark.parametrize("destination", ["postgresql", "duckdb"], indirect=True)
def test_commit_records_past_their_time_go_but_not_of_a_run_that_is_open(
    destination: ConnectionParameters, save: Callable[[str], Module]
) -> None:
    module = finished(save("orders"))
    commits = dialect_of(destination).qualified(commits_table(dialect_of(destination)))
    open_run = run_of(module, 0, Status.RUNNING)
    values = ", ".join(
        f"('{run}', 'publish', 'orders', '{(NOW - days * DAY).isoformat(timespec='seconds')}')"
        for run, days in (("old-1", 500), ("old-2", 401), ("young", 399), (open_run.token, 900))
    )
    with open_session(destination) as opened:
        opened.execute(f"INSERT INTO {commits} (run, kind, module, published_at) VALUES {values}")
    assert pruned(dry_run=True) == {f"commit records in {destination.name}": 2}
    assert pruned() == {f"commit records in {destination.name}": 2}
    with open_session(destination) as opened:
        left = {run for (run,) in opened.fetch(f"SELECT run FROM {commits}")}
    assert {"young", open_run.token, Run.objects.earliest("pk").token} == left


@pytest.mark.django_db
def test_a_destination_that_cannot_be_reached_is_said_and_the_rest_goes(capsys: pytest.CaptureFixture[str]) -> None:
    old = timezone.now() - 500 * DAY
    warehouse = WarehouseFactory.create(name="dw", jdbc_url="jdbc:postgresql://127.0.0.1:1/dw", password="")
    module = ModuleFactory.create(dest_connection=warehouse)
    for _ in range(2):
        RunFactory.create(module=module, status=Status.SUCCESS, finished_at=old)
    with pytest.raises(SystemExit) as end:
        call_command("prune", "--json")
    assert end.value.code == 5
    told = {row["what"]: row for row in json.loads(capsys.readouterr().out)}
    assert told["runs"]["count"] == 1
    assert "127.0.0.1" in told["staging tables in dw"]["error"]


@pytest.mark.django_db
def test_the_command_says_what_would_go_and_what_went(capsys: pytest.CaptureFixture[str]) -> None:
    module = ModuleFactory.create()
    for _ in range(2):
        RunFactory.create(module=module, status=Status.SUCCESS, finished_at=timezone.now() - 500 * DAY)
    module.delete()
    call_command("prune", "--dry-run")
    assert "2 runs would be removed\n" in capsys.readouterr().out
    call_command("prune")
    assert "2 runs removed\n" in capsys.readouterr().out
    assert not Run.objects.exists()
