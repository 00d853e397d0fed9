"""Webhooks and mails over TLS and through a proxy: certificates are verified, also when the address is fixed."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from connections.secrets import references
from runs import notify
from runs.models.notification import Notification
from tests.factories import ModuleFactory, change_settings
from tests.integration.notify.test_rules import ended
from tests.servers.message_settings import reached_at
from tests.servers.receivers import MailServer, WebhookServer, webhook_server

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("private_webhooks", "secrets_file")]


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate for hooks.invalid and 127.0.0.1, which this process trusts."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("openssl makes the certificate")
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=hooks.invalid", "-days", "1"]
    names = ["-addext", "subjectAltName=DNS:hooks.invalid,IP:127.0.0.1"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run([*made, *names, *files], check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names in .invalid lead to this machine."""
    real = socket.getaddrinfo

    def here(host: Any, *arguments: Any, **keywords: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith(".invalid") else host, *arguments, **keywords)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    monkeypatch.setenv("no_proxy", "127.0.0.1,.invalid")


def webhook_at(url: str) -> None:
    references.store().set("HOOK_SECRET", "shared-5518")
    change_settings(webhook_url=url, webhook_secret="$HOOK_SECRET", notification_addresses=[])
    ended(ModuleFactory.create())


def test_the_certificate_is_verified_by_the_name_of_the_url(tls: ssl.SSLContext, names: None) -> None:
    with webhook_server(tls) as hook:
        webhook_at(f"https://hooks.invalid:{hook.port}/hook")
        assert notify.send_due() == 1
    assert hook.posts[0].headers["Host"] == f"hooks.invalid:{hook.port}"


@pytest.mark.parametrize("host", ["other.invalid", "localhost"])
def test_a_certificate_of_another_name_is_refused(
    tls: ssl.SSLContext, names: None, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with webhook_server(tls) as hook:
        webhook_at(f"https://{host}:{hook.port}/hook")
        assert notify.send_due() == 0
    assert "Hostname mismatch" in Notification.objects.get().last_error
    assert hook.posts == []


def test_the_next_address_is_used_if_one_refuses_the_connection(names: None, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def two(host: Any, *arguments: Any, **keywords: Any) -> Any:
        if host != "hooks.invalid":
            return real(host, *arguments, **keywords)
        return [*real("127.0.0.99", *arguments, **keywords), *real("127.0.0.1", *arguments, **keywords)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    with webhook_server() as hook:
        webhook_at(f"http://hooks.invalid:{hook.port}/hook")
        assert notify.send_due() == 1
    assert len(hook.posts) == 1


def test_the_proxy_of_the_environment_is_used(hook: WebhookServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{hook.port}")
    monkeypatch.setenv("no_proxy", "")
    webhook_at("http://hooks.invalid/hook?token=canary-9127")
    assert notify.send_due() == 1
    assert hook.posts[0].path == "http://hooks.invalid/hook?token=canary-9127"
    assert hook.posts[0].headers["Host"] == "hooks.invalid"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_is_sent_over_tls(settings: Settings, server: MailServer, tls: ssl.SSLContext, security: str) -> None:
    server.tls, server.starttls, server.password = tls, security == "starttls", "pw-7741"
    references.store().set("MAIL_PW", "pw-7741")
    change_settings(smtp_security=security, smtp_username="etl", smtp_password="$MAIL_PW")
    ended(ModuleFactory.create())
    assert notify.send_due() == 1
    assert server.encrypted == [True]


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_server_with_the_certificate_of_another_name_gets_nothing(
    settings: Settings, server: MailServer, tls: ssl.SSLContext, security: str
) -> None:
    server.tls, server.starttls = tls, security == "starttls"
    reached_at(settings, server.port, host="localhost")
    change_settings(smtp_security=security)
    ended(ModuleFactory.create())
    assert notify.send_due() == 0
    assert "certificate verify failed" in Notification.objects.get().last_error
    assert server.mails == []
