"""Step four, publish: one destination transaction from staging to the table, wholly or not at all.

Its order: bounds on waiting and the table's lock; is this run published already; does it still hold staging; is the
table there; safety limits; is staging complete; NULLs that would become numbers; duplicate keys; the strategy's
statements, each delete counted; deferred triggers; what triggers did; the commit record; COMMIT.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

from connections import registry
from connections.sdk.errors import ConnectionLost, InvalidValue, PipekitError
from connections.sdk.protocols import Session
from connections.sdk.schema import Column, TableInfo
from runs.engine.checks import Staging, check_arrived, check_complete, check_deleted, check_keys, check_numbered, count
from runs.engine.destination import destination
from runs.engine.events import Event, MergeSqlBuilt, Published, Warned
from runs.engine.faults import point
from runs.engine.plan import Plan, Strategy
from runs.engine.publish import (
    commit_record,
    destination_shape,
    destination_table,
    foreign_keys,
    orphaned_rows,
    safety_limits,
    schemas,
    side_effects,
    unfilled_columns,
)
from runs.engine.publish.staging import dialect_of
from runs.engine.strategies import append, full, incremental, upsert
from runs.engine.strategies.statement import Counts, Publication, Statement
from runs.engine.watermarks.warnings import Marks, count_marks, early_marks, published_warnings, staged_warnings

STRATEGIES = {
    Strategy.FULL: full.statements,
    Strategy.INCREMENTAL: incremental.statements,
    Strategy.APPEND: append.statements,
    Strategy.UPSERT: upsert.statements,
}
_KIND = "publish"


def publish(plan: Plan, staging: Staging) -> Generator[Event, None, None]:
    """Publish, ending with Published; everything else leaves the destination as it was.

    When the answer to COMMIT is lost, the commit record decides what happened.
    """
    try:
        with destination(plan) as opened:
            schemas.create_missing(opened, plan, plan.dest_table.schema)
            _analyze(opened, plan)
            yield from _transaction(opened, plan, staging, early_marks(opened, plan, staging.columns))
    except ConnectionLost as lost:
        if (found := find_after(lost, plan, kind=_KIND)) is None:
            raise
        yield found


def find(plan: Plan, *, kind: str = _KIND) -> Published | None:
    """Ask the destination whether this run is published, after whatever still runs there has ended."""
    dialect = dialect_of(plan)
    with destination(plan) as opened, opened.transaction():
        for sql in dialect.begin_publish(plan.dest_table, lock_seconds=plan.lock_seconds):
            opened.execute(sql)
        if registry.connector(plan.destination.kind).introspector.describe_table(
            opened, commit_record.commits_table(dialect)
        ):
            return commit_record.find(opened, dialect, plan, kind=kind)
    return None


def find_after(lost: ConnectionLost, plan: Plan, *, kind: str) -> Published | None:
    """Find the run as `find` does; when nobody answers, ``lost`` says that the end is not known, and is raised."""
    try:
        return find(plan, kind=kind)
    except PipekitError as error:
        lost.message = f"{lost.message} Whether it was committed is not known: the destination cannot be asked."
        lost.args = (lost.message,)
        lost.detail = f"{lost.detail}\n{error.message}".strip()
        raise lost from error


def _transaction(opened: Session, plan: Plan, staging: Staging, marks: Marks | None) -> Iterator[Event]:
    dialect = dialect_of(plan)
    # events are told after COMMIT: whoever listens must not hold the transaction open
    told: list[Event] = []
    try:
        with opened.transaction():
            for sql in dialect.begin_publish(plan.dest_table, lock_seconds=plan.lock_seconds):
                opened.execute(sql)
            point("publish.begun")
            published = commit_record.find(opened, dialect, plan, kind=_KIND)
            if published is None:
                commit_record.hold_claim(opened, dialect, plan)
                published = _apply(opened, plan, staging, marks, told)
                commit_record.write(opened, dialect, plan, published, kind=_KIND)
                point("publish.before_commit")
    except PipekitError:
        yield from (event for event in told if isinstance(event, MergeSqlBuilt))
        raise
    point("publish.after_commit")
    yield from told
    yield published


def _analyze(opened: Session, plan: Plan) -> None:
    """Tell the planner how much is in staging; a full refresh joins nothing."""
    dialect = dialect_of(plan)
    sql = dialect.analyze(dialect.staging_table(plan.module))
    if sql and plan.strategy is not Strategy.FULL:
        opened.execute(sql)


def _apply(opened: Session, plan: Plan, staging: Staging, marks: Marks | None, told: list[Event]) -> Published:
    table = destination_shape.described(opened, plan)
    destination_shape.check(plan, staging, table)
    destination_table.check_columns(plan, table, staging.columns)
    replaced, filled = _replaced(opened, plan, table, staging.columns)
    if warning := safety_limits.check_full(plan, staged=staging.rows, present=replaced):
        told.append(Warned(warning))
    if plan.strategy is not Strategy.FULL:
        check_complete(opened, plan, staging)
    check_numbered(opened, plan, staging, table)
    null_keys = check_keys(opened, plan, staging)
    if marks is None:
        marks = count_marks(opened, plan, staging.columns)
    told += map(Warned, staged_warnings(plan, marks))
    deletion = foreign_keys.deletion(plan, table, null_keys=null_keys)
    keys = foreign_keys.pointing_at(opened, plan) if foreign_keys.may_break(plan, table, deletion) else ()
    orphaned = orphaned_rows.OrphanedRows(opened, plan, keys)
    if deletion:
        what = f"Replacing rows of {plan.dest_table} by DELETE"
        told += map(Warned, foreign_keys.check(opened, plan, keys, deletion, what=what))
    told += map(Warned, unfilled_columns.check_full(opened, plan, table, filled, emptied=False))
    publication = describe(plan, staging.columns, table, null_keys=null_keys)
    watched = side_effects.possible(opened, plan, table)
    publication = replace(publication, may_skip_rows=watched)
    before = count(opened, plan.dest_table, plan) if watched and plan.strategy is not Strategy.FULL else replaced
    statements = all_statements(opened, plan, staging.columns, table, publication)
    told.append(MergeSqlBuilt(";\n\n".join(statement.sql for statement in statements) + ";"))
    with foreign_keys.explained(plan, keys):
        counts = _execute(opened, plan, statements, replaced=replaced)
        side_effects.run_deferred(opened, plan)
    told += map(Warned, orphaned.warnings())
    told += map(Warned, unfilled_columns.check_full(opened, plan, table, filled, emptied=True))
    if plan.strategy is Strategy.FULL and counts[Counts.WRITTEN] != staging.rows:
        # its insert takes all of staging, so it has counted it
        check_complete(opened, plan, staging)
    if watched:
        told += map(Warned, side_effects.check(opened, plan, staging, counts, before=before, null_keys=null_keys))
    check_arrived(opened, plan, staging, counts)
    published = _published(opened, plan, counts, replaced=replaced)
    told += map(Warned, published_warnings(opened, plan, staging.columns, marks, published.watermark))
    return published


def _replaced(opened: Session, plan: Plan, table: TableInfo | None, columns: Sequence[Column]) -> tuple[int, list[str]]:
    """Return how many rows a full refresh takes away, and of which columns that the query does not fill the values.

    Counted before: TRUNCATE does not say.
    """
    if plan.strategy is not Strategy.FULL or table is None:
        return 0, []
    if unfilled := unfilled_columns.unfilled(table, columns):
        return unfilled_columns.count_filled(opened, plan, unfilled)
    return count(opened, plan.dest_table, plan), []


def describe(plan: Plan, columns: Sequence[Column], table: TableInfo | None, *, null_keys: bool) -> Publication:
    """Return what the strategy goes by."""
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
    opened: Session, plan: Plan, columns: Sequence[Column], table: TableInfo | None, publication: Publication
) -> list[Statement]:
    """Return the strategy's statements; of a first run also those that create the table and its key."""
    created = [*_before(plan, columns, table), *STRATEGIES[plan.strategy](publication)]
    return [*created, *_after(opened, plan, table)]


def _before(plan: Plan, columns: Sequence[Column], table: TableInfo | None) -> list[Statement]:
    if table is not None:
        return []
    pairs = [(column.dest_name, column.dest_type) for column in columns]
    return [Statement(dialect_of(plan).create_table(plan.dest_table, pairs))]


def _after(opened: Session, plan: Plan, table: TableInfo | None) -> list[Statement]:
    """The key's index comes after a first load: it is a quarter faster than before."""
    if table is not None or plan.strategy not in (Strategy.INCREMENTAL, Strategy.UPSERT):
        return []
    if not plan.supports_deletes:
        return []
    sql = dialect_of(plan).create_unique(plan.dest_table, plan.merge_key, version=opened.server_version)
    return [Statement(sql)] if sql else []


def _execute(opened: Session, plan: Plan, statements: Sequence[Statement], *, replaced: int) -> dict[Counts, int]:
    counts: dict[Counts, int] = {Counts.TARGETS: replaced} if plan.strategy is Strategy.FULL else {}
    for statement in statements:
        rows, *targets = _rows(opened, statement, replaces=Counts.REPLACED in counts)
        counts[statement.counts] = counts.get(statement.counts, 0) + max(rows, 0)
        if targets:
            counts[Counts.TARGETS] = targets[0]
        if statement.counts is Counts.DELETED:
            check_deleted(opened, plan, statement, deleted=rows, targets=counts[Counts.TARGETS])
        point("publish.between_statements")
    return counts


def _rows(opened: Session, statement: Statement, *, replaces: bool) -> list[int]:
    try:
        return list(map(int, opened.fetch(statement.sql)[0])) if statement.asks else [opened.execute(statement.sql)]
    except InvalidValue as error:
        if replaces:
            # the key is unique: a row that should have been deleted stands in the way of the one that replaces it
            error.hint += " Or a trigger, a rule or a policy of the table keeps rows that are to be replaced."
        raise


def _published(opened: Session, plan: Plan, counts: dict[Counts, int], *, replaced: int) -> Published:
    matched = counts.get(Counts.MATCHED, 0) + counts.get(Counts.REPLACED, 0)
    dialect, watermark = dialect_of(plan), None
    if plan.watermark:
        watermark = opened.fetch(dialect.maximum(plan.dest_table, plan.watermark))[0][0]
    if plan.repair is not None and not plan.repair.rewrites:
        # those that are there were left as they are
        matched = 0
    insert_only = not plan.supports_deletes and plan.strategy in (Strategy.INCREMENTAL, Strategy.UPSERT)
    new = counts.get(Counts.INSERTED, 0) + counts.get(Counts.ADDED, 0)
    return Published(
        inserted=new or max(counts.get(Counts.WRITTEN, 0) - matched, 0),
        # an insert-only system merges by itself, later: it cannot tell
        updated=None if insert_only else matched,
        deleted=replaced,
        watermark_column=plan.watermark,
        watermark=watermark,
    )
