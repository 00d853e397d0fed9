"""Test messages: sent directly, to show whether the channels are configured correctly."""

from __future__ import annotations

from connections.sdk.errors import PipekitError
from connections.sdk.records import dataclass
from connections.secrets.redaction import redactor
from runs.models.notification import Channel, new_delivery_id
from runs.models.setting import Setting, current_settings
from runs.notify import messages
from runs.notify.delivery import post_event, send_mail
from runs.notify.recipients import mail_recipients, wanted_channels


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelResult:
    """The result of a test message on one channel."""

    channel: Channel
    ok: bool
    message: str
    hint: str = ""


def send_test_messages() -> list[ChannelResult]:
    """Send a test message directly, without the outbox, on every configured channel."""
    settings = current_settings()
    return [_send_test(channel, settings) for channel in wanted_channels(settings)]


def _send_test(channel: Channel, settings: Setting) -> ChannelResult:
    try:
        if channel == Channel.EMAIL:
            remark = send_mail(messages.test_mail(settings), settings)
            message = remark or f"sent to {', '.join(mail_recipients(settings))}"
            return ChannelResult(channel=channel, ok=not remark, message=message)
        post_event({"event": "test"}, settings, delivery_id=new_delivery_id())
        return ChannelResult(channel=channel, ok=True, message=f"posted to {settings.webhook_url}")
    except PipekitError as error:
        message = " ".join(filter(None, (error.message, error.detail)))
        return ChannelResult(
            channel=channel, ok=False, message=redactor().text(message), hint=redactor().text(error.hint)
        )
