"""Warns about, or protects, values in columns of the destination that the query does not fill.

A full refresh, and an incremental run for the rows that it replaces, insert new rows, in which such a column has its
default: the values that others have written to it are lost.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from connections.sdk.errors import Refused
from connections.sdk.schema import Column, ColumnInfo, TableInfo, TableName
from connections.sdk.types import NUMERIC_KINDS, Kind
from runs.engine.destination import Destination
from runs.engine.plan import Plan
from runs.engine.publish import exchange_record
from runs.engine.publish.method import exchange_of

# a literal as catalogues show defaults: 7, 'new'::text, CAST('f' AS BOOLEAN)
_LITERAL = r"(?:'(?:[^']|'')*'|[+-]?\d+(?:\.\d*)?|true|false)"
_CONSTANT = re.compile(rf"\(*{_LITERAL}\)*(?:::[a-z ]+(?:\([\d, ]+\))?)?|cast\({_LITERAL} as [a-z ]+\)", re.IGNORECASE)
# rows that are checked first
_SAMPLE = 1000
_COMPARABLE = NUMERIC_KINDS | {Kind.TEXT, Kind.BOOLEAN, Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ}


def unfilled(table: TableInfo | None, columns: Sequence[Column]) -> list[ColumnInfo]:
    """Return the columns that an insert without them would reset to NULL or to a constant.

    Excluded are columns whose values the table generates: generated columns, identities, defaults such as now().
    """
    names = {column.dest_name for column in columns}
    return [
        info
        for info in (table.columns if table else ())
        if info.name not in names and not info.generated and not info.identity and _resets(info)
    ]


def _resets(info: ColumnInfo) -> bool:
    if not info.default or info.default.lower() == "null" or info.default.lower().startswith("null::"):
        return True
    return info.data_type.kind in _COMPARABLE and _CONSTANT.fullmatch(info.default) is not None


def warnings(dest: Destination, table: TableInfo | None, columns: Sequence[Column]) -> list[str]:
    """Return the warnings before the transfer, while staging still has the columns of the module's last run."""
    if table is None:
        return []
    texts = []
    names = {column.dest_name for column in columns}
    dropped = [name for name in _filled_by_last_run(dest) if name not in names]
    if dropped := [name for name in dropped if table.column(name)]:
        texts.append(f"The destination has columns that the query no longer fills: {', '.join(dropped)}.")
    return texts + reset_by_incremental(dest.plan, table, columns)


def _filled_by_last_run(dest: Destination) -> Sequence[str]:
    """Return the columns of the module's last staging table, or of its last exchange."""
    if exchange_of(dest) is not None and (record := exchange_record.find(dest)):
        return record.columns
    last_staging = dest.describe(dest.staging)
    return [info.name for info in last_staging.columns] if last_staging else ()


def reset_by_incremental(plan: Plan, table: TableInfo | None, columns: Sequence[Column]) -> list[str]:
    """Return the warning that an incremental run resets columns in the rows that it replaces, if there are any."""
    if not plan.strategy.traits.replaces_matches or not plan.supports_deletes:
        return []
    infos = unfilled(table, columns)
    return [reset_text(plan.dest_table, infos)] if infos else []


def reset_text(table: TableName, infos: Sequence[ColumnInfo]) -> str:
    """Return the warning about these columns, for incremental runs and for the import of their module."""
    return (
        f"Columns of {table} that the query does not fill are reset in rows that are read again: "
        f"{', '.join(info.name for info in infos)}. merge_strategy: upsert does not change them."
    )


def count_filled(dest: Destination, infos: Sequence[ColumnInfo]) -> tuple[int, list[str]]:
    """Return the number of the destination's rows, and the columns with values that a full refresh would reset.

    Both are determined in one pass over the table.
    """
    rows, *values = dest.session.fetch(f"SELECT count(*), {count_lost(dest, infos)} FROM {_target(dest)} t")[0]
    return int(rows), with_count(infos, values)


def check_full(dest: Destination, table: TableInfo | None, before: Sequence[str], *, emptied: bool) -> list[str]:
    """Raise Refused for a full refresh that loses values of the columns ``before``; with `force`, return warnings.

    Checked before the table is emptied or, if triggers may fill the columns, after it is filled (``emptied``).
    """
    if not before or table is None or table.may_fill is not emptied:
        return []
    after = _columns_with_values(dest, [c for c in table.columns if c.name in before]) if emptied else []
    if not (lost := [name for name in before if name not in after]):
        return []
    text = f"The full refresh would reset columns of {dest.table} that the query does not fill: {', '.join(lost)}"
    if dest.plan.force:
        return [f"{text}; allowed because the run was forced."]
    raise Refused(
        f"{text}. They hold values; nothing was changed.",
        hint="Fill them in the query, or use merge_strategy: upsert, which does not change them. If the values are no "
        "longer needed, drop the columns, or run it once with --force.",
    )


def _columns_with_values(dest: Destination, infos: Sequence[ColumnInfo]) -> list[str]:
    """Return the columns that hold values; a sample of rows usually suffices, else the whole table is read once."""
    sample = dest.dialect.some_of(dest.table, tuple(info.name for info in infos), _SAMPLE)
    filled = with_count(infos, dest.session.fetch(f"SELECT {count_lost(dest, infos)} FROM ({sample}) t")[0])
    if rest := [info for info in infos if info.name not in filled]:
        filled += with_count(rest, dest.session.fetch(f"SELECT {count_lost(dest, rest)} FROM {_target(dest)} t")[0])
    return filled


def _target(dest: Destination) -> str:
    return dest.dialect.qualified(dest.table)


def count_lost(dest: Destination, infos: Sequence[ColumnInfo], row: str = "t") -> str:
    """Return a select list that counts, for each column, the rows (with this alias) whose value would be lost."""
    quote = dest.dialect.quote
    return ", ".join(f"count(CASE WHEN {_is_lost(f'{row}.{quote(info.name)}', info)} THEN 1 END)" for info in infos)


def with_count(infos: Sequence[ColumnInfo], counts: Sequence[int]) -> list[str]:
    """Return the names of the columns whose count is not 0."""
    return [info.name for info, rows in zip(infos, counts, strict=True) if rows]


def _is_lost(value: str, info: ColumnInfo) -> str:
    if info.default and _CONSTANT.fullmatch(info.default):
        return f"{value} <> {info.default}"
    return f"{value} IS NOT NULL"
