"""Refuses connections to Pipekit's own files and metadata database when they are saved; connecting checks again."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.db import connection as metadata

from connections import registry
from connections.sdk.files import protection
from connections.sdk.files.file_check import check_file
from connections.url.parse import ConnectionUrl, database_of, parse_url

_LOCAL = frozenset({"", "localhost", "127.0.0.1", "::1"})


def check_url(text: str, kind: str) -> None:
    """Raise UrlInvalid if the URL is malformed, Protected if it names Pipekit's own files or metadata database."""
    url = parse_url(text, kind)
    if url.is_file:
        check_file(url.path, protection.current())
    elif url.kind == metadata.vendor and _is_metadata(url):
        raise protection.refused_database("")


def check_local_server(options: Mapping[str, Any], kind: str) -> None:
    """Raise ConfigurationInvalid if the options name a local server whose directory is, or would be, not its own."""
    if server := registry.local_server(kind, options):
        server.check(protection.current().data_dir)


def _is_metadata(url: ConnectionUrl) -> bool:
    """Return whether database, port and host (compared by name and by address) are the metadata database's."""
    settings = metadata.settings_dict
    options: dict[str, Any] = settings.get("OPTIONS", {})
    host = str(settings["HOST"] or options.get("host") or "")
    port = str(settings["PORT"] or options.get("port") or url.default_port)
    if database_of(url) != settings["NAME"] or str(url.port or url.default_port) != port:
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
