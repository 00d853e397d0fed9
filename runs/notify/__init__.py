"""Notifications about runs: which events are reported, and their delivery by e-mail and webhook.

The functions named `on_...` and `find_late` only insert rows into the outbox; only `delivery` and `send_test_messages`
use the network.
"""

from __future__ import annotations

# imported so that they receive the signal of a run or verification that ends
from runs.notify import run_rules as run_rules
from runs.notify import verification_rules as verification_rules
from runs.notify.missed_times import Missed, on_missed
from runs.notify.overdue import find_late, ran_automatically

__all__ = [
    "Missed",
    "find_late",
    "on_missed",
    "ran_automatically",
]
