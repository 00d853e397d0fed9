"""Refuses, before it is saved, a connection that leads to what is Pipekit's own. Connecting finds out again."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.db import connection as metadata

from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.files import protection
from connections.sdk.files.file_check import check_file
from connections.url import jdbc
from connections.url.jdbc import ConnectionUrl

_LOCAL = frozenset({"", "localhost", "127.0.0.1", "::1"})


def check_url(text: str, kind: str) -> None:
    """Raise UrlInvalid for a URL that is none, Protected for one that names Pipekit's own files or metadata."""
    url = jdbc.parse(text, kind)
    if url.path and not url.host:
        check_file(url.path, protection.current())
    if url.kind == "postgresql" and metadata.vendor == "postgresql" and _is_metadata(url):
        raise protection.refused_database("")


def check_embedded(options: Mapping[str, Any]) -> None:
    """Raise ConfigurationInvalid for an embedded server's directory that is not, and would not be, Pipekit's own."""
    if directory := options.get("embedded"):
        from connections.embedded_postgresql import place

        try:
            place.check(place.real(directory), protection.current().data_dir)
        except OSError as error:
            raise ConfigurationInvalid(
                f"The directory {directory} cannot be looked at: {error.strerror}.",
                hint="Name one inside the data directory.",
            ) from None


def _is_metadata(url: ConnectionUrl) -> bool:
    """Whether host, port and database are the metadata's, as far as names tell."""
    found = metadata.settings_dict
    options: dict[str, Any] = found.get("OPTIONS", {})
    host = str(found["HOST"] or options.get("host") or "")
    port = str(found["PORT"] or options.get("port") or 5432)
    if (url.database or "postgres") != found["NAME"] or str(url.port_or_default or 5432) != port:
        return False
    return url.host == host or bool(_addresses(url.host) & _addresses(host))


def _addresses(host: str) -> set[str]:
    """Return where a host is; this machine's sockets and loopback addresses are one place."""
    if host in _LOCAL or host.startswith("/"):
        return {"local"}
    found = {host}
    with suppress(OSError, UnicodeError):
        found |= {str(answer[4][0]) for answer in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    return {"local" if address in _LOCAL else address for address in found}
