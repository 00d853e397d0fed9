"""Delivery of the outbox to a real mail server: retries, rate limits, concurrent senders."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from modules.models import Module
from pipekit_site.doctor import notifications
from pipekit_site.doctor.checks import run_checks
from runs.models import Run
from runs.models.notification import LEASE, Delivery, Notification
from runs.models.states import Status
from runs.notify.delivery import MAILS, WINDOW, send_due
from runs.notify.run_rules import on_finished
from tests.factories import ModuleFactory, RunFactory
from tests.integration.notify.ended_runs import ERROR, NOW, ended
from tests.processes.commands import start_in_new_interpreter
from tests.servers.message_settings import ADMIN, status, use_mail_server
from tests.servers.ports import reserved_port
from tests.servers.receivers import MailServer, mail_server

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_proxy", "secrets_file")]
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def port() -> Iterator[int]:
    """Return a port on which no server listens unless the test starts one."""
    with reserved_port() as number:
        yield number


def failed_runs(count: int) -> list[Run]:
    """Return failed runs of as many modules, spread over ten minutes."""
    first = ModuleFactory.create()
    shared = {"source_connection": first.source_connection, "dest_connection": first.dest_connection}
    modules = Module.objects.bulk_create(
        Module(name=f"t{number}", dest_table=f"sync.t{number}", source_query="SELECT 1 AS a", **shared)
        for number in range(count)
    )
    end_times = [NOW + WINDOW * number / count for number in range(count)]
    return Run.objects.bulk_create(
        RunFactory.build(module=module, status=Status.ERROR, finished_at=end_time, trigger="schedule:1", error=ERROR)
        for module, end_time in zip(modules, end_times, strict=True)
    )


@pytest.mark.matrix
@pytest.mark.parametrize(("count", "seconds"), [(1000, 60), (50, 5)])
def test_a_thousand_failures_in_ten_minutes_are_reported_in_at_most_twenty_mails_and_none_is_omitted(
    server: MailServer, count: int, seconds: int
) -> None:
    """Notifications are sent every minute, and far more often."""
    runs, now = failed_runs(count), NOW
    while now <= NOW + WINDOW:
        while runs and (finished_at := runs[0].finished_at) is not None and finished_at <= now:
            on_finished(runs.pop(0))
        send_due(now)
        now += dt.timedelta(seconds=seconds)
    assert 1 < len(server.mails) <= MAILS
    for minute in range(1, 12):
        send_due(NOW + WINDOW + minute * MINUTE)
    assert Notification.objects.filter(status=Delivery.SENT).count() == count
    subjects = [mail["Subject"] for mail in server.mails]
    reported = [int(subject.split()[1]) if "notifications" in subject else 1 for subject in subjects]
    assert sum(reported) == count


def test_a_mail_server_that_was_down_gets_each_mail_once_after_it_is_up_again(settings: Settings, port: int) -> None:
    use_mail_server(settings, port)
    finished_at = ended(ModuleFactory.create()).finished_at
    assert finished_at is not None
    sent = [send_due(finished_at + minute * MINUTE) for minute in range(20)]
    row = Notification.objects.get()
    assert (sum(sent), row.status, row.attempts) == (0, "pending", 5)
    assert f"127.0.0.1:{port} cannot be reached" in row.last_error
    with mail_server(port) as server:
        assert sum(send_due(finished_at + minute * MINUTE) for minute in range(20, 80)) == 1
        assert len(server.mails) == 1
    assert status() == "sent"


@pytest.mark.matrix
def test_a_mail_not_accepted_for_a_day_is_undelivered_and_shown_and_can_be_retried(
    settings: Settings, admin_client: Client, port: int
) -> None:
    use_mail_server(settings, port)
    finished_at = ended(ModuleFactory.create(name="qcrh")).finished_at
    assert finished_at is not None
    for half_hour in range(50):
        send_due(finished_at + half_hour * 30 * MINUTE)
    assert status() == "undelivered"
    (check,) = run_checks([("notifications", notifications.notifications)])
    assert not check.ok
    assert "1 notifications of the last week were not delivered; the last: qcrh: Failed." in check.message
    changelist = reverse("admin:runs_notification_changelist")
    assert "cannot be reached" in admin_client.get(changelist, {"status": "undelivered"}).content.decode()
    admin_client.post(changelist, {"action": "retry", "_selected_action": [Notification.objects.get().pk]})
    with mail_server(port) as server:
        assert send_due() == 1
        assert len(server.mails) == 1


def start_notify(server: MailServer) -> subprocess.Popen[str]:
    """Start a process that sends what is due to the mail server."""
    environment = {
        **os.environ,
        "PIPEKIT_SMTP_HOST": "127.0.0.1",
        "PIPEKIT_SMTP_PORT": str(server.port),
        "PIPEKIT_SMTP_TO": ADMIN,
        "DJANGO_SETTINGS_MODULE": "pipekit_site.settings",
    }
    return start_in_new_interpreter(["notify"], environment, stderr=None, text=True)


@pytest.mark.matrix
@pytest.mark.django_db(transaction=True)
def test_a_mail_whose_sender_is_killed_is_sent_again_after_the_lease(server: MailServer) -> None:
    ended(ModuleFactory.create())
    server.stalls.set()
    with start_notify(server) as sender:
        assert server.stalled.wait(120)
        sender.kill()
    server.stalls.clear()
    assert (status(), server.mails) == ("pending", [])
    assert send_due(timezone.now() + MINUTE) == 0
    assert send_due(timezone.now() + LEASE) == 1
    assert len(server.mails) == 1


@pytest.mark.matrix
@pytest.mark.django_db(transaction=True)
def test_concurrent_senders_send_each_mail_once(server: MailServer) -> None:
    for _ in range(5):
        ended(ModuleFactory.create())
    senders = [start_notify(server) for _ in range(3)]
    outputs = [sender.communicate(timeout=120)[0] for sender in senders]
    assert sum(int(output.split()[0]) for output in outputs) == 5
    assert len({mail["Message-ID"] for mail in server.mails}) == len(server.mails) == 5


def test_a_mail_that_is_sent_again_keeps_its_message_id(server: MailServer) -> None:
    ended(ModuleFactory.create())
    send_due()
    Notification.objects.update(status=Delivery.PENDING)
    send_due(timezone.now() + LEASE + MINUTE)
    first, second = server.mails
    assert first["Message-ID"] == second["Message-ID"]


def test_a_recovery_is_not_sent_before_the_failure_that_it_ends(settings: Settings) -> None:
    other, module = ModuleFactory.create(name="other"), ModuleFactory.create(name="qcrh")
    use_mail_server(settings, 1)
    ended(module)
    first_attempt = timezone.now()
    assert send_due(first_attempt) == 0
    with mail_server() as server:
        use_mail_server(settings, server.port)
        ended(module, "success")
        ended(other)
        # the failure's next attempt is in a minute; only the other module's mail is sent before
        assert send_due(first_attempt + MINUTE / 2) == 1
        assert send_due(first_attempt + 3 * MINUTE) == 2
        assert [mail["Subject"].split(" (")[0] for mail in server.mails] == [
            "[Pipekit] other failed",
            "[Pipekit] qcrh failed",
            "[Pipekit] qcrh works again",
        ]
