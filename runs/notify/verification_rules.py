"""Notification rules of verifications: differences, repairs, and the first equal result afterwards.

Only a new or changed difference is reported. An equal result counts if it compared at least the same rows and columns.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from django.db import transaction
from django.dispatch import receiver

from connections.sdk.formatting import counted
from runs.models.execution import StartedBy
from runs.models.notification import NotificationKind
from runs.models.setting import current_settings
from runs.models.transitions import finished
from runs.models.verification import Verification, VerificationStatus
from runs.notify.messages import line, sentence, timestamp
from runs.notify.outbox import queue
from runs.notify.recipients import wanted_channels
from runs.verifications.outcome import outcome_of
from runs.verifications.scope import scope_as_json, scope_command, scope_words

# how many earlier verifications are searched for one that is comparable
_SEARCH_LIMIT = 100
_log = logging.getLogger(__name__)


@receiver(finished, sender=Verification)
def on_verified(instance: Verification, **kwargs: Any) -> None:
    """Queue the notification of a verification that just ended.

    Its own errors are logged and never keep the verification from ending.
    """
    try:
        with transaction.atomic():
            _report(instance)
    except Exception:
        _log.exception("The notification of verification %s could not be queued.", instance.pk)


def _report(verification: Verification) -> None:
    if verification.module is None or not (channels := wanted_channels(current_settings())):
        return
    if (kind := _kind(verification)) is None:
        return
    at: dt.datetime = verification.finished_at  # type: ignore[assignment]
    about: dict[str, Any] = {
        "verification": verification.pk,
        "trigger": verification.trigger,
        "at": timestamp(at),
        "missing": verification.missing,
        "extra": verification.extra,
        "different": verification.different,
        "outcome": str(outcome_of(verification)),
        "scope": scope_as_json(verification),
        "compared": _compared(verification),
    }
    if kind is NotificationKind.UNVERIFIED:
        error = verification.error or {}
        about["error"] = {name: line(error.get(name) or "", 2000) for name in ("code", "message", "hint")}
    elif kind is NotificationKind.DIFFERENT:
        about["repaired"] = verification.is_repaired
        about["error"] = {
            "code": "different",
            "message": line(_message(verification), 2000),
            "hint": line(_hint(verification), 1000),
        }
    event = f"verification:{verification.pk}"
    queue(kind, channels, event=event, module=verification.module, about=about, now=at)


def _kind(verification: Verification) -> NotificationKind | None:
    """Return the kind of notification, or None if the result is not reported."""
    if verification.status == VerificationStatus.ERROR:
        # started on a terminal, where the error was printed
        return None if verification.trigger == StartedBy.MANUAL else NotificationKind.UNVERIFIED
    before = _before(verification)
    differed = before is not None and before.status == VerificationStatus.DIFFERENT
    if verification.status == VerificationStatus.EQUAL:
        is_solved = before is not None and differed and _covers(verification, before)
        return NotificationKind.EQUAL if is_solved else None
    is_known = before is not None and differed and _state(before) == _state(verification)
    return None if is_known else NotificationKind.DIFFERENT


def _before(verification: Verification) -> Verification | None:
    """Return the last earlier verification that differed, or was equal in a scope that covers this one."""
    earlier = type(verification)._default_manager.filter(module=verification.module_id, pk__lt=verification.pk)
    for row in earlier.filter(status__in=("equal", "different")).order_by("-pk")[:_SEARCH_LIMIT]:
        if row.status == "different" or _covers(row, verification):
            return row
    return None


def _covers(equal: Verification, other: Verification) -> bool:
    """Return whether ``equal`` compared at least what ``other`` compared; a sample covers no other scope."""
    scope = scope_as_json(equal)
    # options are compared as requested, because `2 days` resolves to another value each time
    same = all((equal.options.get(name) or None) == (other.options.get(name) or None) for name in ("columns", "since"))
    return bool(scope["everything"]) or (same and not scope["sample"])


def _compared(verification: Verification) -> str:
    words = scope_words(verification)
    if verification.source_rows is None:
        return words
    return f"{words}: {counted(verification.source_rows)} at the source, {verification.dest_rows:,} in the destination"


def _state(verification: Verification) -> tuple[Any, ...]:
    """Return the values that distinguish one difference from another: its counts and the outcome of its repair."""
    counts = (verification.missing, verification.extra, verification.different)
    if verification.is_repaired:
        # repaired, so any later difference is a new one
        return (*counts, verification.pk)
    return (*counts, (verification.error or {}).get("code"), (verification.repaired or {}).get("left"))


def _message(verification: Verification) -> str:
    # a repair that changed nothing, or was not possible, says why in the last warning
    has_remark = not verification.is_repaired and (verification.repaired is not None or not verification.is_repairable)
    return sentence(
        "difference",
        missing=counted(verification.missing or 0),
        extra=f"{verification.extra or 0:,}",
        different=f"{verification.different or 0:,}",
        is_repaired=verification.is_repaired,
        run=verification.repair_run_id,
        repair_error=(verification.error or {}).get("message"),
        remark=verification.warnings[-1] if has_remark and not verification.error else "",
    )


def _hint(verification: Verification) -> str:
    if verification.is_repaired:
        return ""
    if verification.error:
        return verification.error.get("hint") or ""
    if verification.repaired is not None or not verification.is_repairable:
        return ""
    return scope_command(verification, repair=True)
