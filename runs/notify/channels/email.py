"""The e-mail channel: Django's mails, sent by SMTP. The password is resolved only here."""

from __future__ import annotations

import asyncio
import socket
import ssl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import cast

import aiosmtplib
from django.conf import settings as conf
from django.core.mail import EmailMessage
from django.core.mail.message import SafeMIMEText, sanitize_address
from django.core.mail.utils import DNS_NAME

from connections.daemon_thread import in_daemon_thread
from connections.sdk.errors import AuthenticationFailed, ConfigurationInvalid, ConnectionFailed, ExternalFailed
from connections.secrets.references import store
from connections.url.addresses import parsed
from runs.models.setting import Setting
from runs.notify import channels
from runs.notify.channels.addresses import EventLoop
from runs.notify.messages import Mail, line
from runs.notify.recipients import mail_recipients

_SUBMISSION, _SMTPS = 587, 465
# seconds to wait for the answer to QUIT, after the mail has been accepted
_QUIT_TIMEOUT = 2.0
# seconds for the name of this machine
_NAME_TIMEOUT = 3.0
_HINT = "Check smtp in config.yaml and the settings smtp_security, smtp_username and smtp_password."


def send(mail: Mail, settings: Setting) -> str:
    """Send to every recipient; return a remark if the server refused some of them, else an empty string.

    Raise a PipekitError if no recipient was accepted.
    """
    smtp, to = conf.PIPEKIT.smtp, mail_recipients(settings)
    if not smtp.host:
        raise ConfigurationInvalid("There is no mail server.", hint="Set smtp.host in config.yaml.")
    if not to:
        raise ConfigurationInvalid("No mail recipient is configured.", hint="Set notification_addresses, or smtp.to.")
    message, security = _message(mail, to), _security(settings)
    login = (settings.smtp_username, store().resolve(settings.smtp_password))
    with _translated(smtp.host, smtp.port), asyncio.Runner(loop_factory=EventLoop) as runner:
        refused = runner.run(_send(message, security, login))
    return f"The mail server refused: {', '.join(refused)}." if refused else ""


def _message(mail: Mail, to: tuple[str, ...]) -> EmailMessage:
    key = mail.key or str(uuid.uuid4())
    headers = {
        # the same for every attempt, so that a mail sent twice can be recognised
        "Message-ID": f"<{uuid.uuid5(uuid.NAMESPACE_OID, key)}@pipekit>",
        "Auto-Submitted": "auto-generated",
    }
    return EmailMessage(mail.subject, mail.text, conf.DEFAULT_FROM_EMAIL, list(to), headers=headers)


def _security(settings: Setting) -> str:
    """Return ``starttls``, ``tls`` or ``none``, or ``auto`` for STARTTLS only if the server offers it."""
    if settings.smtp_security == "auto":
        return {_SUBMISSION: "starttls", _SMTPS: "tls"}.get(conf.PIPEKIT.smtp.port, "auto")
    return settings.smtp_security


async def _send(message: EmailMessage, security: str, login: tuple[str, str]) -> list[str]:
    """Send the mail and return the recipients that were refused. Raise TimeoutError after TOTAL_TIMEOUT."""
    smtp = aiosmtplib.SMTP(
        hostname=conf.PIPEKIT.smtp.host,
        port=conf.PIPEKIT.smtp.port,
        local_hostname=await _local_name(),
        timeout=channels.IDLE_TIMEOUT,
        use_tls=security == "tls",
        # below, where a server without STARTTLS gets an error of its own
        start_tls=False,
        tls_context=ssl.create_default_context(),
    )
    transport = None
    try:
        async with asyncio.timeout(channels.TOTAL_TIMEOUT):
            await smtp.connect()
            transport = cast(asyncio.WriteTransport, smtp.transport)
            await _log_in(smtp, security, login)
            refused, _ = await smtp.sendmail(
                sanitize_address(message.from_email, "utf-8"),
                [sanitize_address(address, "utf-8") for address in message.to],
                cast(SafeMIMEText, message.message()).as_bytes(linesep="\r\n"),
            )
        # the mail is accepted by now, whatever the server answers to QUIT
        with suppress(aiosmtplib.SMTPException, TimeoutError):
            async with asyncio.timeout(_QUIT_TIMEOUT):
                await smtp.quit()
        return list(refused)
    finally:
        smtp.close()
        if transport is not None:
            # closing alone would wait for the server to end TLS, and the loop does not run that long
            transport.abort()
            await asyncio.sleep(0)


async def _local_name() -> str:
    """Return this machine's name for the greeting; without its domain if the resolver takes too long."""
    try:
        async with asyncio.timeout(_NAME_TIMEOUT):
            return str(await asyncio.wrap_future(in_daemon_thread(DNS_NAME.get_fqdn)))
    except TimeoutError:
        return socket.gethostname()


async def _log_in(smtp: aiosmtplib.SMTP, security: str, login: tuple[str, str]) -> None:
    """Encrypt the connection and log in, as configured. Raise SMTPNotSupported if the server cannot do it.

    Raise ConfigurationInvalid if ``auto`` would send the login unencrypted to another machine.
    """
    await smtp.ehlo()
    has_starttls = smtp.supports_extension("starttls")
    must_protect = all(login) and not _is_this_machine(smtp.transport)
    if security == "starttls" and not has_starttls:
        raise aiosmtplib.SMTPNotSupported("STARTTLS")
    if security == "auto" and not has_starttls and must_protect:
        raise ConfigurationInvalid(
            f"The mail server {smtp.hostname} does not offer encryption (STARTTLS), so the user name and the password"
            " are not sent to it.",
            hint="Set smtp.port in config.yaml to a port of the server that is encrypted (587 or 465). To send them"
            " unencrypted, set smtp_security to none.",
        )
    if security == "starttls" or (security == "auto" and has_starttls):
        if security == "auto" and not must_protect:
            # the mail would also be sent unencrypted, so the certificate decides nothing
            await smtp.starttls(tls_context=_unverified())
        else:
            await smtp.starttls()
        await smtp.ehlo()
    if all(login):
        if not smtp.supports_extension("auth"):
            raise aiosmtplib.SMTPNotSupported("login (SMTP AUTH)")
        await smtp.login(*login)


def _is_this_machine(transport: asyncio.BaseTransport | None) -> bool:
    """Return whether the other end of the connection is this machine."""
    peer = transport.get_extra_info("peername") if transport else None
    own = transport.get_extra_info("sockname") if transport else None
    address = parsed(str(peer[0])) if peer else None
    return address is not None and (address.is_loopback or bool(peer and own and peer[0] == own[0]))


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextmanager
def _translated(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except aiosmtplib.SMTPAuthenticationError as error:
        raise AuthenticationFailed(
            f"The mail server {host} refused the login.", hint=_HINT, detail=line(error)
        ) from error
    except aiosmtplib.SMTPNotSupported as error:
        raise ConfigurationInvalid(
            f"The mail server {host} does not support this: {line(error)}", hint=_HINT
        ) from error
    except (aiosmtplib.SMTPResponseException, aiosmtplib.SMTPServerDisconnected) as error:
        raise ExternalFailed(f"The mail server {host} rejected the mail: {line(error)}", hint=_HINT) from error
    except aiosmtplib.SMTPTimeoutError as error:
        raise ConnectionFailed(f"The mail server {host}:{port} cannot be reached: {line(error)}", hint=_HINT) from error
    except TimeoutError as error:
        raise ConnectionFailed(
            f"The mail server {host}:{port} is too slow: The server took longer than {channels.TOTAL_TIMEOUT:g} s.",
            hint=_HINT,
        ) from error
    except OSError as error:
        raise ConnectionFailed(f"The mail server {host}:{port} cannot be reached: {line(error)}", hint=_HINT) from error
    except aiosmtplib.SMTPException as error:
        # including that every recipient was refused
        raise ExternalFailed(f"The mail server {host} rejected the mail: {line(error)}", hint=_HINT) from error
