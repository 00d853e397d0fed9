"""What follows the commit of a publish: the planner's statistics, and what a former table still prevents.

The rows are published, so an error is only a warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from connections.sdk.errors import PipekitError
from runs.engine.destination import Destination
from runs.engine.events import Published
from runs.engine.publish.method import PublishMethod, former_tables_of
from runs.engine.publish.staging import StagedRows, drop_left_beside, holding_claim

# share of a table's rows that a run changes, above which its statistics are updated; as by PostgreSQL's autovacuum
_BIG_SHARE = 0.1
_WITH_STATISTICS = frozenset({"table", "partitioned table", ""})


def after_commit(dest: Destination, staged: StagedRows, method: PublishMethod, published: Published) -> Iterator[str]:
    """Execute it, and yield a text for each error."""
    is_swapped = method is PublishMethod.SWAP
    if _has_keys(staged) and (dest.plan.keep_previous or not is_swapped):
        yield from release_former(dest)
    if is_swapped:
        # the statistics were made before
        return
    try:
        _update_statistics(dest, method, staged, published)
    except PipekitError as error:
        yield f"The planner's statistics of {dest.table} were not updated: {error.message}"
    try:
        # the rows were copied from it after all
        drop_left_beside(dest)
    except PipekitError as error:
        yield f"The staging table {dest.staging} was not dropped: {error.message}"


def release_former(dest: Destination) -> Iterator[str]:
    """Let the staging table, a former table or twin, no longer affect other tables; yield a text for an error."""
    former = former_tables_of(dest)
    if former is None:
        return
    try:
        with holding_claim(dest):
            for sql in former.release(dest.session, dest.staging):
                dest.session.execute(sql)
    except PipekitError as error:
        yield f"The former table {dest.staging} still has foreign keys, which affect other tables: {error.message}"


@contextmanager
def release_after_failure(dest: Destination, staged: StagedRows) -> Iterator[None]:
    """If the block raises an error, let the staging table no longer affect other tables, as far as that is possible."""
    try:
        yield
    except PipekitError:
        if _has_keys(staged):
            list(release_former(dest))
        raise


def _has_keys(staged: StagedRows) -> bool:
    """Return whether staging may have the foreign keys of the destination table."""
    return bool(staged.created and staged.table_kind)


def _update_statistics(dest: Destination, method: PublishMethod, staged: StagedRows, published: Published) -> None:
    sql = dest.dialect.analyze(dest.table)
    if sql and staged.table_kind in _WITH_STATISTICS and _is_big(dest, method, staged, published):
        dest.session.execute(sql)


def _is_big(dest: Destination, method: PublishMethod, staged: StagedRows, published: Published) -> bool:
    """Return whether the run changed so much of the table that its statistics no longer describe it."""
    changed = (published.inserted or 0) + (published.updated or 0) + (published.deleted or 0)
    if method is not PublishMethod.MERGE or not staged.table_kind:
        return True
    if not changed or not (query := dest.dialect.rows_by_statistics(dest.table)):
        return False
    known = dest.fetch_int(query)
    return known < 0 or changed > known * _BIG_SHARE
