"""The transaction that publishes, and its commit record, which shows after a lost connection whether it was committed.

The record is part of the transaction. A retry, and the process that finalizes a dead run, find it in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from connections.sdk.errors import ConnectionLost, PipekitError
from connections.sdk.records import dataclass
from runs.engine import control_tables
from runs.engine.destination import Destination
from runs.engine.events import Published
from runs.engine.faults import point
from runs.engine.plan import Plan


class CommitKind(StrEnum):
    """The kind of a commit record. A run has at most one of each."""

    PUBLISH = "publish"
    KEY_SYNC = "key_sync"
    REPAIR = "repair"


# fault points are named by the step of the run
_STEPS = {CommitKind.PUBLISH: "publish", CommitKind.KEY_SYNC: "reconcile", CommitKind.REPAIR: "repair"}


class CommitUnknown(ConnectionLost):
    """The answer to COMMIT was lost, and the destination cannot be asked for the commit record."""


@dataclass(slots=True)
class Commit:
    """What a `publish_transaction` commits: set by its block, unless the run committed before."""

    published: Published | None = None

    @property
    def result(self) -> Published:
        """What is committed, after the transaction."""
        assert self.published is not None
        return self.published


@contextmanager
def publish_transaction(dest: Destination, kind: CommitKind) -> Iterator[Commit]:
    """Execute the block in a transaction that ends with the run's commit record of this kind, then COMMIT.

    The transaction locks the table and looks for an earlier commit of the run, which the block must check: only if
    ``Commit.published`` is None, it executes its statements and sets the attribute. Until COMMIT it holds the claim
    on staging; raises Overtaken when a later run has the claim. If the connection is lost, the commit record, read
    in a new session, shows whether the transaction was committed; raises ConnectionLost if it was not, and
    CommitUnknown if the record cannot be read.
    """
    commit, is_executed, is_ended = Commit(), False, False
    try:
        with dest.session.transaction():
            dest.begin(dest.table)
            point(f"{_STEPS[kind]}.begun")
            commit.published = control_tables.find_commit(dest.session, dest.dialect, dest.plan, kind=kind)
            is_new = commit.published is None
            if is_new:
                control_tables.hold_claim(dest.session, dest.dialect, dest.plan)
            is_executed = True
            yield commit
            if is_new:
                control_tables.write_commit(dest.session, dest.dialect, dest.plan, commit.result, kind=kind)
                point(f"{_STEPS[kind]}.before_commit")
            is_ended = True
    except ConnectionLost as lost:
        # some systems allow only one session at a time
        dest.session.close()
        try:
            commit.published = find_published(dest.plan, kind)
        except PipekitError as error:
            raise _unknown(lost, error, is_ended=is_ended) from error
        if commit.published is None:
            raise
        if not is_executed:
            yield commit


def find_published(plan: Plan, kind: CommitKind = CommitKind.PUBLISH) -> Published | None:
    """Return what this run has published, None if nothing; waits for a transaction of it that is still running."""
    with Destination.open(plan) as dest, dest.session.transaction():
        dest.begin(dest.table)
        if dest.describe(control_tables.commits_table(dest.dialect)):
            return control_tables.find_commit(dest.session, dest.dialect, plan, kind=kind)
    return None


def _unknown(lost: ConnectionLost, error: PipekitError, *, is_ended: bool) -> ConnectionLost:
    """Return the error that says that the commit record could not be read; CommitUnknown if COMMIT was executed."""
    lost.reword(f"{lost.message} Whether it was committed is not known: the destination cannot be reached.")
    lost.detail = f"{lost.detail}\n{error.message}".strip()
    if not is_ended:
        return lost
    unknown = CommitUnknown(lost.message, hint=lost.hint, detail=lost.detail)
    unknown.code = lost.code
    return unknown
