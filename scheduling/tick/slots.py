"""Writes slots and the progress of timers. Inserting the row of a slot reserves it.

A reserved slot is marked as started in the transaction that inserts its run, so a reserved slot has no run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db import IntegrityError, transaction

from connections.sdk.errors import PipekitError
from connections.secrets.redaction import redactor
from scheduling.models import Progress, Schedule, Slot, SlotOutcome
from scheduling.tick import notifications
from scheduling.tick.due import DueSlot
from scheduling.tick.start import StartResult
from scheduling.tick.timers import Timer


def reserve(timer: Timer, due: DueSlot, now: dt.datetime) -> Slot | None:
    """Reserve a slot and advance its timer. Return None if another tick has reserved it, or the schedule was deleted.

    This is committed before the run starts; if the tick dies in between, the slot stays reserved.
    """
    slot = _row(timer, due, now, SlotOutcome.RESERVED)
    try:
        with transaction.atomic():
            slot.save(force_insert=True)
            if timer.schedule_id is not None:
                Schedule.objects.filter(pk=timer.schedule_id).update(last_fired_at=now)
            advance([timer], now)
            notifications.missed([(timer, due)], now)
    except IntegrityError:
        if Slot.objects.filter(slot_key=due.slot.key, **timer.owner).exists():
            advance([timer], now)
        return None
    return slot


class SlotTaken(Exception):
    """Another tick has started the slot or recorded its outcome, or its schedule was deleted."""


def mark_started(slot: Slot, run_id: int) -> None:
    """Mark a reserved slot as started. Call it in the transaction that inserts the run. Raise SlotTaken."""
    rows = Slot.objects.filter(pk=slot.pk, outcome=SlotOutcome.RESERVED)
    if rows.update(outcome=SlotOutcome.STARTED, run_id=run_id, message="") != 1:
        raise SlotTaken


def record_result(slot: Slot, result: StartResult) -> bool:
    """Record the result of starting a slot; return False if another tick has recorded one."""
    slot.outcome, slot.run_id, slot.message = result.outcome, result.run_id, result.message
    only_if = {"outcome": SlotOutcome.RESERVED} if result.run_id is None else {"run_id": result.run_id}
    fields = {"outcome": result.outcome, "run_id": result.run_id, "message": result.message}
    if not Slot.objects.filter(pk=slot.pk, **only_if).update(**fields):
        return False
    error = result.message if result.outcome == SlotOutcome.FAILED else ""
    Progress.objects.filter(schedule=slot.schedule_id, module=slot.module_id).update(start_error=error)
    return True


def record_missed(missed: Sequence[tuple[Timer, DueSlot]], now: dt.datetime) -> None:
    """Insert one row for each timer that missed slots, whatever their number, and queue notifications."""
    rows = [_row(timer, due, now, SlotOutcome.MISSED) for timer, due in missed]
    with transaction.atomic():
        Slot.objects.bulk_create(rows, ignore_conflicts=True)
        advance([timer for timer, _ in missed], now)
        notifications.missed(missed, now)


def advance(timers: Sequence[Timer], now: dt.datetime) -> None:
    """Record that the timers have been evaluated up to now."""
    for key in ("schedule_id", "module_id"):
        rows = [
            Progress(**timer.owner, seen_until=now, seen_as=timer.seen_as)
            for timer in timers
            if timer.owner[key] is not None
        ]
        Progress.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=[key],
            update_fields=["seen_until", "seen_as", "error"],
        )


def record_error(timer: Timer, error: Exception) -> str:
    """Record why a timer cannot be evaluated and return the text, without secrets.

    It is not advanced, so a fix loses no slot.
    """
    text = redactor().text(error.message if isinstance(error, PipekitError) else f"{type(error).__name__}: {error}")
    initial = {"seen_until": timer.changed_at, "seen_as": timer.seen_as}
    row, _ = Progress.objects.get_or_create(**timer.owner, defaults=initial)
    if row.error != text:
        Progress.objects.filter(pk=row.pk).update(error=text)
    return text


def _row(timer: Timer, due: DueSlot, now: dt.datetime, outcome: SlotOutcome) -> Slot:
    return Slot(
        **timer.owner,
        slot_key=due.slot.key,
        due_at=due.slot.at,
        claimed_at=now,
        outcome=outcome,
        missed_before=due.missed_before,
    )
