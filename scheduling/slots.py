"""Writes what becomes of slots, and how far each cadence was looked at. The insert of a slot's row is the claim."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db import IntegrityError, transaction

from connections.sdk.errors import PipekitError
from scheduling.cadences import Cadence
from scheduling.due import Owed
from scheduling.models import Outcome, Progress, Schedule, Slot
from scheduling.starting import Started


def claim(cadence: Cadence, due: Owed, now: dt.datetime) -> Slot | None:
    """Return the slot's row, which is now ours to start; None when somebody else has it, or the schedule is gone.

    What is written here is written before the run starts, so whoever dies in between starts it no second time.
    """
    slot = _row(cadence, due, now, Outcome.CLAIMED)
    try:
        with transaction.atomic():
            slot.save(force_insert=True)
            if cadence.schedule_id is not None:
                Schedule.objects.filter(pk=cadence.schedule_id).update(last_fired_at=now)
            move_on([cadence], now)
    except IntegrityError:
        still_there = Slot.objects.filter(slot_key=due.slot.key, **cadence.owner).exists()
        move_on([cadence] if still_there else [], now)
        return None
    return slot


def settle(slot: Slot, started: Started) -> None:
    """Write down what came of starting it."""
    slot.outcome, slot.run_id, slot.message = started.outcome, started.run_id, started.message
    slot.save(update_fields=["outcome", "run_id", "message"])
    error = started.message if started.outcome == Outcome.FAILED else ""
    Progress.objects.filter(schedule=slot.schedule_id, module=slot.module_id).update(start_error=error)


def miss(missed: Sequence[tuple[Cadence, Owed]], now: dt.datetime) -> None:
    """One row for each cadence that missed slots, however many these were."""
    rows = [_row(cadence, due, now, Outcome.MISSED) for cadence, due in missed]
    Slot.objects.bulk_create(rows, ignore_conflicts=True)
    move_on([cadence for cadence, _ in missed], now)


def move_on(cadences: Sequence[Cadence], now: dt.datetime) -> None:
    """Everything up to now has been judged."""
    for key in ("schedule_id", "module_id"):
        rows = [
            Progress(**cadence.owner, seen_until=now, seen_as=cadence.seen_as)
            for cadence in cadences
            if cadence.owner[key] is not None
        ]
        Progress.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=[key],
            update_fields=["seen_until", "seen_as", "error"],
        )


def keep_error(cadence: Cadence, error: Exception) -> str:
    """Keep why its times cannot be told. It is not moved on: once that is mended, it goes on from where it was."""
    said = error.message if isinstance(error, PipekitError) else f"{type(error).__name__}: {error}"
    first_seen = {"seen_until": cadence.changed_at, "seen_as": cadence.seen_as}
    row, _ = Progress.objects.get_or_create(**cadence.owner, defaults=first_seen)
    if row.error != said:
        Progress.objects.filter(pk=row.pk).update(error=said)
    return said


def _row(cadence: Cadence, due: Owed, now: dt.datetime, outcome: Outcome) -> Slot:
    return Slot(
        **cadence.owner,
        slot_key=due.slot.key,
        due_at=due.slot.at,
        claimed_at=now,
        outcome=outcome,
        missed_before=due.missed_before,
    )
