"""Delivery of the outbox. Any number of senders may work at once, and a crash loses no message.

A row is leased in a short transaction, sent outside it, then marked. If a sender dies in between, its lease expires
and the message is sent again with the same delivery id: delivery is at least once.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from connections.sdk.errors import InternalError, PipekitError
from connections.sdk.records import dataclass
from connections.secrets.redaction import redactor
from runs.models.notification import Channel, Notification, NotificationQuerySet
from runs.models.setting import Setting, current_settings
from runs.models.storable import storable
from runs.notify import messages

# rate limit: at most this many mails per window, and only digests after the first SINGLE_MAILS
WINDOW = dt.timedelta(minutes=10)
MAILS, SINGLE_MAILS = 20, 10
# more events than this at once are sent as one digest
AT_ONCE = 5
_WEBHOOKS, _MAILED = 200, 5000
# seconds in which messages are begun, on all channels; the last one of each channel has its own time limit
_TIME_LIMIT = 20.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows that are sent as one message."""

    lease: str
    rows: Sequence[Notification]


def send_due(now: dt.datetime | None = None) -> int:
    """Send what is due on every channel; return how many notifications were delivered. Delivery errors do not raise."""
    now, deadline = now or timezone.now(), time.monotonic() + _TIME_LIMIT
    return sum(_deliver_due(channel, now, deadline) for channel in Channel)


def _deliver_due(channel: Channel, now: dt.datetime, deadline: float) -> int:
    """Deliver a channel's batches until one fails or the deadline passes, then release those not attempted."""
    batches, sent = _lease(channel, now), 0
    while batches:
        batch = batches.pop(0)
        try:
            remark = _DELIVER[channel](batch.rows, current_settings())
        except Exception as error:
            Notification.objects.mark_failed(batch.lease, now, error=_error_text(error))
            break
        sent += Notification.objects.mark_sent(batch.lease, now, remark=remark)
        if time.monotonic() > deadline:
            break
    Notification.objects.release([batch.lease for batch in batches], now)
    return sent


def _lease(channel: Channel, now: dt.datetime) -> list[Batch]:
    due = Notification.objects.due(channel, now)
    if not due.exists():
        return []
    with transaction.atomic():
        # other senders wait for these row locks, then see the leases
        batches = _DIVIDE[channel](due.select_for_update(), now)
        return [Batch(lease=Notification.objects.lease([row.pk for row in rows], now), rows=rows) for rows in batches]


def _into_mails(due: NotificationQuerySet, now: dt.datetime) -> list[list[Notification]]:
    """Return the rows of each mail that may be sent now: few events one by one, many as a digest, up to the rate limit.

    A module's later notifications wait for its earlier ones, so that mails arrive in order.
    """
    before = Notification.objects.pending().filter(
        channel=Channel.EMAIL, module=OuterRef("module"), pk__lt=OuterRef("pk"), due_at__gt=now
    )
    rows = list(due.exclude(Exists(before)).order_by("pk")[:_MAILED])
    recent = Notification.objects.filter(channel=Channel.EMAIL, claimed_at__gte=now - WINDOW)
    mails = recent.values("claim").distinct().count()
    if not rows or mails >= MAILS:
        return []
    one_by_one = len(rows) <= AT_ONCE and mails + len(rows) <= SINGLE_MAILS
    return [[row] for row in rows] if one_by_one else [rows]


def _into_posts(due: NotificationQuerySet, now: dt.datetime) -> list[list[Notification]]:
    return [[row] for row in due[:_WEBHOOKS]]


def _deliver_by_mail(rows: Sequence[Notification], settings: Setting) -> str:
    key = " ".join(row.delivery_id for row in rows)
    return send_mail(messages.notification_mail([row.about for row in rows], settings, key=key), settings)


def _deliver_by_webhook(rows: Sequence[Notification], settings: Setting) -> str:
    for row in rows:
        event = {**row.about, "url": messages.link(row.about, settings) or None}
        post_event(event, settings, delivery_id=row.delivery_id)
    return ""


def send_mail(mail: messages.Mail, settings: Setting) -> str:
    """Send a mail; return a remark about recipients that were refused, or an empty string."""
    # imported here, because most ticks have nothing to send
    from runs.notify.channels import email

    return email.send(mail, settings)


def post_event(event: dict[str, Any], settings: Setting, *, delivery_id: str) -> None:
    """Post an event to the webhook."""
    from runs.notify.channels import webhook

    webhook.post(event, settings, delivery_id=delivery_id)


# how due rows are divided into messages, and how one message is delivered, returning a remark
_DIVIDE: dict[Channel, Callable[[NotificationQuerySet, dt.datetime], list[list[Notification]]]] = {
    Channel.EMAIL: _into_mails,
    Channel.WEBHOOK: _into_posts,
}
_DELIVER: dict[Channel, Callable[[Sequence[Notification], Setting], str]] = {
    Channel.EMAIL: _deliver_by_mail,
    Channel.WEBHOOK: _deliver_by_webhook,
}


def _error_text(error: Exception) -> str:
    if not isinstance(error, PipekitError):
        _log.error("A notification could not be sent.", exc_info=error)
        error = InternalError(f"{type(error).__name__}: {error}")
    return str(storable(redactor().text(" ".join(filter(None, (error.message, error.hint, error.detail))))))
