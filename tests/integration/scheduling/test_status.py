"""Reports of a late scheduler by the health endpoint, the dashboard and the commands."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client
from django.utils import timezone

from scheduling.models import Tick
from scheduling.tick import status
from tests.factories import ModuleFactory, ScheduleFactory

pytestmark = pytest.mark.django_db


def test_an_install_without_schedules_is_healthy(client: Client) -> None:
    response = client.get("/health")
    assert (response.status_code, response.json()["ok"]) == (200, True)


@pytest.mark.parametrize(("minutes", "code"), [(1, 200), (4, 503)])
def test_a_tick_older_than_three_minutes_is_reported_as_late(client: Client, minutes: int, code: int) -> None:
    ScheduleFactory.create(enabled=True)
    assert client.get("/health").json() == {"ok": False, "database": True, "tick": {"at": None, "late": True}}
    at = timezone.now() - dt.timedelta(minutes=minutes)
    Tick.objects.create(at=at, unbroken_since=at, finished_at=at)
    response = client.get("/health")
    assert (response.status_code, response.json()["tick"]["late"]) == (code, code == 503)


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("scheduled", ["nothing", "schedule", "full refresh", "disabled"])
@pytest.mark.parametrize("minutes", [None, 1, 4])
def test_the_overview_the_health_check_and_the_commands_agree_whether_the_scheduler_is_late(
    admin_client: Client, scheduled: str, minutes: int | None
) -> None:
    if scheduled == "full refresh":
        ModuleFactory.create(full_refresh_cron="0 3 * * *")
    elif scheduled != "nothing":
        ScheduleFactory.create(enabled=scheduled == "schedule")
    if minutes:
        at = timezone.now() - dt.timedelta(minutes=minutes)
        Tick.objects.create(at=at, unbroken_since=at, finished_at=at)
    is_late = scheduled in ("schedule", "full refresh") and minutes != 1
    assert admin_client.get("/health").json()["tick"]["late"] is is_late
    assert ("scheduler not running" in admin_client.get("/admin/").content.decode()) is is_late
    assert bool(status.last_tick_words()) is is_late


@pytest.mark.parametrize("error", ["", "NotFinalized: orders #5: OSError: disk"])
def test_the_overview_says_that_the_last_tick_had_an_error(admin_client: Client, error: str) -> None:
    ScheduleFactory.create()
    at = timezone.now()
    Tick.objects.create(at=at, unbroken_since=at, finished_at=at, error=error)
    assert ("could not finalize" in admin_client.get("/admin/").content.decode()) is bool(error)
