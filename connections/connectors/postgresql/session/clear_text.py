"""Prevents sending a password in clear text over TCP without TLS, unless the connection allows it.

The server chooses the authentication method. If it requests AuthenticationCleartextPassword, the password is sent only
over TLS, over a Unix socket, or with the option ``allow_cleartext_password``. Loopback addresses are not exempt: any
user of the machine may listen on a free port.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from connections.connectors.postgresql.errors.causes import Cause, cause_of
from connections.sdk.parameters import ConnectionParameters

T = TypeVar("T")
_ALWAYS_TLS = frozenset({"require", "verify-ca", "verify-full"})
_NEVER_TLS = frozenset({"disable"})


def is_allowed(settings: Mapping[str, str], parameters: ConnectionParameters) -> bool:
    """Return whether a password may be sent in clear text with these libpq keywords."""
    allowed = parameters.options.get("allow_cleartext_password") is True
    return allowed or settings.get("host", "").startswith("/") or settings.get("sslmode") in _ALWAYS_TLS


def keywords(settings: Mapping[str, str], parameters: ConnectionParameters) -> dict[str, str]:
    """Return the libpq keywords that exclude clear-text passwords; empty if these are allowed."""
    return {} if is_allowed(settings, parameters) else {"require_auth": "!password"}


def opened(settings: Mapping[str, str], connect: Callable[[dict[str, str]], T], *errors: type[Exception]) -> T:
    """Connect with libpq. If the server requests the password in clear text, try again with TLS required.

    ``errors`` are the exceptions that ``connect`` raises.
    """
    try:
        return connect(dict(settings))
    except errors as error:
        is_refused = cause_of(error) is Cause.CLEAR_TEXT_PASSWORD
        if "require_auth" not in settings or not is_refused or settings.get("sslmode") in _NEVER_TLS:
            raise
        refused = error
    with_tls = {key: value for key, value in settings.items() if key != "require_auth"} | {"sslmode": "require"}
    try:
        return connect(with_tls)
    except errors as error:
        # if the server does not support TLS, report the first error: it requested a clear-text password
        raise (refused if cause_of(error) is Cause.NO_TLS else error) from None
