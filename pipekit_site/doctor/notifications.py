"""Doctor's check of notifications: whether channels are set up, and whether notifications are delivered."""

from __future__ import annotations

import datetime as dt

from django.conf import settings as conf
from django.utils import timezone

from connections.sdk.errors import ConfigurationInvalid
from runs.models.notification import Notification
from runs.models.setting import current_settings
from runs.notify.recipients import mail_recipients, wanted_channels

_RECENT = dt.timedelta(days=7)


def notifications() -> str:
    """Check the delivery of notifications of the last week."""
    settings = current_settings()
    if mail_recipients(settings) and not conf.PIPEKIT.smtp.host:
        raise ConfigurationInvalid(
            "E-mail recipients are set, but no mail server.", hint="Set smtp.host in config.yaml."
        )
    undelivered = Notification.objects.undelivered().filter(give_up_at__gt=timezone.now() - _RECENT)
    if last := undelivered.first():
        raise ConfigurationInvalid(
            f"{undelivered.count()} notifications of the last week were not delivered; the last: {last}."
            f" {last.last_error}",
            hint="Run manage.py notify --test, then retry them in the admin, under Notifications.",
        )
    retrying = Notification.objects.pending().filter(attempts__gt=0)
    if last := retrying.first():
        return f"{retrying.count()} are being retried: {last.last_error}"
    channels = " and ".join(channel.label for channel in wanted_channels(settings))
    if channels:
        return f"failures are reported by {channels}"
    return "not set up; failures are only shown in the admin and by manage.py runs. See manage.py notify --test"
