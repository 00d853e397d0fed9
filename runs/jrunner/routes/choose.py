"""Chooses the route of a transfer: the fastest one that is exact for both systems, with the reason for the choice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runs.jrunner.cancel import Cancellation
from runs.jrunner.job import Job, TransferResult
from runs.jrunner.protocol import Reporter

Copy = Callable[[Job, Reporter, Cancellation], TransferResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A way to copy the rows of a job. ``name`` and ``why`` are logged."""

    name: str
    why: str
    copy: Copy


def choose(job: Job) -> Route:
    """Return the fastest exact route. May connect to both systems to compare their column types."""
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
    from connections.connectors.postgresql import driver
    from connections.connectors.postgresql.copy.raw_types import NotRaw, plan
    from runs.jrunner.routes import raw as raw_copy

    source = driver.connect(job.source)
    try:
        destination = driver.connect(job.destination)
        try:
            raw_plan = plan(
                source, job.query, destination=destination, table=job.table, columns=job.columns, trim=job.trim
            )
        finally:
            destination.close()
    finally:
        source.close()
    if isinstance(raw_plan, NotRaw):
        return _arrow(raw_plan.why)
    casts = sum(bool(cast) for cast in raw_plan.casts)
    why = f"every column's bytes are the same on both sides{f', after {casts} exact casts' if casts else ''}"
    return Route(
        name="raw",
        why=why,
        copy=lambda job, reporter, cancellation: raw_copy.copy(job, raw_plan, reporter, cancellation),
    )


_RAW: dict[tuple[str, str], Callable[[Job], Route]] = {("postgresql", "postgresql"): _postgresql}
