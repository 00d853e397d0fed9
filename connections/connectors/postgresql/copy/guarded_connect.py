"""asyncpg connections that refuse to send a password in clear text, as `session.clear_text` does with libpq.

asyncpg has no parameter for this, so its protocol class is replaced by one that checks the server's request.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

import asyncpg
from asyncpg import connect_utils, protocol

from connections.connectors.postgresql.errors.causes import Cause
from connections.connectors.postgresql.session.clear_text import is_allowed
from connections.sdk.parameters import ConnectionParameters

_HEADER = struct.Struct("!cI")
_AUTHENTICATION, _CLEAR_TEXT, _OK = b"R", 3, 0
# maximum length of a message before authentication
_MAX_LENGTH = 64 * 1024
_allowed: ContextVar[bool] = ContextVar("cleartext password allowed", default=False)


class PasswordRequested(asyncpg.InvalidAuthorizationSpecificationError):  # type: ignore[misc]
    """The server requested the password in clear text. asyncpg tries TLS after this class of error."""

    cause = Cause.CLEAR_TEXT_PASSWORD

    def __init__(self) -> None:
        super().__init__("server requested a cleartext password")


class UnexpectedResponse(asyncpg.InterfaceError):  # type: ignore[misc]
    """The server does not answer as PostgreSQL does."""

    cause = Cause.NOT_POSTGRESQL


class Guarded(protocol.Protocol):  # type: ignore[misc]
    """asyncpg's protocol with a check of every message from the server until authentication is complete."""

    def __init__(self, address: Any, connected: Any, *arguments: Any) -> None:
        super().__init__(address, connected, *arguments)
        self._connected = connected
        self._checking = not _allowed.get()
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        if not self._checking or self.is_ssl:
            super().data_received(data)
            return
        self._buffer += data
        while self._checking and (message := self._next()) is not None:
            if message[:1] == _AUTHENTICATION and message[5:9] == struct.pack("!I", _CLEAR_TEXT):
                self._refuse(PasswordRequested())
                return
            self._checking = message[:1] != _AUTHENTICATION or message[5:9] != struct.pack("!I", _OK)
            super().data_received(message)
        if not self._checking and self._buffer:
            rest, self._buffer = self._buffer, b""
            super().data_received(rest)

    def _next(self) -> bytes | None:
        """Remove and return the next complete message from the buffer; None when it is incomplete."""
        if len(self._buffer) < _HEADER.size:
            return None
        length = 1 + _HEADER.unpack_from(self._buffer)[1]
        if not _HEADER.size <= length <= _MAX_LENGTH:
            self._refuse(UnexpectedResponse("unexpected response"))
            return None
        if len(self._buffer) < length:
            return None
        message, self._buffer = self._buffer[:length], self._buffer[length:]
        return message

    def _refuse(self, error: Exception) -> None:
        self._buffer = b""
        if not self._connected.done():
            self._connected.set_exception(error)


async def connect(settings: Mapping[str, str], parameters: ConnectionParameters, **keywords: Any) -> Any:
    """Connect with asyncpg; ``keywords`` are those of `asyncpg.connect`, ``settings`` those of libpq."""
    # asyncpg reads the class from its module at each connect; no other code of this process uses asyncpg
    if connect_utils.protocol.Protocol is not Guarded:
        connect_utils.protocol.Protocol = Guarded
    token = _allowed.set(is_allowed(settings, parameters))
    try:
        return await asyncpg.connect(**keywords)
    except OSError as error:
        # the second attempt failed, because the server does not support TLS: report the first error
        if isinstance(error.__cause__, PasswordRequested):
            raise PasswordRequested() from None
        raise
    finally:
        _allowed.reset(token)
