"""Notifications about runs: which events are reported, and their delivery by e-mail and webhook.

The functions named `on_...` and `find_late` only insert rows into the outbox; only `delivery` and `test_messages` use
the network.
"""

from __future__ import annotations

from runs.notify import verification_rules as verification_rules
from runs.notify.missed_times import Missed, on_missed
from runs.notify.overdue import find_late, ran_automatically
from runs.notify.run_rules import on_finished

__all__ = [
    "Missed",
    "find_late",
    "on_finished",
    "on_missed",
    "ran_automatically",
]
