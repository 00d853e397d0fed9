"""Keeps DuckDB small while it moves rows: what it would cache and buffer is used once."""

from __future__ import annotations

from connections.connectors.duckdb.dialect import DIALECT
from connections.connectors.duckdb.driver import DuckdbSession
from connections.sdk.parameters import ConnectionParameters

_MEGABYTE = 1_000_000
_LEAST, _MOST = 32 * _MEGABYTE, 2048 * _MEGABYTE
# blocks of a quarter of a megabyte: a column that is read or written holds some
_COLUMN = _MEGABYTE
# a value on its way is held by the stream, the column's block and the file's buffer
_COPIES = 8
_SETTINGS = (
    "SET threads = 1",
    "SET preserve_insertion_order = false",
    # no name of a table may mean one of our variables
    "SET python_enable_replacements = false",
)


def needed(columns: int) -> int:
    """Return how many bytes a table of so many columns needs, whatever its number of rows."""
    return max(_LEAST, columns * _COLUMN)


def bounded(session: DuckdbSession, parameters: ConnectionParameters, size: int) -> None:
    """Set limits: ``size`` bytes, or what the connection's option ``memory_limit`` (such as ``"1GB"``) says."""
    limit = DIALECT.string(given(parameters) or f"{size}B")
    for setting in (f"SET memory_limit = {limit}", *_SETTINGS):
        session.execute(setting)


def given(parameters: ConnectionParameters) -> str:
    return str(parameters.options.get("memory_limit") or "")


def more(size: int) -> int:
    """Return what to try after ``size`` was too little; 0 when that is enough tries."""
    return min(size * 8, _MOST) if size < _MOST else 0


def for_batch(size: int) -> int:
    """Return what a batch of ``size`` bytes may need: one is only large when a single value is."""
    return size * _COPIES


def hint_for(text: str) -> str:
    """Return what to do about a failed query, by DuckDB's words."""
    if "out of memory" in text.lower():
        return "Set the connection's option memory_limit higher, for example to 4GB."
    return "Correct the source query; its text is on the run."
