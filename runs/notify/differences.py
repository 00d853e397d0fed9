"""Notifications of verifications: a difference that is new or another than before, what a repair made of it, and the
first equal result after one, if that compared at least the same.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Any

from django.db import transaction

from runs.engine.plurals import counted
from runs.models.notification import NotificationKind
from runs.notify.messages import line
from runs.notify.outbox import queue, wanted_channels

if TYPE_CHECKING:
    from runs.models.verification import Verification

# of earlier verifications, to find one that counts
_LOOKED_AT = 100
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
    # imported here: they are above the models, which import this
    from runs.verifications import outcome
    from runs.verifications import scope as verification_scope

    kinds = {
        "different": NotificationKind.DIFFERENT,
        "equal": NotificationKind.EQUAL,
        "error": NotificationKind.UNVERIFIED,
    }
    found = kinds[str(verification.status)]
    if found is NotificationKind.UNVERIFIED and verification.trigger == "manual":
        # whoever started it on a terminal has seen it
        return
    if verification.module is None or not wanted_channels():
        return
    before = _before(verification)
    differed = before is not None and before.status == "different"
    if found is NotificationKind.EQUAL and not (before is not None and differed and _covers(verification, before)):
        return
    if (
        found is NotificationKind.DIFFERENT
        and before is not None
        and differed
        and _state(before) == _state(verification)
    ):
        return
    at: dt.datetime = verification.finished_at  # type: ignore[assignment]
    about: dict[str, Any] = {
        "verification": verification.pk,
        "trigger": verification.trigger,
        "at": at.astimezone(dt.UTC).isoformat(timespec="seconds"),
        "missing": verification.missing,
        "extra": verification.extra,
        "different": verification.different,
        "outcome": str(outcome.outcome(verification)),
        "scope": verification_scope.as_json(verification),
        "compared": _compared(verification),
    }
    if found is NotificationKind.UNVERIFIED:
        error = verification.error or {}
        about["error"] = {name: line(error.get(name) or "", 2000) for name in ("code", "message", "hint")}
    elif found is NotificationKind.DIFFERENT:
        about["repaired"] = verification.is_repaired
        about["error"] = {
            "code": "different",
            "message": line(_message(verification), 2000),
            "hint": line(_hint(verification), 1000),
        }
    event = f"verification:{verification.pk}"
    queue(found, event=event, module=verification.module, about=about, now=at)


def _before(verification: Verification) -> Verification | None:
    """Return the last verification that says how things stood: one that differed, or was equal in enough."""
    earlier = type(verification)._default_manager.filter(module=verification.module_id, pk__lt=verification.pk)
    for row in earlier.filter(status__in=("equal", "different")).order_by("-pk")[:_LOOKED_AT]:
        if row.status == "different" or _covers(row, verification):
            return row
    return None


def _covers(equal: Verification, other: Verification) -> bool:
    """Whether equal rows in one say that the other's would be equal: a sample or a part says nothing of the whole."""
    from runs.verifications import scope as verification_scope

    scope = verification_scope.as_json(equal)
    # a part is named as it was asked for: the value of `2 days` is another each time
    same = all((equal.options.get(name) or None) == (other.options.get(name) or None) for name in ("columns", "since"))
    return bool(scope["everything"]) or (same and not scope["sample"])


def _compared(verification: Verification) -> str:
    from runs.verifications import scope as verification_scope

    words = verification_scope.words(verification)
    if verification.source_rows is None:
        return words
    return f"{words}: {counted(verification.source_rows)} at the source, {verification.dest_rows:,} in the destination"


def _state(verification: Verification) -> tuple[Any, ...]:
    """Return what makes a difference another one: its counts, and how its repair ended."""
    counts = (verification.missing, verification.extra, verification.different)
    if verification.is_repaired:
        # it is over; whatever differs later is new
        return (*counts, verification.pk)
    return (*counts, (verification.error or {}).get("code"), (verification.repaired or {}).get("left"))


def _message(verification: Verification) -> str:
    missing, extra, different = verification.missing or 0, verification.extra or 0, verification.different or 0
    if verification.is_repaired:
        return (
            f"The destination lacked {counted(missing)}, had {extra:,} that the source does not have, and"
            f" {different:,} with other values. Run {verification.repair_run_id} repaired it."
        )
    text = (
        f"The destination lacks {counted(missing)}, has {extra:,} that the source does not have, and {different:,}"
        " with other values."
    )
    if verification.error:
        return f"{text} It was to be repaired: {verification.error.get('message')}"
    if verification.repaired is not None or not verification.is_repairable:
        return f"{text} {verification.warnings[-1]}"
    return text


def _hint(verification: Verification) -> str:
    if verification.is_repaired:
        return ""
    if verification.error:
        return verification.error.get("hint") or ""
    if verification.repaired is not None or not verification.is_repairable:
        return ""
    from runs.verifications import scope as verification_scope

    return verification_scope.command(verification, repair=True)
