"""Inserts events into the outbox, one row for each configured channel. Uses no network."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from modules.models import Module
from runs.models.notification import RETRY_PERIOD, Channel, Notification, NotificationKind


def queue(
    kind: NotificationKind,
    channels: Iterable[Channel],
    *,
    event: str,
    about: dict[str, Any],
    now: dt.datetime,
    module: Module | None = None,
    run_id: int | None = None,
) -> None:
    """Insert the event for each channel; ``event`` is its unique key, so a second insert of it does nothing."""
    about = {"event": str(kind), "module": module.name if module else None, **about}
    named = {"module_id": module.pk if module else None, "module_name": module.name if module else "", "run_id": run_id}
    new = rows(kind, channels, event=event, about=about, now=now, **named)
    Notification.objects.bulk_create(new, ignore_conflicts=True)


def rows(
    kind: NotificationKind,
    channels: Iterable[Channel],
    *,
    event: str,
    about: dict[str, Any],
    now: dt.datetime,
    **named: Any,
) -> list[Notification]:
    """Return the event's rows, one per channel, unsaved."""
    return [
        Notification(
            kind=kind,
            channel=channel,
            about=about,
            event_key=f"{event}:{channel}",
            due_at=now,
            give_up_at=now + RETRY_PERIOD,
            **named,
        )
        for channel in channels
    ]
