"""URLs of Oracle's thin driver: ``thin:@//host:port/service``, with TLS ``thin:@tcps://``; ``thin:@host:port:sid``."""

from __future__ import annotations

import re

from connections.sdk.errors import UrlInvalid
from connections.url import parts
from connections.url.parts import ConnectionUrl
from connections.url.property_check import checked_properties
from connections.url.syntaxes import place, properties


def read(rest: str, prefix: str) -> ConnectionUrl:
    place_text, _, query = rest.partition("?")
    # only "thin": the OCI driver reads tnsnames.ora, and a name alone may be looked up in LDAP
    match = re.fullmatch(r"thin:@(?:(tcps?:)?//)?([^/:]+|\[[^\]]*\])(?::([0-9]+))?(/|:)([^/:]+)", place_text)
    if match is None:
        user = "@" in place_text.removeprefix("thin:@") or not place_text.startswith("thin:@")
        why = "The URL does not begin with thin:@, or contains a user" if user else "The URL lacks a host or a service"
        raise UrlInvalid(f"{why}.", hint="TNS names, LDAP and descriptions in brackets are not supported.")
    protocol, host, port, mark, name = match.groups()
    form = "sid" if mark == ":" else "tcps" if protocol == "tcps:" else "service"
    if form == "sid" and (port is None or protocol):
        raise UrlInvalid("A SID needs the form host:port:sid.", hint="")
    return ConnectionUrl(
        kind="oracle",
        host=parts.host(host),
        port=parts.port(port) if port else None,
        database=parts.database(name),
        properties=checked_properties(parts.pairs(query, "&"), "oracle"),
        form=form,
    )


def write(url: ConnectionUrl) -> str:
    if url.form == "sid":
        where = f"{place(url).removeprefix('//')}:{url.database}"
    else:
        where = f"{'tcps:' if url.form == 'tcps' else ''}{place(url)}/{url.database}"
    return f"jdbc:oracle:thin:@{where}{properties(url, '?', '&')}"
