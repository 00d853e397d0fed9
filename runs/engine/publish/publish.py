"""Step four, publish: one transaction at the destination that copies the rows from staging to the table.

The transaction, in order:

1. Set the lock timeout and lock the table.
2. Return if the run is published already; check that it still holds the claim on staging.
3. Check the destination table, the safety limits, that staging is complete, and its keys.
4. Check which rows of other tables would be affected.
5. Execute the strategy's statements, checking the row count of each delete; run deferred triggers.
6. Check what triggers did, and that all rows arrived.
7. Write the commit record; COMMIT.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

from connections import registry
from connections.sdk.errors import ConnectionLost, InvalidValue, PipekitError
from connections.sdk.protocols import Session
from connections.sdk.schema import Column, TableInfo
from runs.engine.checks import Staging, check_arrived, check_complete, check_deleted, check_keys, check_numbered, count
from runs.engine.destination import open_destination
from runs.engine.events import Event, MergeSqlBuilt, Published, Warned
from runs.engine.faults import point
from runs.engine.plan import Plan, Strategy
from runs.engine.publish import (
    commit_record,
    destination_shape,
    destination_table,
    foreign_keys,
    safety_limits,
    schemas,
    side_effects,
    unfilled_columns,
)
from runs.engine.publish.staging import dialect_of
from runs.engine.strategies import append, full, incremental, upsert
from runs.engine.strategies.statement import Publication, RowCount, Statement
from runs.engine.watermarks.warnings import (
    WatermarkCounts,
    count_before_transaction,
    count_watermarks,
    published_warnings,
    staged_warnings,
)

STRATEGIES = {
    Strategy.FULL: full.statements,
    Strategy.INCREMENTAL: incremental.statements,
    Strategy.APPEND: append.statements,
    Strategy.UPSERT: upsert.statements,
}
_KIND = "publish"


def publish(plan: Plan, staging: Staging) -> Generator[Event, None, None]:
    """Publish the staged rows, yielding events; the last one is Published. An error leaves the table unchanged.

    If the answer to COMMIT is lost, the commit record shows whether the rows are published.
    """
    try:
        with open_destination(plan) as session:
            schemas.create_missing(session, plan, plan.dest_table.schema)
            _analyze(session, plan)
            yield from _transaction(session, plan, staging, count_before_transaction(session, plan, staging.columns))
    except ConnectionLost as lost:
        if (published := find_after(lost, plan, kind=_KIND)) is None:
            raise
        yield published


def find(plan: Plan, *, kind: str = _KIND) -> Published | None:
    """Return what this run has published, None if nothing; waits for a transaction of it that is still running."""
    dialect = dialect_of(plan)
    with open_destination(plan) as session, session.transaction():
        for sql in dialect.begin_publish(plan.dest_table, lock_seconds=plan.lock_seconds):
            session.execute(sql)
        if registry.connector(plan.destination.kind).introspector.describe_table(
            session, commit_record.commits_table(dialect)
        ):
            return commit_record.find(session, dialect, plan, kind=kind)
    return None


def find_after(lost: ConnectionLost, plan: Plan, *, kind: str) -> Published | None:
    """Return what `find` returns. If it fails, raise ``lost``, with the addition that the result is unknown."""
    try:
        return find(plan, kind=kind)
    except PipekitError as error:
        lost.message = f"{lost.message} Whether it was committed is not known: the destination cannot be reached."
        lost.args = (lost.message,)
        lost.detail = f"{lost.detail}\n{error.message}".strip()
        raise lost from error


def _transaction(
    session: Session, plan: Plan, staging: Staging, watermark_counts: WatermarkCounts | None
) -> Iterator[Event]:
    dialect = dialect_of(plan)
    # yielded only after COMMIT, so that the caller cannot keep the transaction open
    events: list[Event] = []
    try:
        with session.transaction():
            for sql in dialect.begin_publish(plan.dest_table, lock_seconds=plan.lock_seconds):
                session.execute(sql)
            point("publish.begun")
            published = commit_record.find(session, dialect, plan, kind=_KIND)
            if published is None:
                commit_record.hold_claim(session, dialect, plan)
                published = _apply(session, plan, staging, watermark_counts, events)
                commit_record.write(session, dialect, plan, published, kind=_KIND)
                point("publish.before_commit")
    except PipekitError:
        yield from (event for event in events if isinstance(event, MergeSqlBuilt))
        raise
    point("publish.after_commit")
    yield from events
    yield published


def _analyze(session: Session, plan: Plan) -> None:
    """Update the planner's statistics of staging, except for a full refresh, which has no joins."""
    dialect = dialect_of(plan)
    sql = dialect.analyze(dialect.staging_table(plan.module))
    if sql and plan.strategy is not Strategy.FULL:
        session.execute(sql)


def _apply(
    session: Session, plan: Plan, staging: Staging, watermark_counts: WatermarkCounts | None, events: list[Event]
) -> Published:
    table = destination_shape.lock_and_describe(session, plan)
    destination_shape.check(plan, staging, table)
    destination_table.check_columns(plan, table, staging.columns)
    replaced, filled = _count_replaced(session, plan, table, staging.columns)
    if warning := safety_limits.check_full(plan, staged=staging.rows, present=replaced):
        events.append(Warned(warning))
    if plan.strategy is not Strategy.FULL:
        check_complete(session, plan, staging)
    check_numbered(session, plan, staging, table)
    null_keys = check_keys(session, plan, staging)
    if watermark_counts is None:
        watermark_counts = count_watermarks(session, plan, staging.columns)
    events += map(Warned, staged_warnings(plan, watermark_counts))
    deletion = foreign_keys.deletion(plan, table, null_keys=null_keys)
    keys = foreign_keys.referencing(session, plan) if foreign_keys.may_break(plan, table, deletion) else ()
    orphaned = foreign_keys.OrphanedRows(session, plan, keys)
    if deletion:
        what = f"Replacing rows of {plan.dest_table} by DELETE"
        events += map(Warned, foreign_keys.check(session, plan, keys, deletion, what=what))
    events += map(Warned, unfilled_columns.check_full(session, plan, table, filled, emptied=False))
    publication = describe(plan, staging.columns, table, null_keys=null_keys)
    may_skip_rows = side_effects.may_occur(session, plan, table)
    publication = replace(publication, may_skip_rows=may_skip_rows)
    before = count(session, plan.dest_table, plan) if may_skip_rows and plan.strategy is not Strategy.FULL else replaced
    statements = all_statements(session, plan, staging.columns, table, publication)
    events.append(MergeSqlBuilt(";\n\n".join(statement.sql for statement in statements) + ";"))
    with foreign_keys.explain_violations(plan, keys):
        counts = _execute(session, plan, statements, replaced=replaced)
        side_effects.run_deferred(session, plan)
    events += map(Warned, orphaned.warnings())
    events += map(Warned, unfilled_columns.check_full(session, plan, table, filled, emptied=True))
    if plan.strategy is Strategy.FULL and counts[RowCount.WRITTEN] != staging.rows:
        # its insert copies all of staging, so its row count is the number of staged rows
        check_complete(session, plan, staging)
    if may_skip_rows:
        events += map(Warned, side_effects.check(session, plan, staging, counts, before=before, null_keys=null_keys))
    check_arrived(session, plan, staging, counts)
    published = _published(session, plan, counts, replaced=replaced)
    events += map(Warned, published_warnings(session, plan, staging.columns, watermark_counts, published.watermark))
    return published


def _count_replaced(
    session: Session, plan: Plan, table: TableInfo | None, columns: Sequence[Column]
) -> tuple[int, list[str]]:
    """Return how many rows a full refresh will delete, and the unfilled columns whose values it will reset.

    Counted before the statements, because TRUNCATE has no row count.
    """
    if plan.strategy is not Strategy.FULL or table is None:
        return 0, []
    if unfilled := unfilled_columns.unfilled(table, columns):
        return unfilled_columns.count_filled(session, plan, unfilled)
    return count(session, plan.dest_table, plan), []


def describe(plan: Plan, columns: Sequence[Column], table: TableInfo | None, *, null_keys: bool) -> Publication:
    """Return the input of the strategy."""
    dialect = dialect_of(plan)
    if destination_table.takes_identity_values(table, columns):
        dialect = dialect.with_identity_values()
    keys = [set(key) for key in table.unique_keys] if table else []
    return Publication(
        dialect=dialect,
        table=plan.dest_table,
        staging=dialect.staging_table(plan.module),
        columns=tuple(column.dest_name for column in columns),
        key=plan.merge_key,
        watermark=plan.watermark,
        is_new=table is None,
        has_unique=set(plan.merge_key) in keys,
        null_keys=null_keys,
        supports_deletes=plan.supports_deletes,
        rewrites=plan.repair is None or plan.repair.rewrites,
        truncate=not plan.delete_instead_of_truncate,
    )


def all_statements(
    session: Session, plan: Plan, columns: Sequence[Column], table: TableInfo | None, publication: Publication
) -> list[Statement]:
    """Return the strategy's statements, preceded and followed by those that create a new table and its key."""
    statements = [*_create_table(plan, columns, table), *STRATEGIES[plan.strategy](publication)]
    return [*statements, *_create_key(session, plan, table)]


def _create_table(plan: Plan, columns: Sequence[Column], table: TableInfo | None) -> list[Statement]:
    if table is not None:
        return []
    pairs = [(column.dest_name, column.dest_type) for column in columns]
    return [Statement(dialect_of(plan).create_table(plan.dest_table, pairs))]


def _create_key(session: Session, plan: Plan, table: TableInfo | None) -> list[Statement]:
    """Return the statement for the unique key of a new table; creating it after the load is a quarter faster."""
    if table is not None or plan.strategy not in (Strategy.INCREMENTAL, Strategy.UPSERT):
        return []
    if not plan.supports_deletes:
        return []
    sql = dialect_of(plan).create_unique(plan.dest_table, plan.merge_key, version=session.server_version)
    return [Statement(sql)] if sql else []


def _execute(session: Session, plan: Plan, statements: Sequence[Statement], *, replaced: int) -> dict[RowCount, int]:
    counts: dict[RowCount, int] = {RowCount.TARGETS: replaced} if plan.strategy is Strategy.FULL else {}
    for statement in statements:
        rows, *targets = _rows(session, statement, replaces=RowCount.REPLACED in counts)
        counts[statement.row_count] = counts.get(statement.row_count, 0) + max(rows, 0)
        if targets:
            counts[RowCount.TARGETS] = targets[0]
        if statement.row_count is RowCount.DELETED:
            check_deleted(session, plan, statement, deleted=rows, targets=counts[RowCount.TARGETS])
        point("publish.between_statements")
    return counts


def _rows(session: Session, statement: Statement, *, replaces: bool) -> list[int]:
    try:
        return (
            list(map(int, session.fetch(statement.sql)[0])) if statement.is_query else [session.execute(statement.sql)]
        )
    except InvalidValue as error:
        if replaces:
            # because the key is unique, a row that was not deleted conflicts with the one that replaces it
            error.hint += " Or a trigger, a rule or a policy of the table keeps rows that are to be replaced."
        raise


def _published(session: Session, plan: Plan, counts: dict[RowCount, int], *, replaced: int) -> Published:
    matched = counts.get(RowCount.MATCHED, 0) + counts.get(RowCount.REPLACED, 0)
    dialect, watermark = dialect_of(plan), None
    if plan.watermark:
        watermark = session.fetch(dialect.maximum(plan.dest_table, plan.watermark))[0][0]
    if plan.repair is not None and not plan.repair.rewrites:
        # existing rows were not changed
        matched = 0
    insert_only = not plan.supports_deletes and plan.strategy in (Strategy.INCREMENTAL, Strategy.UPSERT)
    new = counts.get(RowCount.INSERTED, 0) + counts.get(RowCount.ADDED, 0)
    return Published(
        inserted=new or max(counts.get(RowCount.WRITTEN, 0) - matched, 0),
        # an insert-only system merges rows itself, later, and does not report how many
        updated=None if insert_only else matched,
        deleted=replaced,
        watermark_column=plan.watermark,
        watermark=watermark,
    )
