"""URLs of DB2 for i: the port is a property, and library names may contain ``#`` and ``@``."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from connections.sdk.errors import UrlInvalid
from connections.url import parts
from connections.url.parts import ConnectionUrl
from connections.url.property_check import checked_properties
from connections.url.syntaxes import read_network, write_network

# the port of the database server with TLS
_SECURE_PORT = 9471


def read(rest: str, prefix: str) -> ConnectionUrl:
    place, _, properties = rest.partition(";")
    pairs = parts.pairs(properties, ";")
    ports = [value for name, value in pairs if name.lower() == "portnumber"]
    others = [pair for pair in pairs if pair[0].lower() != "portnumber"]
    url = read_network(place.removesuffix("/"), "as400", ";", database=partial(parts.database, library=True))
    if len(ports) + (url.port is not None) > 1:
        raise UrlInvalid("The URL contains the port twice.", hint="Write it once.")
    allowed = checked_properties(others, "as400")
    return replace(
        url,
        port=parts.port(ports[0]) if ports else url.port,
        default_port=_SECURE_PORT if allowed.get("secure") == "true" else None,
        properties=allowed,
    )


def write(url: ConnectionUrl) -> str:
    text = write_network(replace(url, port=None), "jdbc:as400", opening=";", separator=";")
    return f"{text};portNumber={url.port}" if url.port else text
