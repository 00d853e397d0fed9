"""Raw copies: rows in the system's own format, passed unchanged from one system to another of the same kind.

A connector offers them by a module ``raw_copy.py`` with a function ``choose``, see `RawCopies`. Without it, and where
the bytes would mean something else in the destination, rows are copied as Arrow batches. Used only inside jrunner.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import WriteTarget
from connections.sdk.records import dataclass
from connections.sdk.row_counts import TransferResult


@dataclass(frozen=True, slots=True, kw_only=True)
class RawJob:
    """Rows of ``query``, matched by position to the target's columns. With ``trim`` trailing blanks are removed.

    ``typed`` means that the columns have the types of the query's result and of the table, as both systems spell them.
    """

    source: ConnectionParameters
    query: str
    target: WriteTarget
    trim: bool = False
    typed: bool = False


class Reporter(Protocol):
    """Reports the totals of a copy. It calls ``is_busy``, set by the copy, from another thread while nothing moves."""

    is_busy: Callable[[], bool]

    def progress(self, rows: int, size: int) -> None: ...


class Cancellation(Protocol):
    """Calls a function from another thread when the copy is to be stopped, or at once if that was requested before."""

    def on_request(self, callback: Callable[[], object]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RawCopy:
    """An exact raw copy. ``why`` is logged; ``copy`` copies all rows as `Writer.write` does, from one snapshot.

    If it is cancelled, it raises Cancelled.
    """

    why: str
    copy: Callable[[Reporter, Cancellation], TransferResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRaw:
    """The reason why the bytes cannot be passed unchanged."""

    why: str


class RawCopies(Protocol):
    """A connector's ``raw_copy`` module."""

    def choose(self, job: RawJob) -> RawCopy | NotRaw:
        """Return the copy, or why there is none. May connect to systems whose types do not follow from the job."""
        ...

    def load(self) -> None:
        """Import what a copy needs; called while its job is not known yet."""
        ...
