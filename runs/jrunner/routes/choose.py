"""Chooses the route of a transfer: the fastest one that is exact for both systems, with the reason for the choice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from connections.sdk.records import dataclass
from runs.jrunner.cancel import Cancellation
from runs.jrunner.job import Job, TransferResult
from runs.jrunner.reporter import Reporter

if TYPE_CHECKING:
    from connections.connectors.postgresql.copy.raw_types import Types

Copy = Callable[[Job, Reporter, Cancellation], TransferResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A way to copy the rows of a job. ``name`` and ``why`` are logged."""

    name: str
    why: str
    copy: Copy


def choose(job: Job) -> Route:
    """Return the fastest exact route. Connects to systems whose column types the job does not tell for certain."""
    if job.options.get("external"):
        return _external(job)
    raw = _RAW.get((job.source.kind, job.destination.kind))
    if raw is None:
        return _arrow(f"{job.source.kind} to {job.destination.kind}")
    return raw(job)


def _external(job: Job) -> Route:
    from runs.jrunner.routes import external

    return Route(name="external", why="jrunner_path is set", copy=external.copy)


def _arrow(why: str) -> Route:
    def copy(job: Job, reporter: Reporter, cancellation: Cancellation) -> TransferResult:
        # imported late: Arrow and the drivers take longer to load than a small raw copy takes to run
        from runs.jrunner.routes import arrow

        return arrow.copy(job, reporter, cancellation)

    return Route(name="arrow", why=why, copy=copy)


def _postgresql(job: Job) -> Route:
    from connections.connectors.postgresql.copy import raw_types
    from runs.jrunner.routes import raw as raw_copy

    source, destination = raw_types.known_types(job.columns) if job.typed else (None, None)
    if source is None or destination is None:
        source, destination = _described(job, source, destination)
    raw_plan = raw_types.compare(source, destination, job.columns, trim=job.trim)
    if isinstance(raw_plan, raw_types.NotRaw):
        return _arrow(raw_plan.why)
    casts = sum(bool(cast) for cast in raw_plan.casts)
    why = f"every column's bytes are the same on both sides{f', after {casts} exact casts' if casts else ''}"
    return Route(
        name="raw",
        why=why,
        copy=lambda job, reporter, cancellation: raw_copy.copy(job, raw_plan, reporter, cancellation),
    )


def _described(job: Job, source: Types | None, destination: Types | None) -> tuple[Types, Types]:
    """Return the types of both sides; those that are not known are asked of their servers."""
    # imported late: psycopg takes longer to load than a small copy takes to run
    from connections.connectors.postgresql import driver
    from connections.connectors.postgresql.copy import described_types

    if source is None:
        with closing(driver.connect(job.source)) as session:
            source = described_types.types_of_query(session, job.query, job.columns)
    if destination is None:
        with closing(driver.connect(job.destination)) as session:
            destination = described_types.types_of_table(session, job.table, job.columns)
    return source, destination


_RAW: dict[tuple[str, str], Callable[[Job], Route]] = {("postgresql", "postgresql"): _postgresql}
