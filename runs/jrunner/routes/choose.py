"""Chooses the route of a transfer: the fastest one that is exact for both systems, with the reason for the choice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from connections import registry
from connections.sdk.raw_copy import NotRaw
from connections.sdk.records import dataclass
from connections.sdk.row_counts import TransferResult
from runs.jrunner.cancel import Cancellation
from runs.jrunner.job import Job
from runs.jrunner.reporter import Reporter

Copy = Callable[[Job, Reporter, Cancellation], TransferResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A way to copy the rows of a job. ``name`` and ``why`` are logged."""

    name: str
    why: str
    copy: Copy


def load(source: str, destination: str) -> None:
    """Import what a transfer between these kinds probably needs. Errors are left to the transfer."""
    with suppress(Exception):
        raw_copies = registry.raw_copies(source) if source == destination else None
        if raw_copies is not None:
            raw_copies.load()
            return
        from runs.jrunner.routes import arrow  # noqa: F401


def choose_route(job: Job) -> Route:
    """Return the fastest exact route. Connects to systems whose column types the job does not tell for certain."""
    if job.options.get("external"):
        return _external(job)
    raw_copies = registry.raw_copies(job.source.kind) if job.source.kind == job.destination.kind else None
    if raw_copies is None:
        return _arrow(f"{job.source.kind} to {job.destination.kind}")
    raw = raw_copies.choose(job.raw)
    if isinstance(raw, NotRaw):
        return _arrow(raw.why)
    return Route(name="raw", why=raw.why, copy=lambda _, reporter, cancellation: raw.copy(reporter, cancellation))


def _external(job: Job) -> Route:
    from runs.jrunner.routes import external

    return Route(name="external", why="jrunner_path is set", copy=external.copy)


def _arrow(why: str) -> Route:
    def copy(job: Job, reporter: Reporter, cancellation: Cancellation) -> TransferResult:
        # imported late: Arrow and the drivers take longer to load than a small raw copy takes to run
        from runs.jrunner.routes import arrow

        return arrow.copy(job, reporter, cancellation)

    return Route(name="arrow", why=why, copy=copy)
