"""The admin escapes text of rows and loads only its own files."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
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
    ScheduleFactory,
    create_running_run,
)

pytestmark = pytest.mark.django_db
# short enough for every field
HOSTILE = "\"'></textarea><img src=x onerror=alert(1)></script>\u2028\x1b]8;;"
RUNS = "/admin/runs/run/"


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


def test_missing_and_forbidden_pages_have_a_message(client: Client, django_user_model: Any) -> None:
    client.force_login(django_user_model.objects.create_user("vera", is_staff=True))
    assert "Page not found" in client.get("/nothing/at/all").content.decode()
    assert "Permission denied" in client.get(RUNS).content.decode()
    assert "permission to view anything yet" in client.get("/admin/").content.decode()
