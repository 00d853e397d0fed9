"""Completes the hint of an error for a table or column that does not exist, with the names that do."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Sequence

from connections.sdk.errors import ColumnMissing, PipekitError, TableMissing
from connections.sdk.protocols import Session

# newer versions of SQLite quote the column, and add that it may be meant as a string literal
_MISSING = re.compile(r'no such (?:table|column): (?:.*\.)?"?(.+?)"?(?: - should this be .*)?$')
_TABLES = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT GLOB 'sqlite_*' ORDER BY name"
# names that a hint lists
_MAX_NAMES = 30


def add_names(error: TableMissing | ColumnMissing, session: Session, query: str) -> None:
    """Append the closest name to the error's hint; without a close one, the tables, or the columns of the query's."""
    missing = _MISSING.search(error.message)
    if missing is None:
        return
    # the error of the query is more important than one of this search
    with contextlib.suppress(PipekitError):
        tables = [str(name) for (name,) in session.fetch(_TABLES)]
        if isinstance(error, TableMissing):
            hint = _closest(missing[1], tables) or _listed("The file has the tables", tables)
        else:
            hint = _columns(missing[1], session, [table for table in tables if _is_named(table, query)])
        error.hint = f"{error.hint} {hint}".strip()


def _columns(missing: str, session: Session, tables: Sequence[str]) -> str:
    columns = {
        table: [str(name) for (name,) in session.fetch("SELECT name FROM pragma_table_info(?)", (table,))]
        for table in tables
    }
    closest = _closest(missing, [name for names in columns.values() for name in names])
    return closest or " ".join(_listed(f"{table} has the columns", names) for table, names in columns.items())


def _is_named(table: str, query: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(table)}(?!\w)", query, re.IGNORECASE))


def _closest(missing: str, names: Sequence[str]) -> str:
    by_lower = {name.lower(): name for name in names}
    matches = difflib.get_close_matches(missing.lower(), list(by_lower), n=1)
    return f"Did you mean “{by_lower[matches[0]]}”?" if matches else ""


def _listed(beginning: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return f"{beginning} {', '.join(names[:_MAX_NAMES])}{more}."
