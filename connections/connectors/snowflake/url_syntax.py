"""URLs of Snowflake, in which the database is a property: ``//account.snowflakecomputing.com/?db=name``."""

from __future__ import annotations

from dataclasses import replace

from connections.sdk.errors import UrlInvalid
from connections.url import parts
from connections.url.parts import ConnectionUrl
from connections.url.property_check import checked_properties
from connections.url.syntaxes import place, properties, read_network


def read(rest: str, prefix: str) -> ConnectionUrl:
    place_text, _, query = rest.partition("?")
    url = read_network(place_text.removesuffix("/"), "snowflake")
    if url.database:
        raise UrlInvalid("The URL contains a path.", hint="Name the database as ?db=name.")
    return replace(url, properties=checked_properties(parts.pairs(query, "&"), "snowflake"))


def write(url: ConnectionUrl) -> str:
    return f"jdbc:snowflake:{place(url)}/{properties(url, '?', '&')}"
