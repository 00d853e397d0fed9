"""Waits at the destination have a bound: whatever a run says there, it waits for a lock no longer than the plan allows.

Who held the lock is said in the error, and left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from connections.sdk.capabilities import Cap
from connections.sdk.errors import LockTimeout, PipekitError
from connections.sdk.protocols import Session
from runs.engine.connecting import open_session
from runs.engine.plan import Plan
from runs.engine.publish import commit_record
from runs.engine.publish.staging import dialect_of

# more than these are not named
_NAMED = 5


@contextmanager
def open_destination(plan: Plan) -> Iterator[Session]:
    """Open a control session at the destination for the time of the block."""
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
            # the error stands without it
            return
        if holders:
            named = "; ".join(str(holder) for (holder,) in holders[:_NAMED])
            error.message = f"{error.message} — locks on {table} are held by {named}."
            error.args = (error.message,)
            return
