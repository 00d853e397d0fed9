"""Notifications of verifications: a difference that is new, and the first equal result after one."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Any

from django.db import transaction

from runs.notifying.queueing import queue, wanted_channels
from runs.notifying.wording import line
from runs.outbox import Kind

if TYPE_CHECKING:
    from runs.verification import Verification

_log = logging.getLogger(__name__)


def on_verified(verification: Verification) -> None:
    """Queue what is to be reported of a verification that just ended; call it in the transaction that ends it.

    A failure of its own is logged and never keeps the verification from ending.
    """
    try:
        with transaction.atomic():
            _report(verification)
    except Exception:
        _log.exception("The notification of verification %s could not be queued.", verification.pk)


def _report(verification: Verification) -> None:
    kinds = {"different": Kind.DIFFERENT, "equal": Kind.EQUAL, "error": Kind.UNVERIFIED}
    found = kinds[str(verification.status)]
    if found is Kind.UNVERIFIED and verification.trigger == "manual":
        # whoever started it on a terminal has seen it
        return
    if verification.module is None or not wanted_channels():
        return
    earlier = type(verification)._default_manager.filter(module=verification.module_id, pk__lt=verification.pk)
    before = earlier.filter(status__in=("equal", "different")).order_by("-pk").first()
    if found is Kind.EQUAL and (before is None or before.status != "different"):
        return
    at: dt.datetime = verification.finished_at  # type: ignore[assignment]
    about: dict[str, Any] = {
        "verification": verification.pk,
        "trigger": verification.trigger,
        "at": at.astimezone(dt.UTC).isoformat(timespec="seconds"),
        "missing": verification.missing,
        "extra": verification.extra,
        "different": verification.different,
    }
    if found is Kind.UNVERIFIED:
        error = verification.error or {}
        about["error"] = {name: line(error.get(name) or "", 2000) for name in ("code", "message", "hint")}
    elif found is Kind.DIFFERENT:
        about["error"] = {
            "code": "different",
            "message": line(
                f"The destination lacks {verification.missing} rows, has {verification.extra} that the source does not"
                f" have, and {verification.different} with other values.",
                2000,
            ),
            "hint": line(f"manage.py verifymodule {verification.module_name} --repair", 1000),
        }
    event = f"verification:{verification.pk}"
    queue(found, event=event, module=verification.module, about=about, now=at)
