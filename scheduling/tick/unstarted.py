"""Slots that were claimed and have no run: the tick that claimed them died, or the module was busy.

Nothing has run for them, so they are started after all, as long as their schedule makes up for what was missed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scheduling.models import Outcome, Slot
from scheduling.tick import alerts, slots
from scheduling.tick.due import Clock, first_to_fire
from scheduling.tick.start import Started
from scheduling.triggers import Cadence


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOver:
    again: list[tuple[Cadence, Slot]] = field(default_factory=list)
    missed: list[tuple[Cadence, Slot]] = field(default_factory=list)


def sort_out(enabled: Sequence[Cadence], clock: Clock, *, due: Mapping[str, str]) -> LeftOver:
    """Return what is to be started after all, and what was missed, which is written down and told.

    ``due`` has the key of the slot that is due now, for the cadences that have one: one run is enough for both.
    """
    found, known = LeftOver(), {cadence.key: cadence for cadence in enabled}
    latest = {_key(slot): slot.pk for slot in Slot.objects.unstarted()}
    for slot in Slot.objects.unstarted():
        cadence = known.get(_key(slot))
        if due.get(_key(slot)) == slot.slot_key:
            # another tick has claimed it since this one looked, and is about to start it
            continue
        if cadence is None:
            slots.settle(slot, Started(outcome=Outcome.SKIPPED, message="It was switched off before it was started."))
        elif slot.due_at < first_to_fire(cadence, clock):
            _miss(
                found, cadence, slot, slot.message or "The tick that was to start it died, and no other came in time."
            )
        elif cadence.key in due or latest[cadence.key] != slot.pk:
            _miss(found, cadence, slot, "It was not started before the next time came.")
        else:
            found.again.append((cadence, slot))
    alerts.left_over(found.missed, clock.now)
    return found


def _miss(found: LeftOver, cadence: Cadence, slot: Slot, why: str) -> None:
    if slots.settle(slot, Started(outcome=Outcome.MISSED, message=why)):
        found.missed.append((cadence, slot))


def _key(slot: Slot) -> str:
    return f"schedule:{slot.schedule_id}" if slot.schedule_id is not None else f"full_refresh:{slot.module_id}"
