"""Mails: subjects, texts, digests, headers, and the login to the mail server."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from connections.secrets import references
from connections.secrets.redaction import redactor
from modules.models import Module
from pipekit_site.doctor import notifications
from pipekit_site.doctor.checks import run_checks
from runs import notify
from runs.models.notification import Notification
from runs.notify.delivery import send_due
from tests.factories import ModuleFactory, change_settings
from tests.integration.notify.ended_runs import NOW, ended
from tests.servers.message_settings import ADMIN, SENDER, status, text, use_mail_server
from tests.servers.receivers import MailServer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_proxy", "secrets_file")]
MINUTE = dt.timedelta(minutes=1)


def test_a_mail_reports_the_error_its_time_the_number_of_failures_and_a_hint(server: MailServer) -> None:
    change_settings(site_url="https://etl.example.com/", notification_addresses=["ops@example.com", ADMIN])
    run = ended(ModuleFactory.create(name="qcrh"))
    assert send_due() == 1
    (mail,) = server.mails
    assert (mail["Subject"], mail["From"]) == ("[Pipekit] qcrh failed (connection_failed)", SENDER)
    assert mail["To"] == f"{ADMIN}, ops@example.com"
    body = text(server)
    for part in ("erp does not answer.", "Start it.", "1 failure in a row", f"run {run.pk} (schedule:1)"):
        assert part in body
    assert f"https://etl.example.com/admin/runs/run/{run.pk}/change/" in body
    assert f"{timezone.localtime(run.finished_at):%Y-%m-%d %H:%M:%S %z}" in body
    assert status() == "sent"
    assert send_due() == 0


def test_each_kind_of_event_has_its_own_subject(server: MailServer) -> None:
    change_settings(notify_every=2, late_after_hours=1)
    module = ModuleFactory.create(name="qcrh")
    for run_status in ("refused", "error", "success"):
        ended(module, run_status)
    notify.find_late(timezone.now() + dt.timedelta(hours=2))
    assert send_due(timezone.now() + dt.timedelta(hours=2)) == 4
    assert [mail["Subject"] for mail in server.mails] == [
        "[Pipekit] qcrh was refused (connection_failed)",
        "[Pipekit] qcrh has failed 2 times in a row (connection_failed)",
        "[Pipekit] qcrh works again",
        "[Pipekit] qcrh is late: no success for 1 h",
    ]


def test_more_than_five_events_at_once_are_sent_as_one_mail(server: MailServer) -> None:
    modules = [ModuleFactory.create(name=f"t{number}") for number in range(6)]
    for module in modules:
        ended(module)
    assert send_due() == 6
    (mail,) = server.mails
    assert mail["Subject"] == "[Pipekit] 6 notifications: 6 failed"
    assert all(f"{module.name} failed" in text(server) for module in modules)


def test_module_names_and_errors_cannot_inject_headers_or_reveal_secrets(server: MailServer) -> None:
    module = ModuleFactory.create()
    bad = "x\r\nBcc: evil@example.com\r\n\r\nhello\u2028\x7f\u202e\u061c"
    Module.objects.filter(pk=module.pk).update(name="x\r\nBcc: evil@example.com")
    module.refresh_from_db()
    run = ended(module)
    row = Notification.objects.get()
    redactor().add("canary-5583")
    row.about = {**row.about, "module": bad, "error": {"code": bad, "message": f"{bad} canary-5583", "hint": bad}}
    row.save()
    assert send_due() == 1
    (mail,) = server.mails
    assert mail["Bcc"] is None
    assert mail["Subject"].startswith("[Pipekit] x Bcc: evil@example.com hello failed (x Bcc: evil")
    assert mail["To"] == ADMIN
    assert f"run {run.pk}" in text(server)
    assert "error:      x Bcc: evil@example.com hello" in text(server)
    assert "canary-5583" not in text(server)


def test_a_refused_recipient_is_recorded_and_the_others_get_the_mail(server: MailServer) -> None:
    change_settings(notification_addresses=["gone@example.com"])
    server.refused = {"gone@example.com"}
    ended(ModuleFactory.create())
    assert send_due() == 1
    assert Notification.objects.get().last_error == "The mail server refused: gone@example.com."
    server.refused.add(ADMIN)
    ended(ModuleFactory.create())
    assert send_due() == 0
    assert "rejected the mail" in Notification.objects.order_by("-pk")[0].last_error


def test_the_login_is_used_and_a_refused_login_is_recorded_without_the_password(server: MailServer) -> None:
    references.store().set("MAIL_PW", "right-8812")
    change_settings(smtp_username="etl", smtp_password="$MAIL_PW")
    server.password = "right-8812"
    ended(ModuleFactory.create())
    assert send_due() == 1
    server.password = "another"
    ended(ModuleFactory.create())
    assert send_due() == 0
    error = Notification.objects.order_by("-pk")[0].last_error
    assert "refused the login" in error
    assert "right-8812" not in error


def test_a_server_that_lacks_the_required_starttls_gets_no_mail(server: MailServer) -> None:
    change_settings(smtp_security="starttls")
    ended(ModuleFactory.create())
    assert send_due() == 0
    assert "STARTTLS" in Notification.objects.get().last_error
    assert server.mails == []


def test_recipients_without_a_mail_server_are_reported_by_the_notification_and_by_doctor(settings: Settings) -> None:
    use_mail_server(settings, 25, host="")
    ended(ModuleFactory.create())
    send_due()
    assert "There is no mail server." in Notification.objects.get().last_error
    (check,) = run_checks([("notifications", notifications.notifications)])
    assert (check.ok, check.hint) == (False, "Set smtp.host in config.yaml.")


def test_the_notification_page_shows_the_text_and_is_read_only(admin_client: Client, server: MailServer) -> None:
    ended(ModuleFactory.create(name="qcrh"))
    row = Notification.objects.get()
    page = admin_client.get(reverse("admin:runs_notification_change", args=[row.pk])).content.decode()
    assert "erp does not answer." in page
    assert admin_client.get(reverse("admin:runs_notification_add")).status_code == 403
    assert admin_client.post(reverse("admin:runs_notification_delete", args=[row.pk])).status_code == 403


def test_a_missed_time_is_reported_with_its_due_time_and_many_are_reported_in_one_mail(server: MailServer) -> None:
    module = ModuleFactory.create(name="qcrh")
    missed = notify.Missed(
        key="schedule:1",
        schedule="schedule nightly",
        module_id=module.pk,
        module="qcrh",
        count=3,
        last=NOW - MINUTE,
        message="The scheduler was not running.",
        hint="Was this machine off?",
    )
    for _ in range(2):
        notify.on_missed([missed], NOW)
    assert send_due(NOW) == 1
    assert server.mails[0]["Subject"] == "[Pipekit] qcrh was not run: schedule nightly missed 3 times"
    body = text(server)
    for part in ("was due:    2026-11-21", "The scheduler was not running.", "fix:        Was this machine off?"):
        assert part in body
    # the success after it is no recovery, because no run had failed
    ended(module, "success")
    assert Notification.objects.count() == 1
    many = [replace(missed, key=f"schedule:{number}", module_id=None, group=f"g{number}") for number in range(2, 2002)]
    notify.on_missed(many, NOW)
    assert send_due(NOW) == 2000
    assert server.mails[1]["Subject"] == "[Pipekit] 2000 notifications: 2000 missed"
    assert "group g2 was not run" in text(server, 1)
