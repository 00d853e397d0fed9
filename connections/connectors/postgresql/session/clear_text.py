"""Keeps a password from being sent in clear text over TCP without TLS, unless the connection allows it.

A server chooses how it wants the password. One that asks for AuthenticationCleartextPassword gets it as it is: over TLS
from libpq and asyncpg as ever, otherwise only with the option ``allow_cleartext_password``. Unix sockets are left out,
for what is sent there stays on the machine; loopback is not, for any user of the machine may listen on a free port.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

import asyncpg
from asyncpg import connect_utils, protocol

from connections.sdk.parameters import ConnectionParameters

T = TypeVar("T")
# the words of libpq, and ours for asyncpg
REFUSED = "server requested a cleartext password"
_ALWAYS_TLS = frozenset({"require", "verify-ca", "verify-full"})
_NEVER_TLS = frozenset({"disable"})
_HEADER = struct.Struct("!cI")
_AUTHENTICATION, _CLEAR_TEXT, _OK = b"R", 3, 0
# what precedes authentication is short
_LONGEST = 64 * 1024
_allowed: ContextVar[bool] = ContextVar("cleartext password allowed", default=False)


def is_allowed(found: Mapping[str, str], parameters: ConnectionParameters) -> bool:
    """Whether these libpq keywords may lead to a password in clear text."""
    allowed = parameters.options.get("allow_cleartext_password") is True
    return allowed or found.get("host", "").startswith("/") or found.get("sslmode") in _ALWAYS_TLS


def keywords(found: Mapping[str, str], parameters: ConnectionParameters) -> dict[str, str]:
    """Return what libpq is told besides: every way but the password itself."""
    return {} if is_allowed(found, parameters) else {"require_auth": "!password"}


def opened(found: Mapping[str, str], connect: Callable[[dict[str, str]], T], *errors: type[Exception]) -> T:
    """Connect with libpq; where the server wants the password itself, once more over TLS and not at all without it."""
    try:
        return connect(dict(found))
    except errors as error:
        if "require_auth" not in found or REFUSED not in str(error) or found.get("sslmode") in _NEVER_TLS:
            raise
        refused = error
    secured = {key: value for key, value in found.items() if key != "require_auth"} | {"sslmode": "require"}
    try:
        return connect(secured)
    except errors as error:
        # a server without TLS: what counts is what it asked for
        raise (refused if "does not support SSL" in str(error) else error) from None


class Guarded(protocol.Protocol):  # type: ignore[misc]
    """asyncpg's side of the protocol, which looks at every message until the server has let the user in."""

    def __init__(self, address: Any, connected: Any, *arguments: Any) -> None:
        super().__init__(address, connected, *arguments)
        self._connected = connected
        self._looking = not _allowed.get()
        self._held = b""

    def data_received(self, data: bytes) -> None:
        if not self._looking or self.is_ssl:
            super().data_received(data)
            return
        self._held += data
        while self._looking and (message := self._next()) is not None:
            if message[:1] == _AUTHENTICATION and message[5:9] == struct.pack("!I", _CLEAR_TEXT):
                # the kind of error after which asyncpg tries TLS, or tells of what went wrong over TLS
                self._refuse(asyncpg.InvalidAuthorizationSpecificationError(REFUSED))
                return
            self._looking = message[:1] != _AUTHENTICATION or message[5:9] != struct.pack("!I", _OK)
            super().data_received(message)
        if not self._looking and self._held:
            rest, self._held = self._held, b""
            super().data_received(rest)

    def _next(self) -> bytes | None:
        """Take the next whole message out of what was received."""
        if len(self._held) < _HEADER.size:
            return None
        length = 1 + _HEADER.unpack_from(self._held)[1]
        if not _HEADER.size <= length <= _LONGEST:
            self._refuse(asyncpg.InterfaceError("unexpected response"))
            return None
        if len(self._held) < length:
            return None
        message, self._held = self._held[:length], self._held[length:]
        return message

    def _refuse(self, error: Exception) -> None:
        self._held = b""
        if not self._connected.done():
            self._connected.set_exception(error)


async def connect(found: Mapping[str, str], parameters: ConnectionParameters, **keywords: Any) -> Any:
    """Connect with asyncpg, which has no keyword for this: its protocol is replaced by one that looks."""
    # asyncpg looks the class up in its module at each connect; nothing else in this process uses it
    if connect_utils.protocol.Protocol is not Guarded:
        connect_utils.protocol.Protocol = Guarded
    token = _allowed.set(is_allowed(found, parameters))
    try:
        return await asyncpg.connect(**keywords)
    except OSError as error:
        # tried again over TLS, which the server does not speak: what counts is what it asked for
        if REFUSED in str(error.__cause__):
            raise asyncpg.InvalidAuthorizationSpecificationError(REFUSED) from None
        raise
    finally:
        _allowed.reset(token)
