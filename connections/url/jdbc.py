"""Parses and validates connection URLs, in JDBC form or a system's own, and rebuilds them from the validated parts.

Drivers get only rebuilt URLs. `parse` raises UrlInvalid with the reason and the expected form.
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
# a scheme, which no path begins with; SQLAlchemy appends the driver after a plus sign
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9.-]*(\+[A-Za-z0-9_.-]+)?://")
# kinds that accept a plain path as their URL
_PLAIN = frozenset({"duckdb", "postgresql", "sqlite"})
_SUFFIXES = {".duckdb": "duckdb", ".ddb": "duckdb", ".db": "sqlite", ".sqlite": "sqlite", ".sqlite3": "sqlite"}


def kind_of(url: str) -> str:
    """Return the kind of a URL or a file's path, ``jdbc`` for JDBC URLs of systems without a kind of their own.

    Looks only at prefix and suffix; the URL may still be invalid. Raises UrlInvalid if neither is known.
    """
    for prefix, kind in _PREFIXES.items():
        if url[: len(prefix)].lower() == prefix:
            return kind
    for suffix, kind in _SUFFIXES.items():
        if url.lower().endswith(suffix):
            return kind
    raise UrlInvalid(
        "The URL does not begin with the kind of system.",
        hint="Write it as jdbc:postgresql://host:5432/database.",
    )


def parse(url: str, kind: str = "") -> ConnectionUrl:
    """Return the validated parts of a URL. Raises UrlInvalid.

    With ``kind``, a plain path is accepted as well, and a URL of another kind is refused.
    """
    if re.search(r"[\x00-\x1f\x7f]", url) or url != url.strip() or not 0 < len(url) <= 2048:
        raise UrlInvalid(
            "The URL is empty, too long, or has line breaks or spaces around it.", hint=_expected(kind or "postgresql")
        )
    prefix = next((p for p in _PREFIXES if url[: len(p)].lower() == p), "")
    actual = _PREFIXES[prefix] if prefix else kind or kind_of(url)
    if not prefix and (scheme := _SCHEME.match(url)):
        raise _unknown_scheme(scheme[1], actual)
    if not prefix and actual in READERS and actual not in _PLAIN:
        raise UrlInvalid("The URL does not begin with the kind of system.", hint=_expected(actual))
    if kind and kind != actual and not (kind == "jdbc" and prefix.startswith("jdbc:")):
        raise UrlInvalid(f"The URL is for {actual}; the connection's driver is {kind}.", hint=_expected(kind))
    if actual not in READERS:
        raise UrlInvalid(f"There is no URL form for “{actual}”.", hint=f"There is for {', '.join(sorted(READERS))}.")
    try:
        return READERS[actual](url[len(prefix) :], prefix)
    except UrlInvalid as error:
        raise UrlInvalid(error.message, hint=f"{error.hint} {_expected(actual)}".strip()) from None


def _unknown_scheme(driver: str | None, kind: str) -> UrlInvalid:
    if driver:
        return UrlInvalid(
            "The URL's scheme names a Python driver, as in SQLAlchemy's URLs.",
            hint=f"Leave the + and the driver out. {_expected(kind)}",
        )
    return UrlInvalid("The URL's scheme is unknown.", hint=_expected(kind))


def check(url: str, kind: str) -> None:
    """Raise UrlInvalid if ``url`` is not a valid URL of ``kind``."""
    parse(url, kind)


def rebuild(url: ConnectionUrl) -> str:
    """Return the canonical URL of these parts: in JDBC form, or the system's own for what JDBC has none (sockets)."""
    return WRITERS[url.kind](url)


def _expected(kind: str) -> str:
    return f"Expected: {EXPECTED[kind]}." if kind in EXPECTED else ""
