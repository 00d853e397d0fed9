"""URLs of PostgreSQL: in JDBC form, in libpq's with a user and with a socket, or the directory of a socket alone."""

from __future__ import annotations

import re
from typing import Any, cast
from urllib.parse import unquote

from connections.sdk.errors import UrlInvalid
from connections.sdk.parameters import ConnectionParameters
from connections.url import parts
from connections.url.parse import parse_url
from connections.url.parts import ConnectionUrl
from connections.url.property_check import checked_properties
from connections.url.syntaxes import encoded, properties, read_network, write_network

# as they are written in libpq's form
_SOCKET_IN_JDBC = re.compile(r"//(%2f|[^?]*\?(.*&)?host=(/|%2f))", re.IGNORECASE)


def read(rest: str, prefix: str) -> ConnectionUrl:
    if not prefix:
        return ConnectionUrl(kind="postgresql", host=_socket(rest))
    if prefix.startswith("jdbc:"):
        if _SOCKET_IN_JDBC.match(rest):
            raise UrlInvalid("A URL in JDBC form cannot name a socket.", hint="")
        return read_network(rest, "postgresql", database=parts.decoded_database)
    if not rest.startswith("//"):
        raise UrlInvalid("The URL has no //host.", hint="")
    place, _, query = rest[2:].partition("?")
    where, _, database = place.partition("/")
    user, at, where = where.rpartition("@")
    pairs = parts.pairs(query, "&")
    special = {name: value for name, value in pairs if name in ("host", "port")}
    if len(special) < sum(name in ("host", "port") for name, _ in pairs) or (where and special):
        raise UrlInvalid("The URL contains the host twice.", hint="Write it once.")
    if where[:3].upper() == "%2F":
        directory, colon, number = where.partition(":")
        host, port = _socket(unquote(directory)), parts.port(number) if colon else None
    elif where or "host" not in special:
        host, port = parts.authority(where)
    else:
        given = unquote(special["host"])
        host = _socket(given) if given.startswith("/") else parts.host(given)
        port = parts.port(special["port"]) if "port" in special else None
    return ConnectionUrl(
        kind="postgresql",
        host=host,
        port=port,
        database=parts.decoded_database(database) if database else "",
        username=parts.username(user) if at else "",
        properties=checked_properties([pair for pair in pairs if pair[0] not in special], "postgresql"),
    )


def _socket(text: str) -> str:
    directory = parts.path(text)
    if not directory.startswith("/") or any(mark in directory for mark in "&=,@"):
        raise UrlInvalid("The directory of the server's socket is not an absolute path.", hint="")
    return directory


def write(url: ConnectionUrl) -> str:
    if not url.host.startswith("/") and not url.username:
        return write_network(url, "jdbc:postgresql")
    user = f"{url.username}@" if url.username else ""
    if not url.host.startswith("/"):
        return write_network(url, "postgresql").replace("//", f"//{user}", 1)
    port = f"&port={url.port}" if url.port else ""
    return f"postgresql://{user}/{encoded(url.database)}?host={url.host}{port}{properties(url, '&', '&')}"


def search_path(parameters: ConnectionParameters) -> str:
    """Return the search_path that the connection sets, empty if it leaves that to the server.

    The option ``session`` takes precedence over the URL's property currentSchema, which the JDBC driver uses so.
    """
    session = cast(dict[str, Any], parameters.options.get("session") or {})
    if path := session.get("search_path"):
        return str(path)
    return parse_url(parameters.url, kind="postgresql").properties.get("currentSchema", "")
