"""Sessions at the destination, in which no statement waits for a lock longer than the plan's lock_seconds.

The error of a lock timeout names the sessions that hold the lock; they are not terminated.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from connections.sdk.capabilities import Cap
from connections.sdk.errors import LockTimeout, PipekitError
from connections.sdk.protocols import Session
from runs.engine.plan import Plan
from runs.engine.publish import commit_record
from runs.engine.publish.staging import dialect_of
from runs.engine.sessions import open_session

# lock holders that are named in an error
_NAMED = 5


@contextmanager
def open_destination(plan: Plan) -> Iterator[Session]:
    """Open a session at the destination for the block. Raises LockTimeout with the names of the lock's holders."""
    with open_session(plan.destination, Cap.WRITE) as session:
        for sql in dialect_of(plan).bound_waits(lock_seconds=plan.lock_seconds):
            session.execute(sql)
        try:
            yield session
        except LockTimeout as error:
            _name_holders(error, session, plan)
            raise


def _name_holders(error: LockTimeout, session: Session, plan: Plan) -> None:
    dialect = dialect_of(plan)
    staging = dialect.staging_table(plan.module)
    for table in (plan.dest_table, staging, commit_record.claims_table(dialect)):
        if not (sql := dialect.lock_holders(table)):
            return
        try:
            holders = session.fetch(sql)
        except PipekitError:
            # the original error is raised without the names
            return
        if holders:
            named = "; ".join(str(holder) for (holder,) in holders[:_NAMED])
            error.message = f"{error.message} — locks on {table} are held by {named}."
            error.args = (error.message,)
            return
