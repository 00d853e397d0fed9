"""The e-mail channel: SMTP through Django's backend. The password is resolved only here."""

from __future__ import annotations

import smtplib
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, cast

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend
from django.core.mail.message import SafeMIMEText, sanitize_address

from connections.sdk.errors import AuthenticationFailed, ConfigurationInvalid, ConnectionFailed, ExternalFailed
from connections.secrets.references import store
from runs.notify.channels.deadline import Deadline
from runs.notify.destinations import recipients
from runs.notify.messages import Mail, line
from runs.settings import setting

_SECONDS = 10
_SUBMISSION, _SMTPS = 587, 465
_HINT = "Check smtp in config.yaml and the settings smtp_security, smtp_username and smtp_password."


def send(mail: Mail) -> str:
    """Send to every recipient; return a remark if the server refused some of them, else an empty string.

    Raise a PipekitError if no recipient was accepted.
    """
    smtp, to = settings.PIPEKIT.smtp, recipients()
    if not smtp.host:
        raise ConfigurationInvalid("There is no mail server.", hint="Set smtp.host in config.yaml.")
    if not to:
        raise ConfigurationInvalid("No mail recipient is configured.", hint="Set notification_addresses, or smtp.to.")
    message = _message(mail, to)
    with _translated(smtp.host, smtp.port), Deadline() as deadline, _opened(deadline) as connection:
        refused = connection.sendmail(
            sanitize_address(message.from_email, "utf-8"),
            [sanitize_address(address, "utf-8") for address in to],
            cast(SafeMIMEText, message.message()).as_bytes(linesep="\r\n"),
        )
    return f"The mail server refused: {', '.join(refused)}." if refused else ""


def _message(mail: Mail, to: tuple[str, ...]) -> EmailMessage:
    key = mail.key or str(uuid.uuid4())
    headers = {
        # the same for every attempt, so that a mail sent twice can be recognised
        "Message-ID": f"<{uuid.uuid5(uuid.NAMESPACE_OID, key)}@pipekit>",
        "Auto-Submitted": "auto-generated",
    }
    return EmailMessage(mail.subject, mail.text, settings.DEFAULT_FROM_EMAIL, list(to), headers=headers)


class _Watched(smtplib.SMTP):
    """An SMTP session whose deadline covers it from the first byte."""

    def __init__(self, deadline: Deadline, *args: Any, **kwargs: Any) -> None:
        self._deadline = deadline
        super().__init__(*args, **kwargs)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        self._deadline.watch(connection)
        return cast(socket.socket, connection)


class _WatchedOverTls(smtplib.SMTP_SSL, _Watched):
    """The same over TLS; SMTP_SSL gets its plain socket from the class above."""

    def __init__(self, deadline: Deadline, *args: Any, **kwargs: Any) -> None:
        self._deadline = deadline
        smtplib.SMTP_SSL.__init__(self, *args, **kwargs)


class _Backend(EmailBackend):
    def __init__(self, deadline: Deadline, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._deadline = deadline

    @property
    def connection_class(self) -> Any:
        return partial(_WatchedOverTls if self.use_ssl else _Watched, self._deadline)


@contextmanager
def _opened(deadline: Deadline) -> Iterator[smtplib.SMTP]:
    backend = _backend(deadline)
    try:
        backend.open()
        assert backend.connection is not None
        yield backend.connection
    finally:
        # the mail is accepted by now, whatever the server answers to QUIT
        with suppress(OSError):
            backend.close()


def _backend(deadline: Deadline) -> EmailBackend:
    smtp, security = settings.PIPEKIT.smtp, setting("smtp_security")
    if security == "auto":
        security = {_SUBMISSION: "starttls", _SMTPS: "tls"}.get(smtp.port, "none")
    return _Backend(
        deadline,
        host=smtp.host,
        port=smtp.port,
        username=setting("smtp_username"),
        password=store().resolve(setting("smtp_password")),
        use_tls=security == "starttls",
        use_ssl=security == "tls",
        timeout=_SECONDS,
    )


@contextmanager
def _translated(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except ConnectionFailed as error:
        # raised by the deadline
        raise ConnectionFailed(f"The mail server {host}:{port} is too slow: {error.message}", hint=_HINT) from error
    except smtplib.SMTPAuthenticationError as error:
        raise AuthenticationFailed(
            f"The mail server {host} refused the login.", hint=_HINT, detail=line(error)
        ) from error
    except smtplib.SMTPNotSupportedError as error:
        raise ConfigurationInvalid(
            f"The mail server {host} does not support this: {line(error)}", hint=_HINT
        ) from error
    except smtplib.SMTPException as error:
        raise ExternalFailed(f"The mail server {host} rejected the mail: {line(error)}", hint=_HINT) from error
    except OSError as error:
        raise ConnectionFailed(f"The mail server {host}:{port} cannot be reached: {line(error)}", hint=_HINT) from error
