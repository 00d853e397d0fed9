"""Refuses connections to Pipekit's own files and metadata database when they are saved; connecting checks again."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.db import connection as metadata

from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.files import protection
from connections.sdk.files.file_check import check_file
from connections.url.parse import ConnectionUrl, parse_url

_LOCAL = frozenset({"", "localhost", "127.0.0.1", "::1"})


def check_url(text: str, kind: str) -> None:
    """Raise UrlInvalid if the URL is malformed, Protected if it names Pipekit's own files or metadata database."""
    url = parse_url(text, kind)
    if url.is_file:
        check_file(url.path, protection.current())
    if url.kind == "postgresql" and metadata.vendor == "postgresql" and _is_metadata(url):
        raise protection.refused_database("")


def check_embedded(options: Mapping[str, Any]) -> None:
    """Raise ConfigurationInvalid if the embedded server's directory is neither Pipekit's own nor could become so."""
    if directory := options.get("embedded"):
        from connections.embedded_postgresql import directory_checks

        try:
            directory_checks.check(directory_checks.real(directory), protection.current().data_dir)
        except OSError as error:
            raise ConfigurationInvalid(
                f"The directory {directory} cannot be read: {error.strerror}.",
                hint="Name one inside the data directory.",
            ) from None


def _is_metadata(url: ConnectionUrl) -> bool:
    """Return whether database, port and host (compared by name and by address) are the metadata database's."""
    settings = metadata.settings_dict
    options: dict[str, Any] = settings.get("OPTIONS", {})
    host = str(settings["HOST"] or options.get("host") or "")
    port = str(settings["PORT"] or options.get("port") or 5432)
    if (url.database or "postgres") != settings["NAME"] or str(url.port_or_default or 5432) != port:
        return False
    return url.host == host or bool(_addresses(url.host) & _addresses(host))


def _addresses(host: str) -> set[str]:
    """Return the host's name and addresses; sockets and loopback addresses of this machine become ``local``."""
    if host in _LOCAL or host.startswith("/"):
        return {"local"}
    addresses = {host}
    with suppress(OSError, UnicodeError):
        addresses |= {str(answer[4][0]) for answer in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    return {"local" if address in _LOCAL else address for address in addresses}
