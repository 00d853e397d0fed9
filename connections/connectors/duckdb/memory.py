"""Memory limits for DuckDB while it transfers rows, which it would otherwise cache although they are used only once."""

from __future__ import annotations

from connections.connectors.duckdb.dialect import DIALECT
from connections.connectors.duckdb.driver import DuckdbSession, url_property
from connections.sdk.parameters import ConnectionParameters

_MEGABYTE = 1_000_000
_MIN, _MAX = 64 * _MEGABYTE, 2048 * _MEGABYTE
# some blocks of a quarter of a megabyte for each column that is read or written
_COLUMN = _MEGABYTE
# copies of a value in the stream, the blocks of its column and the buffers of the file
_COPIES = 8
_SETTINGS = (
    "SET threads = 1",
    "SET preserve_insertion_order = false",
    # otherwise names of tables could refer to Python variables
    "SET python_enable_replacements = false",
)

# memory that DuckDB keeps for the blocks to come: to get it from the system for each takes a sixth of the time of an
# INSERT; older versions do not have this setting
_KEPT = "block_allocator_memory"


def needed(columns: int) -> int:
    """Return the bytes that a table with this number of columns needs, whatever its number of rows."""
    return max(_MIN, columns * _COLUMN)


def set_limit(session: DuckdbSession, parameters: ConnectionParameters, size: int) -> None:
    """Limit the session to ``size`` bytes, or to the `configured_limit` (such as ``"1GB"``)."""
    limit = DIALECT.string(configured_limit(parameters) or f"{size}B")
    for setting in (f"SET memory_limit = {limit}", *_SETTINGS):
        session.execute(setting)
    if session.fetch(f"SELECT 1 FROM duckdb_settings() WHERE name = '{_KEPT}'"):
        session.execute(f"SET {_KEPT} = '{_MIN}B'")


def configured_limit(parameters: ConnectionParameters) -> str:
    """Return the connection's option ``memory_limit``, or the property in its URL; empty if neither is set."""
    return str(parameters.options.get("memory_limit") or "") or url_property(parameters, "memory_limit")


def next_limit(size: int) -> int:
    """Return the limit to try after ``size`` bytes were not enough; 0 when it was the maximum."""
    return min(size * 8, _MAX) if size < _MAX else 0


def for_batch(size: int) -> int:
    """Return the bytes that a batch of ``size`` bytes may need."""
    return size * _COPIES


def hint_for(text: str) -> str:
    """Return the hint for DuckDB's message about a failed query."""
    if "out of memory" in text.lower():
        return "Raise the connection's option memory_limit, for example to 4GB."
    return "Correct the source query; its text is on the run."
