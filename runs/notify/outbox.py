"""Puts an event into the outbox, once for each channel that somebody listens on. No network."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from modules.models import Module
from runs.models.notification import GIVE_UP, Channel, Notification, NotificationKind
from runs.notify.channels import email, webhook


def wanted_channels() -> tuple[Channel, ...]:
    """Return the channels that are set up, rightly or not: what cannot be delivered is to be seen as such."""
    wanted = {Channel.EMAIL: email.recipients, Channel.WEBHOOK: webhook.address}
    return tuple(channel for channel, ask in wanted.items() if ask())


def queue(
    kind: NotificationKind,
    *,
    event: str,
    about: dict[str, Any],
    now: dt.datetime,
    module: Module | None = None,
    run_id: int | None = None,
) -> None:
    """Write the event down for every channel; ``event`` names it, so that whoever finds it again adds nothing."""
    about = {"event": str(kind), "module": module.name if module else None, **about}
    named = {"module_id": module.pk if module else None, "module_name": module.name if module else "", "run_id": run_id}
    new = rows(kind, wanted_channels(), event=event, about=about, now=now, **named)
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
    """Return the event's rows, one a channel, not written yet."""
    return [
        Notification(
            kind=kind,
            channel=channel,
            about=about,
            event_key=f"{event}:{channel}",
            due_at=now,
            give_up_at=now + GIVE_UP,
            **named,
        )
        for channel in channels
    ]
