"""The notification outbox: one row per event and channel, kept until it is delivered or marked undelivered.

Rows are inserted in the transaction that changes the state they report, so a crash loses no notification.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from typing import Any

from django.db import models

from connections.models import Timestamped
from modules.models import Module

# deliveries are retried for this long
RETRY_PERIOD = dt.timedelta(hours=24)
# a sender's lease of rows expires after this, and another sender may send them
LEASE = dt.timedelta(minutes=5)
_FIRST_DELAY = dt.timedelta(minutes=1)
_MAX_DELAY = dt.timedelta(minutes=30)


class NotificationKind(models.TextChoices):
    """What happened, for a run, a module, a schedule or a verification."""

    FAILURE = "failure", "Failed"
    REPEATED = "repeated", "Keeps failing"
    LATE = "late", "Late"
    RECOVERY = "recovery", "Recovered"
    MISSED = "missed", "Missed"
    # results of verifications
    DIFFERENT = "different", "Different"
    EQUAL = "equal", "Equal again"
    UNVERIFIED = "unverified", "Not verified"


class Channel(models.TextChoices):
    EMAIL = "email", "E-mail"
    WEBHOOK = "webhook", "Webhook"


class Delivery(models.TextChoices):
    """The state of a notification's delivery."""

    PENDING = "pending", "Waiting"
    SENT = "sent", "Sent"
    UNDELIVERED = "undelivered", "Undelivered"


def new_delivery_id() -> str:
    """Return a random UUID."""
    return str(uuid.uuid4())


class NotificationQuerySet(models.QuerySet["Notification"]):
    def pending(self) -> NotificationQuerySet:
        return self.filter(status=Delivery.PENDING)

    def undelivered(self) -> NotificationQuerySet:
        return self.filter(status=Delivery.UNDELIVERED)

    def due(self, channel: Channel, now: dt.datetime) -> NotificationQuerySet:
        """Return pending notifications whose next attempt is due, oldest first."""
        return self.pending().filter(channel=channel, due_at__lte=now).order_by("due_at", "pk")

    def lease(self, pks: Iterable[int], now: dt.datetime) -> str:
        """Lease the rows to one sender for the time LEASE; return the id of the lease."""
        lease = str(uuid.uuid4())
        self.filter(pk__in=list(pks)).pending().update(claim=lease, claimed_at=now, due_at=now + LEASE)
        return lease

    def release(self, leases: Iterable[str], now: dt.datetime) -> None:
        """End the leases of rows that were not attempted."""
        self.pending().filter(claim__in=list(leases)).update(claim="", claimed_at=None, due_at=now)

    def mark_sent(self, lease: str, now: dt.datetime, *, remark: str = "") -> int:
        """Record a delivery. The lease is kept: it identifies the message that carried these rows."""
        sent = {"status": Delivery.SENT, "sent_at": now, "last_error": remark, "attempts": models.F("attempts") + 1}
        return self.pending().filter(claim=lease).update(**sent)

    def mark_failed(self, lease: str, now: dt.datetime, *, error: str) -> None:
        """Record a failed attempt and schedule the next one with exponential backoff, until ``give_up_at``."""
        rows = self.pending().filter(claim=lease)
        attempts = rows.aggregate(most=models.Max("attempts"))["most"] or 0
        delay = min(_FIRST_DELAY * 2 ** min(attempts, 10), _MAX_DELAY)
        attempt: dict[str, Any] = {"attempts": models.F("attempts") + 1, "last_error": error}
        unleased = {"claim": "", "claimed_at": None}
        rows.filter(give_up_at__lte=now).update(status=Delivery.UNDELIVERED, **attempt, **unleased)
        rows.update(due_at=now + delay, **attempt, **unleased)

    def retry(self, now: dt.datetime) -> int:
        """Queue undelivered notifications again, with a new deadline."""
        return self.undelivered().update(
            status=Delivery.PENDING, attempts=0, due_at=now, give_up_at=now + RETRY_PERIOD, claim="", claimed_at=None
        )


class Notification(Timestamped):
    """One event to be delivered on one channel."""

    kind = models.CharField(max_length=10, choices=NotificationKind.choices)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    module = models.ForeignKey(Module, on_delete=models.SET_NULL, null=True, related_name="notifications")
    # kept when the module is deleted
    module_name = models.CharField("module", max_length=63)
    run = models.ForeignKey("runs.Run", on_delete=models.SET_NULL, null=True, related_name="notifications")
    # the event's payload as the webhook sends it; contains no secrets
    about = models.JSONField()
    # two processes that detect the same event insert it once
    event_key = models.CharField(max_length=120, unique=True, editable=False)
    # the same for every attempt, so that a receiver can discard duplicates
    delivery_id = models.CharField(max_length=36, default=new_delivery_id, unique=True, editable=False)
    status = models.CharField(max_length=12, choices=Delivery.choices, default=Delivery.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    give_up_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)
    # the id of the lease, and its beginning
    claim = models.CharField(max_length=36, blank=True, editable=False)
    claimed_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        db_table = "outbox"
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["status", "channel", "due_at"], name="outbox_by_due"),
            models.Index(fields=["channel", "claimed_at"], name="outbox_by_claimed"),
            models.Index(fields=["module", "-id"], name="outbox_by_module"),
        ]

    def __str__(self) -> str:
        name = self.module_name or f"group {self.about.get('group', '?')}"
        return f"{name}: {self.get_kind_display()}"
