"""Webhooks never go to a cloud metadata service, and to private addresses only if config.yaml allows it."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from connections.secrets import references
from runs.models import Setting
from runs.models.notification import Notification
from runs.notify.delivery import send_due
from tests.factories import ModuleFactory, change_settings
from tests.integration.notify.ended_runs import ended
from tests.servers.receivers import WebhookServer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def only_public_webhooks(settings: Settings, no_proxy: None, secrets_file: Path, hook: WebhookServer) -> None:
    """Configure the webhook as the only channel, and forbid private addresses."""
    settings.PIPEKIT = replace(settings.PIPEKIT, webhook_private=False)
    change_settings(notification_addresses=[])


def delivery_error(url: str) -> str:
    """Set the webhook's URL, fail to deliver one event and return the recorded error."""
    Notification.objects.all().delete()
    change_settings(webhook_url=url)
    ended(ModuleFactory.create())
    assert send_due() == 0
    return Notification.objects.get().last_error


@pytest.mark.default_cases(4)
@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1", "0.0.0.0"),
        *("10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "[fc00::1]", "[64:ff9b::7f00:1]"),
    ],
)
def test_this_machine_and_private_networks_are_refused(hook: WebhookServer, host: str) -> None:
    error = delivery_error(f"http://{host}:{hook.port}/hook?token=canary-9127")
    assert "The webhook's address is this machine or a private network; nothing was sent." in error
    assert "webhook_private in config.yaml" in error
    assert "canary-9127" not in error
    assert hook.posts == []


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[::ffff:169.254.169.254]", "2852039166", "[fe80::1]", "100.100.100.200", "metadata"]
)
def test_metadata_services_are_refused_even_where_private_networks_are_allowed(
    settings: Settings, hook: WebhookServer, host: str
) -> None:
    settings.PIPEKIT = replace(settings.PIPEKIT, webhook_private=True)
    assert "metadata service; nothing was sent." in delivery_error(f"http://{host}/latest/meta-data")


def test_a_url_in_a_secret_is_checked_too(hook: WebhookServer) -> None:
    references.store().set("HOOK_URL", hook.url)
    assert "this machine or a private network" in delivery_error("$HOOK_URL")
    assert hook.posts == []


def test_config_yaml_can_allow_private_addresses(settings: Settings, hook: WebhookServer) -> None:
    settings.PIPEKIT = replace(settings.PIPEKIT, webhook_private=True)
    ended(ModuleFactory.create())
    assert send_due() == 1
    assert len(hook.posts) == 1


def test_a_host_name_is_resolved_once_and_the_checked_address_is_used(
    settings: Settings, hook: WebhookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PIPEKIT = replace(settings.PIPEKIT, webhook_private=True)
    lookups: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: Any, *arguments: Any, **keywords: Any) -> Any:
        if host != "hooks.invalid":
            return real(host, *arguments, **keywords)
        lookups.append(host)
        # a second lookup would return another address
        return real("127.0.0.1" if len(lookups) == 1 else "127.0.0.99", *arguments, **keywords)

    monkeypatch.setenv("no_proxy", "127.0.0.1,hooks.invalid")
    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    change_settings(webhook_url=f"http://hooks.invalid:{hook.port}/hook")
    ended(ModuleFactory.create())
    assert send_due() == 1
    assert lookups == ["hooks.invalid"]
    assert hook.posts[0].headers["Host"] == f"hooks.invalid:{hook.port}"


def test_a_host_name_with_one_private_address_among_others_is_refused(
    hook: WebhookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def two_addresses(host: Any, *arguments: Any, **keywords: Any) -> Any:
        if host != "hooks.invalid":
            return real(host, *arguments, **keywords)
        return [*real("8.8.8.8", *arguments, **keywords), *real("127.0.0.1", *arguments, **keywords)]

    monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
    assert "this machine or a private network" in delivery_error(f"http://hooks.invalid:{hook.port}/hook")
    assert hook.posts == []


def test_a_webhook_from_before_the_restriction_keeps_working_until_its_url_is_changed(hook: WebhookServer) -> None:
    change_settings(webhook_url=hook.url, webhook_unrestricted=True)
    change_settings(webhook_url=hook.url, notify_every=3)
    ended(ModuleFactory.create())
    assert send_due() == 1
    assert "this machine or a private network" in delivery_error(f"{hook.url}&other=1")
    assert not Setting.objects.get().webhook_unrestricted
