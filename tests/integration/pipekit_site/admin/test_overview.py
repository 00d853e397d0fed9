"""The numbers of the overview: what they count, and the lists that they link to."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from connections.sdk.errors import AlreadyRunning
from modules.models import Module
from runs.lifecycle.insert import RunRequest, insert_failed_run
from runs.models import Run, Verification
from runs.models.states import Status
from tests.factories import (
    GroupRunFactory,
    ModuleFactory,
    create_running_run,
)

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)


def test_the_numbers_of_the_overview_link_to_lists_of_their_rows(admin_client: Client) -> None:
    create_running_run()
    create_running_run().finish_error({"code": "x", "message": "It broke.", "hint": "", "detail": ""})
    page = admin_client.get("/admin/").content.decode()
    assert "It broke." in page
    for label, count in (("running now", 1), ("failed in 24 hours", 1)):
        match = re.search(rf'href="([^"]+)"><span[^>]*>[^<]*</span><b>(\d+)</b><span>{label}', page)
        assert match is not None
        assert int(match[2]) == count
        listed = admin_client.get(match[1].replace("&amp;", "&")).context["cl"].result_list
        assert len(listed) == count


def test_the_overview_counts_no_dry_runs_and_shows_refused_runs_as_refused(admin_client: Client) -> None:
    error = {"code": "x", "message": "It broke.", "hint": "", "detail": ""}
    failed = create_running_run()
    failed.finish_error(error)
    create_running_run(dry_run=True).finish_error(error)
    create_running_run(dry_run=True).finish(Status.REFUSED, error=error)
    assert "refused by a safety limit" not in admin_client.get("/admin/").content.decode()
    refused = create_running_run()
    refused.finish(Status.REFUSED, error=error)
    page = admin_client.get("/admin/").content.decode()
    for label, run in (("failed in 24 hours", failed), ("refused by a safety limit in 24 hours", refused)):
        match = re.search(rf'href="([^"]+)"><span[^>]*>[^<]*</span><b>(\d+)</b><span>{label}', page)
        assert match is not None and match[2] == "1"
        listed = admin_client.get(match[1].replace("&amp;", "&")).context["cl"].result_list
        assert [row.pk for row in listed] == [run.pk]
    # lists mark failed dry runs
    assert "Error (dry run)" in page and "Refused (dry run)" in page


def tile(client: Client, label: str) -> tuple[str, list[int]]:
    """Return the value of the tile whose label begins so, and the keys of the rows that it links to."""
    page = client.get("/admin/").content.decode()
    match = re.search(rf'href="([^"]+)"><span[^>]*>[^<]*</span><b>([^<]*)</b><span>{label}', page)
    assert match is not None, label
    listed = client.get(match[1].replace("&amp;", "&")).context["cl"].result_list
    return match[2], sorted(row.pk for row in listed)


def failed_run(*, started: dt.timedelta, ended: dt.timedelta) -> Run:
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
    recent = failed_run(started=2 * HOUR, ended=HOUR)
    long = failed_run(started=30 * HOUR, ended=HOUR)
    failed_run(started=31 * HOUR, ended=25 * HOUR)
    error = AlreadyRunning("It did not start.", hint="")
    never_started = insert_failed_run(ModuleFactory.create(), RunRequest(), error)
    assert tile(admin_client, "failed in 24 hours") == ("3", keys([recent, long, never_started]))


def test_the_running_groups_include_those_that_wait_for_their_process(admin_client: Client) -> None:
    groups = [GroupRunFactory.create(status=name) for name in ("queued", "running")]
    GroupRunFactory.create(status="success")
    assert tile(admin_client, "groups running") == ("2", [group.pk for group in groups])


def test_the_overview_counts_modules_whose_last_verification_found_a_difference(admin_client: Client) -> None:
    first, second, third = ModuleFactory.create_batch(3)

    def verify(module: Module, status: str, **values: Any) -> Verification:
        return Verification.objects.create(module=module, module_name=module.name, status=status, **values)

    assert "differed when last verified" not in admin_client.get("/admin/").content.decode()
    verify(first, "different")
    verify(first, "equal")
    verify(second, "different", repaired={"inserted": 1})
    counted = [verify(third, "different"), verify(second, "different", repaired={"inserted": 1, "left": 2})]
    verify(third, "error")
    page = admin_client.get("/admin/").content.decode()
    match = re.search(r'href="([^"]+)"><span[^>]*>[^<]*</span><b>(\d+)</b><span>modules differed', page)
    assert match is not None and match[2] == "2"
    listed = admin_client.get(match[1].replace("&amp;", "&")).context["cl"].result_list
    assert {row.pk for row in listed} == {row.pk for row in counted}
