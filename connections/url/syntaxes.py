"""The common syntaxes of URLs, for the manifests' key ``form`` and for the ``url_syntax.py`` of connectors.

A reader returns the parts of a URL, from its text after the prefix; a writer returns the text of such parts.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from connections.sdk.errors import UrlInvalid
from connections.url import parts
from connections.url.parts import ConnectionUrl
from connections.url.property_check import checked_properties

_BASE_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9_.~-]{0,63}){0,16}/?")


def read_network(
    rest: str, kind: str, separator: str = "&", *, database: Callable[[str], str] = parts.database
) -> ConnectionUrl:
    """Read ``//host:port/database``, with properties after ``?`` and separated by ``&``, or after ``;``.

    ``database`` validates the database's name, and may decode it.
    """
    if not rest.startswith("//"):
        raise UrlInvalid("The URL has no //host.", hint="")
    opening = "?" if separator == "&" else ";"
    place_text, _, properties_text = rest[2:].partition(opening)
    where, _, name = place_text.partition("/")
    host, port = parts.authority(where)
    return ConnectionUrl(
        kind=kind,
        host=host,
        port=port,
        database=database(name) if name else "",
        properties=checked_properties(parts.pairs(properties_text, separator), kind),
    )


def write_network(url: ConnectionUrl, scheme: str, *, opening: str = "?", separator: str = "&") -> str:
    """Return ``scheme://host:port/database``, with properties after ``opening``."""
    database = f"/{encoded(url.database)}" if url.database else ""
    return f"{scheme}:{place(url)}{database}{properties(url, opening, separator)}"


def read_file(rest: str, kind: str, separator: str = "&") -> ConnectionUrl:
    """Read the path of a file, with properties after ``?`` and separated by ``&``, or after ``;``."""
    text, _, properties_text = rest.partition("?" if separator == "&" else ";")
    if text.lower() in ("", ":memory:", "//", "memory"):
        raise UrlInvalid("The URL names no file; a database in memory is not shared by processes.", hint="")
    if text.startswith("//"):
        # three slashes are an absolute path too: a relative one would depend on cron's working directory
        if not text.startswith("///"):
            raise UrlInvalid("The URL of a file names a host.", hint="")
        text = "/" + text.lstrip("/")
    if text.startswith("~"):
        raise UrlInvalid("The path in the URL begins with “~”.", hint="Write the file's whole path.")
    return ConnectionUrl(
        kind=kind, path=parts.path(text), properties=checked_properties(parts.pairs(properties_text, separator), kind)
    )


def write_file(url: ConnectionUrl, scheme: str, separator: str = "&") -> str:
    """Return ``scheme:/path``, with properties."""
    return f"{scheme}:{url.path}{properties(url, '?' if separator == '&' else ';', separator)}"


def read_https(rest: str, kind: str, scheme: str) -> ConnectionUrl:
    """Read ``//host:port/path`` of an HTTP interface; ``form`` is the scheme, https or http.

    http is refused for other machines, because tokens would be sent in clear text.
    """
    if not rest.startswith("//"):
        raise UrlInvalid("The URL has no //host.", hint="")
    place_text, _, properties_text = rest[2:].partition("?")
    where, slash, path = place_text.partition("/")
    host, port = parts.authority(where)
    if scheme == "http" and not _is_this_machine(host):
        raise UrlInvalid("The URL begins with http://, which is not encrypted.", hint="Write https://.")
    if not _BASE_PATH.fullmatch(slash + path):
        raise UrlInvalid("The path in the URL has characters that are not allowed.", hint="")
    return ConnectionUrl(
        kind=kind,
        form=scheme,
        host=host,
        port=port,
        default_port=80 if scheme == "http" else None,
        path=(slash + path).rstrip("/"),
        properties=checked_properties(parts.pairs(properties_text, "&"), kind),
    )


def write_https(url: ConnectionUrl) -> str:
    """Return ``https://host:port/path``, or http, with properties."""
    return f"{url.form}:{place(url)}{url.path}{properties(url, '?', '&')}"


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def place(url: ConnectionUrl) -> str:
    """Return ``//host:port``."""
    name = f"[{url.host}]" if ":" in url.host else url.host
    return f"//{name}:{url.port}" if url.port else f"//{name}"


def properties(url: ConnectionUrl, opening: str, separator: str) -> str:
    """Return the properties with ``opening`` before them; empty if there are none."""
    text = separator.join(f"{name}={value}" for name, value in url.properties.items())
    return opening + text if text else ""


def encoded(database: str) -> str:
    """Return a validated database name with its spaces percent-encoded."""
    return database.replace(" ", "%20")
