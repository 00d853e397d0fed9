"""The overview of the admin: its numbers agree with the lists that they link to."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable

import pytest
from django.test import Client
from django.utils import timezone

from connections.sdk.errors import AlreadyRunning
from runs.lifecycle import claim
from runs.models import Run
from tests.factories import GroupRunFactory, ModuleFactory, create_running_run

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)


def tile(client: Client, label: str) -> tuple[str, list[int]]:
    """Return the value of the tile whose label begins so, and the keys of the rows that it links to."""
    page = client.get("/admin/").content.decode()
    match = re.search(rf'href="([^"]+)"><span[^>]*>[^<]*</span><b>([^<]*)</b><span>{label}', page)
    assert match is not None, label
    listed = client.get(match[1].replace("&amp;", "&")).context["cl"].result_list
    return match[2], sorted(row.pk for row in listed)


def failed(*, started: dt.timedelta, ended: dt.timedelta) -> Run:
    """Return a run that started and failed so long ago."""
    run, now = create_running_run(), timezone.now()
    error = {"code": "x", "message": "", "hint": "", "detail": ""}
    run.started_at = now - started
    Run.objects.filter(pk=run.pk).update(started_at=now - started)
    run.finish_error(error, finished_at=now - ended)
    return run


def keys(runs: Iterable[Run]) -> list[int]:
    return sorted(run.pk for run in runs)


def test_the_failed_runs_of_a_day_are_those_that_ended_in_it_whenever_they_started(admin_client: Client) -> None:
    recent = failed(started=2 * HOUR, ended=HOUR)
    long = failed(started=30 * HOUR, ended=HOUR)
    failed(started=31 * HOUR, ended=25 * HOUR)
    error = AlreadyRunning("It did not start.", hint="")
    never_started = claim.refuse(ModuleFactory.create(), claim.Request(), error)
    assert tile(admin_client, "failed in 24 hours") == ("3", keys([recent, long, never_started]))


def test_the_running_groups_include_those_that_wait_for_their_process(admin_client: Client) -> None:
    groups = [GroupRunFactory.create(status=name) for name in ("queued", "running")]
    GroupRunFactory.create(status="success")
    assert tile(admin_client, "groups running") == ("2", [group.pk for group in groups])
