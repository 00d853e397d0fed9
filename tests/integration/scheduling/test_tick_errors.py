"""Errors within a tick: what still happens, what is recorded and reported, and that no secret is in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError
from django.db.models import QuerySet
from pytest_django import Settings

from connections.sdk.errors import AlreadyRunning, ConfigurationInvalid
from connections.secrets.redaction import redactor
from runs.lifecycle.reap import NotFinalized, reap_all
from runs.models import GroupRun, Run, Setting, Verification
from runs.models.notification import Notification
from runs.models.transitions import finished
from runs.process.identity import ProcessIdentity
from scheduling.models import Progress, Slot, Tick
from scheduling.tick import finalized, housekeeping, slots, tick, timers
from tests.factories import ModuleFactory, RunFactory, change_settings
from tests.integration.scheduling.simulated_time import MINUTE, START, schedule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nowhere")]
SECRET = "canary-8850"


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the tasks after a tick, as they are called."""
    called: list[str] = []
    for module, name in ((housekeeping, "prune_daily"), (housekeeping, "find_late"), (tick, "send_due")):
        monkeypatch.setattr(module, name, lambda *_, name=name: called.append(name))
    return called


TASKS = ["prune_daily", "find_late", "send_due"]


def test_a_tick_that_cannot_read_its_settings_sends_notifications_and_raises_afterwards(reported: list[str]) -> None:
    Setting.objects.create(invalid={"misfire_grace_hours": "6"})
    with pytest.raises(ValueError, match="misfire_grace_hours"):
        tick.tick_and_housekeeping(START)
    assert reported == TASKS


def test_a_tick_without_a_limit_of_runs_sends_notifications_and_raises_afterwards(reported: list[str]) -> None:
    schedule()
    Setting.objects.create(invalid={"runs_per_tick": True})
    with pytest.raises(ValueError, match="runs_per_tick"):
        tick.tick_and_housekeeping(START + MINUTE)
    assert reported == TASKS


def test_a_tick_whose_metadata_fail_tries_the_other_tasks(reported: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise OperationalError("the connection was lost")

    monkeypatch.setattr(tick, "start_due", fail)
    with pytest.raises(DatabaseError):
        tick.tick_and_housekeeping(START)
    assert reported == TASKS


@pytest.fixture
def broken_run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """A dead run that cannot be finalized, and another one that can be."""
    broken, other = (RunFactory.create(status="lost", boot_id="earlier", pid=1) for _ in range(2))
    finish = Run.finish

    def fail(run: Run, *arguments: object, **options: object) -> None:
        if run.pk == broken.pk:
            raise RuntimeError(f"no, {SECRET}")
        finish(run, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Run, "finish", fail)
    assert other.pk > broken.pk
    return broken


def test_a_row_that_cannot_be_finalized_is_named_after_the_others_are(broken_run: Run) -> None:
    with pytest.raises(NotFinalized, match=f"{broken_run}: RuntimeError: no"):
        reap_all()
    assert list(Run.objects.order_by("pk").values_list("status", flat=True)) == ["lost", "error"]


def test_the_tick_records_without_secrets_what_it_could_not_finalize(broken_run: Run) -> None:
    redactor().add(SECRET)
    schedule()
    assert len(tick.run_tick(START + MINUTE).started) == 1
    error = Tick.objects.get().error
    assert f"{broken_run}: RuntimeError: no" in error
    assert SECRET not in error


@pytest.fixture
def dead_run() -> Run:
    return RunFactory.create(status="lost", boot_id="earlier", pid=1)


def test_a_dead_run_is_finalized_although_it_cannot_be_described(
    dead_run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(row: object) -> None:
        raise RuntimeError("no words")

    monkeypatch.setattr(finalized, "_of_row", fail)
    assert tick.run_tick(START).finalized == []
    assert Run.objects.get().status == "error"
    assert "no words" in caplog.text


def test_a_run_whose_transition_is_undone_is_not_reported_as_finalized(dead_run: Run) -> None:
    def fail(**kwargs: object) -> None:
        raise RuntimeError("no")

    with finalized.collect_keys() as keys:
        # connected later, and so called later
        finished.connect(fail)
        try:
            with pytest.raises(NotFinalized):
                reap_all()
        finally:
            finished.disconnect(fail)
    assert keys == [(Run, dead_run.pk)]
    assert list(finalized.finalized_rows(keys)) == []
    assert Run.objects.get().status == "lost"


def test_a_tick_that_fails_logs_what_it_finalized(dead_run: Run, caplog: pytest.LogCaptureFixture) -> None:
    Setting.objects.create(invalid={"misfire_grace_hours": "6"})
    with pytest.raises(ValueError, match="misfire_grace_hours"):
        tick.run_tick(START)
    assert f"run {dead_run.pk} of {dead_run.module_name}: its process had ended" in caplog.text


@pytest.fixture
def process_cannot_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail when the process that was started for a queued row is stored."""
    update = QuerySet.update

    def locked(rows: QuerySet[Any], **fields: Any) -> int:
        if "pid" in fields:
            raise OperationalError("database is locked")
        return update(rows, **fields)

    monkeypatch.setattr(QuerySet, "update", locked)


@pytest.mark.usefixtures("process_cannot_be_stored")
def test_a_run_whose_process_cannot_be_stored_is_reported_as_started() -> None:
    change_settings(notification_addresses=["ops@example.com"])
    schedule()
    schedule(group=None, module=ModuleFactory.create())
    report = tick.run_tick(START + MINUTE)
    assert (len(report.started), report.failed) == (2, {})
    assert (GroupRun.objects.count(), Run.objects.count()) == (1, 1)
    assert set(Slot.objects.values_list("outcome", flat=True)) == {"started"}
    assert not Notification.objects.exists()
    assert "database is locked" in Run.objects.get().log_file.read_text()


@pytest.mark.usefixtures("process_cannot_be_stored")
def test_verifications_whose_process_cannot_be_stored_are_reported_as_started() -> None:
    schedule(group=None, module=ModuleFactory.create(), action="verify")
    report = tick.run_tick(START + MINUTE)
    assert (len(report.started), report.failed, Verification.objects.count()) == (1, {}, 1)


class BrokenLauncher:
    """Fails in a way that no launcher should."""

    def launch(self, words: Sequence[str], *, log: Path) -> ProcessIdentity | None:
        raise RuntimeError("The launcher is broken.")


def test_an_error_after_the_run_was_inserted_is_left_to_the_run(settings: Settings) -> None:
    settings.RUN_LAUNCHER = f"{__name__}.BrokenLauncher"
    change_settings(notification_addresses=["ops@example.com"], runs_per_tick=1)
    schedule(), schedule()
    report = tick.run_tick(START + MINUTE)
    # the run is in the metadata: it is finalized with its own error unless its process starts
    assert (report.failed, report.waiting, GroupRun.objects.count()) == ({}, 1, 1)
    assert Progress.objects.filter(start_error="").count() == 1
    assert not Notification.objects.exists()


@pytest.fixture
def secret() -> Iterator[str]:
    redactor().add(SECRET)
    yield SECRET


@pytest.mark.parametrize("error", [RuntimeError(f"no, {SECRET}"), ConfigurationInvalid("No.", hint=SECRET)])
def test_why_a_slot_could_not_be_started_is_stored_and_reported_without_secrets(
    monkeypatch: pytest.MonkeyPatch, secret: str, error: Exception
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("scheduling.tick.start.launch_group_run", fail)
    change_settings(notification_addresses=["ops@example.com"])
    schedule()
    report = tick.run_tick(START + MINUTE)
    stored = [Slot.objects.get().message, Progress.objects.get().start_error, *report.failed.values()]
    stored += [str(vars(Notification.objects.get()))]
    assert all("No." in text or "no, " in text for text in stored)
    assert secret not in " ".join(stored)


def test_why_a_schedule_cannot_fire_is_stored_and_reported_without_secrets(secret: str) -> None:
    schedule()
    (timer,) = timers.enabled()
    text = slots.record_error(timer, AlreadyRunning(f"no, {secret}"))
    assert text.startswith("no, ")
    assert secret not in text + Progress.objects.get().error
