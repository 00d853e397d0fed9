"""Telling people how runs went: what is worth telling, and getting it there by e-mail and webhook.

Those named `on_...` and `find_late` only write rows of the outbox; `send_due` alone talks to the network.
"""

from __future__ import annotations

from runs.notifying.deciding import on_finished, on_group_failed, on_group_finished
from runs.notifying.lateness import find_late, ran_by_themselves
from runs.notifying.missing import Missed, on_missed
from runs.notifying.sending import send_due

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
