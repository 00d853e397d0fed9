"""Notifications about runs: which events are reported, and their delivery by e-mail and webhook.

The functions named `on_...` and `find_late` only insert rows into the outbox; only `send_due` uses the network.
"""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

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
    "send_due",
]


def send_due(now: dt.datetime | None = None) -> int:
    """Send what is due on every channel; return how many notifications were delivered. Delivery errors do not raise."""
    # imported late: runs only insert rows, and need no clients of SMTP and HTTP
    from runs.notify import delivery

    return delivery.deliver_outbox(now or timezone.now())
