"""Connection URLs: taken apart, checked, and built again from the checked parts, so that no driver sees anything else.

Takes the JDBC form and each system's own. `parse` raises UrlInvalid, which says what is wrong and what the form is.
"""

from __future__ import annotations

import re

from connections.sdk.errors import UrlInvalid
from connections.url.parts import DEFAULT_PORTS, ConnectionUrl
from connections.url.rules import READERS, WRITERS

__all__ = ["DEFAULT_PORTS", "EXPECTED", "ConnectionUrl", "check", "kind_of", "parse", "rebuild"]


EXPECTED = {
    "as400": "jdbc:as400://host/LIBRARY;naming=system",
    "clickhouse": "jdbc:clickhouse://host:8123/database",
    "duckdb": "jdbc:duckdb:/data/x.duckdb, or the file's path",
    "h2": "jdbc:h2:file:/data/x, jdbc:h2:tcp://host/x or jdbc:h2:mem:x",
    "jdbc": "jdbc:system://host:port/database",
    "mysql": "jdbc:mysql://host:3306/database",
    "oracle": "jdbc:oracle:thin:@//host:1521/service",
    "postgresql": "jdbc:postgresql://host:5432/database, or the directory of the server's socket",
    "snowflake": "jdbc:snowflake://account.snowflakecomputing.com/?db=database&warehouse=name",
    "sqlite": "jdbc:sqlite:/data/x.db, or the file's path",
    "sqlserver": "jdbc:sqlserver://host:1433;databaseName=database;encrypt=true",
}
_PREFIXES = {
    "jdbc:postgresql:": "postgresql",
    "postgresql:": "postgresql",
    "postgres:": "postgresql",
    "jdbc:mysql:": "mysql",
    "jdbc:mariadb:": "mysql",
    "mysql:": "mysql",
    "mariadb:": "mysql",
    "jdbc:sqlite:": "sqlite",
    "sqlite:": "sqlite",
    "jdbc:duckdb:": "duckdb",
    "duckdb:": "duckdb",
    "jdbc:as400:": "as400",
    "jdbc:sqlserver:": "sqlserver",
    "sqlserver:": "sqlserver",
    "jdbc:oracle:": "oracle",
    "jdbc:clickhouse:": "clickhouse",
    "jdbc:ch:": "clickhouse",
    "clickhouse:": "clickhouse",
    "jdbc:h2:": "h2",
    "jdbc:snowflake:": "snowflake",
    "snowflake:": "snowflake",
    "jdbc:": "jdbc",
}
# what no path begins with; SQLAlchemy writes the driver after a plus sign
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9.-]*(\+[A-Za-z0-9_.-]+)?://")
# kinds that a plain path is a URL of
_PLAIN = frozenset({"duckdb", "postgresql", "sqlite"})
_SUFFIXES = {".duckdb": "duckdb", ".ddb": "duckdb", ".db": "sqlite", ".sqlite": "sqlite", ".sqlite3": "sqlite"}


def kind_of(url: str) -> str:
    """Return the kind a URL or a file's path belongs to, ``jdbc`` for a JDBC URL of no kind of its own.

    The answer says nothing about the rest of the URL. Raises UrlInvalid when no kind can be told.
    """
    for prefix, kind in _PREFIXES.items():
        if url[: len(prefix)].lower() == prefix:
            return kind
    for suffix, kind in _SUFFIXES.items():
        if url.lower().endswith(suffix):
            return kind
    raise UrlInvalid(
        "The URL does not say what kind of system it leads to.",
        hint="Start it with the system, as jdbc:postgresql://host:5432/database.",
    )


def parse(url: str, kind: str = "") -> ConnectionUrl:
    """Return the URL's checked parts. With ``kind`` a plain path is taken too, and a URL of another kind is refused."""
    if re.search(r"[\x00-\x1f\x7f]", url) or url != url.strip() or not 0 < len(url) <= 2048:
        raise UrlInvalid(
            "The URL is empty, too long, or has line breaks or spaces around it.", hint=_expected(kind or "postgresql")
        )
    prefix = next((p for p in _PREFIXES if url[: len(p)].lower() == p), "")
    found = _PREFIXES[prefix] if prefix else kind or kind_of(url)
    if not prefix and (scheme := _SCHEME.match(url)):
        raise _unknown_scheme(scheme[1], found)
    if not prefix and found in READERS and found not in _PLAIN:
        raise UrlInvalid("The URL does not start with its system.", hint=_expected(found))
    if kind and kind != found and not (kind == "jdbc" and prefix.startswith("jdbc:")):
        raise UrlInvalid(f"The URL is one of {found}; the connection's driver is {kind}.", hint=_expected(kind))
    if found not in READERS:
        raise UrlInvalid(f"There is no URL form for “{found}”.", hint=f"There is for {', '.join(sorted(READERS))}.")
    try:
        return READERS[found](url[len(prefix) :], prefix)
    except UrlInvalid as error:
        raise UrlInvalid(error.message, hint=f"{error.hint} {_expected(found)}".strip()) from None


def _unknown_scheme(driver: str | None, kind: str) -> UrlInvalid:
    if driver:
        return UrlInvalid(
            "The URL begins with a system and a Python driver, as SQLAlchemy's do.",
            hint=f"Leave the + and the driver out. {_expected(kind)}",
        )
    return UrlInvalid("The URL begins with a scheme that is not known here.", hint=_expected(kind))


def check(url: str, kind: str) -> None:
    """Raise UrlInvalid when ``url`` is no URL of ``kind``."""
    parse(url, kind)


def rebuild(url: ConnectionUrl) -> str:
    """Return the one spelling of these parts: the JDBC form, or the system's own where JDBC has none (sockets)."""
    return WRITERS[url.kind](url)


def _expected(kind: str) -> str:
    return f"Expected: {EXPECTED[kind]}." if kind in EXPECTED else ""
