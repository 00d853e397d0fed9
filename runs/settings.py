"""The run-time settings: their keys, validation and defaults. An operator may change them while Pipekit runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from connections.secrets.references import NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One setting. ``read`` returns the validated value, or raises ValueError saying what was expected."""

    label: str
    default: Any
    read: Callable[[Any], Any]


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("Expected a share between 0 and 1, such as 0.1 for ten percent.")
    return float(value)


def _days(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 36500:
        raise ValueError("Expected a whole number of days, at least 1.")
    return value


def _whole(value: Any, *, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"Expected a whole number from {least} to {most}.")
    return value


def _addresses(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise ValueError('Expected a list of e-mail addresses, such as ["etl@example.com"].')
    for address in value:
        try:
            validate_email(address)
        except (ValidationError, TypeError):
            raise ValueError(f"“{address}” is not an e-mail address.") from None
    return value


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("Expected true or false.")
    return value


def _hours(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 100_000:
        raise ValueError("Expected a number of hours above 0; remove the setting to report no module as late.")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or re.search(r"[\x00-\x1f\x7f]", value):
        raise ValueError("Expected a line of text.")
    return value


def web_address(value: Any) -> str:
    """Return an http or https URL. Raise ValueError for anything else, without repeating it: it may be a secret."""
    expected = ValueError("Expected an address such as https://etl.example.com, without a user or password in it.")
    text = _text(value)
    try:
        parts = urlsplit(text)
        is_valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        raise expected from None
    if not is_valid or "@" in parts.netloc or re.search(r"\s", text):
        raise expected
    return text


def _site(value: Any) -> str:
    return "" if value == "" else web_address(value)


def _webhook(value: Any) -> str:
    return _reference(value) if isinstance(value, str) and value.startswith("$") else _site(value)


def _reference(value: Any) -> str:
    if not isinstance(value, str) or (value and not (value.startswith("$") and NAME.fullmatch(value[1:]))):
        raise ValueError("Expected a reference such as $MAIL_PW, never the secret: manage.py secrets set MAIL_PW.")
    return value


def _security(value: Any) -> str:
    if value not in ("auto", "none", "starttls", "tls"):
        raise ValueError("Expected auto (by the port: 587 starttls, 465 tls, else none), none, starttls or tls.")
    return str(value)


KEYS: dict[str, Key] = {
    "min_full_share": Key(
        label="Minimum share of the rows it replaces that a full refresh must deliver", default=0.5, read=_share
    ),
    "max_delete_share": Key(label="Maximum share of a table that key_sync may delete", default=0.10, read=_share),
    "run_retention_days": Key(label="Days for which runs are kept", default=400, read=_days),
    "log_retention_days": Key(label="Days for which logs of runs are kept", default=30, read=_days),
    "no_progress_timeout": Key(
        label="Seconds without progress or traffic after which a transfer or connection times out; 0: never",
        default=300,
        read=partial(_whole, least=0, most=86400),
    ),
    "heartbeat_seconds": Key(
        label="Seconds between two heartbeats of a run", default=5, read=partial(_whole, least=1, most=60)
    ),
    "lease_seconds": Key(
        label="Seconds without a heartbeat after which a run on another machine is considered dead",
        default=60,
        read=partial(_whole, least=10, most=3600),
    ),
    "run_log_megabytes": Key(
        label="Maximum size of a run's log in megabytes", default=50, read=partial(_whole, least=1, most=10000)
    ),
    "misfire_grace_hours": Key(
        label="Hours within which a missed time of a schedule is still caught up",
        default=6,
        read=partial(_whole, least=1, most=1000),
    ),
    "runs_per_tick": Key(
        label="Maximum number of runs that schedules start per minute; others follow in the next minutes",
        default=20,
        read=partial(_whole, least=1, most=1000),
    ),
    "verify_statement_seconds": Key(
        label="Target duration in seconds of one statement of a verification",
        default=20,
        read=partial(_whole, least=1, most=3600),
    ),
    "verify_statements_per_second": Key(
        label="Maximum number of statements per second of a verification",
        default=5,
        read=partial(_whole, least=1, most=1000),
    ),
    "notification_addresses": Key(label="Recipients of failure notifications by e-mail", default=[], read=_addresses),
    "notify_every": Key(
        label="After the first failure, report every n-th in a row",
        default=10,
        read=partial(_whole, least=1, most=10000),
    ),
    "notify_manual_runs": Key(label="Also report runs started on a terminal", default=False, read=_switch),
    "late_after_hours": Key(
        label="Hours without a success after which a module is reported as late", default=None, read=_hours
    ),
    "site_url": Key(label="Address of this installation, for links in mails", default="", read=_site),
    "webhook_url": Key(label="Webhook address for events, or a $NAME reference to it", default="", read=_webhook),
    "webhook_secret": Key(label="$NAME of the secret that signs webhook requests", default="", read=_reference),
    "smtp_security": Key(label="Encryption of the connection to the mail server", default="auto", read=_security),
    "smtp_username": Key(label="User name at the mail server", default="", read=_text),
    "smtp_password": Key(label="$NAME of the password at the mail server", default="", read=_reference),
}


def choices() -> list[tuple[str, str]]:
    """Return the choices of the model field `Setting.key`."""
    return [(name, f"{name}: {key.label}") for name, key in KEYS.items()]


def checked(name: str, value: Any) -> Any:
    """Return the validated value. Raise ValueError if it is invalid or the setting does not exist."""
    if name not in KEYS:
        raise ValueError(f"There is no setting “{name}”. The settings are {', '.join(KEYS)}.")
    return KEYS[name].read(value)


def setting(name: str) -> Any:
    """Return the stored value of a setting, or its default."""
    stored = apps.get_model("runs", "Setting").objects.filter(key=name).values_list("value", flat=True).first()
    return KEYS[name].default if stored is None else checked(name, stored)
