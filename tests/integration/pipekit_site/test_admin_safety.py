"""The admin escapes text of rows, loads only its own files, and takes a fixed number of queries for each page."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from html.parser import HTMLParser
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from connections.models import Connection
from connections.sdk.errors import AlreadyRunning
from modules import history
from modules.models import Group, Module
from runs import logs
from runs.lifecycle.insert import RunRequest, insert_failed_run
from runs.models import GroupRun, Run, Verification
from runs.models.notification import Notification
from runs.models.states import Status
from scheduling.models import Schedule, Slot, SlotOutcome
from tests.factories import (
    GroupFactory,
    GroupMemberFactory,
    GroupRunFactory,
    HookFactory,
    ModuleFactory,
    RunFactory,
    ScheduleFactory,
    create_running_run,
)

pytestmark = pytest.mark.django_db
# short enough for every field
HOSTILE = "\"'></textarea><img src=x onerror=alert(1)></script>\u2028\x1b]8;;"
RUNS = "/admin/runs/run/"
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def hostile() -> list[Any]:
    """Rows in which every text is an attack, also where a form would refuse it."""
    module = ModuleFactory.create(owner=HOSTILE, notes=HOSTILE, source_query=HOSTILE, merge_key=HOSTILE)
    HookFactory.create(module=module, sql=HOSTILE)
    with history.recorded(module, actor=HOSTILE):
        Module.objects.filter(pk=module.pk).update(name=HOSTILE, dest_table=HOSTILE)
    Connection.objects.update(jdbc_url=HOSTILE, username=HOSTILE, last_test_message=HOSTILE)
    Connection.objects.filter(pk=module.source_connection_id).update(name=HOSTILE)
    Connection.objects.filter(pk=module.dest_connection_id).update(name=f"{HOSTILE}2", last_tested_at=timezone.now())
    group = GroupFactory.create(name=HOSTILE)
    GroupMemberFactory.create(group=group, module=module)
    group_run = GroupRunFactory.create(group=group, skipped=[{"module": HOSTILE, "why": HOSTILE}])
    run = create_running_run(module=module, group_run=group_run, actor=HOSTILE)
    error = dict.fromkeys(("code", "message", "hint", "detail"), HOSTILE)
    values = {"source_query": HOSTILE, "merge_sql": HOSTILE, "watermarks": {HOSTILE: {"in": HOSTILE, "out": HOSTILE}}}
    run.record(steps=[{"step": HOSTILE, "seconds": 1}], **values)
    run.record(log_path="runs/hostile.log")
    logs.write(run, HOSTILE)
    run.finish_error(error, warnings=[HOSTILE])
    schedule = ScheduleFactory.create(name=HOSTILE, group=group)
    now = timezone.now()
    slot = {"slot_key": "2027-01-11T04:00", "outcome": SlotOutcome.FAILED, "message": HOSTILE}
    schedule.slots.create(due_at=now, claimed_at=now, **slot)
    about = {"event": "failure", "module": HOSTILE, "error": error}
    delivery = {"status": "undelivered", "last_error": HOSTILE, "due_at": now, "give_up_at": now}
    Notification.objects.create(kind="failure", channel="email", module_name=HOSTILE, about=about, **delivery)
    models = (Module, Connection, Group, GroupRun, Run, Schedule, Slot, Notification)
    return [row for model in models for row in model._default_manager.all()] + list(module.history.all())


class Attacks(HTMLParser):
    """Collects the tags with which a browser would load or execute what a row contains."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img" or any(name.startswith("on") for name, _ in attrs):
            self.tags.append(f"{tag} {attrs}")


def attacks(page: str) -> list[str]:
    parser = Attacks()
    parser.feed(page)
    return parser.tags


def test_the_parser_finds_the_attack_if_it_is_not_escaped() -> None:
    assert attacks(f"<p>{HOSTILE}</p>")


def test_no_page_renders_text_of_a_row_as_markup(admin_client: Client, hostile: list[Any]) -> None:
    urls = {"/admin/"}
    for row in hostile:
        name = f"admin:{row._meta.app_label}_{row._meta.model_name}"
        urls |= {reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[row.pk])}
        urls |= {reverse(f"{name}_history", args=[row.pk])}
        if row._meta.model_name in ("module", "connection", "group", "schedule"):
            urls.add(reverse(f"{name}_delete", args=[row.pk]))
    for url in urls:
        response = admin_client.get(url, follow=True)
        assert response.status_code == 200, url
        assert attacks(response.content.decode()) == [], url


def test_pages_of_runs_and_verifications_remove_control_characters(admin_client: Client) -> None:
    text = "safe\u202egnp.exe\x1b[2J"
    error = dict.fromkeys(("code", "message", "hint", "detail"), text)
    run = create_running_run()
    run.record(source_query=text, watermarks={"d": {"in": text, "out": "2"}})
    run.finish_error(error, warnings=[text])
    values = {"status": "different", "source_rows": 1, "dest_rows": 1, "warnings": [text], "error": error}
    examples = {"missing": [text], "different": [{"key": text, "column": "a", "source": text, "dest": None}]}
    verification = Verification.objects.create(module=run.module, module_name="m", examples=examples, **values)
    urls = [RUNS, "/admin/", reverse("admin:runs_run_change", args=[run.pk])]
    urls += [reverse("admin:runs_verification_changelist")]
    urls += [reverse("admin:runs_verification_change", args=[verification.pk])]
    for url in urls:
        page = admin_client.get(url).content.decode()
        assert "gnp.exe" in page, url
        assert "\u202e" not in page and "\x1b" not in page, url


def test_messages_of_actions_escape_the_name_of_a_row(admin_client: Client, hostile: list[Any]) -> None:
    run = Run.objects.get()
    response = admin_client.post(RUNS, {"action": "cancel", "_selected_action": [run.pk]}, follow=True)
    assert "has already ended" in response.content.decode()
    assert attacks(response.content.decode()) == []


def test_the_content_security_policy_allows_only_scripts_of_this_server(admin_client: Client) -> None:
    policy = admin_client.get("/admin/").headers["Content-Security-Policy"]
    assert "script-src 'self' 'unsafe-eval';" in policy
    assert "default-src 'self'" in policy


def test_style_sheets_and_scripts_are_of_this_server_and_cached_for_a_year(admin_client: Client) -> None:
    page = admin_client.get("/admin/modules/module/").content.decode()
    files = re.findall(r'(?:<script src|<link href)="([^"]+)"', page)
    assert len(files) > 10
    assert all(file.startswith(("/static/", "/admin/jsi18n/")) for file in files)
    response = admin_client.get(next(file for file in files if "pipekit.css?v=" in file))
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "max-age=31536000, public, immutable"
    assert "max-age=86400" in admin_client.get("/static/pipekit/pipekit.css").headers["Cache-Control"]


def queries(client: Client, url: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return [query["sql"] for query in captured.captured_queries]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("query", ["", "?q=orders", "?q=%2317", "?status__exact=error", "?by=schedule:1", "?p=3"])
def test_the_list_of_runs_takes_no_count_query(admin_client: Client, query: str) -> None:
    RunFactory.create_batch(3)
    statements = queries(admin_client, f"{RUNS}{query}")
    assert [sql for sql in statements if "COUNT(" in sql] == []
    assert len(statements) <= 6
    listed = [sql for sql in statements if 'FROM "run_log"' in sql and "ORDER BY" in sql]
    assert len(listed) == 1
    assert "merge_sql" not in listed[0]


LISTS = ("modules_module", "modules_group", "connections_connection", "runs_grouprun", "scheduling_schedule")


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("name", LISTS)
def test_a_list_takes_the_same_number_of_queries_for_any_number_of_rows(admin_client: Client, name: str) -> None:
    url = reverse(f"admin:{name}_changelist")

    def add_rows(count: int) -> int:
        """Add rows and return the number of queries that the list then takes."""
        for _ in range(count):
            member = GroupMemberFactory.create()
            ScheduleFactory.create(group=member.group)
            RunFactory.create(
                module=member.module, group_run=GroupRunFactory.create(group=member.group, status="error")
            )
        return len(queries(admin_client, url))

    add_rows(2)
    few, many = add_rows(1), add_rows(12)
    assert many == few <= 12


def test_a_group_page_takes_the_same_number_of_queries_for_any_number_of_members(admin_client: Client) -> None:
    group = GroupFactory.create()
    url = reverse("admin:modules_group_change", args=[group.pk])
    GroupMemberFactory.create_batch(2, group=group)
    # fills the caches that are kept between requests
    queries(admin_client, url)
    few = len(queries(admin_client, url))
    names = [member.module.name for member in GroupMemberFactory.create_batch(10, group=group)]
    assert len(queries(admin_client, url)) == few
    page = admin_client.get(url).content.decode()
    assert all(f">{name}<" in re.sub(r">\s+|\s+<", lambda match: match[0].strip(), page) for name in names)


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


def test_missing_and_forbidden_pages_have_a_message(client: Client, django_user_model: Any) -> None:
    client.force_login(django_user_model.objects.create_user("vera", is_staff=True))
    assert "Page not found" in client.get("/nothing/at/all").content.decode()
    assert "Permission denied" in client.get(RUNS).content.decode()
    assert "permission to view anything yet" in client.get("/admin/").content.decode()
