"""The URL syntax of each kind: one reader and one writer per kind, which `connections.url.jdbc` chooses from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import unquote

from connections.sdk.errors import UrlInvalid
from connections.url import parts
from connections.url.parts import ConnectionUrl
from connections.url.properties import checked

# JDBC drivers that open files or run code named in the URL, and protocols that are not databases
_FORBIDDEN = frozenset(
    {"avatica", "calcite", "csv", "dbunit", "derby", "hsqldb", "jndi", "ldap", "log4jdbc", "p6spy", "rmi"}
)
# kinds whose drivers percent-decode the database name
_ENCODED = frozenset({"mysql", "postgresql"})
# systems whose properties follow ";" rather than "?"
_SEMICOLONS = frozenset({"databricks", "datadirect", "db2", "hive2", "impala", "jtds", "netezza", "spark"})


def _network(rest: str, kind: str, separator: str) -> ConnectionUrl:
    """Read ``//host:port/database``, with properties after ``?`` and separated by ``&``, or after ``;``."""
    if not rest.startswith("//"):
        raise UrlInvalid("The URL has no //host.", hint="")
    opening = "?" if separator == "&" else ";"
    place, _, properties = rest[2:].partition(opening)
    where, _, database = place.partition("/")
    host, port = parts.authority(where)
    return ConnectionUrl(
        kind=kind,
        host=host,
        port=port,
        database=_database(database, kind) if database else "",
        properties=checked(parts.pairs(properties, separator), kind),
    )


def _database(text: str, kind: str) -> str:
    return parts.decoded_database(text) if kind in _ENCODED else parts.database(text, library=kind == "as400")


def _postgresql(rest: str, prefix: str) -> ConnectionUrl:
    if not prefix:
        return ConnectionUrl(kind="postgresql", host=_socket(rest))
    if prefix.startswith("jdbc:"):
        return _network(rest, "postgresql", "&")
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
        properties=checked([pair for pair in pairs if pair[0] not in special], "postgresql"),
    )


def _socket(text: str) -> str:
    directory = parts.path(text)
    if not directory.startswith("/") or any(mark in directory for mark in "&=,@"):
        raise UrlInvalid("The directory of the server's socket is not an absolute path.", hint="")
    return directory


def _mysql(rest: str, prefix: str) -> ConnectionUrl:
    return replace(_network(rest, "mysql", "&"), form="mariadb" if "mariadb" in prefix else "mysql")


def _file(kind: str, separator: str) -> Callable[[str, str], ConnectionUrl]:
    def read(rest: str, prefix: str) -> ConnectionUrl:
        text, _, properties = rest.partition("?" if separator == "&" else ";")
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
            kind=kind, path=parts.path(text), properties=checked(parts.pairs(properties, separator), kind)
        )

    return read


def _as400(rest: str, prefix: str) -> ConnectionUrl:
    place, _, properties = rest.partition(";")
    pairs = parts.pairs(properties, ";")
    ports = [value for name, value in pairs if name.lower() == "portnumber"]
    others = [pair for pair in pairs if pair[0].lower() != "portnumber"]
    url = _network(place.removesuffix("/"), "as400", ";")
    if len(ports) + (url.port is not None) > 1:
        raise UrlInvalid("The URL contains the port twice.", hint="Write it once.")
    return replace(url, port=parts.port(ports[0]) if ports else url.port, properties=checked(others, "as400"))


def _sqlserver(rest: str, prefix: str) -> ConnectionUrl:
    if not rest.startswith("//"):
        raise UrlInvalid("The URL has no //host.", hint="")
    place, _, properties = rest[2:].partition(";")
    pairs = parts.pairs(properties, ";")
    names = [value for name, value in pairs if name.lower() in ("database", "databasename")]
    instances = [value for name, value in pairs if name.lower() == "instancename"]
    where, slash, instance = place.partition("\\")
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
        properties=checked([pair for pair in pairs if pair[0].lower() not in parsed], "sqlserver"),
    )


def _oracle(rest: str, prefix: str) -> ConnectionUrl:
    place, _, query = rest.partition("?")
    # only "thin": the OCI driver reads tnsnames.ora, and a name alone may be looked up in LDAP
    match = re.fullmatch(r"thin:@(?:(tcps?:)?//)?([^/:]+|\[[^\]]*\])(?::([0-9]+))?(/|:)([^/:]+)", place)
    if match is None:
        user = "@" in place.removeprefix("thin:@") or not place.startswith("thin:@")
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
        properties=checked(parts.pairs(query, "&"), "oracle"),
        form=form,
    )


def _clickhouse(rest: str, prefix: str) -> ConnectionUrl:
    match = re.match(r"(https?):(?=//)", rest)
    url = _network(rest[match.end() :] if match else rest, "clickhouse", "&")
    return replace(url, form=match[1] if match else "")


def _h2(rest: str, prefix: str) -> ConnectionUrl:
    place, _, text = rest.partition(";")
    properties = checked(parts.pairs(text, ";"), "h2")
    form, colon, name = place.partition(":")
    if not colon:
        form, name = "file", place
    if form == "mem":
        return ConnectionUrl(kind="h2", form=form, database=parts.database(name) if name else "", properties=properties)
    if form == "file":
        return ConnectionUrl(kind="h2", form=form, path=parts.path(name), properties=properties)
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
        properties=properties,
    )


def _snowflake(rest: str, prefix: str) -> ConnectionUrl:
    place, _, query = rest.partition("?")
    url = _network(place.removesuffix("/"), "snowflake", "&")
    if url.database:
        raise UrlInvalid("The URL contains a path.", hint="Name the database as ?db=name.")
    return replace(url, properties=checked(parts.pairs(query, "&"), "snowflake"))


def _generic(rest: str, prefix: str) -> ConnectionUrl:
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
    return replace(_network(place, "jdbc", ";" if semicolons else "&"), form=protocols)


def _place(url: ConnectionUrl) -> str:
    """Return ``//host:port``."""
    name = f"[{url.host}]" if ":" in url.host else url.host
    return f"//{name}:{url.port}" if url.port else f"//{name}"


def _properties(url: ConnectionUrl, opening: str, separator: str) -> str:
    text = separator.join(f"{name}={value}" for name, value in url.properties.items())
    return opening + text if text else ""


def _write_network(url: ConnectionUrl, scheme: str, *, opening: str = "?", separator: str = "&") -> str:
    database = f"/{_encoded(url.database)}" if url.database else ""
    return f"{scheme}:{_place(url)}{database}{_properties(url, opening, separator)}"


def _encoded(database: str) -> str:
    return database.replace(" ", "%20")


def _write_postgresql(url: ConnectionUrl) -> str:
    if not url.host.startswith("/") and not url.username:
        return _write_network(url, "jdbc:postgresql")
    user = f"{url.username}@" if url.username else ""
    if not url.host.startswith("/"):
        return _write_network(url, "postgresql").replace("//", f"//{user}", 1)
    port = f"&port={url.port}" if url.port else ""
    return f"postgresql://{user}/{_encoded(url.database)}?host={url.host}{port}{_properties(url, '&', '&')}"


def _write_sqlserver(url: ConnectionUrl) -> str:
    place = _place(replace(url, port=None))
    instance = f"\\{url.instance}" if url.instance else ""
    port = f":{url.port}" if url.port else ""
    database = f";databaseName={url.database}" if url.database else ""
    return f"jdbc:sqlserver:{place}{instance}{port}{database}{_properties(url, ';', ';')}"


def _write_as400(url: ConnectionUrl) -> str:
    text = _write_network(replace(url, port=None), "jdbc:as400", opening=";", separator=";")
    return f"{text};portNumber={url.port}" if url.port else text


def _write_oracle(url: ConnectionUrl) -> str:
    if url.form == "sid":
        place = f"{_place(url).removeprefix('//')}:{url.database}"
    else:
        place = f"{'tcps:' if url.form == 'tcps' else ''}{_place(url)}/{url.database}"
    return f"jdbc:oracle:thin:@{place}{_properties(url, '?', '&')}"


def _write_clickhouse(url: ConnectionUrl) -> str:
    return _write_network(url, "jdbc:clickhouse:" + url.form if url.form else "jdbc:clickhouse")


def _write_h2(url: ConnectionUrl) -> str:
    place = f"{_place(url)}/{url.path}" if url.host else url.path or url.database
    return f"jdbc:h2:{url.form}:{place}{_properties(url, ';', ';')}"


def _write_generic(url: ConnectionUrl) -> str:
    if url.form == "db2":
        text = _write_network(url, "jdbc:db2", opening=":", separator=";")
        return f"{text};" if url.properties else text
    if url.form.split(":")[0] in _SEMICOLONS:
        return _write_network(url, f"jdbc:{url.form}", opening=";", separator=";")
    return _write_network(url, f"jdbc:{url.form}")


# kind -> function that returns the parts, from the rest of the URL after the prefix, and the prefix
READERS: dict[str, Callable[[str, str], ConnectionUrl]] = {
    "as400": _as400,
    "clickhouse": _clickhouse,
    "duckdb": _file("duckdb", ";"),
    "h2": _h2,
    "jdbc": _generic,
    "mysql": _mysql,
    "oracle": _oracle,
    "postgresql": _postgresql,
    "snowflake": _snowflake,
    "sqlite": _file("sqlite", "&"),
    "sqlserver": _sqlserver,
}
WRITERS: dict[str, Callable[[ConnectionUrl], str]] = {
    "as400": _write_as400,
    "clickhouse": _write_clickhouse,
    "duckdb": lambda url: f"jdbc:duckdb:{url.path}{_properties(url, ';', ';')}",
    "h2": _write_h2,
    "jdbc": _write_generic,
    "mysql": lambda url: _write_network(url, f"jdbc:{url.form}"),
    "oracle": _write_oracle,
    "postgresql": _write_postgresql,
    "snowflake": lambda url: f"jdbc:snowflake:{_place(url)}/{_properties(url, '?', '&')}",
    "sqlite": lambda url: f"jdbc:sqlite:{url.path}{_properties(url, '?', '&')}",
    "sqlserver": _write_sqlserver,
}
