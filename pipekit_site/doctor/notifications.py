"""Doctor's check of notifications: whether failures are reported to anybody, and whether that gets there."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.utils import timezone

from connections.sdk.errors import ConfigurationInvalid
from runs.models.notification import Notification
from runs.notify.channels import email
from runs.notify.outbox import wanted_channels

_RECENT = dt.timedelta(days=7)


def notifications() -> str:
    if email.recipients() and not settings.PIPEKIT.smtp.host:
        raise ConfigurationInvalid(
            "Failures are to be reported by e-mail, and there is no mail server.", hint="Set smtp.host in config.yaml."
        )
    lost = Notification.objects.undelivered().filter(give_up_at__gt=timezone.now() - _RECENT)
    if last := lost.first():
        raise ConfigurationInvalid(
            f"{lost.count()} notifications of the last week were not delivered; the last: {last}. {last.last_error}",
            hint="manage.py notify --test; then try them again in the admin, under Notifications.",
        )
    waiting = Notification.objects.pending().filter(attempts__gt=0)
    if last := waiting.first():
        return f"{waiting.count()} are being tried again: {last.last_error}"
    channels = " and ".join(channel.label for channel in wanted_channels())
    if channels:
        return f"failures are reported by {channels}"
    return "not set up; failures are shown in the admin and by manage.py runs only. manage.py notify --test says how"
