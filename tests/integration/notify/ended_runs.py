"""Runs that have ended, and the notifications about their modules."""

from __future__ import annotations

import datetime as dt
from typing import Any

from modules.models import Module
from runs.models import Run
from runs.models.notification import Notification
from runs.models.states import Status
from tests.factories import create_running_run

ERROR = {"code": "connection_failed", "message": "erp does not answer.", "hint": "Start it.", "detail": "errno 111"}
NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)


def ended(module: Module, status: str = "error", **fields: Any) -> Run:
    """Return a finished run of the module, by default one that a schedule started and that failed."""
    run = create_running_run(module=module, **{"trigger": "schedule:1", **fields})
    run.finish(Status(status), **({} if status in ("success", "dry_run") else {"error": ERROR}))
    return run


def events(module: Module) -> list[str]:
    """Return the kinds of the module's notifications, in order."""
    return list(Notification.objects.filter(module=module).order_by("pk").values_list("kind", flat=True))
