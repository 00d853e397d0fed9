"""The events of a run, which `runs.lifecycle.record` stores and `runs.cli.progress` prints."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeVar

from connections.sdk.records import dataclass

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step has begun: resolve, stage, transfer, publish, reconcile or hooks."""

    step: str


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A step has ended without an error."""

    step: str
    seconds: float


@dataclass(frozen=True, slots=True)
class WatermarkResolved:
    """A watermark was resolved. ``value`` is its exact text; None means that it does not bound the query."""

    name: str
    value: str | None


@dataclass(frozen=True, slots=True)
class SourceQueryBuilt:
    """The query, exactly as sent to the source; why a condition made the user's query a subquery of it, if it did."""

    sql: str
    subquery_reason: str = ""


@dataclass(frozen=True, slots=True)
class MergeSqlBuilt:
    """The publishing statements, exactly as executed or, in a dry run, as they would be.

    ``is_committed`` is for statements outside the publish transaction, which a failure does not roll back.
    """

    sql: str
    is_committed: bool = False


@dataclass(frozen=True, slots=True)
class MethodChosen:
    """The method by which rows are published (see `PublishMethod`), and why it is not a faster one, if it is not."""

    method: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class RouteChosen:
    """jrunner has chosen a route."""

    route: str
    why: str


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """Rows and bytes moved so far; ``rows`` is None where they are not counted in transit."""

    rows: int | None
    bytes: int


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning for the user."""

    message: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """The run is waiting, for a lock or for a connection that is in use; ``message`` names it and its holders."""

    message: str


@dataclass(frozen=True, slots=True)
class Staged:
    """All rows are in staging and counted."""

    rows: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The destination transaction is committed. A count is None where the system does not report it."""

    inserted: int | None
    updated: int | None
    deleted: int | None
    # the watermark column and its highest value afterwards
    watermark_column: str = ""
    watermark: str | None = None
    # the size of the former table, which an exchange has left as the staging table
    kept_bytes: int | None = None
    # found in the commit record after the answer to COMMIT was lost
    recovered: bool = False


# what deletes rows after the publish
KEY_SYNC, REPAIR = "key_sync", "the repair"


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Rows were deleted by ``what``, KEY_SYNC or REPAIR."""

    deleted: int
    what: str = KEY_SYNC
    # found in the commit record after the answer to COMMIT was lost
    recovered: bool = False


# what is known of a transaction before it is committed, in order
TransactionEvent = MergeSqlBuilt | Warned | MethodChosen
TransactionEvents = list[TransactionEvent]


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """The answer to COMMIT was lost, and the destination cannot be asked whether the transaction was committed.

    Its statements and warnings are the run's if a Published or Reconciled event follows that is `recovered`.
    """

    transaction: Sequence[TransactionEvent]


@dataclass(frozen=True, slots=True)
class HookStarted:
    """A hook is about to be executed; ``number`` counts the module's hooks from 1."""

    number: int
    run_on: str
    connection: str


@dataclass(frozen=True, slots=True)
class HookSucceeded:
    """A hook was executed without an error; ``number`` counts the module's hooks from 1."""

    number: int


@dataclass(frozen=True, slots=True)
class HookFailed:
    """A hook has failed whose failure is only a warning, which was yielded before."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed:
    """An attempt failed with a transient error; the next one begins after ``wait`` seconds."""

    # counts every try of the run, those to connect included
    number: int
    code: str
    message: str
    wait: float
    # the connection failed: retried after a second and not counted as a retry
    connecting: bool = False
    # the attempt, of how many at most; and of a failed connection, the try within the attempt
    attempt: int = 1
    max_attempts: int = 1
    connection_try: int = 0
    max_connection_tries: int = 0

    def __str__(self) -> str:
        attempt = f"attempt {self.attempt} of {self.max_attempts}"
        if not self.connection_try:
            return attempt
        return f"{attempt}, connection try {self.connection_try} of {self.max_connection_tries}"


Event = (
    StepStarted
    | StepFinished
    | WatermarkResolved
    | SourceQueryBuilt
    | MergeSqlBuilt
    | MethodChosen
    | RouteChosen
    | TransferProgress
    | Warned
    | Waiting
    | Staged
    | Published
    | Reconciled
    | Unconfirmed
    | HookStarted
    | HookSucceeded
    | HookFailed
    | AttemptFailed
)

# the events of a step, which returns its result
StepEvents = Generator[Event, None, T]


def without_events(work: StepEvents[T]) -> T:
    """Execute a step or a part of one, ignore its events, and return its result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
