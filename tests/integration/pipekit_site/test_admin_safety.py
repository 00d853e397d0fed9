"""What the admin must never do: run what a row holds, load from elsewhere, count or fetch rows one by one."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from connections.models import Connection
from modules import history
from modules.models import Group, Module
from runs import logs
from runs.models import GroupRun, Run, Verification
from runs.models.notification import Notification
from scheduling.models import Schedule, Slot, SlotOutcome
from tests.factories import (
    GroupFactory,
    GroupMemberFactory,
    GroupRunFactory,
    HookFactory,
    ModuleFactory,
    RunFactory,
    ScheduleFactory,
    running,
)

pytestmark = pytest.mark.django_db
# fits into the shortest name
HOSTILE = "\"'></textarea><img src=x onerror=alert(1)></script>\u2028\x1b]8;;"
RUNS = "/admin/runs/run/"


@pytest.fixture
def hostile() -> list[Any]:
    """Rows whose every free text is an attack, whatever forms would have refused."""
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
    run = running(module=module, group_run=group_run, actor=HOSTILE)
    error = dict.fromkeys(("code", "message", "hint", "detail"), HOSTILE)
    told = {"source_query": HOSTILE, "merge_sql": HOSTILE, "watermarks": {HOSTILE: {"in": HOSTILE, "out": HOSTILE}}}
    run.record(steps=[{"step": HOSTILE, "seconds": 1}], **told)
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
    """Collects what a browser would load or run because of a row."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img" or any(name.startswith("on") for name, _ in attrs):
            self.found.append(f"{tag} {attrs}")


def attacks(page: str) -> list[str]:
    parser = Attacks()
    parser.feed(page)
    return parser.found


def test_what_is_looked_for_is_found() -> None:
    assert attacks(f"<p>{HOSTILE}</p>")


def test_no_page_takes_a_row_s_text_for_markup(admin_client: Client, hostile: list[Any]) -> None:
    addresses = {"/admin/"}
    for row in hostile:
        name = f"admin:{row._meta.app_label}_{row._meta.model_name}"
        addresses |= {reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[row.pk])}
        addresses |= {reverse(f"{name}_history", args=[row.pk])}
        if row._meta.model_name in ("module", "connection", "group", "schedule"):
            addresses.add(reverse(f"{name}_delete", args=[row.pk]))
    for address in addresses:
        answer = admin_client.get(address, follow=True)
        assert answer.status_code == 200, address
        assert attacks(answer.content.decode()) == [], address


def test_no_page_of_a_run_or_verification_lets_a_server_s_text_turn_around(admin_client: Client) -> None:
    turned = "safe\u202egnp.exe\x1b[2J"
    error = dict.fromkeys(("code", "message", "hint", "detail"), turned)
    run = running()
    run.record(source_query=turned, watermarks={"d": {"in": turned, "out": "2"}})
    run.finish_error(error, warnings=[turned])
    values = {"status": "different", "source_rows": 1, "dest_rows": 1, "warnings": [turned], "error": error}
    examples = {"missing": [turned], "different": [{"key": turned, "column": "a", "source": turned, "dest": None}]}
    told = Verification.objects.create(module=run.module, module_name="m", examples=examples, **values)
    addresses = [RUNS, "/admin/", reverse("admin:runs_run_change", args=[run.pk])]
    addresses += [reverse("admin:runs_verification_changelist")]
    addresses += [reverse("admin:runs_verification_change", args=[told.pk])]
    for address in addresses:
        page = admin_client.get(address).content.decode()
        assert "gnp.exe" in page, address
        assert "\u202e" not in page and "\x1b" not in page, address


def test_a_refused_or_started_row_s_name_is_text_in_the_message_too(admin_client: Client, hostile: list[Any]) -> None:
    run = Run.objects.get()
    answer = admin_client.post(RUNS, {"action": "cancel", "_selected_action": [run.pk]}, follow=True)
    assert "has already ended" in answer.content.decode()
    assert attacks(answer.content.decode()) == []


def test_pages_may_run_this_server_s_scripts_alone(admin_client: Client) -> None:
    policy = admin_client.get("/admin/").headers["Content-Security-Policy"]
    assert "script-src 'self' 'unsafe-eval';" in policy
    assert "default-src 'self'" in policy


def test_style_sheets_and_scripts_come_from_here_and_are_kept_for_a_year(admin_client: Client) -> None:
    page = admin_client.get("/admin/modules/module/").content.decode()
    files = re.findall(r'(?:<script src|<link href)="([^"]+)"', page)
    assert len(files) > 10
    assert all(file.startswith(("/static/", "/admin/jsi18n/")) for file in files)
    answer = admin_client.get(next(file for file in files if "pipekit.css?v=" in file))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "max-age=31536000, public, immutable"
    assert "max-age=86400" in admin_client.get("/static/pipekit/pipekit.css").headers["Cache-Control"]


def queries(client: Client, address: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return [query["sql"] for query in captured.captured_queries]


@pytest.mark.parametrize("wish", ["", "?q=orders", "?q=%2317", "?status__exact=error", "?by=schedule:1", "?p=3"])
def test_the_list_of_runs_never_counts_them(admin_client: Client, wish: str) -> None:
    RunFactory.create_batch(3)
    told = queries(admin_client, f"{RUNS}{wish}")
    assert [sql for sql in told if "COUNT(" in sql] == []
    assert len(told) <= 6
    listed = [sql for sql in told if 'FROM "run_log"' in sql and "ORDER BY" in sql]
    assert len(listed) == 1
    assert "merge_sql" not in listed[0]


LISTS = ("modules_module", "modules_group", "connections_connection", "runs_grouprun", "scheduling_schedule")


@pytest.mark.parametrize("name", LISTS)
def test_a_list_takes_as_many_queries_for_many_rows_as_for_few(admin_client: Client, name: str) -> None:
    address = reverse(f"admin:{name}_changelist")

    def more(count: int) -> int:
        for _ in range(count):
            member = GroupMemberFactory.create()
            ScheduleFactory.create(group=member.group)
            RunFactory.create(
                module=member.module, group_run=GroupRunFactory.create(group=member.group, status="error")
            )
        return len(queries(admin_client, address))

    more(2)
    few, many = more(1), more(12)
    assert many == few <= 12


def test_a_group_s_page_asks_for_all_its_members_at_once(admin_client: Client) -> None:
    group = GroupFactory.create()
    address = reverse("admin:modules_group_change", args=[group.pk])
    GroupMemberFactory.create_batch(2, group=group)
    # whatever is remembered from page to page
    queries(admin_client, address)
    few = len(queries(admin_client, address))
    names = [member.module.name for member in GroupMemberFactory.create_batch(10, group=group)]
    assert len(queries(admin_client, address)) == few
    page = admin_client.get(address).content.decode()
    assert all(f">{name}<" in re.sub(r">\s+|\s+<", lambda found: found[0].strip(), page) for name in names)


def test_the_overview_s_numbers_lead_to_their_rows(admin_client: Client) -> None:
    running()
    running().finish_error({"code": "x", "message": "It broke.", "hint": "", "detail": ""})
    page = admin_client.get("/admin/").content.decode()
    assert "It broke." in page
    for label, count in (("running now", 1), ("failed in 24 hours", 1)):
        found = re.search(rf'href="([^"]+)"><span[^>]*>[^<]*</span><b>(\d+)</b><span>{label}', page)
        assert found is not None
        assert int(found[2]) == count
        listed = admin_client.get(found[1].replace("&amp;", "&")).context["cl"].result_list
        assert len(listed) == count


def test_dry_runs_are_no_failures_of_the_overview_and_refused_runs_are_shown_as_refused(admin_client: Client) -> None:
    error = {"code": "x", "message": "It broke.", "hint": "", "detail": ""}
    failed = running()
    failed.finish_error(error)
    running(dry_run=True).finish_error(error)
    running(dry_run=True).finish_refused(error)
    assert "refused by a safety limit" not in admin_client.get("/admin/").content.decode()
    refused = running()
    refused.finish_refused(error)
    page = admin_client.get("/admin/").content.decode()
    for label, run in (("failed in 24 hours", failed), ("refused by a safety limit in 24 hours", refused)):
        found = re.search(rf'href="([^"]+)"><span[^>]*>[^<]*</span><b>(\d+)</b><span>{label}', page)
        assert found is not None and found[2] == "1"
        listed = admin_client.get(found[1].replace("&amp;", "&")).context["cl"].result_list
        assert [row.pk for row in listed] == [run.pk]
    # in lists a dry run that failed says that it was one
    assert "Error (dry run)" in page and "Refused (dry run)" in page


def test_the_overview_counts_modules_whose_last_verification_found_a_difference(admin_client: Client) -> None:
    first, second, third = ModuleFactory.create_batch(3)

    def verified(module: Module, status: str, **values: Any) -> Verification:
        return Verification.objects.create(module=module, module_name=module.name, status=status, **values)

    assert "differed when last verified" not in admin_client.get("/admin/").content.decode()
    verified(first, "different")
    verified(first, "equal")
    verified(second, "different", repaired={"inserted": 1})
    told = [verified(third, "different"), verified(second, "different", repaired={"inserted": 1, "left": 2})]
    verified(third, "error")
    page = admin_client.get("/admin/").content.decode()
    found = re.search(r'href="([^"]+)"><span[^>]*>[^<]*</span><b>(\d+)</b><span>modules differed', page)
    assert found is not None and found[2] == "2"
    listed = admin_client.get(found[1].replace("&amp;", "&")).context["cl"].result_list
    assert {row.pk for row in listed} == {row.pk for row in told}


def test_what_is_not_there_or_not_allowed_says_so_in_words(client: Client, django_user_model: Any) -> None:
    client.force_login(django_user_model.objects.create_user("vera", is_staff=True))
    assert "Page not found" in client.get("/nothing/at/all").content.decode()
    assert "Permission denied" in client.get(RUNS).content.decode()
    assert "permission to view anything yet" in client.get("/admin/").content.decode()
