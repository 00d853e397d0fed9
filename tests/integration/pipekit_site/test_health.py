"""The health endpoint."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client
from django.utils import timezone

from scheduling.models import Tick
from tests.factories import ScheduleFactory


@pytest.mark.django_db
def test_an_install_without_schedules_is_healthy(client: Client) -> None:
    response = client.get("/health")
    assert (response.status_code, response.json()["ok"]) == (200, True)


@pytest.mark.django_db
@pytest.mark.parametrize(("minutes", "status"), [(1, 200), (4, 503)])
def test_a_tick_older_than_three_minutes_is_reported_as_late(client: Client, minutes: int, status: int) -> None:
    ScheduleFactory.create(enabled=True)
    assert client.get("/health").json() == {"ok": False, "database": True, "tick": {"at": None, "late": True}}
    at = timezone.now() - dt.timedelta(minutes=minutes)
    Tick.objects.create(at=at, unbroken_since=at, finished_at=at)
    response = client.get("/health")
    assert (response.status_code, response.json()["tick"]["late"]) == (status, status == 503)
