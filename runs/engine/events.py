"""What a run tells while it goes. `runs.lifecycle.record` turns these into rows, a terminal into lines."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepStarted:
    """resolve, stage, transfer, publish, reconcile or hooks has begun."""

    step: str


@dataclass(frozen=True, slots=True)
class StepFinished:
    step: str
    seconds: float


@dataclass(frozen=True, slots=True)
class WatermarkResolved:
    """``value`` is the exact text used; None means that nothing bounds the query."""

    name: str
    value: str | None


@dataclass(frozen=True, slots=True)
class SourceQueryBuilt:
    """The text exactly as it is sent to the source."""

    sql: str


@dataclass(frozen=True, slots=True)
class MergeSqlBuilt:
    """The publishing statements exactly as executed, or as they would be."""

    sql: str


@dataclass(frozen=True, slots=True)
class RouteChosen:
    route: str
    why: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Rows and bytes moved so far; rows are None where nobody parses them on the way."""

    rows: int | None
    bytes: int


@dataclass(frozen=True, slots=True)
class Warned:
    message: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A statement waits for a lock; ``message`` says for which and who holds it. Told while it waits."""

    message: str


@dataclass(frozen=True, slots=True)
class Staged:
    """Everything is in staging and counted."""

    rows: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The destination transaction is committed. None where the system cannot tell."""

    inserted: int | None
    updated: int | None
    deleted: int | None
    # the watermark column and its highest value afterwards
    watermark_column: str = ""
    watermark: str | None = None
    # found in the commit record after the answer to COMMIT was lost
    recovered: bool = False


@dataclass(frozen=True, slots=True)
class Reconciled:
    """``what`` (key_sync, or a repair) took ``deleted`` rows away."""

    deleted: int
    what: str = "key_sync"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed:
    """An attempt failed in a way that can pass; the next one begins after ``wait`` seconds."""

    number: int
    code: str
    message: str
    wait: float
    # in the connect phase: tried again at once, apart from the retries
    connecting: bool = False


Event = (
    StepStarted
    | StepFinished
    | WatermarkResolved
    | SourceQueryBuilt
    | MergeSqlBuilt
    | RouteChosen
    | Progress
    | Warned
    | Waiting
    | Staged
    | Published
    | Reconciled
    | AttemptFailed
)
