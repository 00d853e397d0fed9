"""The outbox: what is to be told of runs, one row per event and channel, until it is delivered or visibly is not.

Rows are written in the transaction of the state they tell of, so no alert is lost with the process that had it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from typing import Any

from django.db import models

from connections.timestamped import Timestamped
from modules.models import Module

# after which an attempt that fails is the last
GIVE_UP = dt.timedelta(hours=24)
# how long a sender has before others take over what it claimed
LEASE = dt.timedelta(minutes=5)
_FIRST_WAIT = dt.timedelta(minutes=1)
_LONGEST_WAIT = dt.timedelta(minutes=30)


class Kind(models.TextChoices):
    FAILURE = "failure", "Failed"
    REPEATED = "repeated", "Keeps failing"
    LATE = "late", "Late"
    RECOVERY = "recovery", "Recovered"
    MISSED = "missed", "Missed"
    # by a verification
    DIFFERENT = "different", "Different"
    EQUAL = "equal", "Equal again"
    UNVERIFIED = "unverified", "Not verified"


class Channel(models.TextChoices):
    EMAIL = "email", "E-mail"
    WEBHOOK = "webhook", "Webhook"


class Delivery(models.TextChoices):
    PENDING = "pending", "Waiting"
    SENT = "sent", "Sent"
    UNDELIVERED = "undelivered", "Undelivered"


def new_delivery_id() -> str:
    return str(uuid.uuid4())


class NotificationQuerySet(models.QuerySet["Notification"]):
    def pending(self) -> NotificationQuerySet:
        return self.filter(status=Delivery.PENDING)

    def undelivered(self) -> NotificationQuerySet:
        return self.filter(status=Delivery.UNDELIVERED)

    def due(self, channel: Channel, now: dt.datetime) -> NotificationQuerySet:
        return self.pending().filter(channel=channel, due_at__lte=now).order_by("due_at", "pk")

    def claim(self, pks: Iterable[int], now: dt.datetime) -> str:
        """Make these a sender's own for the time of a lease; return the claim's name."""
        claim = str(uuid.uuid4())
        self.filter(pk__in=list(pks)).pending().update(claim=claim, claimed_at=now, due_at=now + LEASE)
        return claim

    def release(self, claims: Iterable[str], now: dt.datetime) -> None:
        """Put back what was claimed and not tried."""
        self.pending().filter(claim__in=list(claims)).update(claim="", claimed_at=None, due_at=now)

    def mark_sent(self, claim: str, now: dt.datetime, *, remark: str = "") -> int:
        """Record a delivery; the claim stays, it names the message that these went out with."""
        sent = {"status": Delivery.SENT, "sent_at": now, "last_error": remark, "attempts": models.F("attempts") + 1}
        return self.pending().filter(claim=claim).update(**sent)

    def mark_failed(self, claim: str, now: dt.datetime, *, error: str) -> None:
        """Record a failed attempt: tried again later, each wait twice the one before, for a day."""
        rows = self.pending().filter(claim=claim)
        attempts = rows.aggregate(most=models.Max("attempts"))["most"] or 0
        wait = min(_FIRST_WAIT * 2 ** min(attempts, 10), _LONGEST_WAIT)
        tried: dict[str, Any] = {"attempts": models.F("attempts") + 1, "last_error": error}
        freed = {"claim": "", "claimed_at": None}
        rows.filter(give_up_at__lte=now).update(status=Delivery.UNDELIVERED, **tried, **freed)
        rows.update(due_at=now + wait, **tried, **freed)

    def retry(self, now: dt.datetime) -> int:
        """Try undelivered ones again, for another day."""
        return self.undelivered().update(
            status=Delivery.PENDING, attempts=0, due_at=now, give_up_at=now + GIVE_UP, claim="", claimed_at=None
        )


class Notification(Timestamped):
    """One event on one channel."""

    kind = models.CharField(max_length=10, choices=Kind.choices)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    module = models.ForeignKey(Module, on_delete=models.SET_NULL, null=True, related_name="notifications")
    # outlives the module
    module_name = models.CharField("module", max_length=63)
    run = models.ForeignKey("runs.Run", on_delete=models.SET_NULL, null=True, related_name="notifications")
    # what is told, in the words of the webhook's body; no secrets
    about = models.JSONField()
    # of two that find the same event, one writes it down
    event_key = models.CharField(max_length=120, unique=True, editable=False)
    # the same at every attempt, by which a receiver knows what it has had
    delivery_id = models.CharField(max_length=36, default=new_delivery_id, unique=True, editable=False)
    status = models.CharField(max_length=12, choices=Delivery.choices, default=Delivery.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    give_up_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)
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
