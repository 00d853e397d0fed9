"""URLs of SQL Server: ``//host\\instance:port;databaseName=name;property=value``."""

from __future__ import annotations

from dataclasses import replace

from connections.sdk.errors import UrlInvalid
from connections.url import parts
from connections.url.parts import ConnectionUrl
from connections.url.property_check import checked_properties
from connections.url.syntaxes import place, properties


def read(rest: str, prefix: str) -> ConnectionUrl:
    if not rest.startswith("//"):
        raise UrlInvalid("The URL has no //host.", hint="")
    place_text, _, properties_text = rest[2:].partition(";")
    pairs = parts.pairs(properties_text, ";")
    names = [value for name, value in pairs if name.lower() in ("database", "databasename")]
    instances = [value for name, value in pairs if name.lower() == "instancename"]
    where, slash, instance = place_text.partition("\\")
    port = ""
    if slash:
        instance, _, port = instance.partition(":")
        instances.append(instance)
    if len(names) > 1 or len(instances) > 1:
        raise UrlInvalid("The URL contains the database or the instance twice.", hint="Write it once.")
    host, plain_port = parts.authority(where)
    parsed = ("database", "databasename", "instancename")
    return ConnectionUrl(
        kind="sqlserver",
        host=host,
        port=parts.port(port) if port else plain_port,
        instance=parts.database(instances[0]) if instances else "",
        database=parts.database(names[0], blanks=True) if names else "",
        properties=checked_properties([pair for pair in pairs if pair[0].lower() not in parsed], "sqlserver"),
    )


def write(url: ConnectionUrl) -> str:
    instance = f"\\{url.instance}" if url.instance else ""
    port = f":{url.port}" if url.port else ""
    database = f";databaseName={url.database}" if url.database else ""
    return f"jdbc:sqlserver:{place(replace(url, port=None))}{instance}{port}{database}{properties(url, ';', ';')}"
