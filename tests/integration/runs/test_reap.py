"""Finalizing dead runs, group runs and verifications: never one whose process lives, and always to the end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from connections.management.base import CommandFailed
from connections.sdk.errors import ConnectionLost
from modules.models import Module
from runs.engine.events import Published
from runs.engine.plan import Plan
from runs.engine.publish import commit
from runs.engine.publish.commit import CommitKind, find_published
from runs.launchers.launcher import LaunchFailed
from runs.lifecycle import launch, reap
from runs.lifecycle.execute import execute_run
from runs.lifecycle.insert import RunRequest, insert_run
from runs.models import GroupRun, Run, Setting, Verification
from runs.process import identity
from scheduling.models import Tick
from scheduling.tick.tick import run_tick
from tests.factories import GroupRunFactory, ModuleFactory, RunFactory

pytestmark = pytest.mark.django_db(transaction=True)
Row = Run | GroupRun | Verification


def create_each(**fields: Any) -> list[Row]:
    """Create a run, a group run and a verification."""
    module = ModuleFactory.create()
    verification = Verification.objects.create(module=module, module_name=module.name, **fields)
    return [RunFactory.create(**fields), GroupRunFactory.create(**fields), verification]


def dead_process() -> dict[str, Any]:
    return {**identity.current().as_fields(), "boot_id": "another boot"}


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_row_that_seemed_dead_when_it_was_loaded_and_has_a_process_now_is_left_to_it(status: str) -> None:
    rows = create_each(status=status, **dead_process())
    for row in rows:
        type(row).objects.filter(pk=row.pk).update(**identity.current().as_fields(), status="running")
        reap.reap_row(row)
        row.refresh_from_db()
        assert (row.status, row.error) == ("running", None)


def test_a_queued_row_that_starts_while_it_is_finalized_is_left_to_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = create_each()
    for row in rows:
        type(row).objects.filter(pk=row.pk).update(created_at=timezone.now() - dt.timedelta(minutes=1))

    def start_after(row: Row) -> bool:
        type(row).objects.filter(pk=row.pk).update(status="running", **identity.current().as_fields())
        return row.status == "queued"

    monkeypatch.setattr(reap, "seems_dead", start_after)
    for row in rows:
        reap.reap_row(row)
        row.refresh_from_db()
        assert (row.status, row.error) == ("running", None)


def test_a_group_run_that_starts_while_it_is_finalized_has_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    group_run = GroupRunFactory.create(status="queued", **dead_process())

    def start_after(row: GroupRun) -> bool:
        GroupRun.objects.filter(pk=row.pk).update(status="running", **identity.current().as_fields())
        return True

    monkeypatch.setattr(reap, "seems_dead", start_after)
    assert not reap.reap_row(group_run)
    group_run.refresh_from_db()
    assert group_run.status == "running"


def test_a_queued_verification_that_another_process_takes_over_while_it_is_finalized_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = ModuleFactory.create()
    row = Verification.objects.create(module=module, module_name=module.name, **dead_process())

    def take_over_after(row: Row) -> bool:
        Verification.objects.update(**identity.current().as_fields())
        return True

    monkeypatch.setattr(reap, "seems_dead", take_over_after)
    reap.reap_row(row)
    row.refresh_from_db()
    assert (row.status, row.error) == ("queued", None)


PUBLISHED = Published(inserted=1, updated=0, deleted=0, watermark_column="", watermark=None)
ELSEWHERE = {"machine_id": "elsewhere:1"}
STARTED = {"status": "lost", "started_at": timezone.now()}


@pytest.mark.parametrize(
    ("fields", "answer", "effect"),
    [
        (STARTED, (PUBLISHED, ""), "published"),
        (STARTED, (None, ""), "unpublished"),
        ({**STARTED, "cancel_requested": True}, (None, ""), "unpublished"),
        (STARTED, (None, "The destination could not be asked."), None),
        ({**STARTED, **ELSEWHERE}, (None, ""), None),
        ({**STARTED, "dry_run": True}, (None, ""), None),
        ({"status": "queued"}, (None, ""), "unchanged"),
    ],
    ids=["commit record", "none", "cancelled", "not asked", "another machine", "dry run", "never started"],
)
def test_what_a_dead_run_did_to_its_destination_is_stored_only_if_it_is_certain(
    fields: dict[str, Any], answer: tuple[Published | None, str], effect: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFactory.create(**{**dead_process(), **fields})
    monkeypatch.setattr(reap, "_ask_destination", lambda run: answer)
    assert reap.reap_row(run)
    run.refresh_from_db()
    assert run.effect == effect


def test_a_run_that_has_started_after_its_launcher_gave_up_is_left_to_its_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Launcher:
        def launch(self, words: list[str], *, log: object) -> None:
            Run.objects.update(status="running", **identity.current().as_fields())
            raise LaunchFailed("The process did not start within 10 seconds.")

    monkeypatch.setattr(launch, "configured_launcher", Launcher)
    run = launch.launch_run(ModuleFactory.create(), RunRequest())
    run.refresh_from_db()
    assert (run.status, run.error) == ("running", None)


def test_the_tick_ends_a_killed_verification_with_its_repair_run_and_passes_a_cancel_on() -> None:
    module = ModuleFactory.create()
    row = Verification.objects.create(
        module=module, module_name=module.name, status="running", cancel_requested=True, **dead_process()
    )
    run = RunFactory.create(module=module, trigger=f"verification:{row.pk}", status="lost", dry_run=True)
    run_tick(timezone.now())
    row.refresh_from_db()
    run.refresh_from_db()
    assert (run.status, (run.error or {})["code"]) == ("cancelled", "cancelled")
    assert (row.repair_run, (row.error or {})["code"]) == (run, "cancelled")


def test_a_verification_whose_repair_run_was_finalized_before_still_names_it() -> None:
    module = ModuleFactory.create()
    row = Verification.objects.create(module=module, module_name=module.name, status="running", **dead_process())
    run = RunFactory.create(module=module, trigger=f"verification:{row.pk}", status="success")
    assert reap.reap_row(row)
    assert Verification.objects.get().repair_run == run


def test_a_verification_that_cannot_be_finalized_keeps_no_run_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleFactory.create()
    Verification.objects.create(module=module, module_name=module.name, status="running", **dead_process())
    run = RunFactory.create(status="lost", dry_run=True)

    def fail(*args: Any) -> bool:
        raise RuntimeError("broken")

    monkeypatch.setattr(reap, "_finalize_verification", fail)
    run_tick(timezone.now())
    assert Run.objects.get(pk=run.pk).is_final


def test_a_killed_run_whose_commit_was_found_is_a_success_even_if_the_destination_fails_after_that(
    bench: Any, save_module: Callable[..., Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = save_module("orders", "SELECT 1 AS k")
    run = execute_run(insert_run(module, RunRequest()))
    killed = Run.objects.create(
        module=module, module_name="orders", status="running", token=str(uuid4()), strategy="full", **dead_process()
    )
    bench.at_destination(f"UPDATE pipekit_staging.pipekit_commits SET run = '{killed.token}' WHERE run = '{run.token}'")

    def fail_after_publish(plan: Plan, kind: CommitKind = CommitKind.PUBLISH) -> Published | None:
        if kind == CommitKind.PUBLISH:
            return find_published(plan)
        raise ConnectionLost("The connection is lost.")

    monkeypatch.setattr(commit, "find_published", fail_after_publish)
    assert reap.reap_row(killed)
    killed.refresh_from_db()
    assert (killed.status, killed.inserted) == ("success", 1)
    assert "The connection is lost." in killed.warnings[-1]
    assert "number of deleted rows" in killed.warnings[-1]


def test_a_killed_run_is_finalized_and_the_next_starts_even_if_its_destination_cannot_be_asked(
    bench: Any, save_module: Callable[..., Module]
) -> None:
    module = save_module("orders", "SELECT 1 AS k")
    run = insert_run(module, RunRequest())
    Run.objects.filter(pk=run.pk).update(**dead_process())
    Setting.objects.create(invalid={"no_progress_timeout": "soon"})
    after = insert_run(module, RunRequest())
    run.refresh_from_db()
    error = run.error or {}
    assert (run.status, error["code"]) == ("error", "lost")
    assert "whether it published is not known" in error["message"]
    assert "no_progress_timeout" in error["detail"]
    assert after.status == "running"


@pytest.fixture
def foreign_run(save_module: Callable[..., Module], bench: Any) -> Run:
    """A run of another machine, observed before, while the setting that says when it is dead is invalid."""
    run = insert_run(save_module("orders", "SELECT 1 AS k"), RunRequest())
    here = identity.current()
    sighting = {"heartbeat": run.heartbeat, "first_seen": {f"{here.machine} {here.boot}": -1e9}}
    Run.objects.filter(pk=run.pk).update(machine_id="elsewhere:1", sighting=sighting)
    run.refresh_from_db()
    Setting.objects.create(invalid={"lease_seconds": "long"})
    return run


def test_the_tick_says_without_a_traceback_that_a_setting_keeps_it_from_finalizing_a_run(
    foreign_run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    call_command("tick")
    error = Tick.objects.get().error
    assert f"{foreign_run}: SettingInvalid: The stored value of the setting lease_seconds is not valid" in error
    assert "lease_seconds" in caplog.text
    assert "Traceback" not in caplog.text
    foreign_run.refresh_from_db()
    assert foreign_run.status == "running"


@pytest.mark.parametrize("words", [["runmodule", "orders"], ["cancelrun"]])
def test_a_command_that_cannot_tell_whether_a_run_is_dead_names_the_setting(foreign_run: Run, words: list[str]) -> None:
    arguments = words if words[1:] else [*words, str(foreign_run.pk)]
    with pytest.raises(CommandFailed) as failed:
        call_command(*arguments)
    assert failed.value.details["code"] == "configuration_invalid"
    assert "lease_seconds is not valid" in failed.value.details["message"]
    assert failed.value.returncode == 1


def test_the_admin_says_that_a_setting_keeps_it_from_cancelling(foreign_run: Run, admin_client: Client) -> None:
    verification = Verification.objects.create(module=foreign_run.module, module_name="orders", status="running")
    fields = {
        name: getattr(foreign_run, name) for name in ("boot_id", "pid", "process_started", "machine_id", "sighting")
    }
    Verification.objects.filter(pk=verification.pk).update(**fields)
    for row, action in ((foreign_run, "cancel"), (verification, "cancel_verification")):
        data = {"action": action, "_selected_action": [row.pk]}
        page = admin_client.post(f"/admin/runs/{row._meta.model_name}/", data, follow=True)
        assert "lease_seconds is not valid" in page.content.decode()
