"""Webhooks and mails over TLS, with verified certificates, and webhooks through a proxy."""

from __future__ import annotations

import datetime as dt
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from connections.secrets import references
from runs.models.notification import Notification
from runs.notify.channels import email
from runs.notify.delivery import send_due
from tests.factories import ModuleFactory, change_settings
from tests.integration.notify.ended_runs import ended
from tests.servers.message_settings import use_mail_server
from tests.servers.receivers import MailServer, WebhookServer, webhook_server

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("private_webhooks", "secrets_file")]


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Return a server context whose certificate is for hooks.invalid and 127.0.0.1 and trusted by this process."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("openssl makes the certificate")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=hooks.invalid", "-days", "1"]
    names = ["-addext", "subjectAltName=DNS:hooks.invalid,IP:127.0.0.1"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context


@pytest.fixture
def invalid_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve host names in .invalid to this machine."""
    real = socket.getaddrinfo

    def local(host: Any, *arguments: Any, **keywords: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith(".invalid") else host, *arguments, **keywords)

    monkeypatch.setattr(socket, "getaddrinfo", local)
    monkeypatch.setenv("no_proxy", "127.0.0.1,.invalid")


def queue_event_for(url: str) -> None:
    """Configure the webhook as the only channel and queue one event."""
    references.store().set("HOOK_SECRET", "shared-5518")
    change_settings(webhook_url=url, webhook_secret="$HOOK_SECRET", notification_addresses=[])
    ended(ModuleFactory.create())


def test_the_certificate_is_verified_against_the_host_name_of_the_url(
    tls: ssl.SSLContext, invalid_domain: None
) -> None:
    with webhook_server(tls) as hook:
        queue_event_for(f"https://hooks.invalid:{hook.port}/hook")
        assert send_due() == 1
    assert hook.posts[0].headers["Host"] == f"hooks.invalid:{hook.port}"


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("host", ["other.invalid", "localhost"])
def test_a_certificate_for_another_host_name_is_refused(
    tls: ssl.SSLContext, invalid_domain: None, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with webhook_server(tls) as hook:
        queue_event_for(f"https://{host}:{hook.port}/hook")
        assert send_due() == 0
    assert "Hostname mismatch" in Notification.objects.get().last_error
    assert hook.posts == []


def test_the_next_address_is_used_if_one_refuses_the_connection(
    invalid_domain: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def two_addresses(host: Any, *arguments: Any, **keywords: Any) -> Any:
        if host != "hooks.invalid":
            return real(host, *arguments, **keywords)
        return [*real("127.0.0.99", *arguments, **keywords), *real("127.0.0.1", *arguments, **keywords)]

    monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
    with webhook_server() as hook:
        queue_event_for(f"http://hooks.invalid:{hook.port}/hook")
        assert send_due() == 1
    assert len(hook.posts) == 1


def test_the_proxy_of_the_environment_is_used(hook: WebhookServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{hook.port}")
    monkeypatch.setenv("no_proxy", "")
    queue_event_for("http://hooks.invalid/hook?token=canary-9127")
    assert send_due() == 1
    assert hook.posts[0].path == "http://hooks.invalid/hook?token=canary-9127"
    assert hook.posts[0].headers["Host"] == "hooks.invalid"


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_is_sent_over_tls(settings: Settings, server: MailServer, tls: ssl.SSLContext, security: str) -> None:
    server.tls, server.starttls, server.password = tls, security == "starttls", "pw-7741"
    references.store().set("MAIL_PW", "pw-7741")
    change_settings(smtp_security=security, smtp_username="etl", smtp_password="$MAIL_PW")
    ended(ModuleFactory.create())
    assert send_due() == 1
    assert server.encrypted == [True]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_server_with_a_certificate_for_another_host_name_gets_no_mail(
    settings: Settings, server: MailServer, tls: ssl.SSLContext, security: str
) -> None:
    server.tls, server.starttls = tls, security == "starttls"
    use_mail_server(settings, server.port, host="localhost")
    change_settings(smtp_security=security)
    ended(ModuleFactory.create())
    assert send_due() == 0
    assert "certificate verify failed" in Notification.objects.get().last_error
    assert server.mails == []


@pytest.fixture
def login(server: MailServer) -> None:
    """Configure a login with the default encryption."""
    references.store().set("MAIL_PW", "pw-7741")
    server.password = "pw-7741"
    change_settings(smtp_security="auto", smtp_username="etl", smtp_password="$MAIL_PW")


def test_auto_encrypts_on_any_port_that_offers_it(server: MailServer, tls: ssl.SSLContext, login: None) -> None:
    server.tls, server.starttls = tls, True
    ended(ModuleFactory.create())
    assert send_due() == 1
    assert server.encrypted == [True]


def test_auto_sends_no_login_unencrypted_to_another_machine(
    server: MailServer, login: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(email, "_is_this_machine", lambda transport: False)
    ended(ModuleFactory.create())
    assert send_due() == 0
    error = Notification.objects.get().last_error
    assert "does not offer encryption (STARTTLS)" in error
    assert "set smtp_security to none" in error
    assert (server.logins, server.mails) == ([], [])
    change_settings(smtp_security="none")
    ended(ModuleFactory.create())
    assert send_due(timezone.now() + dt.timedelta(days=1)) == 2
    assert server.encrypted == [False, False]


def test_auto_sends_a_login_unencrypted_to_this_machine(server: MailServer, login: None) -> None:
    ended(ModuleFactory.create())
    assert send_due() == 1
    assert (server.logins, server.encrypted) == (["etl"], [False])


def test_auto_sends_no_login_to_another_machine_whose_certificate_is_not_valid(
    settings: Settings, server: MailServer, tls: ssl.SSLContext, login: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(email, "_is_this_machine", lambda transport: False)
    server.tls, server.starttls = tls, True
    use_mail_server(settings, server.port, host="localhost")
    ended(ModuleFactory.create())
    assert send_due() == 0
    assert "certificate verify failed" in Notification.objects.get().last_error
    assert (server.logins, server.mails) == ([], [])


def test_auto_sends_a_mail_without_login_whatever_the_certificate(
    settings: Settings, server: MailServer, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(email, "_is_this_machine", lambda transport: False)
    server.tls, server.starttls = tls, True
    use_mail_server(settings, server.port, host="localhost")
    ended(ModuleFactory.create())
    assert send_due() == 1
    assert server.encrypted == [True]
