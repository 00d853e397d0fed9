"""Reserved slots without a run: the tick that reserved them died, or their module was busy.

They are started by a later tick, as long as their schedule catches up missed slots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from connections.sdk.records import dataclass
from scheduling.models import Slot, SlotOutcome
from scheduling.tick import notifications, slots
from scheduling.tick.due import TickTimes, first_to_fire
from scheduling.tick.start import StartResult
from scheduling.tick.timers import Timer, timer_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Unstarted:
    """Reserved slots to start now, and those that are missed for good."""

    to_start: list[tuple[Timer, Slot]] = field(default_factory=list)
    missed: list[tuple[Timer, Slot]] = field(default_factory=list)


def settle_unstarted(enabled: Sequence[Timer], times: TickTimes, *, due: Mapping[str, str]) -> Unstarted:
    """Record the reserved slots that no tick will start, queue their notifications, and return those to start.

    The missed ones are returned, too, for the report of the tick.
    ``due`` maps the key of a timer to the key of its slot that is due now: one run is enough for both slots.
    """
    result, by_key = Unstarted(), {timer.key: timer for timer in enabled}
    # read once: another tick may reserve a slot at any time
    unstarted = list(Slot.objects.unstarted())
    latest = {timer_key(slot.schedule_id, slot.module_id): slot.pk for slot in unstarted}
    for slot in unstarted:
        key = timer_key(slot.schedule_id, slot.module_id)
        timer = by_key.get(key)
        if due.get(key) == slot.slot_key:
            # another tick has reserved it since this one evaluated the timer, and is about to start it
            continue
        if timer is None:
            slots.record_result(
                slot, StartResult(outcome=SlotOutcome.SKIPPED, message="Disabled before it was started.")
            )
        elif slot.due_at < first_to_fire(timer, times):
            _miss(
                result,
                timer,
                slot,
                slot.message or "The tick that should have started it died, and none followed in time.",
            )
        elif key in due or latest[key] != slot.pk:
            _miss(result, timer, slot, "It was not started before the next time was due.")
        else:
            result.to_start.append((timer, slot))
    notifications.not_started_in_time(result.missed, times.now)
    return result


def _miss(result: Unstarted, timer: Timer, slot: Slot, reason: str) -> None:
    if slots.record_result(slot, StartResult(outcome=SlotOutcome.MISSED, message=reason)):
        result.missed.append((timer, slot))
