"""Keeps DuckDB small while it moves rows: what it would cache and buffer is used once."""

from __future__ import annotations

from connections.connectors.duckdb.dialect import DIALECT
from connections.connectors.duckdb.driver import DuckdbSession
from connections.sdk.parameters import ConnectionParameters

_LIMIT = "64MB"
_SETTINGS = (
    "SET threads = 1",
    "SET preserve_insertion_order = false",
    # no name of a table may mean one of our variables
    "SET python_enable_replacements = false",
)


def bounded(session: DuckdbSession, parameters: ConnectionParameters) -> None:
    """Set limits; the connection's option ``memory_limit`` (such as ``"1GB"``) is for queries that need more."""
    limit = DIALECT.string(str(parameters.options.get("memory_limit") or _LIMIT))
    for setting in (f"SET memory_limit = {limit}", *_SETTINGS):
        session.execute(setting)


def hint_for(text: str) -> str:
    """Return what to do about a failed query, by DuckDB's words."""
    if "out of memory" in text.lower():
        return f"Set the connection's option memory_limit higher than {_LIMIT}, for example to 1GB."
    return "Correct the source query; its text is on the run."
