"""Removes duplicate rows of the destination: rows that share a key are deleted, and one is inserted from staging."""

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
from runs.engine.strategies.statement import RowCount, Statement

# returns the SQL condition on a row with this alias
RowCondition = Callable[[str], str]


def remove(
    session: Session, plan: Plan, columns: Sequence[Column], is_repaired: RowCondition, events: list[Event]
) -> int:
    """Remove duplicates within the repair's transaction; return by how many rows the table shrinks.

    Duplicates with values in columns that the query does not fill are kept, with a warning, because the insert would
    reset these values. ``is_repaired`` is the condition that a row of the destination is in the repaired part.
    """
    dialect, staging = dialect_of(plan), dialect_of(plan).staging_table(plan.module)
    keys = _duplicate_keys(plan, is_repaired)
    counting = f"SELECT coalesce(sum(g.pipekit_n), 0), count(*) FROM (\n{keys}) g"
    rows, distinct = map(int, session.fetch(counting)[0])
    if not rows:
        return 0
    table = destination_shape.lock_and_describe(session, plan)
    if filled := _columns_with_values(session, plan, unfilled_columns.unfilled(table, columns), keys):
        events.append(
            Warned(
                f"{rows} rows of {plan.dest_table} share {distinct} keys and are kept, because columns that the query "
                f"does not fill hold values in them: {', '.join(filled)}. Delete the duplicates manually."
            )
        )
        return 0

    def is_duplicate(row: str) -> str:
        same = dialect.same_key(plan.merge_key, row, "g", null_safe=False)
        return f"EXISTS (SELECT 1 FROM (\n{keys}) g WHERE {same})"

    deletion = Deletion(keys=staging, key=plan.merge_key, returns=False, bound=is_duplicate)
    references = foreign_keys.referencing(session, plan)
    events += map(Warned, foreign_keys.check(session, plan, references, deletion, what="The repair"))
    may_return = registry.connector(plan.destination.kind).introspector.may_skip_rows(session, plan.dest_table)
    before = count(session, plan.dest_table, plan) if may_return else 0
    publication = describe(plan, columns, table, null_keys=False)
    delete_matching = dialect.delete_matching(plan.dest_table, staging, plan.merge_key, null_safe=False)
    delete = f"{delete_matching}\nAND {is_duplicate('d')}"
    insert = publication.dialect.insert_missing(
        plan.dest_table, staging, publication.columns, plan.merge_key, null_safe=False
    )
    events.append(MergeSqlBuilt(f"{delete};\n\n{insert};"))
    with foreign_keys.explain_violations(plan, references, returns=False):
        deleted = session.execute(delete)
    statement = Statement(delete, RowCount.DELETED, remaining=counting)
    check_deleted(session, plan, statement, deleted=deleted, targets=rows, may_return=may_return)
    if (inserted := session.execute(insert)) < distinct:
        raise CountMismatch(
            f"Only {inserted} of {distinct} rows could be inserted into {plan.dest_table} in place of duplicates; "
            "nothing was changed.",
            hint="A trigger, a rule or a policy of the table skips rows: remove it, or choose another table.",
        )
    with foreign_keys.explain_violations(plan, references, returns=False):
        side_effects.run_deferred(session, plan)
    if may_return:
        if session.fetch(counting)[0][0]:
            raise CountMismatch(
                f"Rows of {plan.dest_table} that share a key reappear when all but one are deleted; nothing was "
                "changed.",
                hint="A trigger or a rule of the table inserts them again: remove it, or delete the rows manually.",
            )
        side_effects.check_remaining(session, plan, before=before, deleted=rows - inserted, what="the repair")
    return rows - inserted


def _duplicate_keys(plan: Plan, is_repaired: RowCondition) -> str:
    """Return the query for the keys in staging that several rows of the destination share, with their number."""
    dialect = dialect_of(plan)
    staging = dialect.qualified(dialect.staging_table(plan.module))
    names, same = (
        dialect.columns(plan.merge_key, prefix="x."),
        dialect.same_key(plan.merge_key, "x", "s", null_safe=False),
    )
    return (
        f"  SELECT {names}, count(*) AS pipekit_n FROM {dialect.qualified(plan.dest_table)} x\n"
        f"  WHERE EXISTS (SELECT 1 FROM {staging} s WHERE {same}) AND {is_repaired('x')}\n"
        f"  GROUP BY {names} HAVING count(*) > 1"
    )


def _columns_with_values(session: Session, plan: Plan, infos: Sequence[ColumnInfo], keys: str) -> list[str]:
    """Return the columns that hold other values in the duplicates than an insert without them would set."""
    if not infos:
        return []
    dialect = dialect_of(plan)
    select_list = ", ".join(
        f"count(CASE WHEN {_is_own_value(dialect.quote(info.name), info)} THEN 1 END)" for info in infos
    )
    same = dialect.same_key(plan.merge_key, "x", "g", null_safe=False)
    counts = session.fetch(
        f"SELECT {select_list} FROM {dialect.qualified(plan.dest_table)} x\n"
        f"WHERE EXISTS (SELECT 1 FROM (\n{keys}) g WHERE {same})"
    )[0]
    return [info.name for info, count in zip(infos, counts, strict=True) if count]


def _is_own_value(name: str, info: ColumnInfo) -> str:
    default = "" if (info.default or "").lower().startswith("null") else info.default
    return f"x.{name} IS NOT NULL" + (f" AND x.{name} <> {default}" if default else "")
