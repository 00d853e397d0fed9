"""Delivery to a real webhook, the test message on every channel, and servers that answer byte by byte."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import socket
import threading
import time
from typing import Any

import pytest
from django.core.mail.utils import DNS_NAME
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from connections.secrets import references
from runs.models.notification import Notification
from runs.notify import channels
from runs.notify.channels import email
from runs.notify.delivery import send_due
from tests.factories import ModuleFactory, change_settings
from tests.integration.notify.ended_runs import ended
from tests.servers.message_settings import ADMIN, use_mail_server
from tests.servers.receivers import MailServer, WebhookServer, dripping_server

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_proxy", "private_webhooks", "secrets_file")]
MINUTE = dt.timedelta(minutes=1)


def test_a_webhook_gets_the_event_with_a_signature(hook: WebhookServer) -> None:
    change_settings(site_url="https://etl.example.com")
    run = ended(ModuleFactory.create(name="qcrh"))
    assert send_due() == 1
    (post,) = hook.posts
    body = json.loads(post.body)
    assert (body["event"], body["module"], body["run"], body["failures"]) == ("failure", "qcrh", run.pk, 1)
    assert body["error"]["message"] == "erp does not answer."
    assert body["url"] == f"https://etl.example.com/admin/runs/run/{run.pk}/change/"
    assert body["delivery"] == post.headers["X-Pipekit-Delivery"] == Notification.objects.get().delivery_id
    signed_bytes = post.headers["X-Pipekit-Timestamp"].encode() + b"." + post.body
    expected = hmac.new(b"shared-5518", signed_bytes, hashlib.sha256).hexdigest()
    assert post.headers["X-Pipekit-Signature"] == f"sha256={expected}"
    assert abs(int(post.headers["X-Pipekit-Timestamp"]) - timezone.now().timestamp()) < 60


def test_the_settings_are_read_once_for_a_message(hook: WebhookServer, server: MailServer) -> None:
    ended(ModuleFactory.create())
    with CaptureQueriesContext(connection) as queries:
        assert send_due() == 2
    assert len([query for query in queries if 'FROM "settings"' in query["sql"]]) == 2


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("status_code", [500, 404, 302])
def test_a_webhook_that_does_not_answer_2xx_is_retried_with_the_same_delivery_id(
    hook: WebhookServer, status_code: int
) -> None:
    hook.status, hook.location = status_code, hook.url if status_code == 302 else ""
    ended(ModuleFactory.create())
    assert send_due() == 0
    error = Notification.objects.get().last_error
    assert f"The webhook answered {status_code}. said the receiver" in error
    assert "canary-9127" not in error
    hook.status, hook.location = 204, ""
    assert send_due(timezone.now() + 2 * MINUTE) == 1
    assert len(hook.posts) == 2
    assert len({post.headers["X-Pipekit-Delivery"] for post in hook.posts}) == 1


def test_the_url_of_a_webhook_may_be_a_secret(hook: WebhookServer) -> None:
    references.store().set("HOOK_URL", hook.url)
    change_settings(webhook_url="$HOOK_URL")
    ended(ModuleFactory.create())
    assert send_due() == 1


def test_a_webhook_without_a_signing_secret_gets_nothing(hook: WebhookServer) -> None:
    change_settings(webhook_secret="")
    ended(ModuleFactory.create())
    assert send_due() == 0
    assert "no secret to sign with" in Notification.objects.get().last_error
    assert hook.posts == []


def test_a_failing_channel_does_not_delay_the_other(server: MailServer, hook: WebhookServer) -> None:
    hook.status = 500
    ended(ModuleFactory.create())
    assert send_due() == 1
    assert dict(Notification.objects.values_list("channel", "status")) == {"email": "sent", "webhook": "pending"}


def test_a_failing_webhook_is_attempted_once_per_delivery_and_not_once_per_event(hook: WebhookServer) -> None:
    hook.status = 500
    for _ in range(4):
        ended(ModuleFactory.create())
    send_due()
    assert len(hook.posts) == 1
    hook.status = 200
    assert send_due() == 3
    assert send_due(timezone.now() + 2 * MINUTE) == 1


def test_the_test_message_is_sent_on_every_channel(
    server: MailServer, hook: WebhookServer, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("notify", "--test")
    output = capsys.readouterr().out
    assert f"email: ok: sent to {ADMIN}" in output
    assert "webhook: ok" in output
    assert (server.mails[0]["Subject"], json.loads(hook.posts[0].body)["event"]) == ("[Pipekit] Test", "test")
    assert "shared-5518" not in output


def test_a_test_message_that_fails_gives_exit_code_1_and_the_reason(
    settings: Settings, hook: WebhookServer, capsys: pytest.CaptureFixture[str]
) -> None:
    use_mail_server(settings, 1)
    with pytest.raises(SystemExit) as exited:
        call_command("notify", "--test")
    assert exited.value.code == 1
    output = capsys.readouterr()
    assert "email: failed: The mail server 127.0.0.1:1 cannot be reached" in output.out
    assert "Check smtp in config.yaml" in output.err
    assert "webhook: ok" in output.out


def test_a_test_message_without_any_channel_gives_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        call_command("notify", "--test")
    assert exited.value.code == 1
    assert "No notification channel is configured." in capsys.readouterr().err


def test_the_notify_command_prints_the_state_of_the_outbox(
    server: MailServer, capsys: pytest.CaptureFixture[str]
) -> None:
    ended(ModuleFactory.create())
    call_command("notify")
    assert capsys.readouterr().out == "1 sent, 0 waiting, 0 undelivered\n"


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "TOTAL_TIMEOUT", 1.0)


# the first bytes of an HTTP response, an SMTP greeting and a TLS record, which the server never completes
INCOMPLETE_RESPONSES = {
    "http": b"HTTP/1.1 200 OK\r\nX-Slow: ",
    "https": b"\x16\x03\x03\x40\x00",
    "smtp": b"220 ",
    "smtps": b"\x16\x03\x03\x40\x00",
}


@pytest.mark.serial
@pytest.mark.parametrize("scheme", sorted(INCOMPLETE_RESPONSES))
def test_a_server_that_answers_byte_by_byte_runs_into_the_total_timeout(
    settings: Settings, short_timeout: None, scheme: str
) -> None:
    with dripping_server(INCOMPLETE_RESPONSES[scheme]) as port:
        if scheme.startswith("http"):
            references.store().set("HOOK_SECRET", "shared-5518")
            change_settings(webhook_url=f"{scheme}://127.0.0.1:{port}/hook", webhook_secret="$HOOK_SECRET")
            change_settings(notification_addresses=[])
        else:
            use_mail_server(settings, port)
            change_settings(smtp_security="tls" if scheme == "smtps" else "none")
        ended(ModuleFactory.create())
        start = time.monotonic()
        assert send_due() == 0
        assert time.monotonic() - start < 8
    row = Notification.objects.get()
    assert (row.status, row.attempts) == ("pending", 1)
    assert "The server took longer than 1 s." in row.last_error


@pytest.mark.parametrize("channel", ["http", "smtp"])
def test_a_resolver_that_hangs_runs_into_the_total_timeout(
    settings: Settings, short_timeout: None, monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    answered = threading.Event()
    real = socket.getaddrinfo

    def hanging(host: Any, *arguments: Any, **keywords: Any) -> Any:
        if str(host).endswith(".invalid"):
            answered.wait(10)
        return real("127.0.0.1", *arguments, **keywords)

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    if channel == "http":
        monkeypatch.setenv("no_proxy", "*")
        references.store().set("HOOK_SECRET", "shared-5518")
        change_settings(webhook_url="http://hooks.invalid:9/hook", webhook_secret="$HOOK_SECRET")
        change_settings(notification_addresses=[])
    else:
        use_mail_server(settings, 9, host="mail.invalid")
    ended(ModuleFactory.create())
    start = time.monotonic()
    try:
        assert send_due() == 0
        assert time.monotonic() - start < 5
        # a thread that is not a daemon would hold the process at its end
        assert [thread.name for thread in threading.enumerate() if not thread.daemon] == ["MainThread"]
    finally:
        answered.set()
    assert "The server took longer than 1 s." in Notification.objects.get().last_error


def test_a_hanging_look_up_of_this_machine_s_name_does_not_prevent_a_mail(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    monkeypatch.setattr(DNS_NAME, "get_fqdn", lambda: answered.wait(30))
    monkeypatch.setattr(email, "_NAME_TIMEOUT", 0.2)
    ended(ModuleFactory.create())
    try:
        assert send_due() == 1
    finally:
        answered.set()
