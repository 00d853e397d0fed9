"""Columns of the destination that the query does not fill: said, and kept from losing their values in silence.

A full refresh and the rows that an incremental run replaces are inserted anew: such a column then has its default.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from connections import registry
from connections.sdk.errors import Refused
from connections.sdk.protocols import Session
from connections.sdk.schema import Column, ColumnInfo, TableInfo, TableName
from connections.sdk.sql.types import NUMERIC_KINDS, Kind
from runs.engine.plan import Plan, Strategy
from runs.engine.publish.staging import dialect_of

# a literal, as catalogues write defaults: 7, 'new'::text, CAST('f' AS BOOLEAN)
_LITERAL = r"(?:'(?:[^']|'')*'|[+-]?\d+(?:\.\d*)?|true|false)"
_CONSTANT = re.compile(rf"\(*{_LITERAL}\)*(?:::[a-z ]+(?:\([\d, ]+\))?)?|cast\({_LITERAL} as [a-z ]+\)", re.IGNORECASE)
# so many rows are looked at first
_SAMPLE = 1000
_COMPARABLE = NUMERIC_KINDS | {Kind.TEXT, Kind.BOOLEAN, Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ}


def unfilled(table: TableInfo | None, columns: Sequence[Column]) -> list[ColumnInfo]:
    """Return the columns whose values an insert without them would reset to NULL or to a constant.

    Left out is what the table gives each row anew: generated columns, identities, defaults such as now().
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


def warnings(session: Session, plan: Plan, table: TableInfo | None, columns: Sequence[Column]) -> list[str]:
    """Return what is to be said before the transfer; staging still has the shape of the module's last run."""
    if table is None:
        return []
    found = []
    names = {column.dest_name for column in columns}
    last = registry.connector(plan.destination.kind).introspector.describe_table(
        session, dialect_of(plan).staging_table(plan.module)
    )
    dropped = [info.name for info in (last.columns if last else ()) if info.name not in names]
    if dropped := [name for name in dropped if table.column(name)]:
        found.append(f"The destination has columns that the query no longer fills: {', '.join(dropped)}.")
    return found + reset_by_incremental(plan, table, columns)


def reset_by_incremental(plan: Plan, table: TableInfo | None, columns: Sequence[Column]) -> list[str]:
    """Return the warning that rows which come again lose what others have written into further columns."""
    if plan.strategy is not Strategy.INCREMENTAL or not plan.supports_deletes:
        return []
    infos = unfilled(table, columns)
    return [reset_text(plan.dest_table, infos)] if infos else []


def reset_text(table: TableName, infos: Sequence[ColumnInfo]) -> str:
    """Return the warning about these columns, for incremental runs and for the import of their module."""
    return (
        f"Columns of {table} that the query does not fill are reset in rows that come again: "
        f"{', '.join(info.name for info in infos)}. merge_strategy: upsert leaves them as they are."
    )


def count_filled(session: Session, plan: Plan, infos: Sequence[ColumnInfo]) -> tuple[int, list[str]]:
    """Return the number of the destination's rows and which columns hold values that a full refresh would take.

    One pass over the table answers both.
    """
    rows, *values = session.fetch(f"SELECT count(*), {_counts(plan, infos)} FROM {_target(plan)} t")[0]
    return int(rows), _named(infos, values)


def check_full(
    session: Session, plan: Plan, table: TableInfo | None, before: Sequence[str], *, emptied: bool
) -> list[str]:
    """Refuse a full refresh that takes the values out of columns; return warnings when `force` let it pass.

    Asked before the table is emptied, and again after it is filled where triggers may have filled the columns.
    """
    if not before or table is None or table.may_fill is not emptied:
        return []
    after = _with_values(session, plan, [c for c in table.columns if c.name in before]) if emptied else []
    if not (lost := [name for name in before if name not in after]):
        return []
    text = f"The full refresh would reset columns of {plan.dest_table} that the query does not fill: {', '.join(lost)}"
    if plan.force:
        return [f"{text}; allowed because the run was forced."]
    raise Refused(
        f"{text}. They hold values; nothing was changed.",
        hint="Fill them in the query, or use merge_strategy: upsert, which leaves them as they are. If the values are "
        "no longer needed, drop the columns, or run it once with --force.",
    )


def _with_values(session: Session, plan: Plan, infos: Sequence[ColumnInfo]) -> list[str]:
    """Return which columns hold values: a few rows mostly tell, and one pass tells of the columns that are left."""
    names = dialect_of(plan).columns([info.name for info in infos], prefix="t.")
    some = f"(SELECT {names} FROM {_target(plan)} t LIMIT {_SAMPLE})"
    found = _named(infos, session.fetch(f"SELECT {_counts(plan, infos)} FROM {some} t")[0])
    if rest := [info for info in infos if info.name not in found]:
        found += _named(rest, session.fetch(f"SELECT {_counts(plan, rest)} FROM {_target(plan)} t")[0])
    return found


def _target(plan: Plan) -> str:
    return dialect_of(plan).qualified(plan.dest_table)


def _counts(plan: Plan, infos: Sequence[ColumnInfo]) -> str:
    """Return a count for each column: of the rows whose value would be lost."""
    quote = dialect_of(plan).quote
    return ", ".join(f"count(CASE WHEN {_is_lost(quote(info.name), info)} THEN 1 END)" for info in infos)


def _named(infos: Sequence[ColumnInfo], counts: Sequence[int]) -> list[str]:
    return [info.name for info, rows in zip(infos, counts, strict=True) if rows]


def _is_lost(name: str, info: ColumnInfo) -> str:
    if info.default and _CONSTANT.fullmatch(info.default):
        return f"t.{name} <> {info.default}"
    return f"t.{name} IS NOT NULL"
