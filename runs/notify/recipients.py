"""The recipients of notifications: mail addresses, the webhook's URL, and the channels that are configured."""

from __future__ import annotations

from django.conf import settings as conf

from runs.models.notification import Channel
from runs.models.setting import Setting


def mail_recipients(settings: Setting) -> tuple[str, ...]:
    """Return the mail recipients: those of config.yaml, then those of the setting notification_addresses."""
    return tuple(dict.fromkeys((*conf.PIPEKIT.smtp.to, *settings.notification_addresses)))


def wanted_channels(settings: Setting) -> tuple[Channel, ...]:
    """Return the configured channels, correct or not: a wrong configuration shows as undelivered notifications."""
    wanted = {Channel.EMAIL: mail_recipients(settings), Channel.WEBHOOK: settings.webhook_url}
    return tuple(channel for channel, destination in wanted.items() if destination)
