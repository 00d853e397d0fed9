"""Where notifications go: the mail recipients, the webhook's URL, and the channels that have one."""

from __future__ import annotations

from django.conf import settings

from runs.models.notification import Channel
from runs.models.setting import setting


def recipients() -> tuple[str, ...]:
    """Return the mail recipients: those of config.yaml, then those of the setting notification_addresses."""
    return tuple(dict.fromkeys((*settings.PIPEKIT.smtp.to, *setting("notification_addresses"))))


def webhook_address() -> str:
    """Return the setting webhook_url: a URL, or a reference to a secret that holds one."""
    return str(setting("webhook_url"))


def wanted_channels() -> tuple[Channel, ...]:
    """Return the configured channels, correct or not: a wrong configuration shows as undelivered notifications."""
    destinations = {Channel.EMAIL: recipients, Channel.WEBHOOK: webhook_address}
    return tuple(channel for channel, destination in destinations.items() if destination())
