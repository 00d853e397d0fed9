"""Delivery of the outbox. Any number of senders may work at once, and a crash loses no message.

A row is claimed in a short transaction, sent outside it, then marked. If a sender dies in between, its claim expires
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
from runs.models.notification import Channel, Notification, NotificationQuerySet, new_delivery_id
from runs.models.storable import storable
from runs.notify import messages
from runs.notify.recipients import recipients, wanted_channels, webhook_address

# rate limit: at most this many mails per window, and only digests after the first SINGLE_MAILS
WINDOW = dt.timedelta(minutes=10)
MAILS, SINGLE_MAILS = 20, 10
# more events than this at once are sent as one digest
AT_ONCE = 5
_WEBHOOKS, _MAILED = 200, 5000
# seconds in which messages are begun, on all channels; the last one of each channel has its own time limit
_TIME_LIMIT = 20.0
_log = logging.getLogger(__name__)

Group = Sequence[Notification]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows that are sent as one message."""

    claim: str
    rows: Group


def send_due(now: dt.datetime | None = None) -> int:
    """Send what is due on every channel; return how many notifications were delivered. Delivery errors do not raise."""
    now, deadline = now or timezone.now(), time.monotonic() + _TIME_LIMIT
    return sum(_send(channel, now, deadline) for channel in Channel)


def _send(channel: Channel, now: dt.datetime, deadline: float) -> int:
    """Send a channel's batches until one fails or the deadline passes, then release those that were not attempted."""
    batches, sent = _claim(channel, now), 0
    while batches:
        batch = batches.pop(0)
        try:
            remark = _DELIVER[channel](batch.rows)
        except Exception as error:
            Notification.objects.mark_failed(batch.claim, now, error=_error_text(error))
            break
        sent += Notification.objects.mark_sent(batch.claim, now, remark=remark)
        if time.monotonic() > deadline:
            break
    Notification.objects.release([batch.claim for batch in batches], now)
    return sent


def _claim(channel: Channel, now: dt.datetime) -> list[Batch]:
    due = Notification.objects.due(channel, now)
    if not due.exists():
        return []
    with transaction.atomic():
        # other senders wait for these row locks, then see the claims
        groups = _GROUP[channel](due.select_for_update(), now)
        return [Batch(claim=Notification.objects.claim([row.pk for row in group], now), rows=group) for group in groups]


def _mails(due: NotificationQuerySet, now: dt.datetime) -> list[Group]:
    """Return the mails that may be sent now: a few events one by one, many as a digest, none beyond the rate limit.

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


def _posts(due: NotificationQuerySet, now: dt.datetime) -> list[Group]:
    return [[row] for row in due[:_WEBHOOKS]]


def _mail(rows: Group) -> str:
    key = " ".join(row.delivery_id for row in rows)
    return _send_mail(messages.mail([row.about for row in rows], key=key))


def _post(rows: Group) -> str:
    for row in rows:
        _send_webhook({**row.about, "url": messages.link(row.about) or None}, delivery_id=row.delivery_id)
    return ""


def _send_mail(mail: messages.Mail) -> str:
    # imported here, because most ticks have nothing to send
    from runs.notify.channels import email

    return email.send(mail)


def _send_webhook(event: dict[str, Any], *, delivery_id: str) -> None:
    from runs.notify.channels import webhook

    webhook.post(event, delivery_id=delivery_id)


_GROUP: dict[Channel, Callable[[NotificationQuerySet, dt.datetime], list[Group]]] = {
    Channel.EMAIL: _mails,
    Channel.WEBHOOK: _posts,
}
_DELIVER: dict[Channel, Callable[[Group], str]] = {Channel.EMAIL: _mail, Channel.WEBHOOK: _post}


def _error_text(error: Exception) -> str:
    if not isinstance(error, PipekitError):
        _log.error("A notification could not be sent.", exc_info=error)
        error = InternalError(f"{type(error).__name__}: {error}")
    return str(storable(redactor().text(" ".join(filter(None, (error.message, error.hint, error.detail))))))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelResult:
    """The result of a test message on one channel."""

    channel: Channel
    ok: bool
    message: str
    hint: str = ""


def send_tests() -> list[ChannelResult]:
    """Send a test message directly, without the outbox, on every configured channel."""
    return [_try(channel) for channel in wanted_channels()]


def _try(channel: Channel) -> ChannelResult:
    try:
        if channel == Channel.EMAIL:
            remark = _send_mail(messages.test_mail())
            message = remark or f"sent to {', '.join(recipients())}"
            return ChannelResult(channel=channel, ok=not remark, message=message)
        _send_webhook({"event": "test"}, delivery_id=new_delivery_id())
        return ChannelResult(channel=channel, ok=True, message=f"posted to {webhook_address()}")
    except PipekitError as error:
        message = " ".join(filter(None, (error.message, error.detail)))
        return ChannelResult(
            channel=channel, ok=False, message=redactor().text(message), hint=redactor().text(error.hint)
        )
