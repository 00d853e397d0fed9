"""Telling people how runs went: what is worth telling, and getting it there by e-mail and webhook.

`on_finished`, `on_group_failed` and `find_late` only write rows of the outbox; `send_due` alone talks to the network.
"""

from __future__ import annotations

from runs.notifying.deciding import on_finished, on_group_failed
from runs.notifying.lateness import find_late
from runs.notifying.sending import send_due

__all__ = ["find_late", "on_finished", "on_group_failed", "send_due"]
