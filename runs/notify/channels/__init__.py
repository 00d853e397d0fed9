"""The channels of notifications. Their network clients are imported when something is sent: that takes 0.2 s."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runs.notify.messages import Mail

# seconds for one message in total, so that a server that sends a byte now and then does not delay a tick for long
TOTAL_TIMEOUT = 15.0
# seconds without an answer
IDLE_TIMEOUT = 10.0


def send_mail(mail: Mail) -> str:
    """Send a mail to all recipients; see `runs.notify.channels.email.send`."""
    from runs.notify.channels import email

    return email.send(mail)


def post(event: Mapping[str, Any], *, delivery_id: str) -> None:
    """Post an event to the webhook; see `runs.notify.channels.webhook.post`."""
    from runs.notify.channels import webhook

    webhook.post(event, delivery_id=delivery_id)
