"""URLs of systems known only to their JDBC driver: ``system://host:port/database``; ``form`` is the sub-protocol."""

from __future__ import annotations

import re
from dataclasses import replace

from connections.sdk.errors import UrlInvalid
from connections.url.parts import ConnectionUrl
from connections.url.syntaxes import read_network, write_network

# JDBC drivers that open files or run code named in the URL, and protocols that are not databases
_FORBIDDEN = frozenset(
    {"avatica", "calcite", "csv", "dbunit", "derby", "hsqldb", "jndi", "ldap", "log4jdbc", "p6spy", "rmi"}
)
# systems whose properties follow ";" rather than "?"
_SEMICOLONS = frozenset({"databricks", "datadirect", "db2", "hive2", "impala", "jtds", "netezza", "spark"})


def read(rest: str, prefix: str) -> ConnectionUrl:
    match = re.match(r"((?:[a-z][a-z0-9-]{0,30}:){1,2})(?=//)", rest)
    if match is None:
        raise UrlInvalid("The URL is not jdbc:system://host.", hint="")
    protocols = match[1].rstrip(":")
    if _FORBIDDEN & set(protocols.split(":")):
        raise UrlInvalid("This JDBC driver opens files or code named in its URL.", hint="Use another driver.")
    place = rest[match.end() :]
    # DB2's syntax: //host:port/database:name=value;
    db2 = re.fullmatch(r"(//[^/;?]*/[^:;?]*):(.*)", place)
    if db2 and protocols == "db2":
        place = f"{db2[1]};{db2[2]}"
    semicolons = protocols.split(":")[0] in _SEMICOLONS
    return replace(read_network(place, "jdbc", ";" if semicolons else "&"), form=protocols)


def write(url: ConnectionUrl) -> str:
    if url.form == "db2":
        text = write_network(url, "jdbc:db2", opening=":", separator=";")
        return f"{text};" if url.properties else text
    if url.form.split(":")[0] in _SEMICOLONS:
        return write_network(url, f"jdbc:{url.form}", opening=";", separator=";")
    return write_network(url, f"jdbc:{url.form}")
