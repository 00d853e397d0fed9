"""URLs of H2: a database in memory (``mem:``), a file (``file:``), or a server (``tcp://``, ``ssl://``)."""

from __future__ import annotations

from connections.sdk.errors import UrlInvalid
from connections.url import parts
from connections.url.parts import ConnectionUrl
from connections.url.property_check import checked_properties
from connections.url.syntaxes import place, properties


def read(rest: str, prefix: str) -> ConnectionUrl:
    place_text, _, text = rest.partition(";")
    allowed = checked_properties(parts.pairs(text, ";"), "h2")
    form, colon, name = place_text.partition(":")
    if not colon:
        form, name = "file", place_text
    if form == "mem":
        return ConnectionUrl(kind="h2", form=form, database=parts.database(name) if name else "", properties=allowed)
    if form == "file":
        return ConnectionUrl(kind="h2", form=form, path=parts.path(name), properties=allowed)
    if form not in ("tcp", "ssl") or not name.startswith("//"):
        raise UrlInvalid("The URL is not one of mem:, file:, tcp:// or ssl://.", hint="")
    where, _, path = name[2:].partition("/")
    host, port = parts.authority(where)
    memory = "mem:" if path.startswith("mem:") else ""
    return ConnectionUrl(
        kind="h2",
        form=form,
        host=host,
        port=port,
        path=memory + parts.path(path.removeprefix("mem:")),
        properties=allowed,
    )


def write(url: ConnectionUrl) -> str:
    where = f"{place(url)}/{url.path}" if url.host else url.path or url.database
    return f"jdbc:h2:{url.form}:{where}{properties(url, ';', ';')}"
