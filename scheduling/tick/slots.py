"""Writes what becomes of slots, and how far each cadence was looked at. The insert of a slot's row is the claim.

A claimed slot becomes a started one in the transaction that inserts its run, so one that is only claimed has no run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db import IntegrityError, transaction

from connections.sdk.errors import PipekitError
from scheduling.models import Outcome, Progress, Schedule, Slot
from scheduling.tick import alerts
from scheduling.tick.due import Owed
from scheduling.tick.start import Started
from scheduling.triggers import Cadence


def claim(cadence: Cadence, due: Owed, now: dt.datetime) -> Slot | None:
    """Return the slot's row, which is now ours to start; None when somebody else has it, or the schedule is gone.

    What is written here is written before the run starts; whoever dies in between leaves it claimed.
    """
    slot = _row(cadence, due, now, Outcome.CLAIMED)
    try:
        with transaction.atomic():
            slot.save(force_insert=True)
            if cadence.schedule_id is not None:
                Schedule.objects.filter(pk=cadence.schedule_id).update(last_fired_at=now)
            move_on([cadence], now)
            alerts.missed([(cadence, due)], now)
    except IntegrityError:
        still_there = Slot.objects.filter(slot_key=due.slot.key, **cadence.owner).exists()
        move_on([cadence] if still_there else [], now)
        return None
    return slot


class Taken(Exception):
    """Somebody else has started the slot, or said that it will not be; or its schedule is gone."""


def begin(slot: Slot, run_id: int) -> None:
    """Make the claimed slot a started one; call it in the transaction that inserts the run. Raises Taken."""
    rows = Slot.objects.filter(pk=slot.pk, outcome=Outcome.CLAIMED)
    if rows.update(outcome=Outcome.STARTED, run_id=run_id, message="") != 1:
        raise Taken


def settle(slot: Slot, started: Started) -> bool:
    """Write down what came of starting it, unless that was somebody else; return whether it was ours to say."""
    slot.outcome, slot.run_id, slot.message = started.outcome, started.run_id, started.message
    ours = {"outcome": Outcome.CLAIMED} if started.run_id is None else {"run_id": started.run_id}
    said = {"outcome": started.outcome, "run_id": started.run_id, "message": started.message}
    if not Slot.objects.filter(pk=slot.pk, **ours).update(**said):
        return False
    error = started.message if started.outcome == Outcome.FAILED else ""
    Progress.objects.filter(schedule=slot.schedule_id, module=slot.module_id).update(start_error=error)
    return True


def miss(missed: Sequence[tuple[Cadence, Owed]], now: dt.datetime) -> None:
    """One row for each cadence that missed slots, however many these were; and somebody is told."""
    rows = [_row(cadence, due, now, Outcome.MISSED) for cadence, due in missed]
    with transaction.atomic():
        Slot.objects.bulk_create(rows, ignore_conflicts=True)
        move_on([cadence for cadence, _ in missed], now)
        alerts.missed(missed, now)


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
