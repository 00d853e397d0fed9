"""Telling people how runs went: what is worth telling, and getting it there by e-mail and webhook.

Those named `on_...` and `find_late` only write rows of the outbox; `send_due` alone talks to the network.
"""

from __future__ import annotations

from runs.notify.delivery import send_due
from runs.notify.missed_times import Missed, on_missed
from runs.notify.overdue import find_late, ran_by_themselves
from runs.notify.rules import on_finished, on_group_failed, on_group_finished

__all__ = [
    "Missed",
    "find_late",
    "on_finished",
    "on_group_failed",
    "on_group_finished",
    "on_missed",
    "ran_by_themselves",
    "send_due",
]
