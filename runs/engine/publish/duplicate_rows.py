"""Leaves one of the rows of the destination that have one key: they are deleted, and inserted once from staging."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from connections import registry
from connections.sdk.errors import CountMismatch
from connections.sdk.protocols import Session
from connections.sdk.schema import Column, ColumnInfo
from connections.sdk.sql.foreign_keys import Deletion
from runs.engine.checks import check_deleted, count
from runs.engine.events import Event, MergeSqlBuilt, Warned
from runs.engine.plan import Plan
from runs.engine.publish import destination_shape, foreign_keys, side_effects, unfilled_columns
from runs.engine.publish.publish import describe
from runs.engine.publish.staging import dialect_of
from runs.engine.strategies.statement import Counts, Statement

Bound = Callable[[str], str]


def remove(session: Session, plan: Plan, columns: Sequence[Column], bound: Bound, events: list[Event]) -> int:
    """Remove them within the repair's transaction; return how many rows there are less.

    They stay, and a warning says so, where columns that the query does not fill hold values: an insert would reset
    them. ``bound`` gives the condition that a row is in the repaired part, for an alias of the destination.
    """
    dialect, staging = dialect_of(plan), dialect_of(plan).staging_table(plan.module)
    keys = _doubled(plan, bound)
    counting = f"SELECT coalesce(sum(g.pipekit_n), 0), count(*) FROM (\n{keys}) g"
    rows, distinct = map(int, session.fetch(counting)[0])
    if not rows:
        return 0
    table = destination_shape.described(session, plan)
    if held := _with_values(session, plan, unfilled_columns.unfilled(table, columns), keys):
        events.append(
            Warned(
                f"{rows} rows of {plan.dest_table} share {distinct} keys and are kept: columns that the query does not "
                f"fill hold values in them: {', '.join(held)}. Delete the superfluous ones by hand."
            )
        )
        return 0

    def doubled(row: str) -> str:
        same = dialect.same_key(plan.merge_key, row, "g", null_safe=False)
        return f"EXISTS (SELECT 1 FROM (\n{keys}) g WHERE {same})"

    deletion = Deletion(keys=staging, key=plan.merge_key, returns=False, bound=doubled)
    references = foreign_keys.pointing_at(session, plan)
    events += map(Warned, foreign_keys.check(session, plan, references, deletion, what="The repair"))
    may_return = registry.connector(plan.destination.kind).introspector.may_skip_rows(session, plan.dest_table)
    before = count(session, plan.dest_table, plan) if may_return else 0
    publication = describe(plan, columns, table, null_keys=False)
    delete = f"{dialect.delete_matching(plan.dest_table, staging, plan.merge_key, null_safe=False)}\nAND {doubled('d')}"
    insert = publication.dialect.insert_missing(
        plan.dest_table, staging, publication.columns, plan.merge_key, null_safe=False
    )
    events.append(MergeSqlBuilt(f"{delete};\n\n{insert};"))
    with foreign_keys.explained(plan, references, returns=False):
        deleted = session.execute(delete)
    gone = Statement(delete, Counts.DELETED, remaining=counting)
    check_deleted(session, plan, gone, deleted=deleted, targets=rows, may_return=may_return)
    if (inserted := session.execute(insert)) < distinct:
        raise CountMismatch(
            f"{inserted} of {distinct} rows could be inserted into {plan.dest_table} in the place of doubled ones; "
            "those were left as they were.",
            hint="A trigger, a rule or a policy of the table leaves rows out: take it away, or take another table.",
        )
    with foreign_keys.explained(plan, references, returns=False):
        side_effects.run_deferred(session, plan)
    if may_return:
        if session.fetch(counting)[0][0]:
            raise CountMismatch(
                f"Rows of {plan.dest_table} that share a key come back when all but one are deleted; they were left as "
                "they were.",
                hint="A trigger or a rule of the table puts them back: take it away, or delete them by hand.",
            )
        side_effects.check_left(session, plan, before=before, deleted=rows - inserted, what="the repair")
    return rows - inserted


def _doubled(plan: Plan, bound: Bound) -> str:
    """Return the query for the keys in staging that more than one row of the destination has, and how many."""
    dialect = dialect_of(plan)
    staging = dialect.qualified(dialect.staging_table(plan.module))
    names, same = (
        dialect.columns(plan.merge_key, prefix="x."),
        dialect.same_key(plan.merge_key, "x", "s", null_safe=False),
    )
    return (
        f"  SELECT {names}, count(*) AS pipekit_n FROM {dialect.qualified(plan.dest_table)} x\n"
        f"  WHERE EXISTS (SELECT 1 FROM {staging} s WHERE {same}) AND {bound('x')}\n"
        f"  GROUP BY {names} HAVING count(*) > 1"
    )


def _with_values(session: Session, plan: Plan, infos: Sequence[ColumnInfo], keys: str) -> list[str]:
    """Return the columns that hold other values in the doubled rows than an insert without them would give."""
    if not infos:
        return []
    dialect = dialect_of(plan)
    asked = ", ".join(f"count(CASE WHEN {_is_own(dialect.quote(info.name), info)} THEN 1 END)" for info in infos)
    same = dialect.same_key(plan.merge_key, "x", "g", null_safe=False)
    counts = session.fetch(
        f"SELECT {asked} FROM {dialect.qualified(plan.dest_table)} x\n"
        f"WHERE EXISTS (SELECT 1 FROM (\n{keys}) g WHERE {same})"
    )[0]
    return [info.name for info, count in zip(infos, counts, strict=True) if count]


def _is_own(name: str, info: ColumnInfo) -> str:
    default = "" if (info.default or "").lower().startswith("null") else info.default
    return f"x.{name} IS NOT NULL" + (f" AND x.{name} <> {default}" if default else "")
